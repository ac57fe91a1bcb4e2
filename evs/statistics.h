// Counters of one ring member, for people and for tests that ask whether something rare has
// happened.
#pragma once

#include <cstdint>

namespace evs {

struct Statistics {
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagrams_malformed = 0;
  std::uint64_t tokens_accepted = 0;
  std::uint64_t tokens_refused = 0;
  std::uint64_t token_retransmissions = 0;
  std::uint64_t token_losses = 0;
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_retransmitted = 0;
  std::uint64_t packets_duplicate = 0;
  std::uint64_t acknowledgements_sent = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_delivered = 0;
  std::uint64_t safe_delivered_regular = 0;
  std::uint64_t safe_by_acknowledgement = 0;  // Of those: packets for which no token was awaited.
  std::uint64_t delivered_transitional = 0;
  std::uint64_t delivered_beyond_gap = 0;
  std::uint64_t gathers = 0;
  std::uint64_t failures_forced = 0;  // The same consensus twice without a ring.
  std::uint64_t strangers_barred = 0;
  std::uint64_t recoveries = 0;
  std::uint64_t recoveries_failed = 0;
  std::uint64_t recoveries_with_obligation = 0;
  std::uint64_t obligations_outside_transitional = 0;
  std::uint64_t installs = 0;
  std::uint64_t failures_to_receive = 0;
};

}  // namespace evs

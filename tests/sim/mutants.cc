#include "tests/sim/mutants.h"

#include <string>

#include "base/mutant.h"

namespace sim {

namespace {

std::string active_name;

constexpr Mutant kMutants[] = {
    {"safe_when_received_here", "rule 4: safe delivery without waiting for anybody"},
    {"safe_without_predecessor", "rule 3: stable without the predecessor's entry"},
    {"acknowledges_highest_seen", "rule 1: the entry is the highest number seen, gaps or not"},
    {"discard_by_own_delivery", "rule 5: packets are discarded once delivered here"},
    {"duplicate_tokens_accepted", "rule 2: a copy of a token is a token"},
    {"before_gap_only_from_deliver", "rule 14(c'): before the gap too, only senders in D"},
    {"gap_ignored", "rule 14(c'): beyond the gap everybody's packets are delivered"},
    {"nothing_beyond_gap", "rule 14(c'): nothing is delivered beyond the gap"},
    {"stable_not_exchanged", "rule 8: the highest known-stable is not exchanged"},
    {"safe_above_stable_in_regular", "rule 14(a): does not stop at a safe packet above H"},
    {"obligation_dropped", "rule 13: the obligation set is dropped at the second recovery"},
    {"obligation_not_united", "rule 9: obligation sets are not united over the transitional set"},
    {"recovered_too_early", "rule 12: recovered without having received up to the token's number"},
    {"recovered_without_done", "rule 12: recovered without waiting for all done bits"},
    {"installs_one_visit_late", "rule 6: installs a visit after all bits were seen"},
    {"install_on_transitional_bits", "rule 6: installs on the bits of its transitional set alone"},
    {"old_data_during_recovery", "rule 11: takes data of the old ring during recovery"},
    {"seal_replay_window_before_authentication", "5.3: a forged counter moves the replay window"},
    {"seal_no_replay_window", "5.3: a datagram can be replayed"},
    {"seal_nonce_reset_at_subkey", "5.3: a nonce is used twice under a key"},
    {"seal_tag_ignored", "5.3: a forged datagram is accepted"},
};

}  // namespace

std::span<const Mutant> mutants() {
  return kMutants;
}

void activate_mutant(std::string_view name) {
  active_name = name;
}

}  // namespace sim

namespace base {

bool mutant_active(const char* name) {
  return sim::active_name == name;
}

}  // namespace base

// A state with a few daemons and short ways to say commands, for the tests of lockd/state.h.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "lockd/command.h"
#include "lockd/state.h"

namespace lockd {

inline Processor daemon(std::uint32_t node, std::uint64_t incarnation = 1) {
  return {base::NodeId{node}, base::Incarnation{100 * node + incarnation}};
}

inline RingId ring(std::uint64_t sequence) {
  return {sequence, base::NodeId{1}, sequence * 17};
}

inline Secret secret(std::uint8_t n) {
  Secret value;
  value.bits.fill(std::byte{n});
  return value;
}

inline Instance instance(std::uint8_t n) {
  Instance value;
  value.bits.fill(std::byte{n});
  return value;
}

// A client as its daemon sees it.
struct Client {
  Processor at;
  SessionId session{};
  Generation generation{1};
  std::uint64_t next = 1;
  std::uint64_t acknowledged = 0;

  Request request(std::uint64_t id) const {
    return {session, generation, RequestId{id}, RequestId{acknowledged}};
  }
};

// The effects of one kind among others.
template <typename Kind>
std::vector<Kind> only(const Effects& effects) {
  std::vector<Kind> found;
  for (const Effect& effect : effects) {
    if (const Kind* one = std::get_if<Kind>(&effect)) found.push_back(*one);
  }
  return found;
}

struct Bench {
  explicit Bench(const StateLimits& limits = {}) : state(limits) {}

  // The effects of a command that `from` has multicast in `now_ring`.
  Effects apply(Processor from, Command::Body body) {
    Effects effects;
    state.apply(from, {now_ring, std::move(body)}, effects);
    return effects;
  }

  Effects depart(std::vector<Departure> departures) {
    Effects effects;
    state.apply_departures(now_ring, departures, effects);
    return effects;
  }

  Opened open(Processor from, std::uint64_t number, std::uint32_t uid = 1000) {
    return only<Opened>(
               apply(from, Open{OpenNumber{number}, secret(1), instance(1), uid, uid, 7, "prog"}))
        .at(0);
  }

  Client client(Processor from, std::uint64_t number, std::uint32_t uid = 1000) {
    const Opened opened = open(from, number, uid);
    return {from, opened.session, opened.generation};
  }

  Resumed::Outcome resume(Processor from, const Client& client, std::uint64_t generation,
                          std::uint8_t instance_byte = 1, std::uint8_t secret_byte = 1) {
    return only<Resumed>(apply(from, Resume{client.session, Generation{generation},
                                            secret(secret_byte), instance(instance_byte)}))
        .at(0)
        .outcome;
  }

  // The reply to a request, which must be the first effect.
  static Reply reply(const Effects& effects) { return std::get<Replied>(effects.at(0)).reply; }

  Effects acquire_effects(Client& c, const std::string& name, dlm::Mode mode = dlm::Mode::ex,
                          bool try_only = false) {
    return apply(c.at, Acquire{c.request(c.next++),
                               "default",
                               name,
                               mode,
                               try_only ? base::lock_flag::no_queue : 0,
                               {},
                               0});
  }
  Reply acquire(Client& c, const std::string& name, dlm::Mode mode = dlm::Mode::ex,
                bool try_only = false) {
    return reply(acquire_effects(c, name, mode, try_only));
  }

  Effects release_effects(Client& c, const Reply& granted) {
    return apply(c.at,
                 Release{c.request(c.next++), granted.request, granted.token, 0, std::nullopt});
  }
  Reply release(Client& c, const Reply& granted) { return reply(release_effects(c, granted)); }

  Effects cancel_effects(Client& c, const Reply& queued) {
    return apply(c.at, Cancel{c.request(c.next++), queued.request});
  }

  Mark mark_of(const Client& c) const { return *state.find(c.session)->mark(); }

  // Replaces the state by what its snapshot says; false if it is refused or has another digest.
  bool reload(const StateLimits& limits = {}) {
    base::Buffer image;
    state.serialize(image);
    std::optional<State> loaded = State::deserialize(image, limits);
    if (!loaded || loaded->digest() != state.digest()) return false;
    state = std::move(*loaded);
    return true;
  }

  State state;
  RingId now_ring = ring(1);
};

}  // namespace lockd

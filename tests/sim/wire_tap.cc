#include "tests/sim/wire_tap.h"

#include "base/check.h"

namespace sim {

namespace protocol = liblock::protocol;

void WireTap::written(TrueTime at, const base::Processor& by, std::uint64_t connection,
                      const VirtualClock& clock, base::Bytes bytes) {
  Tap& tap = taps_[connection];
  tap.cutter.append(bytes);
  const auto promise = [&](const protocol::LeaseNote& note) {
    if (!tap.session || note.remaining <= Duration(0)) return;
    checker_.lease_promised(at, *tap.session, clock.when_either(note.echo + note.remaining));
  };
  for (;;) {
    const auto frame = tap.cutter.next();
    CHECK(frame.has_value());
    if (!*frame) return;
    const auto response = protocol::decode_response(**frame);
    CHECK(response.has_value());
    if (const auto* welcome = std::get_if<protocol::Welcome>(&*response)) {
      tap.session = welcome->session;
      promise(welcome->note);
    } else if (const auto* reply = std::get_if<protocol::Reply>(&*response)) {
      promise(reply->note);
      if (reply->answer == protocol::Answer::granted && tap.session) {
        checker_.told(at, by, {*tap.session, reply->request}, reply->note.remaining > Duration(0));
      }
    } else if (const auto* outcome = std::get_if<protocol::BarrierOutcome>(&*response)) {
      // Without members it says that there is none.
      if (tap.session && !outcome->members.empty()) {
        barrier_checker_.told(at, by, *tap.session, {outcome->generation, outcome->step},
                              checker_.is_active(by));
      }
    } else if (const auto* state = std::get_if<protocol::State>(&*response)) {
      promise(state->note);
    }
  }
}

}  // namespace sim

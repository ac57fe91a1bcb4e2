#include "tests/sim/barrier_checker.h"

#include "tests/sim/barrier_checker_impl.h"

namespace sim {

BarrierChecker::BarrierChecker(std::uint32_t fastest_ppm, bool faultless)
    : impl_(std::make_unique<Impl>(fastest_ppm, faultless)) {}
BarrierChecker::~BarrierChecker() = default;

void BarrierChecker::ordered(const Applied& applied) {
  impl_->ordered(applied);
}
void BarrierChecker::began_empty(std::uint64_t epoch) {
  impl_->began_empty(epoch);
}
void BarrierChecker::opened(TrueTime at, BarrierKey key) {
  impl_->opened(at, key);
}
void BarrierChecker::told(TrueTime at, const base::Processor& by, base::SessionId session,
                          BarrierKey key, bool active) {
  impl_->told(at, by, session, key, active);
}
void BarrierChecker::client_opened(std::uint64_t client, base::SessionId session) {
  impl_->client_opened(client, session);
}
void BarrierChecker::client_asks(std::uint64_t client, const BarrierAsked& asked) {
  impl_->client_asks(client, asked);
}
void BarrierChecker::client_withdraws(std::uint64_t client, base::RequestId arrival) {
  impl_->client_withdraws(client, arrival);
}
void BarrierChecker::client_ended(TrueTime at, std::uint64_t client, base::RequestId request,
                                  base::SessionId self, const BarrierOutcome& outcome) {
  impl_->client_ended(at, client, request, self, outcome);
}
void BarrierChecker::client_broken(TrueTime at, std::uint64_t client, base::SessionId self,
                                   const BarrierOutcome& outcome) {
  impl_->client_broken(at, client, self, outcome);
}
void BarrierChecker::client_failed(TrueTime at, std::uint64_t client, base::RequestId request,
                                   bool withdrawn) {
  impl_->client_failed(at, client, request, withdrawn);
}
void BarrierChecker::client_answered(TrueTime at, std::uint64_t client, base::RequestId request) {
  impl_->client_answered(at, client, request);
}
void BarrierChecker::client_gone(std::uint64_t client) {
  impl_->client_gone(client);
}
void BarrierChecker::whole(std::optional<TrueTime> since) {
  impl_->whole(since);
}
void BarrierChecker::settled(TrueTime at) {
  impl_->settled(at);
}

bool BarrierChecker::violated() const {
  return !impl_->violations.empty();
}
std::vector<Violation> BarrierChecker::violations() const {
  return impl_->violations;
}

}  // namespace sim

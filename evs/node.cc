#include "evs/node.h"

#include "evs/member.h"

namespace evs {

class Node::Impl : public Member {
 public:
  using Member::Member;
};

Node::Node(const Config& config, base::Incarnation incarnation, base::Random random, Instant now,
           TraceSink* trace)
    : impl_(std::make_unique<Impl>(config, incarnation, random, now, trace)) {}
Node::~Node() = default;

void Node::handle_datagram(Instant now, base::NodeId from, base::Bytes datagram) {
  impl_->handle_datagram(now, from, datagram);
}
void Node::handle_timeout(Instant now) {
  impl_->handle_timeout(now);
}
base::Result<void, MulticastError> Node::multicast(Instant now, Service service,
                                                   base::Bytes payload) {
  return impl_->multicast(now, service, payload);
}
void Node::leave(Instant now) {
  impl_->leave(now);
}
std::optional<Transmit> Node::poll_transmit() {
  return impl_->poll_transmit();
}
std::optional<Event> Node::poll_event() {
  return impl_->poll_event();
}
std::optional<Duration> Node::next_timeout() const {
  return impl_->next_timeout();
}
Processor Node::self() const {
  return impl_->self();
}
NodeState Node::state() const {
  return impl_->state();
}
const Configuration& Node::regular() const {
  return impl_->regular();
}
const TokenEvidence& Node::evidence() const {
  return impl_->evidence();
}
std::size_t Node::send_room() const {
  return impl_->send_room();
}
const Statistics& Node::statistics() const {
  return impl_->statistics();
}
NodeStatus Node::status(Instant now) const {
  return impl_->status(now);
}
const FlightRecorder& Node::recorder() const {
  return impl_->recorder();
}
const Config& Node::config() const {
  return impl_->config();
}
void Node::check_invariants() const {
  impl_->check_invariants();
}

}  // namespace evs

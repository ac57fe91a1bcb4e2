// The part of Sessions that serves EVS instances: connections without a session.
#include <utility>

#include "base/mutant.h"
#include "lockd/sessions.h"

namespace lockd {

namespace protocol = liblock::protocol;

void Sessions::open_instance(Instant now, ConnectionId id) {
  Connection& connection = *find(id);
  const std::uint32_t uid = connection.wire.peer().uid;
  if (const auto opened = instances_.open(id, uid); !opened) {
    return refuse(now, id, protocol::Refusal::limit,
                  opened.error() == OpenInstanceError::too_many
                      ? "this daemon has as many EVS instances as it may; close some"
                      : "user " + std::to_string(uid) +
                            " has as many EVS instances at this daemon as it may; close some");
  }
  connection.stage = Instance{};
  connection.wire.expect_groups(config_.instance_unwritten_bytes_max);
  protocol::EvsWelcome welcome;
  welcome.self = self_;
  send(now, id, welcome);
  send(now, id, instances_.configuration());
}

// False, and the connection refused, if it is no instance.
bool Sessions::is_instance(Instant now, ConnectionId id) {
  if (std::holds_alternative<Instance>(find(id)->stage)) return true;
  refuse(now, id, protocol::Refusal::malformed,
         "groups need an EVS instance, which its Hello asks for");
  return false;
}

void Sessions::on(Instant now, ConnectionId id, const protocol::EvsJoin& join) {
  if (!is_instance(now, id)) return;
  if (!instances_.join(id, join.groups)) {
    return refuse(now, id, protocol::Refusal::limit,
                  "an instance can be in " + std::to_string(protocol::kEvsGroupsMax) +
                      " groups; leave some, or use several instances");
  }
  tell_instance(id, protocol::EvsDone{join.query});
}

void Sessions::on(Instant now, ConnectionId id, const protocol::EvsLeave& leave) {
  if (!is_instance(now, id)) return;
  instances_.leave(id, leave.groups);
  tell_instance(id, protocol::EvsDone{leave.query});
}

void Sessions::on(Instant now, ConnectionId id, const protocol::EvsMulticast& message) {
  if (!is_instance(now, id)) return;
  if (!instances_.multicast(id, message)) {
    refuse(now, id, protocol::Refusal::malformed, "more was sent than the window allows");
  }
}

void Sessions::tell_instances(const InstanceNews& news) {
  std::visit(
      [&](const auto& response) {
        for (const ConnectionId id : news.to) tell_instance(id, response);
      },
      news.response);
}

template <typename Response>
void Sessions::tell_instance(ConnectionId id, const Response& response) {
  Connection* connection = find(id);
  if (connection == nullptr || !std::holds_alternative<Instance>(connection->stage)) return;
  if (connection->wire.send(response)) {
    writable(id);
  } else if (!MUTANT("groups_hole_for_slow_reader")) {
    cut_off(id);
  }
}

void Sessions::tell_credits() {
  while (const auto news = instances_.poll_credit()) tell_instances(*news);
}

// What it was sent so far stays whole, and ends with the reason: a stream with a hole would be
// worse than one that ends. The connection is closed when the client has read it all.
void Sessions::cut_off(ConnectionId id) {
  Connection& connection = *find(id);
  ++statistics_.slow_readers;
  report(
      ClientDropped{connection.wire.peer(), "an EVS instance does not read what it is sent", {}});
  instances_.mute(id);
  connection.stage = CutOff{};
  connection.wire.send_last(protocol::Refused{
      protocol::Refusal::too_slow,
      "this instance did not read while " + std::to_string(config_.instance_unwritten_bytes_max) +
          " bytes waited for it; open another one and dispatch more often"});
  writable(id);
}

std::size_t Sessions::unread(ConnectionId id) const {
  const auto found = connections_.find(id);
  return found == connections_.end() ? 0 : found->second.wire.unwritten().size();
}

bool Sessions::reads_much(ConnectionId id) const {
  const auto found = connections_.find(id);
  return found != connections_.end() && std::holds_alternative<Instance>(found->second.stage);
}

}  // namespace lockd

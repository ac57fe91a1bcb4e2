// The part of liblock/client_machine.h that joins and leaves lockspaces, hears of their members,
// and drops orphans.
#include <algorithm>
#include <utility>

#include "liblock/client_machine.h"
#include "liblock/failure.h"

namespace liblock {
namespace {

using protocol::Answer;
using protocol::JoinKind;

bool is_lockspace(std::string_view name) {
  return !name.empty() && name.size() <= protocol::kLockspaceBytesMax;
}

}  // namespace

base::Result<RequestId, CallError> ClientMachine::operate(Instant now, bool valid,
                                                          Command command) {
  begin(now);
  if (disabled_ || closing_) return base::error(CallError::disabled);
  if (config_.query_only || !valid) return base::error(CallError::invalid);
  if (requests_.others() >= kOperationsMax) return base::error(CallError::limit);
  const RequestId id = requests_.add(std::move(command));
  flush();
  return id;
}

base::Result<RequestId, CallError> ClientMachine::drop_orphans(Instant now, base::NodeId node,
                                                               std::uint32_t pid) {
  return operate(now, true, DropOrphansCommand{node, pid});
}

base::Result<RequestId, CallError> ClientMachine::join(Instant now, std::string_view lockspace,
                                                       JoinKind kind, std::uint16_t permissions) {
  const bool valid = is_lockspace(lockspace) && kind <= JoinKind::create_new;
  if (joins_.size() + requests_.others() >= kJoinsMax) return base::error(CallError::limit);
  return operate(now, valid, JoinCommand{std::string(lockspace), kind, permissions});
}

base::Result<RequestId, CallError> ClientMachine::leave(Instant now, std::string_view lockspace,
                                                        bool force) {
  return operate(now, is_lockspace(lockspace), LeaveCommand{std::string(lockspace), force});
}

void ClientMachine::on_outcome(const protocol::Reply& reply, DropOrphansCommand& command) {
  const bool reported = command.reported;
  done(reply.request, reported,
       reply.answer == Answer::done ? std::nullopt : std::optional(failure_of(reply.answer)),
       reply.advice);
}

void ClientMachine::on_outcome(const protocol::Reply& reply, JoinCommand& command) {
  JoinCommand join = std::move(command);
  const RequestId id = reply.request;
  if (reply.answer == Answer::done) {
    done(id, join.reported && !join.again, std::nullopt, "");
    // It is there now: what a new session has to ask for.
    if (join.kind == JoinKind::create_new) join.kind = JoinKind::create;
    join.again = true;
    joins_.insert_or_assign(id, std::move(join));
    return;
  }
  const Failure failure = failure_of(reply.answer);
  done(id, join.reported && !join.again, failure, reply.advice);
  if (joins_.erase(id) != 0) {
    events_.push_back(LockspaceGone{join.lockspace, failure, reply.advice});
  }
}

// Undoes the newest create of this client, or else an open.
void ClientMachine::on_outcome(const protocol::Reply& reply, LeaveCommand& command) {
  const LeaveCommand leave = std::move(command);
  const bool left = reply.answer == Answer::done;
  done(reply.request, leave.reported, left ? std::nullopt : std::optional(failure_of(reply.answer)),
       reply.advice);
  if (!left) return;
  auto undone = joins_.end();
  for (auto join = joins_.begin(); join != joins_.end(); ++join) {
    if (join->second.lockspace != leave.lockspace) continue;
    const bool opens = join->second.kind == JoinKind::open;
    if (undone == joins_.end() || !opens || undone->second.kind == JoinKind::open) undone = join;
  }
  if (undone != joins_.end()) joins_.erase(undone);
}

void ClientMachine::done(RequestId operation, bool reported, std::optional<Failure> failure,
                         const std::string& advice) {
  requests_.resolve(operation);
  if (reported) events_.push_back(Done{operation, failure, advice});
}

void ClientMachine::on(const protocol::LockspaceState& state) {
  const auto of_it = [&](const auto& join) { return join.second.lockspace == state.lockspace; };
  if (std::any_of(joins_.begin(), joins_.end(), of_it) || joining(state.lockspace)) {
    events_.push_back(LockspaceChanged{state});
  }
}

// After a resume the state can come before the answer.
bool ClientMachine::joining(const std::string& lockspace) {
  for (RequestId id : requests_.ids()) {
    const auto* join = requests_.find<JoinCommand>(id);
    if (join != nullptr && join->lockspace == lockspace) return true;
  }
  return false;
}

}  // namespace liblock

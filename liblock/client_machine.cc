#include "liblock/client_machine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace liblock {
namespace {

// What all requests of a session begin with.
struct Header {
  RequestId request{};
  RequestId acknowledged{};
  Instant stamp;
};

protocol::Request message_of(const Header& header, const AcquireCommand& command) {
  return protocol::Acquire{header.request,   header.acknowledged, header.stamp,
                           command.mode,     command.flags,       command.owner,
                           command.patience, command.lockspace,   command.resource};
}

protocol::Request message_of(const Header& header, const AcquireAllCommand& command) {
  return protocol::AcquireAll{header.request, header.acknowledged, header.stamp, command.flags,
                              command.owner,  command.patience,    command.parts};
}

protocol::Request message_of(const Header& header, const ConvertCommand& command) {
  return protocol::Convert{header.request, header.acknowledged, header.stamp,     command.acquire,
                           command.mode,   command.flags,       command.patience, command.value};
}

protocol::Request message_of(const Header& header, const ReleaseCommand& command) {
  return protocol::Release{header.request, header.acknowledged, header.stamp, command.acquire,
                           command.token,  command.flags,       command.value};
}

protocol::Request message_of(const Header& header, const CancelCommand& command) {
  return protocol::Cancel{header.request, header.acknowledged, header.stamp, command.acquire};
}

protocol::Request message_of(const Header& header, const DropOrphansCommand& command) {
  return protocol::DropOrphans{header.request, header.acknowledged, header.stamp, command.node,
                               command.pid};
}

protocol::Request message_of(const Header& header, const JoinCommand& command) {
  return protocol::JoinLockspace{header.request, header.acknowledged, header.stamp,
                                 command.kind,   command.permissions, command.lockspace};
}

protocol::Request message_of(const Header& header, const LeaveCommand& command) {
  return protocol::LeaveLockspace{header.request, header.acknowledged, header.stamp, command.force,
                                  command.lockspace};
}

protocol::Request message_of(const Header& header, const BarrierArriveCommand& command) {
  return protocol::BarrierArrive{header.request,    header.acknowledged, header.stamp,
                                 command.lockspace, command.barrier,     command.config,
                                 command.value};
}

protocol::Request message_of(const Header& header, const BarrierLeaveCommand& command) {
  return protocol::BarrierLeave{header.request, header.acknowledged, header.stamp,
                                command.generation, command.value};
}

protocol::Request message_of(const Header& header, const BarrierWithdrawCommand& command) {
  return protocol::BarrierWithdraw{header.request,    header.acknowledged, header.stamp,
                                   command.lockspace, command.barrier,     command.arrival};
}

protocol::Request message_of(const Header& header, const BarrierCommand& command) {
  return std::visit(
      [&](auto message) -> protocol::Request {
        message.request = header.request;
        message.acknowledged = header.acknowledged;
        message.stamp = header.stamp;
        return message;
      },
      command.message);
}

}  // namespace

ClientMachine::ClientMachine(ClientConfig config)
    : config_(std::move(config)),
      retry_pause_(config_.retry_first),
      requests_(config_.last_request) {}

// ---- The connection ----

bool ClientMachine::wants_connection() const {
  if (connection_) return !connection_->hanging_up;
  return !disabled_ && !closing_ && !retry_at_;
}

// The deadline comes before anything else: bytes that were read late must not revive what was lost
// while we slept.
void ClientMachine::begin(Instant now) {
  now_ = now;
  if (!grants_.empty() && !deadline_.live(now)) lose_grants();
}

void ClientMachine::handle_connected(Instant now) {
  begin(now);
  CHECK(!connection_ && wants_connection());
  connection_.emplace(now);
  retry_at_.reset();
  send_hello();
}

void ClientMachine::handle_disconnected(Instant now) {
  begin(now);
  const bool connected = connection_.has_value();
  connection_.reset();
  out_.clear();
  requests_.on_disconnected();
  early_blocks_.clear();
  collect_anew();
  for (auto& [id, query] : queries_) query.sent = false;
  if (closing_) {
    if (connected) events_.push_back(Closed{});
    return;
  }
  retry_at_ = now_.boot + retry_pause_;
  retry_pause_ = std::min(2 * retry_pause_, config_.retry_last);
}

void ClientMachine::handle_bytes(Instant now, base::Bytes bytes) {
  begin(now);
  if (!connection_ || connection_->hanging_up || closing_) return;
  connection_->cutter.append(bytes);
  while (!connection_->hanging_up) {
    const auto content = connection_->cutter.next();
    if (!content) return protocol_error();
    if (!*content) break;
    const auto response = protocol::decode_response(**content);
    if (!response) return protocol_error();
    connection_->heard = true;
    std::visit([this](const auto& message) { on(message); }, *response);
  }
  flush();
}

void ClientMachine::handle_timeout(Instant now) {
  begin(now);
  if (retry_at_ && now_.boot >= *retry_at_) retry_at_.reset();
  flush();
}

std::optional<Duration> ClientMachine::next_timeout() const {
  std::optional<Duration> next;
  const auto at = [&next](Duration boot) { next = next ? std::min(*next, boot) : boot; };
  if (!grants_.empty() && deadline_.live(now_)) {
    const Duration left = deadline_.left(now_);
    at(now_.boot + left);
    if (!in_jeopardy(now_)) at(now_.boot + left - lease_ / 2);
  }
  if (retry_at_ && !disabled_ && !closing_) at(*retry_at_);
  const bool talking = open() && session_ && !connection_->hanging_up && !closing_;
  if (talking && !connection_->keepalive) at(keepalive_at_);
  return next;
}

std::optional<base::Buffer> ClientMachine::poll_transmit() {
  if (out_.empty()) return std::nullopt;
  return std::exchange(out_, {});
}

std::optional<Event> ClientMachine::poll_event() {
  if (events_.empty()) tell_jeopardy();
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void ClientMachine::hang_up() {
  connection_->hanging_up = true;
  out_.clear();
}

void ClientMachine::protocol_error() {
  hang_up();
  events_.push_back(Refused{protocol::Refusal::malformed, ""});
}

// ---- What is sent ----

void ClientMachine::send(const protocol::Request& request) {
  connection_->last_stamp = now_;
  protocol::encode(request, out_);
}

void ClientMachine::send_hello() {
  protocol::Hello hello;
  hello.instance = config_.instance;
  hello.command = config_.command.substr(0, protocol::kCommandBytesMax);
  hello.stamp = now_;
  if (config_.query_only) {
    hello.kind = protocol::HelloKind::query;
  } else if (session_) {
    hello.kind = protocol::HelloKind::resume;
    hello.resume = {session_->id, session_->secret, session_->generation};
    connection_->resuming = true;
  } else {
    hello.kind = protocol::HelloKind::open;
  }
  send(hello);
}

// Whatever is due and allowed.
void ClientMachine::flush() {
  if (!open() || connection_->hanging_up || closing_) return;
  for (auto& [id, query] : queries_) {
    if (!query.sent) send(query.question);
    query.sent = true;
  }
  if (!session_) return;
  while (const auto outgoing = requests_.send_next()) send_command(*outgoing);
  if (now_.boot >= keepalive_at_ && !connection_->keepalive) {
    send(protocol::Keepalive{requests_.acknowledged(), now_});
    connection_->keepalive = now_;
  }
}

void ClientMachine::send_command(const Requests::Outgoing& outgoing) {
  const Header header{outgoing.id, outgoing.acknowledged, now_};
  send(std::visit([&](const auto& command) { return message_of(header, command); },
                  *outgoing.command));
}

}  // namespace liblock

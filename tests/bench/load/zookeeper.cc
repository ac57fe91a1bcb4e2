#include "tests/bench/load/zookeeper.h"

#include <algorithm>
#include <concepts>
#include <stdexcept>
#include <utility>

namespace tests::load {
namespace {

constexpr std::int32_t kEvent = -1;  // In place of a request's number.
constexpr std::int32_t kPing = -2;
constexpr std::int32_t kAnyVersion = -1;
constexpr base::Duration kSilence =
    std::chrono::milliseconds(3);  // After which a server is nudged.

// ZooKeeper's encoding, "jute".
template <std::integral Number>
std::string encoded(Number value) {
  std::string out;
  for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
  return out;
}

std::string encoded(std::string_view text) {
  return encoded(static_cast<std::int32_t>(text.size())).append(text);
}

std::int32_t take_i32(std::string_view& in) {
  if (in.size() < 4) throw std::runtime_error("ZooKeeper's answer is too short");
  std::uint32_t value = 0;
  for (const char byte : in.substr(0, 4)) value = value << 8 | static_cast<std::uint8_t>(byte);
  in.remove_prefix(4);
  return static_cast<std::int32_t>(value);
}

std::string_view take_text(std::string_view& in) {
  const auto size = static_cast<std::size_t>(std::max(take_i32(in), 0));
  if (in.size() < size) throw std::runtime_error("ZooKeeper's answer is too short");
  const std::string_view text = in.substr(0, size);
  in.remove_prefix(size);
  return text;
}

}  // namespace

ZooKeeper::ZooKeeper(Loop& loop, const std::string& address, Changed changed)
    : loop_(loop),
      changed_(std::move(changed)),
      stream_(loop, address, [this](std::string_view bytes) { return take(bytes); }) {
  const auto timeout = static_cast<std::int32_t>(kSessionTime / std::chrono::milliseconds(1));
  // Protocol, last transaction seen, time-out, session, password, whether reading is enough.
  stream_.send(encoded(encoded(std::int32_t{0}) + encoded(std::int64_t{0}) + encoded(timeout) +
                       encoded(std::int64_t{0}) + encoded(std::string(16, '\0')) + '\0'));
  loop.turn_until([this] { return connected_; }, kSessionTime, "a session of ZooKeeper");
}

ZooKeeper::~ZooKeeper() {
  try {
    ask(Operation::close, "", nullptr);
  } catch (const std::runtime_error&) {
    // It is over anyway.
  }
}

void ZooKeeper::create(const std::string& path, Kind kind, Answer answer) {
  constexpr std::int32_t kAllRights = 31;
  ask(Operation::create,
      encoded(path) + encoded("") + encoded(std::int32_t{1}) + encoded(kAllRights) +
          encoded("world") + encoded("anyone") + encoded(static_cast<std::int32_t>(kind)),
      std::move(answer));
}

void ZooKeeper::remove(const std::string& path, Answer answer) {
  ask(Operation::remove, encoded(path) + encoded(kAnyVersion), std::move(answer));
}

void ZooKeeper::look(Operation operation, const std::string& path, bool watch, Answer answer) {
  ask(operation, encoded(path) + static_cast<char>(watch), std::move(answer));
}

void ZooKeeper::nudge() {
  nudge_unless_heard(0);
}

void ZooKeeper::nudge_unless_heard(std::size_t received_before) {
  const std::size_t received = received_;
  if (received == received_before)
    stream_.send(encoded(encoded(kPing) + encoded(static_cast<std::int32_t>(Operation::ping))));
  loop_.call_at(now() + kSilence, [this, received] { nudge_unless_heard(received); });
}

void ZooKeeper::ask(Operation operation, const std::string& body, Answer answer) {
  awaited_.push_back(std::move(answer));
  stream_.send(encoded(encoded(++last_) + encoded(static_cast<std::int32_t>(operation)) + body));
}

std::size_t ZooKeeper::take(std::string_view bytes) {
  std::size_t taken = 0;
  while (bytes.size() - taken >= 4) {
    std::string_view in = bytes.substr(taken);
    const auto size = static_cast<std::size_t>(take_i32(in));
    if (in.size() < size) break;
    taken += 4 + size;
    ++received_;
    if (std::exchange(connected_, true)) take_message(in.substr(0, size));
  }
  return taken;
}

void ZooKeeper::take_message(std::string_view in) {
  const std::int32_t request = take_i32(in);
  if (request == kPing) return;
  take_i32(in);  // The number of the
  take_i32(in);  // transaction.
  const std::int32_t error = take_i32(in);
  if (request == kEvent) {
    take_i32(in);  // What has changed,
    take_i32(in);  // and how the session is.
    return changed_(std::string(take_text(in)));
  }
  if (awaited_.empty()) throw std::runtime_error("ZooKeeper answers what nobody asked");
  const Answer answer = std::move(awaited_.front());
  awaited_.pop_front();
  if (answer) answer(error, in);
}

void require_zookeeper(std::int32_t error, const char* what) {
  if (error != 0)
    throw std::runtime_error("ZooKeeper: " + std::string(what) + ": error " +
                             std::to_string(error));
}

std::string path_of(std::string_view body) {
  return std::string(take_text(body));
}

std::vector<std::string> children_of(std::string_view body) {
  std::vector<std::string> children;
  for (std::int32_t left = take_i32(body); left > 0; --left) children.emplace_back(take_text(body));
  return children;
}

}  // namespace tests::load

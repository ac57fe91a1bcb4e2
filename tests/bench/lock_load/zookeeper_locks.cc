#include "tests/bench/lock_load/zookeeper_locks.h"

#include <algorithm>
#include <concepts>
#include <stdexcept>
#include <utility>

namespace tests::lock_load {
namespace {

constexpr std::int32_t kNoNode = -101;
constexpr std::int32_t kNodeExists = -110;
constexpr std::int32_t kEvent = -1;  // In place of a request's number.
constexpr std::int32_t kPing = -2;
constexpr base::Duration kSilence =
    std::chrono::milliseconds(10);  // After which a server is nudged.
constexpr std::int32_t kAnyVersion = -1;
constexpr std::size_t kSequenceDigits = 10;
constexpr std::string_view kRoot = "/locks";

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

std::string_view sequence(std::string_view node) {
  return node.substr(node.size() - std::min(node.size(), kSequenceDigits));
}

void require(std::int32_t error, const char* what) {
  if (error != 0)
    throw std::runtime_error("ZooKeeper: " + std::string(what) + ": error " +
                             std::to_string(error));
}

}  // namespace

ZooKeeper::ZooKeeper(Loop& loop, const std::string& address, std::function<void()> changed)
    : changed_(std::move(changed)),
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

void ZooKeeper::ping() {
  stream_.send(encoded(encoded(kPing) + encoded(static_cast<std::int32_t>(Operation::ping))));
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
    in = in.substr(0, size);
    taken += 4 + size;
    ++received_;
    if (!std::exchange(connected_, true)) continue;
    const std::int32_t request = take_i32(in);
    if (request == kPing) continue;
    if (request == kEvent) {
      changed_();
      continue;
    }
    take_i32(in);  // The number of the
    take_i32(in);  // transaction.
    const std::int32_t error = take_i32(in);
    if (awaited_.empty()) throw std::runtime_error("ZooKeeper answers what nobody asked");
    const Answer answer = std::move(awaited_.front());
    awaited_.pop_front();
    if (answer) answer(error, in);
  }
  return taken;
}

std::string predecessor(std::string_view children, const std::string& own) {
  std::string_view before;
  bool found = false;
  for (std::int32_t left = take_i32(children); left > 0; --left) {
    const std::string_view child = take_text(children);
    found = found || child == own;
    if (sequence(child) < sequence(own) && (before.empty() || sequence(before) < sequence(child)))
      before = child;
  }
  if (!found) throw std::runtime_error("ZooKeeper has lost a node");
  return std::string(before);
}

ZooKeeperLocks::ZooKeeperLocks(Loop& loop, const std::string& address, std::size_t number,
                               bool nudges)
    : loop_(loop), prefix_(std::to_string(10'000 + number)), server_(loop, address, [this] {
        if (std::exchange(watching_, false)) look_at_queue();
      }) {
  prefix_.append(32 - prefix_.size(), '0').append("__lock__");
  if (nudges) nudge(0);
  bool ready = false;
  ensure(std::string(kRoot), [&] { ready = true; });
  loop.turn_until([&] { return ready; }, kSessionTime, "the first node of ZooKeeper");
}

void ZooKeeperLocks::nudge(std::size_t received_before) {
  const std::size_t received = server_.received();
  if (received == received_before) server_.ping();
  loop_.call_at(now() + kSilence, [this, received] { nudge(received); });
}

void ZooKeeperLocks::acquire(const std::string& name, Done granted) {
  folder_ = std::string(kRoot) + "/" + name;
  granted_ = std::move(granted);
  if (ensured_.count(folder_) != 0) return enter_queue();
  ensure(folder_, [this] {
    ensured_.insert(folder_);
    enter_queue();
  });
}

// As kazoo's ensure_path: looks first.
void ZooKeeperLocks::ensure(const std::string& path, const Done& done) {
  server_.look(ZooKeeper::Operation::exists, path, false,
               [this, path, done](std::int32_t missing, std::string_view) {
                 if (missing == 0) return done();
                 if (missing != kNoNode) require(missing, "exists");
                 server_.create(path, ZooKeeper::Kind::persistent,
                                [done](std::int32_t error, std::string_view) {
                                  if (error != kNodeExists) require(error, "create");
                                  done();
                                });
               });
}

void ZooKeeperLocks::enter_queue() {
  server_.create(folder_ + "/" + prefix_, ZooKeeper::Kind::ephemeral_sequential,
                 [this](std::int32_t error, std::string_view body) {
                   require(error, "create");
                   own_ = take_text(body).substr(folder_.size() + 1);
                   look_at_queue();
                 });
}

void ZooKeeperLocks::look_at_queue() {
  server_.look(ZooKeeper::Operation::get_children, folder_, false,
               [this](std::int32_t error, std::string_view body) {
                 require(error, "get_children");
                 const std::string before = predecessor(body, own_);
                 if (before.empty()) return std::exchange(granted_, nullptr)();
                 watching_ = true;
                 server_.look(ZooKeeper::Operation::get_data, folder_ + "/" + before, true,
                              [this](std::int32_t gone, std::string_view) {
                                if (gone == 0) return;
                                if (gone != kNoNode) require(gone, "get_data");
                                if (std::exchange(watching_, false)) look_at_queue();
                              });
               });
}

void ZooKeeperLocks::release(Done released) {
  server_.remove(folder_ + "/" + own_,
                 [done = std::move(released)](std::int32_t error, std::string_view) {
                   require(error, "delete");
                   done();
                 });
}

}  // namespace tests::lock_load

#include "tests/bench/lock_load/redis_locks.h"

#include <stdexcept>
#include <utility>

#include "tests/bench/load/session_time.h"

namespace tests::lock_load {
namespace {

constexpr std::string_view kRelease =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 "
    "end";

}  // namespace

Redis::Redis(load::Loop& loop, const std::string& address)
    : stream_(loop, address, [this](std::string_view bytes) { return take(bytes); }) {}

void Redis::ask(const std::vector<std::string_view>& words, Answer answer) {
  std::string question = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words)
    question.append("$" + std::to_string(word.size()) + "\r\n").append(word).append("\r\n");
  awaited_.push_back(std::move(answer));
  stream_.send(question);
}

std::size_t Redis::take(std::string_view bytes) {
  std::size_t taken = 0;
  for (;;) {
    const std::string_view left = bytes.substr(taken);
    const std::size_t end = left.find("\r\n");
    if (end == std::string_view::npos) return taken;
    const char kind = left[0];
    std::string_view text = left.substr(1, end - 1);
    std::size_t size = end + 2;
    bool good = kind == '+' || (kind == ':' && text != "0");
    if (kind == '-') throw std::runtime_error("Redis says: " + std::string(text));
    if (kind == '$' && text != "-1") {
      const std::size_t length = std::stoul(std::string(text));
      if (left.size() < size + length + 2) return taken;
      text = left.substr(size, length);
      size += length + 2;
      good = true;
    }
    if (awaited_.empty()) throw std::runtime_error("Redis answers what nobody asked");
    const Answer answer = std::move(awaited_.front());
    awaited_.pop_front();
    taken += size;
    answer(good, text);
  }
}

RedisLocks::RedisLocks(load::Loop& loop, const std::vector<std::string>& servers,
                       std::size_t number, Pause pause)
    : loop_(loop),
      majority_(servers.size() / 2 + 1),
      number_(number),
      pause_(pause),
      random_(static_cast<std::minstd_rand::result_type>(number + 1)) {
  std::size_t loaded = 0;
  for (const std::string& address : servers) {
    servers_.push_back(std::make_unique<Redis>(loop, address));
    servers_.back()->ask({"SCRIPT", "LOAD", kRelease}, [&](bool, std::string_view text) {
      script_ = text;
      ++loaded;
    });
  }
  loop.turn_until([&] { return loaded == servers.size(); }, load::kSessionTime, "SCRIPT LOAD");
}

void RedisLocks::acquire(const std::string& name, Done granted) {
  name_ = name;
  done_ = std::move(granted);
  try_it();
}

void RedisLocks::try_it() {
  static const std::string time_to_live =
      std::to_string(load::kSessionTime / std::chrono::milliseconds(1));
  ++attempt_;
  good_ = bad_ = 0;
  // Twenty bytes that nobody else has.
  value_ = std::to_string(10'000 + number_) + std::to_string(100'000'000'000'000 + attempt_);
  for (const auto& server : servers_) {
    server->ask({"SET", name_, value_, "NX", "PX", time_to_live},
                [this, attempt = attempt_](bool good, std::string_view) {
                  if (attempt == attempt_) on_answer(attempt, good);
                });
  }
}

void RedisLocks::on_answer(std::uint64_t attempt, bool good) {
  ++(good ? good_ : bad_);
  if (good && good_ == majority_) std::exchange(done_, nullptr)();
  // Whoever had enough may have asked for the next one by now.
  if (attempt != attempt_ || good || bad_ != servers_.size() - majority_ + 1) return;
  if (servers_.size() > 1) give_back([](bool, std::string_view) {});
  ++attempt_;
  std::uniform_int_distribution<std::int64_t> pause(pause_.least.count(), pause_.most.count());
  loop_.call_at(load::now() + base::Duration(pause(random_)), [this] { try_it(); });
}

void RedisLocks::release(Done released) {
  done_ = std::move(released);
  ++attempt_;
  good_ = bad_ = 0;
  give_back([this, attempt = attempt_](bool good, std::string_view) {
    if (attempt != attempt_) return;
    if (!good && ++bad_ > servers_.size() - majority_)
      throw std::runtime_error("Redis has forgotten a lock");
    if (good && ++good_ == majority_) std::exchange(done_, nullptr)();
  });
}

void RedisLocks::give_back(const Redis::Answer& answer) {
  for (const auto& server : servers_) server->ask({"EVALSHA", script_, "1", name_, value_}, answer);
}

}  // namespace tests::lock_load

// A lock in one Redis server, and Redlock over several, as it is published: SET NX PX with a value
// of one's own at all servers at once, held with a majority, and given back by the script that
// deletes it only if the value is still there.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "tests/bench/load/stream.h"
#include "tests/bench/lock_load/locks.h"

namespace tests::lock_load {

// A connection; answers come in the order of the questions.
class Redis {
 public:
  // `good`: the answer is OK, a string, or a number that is not 0.
  using Answer = std::function<void(bool good, std::string_view text)>;

  Redis(load::Loop& loop, const std::string& address);
  void ask(const std::vector<std::string_view>& words, Answer answer);

 private:
  std::size_t take(std::string_view bytes);

  std::deque<Answer> awaited_;
  load::Stream stream_;
};

struct Pause {
  base::Duration least{0};
  base::Duration most{0};
};

class RedisLocks : public Locks {
 public:
  // `number` is no other client's. Between two tries it pauses for a random time.
  RedisLocks(load::Loop& loop, const std::vector<std::string>& servers, std::size_t number,
             Pause pause);

  void acquire(const std::string& name, Done granted) override;
  void release(Done released) override;

 private:
  void try_it();
  void on_answer(std::uint64_t attempt, bool good);
  void give_back(const Redis::Answer& answer);

  load::Loop& loop_;
  std::vector<std::unique_ptr<Redis>> servers_;
  std::size_t majority_;
  std::string script_;  // As the servers call it.
  std::size_t number_;
  Pause pause_;
  std::minstd_rand random_;

  std::string name_;
  std::string value_;
  std::uint64_t attempt_ = 0;  // Answers to earlier ones come when nobody listens any more.
  std::size_t good_ = 0;
  std::size_t bad_ = 0;
  Done done_;
};

}  // namespace tests::lock_load

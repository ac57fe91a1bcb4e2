#include "tools/lockbench/load.h"

#include <liblock/lock.h>
#include <poll.h>

#include <algorithm>
#include <stdexcept>

#include "tools/client.h"
#include "tools/clocks.h"

namespace tools::lockbench {
namespace {

base::Duration now() {
  return read_clock(CLOCK_MONOTONIC);
}

void require(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string(what) + ": " + lock_strerror(error));
}

Client connect(const std::string& socket) {
  lock_options options{};
  options.size = sizeof options;
  options.socket_path = socket.c_str();
  lock_client* client = nullptr;
  require(lock_connect(&options, &client), socket.c_str());
  return Client(client);
}

// Sorts; the value that `part` of 1000 of them do not exceed.
Latencies latencies_of(std::vector<base::Duration>& all) {
  if (all.empty()) throw std::runtime_error("not one cycle was completed");
  std::sort(all.begin(), all.end());
  const auto at = [&](std::size_t part) { return all[(all.size() - 1) * part / 1000]; };
  return {at(500), at(990), at(999), all.back()};
}

// Waits for news of any of these clients and dispatches those that have some.
class Loop {
 public:
  void add(lock_client* client) {
    clients_.push_back(client);
    fds_.push_back({lock_fd(client), POLLIN, 0});
  }

  void turn(base::Duration most) {
    int timeout = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(most).count());
    for (lock_client* client : clients_) {
      const int due = lock_timeout_ms(client);
      if (due >= 0) timeout = std::min(timeout, due);
    }
    ::poll(fds_.data(), fds_.size(), std::max(timeout, 0));
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (fds_[i].revents != 0 || lock_timeout_ms(clients_[i]) == 0)
        require(lock_dispatch(clients_[i]), "dispatch");
    }
  }

 private:
  std::vector<lock_client*> clients_;
  std::vector<pollfd> fds_;
};

// What all clients of a measurement note.
struct Notes {
  bool counting = false;
  bool ending = false;
  int error = 0;
  std::vector<base::Duration> acquire;
  std::vector<base::Duration> cycle;
};

// One client that goes round: acquire, release, acquire, ...
class Cycler {
 public:
  Cycler(Client client, std::string name, Notes& notes)
      : client_(std::move(client)), name_(std::move(name)), notes_(notes) {}
  lock_client* client() const { return client_.get(); }

  void acquire() {
    if (notes_.ending) return;
    start_ = now();
    check(lock_acquire_async(client_.get(), nullptr, name_.data(), name_.size(), LOCK_MODE_EX, 0,
                             &Cycler::granted, this, nullptr));
  }

 private:
  static void granted(lock_client* client, int error, const lock_grant* grant, void* arg) {
    auto& self = *static_cast<Cycler*>(arg);
    if (!self.check(error)) return;
    if (self.notes_.counting) self.notes_.acquire.push_back(now() - self.start_);
    self.check(lock_release_async(client, grant, &Cycler::released, arg));
  }

  static void released(lock_client*, int error, const lock_grant*, void* arg) {
    auto& self = *static_cast<Cycler*>(arg);
    if (!self.check(error)) return;
    if (self.notes_.counting) self.notes_.cycle.push_back(now() - self.start_);
    self.acquire();
  }

  bool check(int error) {
    if (error != 0 && !notes_.ending) notes_.error = error;
    return error == 0;
  }

  Client client_;
  std::string name_;
  Notes& notes_;
  base::Duration start_{0};
};

void turn_for(Loop& loop, const Notes& notes, base::Duration time) {
  const base::Duration end = now() + time;
  for (base::Duration left = time; left > base::Duration(0); left = end - now()) {
    loop.turn(left);
    require(notes.error, "cycle");
  }
}

}  // namespace

CycleFigures measure_cycles(const std::vector<std::string>& sockets, std::size_t clients,
                            bool contended, base::Duration time) {
  Notes notes;
  Loop loop;
  std::vector<std::unique_ptr<Cycler>> cyclers;
  for (std::size_t i = 0; i < clients; ++i) {
    const std::string name = contended ? "bench" : "bench/" + std::to_string(i);
    cyclers.push_back(std::make_unique<Cycler>(connect(sockets[i % sockets.size()]), name, notes));
    loop.add(cyclers.back()->client());
  }
  for (const auto& cycler : cyclers) cycler->acquire();
  turn_for(loop, notes, std::min<base::Duration>(time / 4, std::chrono::seconds(1)));
  notes.counting = true;
  const base::Duration start = now();
  turn_for(loop, notes, time);
  const base::Duration took = now() - start;
  notes.ending = true;

  CycleFigures figures;
  figures.clients = clients;
  figures.contended = contended;
  figures.cycles_per_second =
      static_cast<double>(notes.cycle.size()) / std::chrono::duration<double>(took).count();
  figures.acquire = latencies_of(notes.acquire);
  figures.cycle = latencies_of(notes.cycle);
  return figures;
}

namespace {

// A session may hold 64k locks, and a queue of requests has an end.
constexpr std::size_t kLocksOfSession = 50'000;
constexpr std::size_t kUnderWay = 64;

// One session that takes its share of the locks.
class Holder {
 public:
  Holder(Client client, std::size_t first, std::size_t count)
      : client_(std::move(client)), next_(first), end_(first + count) {}
  lock_client* client() const { return client_.get(); }

  bool has_all() const { return next_ == end_ && under_way_ == 0; }

  void ask() {
    while (next_ != end_ && under_way_ < kUnderWay) {
      const std::string name = "held/" + std::to_string(next_++);
      ++under_way_;
      require(lock_acquire_async(client_.get(), nullptr, name.data(), name.size(), LOCK_MODE_EX, 0,
                                 &Holder::granted, this, nullptr),
              "acquire");
    }
    require(error_, "acquire");
  }

 private:
  static void granted(lock_client*, int error, const lock_grant*, void* arg) {
    auto& self = *static_cast<Holder*>(arg);
    --self.under_way_;
    if (error != 0) self.error_ = error;
  }

  Client client_;
  std::size_t next_;
  std::size_t end_;
  std::size_t under_way_ = 0;
  int error_ = 0;
};

}  // namespace

double measure_check(const std::string& socket) {
  constexpr int kBatches = 30;
  constexpr int kCalls = 100'000;
  const Client client = connect(socket);
  const std::string name = "check";
  lock_grant grant{};
  require(lock_acquire(client.get(), nullptr, name.data(), name.size(), LOCK_MODE_EX, -1, &grant),
          "acquire");
  base::Duration best = base::Duration::max();
  for (int batch = 0; batch < kBatches; ++batch) {
    require(lock_dispatch(client.get()), "dispatch");
    const base::Duration start = now();
    for (int call = 0; call < kCalls; ++call) {
      if (lock_valid_for_ns(client.get(), &grant) == 0) require(LOCK_ERROR_LOST, "check");
    }
    best = std::min(best, now() - start);
  }
  require(lock_release(client.get(), &grant), "release");
  return static_cast<double>(best.count()) / kCalls;
}

class Hold::Impl {
 public:
  Impl(const std::vector<std::string>& sockets, std::size_t locks) {
    for (std::size_t first = 0; first < locks; first += kLocksOfSession) {
      const std::size_t count = std::min(kLocksOfSession, locks - first);
      holders_.push_back(std::make_unique<Holder>(
          connect(sockets[holders_.size() % sockets.size()]), first, count));
      loop_.add(holders_.back()->client());
    }
    const auto all = [&] {
      return std::all_of(holders_.begin(), holders_.end(),
                         [](const auto& holder) { return holder->has_all(); });
    };
    while (!all()) {
      for (const auto& holder : holders_) holder->ask();
      loop_.turn(std::chrono::seconds(1));
    }
  }

  void keep(base::Duration time) { turn_for(loop_, Notes{}, time); }

 private:
  std::vector<std::unique_ptr<Holder>> holders_;
  Loop loop_;
};

Hold::Hold(const std::vector<std::string>& sockets, std::size_t locks)
    : impl_(std::make_unique<Impl>(sockets, locks)) {}
Hold::~Hold() = default;

void Hold::keep(base::Duration time) {
  impl_->keep(time);
}

}  // namespace tools::lockbench

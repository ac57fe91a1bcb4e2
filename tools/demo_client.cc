// One of the programs of tools/demo: adds 1 to the number in a shared file, again and again, each
// time under the cluster lock "counter", and records from when to when it believed to hold the
// lock. Only tools/demo.py starts it.
//
//   demo_client SOCKET FILE RECORD LOOPS LINGER_AT
//
// In loop LINGER_AT (0: never) it keeps the lock until it is lost, before it has written. A loop
// counts when its sum was written; a client whose lock is lost before that writes nothing and
// begins the loop anew.
#include <fcntl.h>
#include <liblock/lock.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "tools/client.h"
#include "tools/clocks.h"

namespace {

constexpr const char kLock[] = "counter";

// Longer than anybody should have to wait for the loss of a lock.
constexpr base::Duration kLingerMax = std::chrono::seconds(30);

base::Duration now() {
  return tools::read_clock(CLOCK_BOOTTIME);
}

void require(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what);
}

// The shared file: one line of fixed length, so that a write replaces all of it. The token of the
// writer is beside the number, as a resource would keep it to refuse older ones.
class SharedNumber {
 public:
  explicit SharedNumber(const char* path) : fd_(open(path, O_RDWR | O_CLOEXEC)) {
    require(fd_ >= 0, std::string(path) + ": " + std::strerror(errno));
  }
  ~SharedNumber() { close(fd_); }
  SharedNumber(const SharedNumber&) = delete;
  SharedNumber& operator=(const SharedNumber&) = delete;

  struct Value {
    std::uint64_t number = 0;
    std::uint64_t token = 0;
  };

  Value read() const {
    std::array<char, kLineBytes + 1> line{};
    require(pread(fd_, line.data(), kLineBytes, 0) == kLineBytes, "the shared file was cut");
    unsigned long long number = 0;
    unsigned long long token = 0;
    require(std::sscanf(line.data(), "%llu %llu", &number, &token) == 2,
            "the shared file was garbled");
    return {number, token};
  }

  void write(Value value) const {
    std::array<char, kLineBytes + 1> line{};
    std::snprintf(line.data(), line.size(), "%020llu %020llu\n",
                  static_cast<unsigned long long>(value.number),
                  static_cast<unsigned long long>(value.token));
    require(pwrite(fd_, line.data(), kLineBytes, 0) == kLineBytes,
            "the shared file can not be written");
  }

 private:
  static constexpr ssize_t kLineBytes = 42;
  int fd_;
};

// One turn of holding the lock, as it is recorded.
class Turn {
 public:
  Turn(lock_client* client, const lock_grant& grant)
      : client_(client), grant_(grant), granted_(now()) {
    look();
  }

  // Whether the lock is held now; moves the deadline on.
  bool look() {
    const base::Duration at = now();
    const std::uint64_t valid = lock_valid_for_ns(client_, &grant_);
    if (valid > 0)
      deadline_ = std::max(deadline_, at + base::Duration(static_cast<std::int64_t>(valid)));
    return valid > 0;
  }

  // Keeps the lock until it is lost.
  void linger() {
    std::printf("holding %llu\n", static_cast<unsigned long long>(grant_.token));
    std::fflush(stdout);
    while (look()) {
      require(now() < granted_ + kLingerMax, "the lock was not lost");
      pollfd news = {lock_fd(client_), POLLIN, 0};
      const int due = lock_timeout_ms(client_);
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - now()).count();
      poll(&news, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, due >= 0 ? due : 1000)));
      lock_dispatch(client_);
    }
    std::printf("lost %llu\n", static_cast<unsigned long long>(grant_.token));
    std::fflush(stdout);
  }

  // Gives the lock back and records the turn.
  void finish(std::FILE* record, bool written) {
    const bool held = look();
    const base::Duration end = std::min(now(), deadline_);
    lock_release(client_,
                 &grant_);  // The library goes on telling the daemon, should it not answer.
    std::fprintf(record, "%lld %lld %lld %llu %d %d\n", static_cast<long long>(granted_.count()),
                 static_cast<long long>(deadline_.count()), static_cast<long long>(end.count()),
                 static_cast<unsigned long long>(grant_.token), held ? 0 : 1, written ? 1 : 0);
  }

 private:
  lock_client* client_;
  lock_grant grant_;
  base::Duration granted_;
  base::Duration deadline_{0};
};

void run(const char* socket, const char* file, const char* record_path, int loops, int linger_at) {
  const SharedNumber shared(file);
  std::FILE* record = std::fopen(record_path, "we");
  require(record != nullptr, record_path);
  lock_options options{};
  options.size = sizeof options;
  options.socket_path = socket;
  lock_client* connected = nullptr;
  const int refused = lock_connect(&options, &connected);
  require(refused == 0, lock_strerror(refused));
  const tools::Client client(connected);

  for (int loop = 1; loop <= loops;) {
    lock_grant grant{};
    const int error =
        lock_acquire(client.get(), nullptr, kLock, sizeof kLock - 1, LOCK_MODE_EX, -1, &grant);
    if (error == LOCK_ERROR_LOST) continue;
    require(error == 0, lock_strerror(error));
    Turn turn(client.get(), grant);
    const SharedNumber::Value seen = shared.read();
    require(seen.token < grant.token, "the shared file has a newer token than a fresh grant");
    if (loop == linger_at) {
      linger_at = 0;
      turn.linger();
    }
    const bool held = turn.look();
    if (held) {
      shared.write({seen.number + 1, grant.token});
      ++loop;
    }
    turn.finish(record, held);
  }
  require(std::fclose(record) == 0, record_path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: demo_client SOCKET FILE RECORD LOOPS LINGER_AT\n");
    return 64;
  }
  try {
    run(argv[1], argv[2], argv[3], std::atoi(argv[4]), std::atoi(argv[5]));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "demo_client: %s\n", failure.what());
    return 1;
  }
  return 0;
}

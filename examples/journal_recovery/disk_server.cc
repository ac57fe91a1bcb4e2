#include "disk_server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <liblock/fence.hpp>
#include <mutex>
#include <optional>
#include <semaphore>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "layout.h"
#include "record.h"
#include "trace.h"
#include "unix_socket.h"

namespace journal_recovery {
namespace {

constexpr std::ptrdiff_t kConnectionsMax = 64;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::system_error(errno, std::generic_category(), what);
}

class Server {
 public:
  explicit Server(const std::string& path)
      : fence_(path + ".fence"),  // Fails if another one serves this disk.
        disk_(open(path.c_str(), O_RDWR | O_CLOEXEC)),
        trace_(open((path + ".trace").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC)) {
    require(disk_ >= 0, path);
    require(trace_ >= 0, path + ".trace");
    const auto superblock = parse_superblock(sector(0));
    if (!superblock) throw std::runtime_error(path + ": the superblock is damaged");
    superblock_ = *superblock;
  }

  std::string answer(const std::string& line) {
    if (line == "superblock") return "ok " + text_of(superblock_);
    if (const auto write = parse_write(line)) return answer(*write);
    std::istringstream words(line);
    std::string verb;
    Write place;
    words >> verb >> place.region >> place.sector >> place.token;
    const auto offset = offset_of(superblock_, place.region, place.sector);
    if (!words || verb != "read" || !offset) return "error: superblock, read or write";
    const auto inside = enter(place);
    if (!inside) return "stale";
    return "ok " + sector(*offset);
  }

 private:
  std::string answer(const Write& write) {
    const auto offset = offset_of(superblock_, write.region, write.sector);
    if (!offset || write.text.size() > kSectorBytes) return "error: no such sector";
    // All that the write does is done between here and the end of `inside`.
    const auto inside = enter(write);
    if (!inside) {
      note({true, write});
      return "stale";
    }
    const std::string bytes = padded(write.text);
    require(pwrite(disk_, bytes.data(), bytes.size(), static_cast<off_t>(*offset)) ==
                    static_cast<ssize_t>(bytes.size()) &&
                fdatasync(disk_) == 0,
            "the disk");
    note({false, write});
    return "ok";
  }

  // Who uses a region holds its lock alone, also to read.
  std::optional<ringlock::fence::pass> enter(const Write& place) {
    return fence_.enter({kLockspace, place.region}, ringlock::fence_use::write, place.token);
  }

  std::string sector(std::size_t offset) const {
    std::string bytes(kSectorBytes, '\0');
    require(pread(disk_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
                static_cast<ssize_t>(bytes.size()),
            "the disk");
    return sector_at(bytes, 0);
  }

  void note(const Traced& traced) {
    const std::string line = text_of(traced) + '\n';
    const std::lock_guard guard(tracing_);
    require(::write(trace_, line.data(), line.size()) == static_cast<ssize_t>(line.size()),
            "the trace");
  }

  ringlock::fence fence_;
  const int disk_;
  const int trace_;
  std::mutex tracing_;
  Superblock superblock_;
};

void talk(Server& server, int fd) {
  std::string received;
  char bytes[4096];
  for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0 && received.size() < sizeof bytes;) {
    received.append(bytes, static_cast<std::size_t>(n));
    for (std::size_t end; (end = received.find('\n')) != std::string::npos;) {
      std::string answer;
      try {
        answer = server.answer(received.substr(0, end));
      } catch (const std::exception& error) {
        answer = std::string("error: ") + error.what();
      }
      received.erase(0, end + 1);
      answer += '\n';
      if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
    }
  }
}

}  // namespace

void format_disk(const std::string& path) {
  const std::string image = formatted(Superblock{});
  ringlock::fence::create(path + ".fence");
  for (const auto& [name, bytes] : {std::pair(path, image), {path + ".trace", std::string()}}) {
    const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    require(fd >= 0, name);
    require(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
                fsync(fd) == 0 && close(fd) == 0,
            name);
  }
}

void serve_disk(const std::string& path, const std::string& socket_path) {
  Server server(path);
  unlink(socket_path.c_str());
  const int listener = open_socket(socket_path, bind);
  require(listen(listener, 64) == 0, socket_path);
  std::puts("ready");
  std::fflush(stdout);
  std::counting_semaphore<kConnectionsMax> room(kConnectionsMax);
  for (;;) {
    room.acquire();
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    require(fd >= 0, "accept");
    std::thread([&server, &room, fd] {
      talk(server, fd);
      close(fd);
      room.release();
    }).detach();
  }
}

}  // namespace journal_recovery

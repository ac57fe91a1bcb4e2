// A folder of files behind a Unix socket, with a lock for each file. Each request carries the
// fencing token of its holder, and a holder whose turn is over is refused.
//   file_store init FOLDER          Once: makes the folder with its fence.
//   file_store serve FOLDER SOCKET  Says "ready", then answers lines: "write NAME TOKEN TEXT" and
//                                   "read NAME TOKEN" with "ok [TEXT]", "stale" or "error: WHY".
//   file_store ask SOCKET LINE      Sends one line, and prints the answer.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <liblock/fence.hpp>
#include <semaphore>
#include <sstream>
#include <thread>

constexpr std::size_t kLineBytesMax = 64 * 1024;
constexpr std::ptrdiff_t kConnectionsMax = 64;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::system_error(errno, std::generic_category(), what);
}

// The whole file or the old one, and on the disk when this returns: whoever leaves the fence after
// it leaves nothing on the way.
void replace(const std::string& folder, const std::string& name, const std::string& text) {
  const std::string beside = folder + "/." + name + ".new";
  const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require(fd >= 0, beside);
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  require(written && rename(beside.c_str(), (folder + "/" + name).c_str()) == 0, beside);
  const int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool durable = folder_fd >= 0 && fsync(folder_fd) == 0;
  close(folder_fd);
  require(durable, folder);
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' &&
         name.find('/') == std::string::npos;
}

class Store {
 public:
  explicit Store(const std::string& folder) : folder_(folder), fence_(folder + "/.fence") {}

  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string verb, name, token_word, text;
    words >> verb >> name >> token_word;
    std::getline(words >> std::ws, text);
    const bool write = verb == "write";
    std::uint64_t token = 0;
    const char* end = token_word.data() + token_word.size();
    const auto parsed = std::from_chars(token_word.data(), end, token);
    if ((!write && verb != "read") || !is_name(name) || parsed.ec != std::errc() ||
        parsed.ptr != end) {
      return "error: write NAME TOKEN TEXT, or read NAME TOKEN";
    }

    // All that the request does to the file is done between here and the end of `inside`.
    const auto inside = fence_.enter(
        {"files", name}, write ? ringlock::fence_use::write : ringlock::fence_use::read, token);
    if (!inside) return "stale";
    if (!write) return "ok " + content_of(folder_ + "/" + name);
    replace(folder_, name, text);
    return "ok";
  }

 private:
  std::string folder_;
  ringlock::fence fence_;
};

void talk(Store& store, int fd) {
  std::string received;
  char bytes[4096];
  for (ssize_t n; received.size() < kLineBytesMax && (n = read(fd, bytes, sizeof bytes)) > 0;) {
    received.append(bytes, static_cast<std::size_t>(n));
    for (std::size_t end; (end = received.find('\n')) != std::string::npos;) {
      std::string answer;
      try {
        answer = store.answer(received.substr(0, end));
      } catch (const std::exception& error) {
        answer = std::string("error: ") + error.what();
      }
      received.erase(0, end + 1);
      answer += '\n';
      if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
    }
  }
}

int open_socket(const std::string& path, decltype(&connect) bind_or_connect) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  require(bind_or_connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, path);
  return fd;
}

void serve(const std::string& folder, const std::string& path) {
  Store store(folder);  // Fails if another file_store has the folder.
  unlink(path.c_str());
  const int listener = open_socket(path, bind);
  require(listen(listener, 64) == 0, path);
  std::puts("ready");
  std::fflush(stdout);
  std::counting_semaphore<kConnectionsMax> room(kConnectionsMax);
  for (;;) {
    room.acquire();
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    require(fd >= 0, "accept");
    std::thread([&store, &room, fd] {
      talk(store, fd);
      close(fd);
      room.release();
    }).detach();
  }
}

void ask(const std::string& path, const std::string& request) {
  const int fd = open_socket(path, connect);
  dprintf(fd, "%s\n", request.c_str());
  for (char byte = 0; byte != '\n' && read(fd, &byte, 1) == 1;) std::putchar(byte);
  close(fd);
}

int main(int argc, char** argv) try {
  const std::string verb = argc < 3 ? "" : argv[1];
  if (verb == "init" && argc == 3) {
    require(mkdir(argv[2], 0700) == 0, argv[2]);
    ringlock::fence::create(std::string(argv[2]) + "/.fence");
  } else if (verb == "serve" && argc == 4) {
    serve(argv[2], argv[3]);
  } else if (verb == "ask" && argc == 4) {
    ask(argv[2], argv[3]);
  } else {
    std::fputs("file_store init FOLDER | serve FOLDER SOCKET | ask SOCKET REQUEST\n", stderr);
    return 64;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "file_store: %s\n", error.what());
  return 1;
}

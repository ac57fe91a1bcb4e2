#include "liblock/defaults.h"

#include <sys/random.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace liblock {
namespace {

constexpr const char* kDefaultSocket = "/run/lockd/lockd.sock";

std::string wanted_path(const char* given) {
  if (given != nullptr) return given;
  const char* environment = std::getenv("LOCKD_SOCKET");
  return environment != nullptr && *environment != '\0' ? environment : kDefaultSocket;
}

}  // namespace

std::optional<std::string> socket_path(const char* given) {
  std::string path = wanted_path(given);
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) return std::nullopt;
  return path;
}

std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string words(protocol::kCommandBytesMax, '\0');
  file.read(words.data(), static_cast<std::streamsize>(words.size()));
  words.resize(static_cast<std::size_t>(file.gcount()));
  while (!words.empty() && words.back() == '\0') words.pop_back();
  std::replace(words.begin(), words.end(), '\0', ' ');
  return words;
}

std::optional<protocol::Instance> draw_instance() {
  protocol::Instance instance{};
  if (::getrandom(instance.data(), instance.size(), 0) != static_cast<ssize_t>(instance.size())) {
    return std::nullopt;
  }
  return instance;
}

}  // namespace liblock

#include "liblock/defaults.h"

#include <sys/random.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace liblock {
namespace {

constexpr const char* kDefaultSocket = "/run/lockd/lockd.sock";

std::string wanted_paths(const char* given) {
  if (given != nullptr) return given;
  const char* environment = std::getenv("LOCKD_SOCKET");
  return environment != nullptr && *environment != '\0' ? environment : kDefaultSocket;
}

}  // namespace

std::optional<std::vector<std::string>> socket_paths(const char* given) {
  std::vector<std::string> paths(1);
  for (const char letter : wanted_paths(given)) {
    if (letter == ':') {
      paths.emplace_back();
    } else {
      paths.back() += letter;
    }
  }
  const bool fit = std::all_of(paths.begin(), paths.end(), [](const std::string& path) {
    return !path.empty() && path.size() < sizeof(sockaddr_un::sun_path);
  });
  if (!fit || paths.size() > kSocketsMax) return std::nullopt;
  return paths;
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

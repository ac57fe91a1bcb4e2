#include "disk.h"

#include <sys/socket.h>
#include <unistd.h>

#include <system_error>

#include "trace.h"
#include "unix_socket.h"

namespace journal_recovery {

Disk::Disk(const std::string& socket_path) : fd_(open_socket(socket_path, connect)) {
  const auto superblock = parse_superblock(ask("superblock"));
  if (!superblock) throw std::runtime_error("the superblock is damaged");
  superblock_ = *superblock;
}

Disk::~Disk() {
  close(fd_);
}

std::string Disk::read(const std::string& region, unsigned sector, std::uint64_t token) {
  return ask("read " + region + ' ' + std::to_string(sector) + ' ' + std::to_string(token));
}

void Disk::write(const std::string& region, unsigned sector, std::uint64_t token,
                 const std::string& text) {
  ask(text_of(Write{region, sector, token, text}));
}

// What comes behind "ok ".
std::string Disk::ask(const std::string& line) {
  const std::string sent = line + '\n';
  if (send(fd_, sent.data(), sent.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(sent.size())) {
    throw std::system_error(errno, std::generic_category(), "the disk");
  }
  std::string answer;
  for (char byte = 0; ::read(fd_, &byte, 1) == 1 && byte != '\n';) answer += byte;
  if (answer == "stale") throw Refused(line);
  if (!answer.starts_with("ok")) throw std::runtime_error("the disk: " + answer);
  return answer.size() > 3 ? answer.substr(3) : "";
}

}  // namespace journal_recovery

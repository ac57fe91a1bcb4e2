#include "tools/lockctl/keys.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "tools/lockctl/exit_code.h"

namespace tools::lockctl {
namespace {

Failure refusal(const std::string& file, int reason) {
  const bool refused = reason == EACCES || reason == EPERM || reason == EROFS;
  return {refused ? kPermission : kUsage, file + ": " + std::strerror(reason)};
}

Failure usage(const std::string& file, const std::string& what) {
  return {kUsage, file + ": " + what};
}

struct KeyFile {
  std::string path;
  struct stat status {};
  base::KeySet keys;
};

base::Result<KeyFile, Failure> read(const std::string& path) {
  // Without O_NONBLOCK a fifo in its place would hang us.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return base::error(refusal(path, errno));
  KeyFile file;
  file.path = path;
  base::Buffer content(base::kKeyFileBytesMax + 1);
  ssize_t size = -1;
  if (fstat(fd, &file.status) == 0 && S_ISREG(file.status.st_mode)) {
    size = ::read(fd, content.data(), content.size());
  }
  const int reason = errno;
  close(fd);
  if (!S_ISREG(file.status.st_mode)) return base::error(usage(path, "is not a regular file"));
  if (size < 0) return base::error(refusal(path, reason));
  auto keys = base::parse_key_set(base::Bytes(content).first(static_cast<std::size_t>(size)));
  base::wipe(content);
  if (!keys) return base::error(usage(path, keys.error()));
  return KeyFile{path, file.status, std::move(*keys)};
}

bool write_whole(int fd, base::Bytes content) {
  return write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
         fsync(fd) == 0;
}

// The folder too, so that the new name survives a power cut.
void sync_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

base::Result<void, Failure> replace(const KeyFile& file) {
  const std::string fresh = file.path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) {
    return base::error(
        usage(fresh, "is left from an interrupted change, or one is under way; remove it"));
  }
  if (fd < 0) return base::error(refusal(fresh, errno));
  base::Buffer content = base::format_key_set(file.keys);
  const bool written = fchown(fd, file.status.st_uid, file.status.st_gid) == 0 &&
                       fchmod(fd, file.status.st_mode & 07777) == 0 && write_whole(fd, content);
  int reason = errno;
  base::wipe(content);
  close(fd);
  if (written && rename(fresh.c_str(), file.path.c_str()) == 0) {
    sync_folder(file.path);
    return {};
  }
  if (written) reason = errno;
  unlink(fresh.c_str());
  return base::error(refusal(file.path, reason));
}

KeyListing listing_of(const KeyFile& file) {
  KeyListing listing;
  listing.file = file.path;
  listing.in_use = file.keys.in_use;
  for (const auto& key : file.keys.keys) listing.ids.push_back(key.id);
  return listing;
}

template <typename Change>
base::Result<KeyListing, Failure> change(const std::string& path, Change what) {
  auto file = read(path);
  if (!file) return base::error(file.error());
  if (const auto changed = what(file->keys); !changed) return base::error(changed.error());
  if (const auto replaced = replace(*file); !replaced) return base::error(replaced.error());
  return listing_of(*file);
}

std::string no_such_key(std::uint16_t id) {
  return "has no key " + std::to_string(id);
}

}  // namespace

base::Result<KeyListing, Failure> list_keys(const std::string& file) {
  const auto read_file = read(file);
  if (!read_file) return base::error(read_file.error());
  return listing_of(*read_file);
}

base::Result<KeyListing, Failure> add_key(const std::string& file) {
  return change(file, [&](base::KeySet& set) -> base::Result<void, Failure> {
    if (set.keys.size() == base::kKeysMax || set.keys.back().id == 65535) {
      return base::error(usage(file, "has no room for another key; remove one that no node uses"));
    }
    base::KeySet::Key& key = set.keys.emplace_back();
    key.id = static_cast<std::uint16_t>(set.keys[set.keys.size() - 2].id + 1);
    // So few bytes come whole, or not at all.
    if (getrandom(key.secret.data(), key.secret.size(), 0) !=
        static_cast<ssize_t>(key.secret.size())) {
      return base::error(
          Failure{kInternal, std::string("no random numbers: ") + std::strerror(errno)});
    }
    return {};
  });
}

base::Result<KeyListing, Failure> use_key(const std::string& file, std::uint16_t id) {
  return change(file, [&](base::KeySet& set) -> base::Result<void, Failure> {
    if (set.find(id) == nullptr) return base::error(usage(file, no_such_key(id)));
    set.in_use = id;
    return {};
  });
}

base::Result<KeyListing, Failure> remove_key(const std::string& file, std::uint16_t id) {
  return change(file, [&](base::KeySet& set) -> base::Result<void, Failure> {
    if (set.find(id) == nullptr) return base::error(usage(file, no_such_key(id)));
    if (set.in_use == id) {
      return base::error(usage(file, "key " + std::to_string(id) +
                                         " is in use here; use another one first, on every node"));
    }
    const auto old = std::ranges::find(set.keys, id, &base::KeySet::Key::id);
    std::rotate(old, old + 1, set.keys.end());
    base::wipe(set.keys.back().secret);
    set.keys.pop_back();
    return {};
  });
}

}  // namespace tools::lockctl

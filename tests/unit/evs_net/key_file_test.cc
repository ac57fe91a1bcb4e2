#include "evs/net/key_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"

using evs::net::read_key_file;

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "key_file_test.XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }

  std::string file(const std::string& content, mode_t mode) const {
    const std::string path = path_ + "/cluster.key";
    std::ofstream(path, std::ios::binary) << content;
    REQUIRE(chmod(path.c_str(), mode) == 0);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

const std::string kKey = "0123456789abcdef0123456789ABCDEF";

std::string error_of(const std::string& path) {
  const auto key = read_key_file(path);
  return key ? "no error" : key.error();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a key file of 32 bytes that only its owner can use is read") {
  const Folder folder;
  for (mode_t mode : {0600u, 0400u}) {
    const auto key = read_key_file(folder.file(kKey, mode));
    REQUIRE(key.has_value());
    CHECK(key->in_use == evs::net::KeyId{1});
    CHECK(base::text_of(key->sealing().master.view()) == kKey);
    std::filesystem::remove(folder.path() + "/cluster.key");
  }
}

TEST_CASE("a missing key file is named, with the command that makes one") {
  const Folder folder;
  const std::string path = folder.path() + "/none.key";
  const std::string error = error_of(path);
  CHECK(contains(error, path));
  CHECK(contains(error, "missing"));
  CHECK(contains(error, "lockctl keygen " + path));
}

TEST_CASE("a key file that others can use is refused, with the command that mends it") {
  const Folder folder;
  for (mode_t mode : {0640u, 0604u, 0620u, 0602u, 0610u, 0601u, 0666u}) {
    const std::string path = folder.file(kKey, mode);
    CHECK(contains(error_of(path), "chmod 600 " + path));
  }
}

TEST_CASE("a key file of another form is refused, with the command that makes a new one") {
  const Folder folder;
  for (const std::string& content :
       {std::string(), kKey.substr(1), kKey + "\n", kKey + kKey, std::string(5000, 'x')}) {
    const std::string path = folder.file(content, 0600);
    CHECK(contains(error_of(path), "neither 32 bytes long nor a list of keys"));
    CHECK(contains(error_of(path), "lockctl keygen"));
  }
  CHECK(contains(error_of(folder.file("ringlock keys\nuse 0\n", 0600)), "line 2 needs a key id"));
}

TEST_CASE("a file with several keys is read, and its key in use seals") {
  const Folder folder;
  const std::string ones(64, '1');
  const std::string twos(64, '2');
  const auto keys = read_key_file(
      folder.file("ringlock keys\nuse 7\nkey 3 " + ones + "\nkey 7 " + twos + "\n", 0600));
  REQUIRE(keys.has_value());
  CHECK(keys->keys.size() == 2);
  CHECK(keys->sealing().id == evs::net::KeyId{7});
  CHECK(base::text_of(keys->sealing().master.view()) == std::string(32, 0x22));
  REQUIRE(keys->find(evs::net::KeyId{3}) != nullptr);
  CHECK(base::text_of(keys->find(evs::net::KeyId{3})->master.view()) == std::string(32, 0x11));
  CHECK(keys->find(evs::net::KeyId{1}) == nullptr);
}

TEST_CASE("a folder or a fifo in place of the key file is refused at once") {
  const Folder folder;
  CHECK(contains(error_of(folder.path()), "not a regular file"));
  const std::string fifo = folder.path() + "/fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(contains(error_of(fifo), "not a regular file"));
}

TEST_CASE("a key file of another user is refused") {
  const Folder folder;
  const std::string path = folder.file(kKey, 0600);
  if (chown(path.c_str(), 12345, 0) != 0) return;  // Only root can give a file away.
  CHECK(contains(error_of(path), "belongs to user 12345"));
}

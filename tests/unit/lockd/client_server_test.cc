#include "lockd/client_server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/unit/lockd/temporary_folder.h"

using namespace lockd;

namespace {

struct Heard : ClientServer::Listener {
  void on_connect(ConnectionId connection, const Peer& peer) override {
    connected.push_back(connection);
    last_peer = peer;
  }
  void on_bytes(ConnectionId, base::Bytes bytes) override { text += base::text_of(bytes); }
  void on_hang_up(ConnectionId, HangUp how) override { ended.push_back(how); }
  void on_writable(ConnectionId) override { ++writable; }

  std::vector<ConnectionId> connected;
  Peer last_peer;
  std::string text;
  std::vector<HangUp> ended;
  int writable = 0;
};

// A server on a loop of its own.
class Fixture {
 public:
  Fixture() { REQUIRE(uv_loop_init(&loop_) == 0); }
  ~Fixture() {
    server.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }

  base::Result<void, std::string> open() {
    auto opened = ClientServer::open(loop_, {path, 0660}, heard);
    if (!opened) return base::error(opened.error());
    server = std::move(*opened);
    return {};
  }

  // Turns the loop until something is so; gives up after many turns, each of which does what is
  // ready.
  bool until(const std::function<bool()>& so, int turns = 100000) {
    for (int i = 0; i < turns && !so(); ++i) uv_run(&loop_, UV_RUN_NOWAIT);
    return so();
  }
  bool soon(const std::function<bool()>& so) { return until(so, 100); }

  int connect() const {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    close(fd);
    return -1;
  }

  TemporaryFolder folder;
  std::string path = folder.path() + "/lockd.sock";
  Heard heard;
  std::unique_ptr<ClientServer> server;

 private:
  uv_loop_t loop_{};
};

}  // namespace

TEST_CASE("a client connects, is known by its credentials, and bytes go both ways") {
  Fixture fixture;
  REQUIRE(fixture.open().has_value());
  struct stat status {};
  REQUIRE(stat(fixture.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0660);

  const int client = fixture.connect();
  REQUIRE(client >= 0);
  REQUIRE(fixture.until([&] { return fixture.heard.connected.size() == 1; }));
  CHECK(fixture.heard.last_peer.uid == getuid());
  CHECK(fixture.heard.last_peer.pid == static_cast<std::uint32_t>(getpid()));
  REQUIRE(write(client, "hello", 5) == 5);
  CHECK(fixture.until([&] { return fixture.heard.text == "hello"; }));
  CHECK(fixture.server->write(fixture.heard.connected[0], base::bytes_of("you")) == 3);
  char answer[8];
  CHECK(read(client, answer, sizeof answer) == 3);
  close(client);
  CHECK(fixture.until([&] { return fixture.heard.ended.size() == 1; }));
  CHECK(fixture.heard.ended[0] == HangUp::closed_by_client);
}

TEST_CASE("only a client that closed everything counts as gone") {
  Fixture fixture;
  REQUIRE(fixture.open().has_value());
  const int half = fixture.connect();
  shutdown(half, SHUT_WR);
  REQUIRE(fixture.until([&] { return fixture.heard.ended.size() == 1; }));
  CHECK(fixture.heard.ended[0] == HangUp::broken);
  close(half);

  // A copy of the descriptor, as a forked child has it, keeps the client alive.
  const int first = fixture.connect();
  const int copy = dup(first);
  REQUIRE(fixture.until([&] { return fixture.heard.connected.size() == 2; }));
  close(first);
  CHECK_FALSE(fixture.soon([&] { return fixture.heard.ended.size() == 2; }));
  close(copy);
  REQUIRE(fixture.until([&] { return fixture.heard.ended.size() == 2; }));
  CHECK(fixture.heard.ended[1] == HangUp::closed_by_client);

  // With bytes of ours unread the kernel speaks of a reset.
  const int unread = fixture.connect();
  REQUIRE(fixture.until([&] { return fixture.heard.connected.size() == 3; }));
  fixture.server->write(fixture.heard.connected[2], base::bytes_of("x"));
  close(unread);
  REQUIRE(fixture.until([&] { return fixture.heard.ended.size() == 3; }));
  CHECK(fixture.heard.ended[2] == HangUp::closed_by_client);
}

TEST_CASE("what a full socket does not take is asked for when it has room again") {
  Fixture fixture;
  REQUIRE(fixture.open().has_value());
  const int client = fixture.connect();
  REQUIRE(fixture.until([&] { return fixture.heard.connected.size() == 1; }));
  const base::Buffer much(4 * 1024 * 1024);
  const std::size_t taken = fixture.server->write(fixture.heard.connected[0], much);
  CHECK(taken < much.size());
  CHECK_FALSE(fixture.soon([&] { return fixture.heard.writable > 0; }));
  std::vector<char> sink(taken);
  for (std::size_t got = 0; got < taken;) {
    const ssize_t size = read(client, sink.data(), sink.size());
    REQUIRE(size > 0);
    got += static_cast<std::size_t>(size);
  }
  CHECK(fixture.until([&] { return fixture.heard.writable == 1; }));
  close(client);
}

TEST_CASE("a closed connection is heard of no more") {
  Fixture fixture;
  REQUIRE(fixture.open().has_value());
  const int client = fixture.connect();
  REQUIRE(fixture.until([&] { return fixture.heard.connected.size() == 1; }));
  fixture.server->close(fixture.heard.connected[0]);
  char byte = 0;
  CHECK(read(client, &byte, 1) == 0);
  close(client);
  CHECK_FALSE(fixture.soon([&] { return !fixture.heard.ended.empty(); }));
  CHECK(fixture.server->write(fixture.heard.connected[0], base::bytes_of("x")) == 0);
}

TEST_CASE("a socket that a dead daemon left is replaced, one on which a daemon answers is not") {
  Fixture fixture;
  // Left behind: bound, and nobody listens any more.
  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, fixture.path.data(), fixture.path.size());
  REQUIRE(bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  close(dead);
  REQUIRE(fixture.open().has_value());

  Fixture second;
  second.path = fixture.path;
  const auto refused = second.open();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().find("another daemon") != std::string::npos);
  CHECK(refused.error().find(fixture.path) != std::string::npos);
  const int client = fixture.connect();
  CHECK(client >= 0);
  close(client);
}

TEST_CASE(
    "a file that is no socket, a missing folder and a long path are errors that say what to do") {
  Fixture fixture;
  close(open(fixture.path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CHECK(fixture.open().error().find("not a socket") != std::string::npos);
  fixture.path = fixture.folder.path() + "/none/lockd.sock";
  CHECK(fixture.open().error().find("none/lockd.sock") != std::string::npos);
  fixture.path = fixture.folder.path() + "/" + std::string(200, 'x');
  CHECK(fixture.open().error().find("shorter") != std::string::npos);
}

TEST_CASE("the socket file goes with the server, but not one that took its place") {
  Fixture fixture;
  REQUIRE(fixture.open().has_value());
  fixture.server->stop_listening();
  CHECK(access(fixture.path.c_str(), F_OK) != 0);

  Fixture first;
  REQUIRE(first.open().has_value());
  REQUIRE(unlink(first.path.c_str()) == 0);
  Fixture second;
  second.path = first.path;
  REQUIRE(second.open().has_value());
  first.server.reset();
  CHECK(access(second.path.c_str(), F_OK) == 0);
}

TEST_CASE("a client for which there is no descriptor left is turned away, and the server goes on") {
  Fixture fixture;
  REQUIRE(fixture.open().has_value());
  const int client = fixture.connect();
  const int late = fixture.connect();
  // From here on no descriptor above these is given.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  const int highest = dup(client);
  none.rlim_cur = static_cast<rlim_t>(highest);
  close(highest);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const bool turned_away = fixture.until([&] { return fixture.server->turned_away() == 2; });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(turned_away);
  char byte = 0;
  CHECK(read(client, &byte, 1) == 0);
  close(client);
  close(late);
  const int again = fixture.connect();
  CHECK(fixture.until([&] { return fixture.heard.connected.size() == 1; }));
  close(again);
}

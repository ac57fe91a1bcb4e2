// What of lock_load can be wrong without anybody noticing: its figures, and the bytes that it sends
// and reads.
#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/bench/lock_load/figures.h"
#include "tests/bench/lock_load/grpc.h"
#include "tests/bench/lock_load/protobuf.h"
#include "tests/bench/lock_load/zookeeper_locks.h"

namespace tests::lock_load {
namespace {

using std::chrono::microseconds;

std::vector<base::Duration> one_to(int count) {
  std::vector<base::Duration> all;
  for (int i = count; i > 0; --i) all.push_back(microseconds(i));
  return all;
}

TEST_CASE("the line tells cycles and hand-overs by the second, and times in microseconds") {
  Found found;
  found.acquire = one_to(100);
  found.cycle = one_to(200);
  found.handovers = 50;
  found.took = std::chrono::seconds(2);
  found.processor_time = std::chrono::milliseconds(500);
  CHECK(line_of(found) ==
        "cycles_per_second=100.0 handovers_per_second=25.0 acquire_p50_us=50.0 "
        "acquire_p99_us=99.0 cycle_p50_us=100.0 cycle_p99_us=198.0 load_percent=25.0");
}

TEST_CASE("a service that serves nobody has no figures") {
  CHECK_THROWS_AS(line_of(Found{}), std::runtime_error);
}

TEST_CASE("a header that was sent before is one byte, counted from the newest") {
  HeaderEncoder headers("127.0.0.1:1");
  const std::string type = "application/grpc";
  CHECK(headers.request("/a") == std::string("\x83\x86\x44\x02/a\x41\x0b") + "127.0.0.1:1" +
                                     "\x5f\x10" + type + "\x40\x02te\x08trailers");
  // In the other's table are now /a 65, the address 64, the type 63, te 62.
  CHECK(headers.request("/a") == "\x83\x86\xc1\xc0\xbf\xbe");
  CHECK(headers.request("/b") == std::string("\x83\x86\x44\x02/b") + "\xc1\xc0\xbf");
  CHECK(headers.request("/a") == "\x83\x86\xc2\xc1\xc0\xbf");
}

TEST_CASE("numbers of protocol buffers are written in groups of seven bits, the lowest first") {
  const std::string message = ProtoWriter().number(1, 300).bytes(2, "key").number(3, 0).message();
  CHECK(message == std::string("\x08\xac\x02\x12\x03key\x18\x00", 10));
  CHECK(proto_number(message, 1) == 300);
  CHECK(proto_bytes(message, 2) == "key");
  CHECK(proto_number(message, 3) == 0);
  CHECK(!proto_number(message, 2));
  CHECK(!proto_number(message, 4));
  CHECK(!proto_bytes(message.substr(0, 6), 2));
}

TEST_CASE("whoever has the lowest number holds ZooKeeper's lock, the others watch the next lower") {
  const std::string a = "zz__lock__0000000007";
  const std::string b = "mm__lock__0000000009";
  const std::string c = "aa__lock__0000000010";
  const std::vector<std::string> all{c, a, b};
  CHECK(predecessor(all, a).empty());
  CHECK(predecessor(all, b) == a);
  CHECK(predecessor(all, c) == b);
}

TEST_CASE("a node of ZooKeeper that is not there any more is no lock") {
  CHECK_THROWS_AS(predecessor({"aa__lock__0000000001"}, "bb__lock__0000000002"),
                  std::runtime_error);
}

}  // namespace
}  // namespace tests::lock_load

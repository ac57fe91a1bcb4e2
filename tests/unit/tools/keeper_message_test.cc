#include "tools/lockctl/keeper_message.h"

#include <doctest/doctest.h>

using namespace tools::lockctl;
using namespace std::chrono_literals;

TEST_CASE("what is said to a keeper is read as it was written") {
  KeeperRequest request;
  request.verb = KeeperVerb::convert;
  request.whose = "somebody's";
  request.mode = base::LockMode::pw;
  request.wait = 3s;
  request.read_value = true;
  request.value = base::ValueBlock{std::byte{7}};
  const auto read = decode_request(encode(request));
  REQUIRE(read.has_value());
  CHECK(read->verb == KeeperVerb::convert);
  CHECK(read->whose == "somebody's");
  CHECK(read->mode == base::LockMode::pw);
  CHECK(read->wait == 3s);
  CHECK(read->read_value);
  CHECK(read->value == request.value);
  request.wait.reset();
  CHECK(!decode_request(encode(request))->wait.has_value());
}

TEST_CASE("what a keeper answers is read as it was written") {
  KeeperAnswer answer;
  answer.exit_code = 75;
  answer.message = "busy";
  answer.token = ~0ULL;
  answer.mode = base::LockMode::ex;
  answer.valid = 5ms;
  answer.value_invalid = true;
  const auto read = decode_answer(encode(answer));
  REQUIRE(read.has_value());
  CHECK(read->exit_code == 75);
  CHECK(read->message == "busy");
  CHECK(read->token == ~0ULL);
  CHECK(read->valid == 5ms);
  CHECK(!read->value.has_value());
  CHECK(read->value_invalid);
}

TEST_CASE("a message that is cut, too long or of another version is none") {
  const base::Buffer request = encode(KeeperRequest{});
  const base::Buffer answer = encode(KeeperAnswer{});
  for (std::size_t size = 0; size < request.size(); ++size) {
    CHECK(!decode_request(base::Bytes(request).first(size)).has_value());
  }
  for (std::size_t size = 0; size < answer.size(); ++size) {
    CHECK(!decode_answer(base::Bytes(answer).first(size)).has_value());
  }
  base::Buffer longer = request;
  longer.push_back(std::byte{0});
  CHECK(!decode_request(longer).has_value());
  base::Buffer newer = request;
  newer[0] = std::byte{2};
  CHECK(!decode_request(newer).has_value());
}

// What the load programs share, where it can be wrong without anybody noticing.
#include <doctest/doctest.h>

#include <numeric>
#include <stdexcept>

#include "tests/bench/load/quantile.h"
#include "tests/bench/load/words.h"
#include "tests/bench/load/zookeeper.h"

namespace tests::load {
namespace {

using std::chrono::microseconds;

std::vector<base::Duration> one_to(int count) {
  std::vector<base::Duration> all;
  for (int i = count; i > 0; --i) all.push_back(microseconds(i));
  return all;
}

TEST_CASE("a quantile is the least value that so many do not exceed") {
  auto hundred = one_to(100);
  CHECK(quantile(hundred, 0.5) == microseconds(50));
  CHECK(quantile(hundred, 0.99) == microseconds(99));
  CHECK(quantile(hundred, 1) == microseconds(100));
  CHECK(quantile(hundred, 0) == microseconds(1));
  auto three = one_to(3);
  CHECK(quantile(three, 0.5) == microseconds(2));
  CHECK(quantile(three, 0.99) == microseconds(3));
  auto one = one_to(1);
  CHECK(quantile(one, 0.5) == microseconds(1));
}

TEST_CASE("a word is a number in its limits, or nothing") {
  CHECK(number_of("1.5", 1, 2) == 1.5);
  CHECK(count_of("200", 1, 200) == 200);
  CHECK(time_of("0.5", std::chrono::seconds(1), std::chrono::seconds(1)) == microseconds(500'000));
  for (const char* word : {"", "x", "1x", "0", "201", "nan"})
    CHECK_THROWS_AS(count_of(word, 1, 200), Usage);
  CHECK_THROWS_AS(time_of("1.1", std::chrono::seconds(1), std::chrono::seconds(1)), Usage);
}

std::string body_of(const std::vector<std::string>& nodes) {
  const auto number = [](std::size_t value) {
    return std::string(3, '\0') + static_cast<char>(value);
  };
  return std::accumulate(nodes.begin(), nodes.end(), number(nodes.size()),
                         [&](const std::string& so_far, const std::string& node) {
                           return so_far + number(node.size()) + node;
                         });
}

TEST_CASE("the children of a node of ZooKeeper are a vector of strings") {
  const std::vector<std::string> children{"party-1", "", "ready"};
  CHECK(children_of(body_of(children)) == children);
  CHECK(children_of(body_of({})).empty());
  CHECK_THROWS_AS(children_of(std::string(2, '\0')), std::runtime_error);
  CHECK_THROWS_AS(children_of(body_of(children).substr(0, 12)), std::runtime_error);
}

}  // namespace
}  // namespace tests::load

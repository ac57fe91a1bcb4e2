#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "tests/unit/lockd/test_cluster.h"

using namespace lockd;
using namespace lockd::test;

namespace {

constexpr std::size_t kNodes = 3;
constexpr std::uint8_t kGroups = 5;

base::GroupKey group(std::uint8_t number) {
  base::GroupKey key;
  key.bytes[number * 5u] = std::byte{number};
  key.bytes[31] = std::byte{1};
  return key;
}

struct Model {
  Client* client = nullptr;
  std::size_t node = 0;
  std::set<std::uint8_t> joined;
  std::vector<std::string> expected;
  std::vector<std::string> heard;
};

void hear(Model& model) {
  while (!model.client->received.empty()) {
    if (const auto* told = std::get_if<protocol::EvsDelivery>(&model.client->received.front())) {
      model.heard.push_back(base::text_of(told->payload));
    }
    model.client->received.pop_front();
  }
}

std::vector<std::uint8_t> some_groups(base::Random& random) {
  std::vector<std::uint8_t> some;
  for (std::uint8_t number = 0; number < kGroups; ++number) {
    if (random.below(3) == 0) some.push_back(number);
  }
  if (some.empty()) some.push_back(static_cast<std::uint8_t>(random.below(kGroups)));
  return some;
}

std::vector<base::GroupKey> keys(const std::vector<std::uint8_t>& numbers) {
  std::vector<base::GroupKey> all;
  for (const std::uint8_t number : numbers) all.push_back(group(number));
  return all;
}

}  // namespace

TEST_CASE("each instance hears exactly what was sent in its partition to groups it was in") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    Cluster cluster(kNodes);
    cluster.form_all();
    std::vector<std::size_t> partition(kNodes, 0);  // Of each node.
    std::vector<Model> models;
    for (std::size_t i = 0; i < 6; ++i) {
      Model model;
      model.node = i % kNodes;
      model.client = &cluster.connect(model.node);
      model.client->hello(protocol::HelloKind::evs);
      models.push_back(std::move(model));
    }
    for (int step = 0; step < 120; ++step) {
      Model& one = models[random.below(models.size())];
      const auto some = some_groups(random);
      switch (random.below(8)) {
        case 0:
          one.client->send(protocol::EvsJoin{1, keys(some)});
          one.joined.insert(some.begin(), some.end());
          break;
        case 1:
          one.client->send(protocol::EvsLeave{1, keys(some)});
          for (const std::uint8_t number : some) one.joined.erase(number);
          break;
        case 2: {
          for (std::size_t& part : partition) part = random.below(2);
          for (std::size_t part = 0; part < 2; ++part) {
            std::vector<std::size_t> nodes;
            for (std::size_t node = 0; node < kNodes; ++node) {
              if (partition[node] == part) nodes.push_back(node);
            }
            if (!nodes.empty()) cluster.form(nodes);
          }
          break;
        }
        default: {
          const std::string text = "message " + std::to_string(step);
          for (Model& other : models) {
            const bool concerned = partition[other.node] == partition[one.node] &&
                                   std::any_of(some.begin(), some.end(), [&](std::uint8_t number) {
                                     return other.joined.count(number) != 0;
                                   });
            if (concerned) other.expected.push_back(text);
          }
          const auto guarantee = static_cast<protocol::Guarantee>(random.below(4));
          const base::Bytes payload = base::bytes_of(text);
          one.client->send(
              protocol::EvsMulticast{guarantee, keys(some), {payload.begin(), payload.end()}});
        }
      }
      for (Model& model : models) hear(model);
    }
    for (const Model& model : models) {
      REQUIRE_FALSE(model.client->closed);
      CHECK(model.heard == model.expected);
    }
  }
}

TEST_CASE("damaged requests of an instance end its connection, or are requests") {
  Cluster cluster(1);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    base::Random random(seed);
    Client& client = cluster.connect(0);
    client.hello(protocol::HelloKind::evs);
    base::Buffer bytes;
    for (int i = 0; i < 4; ++i) {
      const auto some = keys(some_groups(random));
      switch (random.below(3)) {
        case 0:
          protocol::encode(protocol::Request{protocol::EvsJoin{7, some}}, bytes);
          break;
        case 1:
          protocol::encode(protocol::Request{protocol::EvsLeave{7, some}}, bytes);
          break;
        default:
          protocol::encode(protocol::Request{protocol::EvsMulticast{
                               {}, some, base::Buffer(random.below(50), std::byte{1})}},
                           bytes);
      }
    }
    for (std::uint64_t damage = random.below(4); damage > 0; --damage) {
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.below(256));
    }
    client.send_bytes(bytes);  // check_invariants() runs in each turn.
    client.hang_up();
  }
  CHECK(cluster.daemon(0).instances().size() == 0);
  CHECK(cluster.daemon(0).instances().statistics().malformed == 0);
}

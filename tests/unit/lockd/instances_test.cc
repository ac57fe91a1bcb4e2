#include "lockd/instances.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "lockd/payload_kind.h"
#include "tests/unit/lockd/test_cluster.h"

using namespace lockd;
using namespace lockd::test;

namespace {

base::GroupKey key(const std::string& text) {
  base::GroupKey key;
  const base::Bytes bytes = base::bytes_of(text);
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

base::Buffer buffer(const std::string& text) {
  const base::Bytes bytes = base::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

protocol::EvsMulticast message(const std::string& group, const std::string& text,
                               protocol::Guarantee guarantee = protocol::Guarantee::agreed) {
  return {guarantee, {key(group)}, buffer(text)};
}

Client& open_instance(Cluster& cluster, std::size_t node, std::uint32_t uid = 1000) {
  Client& client = cluster.connect(node, uid);
  client.hello(protocol::HelloKind::evs);
  return client;
}

// In `group`, with everything of its beginning taken out.
Client& member(Cluster& cluster, std::size_t node, const std::string& group) {
  Client& client = open_instance(cluster, node);
  client.send(protocol::EvsJoin{7, {key(group)}});
  REQUIRE(client.next<protocol::EvsDone>().value().query == 7);
  return client;
}

std::vector<std::string> texts(Client& client) {
  std::vector<std::string> all;
  while (const auto one = client.next<protocol::EvsDelivery>()) {
    all.push_back(base::text_of(one->payload));
  }
  return all;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("an instance is told who it is and which configuration stands") {
  Cluster cluster(3);
  cluster.form_all();
  Client& client = open_instance(cluster, 1);
  const auto welcome = client.next<protocol::EvsWelcome>().value();
  CHECK(welcome.self.node == base::NodeId{2});
  CHECK(welcome.window == protocol::kEvsWindow);
  const auto first = client.next<protocol::EvsConfiguration>().value();
  CHECK(first.kind == protocol::EvsKind::regular);
  CHECK(first.members.size() == 3);
}

TEST_CASE("members of a group on all nodes receive the same messages in the same order") {
  Cluster cluster(3);
  cluster.form_all();
  std::vector<Client*> members;
  for (std::size_t node = 0; node < 3; ++node) members.push_back(&member(cluster, node, "chat"));
  for (int round = 0; round < 10; ++round) {
    for (Client* client : members) {
      client->send(message("chat", std::to_string(round), protocol::Guarantee::safe));
    }
  }
  std::vector<std::vector<protocol::EvsDelivery>> heard(3);
  for (std::size_t node = 0; node < 3; ++node) {
    while (auto one = members[node]->next<protocol::EvsDelivery>()) {
      heard[node].push_back(std::move(*one));
    }
  }
  REQUIRE(heard[0].size() == 30);
  CHECK(heard[1] == heard[0]);
  CHECK(heard[2] == heard[0]);
  CHECK(heard[0][4].sender.node == base::NodeId{2});
  CHECK(heard[0][4].guarantee == protocol::Guarantee::safe);
  CHECK(heard[0][4].groups == std::vector<base::GroupKey>{key("chat")});
  CHECK(heard[0][4].ring.sequence > 0);
  CHECK(heard[0][4].sequence > heard[0][3].sequence);
}

TEST_CASE("only who joined receives, once, and until he leaves; who sends need not be in") {
  Cluster cluster(2);
  cluster.form_all();
  Client& sender = open_instance(cluster, 0);
  Client& a = member(cluster, 1, "a");
  Client& both = member(cluster, 1, "a");
  both.send(protocol::EvsJoin{8, {key("b")}});
  sender.send(message("a", "to a"));
  sender.send(message("b", "to b"));
  sender.send(protocol::EvsMulticast{{}, {key("a"), key("b")}, buffer("to both")});
  sender.send(message("c", "to nobody"));
  CHECK(texts(sender).empty());
  CHECK(texts(a) == Texts{"to a", "to both"});
  CHECK(texts(both) == Texts{"to a", "to b", "to both"});

  both.send(protocol::EvsLeave{9, {key("a"), key("never joined")}});
  CHECK(both.next<protocol::EvsDone>().value().query == 9);
  sender.send(message("a", "again a"));
  sender.send(message("b", "again b"));
  CHECK(texts(a) == Texts{"again a"});
  CHECK(texts(both) == Texts{"again b"});
}

TEST_CASE("groups work without a quorum, and a change is told as two configurations") {
  Cluster cluster(3);
  cluster.form_all();
  Client& one = member(cluster, 0, "chat");
  Client& three = member(cluster, 2, "chat");
  cluster.form({0});
  const auto transitional = one.next<protocol::EvsConfiguration>().value();
  CHECK(transitional.kind == protocol::EvsKind::transitional);
  CHECK(transitional.members.size() == 1);
  CHECK(transitional.left.size() == 2);
  CHECK(transitional.joined.empty());
  const auto regular = one.next<protocol::EvsConfiguration>().value();
  CHECK(regular.kind == protocol::EvsKind::regular);
  CHECK(regular.members.size() == 1);
  CHECK(regular.left.empty());
  CHECK(cluster.daemon(0).replica().table() == nullptr);
  one.send(message("chat", "alone", protocol::Guarantee::safe));
  CHECK(texts(one) == Texts{"alone"});
  CHECK(texts(three).empty());

  cluster.form_all();
  CHECK(one.next<protocol::EvsConfiguration>().value().left.empty());
  CHECK(one.next<protocol::EvsConfiguration>().value().joined.size() == 2);
  one.send(message("chat", "together"));
  CHECK(texts(one) == Texts{"together"});
  CHECK(texts(three) == Texts{"together"});
}

TEST_CASE("a message of a MiB to 256 groups passes, whatever portions its bytes come in") {
  Cluster cluster(2);
  cluster.form_all();
  Client& receiver = member(cluster, 1, "chat");
  Client& sender = open_instance(cluster, 0);
  protocol::EvsMulticast longest{protocol::Guarantee::safe, {}, {}};
  for (int i = 0; i < 255; ++i) longest.groups.push_back(key("g" + std::to_string(i)));
  longest.groups.push_back(key("chat"));
  longest.payload.assign(protocol::kEvsPayloadBytesMax, std::byte{0x5a});
  base::Buffer bytes;
  protocol::encode(protocol::Request{longest}, bytes);
  for (std::size_t at = 0; at < bytes.size(); at += 100'000) {
    sender.send_bytes(
        base::Bytes(bytes).subspan(at, std::min<std::size_t>(100'000, bytes.size() - at)));
  }
  const auto heard = receiver.next<protocol::EvsDelivery>().value();
  CHECK(heard.payload == longest.payload);
  CHECK(heard.groups == longest.groups);
}

TEST_CASE("who sends more than his window is refused; what the ring takes makes room again") {
  Cluster cluster(1);
  Client& good = open_instance(cluster, 0);
  Client& bad = open_instance(cluster, 0);
  cluster.break_ring(0);  // Nothing is handed to the ring.
  const std::string text(100'000, 'x');
  const std::size_t fit = protocol::kEvsWindow / protocol::evs_cost(1, text.size());
  for (std::size_t i = 0; i < fit; ++i) {
    good.send(message("nobody", text));
    bad.send(message("nobody", text));
  }
  CHECK_FALSE(good.closed);
  CHECK_FALSE(good.next<protocol::EvsCredit>().has_value());
  bad.send(message("nobody", text));
  CHECK(bad.closed);
  CHECK(bad.next<protocol::Refused>().value().error == protocol::Refusal::malformed);
  cluster.form({0});
  std::uint64_t taken = 0;
  while (!good.received.empty()) {
    if (const auto* told = std::get_if<protocol::EvsCredit>(&good.received.front())) {
      taken = told->taken;
    }
    good.received.pop_front();
  }
  CHECK(taken == fit * protocol::evs_cost(1, text.size()));
  good.send(message("nobody", text));
  CHECK_FALSE(good.closed);
}

// A member on one node that does not read, and one on another that has sent more than is waited
// for.
struct ReaderBehind {
  Cluster cluster{2};
  const std::string text = std::string(200'000, 'x');
  Client* slow = nullptr;
  Client* quick = nullptr;

  void send_much() {
    slow->reads = false;
    for (int i = 0; i < 8; ++i) quick->send(message("chat", text));
  }
  ReaderBehind() {
    cluster.form_all();
    slow = &member(cluster, 0, "chat");
    quick = &member(cluster, 1, "chat");
  }
};

TEST_CASE_FIXTURE(
    ReaderBehind,
    "senders on all nodes wait for a reader that is behind, and go on when it has read") {
  send_much();
  const std::size_t before = texts(*quick).size();
  CHECK(before * text.size() >= GroupFlow::kBehindBytes);
  CHECK(before < 5);
  cluster.pass(GroupFlow::kPatience / 2);
  CHECK(texts(*quick).empty());

  slow->reads = true;
  cluster.daemon(0).handle_writable(slow->connection());
  cluster.settle();
  CHECK(texts(*quick).size() == 8 - before);
  CHECK(texts(*slow).size() == 8);
  CHECK(cluster.daemon(0).instances().statistics().pauses > 0);
  CHECK(cluster.daemon(0).sessions().statistics().slow_readers == 0);
}

TEST_CASE_FIXTURE(ReaderBehind,
                  "nobody waits for a reader for longer than a second, and locks never do") {
  Client& locker = cluster.open(1);
  send_much();
  CHECK(texts(*quick).size() < 5);
  const base::RequestId lock = locker.acquire("l");
  CHECK(locker.answer(lock)->answer == protocol::Answer::granted);
  cluster.pass(GroupFlow::kPatience + 100ms);
  CHECK(texts(*quick).size() > 3);
  quick->send(message("chat", text));
  CHECK(texts(*quick).size() == 1);
}

TEST_CASE_FIXTURE(ReaderBehind, "a reader that is gone is not waited for") {
  send_much();
  const std::size_t before = texts(*quick).size();
  slow->hang_up();
  CHECK(texts(*quick).size() == 8 - before);
}

TEST_CASE("an instance that does not read is told so at the end of what it was sent") {
  Cluster cluster(1);
  Client& slow = member(cluster, 0, "chat");
  Client& sender = member(cluster, 0, "chat");
  slow.reads = false;
  const std::string text(500'000, 'x');
  for (int i = 0; i < 2; ++i) sender.send(message("chat", std::to_string(i) + " " + text));
  cluster.pass(GroupFlow::kPatience);
  for (int i = 2; i < 12; ++i) sender.send(message("chat", std::to_string(i) + " " + text));
  CHECK(texts(sender).size() == 12);
  CHECK_FALSE(slow.closed);
  CHECK(cluster.daemon(0).sessions().statistics().slow_readers == 1);
  sender.send(message("chat", "it is not told of this"));
  slow.send(message("chat", "and what it says is not heard"));
  CHECK(texts(sender).size() == 1);

  slow.reads = true;
  cluster.daemon(0).handle_writable(slow.connection());
  cluster.settle();
  CHECK(slow.closed);
  for (int i = 0; i < 8; ++i) {
    const auto one = slow.next<protocol::EvsDelivery>().value();
    CHECK(base::text_of(one.payload).substr(0, 2) == std::to_string(i) + " ");
  }
  CHECK(slow.next<protocol::Refused>().value().error == protocol::Refusal::too_slow);
  CHECK(cluster.daemon(0).instances().size() == 1);
}

TEST_CASE("what an instance sent before it closed goes to the ring") {
  Cluster cluster(1);
  Client& receiver = member(cluster, 0, "chat");
  Client& sender = open_instance(cluster, 0);
  cluster.break_ring(0);
  sender.send(message("chat", "farewell"));
  sender.hang_up();
  CHECK(cluster.daemon(0).instances().size() == 2);
  cluster.form({0});
  CHECK(texts(receiver) == Texts{"farewell"});
  CHECK(cluster.daemon(0).instances().size() == 1);
}

TEST_CASE(
    "there is a limit of instances, for a user and in all, and those that ended do not count") {
  Cluster cluster(1);
  const InstancesConfig limits;
  std::vector<Client*> of_one;
  for (std::size_t i = 0; i < limits.instances_per_user_max; ++i) {
    of_one.push_back(&open_instance(cluster, 0, 1000));
  }
  Client& late = open_instance(cluster, 0, 1000);
  CHECK(late.closed);
  CHECK(late.next<protocol::Refused>().value().error == protocol::Refusal::limit);
  std::size_t others = 0;
  while (!open_instance(cluster, 0, 1001).closed) ++others;
  CHECK(of_one.size() + others == limits.instances_max);
  of_one[0]->hang_up();
  CHECK_FALSE(open_instance(cluster, 0, 1000).closed);
}

TEST_CASE("requests of the other kind end the connection") {
  Cluster cluster(1);
  Client& instance = open_instance(cluster, 0);
  instance.acquire("a");
  CHECK(instance.next<protocol::Refused>().value().error == protocol::Refusal::malformed);
  CHECK(instance.closed);
  Client& locker = cluster.open(0);
  locker.send(message("chat", "no"));
  CHECK(locker.next<protocol::Refused>().value().error == protocol::Refusal::malformed);
  Client& asking = cluster.connect(0);
  asking.hello(protocol::HelloKind::query);
  asking.send(protocol::EvsJoin{1, {key("a")}});
  CHECK(asking.next<protocol::Refused>().value().error == protocol::Refusal::malformed);
}

TEST_CASE("too many groups end the connection") {
  Cluster cluster(1);
  Client& client = open_instance(cluster, 0);
  protocol::EvsJoin join{1, {}};
  for (int i = 0; i < 200; ++i) join.groups.push_back(key(std::to_string(i)));
  client.send(join);
  client.send(join);
  CHECK_FALSE(client.closed);
  for (base::GroupKey& group : join.groups) group.bytes[31] = std::byte{1};
  client.send(join);
  CHECK(client.next<protocol::Refused>().value().error == protocol::Refusal::limit);
  CHECK(client.closed);
}

TEST_CASE("a daemon that leaves tells its instances") {
  Cluster cluster(1);
  Client& client = member(cluster, 0, "chat");
  cluster.daemon(0).stop(cluster.now);
  cluster.settle();
  CHECK(client.next<protocol::Refused>().value().error == protocol::Refusal::no_clients);
  CHECK(client.closed);
}

TEST_CASE("locks and groups share the ring, and neither sees what is the other's") {
  Cluster cluster(3);
  cluster.form_all();
  Client& chat = member(cluster, 0, "chat");
  Client& locks = cluster.open(1);
  for (int i = 0; i < 20; ++i) {
    locks.acquire(std::to_string(i));
    chat.send(message("chat", std::to_string(i)));
  }
  CHECK(texts(chat).size() == 20);
  for (std::size_t node = 0; node < 3; ++node) {
    Daemon& daemon = cluster.daemon(node);
    CHECK(daemon.replica().table()->counts().locks == 20);
    CHECK(daemon.replica().statistics().malformed == 0);
    CHECK(daemon.instances().statistics().malformed == 0);
    CHECK(daemon.foreign_payloads() == 0);
  }
}

TEST_CASE("payloads of the ring that are nobody's are counted") {
  Cluster cluster(1);
  Daemon& daemon = cluster.daemon(0);
  const auto deliver = [&](base::Buffer payload) {
    daemon.handle_event(cluster.now, evs::Delivery{{}, {}, 1, 0, evs::Service::safe, payload});
  };
  deliver({});
  deliver({std::byte{1}, std::byte{9}});
  CHECK(daemon.foreign_payloads() == 2);
  deliver({std::byte{1}, static_cast<std::byte>(PayloadKind::group)});
  CHECK(daemon.instances().statistics().malformed == 1);
  deliver({std::byte{1}, static_cast<std::byte>(PayloadKind::replica)});
  CHECK(daemon.replica().statistics().malformed == 1);
}

TEST_CASE("senders take turns, and wait while the ring has enough to do") {
  const InstancesConfig config;
  Instances instances(config);
  const ConnectionId one{1};
  const ConnectionId two{2};
  REQUIRE(instances.open(one, 1));
  REQUIRE(instances.open(two, 1));
  for (int i = 0; i < 3; ++i) REQUIRE(instances.multicast(one, message("a", "one")));
  REQUIRE(instances.multicast(two, message("a", "two")));
  const std::size_t all = config.ring_queue_bytes_max;
  CHECK_FALSE(instances.poll_multicast(all - config.ring_backlog_bytes - 1).has_value());
  std::string order;
  while (const auto next = instances.poll_multicast(all - config.ring_backlog_bytes)) {
    order += static_cast<char>(next->message.back());
  }
  CHECK(order == "eoee");
  CHECK(instances.statistics().sent == 4);
}

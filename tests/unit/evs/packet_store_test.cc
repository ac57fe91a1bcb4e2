#include "evs/packet_store.h"

#include <doctest/doctest.h>

#include <map>

#include "base/random.h"

namespace evs {
namespace {

using Insert = PacketStore::Insert;

Packet packet(Sequence mark) {
  Packet p;
  p.payload.assign(1, static_cast<std::byte>(mark));
  return p;
}

TEST_CASE("received is the end of the gapless prefix, highest the last number in store") {
  PacketStore store(100);
  CHECK(store.received() == 0);
  CHECK(store.highest() == 0);
  CHECK(store.insert(2, packet(2)) == Insert::stored);
  CHECK(store.received() == 0);
  CHECK(store.highest() == 2);
  CHECK(store.find(1) == nullptr);
  CHECK(store.insert(4, packet(4)) == Insert::stored);
  CHECK(store.insert(1, packet(1)) == Insert::stored);
  CHECK(store.received() == 2);
  CHECK(store.insert(3, packet(3)) == Insert::stored);
  CHECK(store.received() == 4);
  CHECK(store.highest() == 4);
}

TEST_CASE("the first packet of a number stays") {
  PacketStore store(100);
  CHECK(store.insert(1, packet(1)) == Insert::stored);
  CHECK(store.insert(1, packet(9)) == Insert::duplicate);
  CHECK(store.find(1)->payload == packet(1).payload);
  CHECK(store.insert(0, packet(9)) == Insert::duplicate);
}

TEST_CASE("what was discarded is gone and does not come back") {
  PacketStore store(100);
  for (Sequence s = 1; s <= 3; ++s) store.insert(s, packet(s));
  store.discard_to(2);
  CHECK(store.discarded() == 2);
  CHECK(store.find(2) == nullptr);
  CHECK(store.find(3) != nullptr);
  CHECK(store.received() == 3);
  CHECK(store.insert(2, packet(2)) == Insert::duplicate);
  CHECK(store.find(2) == nullptr);
  store.discard_to(1);  // Never back.
  CHECK(store.discarded() == 2);
}

TEST_CASE("the store takes numbers up to its capacity beyond what was discarded") {
  for (Sequence capacity : {1U, 63U, 64U, 65U, 200U, 2048U}) {
    CAPTURE(capacity);
    PacketStore store(capacity);
    CHECK(store.insert(capacity + 1, packet(0)) == Insert::beyond);
    CHECK(store.insert(~Sequence{0}, packet(0)) == Insert::beyond);
    CHECK(store.highest() == 0);
    CHECK(store.insert(capacity, packet(capacity)) == Insert::stored);
    for (Sequence s = 1; s < capacity; ++s) CHECK(store.insert(s, packet(s)) == Insert::stored);
    CHECK(store.received() == capacity);
    CHECK(store.limit() == capacity);
    store.discard_to(1);
    CHECK(store.limit() == capacity + 1);
    CHECK(store.insert(capacity + 1, packet(capacity + 1)) == Insert::stored);
    CHECK(store.insert(capacity + 2, packet(0)) == Insert::beyond);
    for (Sequence s = 2; s <= capacity + 1; ++s) {
      REQUIRE(store.find(s) != nullptr);
      CHECK(store.find(s)->payload == packet(s).payload);
    }
  }
}

TEST_CASE("any order of arrival ends like a plain map") {
  base::Random random(7);
  for (int run = 0; run < 50; ++run) {
    const Sequence capacity = random.between(1, 300);
    PacketStore store(capacity);
    std::map<Sequence, Buffer> model;
    Sequence discarded = 0;
    for (int step = 0; step < 600; ++step) {
      const Sequence s = discarded + random.between(1, capacity + 2);
      const Insert expected = model.count(s) != 0        ? Insert::duplicate
                              : s - discarded > capacity ? Insert::beyond
                                                         : Insert::stored;
      CHECK(store.insert(s, packet(s)) == expected);
      if (expected == Insert::stored) model[s] = packet(s).payload;
      Sequence received = discarded;
      while (model.count(received + 1) != 0) ++received;
      CHECK(store.received() == received);
      if (random.chance(1, 10)) {
        discarded = random.between(discarded, received);
        store.discard_to(discarded);
        model.erase(model.begin(), model.upper_bound(discarded));
      }
      CHECK(store.highest() == (model.empty() ? discarded : model.rbegin()->first));
    }
    for (Sequence s = 0; s <= discarded + capacity + 1; ++s) {
      const Packet* found = store.find(s);
      CHECK((found != nullptr) == (model.count(s) != 0));
      if (found != nullptr) CHECK(found->payload == model[s]);
    }
  }
}

}  // namespace
}  // namespace evs

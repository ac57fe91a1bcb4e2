// Ring members of one process, joined by a network that loses nothing unless a test says so. Time
// is virtual: it jumps to the next datagram or timeout, so each run of a test is the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "evs/codec.h"
#include "evs/node.h"

namespace evs {

// Nodes are named by their numbers, 1 and up.
using Number = std::uint32_t;

enum class Fate { deliver, drop, hold };

class TestRing {
 public:
  // Configures nodes 1 to `count`; none is started.
  explicit TestRing(Number count);

  // Changes take effect for nodes started later.
  Config config;

  // What happens to a datagram, asked once per destination when it is sent.
  std::function<Fate(Number from, Number to, const Message&)> fate;

  // How much longer than the others a datagram takes, asked once per destination when it is sent.
  std::function<Duration(Number from, Number to, const Message&)> delay;

  // Told of each datagram just before its destination gets it.
  std::function<void(Number from, Number to, const Message&)> heard;

  // Told of what a node traces, and of what it tells the layer above.
  std::function<void(Number, const TraceRecord&)> traced;
  std::function<void(Number, const Event&)> told;

  // Told after each input of each node.
  std::function<void()> after_input;

  // Our own reasoning is checked after each input; switched off where a planted bug is to be found
  // by what is delivered.
  bool check_invariants = true;

  static constexpr Duration kLatency = std::chrono::microseconds(100);

  // Starts a node, or starts it again in a new life; what it reported so far is kept.
  void start(Number number);
  void start_all();
  void kill(Number number);

  // A stopped process: it hears nothing and its timers do not fire. What is sent to it is lost.
  void stop(Number number);
  void go_on(Number number);

  // The same, but what is sent to it waits, and is read before its timers when it goes on.
  void pause(Number number);
  void resume(Number number);

  // Datagrams between the two are lost, those under way included; or one way only.
  void cut(Number a, Number b);
  void cut_link(Number from, Number to);
  void cut_off(Number number);
  void mend(Number a, Number b);
  void mend_link(Number from, Number to);
  void mend_all() { cuts_.clear(); }

  void release_held();
  void inject(Number from, Number to, base::Bytes datagram);

  base::Result<void, MulticastError> multicast(Number number, Service service,
                                               const std::string& text);
  void leave(Number number);

  bool exists(Number number) const { return nodes_.count(number) != 0; }
  Instant now() const { return now_; }
  void run_for(Duration duration);

  // False if it did not come true in `limit` of virtual time.
  bool run_until(const std::function<bool()>& condition, Duration limit = std::chrono::seconds(10));

  Node& node(Number number) { return *nodes_.at(number); }
  const std::vector<Event>& events(Number number) { return events_[number]; }
  std::vector<Delivery> deliveries(Number number);
  std::vector<ConfigurationChange> changes(Number number);
  std::vector<std::string> texts(Number number);
  bool delivered(Number number, const std::string& text);

  // The change of configuration in which `text` was delivered.
  std::optional<ConfigurationChange> change_of(Number number, const std::string& text);

  // All of them are in one ring of just them, and know it.
  bool formed(const std::vector<Number>& numbers);

 private:
  struct Datagram {
    Number from;
    Number to;
    Buffer bytes;
  };

  struct Sink : TraceSink {
    Sink(TestRing* to, Number of) : ring(to), number(of) {}
    void record(const TraceRecord& record) override {
      if (ring->traced) ring->traced(number, record);
    }
    TestRing* ring;
    Number number;
  };

  bool step(Duration end);
  void drain(Number number);
  bool runs(Number number) const;

  Instant now_{std::chrono::seconds(1000), std::chrono::seconds(1000)};
  std::uint64_t lives_ = 0;
  std::uint64_t sent_ = 0;
  std::map<Number, Sink> sinks_;
  std::map<Number, std::unique_ptr<Node>> nodes_;
  std::set<Number> stopped_;
  std::map<Number, std::vector<Datagram>> waiting_;  // For those that are paused.
  std::set<std::pair<Number, Number>> cuts_;         // From, to.
  std::map<std::pair<Duration, std::uint64_t>, Datagram> under_way_;
  std::vector<Datagram> held_;
  std::map<Number, std::vector<Event>> events_;
};

std::vector<Number> numbers_of(const std::vector<Processor>& processors);

}  // namespace evs

#include "tests/unit/evs/test_ring.h"

#include <algorithm>

#include "base/check.h"

namespace evs {

TestRing::TestRing(Number count) {
  for (Number number = 1; number <= count; ++number) config.nodes.push_back(base::NodeId{number});
}

void TestRing::start(Number number) {
  Config own = config;
  own.self = base::NodeId{number};
  ++lives_;
  const auto sink = sinks_.try_emplace(number, this, number).first;
  nodes_[number] = std::make_unique<Node>(own, base::Incarnation{1000 * lives_ + number},
                                          base::Random(lives_), now_, &sink->second);
  drain(number);
}

void TestRing::start_all() {
  for (base::NodeId id : config.nodes) start(base::value(id));
}

void TestRing::kill(Number number) {
  nodes_.erase(number);
  waiting_.erase(number);
  stopped_.erase(number);
}

void TestRing::stop(Number number) {
  stopped_.insert(number);
}

void TestRing::go_on(Number number) {
  stopped_.erase(number);
}

void TestRing::pause(Number number) {
  stop(number);
  waiting_[number];
}

void TestRing::resume(Number number) {
  go_on(number);
  const auto waiting = waiting_.extract(number);
  if (waiting.empty() || !exists(number)) return;
  for (const Datagram& datagram : waiting.mapped()) inject(datagram.from, number, datagram.bytes);
}

void TestRing::cut(Number a, Number b) {
  cut_link(a, b);
  cut_link(b, a);
}

void TestRing::cut_link(Number from, Number to) {
  cuts_.emplace(from, to);
}

void TestRing::cut_off(Number number) {
  for (base::NodeId id : config.nodes) {
    if (base::value(id) != number) cut(number, base::value(id));
  }
}

void TestRing::mend(Number a, Number b) {
  mend_link(a, b);
  mend_link(b, a);
}

void TestRing::mend_link(Number from, Number to) {
  cuts_.erase({from, to});
}

void TestRing::release_held() {
  for (Datagram& datagram : held_) {
    under_way_.emplace(std::pair(now_.boot + kLatency, ++sent_), std::move(datagram));
  }
  held_.clear();
}

void TestRing::inject(Number from, Number to, base::Bytes datagram) {
  node(to).handle_datagram(now_, base::NodeId{from}, datagram);
  drain(to);
}

base::Result<void, MulticastError> TestRing::multicast(Number number, Service service,
                                                       const std::string& text) {
  auto result = node(number).multicast(now_, service, base::bytes_of(text));
  drain(number);
  return result;
}

void TestRing::leave(Number number) {
  node(number).leave(now_);
  drain(number);
}

void TestRing::run_for(Duration duration) {
  const Duration end = now_.boot + duration;
  while (step(end)) {
  }
  now_ = now_ + (end - now_.boot);
}

bool TestRing::run_until(const std::function<bool()>& condition, Duration limit) {
  const Duration end = now_.boot + limit;
  while (!condition()) {
    if (!step(end)) return condition();
  }
  return true;
}

bool TestRing::runs(Number number) const {
  return nodes_.count(number) != 0 && stopped_.count(number) == 0;
}

// One datagram or one timeout, whichever is next; false if neither comes before `end`.
bool TestRing::step(Duration end) {
  std::optional<Duration> next;
  Number due = 0;
  for (const auto& [number, node] : nodes_) {
    const auto timeout = node->next_timeout();
    if (!timeout || !runs(number) || (next && *timeout >= *next)) continue;
    next = *timeout;
    due = number;
  }
  const bool datagram_first =
      !under_way_.empty() && (!next || under_way_.begin()->first.first <= *next);
  if (datagram_first) next = under_way_.begin()->first.first;
  if (!next || *next > end) return false;
  if (*next > now_.boot) now_ = now_ + (*next - now_.boot);

  if (!datagram_first) {
    node(due).handle_timeout(now_);
    drain(due);
    return true;
  }
  Datagram datagram = std::move(under_way_.begin()->second);
  under_way_.erase(under_way_.begin());
  if (cuts_.count({datagram.from, datagram.to}) != 0) return true;
  if (!runs(datagram.to)) {
    const auto waiting = waiting_.find(datagram.to);
    if (waiting != waiting_.end()) waiting->second.push_back(std::move(datagram));
    return true;
  }
  if (heard) heard(datagram.from, datagram.to, *decode(datagram.bytes));
  node(datagram.to).handle_datagram(now_, base::NodeId{datagram.from}, datagram.bytes);
  drain(datagram.to);
  return true;
}

void TestRing::drain(Number number) {
  Node& from = node(number);
  if (check_invariants) from.check_invariants();
  while (auto transmit = from.poll_transmit()) {
    const std::optional<Message> message = decode(transmit->datagram);
    CHECK(message.has_value());
    for (std::size_t i = 0; i < config.nodes.size(); ++i) {
      const Number to = base::value(config.nodes[i]);
      if ((transmit->to >> i & 1) == 0 || cuts_.count({number, to}) != 0) continue;
      CHECK(to != number);
      Datagram datagram{number, to, transmit->datagram};
      switch (fate ? fate(number, to, *message) : Fate::deliver) {
        case Fate::deliver: {
          const Duration latency =
              kLatency + (delay ? delay(number, to, *message) : Duration::zero());
          under_way_.emplace(std::pair(now_.boot + latency, ++sent_), std::move(datagram));
          break;
        }
        case Fate::hold:
          held_.push_back(std::move(datagram));
          break;
        case Fate::drop:
          break;
      }
    }
  }
  while (auto event = from.poll_event()) {
    if (told) told(number, *event);
    events_[number].push_back(std::move(*event));
  }
  if (after_input) after_input();
}

std::vector<Delivery> TestRing::deliveries(Number number) {
  std::vector<Delivery> found;
  for (const Event& event : events_[number]) {
    if (const auto* delivery = std::get_if<Delivery>(&event)) found.push_back(*delivery);
  }
  return found;
}

std::vector<ConfigurationChange> TestRing::changes(Number number) {
  std::vector<ConfigurationChange> found;
  for (const Event& event : events_[number]) {
    if (const auto* change = std::get_if<ConfigurationChange>(&event)) found.push_back(*change);
  }
  return found;
}

std::vector<std::string> TestRing::texts(Number number) {
  std::vector<std::string> found;
  for (const Delivery& delivery : deliveries(number)) {
    found.push_back(base::text_of(delivery.payload));
  }
  return found;
}

bool TestRing::delivered(Number number, const std::string& text) {
  return change_of(number, text).has_value();
}

std::optional<ConfigurationChange> TestRing::change_of(Number number, const std::string& text) {
  const ConfigurationChange* last = nullptr;
  for (const Event& event : events_[number]) {
    if (const auto* change = std::get_if<ConfigurationChange>(&event)) {
      last = change;
    } else if (base::text_of(std::get<Delivery>(event).payload) == text) {
      CHECK(last != nullptr);
      return *last;
    }
  }
  return std::nullopt;
}

bool TestRing::formed(const std::vector<Number>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [&](Number number) {
    Node& member = node(number);
    return member.state() == NodeState::operational &&
           numbers_of(member.regular().members) == numbers &&
           member.regular().id == node(numbers.front()).regular().id;
  });
}

std::vector<Number> numbers_of(const std::vector<Processor>& processors) {
  std::vector<Number> numbers;
  for (const Processor& processor : processors) numbers.push_back(base::value(processor.node));
  return numbers;
}

}  // namespace evs

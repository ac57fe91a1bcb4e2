#include "tests/scenarios/rules.h"

#include <algorithm>
#include <iterator>
#include <variant>

#include "evs/ring.h"

namespace scenarios {

namespace {

// In the order of evs::Message.
constexpr std::string_view kKinds[] = {"token", "receipt", "wake",     "packet",
                                       "join",  "commit",  "presence", "acknowledgement"};
constexpr std::size_t kAny = std::size(kKinds);
static_assert(kAny == std::variant_size_v<evs::Message>);

// The ring that a message names, if it names one.
std::optional<base::RingId> ring_of(const evs::Message& message) {
  return std::visit(
      [](const auto& m) -> std::optional<base::RingId> {
        if constexpr (requires { m.ring; }) {
          return m.ring;
        } else {
          return std::nullopt;
        }
      },
      message);
}

}  // namespace

void Rules::add(Action action, Words& words, const RingNames& names) {
  Rule rule;
  rule.action = action;
  if (action == Action::delay) rule.delay = words.duration();
  const std::string kind = words.take("a kind of message");
  const auto* const found = std::find(std::begin(kKinds), std::end(kKinds), kind);
  rule.kind = static_cast<std::size_t>(found - std::begin(kKinds));
  if (rule.kind == kAny && kind != "any") words.fail("there is no message `" + kind + "`");
  for (const Link& link : words.links()) rule.links.insert(link);
  while (words.more()) {
    if (words.take_if("exchange")) {
      rule.exchange = true;
    } else if (words.take_if("plain")) {
      rule.exchange = false;
    } else if (words.take_if("recovered")) {
      rule.recovered = true;
    } else if (words.take_if("of")) {
      const std::string name = words.name("a ring's name");
      const auto ring = names.find(name);
      if (ring == names.end()) words.fail("no ring was named " + name);
      rule.ring = ring->second;
    } else if (words.take_if("over")) {
      rule.over = words.count("a number of bytes");
    } else if (words.take_if("once")) {
      rule.times = 1;
    } else if (words.take_if("times")) {
      rule.times = words.count("how many times");
      if (rule.times == 0) words.fail("a rule for 0 times does nothing");
    } else if (words.take_if("as")) {
      rule.name = words.name("the rule's name");
      matched_[rule.name];
    } else {
      words.fail("a rule has no `" + words.take("more") + "`");
    }
  }
  rules_.push_back(std::move(rule));
}

bool Rules::fits(const Rule& rule, const evs::Message& message) {
  if (rule.kind != kAny && rule.kind != message.index()) return false;
  if (rule.exchange) {
    const auto* packet = std::get_if<evs::PacketMessage>(&message);
    if (packet == nullptr || packet->exchange != *rule.exchange) return false;
  }
  if (rule.recovered) {
    const auto* token = std::get_if<evs::TokenMessage>(&message);
    if (token == nullptr || token->recovered != evs::all_of(token->acknowledged.size()))
      return false;
  }
  if (rule.ring && ring_of(message) != rule.ring) return false;
  return rule.over == 0 || evs::encode(message).size() > rule.over;
}

Rules::Verdict Rules::judge(Number from, Number to, const evs::Message& message) {
  Verdict verdict;
  for (Rule& rule : rules_) {
    if (rule.links.count({from, to}) == 0 || !fits(rule, message)) continue;
    std::uint64_t& used = rule.used[{from, to}];
    if (rule.times != 0 && used == rule.times) continue;
    ++used;
    if (!rule.name.empty()) ++matched_[rule.name];
    if (rule.action == Action::watch) continue;
    if (rule.action == Action::copy) {
      verdict.copied = true;
      continue;
    }
    verdict.action = rule.action;
    verdict.delay = rule.delay;
    break;
  }
  return verdict;
}

std::optional<std::uint64_t> Rules::matched(const std::string& name) const {
  const auto found = matched_.find(name);
  if (found == matched_.end()) return std::nullopt;
  return found->second;
}

}  // namespace scenarios

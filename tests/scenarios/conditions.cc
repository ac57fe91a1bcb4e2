// What a scenario can wait for, or check: `until ...` and `check ...`.
#include <algorithm>
#include <iterator>
#include <utility>

#include "tests/scenarios/stage.h"

namespace scenarios {

namespace {

using Counter = std::uint64_t evs::Statistics::*;

constexpr std::pair<std::string_view, Counter> kCounters[] = {
    {"datagrams_malformed", &evs::Statistics::datagrams_malformed},
    {"tokens_refused", &evs::Statistics::tokens_refused},
    {"token_retransmissions", &evs::Statistics::token_retransmissions},
    {"token_losses", &evs::Statistics::token_losses},
    {"packets_sent", &evs::Statistics::packets_sent},
    {"packets_retransmitted", &evs::Statistics::packets_retransmitted},
    {"packets_duplicate", &evs::Statistics::packets_duplicate},
    {"messages_sent", &evs::Statistics::messages_sent},
    {"messages_delivered", &evs::Statistics::messages_delivered},
    {"delivered_beyond_gap", &evs::Statistics::delivered_beyond_gap},
    {"gathers", &evs::Statistics::gathers},
    {"failures_forced", &evs::Statistics::failures_forced},
    {"recoveries", &evs::Statistics::recoveries},
    {"recoveries_failed", &evs::Statistics::recoveries_failed},
    {"recoveries_with_obligation", &evs::Statistics::recoveries_with_obligation},
    {"installs", &evs::Statistics::installs},
    {"failures_to_receive", &evs::Statistics::failures_to_receive},
};

constexpr std::string_view kStates[] = {"operational", "gather", "commit", "recovery", "left"};

bool names_nodes(const std::string& word) {
  return word.find_first_not_of("0123456789,*") == std::string::npos;
}

}  // namespace

std::function<bool(std::uint64_t)> Stage::comparison(Words& words) {
  const std::string sign = words.take("=, >= or <=");
  const std::uint64_t bound = words.count("a number");
  if (sign == "=") return [bound](std::uint64_t value) { return value == bound; };
  if (sign == ">=") return [bound](std::uint64_t value) { return value >= bound; };
  if (sign == "<=") return [bound](std::uint64_t value) { return value <= bound; };
  words.fail("=, >= or <= is wanted, not `" + sign + "`");
}

Stage::Condition Stage::condition(Words& words) {
  if (words.take_if("not")) {
    return [wanted = condition(words)] { return !wanted(); };
  }
  if (words.take_if("ring")) {
    return [this, numbers = words.nodes()] {
      const auto exists = [&](Number number) { return ring_->exists(number); };
      return std::all_of(numbers.begin(), numbers.end(), exists) && ring_->formed(numbers);
    };
  }
  if (words.take_if("datagrams")) {
    return [this, compare = comparison(words)] { return compare(largest_datagram_); };
  }
  const std::string first = words.take("a condition");
  if (names_nodes(first)) {
    const auto nodes = Words(words.line(), first, nodes_).nodes();
    for (Number node : nodes) running(node, words);
    return [nodes, of_node = condition_of_node(words)] {
      return std::all_of(nodes.begin(), nodes.end(), of_node);
    };
  }
  if (!rules_.matched(first)) words.fail("there is no condition or rule `" + first + "`");
  return [this, first, compare = comparison(words)] { return compare(*rules_.matched(first)); };
}

std::function<bool(Number)> Stage::condition_of_node(Words& words) {
  if (words.take_if("is")) {
    const std::string state = words.take("a state");
    const auto* const found = std::find(std::begin(kStates), std::end(kStates), state);
    if (found == std::end(kStates)) words.fail("there is no state `" + state + "`");
    const auto wanted = static_cast<evs::NodeState>(found - std::begin(kStates));
    return [this, wanted](Number node) { return ring_->node(node).state() == wanted; };
  }
  if (words.take_if("has")) {
    return [this, name = words.take("a message's name")](Number node) {
      const auto texts = ring_->texts(node);
      return std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
        return text.substr(0, text.find(' ')) == name;
      });
    };
  }
  // What a lease is made of: the stamp of a release that all have heard since.
  if (words.take_if("confirmed")) {
    const bool after = !words.take_if("before");
    if (after) words.expect("after");
    const std::string name = words.name("a moment's name");
    const auto moment = times_.find(name);
    if (moment == times_.end()) words.fail("no moment was named " + name);
    return [this, after, then = moment->second](Number node) {
      const evs::TokenEvidence& evidence = ring_->node(node).evidence();
      return evidence.confirmed && (evidence.confirmed_release.boot > then) == after;
    };
  }
  const std::string name = words.take("what of the node");
  const auto* const found =
      std::find_if(std::begin(kCounters), std::end(kCounters),
                   [&](const auto& counter) { return counter.first == name; });
  if (found == std::end(kCounters)) words.fail("a node has no `" + name + "`");
  return [this, counter = found->second, compare = comparison(words)](Number node) {
    return compare(ring_->node(node).statistics().*counter);
  };
}

}  // namespace scenarios

#include "tests/sim/evs_order.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>
#include <vector>

namespace sim {

// Topological sort of the graph whose nodes are configurations, sends, and messages (or single
// deliveries, if they are not merged), and whose edges are each processor's order and "sent before
// delivered". It takes the processors' own lists as they are: a node is done when it stands at the
// head of each list that has it.
std::optional<std::string> find_cycle(const EvsHistory& history, bool merge_deliveries) {
  const auto& members = history.members();
  const auto& messages = history.messages();
  // Node numbers: configurations, then sends, then deliveries.
  const std::size_t first_send = history.known().size();
  std::vector<Index> first_delivery(messages.size() + 1);
  first_delivery[0] = static_cast<Index>(first_send + messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const int count = merge_deliveries ? 1 : std::popcount(messages[i].delivered);
    first_delivery[i + 1] = first_delivery[i] + static_cast<Index>(count);
  }
  const Index nodes = first_delivery.back();

  std::vector<std::vector<Index>> lists(members.size());
  std::vector<Index> awaited(nodes, 0);  // What has still to come before the node is done.
  std::vector<Index> used(first_delivery);
  for (std::size_t at = 0; at < members.size(); ++at) {
    lists[at].reserve(members[at].steps.size());
    for (const Step& step : members[at].steps) {
      Index node = step.what;
      if (step.kind == Step::Kind::send) node += static_cast<Index>(first_send);
      if (step.kind == Step::Kind::deliver) {
        node = merge_deliveries ? first_delivery[step.what] : used[step.what]++;
      }
      lists[at].push_back(node);
      ++awaited[node];
    }
  }
  for (Index node = first_delivery.front(); node < nodes; ++node) ++awaited[node];

  std::vector<std::size_t> head(lists.size(), 0);
  std::vector<Index> waiting(nodes,
                             kNone);  // A chain of the lists that have the node at their head.
  std::vector<Index> next_waiting(lists.size(), kNone);
  std::vector<Index> ready;
  const auto arrive = [&](Index node) {
    if (--awaited[node] == 0) ready.push_back(node);
  };
  const auto wait = [&](Index list) {
    if (head[list] == lists[list].size()) return;
    const Index node = lists[list][head[list]];
    next_waiting[list] = std::exchange(waiting[node], list);
    arrive(node);
  };
  for (Index list = 0; list < lists.size(); ++list) wait(list);
  while (!ready.empty()) {
    const Index node = ready.back();
    ready.pop_back();
    if (node >= first_send && node < first_delivery.front()) {
      const std::size_t message = node - first_send;
      for (Index d = first_delivery[message]; d < first_delivery[message + 1]; ++d) arrive(d);
    }
    for (Index list = waiting[node]; list != kNone;) {
      const Index following = next_waiting[list];
      ++head[list];
      wait(list);
      list = following;
    }
  }

  const auto stuck = [&](std::size_t list) { return head[list] < lists[list].size(); };
  std::size_t list = 0;
  while (list < lists.size() && !stuck(list)) ++list;
  if (list == lists.size()) return std::nullopt;

  // Walk from a stuck head to a list that holds it up, until a list comes again.
  const auto holder = [&](Index node) {
    for (std::size_t at = 0; at < lists.size(); ++at) {
      for (std::size_t i = head[at] + 1; i < lists[at].size(); ++i) {
        if (lists[at][i] == node) return std::pair(at, i);
      }
    }
    return std::pair(lists.size(), std::size_t{0});
  };
  std::string story;
  std::vector<bool> visited(lists.size(), false);
  while (!visited[list]) {
    visited[list] = true;
    Index node = lists[list][head[list]];
    auto [at, place] = holder(node);
    if (at == lists.size() && node >= first_delivery.front()) {
      const auto message = std::upper_bound(first_delivery.begin(), first_delivery.end(), node) -
                           first_delivery.begin() - 1;
      std::tie(at, place) = holder(static_cast<Index>(first_send) + static_cast<Index>(message));
    }
    if (at == lists.size()) break;
    if (!story.empty()) story += "; ";
    const auto& steps = members[at].steps;
    story += history.name(static_cast<Index>(at)) + " has " + history.name_step(steps[head[at]]) +
             " before " + history.name_step(steps[place]);
    list = at;
  }
  return story;
}

}  // namespace sim

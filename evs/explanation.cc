#include "evs/explanation.h"

#include <algorithm>
#include <iterator>

#include "evs/flight_text.h"

namespace evs {

namespace {

using base::NodeId;
using base::Processor;

// What happened between two configurations.
class Window {
 public:
  using At = std::vector<FlightRecord>::const_iterator;
  Window(At begin, At end) : begin_(begin), end_(end) {}

  const FlightRecord* first(TraceEvent event) const {
    const auto found = std::find_if(
        begin_, end_, [&](const FlightRecord& one) { return one.what.event == event; });
    return found == end_ ? nullptr : &*found;
  }

  const TraceRecord* last(TraceEvent event, const Processor& processor) const {
    for (auto at = end_; at != begin_;) {
      --at;
      if (at->what.event == event && at->what.processor == processor) return &at->what;
    }
    return nullptr;
  }

  At begin() const { return begin_; }
  At end() const { return end_; }

 private:
  At begin_;
  At end_;
};

// How long the token did not come, as this member saw it; null if it did.
const TraceRecord* missing_token(const Window& window) {
  const FlightRecord* lost = window.first(TraceEvent::token_lost);
  if (lost == nullptr) lost = window.first(TraceEvent::token_awaited);
  return lost == nullptr ? nullptr : &lost->what;
}

std::string trigger(const Window& window) {
  const FlightRecord* gather = window.first(TraceEvent::enter_gather);
  if (gather == nullptr) return "not known";
  const TraceRecord& what = gather->what;
  const std::string who = is_about_one(what) ? name_of(what.processor.node) : "a member";
  std::string token;
  if (const TraceRecord* lost = missing_token(window)) {
    token = "the token did not come for " + in_words(lost->span);
    if (is_about_one(*lost)) {
      token += "; " + name_of(lost->processor.node) + " did not answer to it" + sent_again(*lost);
    }
  }
  switch (what.reason) {
    case Reason::token_lost:
      return token;
    case Reason::ring_present:
      return who + " was heard, which was in another ring";
    case Reason::member_leaves:
      return who + " took its leave";
    case Reason::join_came:
      return who + " asked for a new ring; " +
             (token.empty() ? "why, it knows itself" : "here " + token);
    case Reason::fails_to_receive:
      return who + " did not receive";
    default:
      return "not known";
  }
}

// What this member saw itself of one that left: of the token, of its messages, of its entries.
std::string seen_of(const Window& window, const TraceRecord& departed) {
  std::string text;
  if (const TraceRecord* lost = missing_token(window)) {
    const bool its = lost->processor == departed.processor;
    text = (its ? "token not passed on for " : "the token did not come for ") +
           in_words(lost->span) + (its ? sent_again(*lost) : "") + ", ";
  }
  text += not_heard(departed);
  if (departed.index != 0) {
    text += ", its acknowledgement stood still at " + std::to_string(departed.sequence) + ", " +
            std::to_string(departed.index) + " behind";
  }
  return text;
}

// Why the member of a TraceEvent::member_departed is gone.
std::string why_left(const Window& window, const FlightRecord& record) {
  const TraceRecord& departed = record.what;
  const FlightRecord* gather = window.first(TraceEvent::enter_gather);
  const TraceRecord* failed = window.last(TraceEvent::candidate_failed, departed.processor);
  if (failed == nullptr) {
    return window.last(TraceEvent::member_joined, departed.processor) != nullptr
               ? "it was in another ring for a while, and is back"
               : "not known why";
  }
  switch (failed->reason) {
    case Reason::said_so:
      return "it said so";
    case Reason::started_anew:
      return "its daemon had ended: it was heard to be started again";
    case Reason::refuses_me:
      return "it took this node to have failed";
    case Reason::fails_to_receive:
      return "it did not receive: its acknowledgement stood still at " +
             std::to_string(failed->sequence) + " for " + in_words(failed->span);
    case Reason::token_stops:
      return "the token did not get to it, though its messages came";
    case Reason::told:
      // Whose time is up first tells the others; who has heard nothing either knows it himself.
      if (gather != nullptr && departed.span >= record.at - gather->at)
        return seen_of(window, departed);
      return name_of(failed->teller) + " took it to have failed; it was heard here " +
             in_words(departed.span) + " before";
    case Reason::silent:
      return seen_of(window, departed);
    default:
      return "not known why";
  }
}

}  // namespace

Explanation explain(const std::vector<NodeId>& nodes, const std::vector<FlightRecord>& records,
                    std::size_t back) {
  Explanation found;
  const auto installed = [](const FlightRecord& one) {
    return one.what.event == TraceEvent::install_regular;
  };
  auto last = std::find_if(records.rbegin(), records.rend(), installed);
  for (; back > 0 && last != records.rend(); --back)
    last = std::find_if(std::next(last), records.rend(), installed);
  // The first record of all is the configuration of the start.
  if (last == records.rend() || last->number == 1) return found;
  const auto before = std::find_if(std::next(last), records.rend(), installed);
  const Window window(before.base(), std::prev(last.base()));

  found.changed = true;
  found.ring = last->what.ring;
  found.at = last->at;
  found.members = nodes_of(nodes, last->what.members);
  // Without the configuration before nobody knows what came first.
  const bool whole = before != records.rend();
  found.trigger = whole ? trigger(window) : "not known";
  const FlightRecord* gather = window.first(TraceEvent::enter_gather);
  if (whole && gather != nullptr) found.took = last->at - gather->at;
  for (const FlightRecord& one : window) {
    if (one.what.event == TraceEvent::member_departed)
      found.changes.push_back({one.what.processor, false, why_left(window, one)});
  }
  for (const FlightRecord& one : window) {
    if (one.what.event == TraceEvent::member_joined)
      found.changes.push_back({one.what.processor, true, why_came(one.what)});
  }
  return found;
}

}  // namespace evs

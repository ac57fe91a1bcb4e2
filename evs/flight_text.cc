#include "evs/flight_text.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace evs {

using base::Duration;
using base::NodeId;
using base::Processor;

namespace {

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

std::string boot_of(std::uint64_t incarnation) {
  char out[17];
  std::snprintf(out, sizeof out, "%llx", static_cast<unsigned long long>(incarnation));
  return std::string("boot ") + out;
}

}  // namespace

std::string name_of(NodeId node) {
  return "node " + base::to_string(node);
}

std::string boot_of(const Processor& processor) {
  return boot_of(base::value(processor.incarnation));
}

std::string in_words(Duration duration) {
  using std::chrono::duration_cast;
  if (duration < std::chrono::milliseconds(1))
    return number(static_cast<std::uint64_t>(
               duration_cast<std::chrono::microseconds>(duration).count())) +
           "us";
  const auto ms =
      static_cast<std::uint64_t>(duration_cast<std::chrono::milliseconds>(duration).count());
  return ms < 10000 ? number(ms) + "ms" : number(ms / 1000) + "s";
}

std::vector<NodeId> nodes_of(const std::vector<NodeId>& nodes, std::uint32_t members) {
  std::vector<NodeId> found;
  for (std::size_t i = 0; i < nodes.size() && i < 32; ++i) {
    if ((members >> i & 1) != 0) found.push_back(nodes[i]);
  }
  return found;
}

std::string nodes_in_words(const std::vector<NodeId>& nodes, std::uint32_t members) {
  std::string text = "nodes";
  for (NodeId node : nodes_of(nodes, members)) text += " " + base::to_string(node);
  return text;
}

std::string not_heard(const TraceRecord& departed) {
  if (departed.span == kNever) return "nothing was ever heard of it";
  return "nothing was heard of it for " + in_words(departed.span);
}

std::string sent_again(const TraceRecord& lost) {
  return lost.index == 0 ? "" : ", sent again " + number(lost.index) + " times";
}

bool is_about_one(const TraceRecord& record) {
  return record.processor.node != NodeId{};
}

std::string why_came(const TraceRecord& joined) {
  const std::string its_boot = boot_of(joined.processor);
  switch (joined.reason) {
    case Reason::met_at_start:
      return "this daemon has started, and found it (" + its_boot + ")";
    case Reason::started:
      return "its daemon started (" + its_boot + "), and had been alone";
    case Reason::started_again:
      return "its daemon was started again (" + its_boot + ", before: " + boot_of(joined.sequence) +
             ")";
    case Reason::back_again:
      return "it is back (" + its_boot + " as before): it was cut off, or stood still";
    default:
      return "not known why: its daemon started, or it had been cut off (" + its_boot + ")";
  }
}

std::string describe(const std::vector<NodeId>& nodes, const TraceRecord& record) {
  const std::string who = is_about_one(record) ? name_of(record.processor.node) : "";
  const std::string teller =
      record.teller == NodeId{} ? "" : " (says node " + base::to_string(record.teller) + ")";
  const std::string reason(to_string(record.reason));
  switch (record.event) {
    case TraceEvent::enter_gather:
      return reason + (who.empty() ? "" : ": " + who);
    case TraceEvent::enter_commit:
    case TraceEvent::enter_recovery:
    case TraceEvent::consensus:
    case TraceEvent::install_transitional:
    case TraceEvent::install_regular:
      return nodes_in_words(nodes, record.members);
    case TraceEvent::token_lost:
    case TraceEvent::token_awaited:
      return "none for " + in_words(record.span) +
             (who.empty() ? "" : ", not answered by " + who + sent_again(record));
    case TraceEvent::candidate_proposed:
      return who + teller;
    case TraceEvent::candidate_failed:
      return who + ": " + reason + teller;
    case TraceEvent::member_departed:
      return who + " (" + boot_of(record.processor) + "): " + not_heard(record) +
             ", its acknowledgement at " + number(record.sequence) + ", " + number(record.index) +
             " behind";
    case TraceEvent::member_joined:
      return who + ": " + why_came(record);
    case TraceEvent::acknowledgement_stands:
      return who + ": stands still at " + number(record.sequence) + " for " + in_words(record.span);
    case TraceEvent::acknowledgement_moves:
      return who + ": moves on to " + number(record.sequence) + " after " + in_words(record.span);
    case TraceEvent::retransmissions:
      return number(record.sequence) + " packets sent again in " + in_words(record.span);
    case TraceEvent::stranger_barred:
      return who + " is not heard for a while";
    default:
      return "";
  }
}

}  // namespace evs

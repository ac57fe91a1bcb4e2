#include "lockd/ring_queries.h"

#include <algorithm>
#include <string>
#include <utility>

#include "evs/explanation.h"
#include "evs/flight_text.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

// A clock that was read in another place may be a moment behind.
base::Duration not_negative(base::Duration duration) {
  return std::max(base::Duration::zero(), duration);
}

protocol::RingPeer peer_of(const evs::PeerStatus& from, const RingQueriesConfig& config) {
  protocol::RingPeer peer;
  peer.node = from.node;
  peer.self = from.node == config.node->self().node;
  peer.barred = from.barred;
  if (from.member) peer.incarnation = base::value(from.member->incarnation);
  peer.acknowledged = from.acknowledged;
  peer.heard = from.heard.has_value();
  if (from.heard) peer.heard_ago = not_negative(*from.heard);
  if (config.key_of) peer.key = config.key_of(from.node);
  return peer;
}

std::string text_of(std::string text) {
  if (text.size() > protocol::kTextBytesMax) text.resize(protocol::kTextBytesMax);
  return text;
}

}  // namespace

protocol::RingStatus answer(base::Instant now, const RingQueriesConfig& config,
                            const protocol::RingStatusQuery& query) {
  protocol::RingStatus answer;
  answer.query = query.query;
  if (config.node == nullptr) return answer;
  const evs::NodeStatus status = config.node->status(now);
  const evs::Config& limits = config.node->config();
  answer.state = static_cast<protocol::RingState>(config.node->state());
  answer.ring = config.node->regular().id;
  answer.rotation = not_negative(status.rotation.last);
  answer.rotation_average = not_negative(status.rotation.average);
  answer.rotation_longest = not_negative(status.rotation.longest);
  answer.highest = status.highest;
  answer.received = status.received;
  answer.stable = status.stable;
  answer.delivered = status.delivered;
  answer.stored = status.stored;
  answer.waiting_messages = status.waiting_messages;
  answer.waiting_bytes = status.waiting_bytes;
  answer.waiting_bytes_max = limits.send_queue_bytes_max;
  if (config.waiting_datagrams) answer.waiting_datagrams = config.waiting_datagrams();
  answer.personal_window = status.personal_window;
  answer.rotation_window = status.rotation_window;
  answer.accelerated_window = status.accelerated_window;
  answer.outstanding_max = limits.outstanding_max;
  for (const evs::PeerStatus& peer : status.peers) answer.peers.push_back(peer_of(peer, config));
  return answer;
}

protocol::RingLogPage answer(base::Instant now, const RingQueriesConfig& config,
                             const protocol::RingLogQuery& query) {
  protocol::RingLogPage page;
  page.query = query.query;
  if (config.node == nullptr) return page;
  const auto records = config.node->recorder().records(query.since, protocol::kRingEventsMax + 1);
  for (const evs::FlightRecord& record : records) {
    if (page.events.size() == protocol::kRingEventsMax) {
      page.more = true;
      break;
    }
    protocol::RingEvent event;
    event.number = record.number;
    event.ago = not_negative(now.boot - record.at);
    event.lasted = not_negative(record.last_at - record.at);
    event.times = record.times;
    event.event = evs::to_string(record.what.event);
    event.ring = record.what.ring;
    event.node = record.what.processor.node;
    event.text = text_of(evs::describe(config.node->config().nodes, record.what));
    page.events.push_back(std::move(event));
  }
  return page;
}

protocol::Why answer(base::Instant now, const RingQueriesConfig& config,
                     const protocol::WhyQuery& query) {
  protocol::Why answer;
  answer.query = query.query;
  if (config.node == nullptr) return answer;
  const evs::Explanation explained =
      evs::explain(config.node->config().nodes, config.node->recorder().records(), query.back);
  answer.changed = explained.changed;
  if (!explained.changed) return answer;
  answer.ring = explained.ring;
  answer.ago = not_negative(now.boot - explained.at);
  answer.took = not_negative(explained.took);
  answer.trigger = text_of(explained.trigger);
  for (base::NodeId node : explained.members) answer.members.push_back(node);
  for (const evs::MemberChange& change : explained.changes) {
    if (answer.changes.size() == protocol::kMembersMax) break;
    answer.changes.push_back({change.processor, change.came, text_of(change.why)});
  }
  return answer;
}

}  // namespace lockd

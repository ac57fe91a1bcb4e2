#include "lockd/instances.h"

#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace lockd {

namespace protocol = liblock::protocol;

namespace {

static_assert(protocol::kEvsGroupsMax == evs::kGroupsMax);
static_assert(protocol::kEvsPayloadBytesMax == evs::kGroupPayloadBytesMax);
static_assert(protocol::kMembersMax >= evs::kMembersMax);

// Credit is told in portions of the window, and when nothing waits any more.
constexpr std::uint64_t kCreditPortion = protocol::kEvsWindow / 8;

evs::ReceiverId receiver(ConnectionId connection) {
  return evs::ReceiverId{static_cast<std::uint64_t>(connection)};
}

}  // namespace

base::Result<void, OpenInstanceError> Instances::open(ConnectionId connection, std::uint32_t uid) {
  if (instances_.size() >= config_.instances_max) return base::error(OpenInstanceError::too_many);
  std::size_t& of_user = of_user_[uid];
  if (of_user >= config_.instances_per_user_max) {
    return base::error(OpenInstanceError::too_many_of_user);
  }
  ++of_user;
  Instance instance;
  instance.uid = uid;
  const bool fresh = instances_.emplace(connection, std::move(instance)).second;
  CHECK(fresh);
  return {};
}

bool Instances::join(ConnectionId connection, std::span<const base::GroupKey> groups) {
  return groups_.join(receiver(connection), groups);
}

void Instances::leave(ConnectionId connection, std::span<const base::GroupKey> groups) {
  groups_.leave(receiver(connection), groups);
}

bool Instances::multicast(ConnectionId connection, const protocol::EvsMulticast& message) {
  Instance& instance = instances_.at(connection);
  const std::uint64_t cost = protocol::evs_cost(message.groups.size(), message.payload.size());
  const bool room = instance.given - instance.taken + cost <= protocol::kEvsWindow;
  if (!room && !MUTANT("groups_window_ignored")) return false;
  instance.given += cost;
  Waiting waiting{static_cast<evs::Service>(message.guarantee), cost, {}};
  evs::encode_group_message(message.groups, message.payload, waiting.message);
  if (instance.waiting.empty()) turns_.push_back(connection);
  instance.waiting.push_back(std::move(waiting));
  return true;
}

void Instances::mute(ConnectionId connection) {
  const auto found = instances_.find(connection);
  if (found == instances_.end()) return;
  found->second.muted = true;
  flow_.forget(connection);
  groups_.leave_all(receiver(connection));
  credits_.erase(connection);
}

void Instances::close(ConnectionId connection) {
  mute(connection);
  const auto found = instances_.find(connection);
  if (found == instances_.end()) return;
  found->second.closed = true;
  if (found->second.waiting.empty()) remove(connection);
}

void Instances::remove(ConnectionId connection) {
  const auto found = instances_.find(connection);
  const auto of_user = of_user_.find(found->second.uid);
  if (--of_user->second == 0) of_user_.erase(of_user);
  instances_.erase(found);
}

void Instances::watch_readers(Instant now, const std::function<std::size_t(ConnectionId)>& unread) {
  now_ = now;
  for (const auto& [connection, instance] : instances_) {
    if (!instance.muted) flow_.unread(now, connection, unread(connection));
  }
}

std::optional<base::Buffer> Instances::poll_word() {
  const std::optional<bool> pause = flow_.poll_word(now_);
  if (!pause) return std::nullopt;
  if (*pause) ++statistics_.pauses;
  return GroupFlow::encode(*pause);
}

void Instances::on_word(Instant now, const base::Processor& sender, base::Bytes word) {
  const std::optional<bool> pause = GroupFlow::decode(word);
  if (!pause) {
    ++statistics_.malformed;
    return;
  }
  flow_.hear(now, sender, *pause);
}

std::optional<GroupMulticast> Instances::poll_multicast(std::size_t room) {
  if (turns_.empty() || !flow_.open(now_)) return std::nullopt;
  if (room + config_.ring_backlog_bytes < config_.ring_queue_bytes_max) return std::nullopt;
  const ConnectionId connection = turns_.front();
  Instance& instance = instances_.at(connection);
  // A byte more says whose message it is (lockd/payload_kind.h).
  if (instance.waiting.front().message.size() + 1 > room) return std::nullopt;
  turns_.pop_front();
  Waiting next = std::move(instance.waiting.front());
  instance.waiting.pop_front();
  instance.taken += next.cost;
  ++statistics_.sent;
  if (!instance.waiting.empty()) turns_.push_back(connection);
  if (instance.closed && instance.waiting.empty()) {
    remove(connection);
  } else {
    credit(connection, instance);
  }
  return GroupMulticast{next.service, std::move(next.message)};
}

void Instances::credit(ConnectionId connection, Instance& instance) {
  const bool due = instance.waiting.empty() || instance.taken - instance.told >= kCreditPortion;
  if (due && !instance.muted) credits_.insert(connection);
}

std::optional<InstanceNews> Instances::poll_credit() {
  if (credits_.empty()) return std::nullopt;
  const ConnectionId connection = *credits_.begin();
  credits_.erase(credits_.begin());
  Instance& instance = instances_.at(connection);
  instance.told = instance.taken;
  return InstanceNews{{connection}, protocol::EvsCredit{instance.taken}};
}

const InstanceNews* Instances::on_delivery(const evs::Delivery& delivery, base::Bytes message) {
  if (!evs::decode_group_message(message, delivered_)) {
    ++statistics_.malformed;
    return nullptr;
  }
  const std::vector<evs::ReceiverId>& receivers = groups_.receivers(delivered_.groups);
  if (receivers.empty()) return nullptr;
  ++statistics_.delivered;
  InstanceNews& news = delivery_news_;
  news.to.clear();
  for (const evs::ReceiverId to : receivers) news.to.push_back(ConnectionId{base::value(to)});
  protocol::EvsDeliveryView told;
  told.sender = delivery.sender;
  told.ring = delivery.ring;
  told.sequence = delivery.sequence;
  told.index = delivery.index;
  told.guarantee = static_cast<protocol::Guarantee>(delivery.service);
  told.groups = delivered_.groups;
  told.payload = delivered_.payload;
  news.response = told;
  return &news;
}

InstanceNews Instances::on_configuration(const evs::ConfigurationChange& change) {
  flow_.forget_words();
  const bool regular = change.configuration.kind == evs::ConfigurationKind::regular;
  configuration_ = {regular ? protocol::EvsKind::regular : protocol::EvsKind::transitional,
                    change.configuration.id, change.configuration.members, change.departed,
                    change.joined};
  InstanceNews news{{}, configuration_};
  // To an instance that begins later nobody has left or joined.
  configuration_.left.clear();
  configuration_.joined.clear();
  for (const auto& [connection, instance] : instances_) {
    if (!instance.muted) news.to.push_back(connection);
  }
  return news;
}

void Instances::check_invariants() const {
  CHECK(instances_.size() <= config_.instances_max);
  std::size_t waiting = 0;
  for (const auto& [connection, instance] : instances_) {
    CHECK(instance.given - instance.taken <= protocol::kEvsWindow);
    CHECK(!instance.closed || instance.muted);
    CHECK(!instance.closed || !instance.waiting.empty());
    waiting += instance.waiting.empty() ? 0 : 1;
  }
  CHECK(turns_.size() == waiting);
}

}  // namespace lockd

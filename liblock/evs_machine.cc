#include "liblock/evs_machine.h"

#include <algorithm>
#include <utility>

namespace liblock {
namespace {

std::uint64_t size_of(const EvsEvent& event) {
  const auto* delivery = std::get_if<KeptDelivery>(&event);
  if (delivery == nullptr) return protocol::evs_cost(0, 0);
  return protocol::evs_cost(delivery->view().groups.size(), delivery->view().payload.size());
}

bool in_range(std::span<const base::GroupKey> groups) {
  return !groups.empty() && groups.size() <= protocol::kEvsGroupsMax;
}

}  // namespace

KeptDelivery::KeptDelivery(const protocol::EvsDeliveryView& delivery) : delivery_(delivery) {
  const base::Bytes groups = std::as_bytes(delivery.groups);
  bytes_.reserve(groups.size() + delivery.payload.size());
  bytes_.insert(bytes_.end(), groups.begin(), groups.end());
  bytes_.insert(bytes_.end(), delivery.payload.begin(), delivery.payload.end());
  delivery_.groups = base::group_keys(base::Bytes(bytes_).first(groups.size()));
  delivery_.payload = base::Bytes(bytes_).subspan(groups.size());
}

EvsMachine::EvsMachine(const protocol::Instance& instance, std::string command)
    : instance_(instance), command_(std::move(command)) {
  command_.resize(std::min(command_.size(), protocol::kCommandBytesMax));
}

void EvsMachine::handle_connected(base::Instant now) {
  protocol::Hello hello;
  hello.kind = protocol::HelloKind::evs;
  hello.instance = instance_;
  hello.command = command_;
  hello.stamp = now;
  protocol::encode(protocol::Request{std::move(hello)}, out_);
}

void EvsMachine::handle_bytes(base::Bytes bytes) {
  cutter_.append(bytes);
  while (!end_) {
    const auto content = cutter_.next();
    if (!content) return finish({EvsEnd::Why::not_understood, {}, {}});
    if (!content->has_value()) return;
    if (const auto delivery = protocol::decode_evs_delivery(**content)) {
      on(*delivery);
      continue;
    }
    auto response = protocol::decode_response(**content);
    if (!response) return finish({EvsEnd::Why::not_understood, {}, {}});
    std::visit([this](auto&& one) { on(std::move(one)); }, std::move(*response));
  }
}

void EvsMachine::handle_disconnected() {
  finish({EvsEnd::Why::disconnected, {}, {}});
}

void EvsMachine::finish(EvsEnd end) {
  if (!end_) end_ = std::move(end);
}

// ---- What the daemon says ----

void EvsMachine::on(protocol::EvsWelcome&& welcome) {
  self_ = welcome.self;
  window_ = welcome.window;
}

void EvsMachine::on(protocol::EvsDone&& done) {
  answered_ = std::max(answered_, done.query);
}

void EvsMachine::on(protocol::EvsCredit&& credit) {
  // More than was sent cannot have been taken.
  if (credit.taken > given_) return finish({EvsEnd::Why::not_understood, {}, {}});
  taken_ = std::max(taken_, credit.taken);
}

void EvsMachine::on(const protocol::EvsDeliveryView& delivery) {
  // The stream begins with a configuration.
  if (!configured_) return finish({EvsEnd::Why::not_understood, {}, {}});
  keep(KeptDelivery(delivery));
}

void EvsMachine::on(protocol::EvsConfiguration&& configuration) {
  configured_ = true;
  keep(std::move(configuration));
}

void EvsMachine::on(protocol::Refused&& refused) {
  finish({EvsEnd::Why::refused, refused.error, std::move(refused.advice)});
}

// ---- Events ----

void EvsMachine::keep(EvsEvent event) {
  kept_bytes_ += size_of(event);
  events_.push_back(std::move(event));
  if (kept_bytes_ > kKeptBytesMax) finish({EvsEnd::Why::not_dispatched, {}, {}});
}

EvsEvent EvsMachine::take_event() {
  if (writable()) {
    wants_room_ = false;
    return EvsWritable{};
  }
  EvsEvent event = std::move(events_.front());
  kept_bytes_ -= size_of(event);
  events_.pop_front();
  return event;
}

// ---- Requests ----

base::Result<void, EvsError> EvsMachine::multicast(protocol::Guarantee guarantee,
                                                   std::span<const base::GroupKey> groups,
                                                   base::Bytes payload) {
  if (end_) return base::error(EvsError::ended);
  if (!in_range(groups) || payload.size() > protocol::kEvsPayloadBytesMax ||
      guarantee > protocol::Guarantee::safe) {
    return base::error(EvsError::invalid);
  }
  const std::uint64_t cost = protocol::evs_cost(groups.size(), payload.size());
  if (given_ - taken_ + cost > window_) {
    wants_room_ = true;
    return base::error(EvsError::try_again);
  }
  given_ += cost;
  protocol::encode(protocol::EvsMulticastView{guarantee, groups, payload}, out_);
  return {};
}

base::Result<void, EvsError> EvsMachine::multicast_joined(protocol::Guarantee guarantee,
                                                          base::Bytes payload) {
  if (end_) return base::error(EvsError::ended);
  if (joined_.empty()) return base::error(EvsError::not_joined);
  const std::vector<base::GroupKey> groups(joined_.begin(), joined_.end());
  return multicast(guarantee, groups, payload);
}

base::Result<std::uint32_t, EvsError> EvsMachine::join(std::span<const base::GroupKey> groups) {
  if (end_) return base::error(EvsError::ended);
  if (!in_range(groups)) return base::error(EvsError::invalid);
  std::set<base::GroupKey> all = joined_;
  all.insert(groups.begin(), groups.end());
  if (all.size() > protocol::kEvsGroupsMax) return base::error(EvsError::limit);
  joined_ = std::move(all);
  protocol::encode(protocol::Request{protocol::EvsJoin{++asked_, {groups.begin(), groups.end()}}},
                   out_);
  return asked_;
}

base::Result<std::uint32_t, EvsError> EvsMachine::leave(std::span<const base::GroupKey> groups) {
  if (end_) return base::error(EvsError::ended);
  if (!in_range(groups)) return base::error(EvsError::invalid);
  for (const base::GroupKey& group : groups) {
    if (joined_.count(group) == 0) return base::error(EvsError::not_joined);
  }
  for (const base::GroupKey& group : groups) joined_.erase(group);
  protocol::encode(protocol::Request{protocol::EvsLeave{++asked_, {groups.begin(), groups.end()}}},
                   out_);
  return asked_;
}

}  // namespace liblock

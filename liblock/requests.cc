#include "liblock/requests.h"

#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace liblock {
namespace {

std::uint64_t ids_of(const Command& command) {
  const auto* all = std::get_if<AcquireAllCommand>(&command);
  return all == nullptr ? 1 : all->parts.size();
}

// Of what takes something back.
std::optional<RequestId> target_of(const Command& command) {
  if (const auto* cancel = std::get_if<CancelCommand>(&command)) return cancel->target;
  if (const auto* withdraw = std::get_if<BarrierWithdrawCommand>(&command))
    return withdraw->arrival;
  return std::nullopt;
}

template <typename... Kinds>
bool is_any(const Command& command) {
  return (std::holds_alternative<Kinds>(command) || ...);
}

RequestId after(RequestId id, std::uint64_t count) {
  return RequestId{base::value(id) + count};
}

}  // namespace

RequestId Requests::add(Command command) {
  const RequestId id = after(last_, 1);
  last_ = after(last_, ids_of(command));
  if (const auto target = target_of(command)) cancelling_.insert(*target);
  insert(id, Entry{std::move(command)});
  return id;
}

void Requests::add_again(RequestId id, Command command) {
  Entry entry{std::move(command)};
  entry.again = true;
  insert(id, std::move(entry));
}

void Requests::insert(RequestId id, Entry entry) {
  entry.ids = ids_of(entry.command);
  const auto [at, added] = entries_.emplace(id, std::move(entry));
  CHECK(added);
  count(at->second, true);
  unsend(id, at->second);
  unanswered_.insert(id);
}

// Null for what ends something that is counted itself.
std::size_t* Requests::counter_of(const Command& command) {
  if (is_any<AcquireCommand, AcquireAllCommand>(command)) return &acquires_;
  if (is_any<ConvertCommand>(command)) return &conversions_;
  if (is_any<BarrierArriveCommand>(command)) return &arrivals_;
  if (is_any<BarrierCommand>(command)) return &barrier_operations_;
  if (is_any<DropOrphansCommand, JoinCommand, LeaveCommand>(command)) return &others_;
  return nullptr;
}

void Requests::count(const Entry& entry, bool come) {
  std::size_t* counter = counter_of(entry.command);
  if (counter == nullptr) return;
  const auto move = [come](std::size_t& counted, std::size_t by) {
    counted = come ? counted + by : counted - by;
  };
  move(*counter, entry.ids);
  const auto* arrive = std::get_if<BarrierArriveCommand>(&entry.command);
  if (arrive != nullptr && arrive->config.two_steps) move(two_step_arrivals_, 1);
}

void Requests::unsend(RequestId id, Entry& entry) {
  entry.sent = false;
  entry.parts = 0;
  unsent_.insert(id);
  if (entry.again) unsent_again_.insert(id);
}

// The entry that the id belongs to.
Requests::Entries::const_iterator Requests::at(RequestId id) const {
  auto next = entries_.upper_bound(id);
  if (next == entries_.begin()) return entries_.end();
  const auto found = std::prev(next);
  return id < after(found->first, found->second.ids) ? found : entries_.end();
}

Command* Requests::find(RequestId id) {
  const auto found = at(id);
  return found == entries_.end() ? nullptr : &entries_.at(found->first).command;
}

RequestId Requests::first_id(RequestId id) const {
  const auto found = at(id);
  CHECK(found != entries_.end());
  return found->first;
}

bool Requests::seen(RequestId id) const {
  const auto found = at(id);
  return found != entries_.end() && found->second.seen;
}

void Requests::on_answered(RequestId id) {
  const RequestId first = first_id(id);
  Entry& entry = entries_.at(first);
  if (!entry.sent || entry.answered()) return;
  entry.parts |= std::uint64_t{1} << (base::value(id) - base::value(first));
  if (!entry.answered()) return;
  in_flight_ -= entry.ids;
  unanswered_.erase(first);
}

void Requests::resolve(RequestId id) {
  const auto found = at(id);
  CHECK(found != entries_.end());
  const Entry& entry = found->second;
  if (entry.sent && !entry.answered()) in_flight_ -= entry.ids;
  count(entry, false);
  if (const auto target = target_of(entry.command)) cancelling_.erase(*target);
  unsent_.erase(found->first);
  unsent_again_.erase(found->first);
  unanswered_.erase(found->first);
  entries_.erase(found);
}

void Requests::on_disconnected() {
  in_flight_ = 0;
  for (auto& [id, entry] : entries_) unsend(id, entry);
  if (MUTANT("client_resends_with_new_request_id")) {
    for (RequestId id : ids()) {
      if (!seen(id) || find<ConvertCommand>(id) != nullptr) continue;
      const Command again = *find(id);
      resolve(id);
      add(again);
    }
  }
}

void Requests::on_new_session() {
  in_flight_ = 0;
  for (auto& [id, entry] : entries_) {
    entry.seen = false;
    unsend(id, entry);
    unanswered_.insert(id);
  }
}

bool Requests::in_window(RequestId id, std::uint64_t ids) const {
  const std::uint64_t last = base::value(id) + ids - 1;
  const std::uint64_t mark = base::value(acknowledged());
  return last <= mark || last - mark <= protocol::kRequestWindow;
}

std::optional<Requests::Outgoing> Requests::send_next() {
  if (unsent_.empty()) return std::nullopt;
  RequestId id = *unsent_.begin();
  if (!unsent_again_.empty() && in_window(*unsent_again_.begin(), 1)) id = *unsent_again_.begin();
  Entry& entry = entries_.at(id);
  if (in_flight_ + entry.ids > protocol::kInFlightMax || !in_window(id, entry.ids)) {
    return std::nullopt;
  }
  unsent_.erase(id);
  unsent_again_.erase(id);
  entry.seen = entry.sent = true;
  in_flight_ += entry.ids;
  return Outgoing{id, acknowledged(), &entry.command};
}

RequestId Requests::acknowledged() const {
  return unanswered_.empty() ? last_ : RequestId{base::value(*unanswered_.begin()) - 1};
}

std::vector<RequestId> Requests::ids() const {
  std::vector<RequestId> all;
  all.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) all.push_back(id);
  return all;
}

}  // namespace liblock

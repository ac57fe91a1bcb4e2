#include "liblock/requests.h"

#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace liblock {

RequestId Requests::add(Command command) {
  last_ = RequestId{base::value(last_) + 1};
  if (std::holds_alternative<AcquireCommand>(command)) ++acquires_;
  if (const auto* cancel = std::get_if<CancelCommand>(&command))
    cancelling_.insert(cancel->acquire);
  entries_.emplace(last_, Entry{std::move(command)});
  unsent_.insert(last_);
  unanswered_.insert(last_);
  return last_;
}

Command* Requests::find(RequestId id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.command;
}

AcquireCommand* Requests::find_acquire(RequestId id) {
  Command* command = find(id);
  return command == nullptr ? nullptr : std::get_if<AcquireCommand>(command);
}

bool Requests::seen(RequestId id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.seen;
}

void Requests::on_queued(RequestId id) {
  Entry& entry = entries_.at(id);
  if (!entry.sent || entry.answered) return;
  entry.answered = true;
  --in_flight_;
  unanswered_.erase(id);
}

void Requests::resolve(RequestId id) {
  const auto found = entries_.find(id);
  CHECK(found != entries_.end());
  const Entry& entry = found->second;
  if (entry.sent && !entry.answered) --in_flight_;
  if (std::holds_alternative<AcquireCommand>(entry.command)) --acquires_;
  if (const auto* cancel = std::get_if<CancelCommand>(&entry.command)) {
    cancelling_.erase(cancel->acquire);
  }
  unsent_.erase(id);
  unanswered_.erase(id);
  entries_.erase(found);
}

void Requests::on_disconnected() {
  in_flight_ = 0;
  for (auto& [id, entry] : entries_) {
    entry.sent = entry.answered = false;
    unsent_.insert(id);
  }
  if (MUTANT("client_resends_with_new_request_id")) {
    for (RequestId id : ids()) {
      if (!seen(id)) continue;
      const Command again = *find(id);
      resolve(id);
      add(again);
    }
  }
}

void Requests::on_new_session() {
  in_flight_ = 0;
  for (auto& [id, entry] : entries_) {
    CHECK(std::holds_alternative<AcquireCommand>(entry.command));
    entry.seen = entry.sent = entry.answered = false;
    unsent_.insert(id);
    unanswered_.insert(id);
  }
}

std::optional<Requests::Outgoing> Requests::send_next() {
  if (unsent_.empty() || in_flight_ >= protocol::kInFlightMax) return std::nullopt;
  const RequestId id = *unsent_.begin();
  const RequestId mark = acknowledged();
  if (id > mark && base::value(id) - base::value(mark) > protocol::kRequestWindow) {
    return std::nullopt;
  }
  unsent_.erase(unsent_.begin());
  Entry& entry = entries_.at(id);
  entry.seen = entry.sent = true;
  ++in_flight_;
  return Outgoing{id, mark, &entry.command};
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

#include <liblock/barrier.h>

#include <cstring>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

#include "liblock/arguments.h"
#include "liblock/barrier_outcome.h"
#include "liblock/handle.h"

namespace {

using liblock::BarrierArrival;
using liblock::BarrierCallback;
using liblock::BarrierEnd;
using liblock::guarded;
using namespace liblock::protocol;

constexpr unsigned kFlags = LOCK_BARRIER_TWO_STEPS | LOCK_BARRIER_KEEP;

// A C program may have put any number there, which is no value of the type here.
template <typename Word>
unsigned number_of(const Word& word) {
  static_assert(sizeof(Word) == sizeof(unsigned));
  unsigned number = 0;
  std::memcpy(&number, &word, sizeof number);
  return number;
}

// Which barrier; none if `given` is no such struct.
std::optional<BarrierArrival> named(const lock_barrier* given) {
  const auto barrier = liblock::read_sized<lock_barrier>(given);
  if (!barrier) return std::nullopt;
  return BarrierArrival{liblock::lockspace_of(barrier->lockspace),
                        liblock::name_of(barrier->name, barrier->name_len),
                        {},
                        {}};
}

// And what it is to be.
std::optional<BarrierArrival> described(const lock_barrier* given) {
  std::optional<BarrierArrival> arrival = named(given);
  if (!arrival) return std::nullopt;
  const lock_barrier barrier = *liblock::read_sized<lock_barrier>(given);
  const bool known = (barrier.flags & ~kFlags) == 0 &&
                     number_of(barrier.unit) <= LOCK_BARRIER_NODES &&
                     number_of(barrier.on_death) <= LOCK_BARRIER_WAIT;
  if (!known) return std::nullopt;
  BarrierConfig& config = arrival->config;
  config.parties = barrier.parties;
  config.unit = static_cast<BarrierUnit>(barrier.unit);
  config.on_death = static_cast<BarrierOnDeath>(barrier.on_death);
  config.two_steps = (barrier.flags & LOCK_BARRIER_TWO_STEPS) != 0;
  config.auto_delete = (barrier.flags & LOCK_BARRIER_KEEP) == 0;
  config.patience = barrier.patience_ms;
  return arrival;
}

// With what this participant brings along.
std::optional<BarrierArrival> arrival_of(const lock_barrier* barrier, const void* value,
                                         size_t value_len) {
  if (value == nullptr && value_len > 0) return std::nullopt;
  std::optional<BarrierArrival> arrival = described(barrier);
  if (arrival) arrival->value = liblock::name_of(value, value_len);
  return arrival;
}

// `ask` answers an error, and sets the end of the step if there is one.
template <typename Ask>
int tell(lock_client* client, lock_barrier_outcome** outcome, Ask ask) {
  if (outcome != nullptr) *outcome = nullptr;
  return guarded(client, [&] {
    std::optional<BarrierEnd> end;
    const int error = ask(end);
    if (outcome != nullptr && end) *outcome = new liblock::COutcome(std::move(*end));
    return error;
  });
}

lock_barrier_round round_of(const std::optional<BarrierRound>& from) {
  if (!from) return {};
  return {base::value(from->generation), from->arrived, from->missing};
}

lock_barrier_item item_of(const BarrierItem& from) {
  lock_barrier_item item{};
  item.size = sizeof item;
  item.about.size = sizeof item.about;
  item.about.lockspace = from.lockspace.c_str();
  item.about.name = from.barrier.c_str();
  item.about.name_len = from.barrier.size();
  item.about.parties = from.config.parties;
  item.about.unit = static_cast<lock_barrier_unit>(from.config.unit);
  item.about.on_death = static_cast<lock_barrier_on_death>(from.config.on_death);
  item.about.flags = (from.config.two_steps ? LOCK_BARRIER_TWO_STEPS : 0) |
                     (from.config.auto_delete ? 0 : LOCK_BARRIER_KEEP);
  item.about.patience_ms = from.config.patience;
  item.entering = round_of(from.entering);
  item.inside = round_of(from.inside);
  return item;
}

int visit_all(lock_client* client, BarriersQuery question, lock_barrier_visit_fn* visit,
              void* arg) {
  for (;;) {
    const auto answer = client->client.query(question);
    if (!answer) return answer.error();
    const auto* page = std::get_if<BarriersPage>(&*answer);
    if (page == nullptr || (page->more && page->items.empty())) return LOCK_ERROR_PROTOCOL;
    for (const BarrierItem& from : page->items) {
      // A listing that does not move on would never end.
      if (std::tie(from.lockspace, from.barrier) <=
          std::tie(question.after_lockspace, question.after_barrier)) {
        return LOCK_ERROR_PROTOCOL;
      }
      question.after_lockspace = from.lockspace;
      question.after_barrier = from.barrier;
      const lock_barrier_item item = item_of(from);
      if (const int stop = visit(&item, arg)) return stop;
    }
    if (!page->more) return 0;
  }
}

}  // namespace

extern "C" {

void lock_barrier_outcome_free(lock_barrier_outcome* outcome) {
  delete static_cast<liblock::COutcome*>(outcome);
}

int lock_barrier_wait(lock_client* client, const lock_barrier* barrier, const void* value,
                      size_t value_len, int timeout_ms, lock_barrier_outcome** outcome) {
  return tell(client, outcome, [&](std::optional<BarrierEnd>& end) {
    const auto arrival = arrival_of(barrier, value, value_len);
    if (!arrival) return int{LOCK_ERROR_INVALID};
    return client->client.wait_at_barrier(*arrival, liblock::timeout_of(timeout_ms), end);
  });
}

int lock_barrier_arrive(lock_client* client, const lock_barrier* barrier, const void* value,
                        size_t value_len, uint64_t* arrival) {
  return guarded(client, [&] {
    const auto asked = arrival_of(barrier, value, value_len);
    if (!asked || arrival == nullptr) return int{LOCK_ERROR_INVALID};
    return client->client.arrive(*asked, std::nullopt, arrival);
  });
}

int lock_barrier_await(lock_client* client, uint64_t arrival, int timeout_ms,
                       lock_barrier_outcome** outcome) {
  return tell(client, outcome, [&](std::optional<BarrierEnd>& end) {
    return client->client.await_barrier(arrival, liblock::timeout_of(timeout_ms), end);
  });
}

int lock_barrier_leave(lock_client* client, uint64_t generation, const void* value,
                       size_t value_len, int timeout_ms, lock_barrier_outcome** outcome) {
  return tell(client, outcome, [&](std::optional<BarrierEnd>& end) {
    if (value == nullptr && value_len > 0) return int{LOCK_ERROR_INVALID};
    return client->client.leave_barrier(generation, liblock::name_of(value, value_len),
                                        liblock::timeout_of(timeout_ms), end);
  });
}

int lock_barrier_wait_async(lock_client* client, const lock_barrier* barrier, const void* value,
                            size_t value_len, lock_barrier_fn* callback, void* arg,
                            uint64_t* arrival) {
  return guarded(client, [&] {
    const auto asked = arrival_of(barrier, value, value_len);
    if (!asked || callback == nullptr) return int{LOCK_ERROR_INVALID};
    return client->client.arrive(*asked, BarrierCallback{callback, arg}, arrival);
  });
}

int lock_barrier_leave_async(lock_client* client, uint64_t generation, const void* value,
                             size_t value_len, lock_barrier_fn* callback, void* arg) {
  return guarded(client, [&] {
    if (callback == nullptr || (value == nullptr && value_len > 0)) return int{LOCK_ERROR_INVALID};
    return client->client.leave_barrier_async(generation, liblock::name_of(value, value_len),
                                              {callback, arg});
  });
}

int lock_barrier_withdraw(lock_client* client, uint64_t arrival) {
  return guarded(client, [&] { return client->client.withdraw(arrival); });
}

int lock_on_barrier_broken(lock_client* client, lock_barrier_broken_fn* callback, void* arg) {
  return guarded(client, [&] {
    client->client.on_barrier_broken(callback, arg);
    return 0;
  });
}

int lock_barrier_create(lock_client* client, const lock_barrier* barrier) {
  return guarded(client, [&] {
    const auto wanted = described(barrier);
    if (!wanted) return int{LOCK_ERROR_INVALID};
    return client->client.create_barrier(wanted->lockspace, wanted->barrier, wanted->config);
  });
}

int lock_barrier_change(lock_client* client, const lock_barrier* barrier,
                        enum lock_barrier_attribute attribute, unsigned value) {
  return guarded(client, [&] {
    const auto about = named(barrier);
    const bool known =
        static_cast<unsigned>(attribute) <= unsigned{LOCK_BARRIER_ATTRIBUTE_PATIENCE_MS};
    if (!about || !known) return int{LOCK_ERROR_INVALID};
    // What is kept is not deleted by itself; other numbers than 0 and 1 stay none of the two.
    const bool keep = attribute == LOCK_BARRIER_ATTRIBUTE_KEEP;
    return client->client.change_barrier(about->lockspace, about->barrier,
                                         static_cast<BarrierAttribute>(attribute),
                                         keep ? value ^ 1u : value);
  });
}

int lock_barrier_cancel(lock_client* client, const lock_barrier* barrier) {
  return guarded(client, [&] {
    const auto about = named(barrier);
    if (!about) return int{LOCK_ERROR_INVALID};
    return client->client.cancel_barrier(about->lockspace, about->barrier);
  });
}

int lock_barrier_delete(lock_client* client, const lock_barrier* barrier, int force) {
  return guarded(client, [&] {
    const auto about = named(barrier);
    if (!about) return int{LOCK_ERROR_INVALID};
    return client->client.delete_barrier(about->lockspace, about->barrier, force != 0);
  });
}

int lock_barriers(lock_client* client, const char* lockspace, lock_barrier_visit_fn* visit,
                  void* arg) {
  return guarded(client, [&] {
    BarriersQuery question;
    if (lockspace != nullptr) question.lockspace = lockspace;
    return visit == nullptr ? int{LOCK_ERROR_INVALID}
                            : visit_all(client, std::move(question), visit, arg);
  });
}

}  // extern "C"

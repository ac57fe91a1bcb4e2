#include <liblock/request.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "liblock/arguments.h"
#include "liblock/copy_steps.h"
#include "liblock/copy_text.h"
#include "liblock/handle.h"
#include "liblock/thread_number.h"

namespace {

using liblock::guarded;
using liblock::Notify;

static_assert(LOCK_FLAG_TRY == base::lock_flag::no_queue);
static_assert(LOCK_FLAG_NOTIFY == base::lock_flag::notify);
static_assert(LOCK_FLAG_FORCE == base::lock_flag::force);
static_assert(LOCK_NOTE_OTHER_MODE == base::grant_note::other_mode);
static_assert(LOCK_VALUE_SIZE == sizeof(base::ValueBlock));
static_assert(LOCK_PARTS_MAX == liblock::protocol::kPartsMax);
static_assert(LOCK_DEADLOCK_STEPS_MAX == liblock::protocol::kDeadlockStepsMax);

enum class Form { blocking, asynchronous };

// As it goes over the wire; none if it is none that a program may choose.
std::optional<std::uint64_t> owner_of(std::uint64_t owner, Form form) {
  const bool thread =
      owner == LOCK_OWNER_THREAD || (owner == LOCK_OWNER_DEFAULT && form == Form::blocking);
  if (thread) return liblock::thread_number();
  if (owner == LOCK_OWNER_NONE) return 0;
  if (owner >= liblock::kThreadNumbers) return std::nullopt;
  return owner;
}

// Asked for by naming whom to notify, and in no other way.
std::optional<unsigned> flags_of(unsigned flags, lock_notify_fn* notify) {
  if (notify != nullptr) return flags | LOCK_FLAG_NOTIFY;
  return (flags & LOCK_FLAG_NOTIFY) != 0 ? std::nullopt : std::optional(flags);
}

// Not to wait is to try; what is granted or refused at once in any case stays as it is.
unsigned with_timeout(unsigned flags, int timeout_ms) {
  constexpr unsigned kAtOnce = LOCK_FLAG_EXPEDITE | LOCK_FLAG_ORPHAN;
  return timeout_ms == 0 && (flags & kAtOnce) == 0 ? flags | LOCK_FLAG_TRY : flags;
}

liblock::Client::Timeout timeout_of(int timeout_ms) {
  return timeout_ms == 0 ? std::nullopt : liblock::timeout_of(timeout_ms);
}

struct Request {
  liblock::LockRequest wire;
  Notify notify;
};

std::optional<Request> request_of(const void* request, Form form, int timeout_ms) {
  const auto given = liblock::read_sized<lock_request>(request);
  if (!given) return std::nullopt;
  const auto owner = owner_of(given->owner, form);
  const auto flags = flags_of(given->flags, given->notify);
  if (!owner || !flags) return std::nullopt;
  Request read;
  read.wire = {liblock::lockspace_of(given->lockspace),
               liblock::name_of(given->name, given->name_len),
               liblock::mode_of(given->mode),
               with_timeout(*flags, timeout_ms),
               *owner,
               given->patience_ms};
  read.notify = {given->notify, given->notify_arg};
  return read;
}

struct All {
  liblock::AllRequest wire;
  std::vector<Notify> notify;
};

// Of an array whose elements are as large as the first one says.
std::optional<All> all_of(const lock_request* requests, std::size_t count, Form form,
                          int timeout_ms) {
  if (requests == nullptr || count == 0 || count > LOCK_PARTS_MAX) return std::nullopt;
  All all;
  for (std::size_t i = 0; i < count; ++i) {
    const auto* at = reinterpret_cast<const char*>(requests) + i * requests->size;
    const auto part = request_of(at, form, timeout_ms);
    if (!part) return std::nullopt;
    const unsigned flags = part->wire.flags & ~unsigned{LOCK_FLAG_NOTIFY};
    if (i == 0) {
      all.wire.flags = flags;
      all.wire.owner = part->wire.owner;
      all.wire.patience = part->wire.patience;
    } else if ((all.wire.flags & ~unsigned{LOCK_FLAG_NOTIFY}) != flags ||
               all.wire.owner != part->wire.owner || all.wire.patience != part->wire.patience) {
      return std::nullopt;
    }
    all.wire.flags |= part->wire.flags;
    all.wire.parts.push_back(
        {part->wire.mode, std::string(part->wire.lockspace), std::string(part->wire.resource)});
    all.notify.push_back(part->notify);
  }
  return all;
}

std::optional<base::ValueBlock> value_of(const void* value) {
  if (value == nullptr) return std::nullopt;
  base::ValueBlock block;
  std::copy_n(static_cast<const std::byte*>(value), block.size(), block.begin());
  return block;
}

struct Conversion {
  liblock::LockConversion wire;
  Notify notify;
};

std::optional<Conversion> conversion_of(const lock_conversion* conversion, int timeout_ms) {
  const auto given = liblock::read_sized<lock_conversion>(conversion);
  if (!given) return std::nullopt;
  const auto flags = flags_of(given->flags, given->notify);
  if (!flags) return std::nullopt;
  return Conversion{{liblock::mode_of(given->mode), with_timeout(*flags, timeout_ms),
                     given->patience_ms, value_of(given->value)},
                    {given->notify, given->notify_arg}};
}

// What a call that was refused at once leaves in the outcome.
int refuse(int error, const lock_grant* grant, void* outcome) {
  lock_outcome refused{};
  refused.error = error;
  if (grant != nullptr) refused.grant = *grant;
  liblock::write_sized(refused, outcome);
  return error;
}

}  // namespace

extern "C" {

int lock_acquire_with(lock_client* client, const lock_request* request, int timeout_ms,
                      lock_outcome* outcome) {
  return guarded(client, [&] {
    if (outcome == nullptr) return int{LOCK_ERROR_INVALID};
    const auto wanted = request_of(request, Form::blocking, timeout_ms);
    if (!wanted) return refuse(LOCK_ERROR_INVALID, nullptr, outcome);
    lock_outcome found{};
    const int error =
        client->client.acquire(wanted->wire, timeout_of(timeout_ms), wanted->notify, found);
    liblock::write_sized(found, outcome);
    return error;
  });
}

int lock_acquire_with_async(lock_client* client, const lock_request* request,
                            lock_outcome_fn* callback, void* arg, uint64_t* id) {
  return guarded(client, [&] {
    const auto wanted = request_of(request, Form::asynchronous, -1);
    if (!wanted || callback == nullptr) return int{LOCK_ERROR_INVALID};
    return client->client.acquire_async(wanted->wire, wanted->notify, {callback, arg}, id);
  });
}

int lock_acquire_all(lock_client* client, const lock_request* requests, size_t count,
                     int timeout_ms, lock_outcome* outcomes) {
  return guarded(client, [&] {
    if (outcomes == nullptr || outcomes->size < sizeof(size_t)) return int{LOCK_ERROR_INVALID};
    const std::size_t size = outcomes->size;
    const auto wanted = all_of(requests, count, Form::blocking, timeout_ms);
    std::vector<lock_outcome> found(wanted ? count : 0);
    const int error = wanted ? client->client.acquire_all(wanted->wire, timeout_of(timeout_ms),
                                                          wanted->notify, found)
                             : int{LOCK_ERROR_INVALID};
    for (std::size_t i = 0; i < found.size(); ++i) {
      found[i].error = error;
      auto* to = reinterpret_cast<char*>(outcomes) + i * size;
      std::memcpy(to, &size, sizeof size);
      liblock::write_sized(found[i], to);
    }
    return error;
  });
}

int lock_acquire_all_async(lock_client* client, const lock_request* requests, size_t count,
                           lock_outcomes_fn* callback, void* arg, uint64_t* first) {
  return guarded(client, [&] {
    const auto wanted = all_of(requests, count, Form::asynchronous, -1);
    if (!wanted || callback == nullptr) return int{LOCK_ERROR_INVALID};
    return client->client.acquire_all_async(wanted->wire, wanted->notify, {callback, arg}, first);
  });
}

int lock_convert(lock_client* client, const lock_grant* grant, const lock_conversion* conversion,
                 int timeout_ms, lock_outcome* outcome) {
  return guarded(client, [&] {
    if (outcome == nullptr) return int{LOCK_ERROR_INVALID};
    const auto wanted = conversion_of(conversion, timeout_ms);
    if (!wanted) return refuse(LOCK_ERROR_INVALID, grant, outcome);
    lock_outcome found{};
    const int error =
        client->client.convert(*grant, wanted->wire, timeout_of(timeout_ms), wanted->notify, found);
    liblock::write_sized(found, outcome);
    return error;
  });
}

int lock_convert_async(lock_client* client, const lock_grant* grant,
                       const lock_conversion* conversion, lock_outcome_fn* callback, void* arg) {
  return guarded(client, [&] {
    const auto wanted = conversion_of(conversion, -1);
    if (!wanted || callback == nullptr) return int{LOCK_ERROR_INVALID};
    return client->client.convert_async(*grant, wanted->wire, wanted->notify, {callback, arg});
  });
}

int lock_release_with(lock_client* client, const lock_grant* grant, unsigned flags,
                      const void* value) {
  return guarded(client, [&] { return client->client.release(*grant, flags, value_of(value)); });
}

int lock_release_with_async(lock_client* client, const lock_grant* grant, unsigned flags,
                            const void* value, lock_done_fn* callback, void* arg) {
  return guarded(client, [&] {
    return client->client.release_async(*grant, flags, value_of(value), {callback, arg});
  });
}

int lock_drop_orphans(lock_client* client, uint32_t node, uint32_t pid) {
  return guarded(
      client, [&] { return client->client.drop_orphans(base::NodeId{node}, pid, std::nullopt); });
}

int lock_drop_orphans_async(lock_client* client, uint32_t node, uint32_t pid,
                            lock_done_fn* callback, void* arg) {
  return guarded(client, [&] {
    return client->client.drop_orphans(base::NodeId{node}, pid, liblock::Callback(callback, arg));
  });
}

int lock_deadlock(lock_client* client, uint64_t id, lock_deadlock_step* steps, size_t count) {
  return guarded(client, [&] {
    const liblock::DeadlockSteps found = client->client.deadlock(id);
    if (found.empty()) return int{LOCK_ERROR_NOT_FOUND};
    return liblock::copy_steps(found, steps, count);
  });
}

size_t lock_deadlock_text(lock_client* client, uint64_t id, char* text, size_t size) {
  if (client->client.forked()) return liblock::copy_text({}, text, size);
  return liblock::copy_text(liblock::to_text(client->client.deadlock(id)), text, size);
}

}  // extern "C"

// The bytes of a whole table (docs/wire.md, snapshot of the locks). Equal tables have equal bytes.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/mutant.h"
#include "dlm/table.h"

namespace dlm {
namespace {

constexpr std::uint8_t kVersion = 2;

// Of a resource: what is said of its value block.
constexpr std::uint8_t kHasValue = 1;
constexpr std::uint8_t kInvalid = 2;

// Of one that waits.
constexpr std::uint8_t kDemoted = 1;
constexpr std::uint8_t kWrites = 2;

constexpr std::size_t kAll = static_cast<std::size_t>(-1);

void put_name(base::ByteWriter& out, Bytes name) {
  out.u8(static_cast<std::uint8_t>(name.size()));
  out.bytes(name);
}

Bytes get_name(base::ByteReader& in, std::size_t longest) {
  const std::size_t size = in.u8();
  if (size == 0 || size > longest) in.fail();
  return in.bytes(size);
}

// Builds a table from bytes that nobody vouches for. After the first error the rest is not looked
// at.
class Loader {
 public:
  Loader(Store& store, const Limits& limits, Bytes bytes)
      : store_(store), limits_(limits), in_(bytes) {}

  std::optional<LoadError> load(std::uint64_t& next_token) {
    if (in_.u8() != kVersion) return LoadError::malformed;
    next_token = in_.u64();
    const std::uint32_t lockspaces = in_.u32();
    const std::uint32_t resources = in_.u32();
    const std::uint32_t locks = in_.u32();
    if (lockspaces > limits_.lockspaces || resources > limits_.resources || locks > limits_.locks) {
      return LoadError::over_limit;
    }
    for (std::uint32_t i = 0; i < lockspaces && !in_.failed(); ++i) {
      lockspaces_.push_back(get_name(in_, kMaxLockspaceName));
    }
    for (std::uint32_t i = 0; i < resources && good(); ++i) load_resource();
    if (good()) order_by_session();
    if (error_) return error_;
    if (!in_.finish()) return LoadError::malformed;
    if (store_.lockspaces().size() != lockspaces || store_.locks().size() != locks ||
        next_token <= last_stamp_) {
      return LoadError::contradictory;
    }
    return std::nullopt;
  }

 private:
  bool good() const { return !error_ && !in_.failed(); }

  void fail(LoadError error) {
    if (good()) error_ = error;
  }

  void load_resource() {
    const std::uint32_t lockspace = in_.u32();
    const Bytes name = get_name(in_, kMaxResourceName);
    const std::uint8_t value = in_.u8();
    const ValueBlock bytes = value & kHasValue ? get_block() : ValueBlock();
    const std::uint32_t granted = in_.u32();
    const std::uint32_t converting = in_.u32();
    const std::uint32_t waiting = in_.u32();
    if (in_.failed()) return;
    if (lockspace >= lockspaces_.size() || value > (kHasValue | kInvalid)) {
      return fail(LoadError::malformed);
    }
    const ResourceName full{lockspaces_[lockspace], name};
    if (granted + std::uint64_t{waiting} == 0 || store_.find_resource(full) != kNoSlot ||
        value == kInvalid) {
      return fail(LoadError::contradictory);
    }
    const Slot resource = store_.add_resource(full);
    if (value & kHasValue) store_.set_value(resource, bytes);
    if (value & kInvalid && !MUTANT("dlm_mark_not_in_snapshot")) store_.invalidate_value(resource);
    std::vector<Slot> holders;
    for (std::uint32_t i = 0; i < granted && good(); ++i)
      holders.push_back(load_lock(resource, true));
    for (std::uint32_t i = 0; i < converting && good(); ++i) {
      const std::uint32_t holder = in_.u32();
      if (holder >= holders.size()) return fail(LoadError::malformed);
      load_wait(holders[holder]);
    }
    for (std::uint32_t i = 0; i < waiting && good(); ++i) {
      const Slot lock = load_lock(resource, false);
      if (good()) load_wait(lock);
    }
  }

  Slot load_lock(Slot resource, bool granted) {
    const LockName name{SessionId{in_.u64()}, RequestId{in_.u64()}};
    const std::uint64_t token = granted ? in_.u64() : 0;
    const auto mode = granted ? mode_of(in_.u8()) : Mode::nl;
    const auto notified = granted ? mode_of(in_.u8()) : Mode::nl;
    const std::uint8_t orphan = granted ? in_.u8() : 0;
    const LockFlags flags = in_.u32();
    const std::uint32_t since = in_.u32();
    const Owner owner{in_.u64()};
    if (in_.failed()) return kNoSlot;
    constexpr LockFlags kKnown = base::lock_flag::for_request | base::lock_flag::for_conversion;
    if (!mode || !notified || orphan > 1 || (flags & ~kKnown)) {
      fail(LoadError::malformed);
      return kNoSlot;
    }
    if (store_.locks().size() == limits_.locks) {
      fail(LoadError::over_limit);
      return kNoSlot;
    }
    const ResourceRecord& on = store_.resources()[resource];
    const std::uint64_t before = on.granted.empty() ? 0 : store_.locks()[on.granted.last].token;
    if (store_.find_lock(name) != kNoSlot ||
        (granted && (token <= before || !fits_beside(on.held, *mode)))) {
      fail(LoadError::contradictory);
      return kNoSlot;
    }
    const Slot lock = store_.load_lock({name, resource, flags, owner}, *mode, token, since,
                                       *notified, orphan != 0);
    loose_.push_back(lock);
    if (granted) stamps_.push_back(token);
    return lock;
  }

  void load_wait(Slot slot) {
    WaitRecord wait;
    wait.request = RequestId{in_.u64()};
    wait.place = static_cast<std::int64_t>(in_.u64());
    wait.lock = slot;
    wait.patience = in_.u32();
    const auto mode = mode_of(in_.u8());
    const std::uint8_t notes = in_.u8();
    wait.part = in_.u8();
    wait.parts = in_.u8();
    std::optional<ValueBlock> value;
    if (notes & kWrites) value = get_block();
    if (in_.failed()) return;
    const LockRecord& lock = store_.locks()[slot];
    if (!mode || notes > (kDemoted | kWrites) || wait.parts == 0 || wait.parts > kMaxParts ||
        wait.part >= wait.parts) {
      return fail(LoadError::malformed);
    }
    wait.mode = *mode;
    wait.demoted = (notes & kDemoted) != 0;
    const QueuesRecord* queues = store_.queues_of(store_.resources()[lock.resource]);
    const Slot last = !queues          ? kNoSlot
                      : lock.granted() ? queues->converting.last
                                       : queues->waiting.last;
    const bool in_order = last == kNoSlot || store_.waits()[last].place < wait.place;
    if (lock.wait != kNoSlot || lock.orphan || wait.place == 0 || !in_order ||
        wait.place == std::numeric_limits<std::int64_t>::min() ||
        (lock.granted() && wait.parts > 1) || (!lock.granted() && notes != 0)) {
      return fail(LoadError::contradictory);
    }
    stamps_.push_back(drawn(wait));
    store_.load_wait(wait, value);
  }

  ValueBlock get_block() {
    ValueBlock block{};
    const Bytes bytes = in_.bytes(block.size());
    if (!in_.failed()) std::copy(bytes.begin(), bytes.end(), block.begin());
    return block;
  }

  static std::uint64_t drawn(const WaitRecord& wait) {
    return static_cast<std::uint64_t>(wait.place < 0 ? -wait.place : wait.place);
  }

  // The lists of sessions and owners are in order of what was drawn, across resources.
  void order_by_session() {
    std::sort(stamps_.begin(), stamps_.end());
    if (std::adjacent_find(stamps_.begin(), stamps_.end()) != stamps_.end()) {
      return fail(LoadError::contradictory);
    }
    if (!stamps_.empty()) last_stamp_ = stamps_.back();
    const auto order_of = [&](Slot slot) {
      const LockRecord& lock = store_.locks()[slot];
      return std::pair(lock.orphan, lock.granted() ? lock.token : drawn(store_.wait_of(lock)));
    };
    std::sort(loose_.begin(), loose_.end(),
              [&](Slot a, Slot b) { return order_of(a) < order_of(b); });
    std::vector<Slot> waits;
    for (const Slot slot : loose_) {
      const LockRecord& lock = store_.locks()[slot];
      if (store_.sessions()[lock.session].locks > limits_.locks_per_session) {
        return fail(LoadError::over_limit);
      }
      store_.add_to_session(slot);
      if (lock.wait != kNoSlot) {
        if (!whole(lock)) return fail(LoadError::contradictory);
        waits.push_back(lock.wait);
      }
    }
    std::sort(waits.begin(), waits.end(),
              [&](Slot a, Slot b) { return drawn(store_.waits()[a]) < drawn(store_.waits()[b]); });
    for (const Slot wait : waits) store_.add_to_owner(wait);
  }

  // All parts of the request are there, and wait.
  bool whole(const LockRecord& lock) const {
    const WaitRecord& own = store_.wait_of(lock);
    const LockName name = store_.name_of(lock);
    for (std::uint8_t i = 0; own.parts > 1 && i < own.parts; ++i) {
      const std::uint64_t number = base::value(name.acquired_by) - own.part + i;
      const Slot slot = store_.find_lock({name.session, RequestId{number}});
      if (slot == kNoSlot || store_.locks()[slot].wait == kNoSlot) return false;
      const WaitRecord& wait = store_.wait_of(store_.locks()[slot]);
      if (wait.parts != own.parts || wait.part != i) return false;
    }
    return true;
  }

  Store& store_;
  const Limits& limits_;
  base::ByteReader in_;
  std::optional<LoadError> error_;
  std::vector<Bytes> lockspaces_;
  std::vector<Slot> loose_;
  std::vector<std::uint64_t> stamps_;  // Tokens and places, all drawn from the one counter.
  std::uint64_t last_stamp_ = 0;
};

}  // namespace

std::string_view to_string(LoadError error) {
  switch (error) {
    case LoadError::malformed:
      return "malformed";
    case LoadError::over_limit:
      return "over limit";
    case LoadError::contradictory:
      return "contradictory";
  }
  return "?";
}

void Table::serialize(base::ByteWriter& out) const {
  out.u8(kVersion);
  out.u64(next_token_);
  out.u32(static_cast<std::uint32_t>(lockspaces()));
  out.u32(static_cast<std::uint32_t>(resources()));
  out.u32(static_cast<std::uint32_t>(locks()));

  std::vector<std::uint32_t> number_of(store_.lockspaces().slots());
  std::uint32_t next = 0;
  store_.lockspaces().visit(0, kAll, [&](Slot slot) {
    number_of[slot] = next++;
    put_name(out, store_.name_of(store_.lockspaces()[slot]));
  });

  const auto put_lock = [&](const LockRecord& lock) {
    const LockName name = store_.name_of(lock);
    out.u64(base::value(name.session));
    out.u64(base::value(name.acquired_by));
    if (lock.granted()) {
      out.u64(lock.token);
      out.u8(static_cast<std::uint8_t>(lock.mode));
      out.u8(static_cast<std::uint8_t>(lock.notified));
      out.u8(lock.orphan ? 1 : 0);
    }
    out.u32(lock.flags);
    out.u32(lock.since);
    out.u64(base::value(store_.owner_of(lock)));
  };
  const auto put_wait = [&](const WaitRecord& wait) {
    out.u64(base::value(wait.request));
    out.u64(static_cast<std::uint64_t>(wait.place));
    out.u32(wait.patience);
    out.u8(static_cast<std::uint8_t>(wait.mode));
    const std::optional<ValueBlock> writes = store_.value_of(wait);
    out.u8(static_cast<std::uint8_t>((wait.demoted ? kDemoted : 0) | (writes ? kWrites : 0)));
    out.u8(wait.part);
    out.u8(wait.parts);
    if (writes) out.bytes(*writes);
  };
  std::map<Slot, std::uint32_t> converting;  // By lock, where it stands among the holders.
  store_.resources().visit(0, kAll, [&](Slot slot) {
    const ResourceRecord& resource = store_.resources()[slot];
    const QueuesRecord* queues = store_.queues_of(resource);
    out.u32(number_of[resource.lockspace]);
    put_name(out, store_.name_of(resource).resource);
    const ValueRecord* value = store_.value_of(resource);
    out.u8(!value ? 0 : value->invalid ? kHasValue | kInvalid : kHasValue);
    if (value) out.bytes(value->bytes);

    std::uint32_t holders = 0;
    converting.clear();
    for (Slot at = resource.granted.first; at != kNoSlot; at = store_.locks()[at].in_granted.next) {
      if (store_.locks()[at].wait != kNoSlot) converting[at] = holders;
      ++holders;
    }
    out.u32(holders);
    out.u32(queues ? queues->converters : 0);
    out.u32(queues ? queues->waiters - queues->converters : 0);
    for (Slot at = resource.granted.first; at != kNoSlot; at = store_.locks()[at].in_granted.next) {
      put_lock(store_.locks()[at]);
    }
    if (!queues) return;
    for (Slot at = queues->converting.first; at != kNoSlot; at = store_.waits()[at].in_queue.next) {
      const WaitRecord& wait = store_.waits()[at];
      out.u32(converting[wait.lock]);
      put_wait(wait);
    }
    for (Slot at = queues->waiting.first; at != kNoSlot; at = store_.waits()[at].in_queue.next) {
      const WaitRecord& wait = store_.waits()[at];
      put_lock(store_.locks()[wait.lock]);
      put_wait(wait);
    }
  });
}

base::Result<Table, LoadError> Table::deserialize(Bytes bytes, const Limits& limits) {
  Table table(limits);
  if (const auto error = Loader(table.store_, limits, bytes).load(table.next_token_)) {
    return base::error(*error);
  }
  return table;
}

}  // namespace dlm

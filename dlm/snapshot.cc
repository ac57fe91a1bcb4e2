// The bytes of a whole table (docs/wire.md, snapshot of the locks). Equal tables have equal bytes.
#include <algorithm>
#include <optional>
#include <vector>

#include "dlm/table.h"

namespace dlm {
namespace {

constexpr std::uint8_t kVersion = 1;
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
    const std::uint32_t granted = in_.u32();
    const std::uint32_t waiting = in_.u32();
    if (in_.failed()) return;
    if (lockspace >= lockspaces_.size()) return fail(LoadError::malformed);
    const ResourceName full{lockspaces_[lockspace], name};
    if (granted == 0 || store_.find_resource(full) != kNoSlot) {
      return fail(LoadError::contradictory);
    }
    const Slot resource = store_.add_resource(full);
    load_locks(resource, granted, true);
    load_locks(resource, waiting, false);
  }

  void load_locks(Slot resource, std::uint32_t count, bool granted) {
    std::uint64_t before = 0;
    for (std::uint32_t i = 0; i < count && good(); ++i) {
      const LockName name{SessionId{in_.u64()}, RequestId{in_.u64()}};
      const std::uint64_t stamp = in_.u64();
      const auto mode = mode_of(in_.u8());
      if (in_.failed()) return;
      if (!mode) return fail(LoadError::malformed);
      if (store_.locks().size() == limits_.locks) return fail(LoadError::over_limit);
      // The first in the queue waits for the granted ones, the others for the first.
      const bool fits = store_.resources()[resource].compatible_with(*mode);
      if ((granted ? !fits : i == 0 && fits) || stamp <= before ||
          store_.find_lock(name) != kNoSlot) {
        return fail(LoadError::contradictory);
      }
      before = stamp;
      loose_.push_back(store_.add_loose_lock(name, resource, *mode, granted, stamp));
    }
  }

  // The lists of sessions are in order of stamps, across resources.
  void order_by_session() {
    std::sort(loose_.begin(), loose_.end(),
              [&](Slot a, Slot b) { return store_.locks()[a].stamp < store_.locks()[b].stamp; });
    for (const Slot slot : loose_) {
      const LockRecord& lock = store_.locks()[slot];
      if (lock.stamp == last_stamp_) return fail(LoadError::contradictory);
      if (store_.sessions()[lock.session].locks > limits_.locks_per_session) {
        return fail(LoadError::over_limit);
      }
      last_stamp_ = lock.stamp;
      store_.append_to_session(slot);
    }
  }

  Store& store_;
  const Limits& limits_;
  base::ByteReader in_;
  std::optional<LoadError> error_;
  std::vector<Bytes> lockspaces_;
  std::vector<Slot> loose_;
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

  const auto put_locks = [&](const List& list) {
    for (Slot at = list.first; at != kNoSlot; at = store_.locks()[at].in_resource.next) {
      const LockRecord& lock = store_.locks()[at];
      const LockName name = store_.name_of(lock);
      out.u64(base::value(name.session));
      out.u64(base::value(name.acquired_by));
      out.u64(lock.stamp);
      out.u8(static_cast<std::uint8_t>(lock.mode));
    }
  };
  store_.resources().visit(0, kAll, [&](Slot slot) {
    const ResourceRecord& resource = store_.resources()[slot];
    out.u32(number_of[resource.lockspace]);
    put_name(out, store_.name_of(resource).resource);
    out.u32(static_cast<std::uint32_t>(view(resource).holders));
    out.u32(resource.waiters);
    put_locks(resource.granted);
    put_locks(resource.waiting);
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

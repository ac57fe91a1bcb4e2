#include "dlm/image_writer.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "dlm/image.h"

namespace dlm {
namespace {

constexpr std::size_t kVisitAtOnce = 64;

void put_name(base::ByteWriter& out, Bytes name) {
  out.u8(static_cast<std::uint8_t>(name.size()));
  out.bytes(name);
}

}  // namespace

Table::Writer::Writer(const Table& table)
    : table_(table),
      store_(table.store_),
      lockspace_numbers_(store_.lockspaces().slots()),
      lock_numbers_(store_.locks().slots()) {}

bool Table::Writer::write_some(base::ByteWriter& out, std::size_t about_bytes) {
  const std::size_t begin = out.size();
  while (next_ != At::end && out.size() - begin < about_bytes) write_record(out);
  return next_ != At::end;
}

void Table::Writer::write_record(base::ByteWriter& out) {
  switch (next_) {
    case At::head:
      return write_head(out);
    case At::resource:
      return write_resource(out);
    case At::granted:
      return write_granted(out);
    case At::converting:
      return write_converting(out);
    case At::waiting:
      return write_waiting(out);
    case At::session:
      return write_session();
    case At::lock:
      return write_lock_of_session(out);
    case At::owner:
      return write_owner(out);
    case At::wait:
      return write_wait_of_owner(out);
    case At::end:
      return;
  }
}

// Lockspaces are few: Limits::lockspaces.
void Table::Writer::write_head(base::ByteWriter& out) {
  out.u8(image::kVersion);
  out.u64(table_.next_token_);
  out.u32(static_cast<std::uint32_t>(table_.lockspaces()));
  out.u32(static_cast<std::uint32_t>(table_.resources()));
  out.u32(static_cast<std::uint32_t>(table_.locks()));
  std::uint32_t number = 0;
  store_.lockspaces().visit(0, store_.lockspaces().size(), [&](Slot slot) {
    lockspace_numbers_[slot] = number++;
    put_name(out, store_.name_of(store_.lockspaces()[slot]));
  });
  next_ = At::resource;
}

// The next record of a visit, kNoSlot behind the last.
template <typename Records>
Slot Table::Writer::next_of(const Records& records) {
  if (found_.empty() && !visited_all_) {
    position_ = records.visit(position_, kVisitAtOnce, [&](Slot slot) { found_.push_back(slot); });
    std::reverse(found_.begin(), found_.end());
    visited_all_ = position_ == 0;
  }
  if (found_.empty()) {
    visited_all_ = false;
    return kNoSlot;
  }
  const Slot next = found_.back();
  found_.pop_back();
  return next;
}

void Table::Writer::write_resource(base::ByteWriter& out) {
  slot_ = next_of(store_.resources());
  if (slot_ == kNoSlot) {
    next_ = At::session;
    return;
  }
  const ResourceRecord& resource = store_.resources()[slot_];
  const QueuesRecord* queues = store_.queues_of(resource);
  out.u32(lockspace_numbers_[resource.lockspace]);
  put_name(out, store_.name_of(resource).resource);
  const ValueRecord* value = store_.value_of(resource);
  out.u8(!value ? 0 : value->invalid ? image::kHasValue | image::kInvalid : image::kHasValue);
  if (value) out.bytes(value->bytes);
  std::uint32_t holders = 0;
  for (const std::uint32_t of_mode : resource.held) holders += of_mode;
  out.u32(holders);
  out.u32(queues ? queues->converters : 0);
  out.u32(queues ? queues->waiters - queues->converters : 0);
  at_ = resource.granted.first;
  next_ = At::granted;
}

void Table::Writer::write_lock(base::ByteWriter& out, Slot slot) {
  const LockRecord& lock = store_.locks()[slot];
  lock_numbers_[slot] = locks_written_++;
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
}

void Table::Writer::write_wait(base::ByteWriter& out, const WaitRecord& wait) {
  out.u64(base::value(wait.request));
  out.u64(static_cast<std::uint64_t>(wait.place));
  out.u32(wait.patience);
  out.u8(static_cast<std::uint8_t>(wait.mode));
  const std::optional<ValueBlock> writes = store_.value_of(wait);
  out.u8(static_cast<std::uint8_t>((wait.demoted ? image::kDemoted : 0) |
                                   (writes ? image::kWrites : 0)));
  out.u8(wait.part);
  out.u8(wait.parts);
  if (writes) out.bytes(*writes);
}

void Table::Writer::write_granted(base::ByteWriter& out) {
  if (at_ == kNoSlot) {
    const QueuesRecord* queues = store_.queues_of(store_.resources()[slot_]);
    next_ = queues ? At::converting : At::resource;
    if (queues) at_ = queues->converting.first;
    return;
  }
  write_lock(out, at_);
  at_ = store_.locks()[at_].in_granted.next;
}

// The granted locks of a resource are numbered one after the other.
void Table::Writer::write_converting(base::ByteWriter& out) {
  const ResourceRecord& resource = store_.resources()[slot_];
  if (at_ == kNoSlot) {
    at_ = store_.queues_of(resource)->waiting.first;
    next_ = At::waiting;
    return;
  }
  const WaitRecord& wait = store_.waits()[at_];
  out.u32(lock_numbers_[wait.lock] - lock_numbers_[resource.granted.first]);
  write_wait(out, wait);
  at_ = wait.in_queue.next;
}

void Table::Writer::write_waiting(base::ByteWriter& out) {
  if (at_ == kNoSlot) {
    next_ = At::resource;
    return;
  }
  const WaitRecord& wait = store_.waits()[at_];
  write_lock(out, wait.lock);
  write_wait(out, wait);
  at_ = wait.in_queue.next;
}

void Table::Writer::write_session() {
  slot_ = next_of(store_.sessions());
  next_ = slot_ == kNoSlot ? At::end : At::lock;
  if (slot_ == kNoSlot) return;
  const SessionRecord& session = store_.sessions()[slot_];
  at_ = session.waiting.empty() ? session.granted.first : session.waiting.first;
  owners_.clear();
  next_owner_ = 0;
}

// First those that wait and hold nothing, then the others.
void Table::Writer::write_lock_of_session(base::ByteWriter& out) {
  if (at_ == kNoSlot) {
    out.u32(image::kListEnd);
    next_ = At::owner;
    return;
  }
  const LockRecord& lock = store_.locks()[at_];
  out.u32(lock_numbers_[at_]);
  if (lock.wait != kNoSlot && lock.owner != kNoSlot &&
      store_.owners()[lock.owner].waits.first == lock.wait) {
    owners_.push_back(lock.owner);
  }
  at_ = lock.in_session.next;
  if (at_ == kNoSlot && !lock.granted()) at_ = store_.sessions()[slot_].granted.first;
}

void Table::Writer::write_owner(base::ByteWriter& out) {
  if (next_owner_ == owners_.size()) {
    out.u32(image::kListEnd);
    next_ = At::session;
    return;
  }
  at_ = store_.owners()[owners_[next_owner_++]].waits.first;
  next_ = At::wait;
}

void Table::Writer::write_wait_of_owner(base::ByteWriter& out) {
  if (at_ == kNoSlot) {
    out.u32(image::kListEnd);
    next_ = At::owner;
    return;
  }
  const WaitRecord& wait = store_.waits()[at_];
  out.u32(lock_numbers_[wait.lock]);
  at_ = wait.in_owner.next;
}

void Table::serialize(base::ByteWriter& out) const {
  Writer writer(*this);
  while (writer.write_some(out, std::numeric_limits<std::size_t>::max())) {
  }
}

}  // namespace dlm

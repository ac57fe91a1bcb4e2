#include "dlm/image_loader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/mutant.h"
#include "dlm/image.h"

namespace dlm {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

Bytes get_name(base::ByteReader& in, std::size_t longest) {
  const std::size_t size = in.u8();
  if (size == 0 || size > longest) in.fail();
  return in.bytes(size);
}

ValueBlock get_block(base::ByteReader& in) {
  ValueBlock block{};
  const Bytes bytes = in.bytes(block.size());
  if (!in.failed()) std::copy(bytes.begin(), bytes.end(), block.begin());
  return block;
}

}  // namespace

void Table::Loader::fail(LoadError error) {
  if (!error_) error_ = error;
}

void Table::Loader::add(Bytes bytes) {
  if (error_) return;
  unread_.insert(unread_.end(), bytes.begin(), bytes.end());
  base::ByteReader in(unread_);
  while (!error_ && next_ != At::end && in.left() >= image::kRecordBytesMax) read_record(in);
  if (next_ == At::end && in.left() > 0) fail(LoadError::malformed);
  const std::size_t read = unread_.size() - in.left();
  unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(read));
}

base::Result<Table, LoadError> Table::Loader::finish() {
  base::ByteReader in(unread_);
  while (!error_ && next_ != At::end) read_record(in);
  if (!in.finish()) fail(LoadError::malformed);
  if (error_) return base::error(*error_);
  return std::move(table_);
}

// With bytes enough: what does not fit is wrong.
void Table::Loader::read_record(base::ByteReader& in) {
  switch (next_) {
    case At::head:
      read_head(in);
      break;
    case At::lockspace:
      read_lockspace(in);
      break;
    case At::resource:
      read_resource(in);
      break;
    case At::granted:
      read_granted(in);
      break;
    case At::converting:
      read_converting(in);
      break;
    case At::waiting:
      read_waiting(in);
      break;
    case At::lock:
      read_lock_of_session(in);
      break;
    case At::owner:
      read_owner(in);
      break;
    case At::wait:
      read_wait_of_owner(in);
      break;
    case At::end:
      break;
  }
  if (in.failed()) fail(LoadError::malformed);
}

void Table::Loader::read_head(base::ByteReader& in) {
  const Limits& limits = table_.limits_;
  if (in.u8() != image::kVersion) return fail(LoadError::malformed);
  table_.next_token_ = in.u64();
  lockspaces_ = in.u32();
  resources_left_ = in.u32();
  locks_ = in.u32();
  if (lockspaces_ > limits.lockspaces || resources_left_ > limits.resources ||
      locks_ > limits.locks) {
    return fail(LoadError::over_limit);
  }
  next_ = At::lockspace;
  if (lockspaces_ == 0) go_on_in_resource();
}

void Table::Loader::read_lockspace(base::ByteReader& in) {
  lockspace_names_.push_back(base::text_of(get_name(in, kMaxLockspaceName)));
  if (lockspace_names_.size() == lockspaces_) go_on_in_resource();
}

void Table::Loader::read_resource(base::ByteReader& in) {
  const std::uint32_t lockspace = in.u32();
  const Bytes name = get_name(in, kMaxResourceName);
  const std::uint8_t said = in.u8();
  const ValueBlock value = said & image::kHasValue ? get_block(in) : ValueBlock();
  granted_left_ = in.u32();
  converting_left_ = in.u32();
  waiting_left_ = in.u32();
  if (in.failed()) return;
  if (lockspace >= lockspace_names_.size() || said > (image::kHasValue | image::kInvalid)) {
    return fail(LoadError::malformed);
  }
  const ResourceName full{base::bytes_of(lockspace_names_[lockspace]), name};
  if (granted_left_ + std::uint64_t{waiting_left_} == 0 || said == image::kInvalid ||
      store_.find_resource(full) != kNoSlot) {
    return fail(LoadError::contradictory);
  }
  const Slot before = std::exchange(resource_, store_.add_resource(full));
  const auto place_of = [&](Slot slot) {
    return HashedSlots<ResourceRecord>::place_of(store_.resources()[slot].hash());
  };
  if (before != kNoSlot && place_of(before) > place_of(resource_)) {
    return fail(LoadError::contradictory);
  }
  if (said & image::kHasValue) store_.set_value(resource_, value);
  if (said & image::kInvalid && !MUTANT("dlm_mark_not_in_snapshot")) {
    store_.invalidate_value(resource_);
  }
  holders_ = granted_left_;
  first_holder_ = static_cast<std::uint32_t>(store_.locks().size());
  --resources_left_;
  go_on_in_resource();
}

// To what is left of the resource, or behind it.
void Table::Loader::go_on_in_resource() {
  if (granted_left_ > 0) {
    next_ = At::granted;
  } else if (converting_left_ > 0) {
    next_ = At::converting;
  } else if (waiting_left_ > 0) {
    next_ = At::waiting;
  } else if (resources_left_ > 0) {
    next_ = At::resource;
  } else {
    end_resources();
  }
}

void Table::Loader::read_granted(base::ByteReader& in) {
  if (!read_lock(in, true)) return;
  --granted_left_;
  go_on_in_resource();
}

void Table::Loader::read_converting(base::ByteReader& in) {
  const std::uint32_t holder = in.u32();
  if (holder >= holders_) return fail(LoadError::malformed);
  read_wait(in, first_holder_ + holder);
  --converting_left_;
  go_on_in_resource();
}

void Table::Loader::read_waiting(base::ByteReader& in) {
  const std::optional<Slot> lock = read_lock(in, false);
  if (!lock) return;
  read_wait(in, *lock);
  --waiting_left_;
  go_on_in_resource();
}

std::optional<Slot> Table::Loader::read_lock(base::ByteReader& in, bool granted) {
  const LockName name{SessionId{in.u64()}, RequestId{in.u64()}};
  const std::uint64_t token = granted ? in.u64() : 0;
  const auto mode = granted ? mode_of(in.u8()) : Mode::nl;
  const auto notified = granted ? mode_of(in.u8()) : Mode::nl;
  const std::uint8_t orphan = granted ? in.u8() : 0;
  const LockFlags flags = in.u32();
  const std::uint32_t since = in.u32();
  const Owner owner{in.u64()};
  if (in.failed()) return std::nullopt;
  constexpr LockFlags kKnown = base::lock_flag::for_request | base::lock_flag::for_conversion;
  if (!mode || !notified || orphan > 1 || (flags & ~kKnown)) {
    fail(LoadError::malformed);
    return std::nullopt;
  }
  if (store_.locks().size() == table_.limits_.locks) {
    fail(LoadError::over_limit);
    return std::nullopt;
  }
  const ResourceRecord& on = store_.resources()[resource_];
  const std::uint64_t before = on.granted.empty() ? 0 : store_.locks()[on.granted.last].token;
  if (store_.find_lock(name) != kNoSlot ||
      (granted && (token <= before || !fits_beside(on.held, *mode)))) {
    fail(LoadError::contradictory);
    return std::nullopt;
  }
  last_drawn_ = std::max(last_drawn_, token);
  return store_.load_lock({name, resource_, flags, owner}, *mode, token, since, *notified,
                          orphan != 0);
}

void Table::Loader::read_wait(base::ByteReader& in, Slot slot) {
  WaitRecord wait;
  wait.request = RequestId{in.u64()};
  wait.place = static_cast<std::int64_t>(in.u64());
  wait.lock = slot;
  wait.patience = in.u32();
  const auto mode = mode_of(in.u8());
  const std::uint8_t notes = in.u8();
  wait.part = in.u8();
  wait.parts = in.u8();
  std::optional<ValueBlock> value;
  if (notes & image::kWrites) value = get_block(in);
  if (in.failed()) return;
  const LockRecord& lock = store_.locks()[slot];
  if (!mode || notes > (image::kDemoted | image::kWrites) || wait.parts == 0 ||
      wait.parts > kMaxParts || wait.part >= wait.parts) {
    return fail(LoadError::malformed);
  }
  wait.mode = *mode;
  wait.demoted = (notes & image::kDemoted) != 0;
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
  last_drawn_ = std::max(last_drawn_, image::drawn(wait));
  if (lock.owner != kNoSlot) ++owned_waits_left_;
  store_.load_wait(wait, value);
}

// That no two tokens or places of different resources and sessions are equal is not looked for: it
// would take all of them at once. Nothing here rests upon it, and an image in which they are is not
// the one that its server promised by its digest.
void Table::Loader::end_resources() {
  if (store_.lockspaces().size() != lockspaces_ || store_.locks().size() != locks_ ||
      table_.next_token_ <= last_drawn_) {
    return fail(LoadError::contradictory);
  }
  sessions_left_ = store_.sessions().size();
  next_ = sessions_left_ > 0 ? At::lock : At::end;
}

// Nothing was removed, so slots and numbers are the same.
const LockRecord* Table::Loader::lock_of(std::uint32_t number) const {
  return number < store_.locks().size() ? &store_.locks()[number] : nullptr;
}

Table::Loader::Rank Table::Loader::rank_of(const LockRecord& lock) const {
  const std::uint64_t drawn = lock.granted() ? lock.token : image::drawn(store_.wait_of(lock));
  return {lock.granted(), lock.orphan, drawn};
}

// Sessions stand in the order of a visit.
bool Table::Loader::begin_session(const LockRecord& first) {
  const SessionRecord& session = store_.sessions()[first.session];
  const std::uint64_t place = HashedSlots<SessionRecord>::place_of(session.hash());
  if (session.locks > table_.limits_.locks_per_session) {
    fail(LoadError::over_limit);
  } else if (last_place_ && place <= *last_place_) {
    fail(LoadError::contradictory);
  }
  session_ = first.session;
  last_place_ = place;
  listed_ = 0;
  last_lock_.reset();
  last_owner_.reset();
  return !error_;
}

void Table::Loader::read_lock_of_session(base::ByteReader& in) {
  const std::uint32_t number = in.u32();
  if (in.failed()) return;
  if (number == image::kListEnd) {
    const SessionRecord* session = session_ == kNoSlot ? nullptr : &store_.sessions()[session_];
    if (!session || listed_ != session->locks) return fail(LoadError::contradictory);
    next_ = At::owner;
    return;
  }
  const LockRecord* lock = lock_of(number);
  if (!lock) return fail(LoadError::malformed);
  if (session_ == kNoSlot && !begin_session(*lock)) return;
  if (lock->session != session_ || (last_lock_ && *last_lock_ >= rank_of(*lock)) || !whole(*lock)) {
    return fail(LoadError::contradictory);
  }
  last_lock_ = rank_of(*lock);
  ++listed_;
  store_.add_to_session(number);
}

// All parts of its request are there, and wait: the first one looks for the others, each of which
// looks for the first.
bool Table::Loader::whole(const LockRecord& lock) const {
  if (lock.wait == kNoSlot) return true;
  const WaitRecord& own = store_.wait_of(lock);
  const LockName name = store_.name_of(lock);
  const std::uint64_t first = base::value(name.acquired_by) - own.part;
  const std::uint8_t behind = own.part == 0 ? own.parts : 1;
  for (std::uint8_t part = 0; own.parts > 1 && part < behind; ++part) {
    const Slot slot = store_.find_lock({name.session, RequestId{first + part}});
    if (slot == kNoSlot || store_.locks()[slot].wait == kNoSlot) return false;
    const WaitRecord& wait = store_.wait_of(store_.locks()[slot]);
    if (wait.parts != own.parts || wait.part != part) return false;
  }
  return true;
}

// Owners stand in the order in which the list of the session comes to their first waits.
void Table::Loader::read_owner(base::ByteReader& in) {
  const std::uint32_t number = in.u32();
  if (in.failed()) return;
  if (number == image::kListEnd) return end_session();
  const LockRecord* lock = lock_of(number);
  if (!lock) return fail(LoadError::malformed);
  if (lock->session != session_ || lock->wait == kNoSlot || lock->owner == kNoSlot ||
      !store_.owners()[lock->owner].waits.empty() ||
      (last_owner_ && *last_owner_ >= rank_of(*lock))) {
    return fail(LoadError::contradictory);
  }
  last_owner_ = rank_of(*lock);
  owner_ = lock->owner;
  --owned_waits_left_;
  store_.add_to_owner(lock->wait);
  next_ = At::wait;
}

void Table::Loader::read_wait_of_owner(base::ByteReader& in) {
  const std::uint32_t number = in.u32();
  if (in.failed()) return;
  if (number == image::kListEnd) {
    next_ = At::owner;
    return;
  }
  const LockRecord* lock = lock_of(number);
  if (!lock) return fail(LoadError::malformed);
  const WaitRecord& last = store_.waits()[store_.owners()[owner_].waits.last];
  if (lock->owner != owner_ || lock->wait == kNoSlot ||
      image::drawn(last) >= image::drawn(store_.wait_of(*lock))) {
    return fail(LoadError::contradictory);
  }
  --owned_waits_left_;
  store_.add_to_owner(lock->wait);
}

void Table::Loader::end_session() {
  session_ = kNoSlot;
  --sessions_left_;
  next_ = sessions_left_ > 0 ? At::lock : At::end;
  if (next_ == At::end && owned_waits_left_ > 0) fail(LoadError::contradictory);
}

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

base::Result<Table, LoadError> Table::deserialize(Bytes bytes, const Limits& limits) {
  Loader loader(limits);
  while (!bytes.empty() && !loader.failed()) {
    const Bytes piece = bytes.first(std::min(bytes.size(), kPieceBytes));
    loader.add(piece);
    bytes = bytes.subspan(piece.size());
  }
  return loader.finish();
}

}  // namespace dlm

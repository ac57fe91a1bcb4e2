#include "tests/model/table_pair.h"

#include <algorithm>

#include "base/bytes.h"
#include "tests/model/deadlock_judge.h"
#include "tests/model/lock_model_words.h"

namespace model {
namespace {

namespace flag = base::lock_flag;
using dlm::Effect;
using dlm::LockName;

constexpr int kUnknown = 1'000'000'000;  // An id that the model has not given.

Mode mode_of(dlm::Mode mode) {
  return static_cast<Mode>(dlm::index_of(mode));
}

Flags flags_of(dlm::LockFlags flags) {
  return flags & ~flag::notify;
}

std::optional<Value> value_of(std::optional<unsigned char> value) {
  if (!value) return std::nullopt;
  return filled(*value);
}

std::string in_model(int resource) {
  return lockspace_of(resource) + "/" + name_of(resource);
}

std::string word_of(dlm::Status status) {
  switch (status) {
    case dlm::Status::bad_flags:
    case dlm::Status::bad_name:
      return word(Status::einval);
    case dlm::Status::unknown_lock:
      return word(Status::enoent);
    case dlm::Status::in_progress:
      return word(Status::ebusy);
    case dlm::Status::would_block:
      return word(Status::eagain);
    case dlm::Status::deadlock:
      return word(Status::edeadlk);
    case dlm::Status::withdrawn:
      return word(Status::ecancel);
    case dlm::Status::timed_out:
      return word(Status::etimedout);
    default:
      return std::string(to_string(status));
  }
}

std::string granted(Mode mode, unsigned flags, const std::optional<Value>& value) {
  std::string text = "ok/" + word(mode);
  if ((flags & kDemoted) != 0) text += "+D";
  if ((flags & kValnotvalid) != 0) text += "+V";
  if ((flags & kAltmode) != 0) text += "+A";
  if (value) text += "=";
  for (unsigned char byte : value.value_or(Value{})) {
    if (value) text += std::to_string(byte) + ",";
  }
  return text;
}

std::optional<Value> bytes_of(const std::optional<dlm::ValueBlock>& block) {
  if (!block) return std::nullopt;
  Value value;
  std::transform(block->begin(), block->end(), value.begin(),
                 [](std::byte byte) { return std::to_integer<unsigned char>(byte); });
  return value;
}

base::Buffer snapshot_of(const dlm::Table& table) {
  base::Buffer bytes;
  base::ByteWriter writer(bytes);
  table.serialize(writer);
  return bytes;
}

dlm::Table loaded_from(const dlm::Table& table, const dlm::Limits& limits) {
  auto loaded = dlm::Table::deserialize(snapshot_of(table), limits);
  return loaded ? std::move(*loaded) : dlm::Table(limits);
}

std::string lines_of(const Told& told) {
  std::string all;
  for (const auto& [lock, lines] : told) {
    all += " " + text(lock) + ":";
    for (const std::string& line : lines) all += " " + line;
  }
  return all;
}

// A lock as both know it.
std::string line(LockName name, Mode holds, Mode wants, Flags flags, Mode notified, bool orphan) {
  // That it is a conversion or an adoption the model knows by flags that the table does not keep.
  flags &= ~(kConvert | kOrphan);
  return text(name) + " " + word(holds) + ">" + word(wants) + " flags " + std::to_string(flags) +
         " told " + word(notified) + (orphan ? " orphan" : "");
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += (all.empty() ? "" : ", ") + line;
  return "[" + all + "]";
}

}  // namespace

TablePair::TablePair(const dlm::Limits& limits) : limits_(limits), table_(limits), again_(limits) {}

TablePair::TablePair(const TablePair& other)
    : limits_(other.limits_),
      table_(loaded_from(other.table_, limits_)),
      again_(loaded_from(other.table_, limits_)),
      lockspace_(other.lockspace_),
      ids_(other.ids_),
      names_(other.names_),
      pending_(other.pending_),
      last_token_(other.last_token_),
      flags_of_all_(other.flags_of_all_),
      commands_(other.commands_),
      owners_(other.owners_) {}

const Lock* TablePair::find(LockName name) const {
  const auto id = ids_.find(name);
  if (id == ids_.end()) return nullptr;
  const auto lock = lockspace_.locks().find(id->second);
  return lock == lockspace_.locks().end() ? nullptr : &lock->second;
}

std::string TablePair::execute(const Command& command) {
  ++seen_[std::string("command ") + std::to_string(static_cast<int>(command.kind))];
  if (command.kind == Command::Kind::reload) return reload();
  if (command.kind == Command::Kind::end) return end(command);
  std::string wrong = step(command);
  if (!wrong.empty()) return wrong;
  dlm::Effects effects;
  model::execute(again_, command, effects);
  if (again_.digest() != table_.digest()) return "a table that began with these commands differs";
  return {};
}

// One request, or one lock of a session that ends.
std::string TablePair::step(const Command& command) {
  told_.clear();
  expected_.clear();
  wrong_.clear();
  tokens_.clear();
  LockName next;
  if (command.kind == Command::Kind::end) next = table_.locks_of(command.lock.session, 1)[0].lock;
  const std::uint64_t before = table_.digest();
  const std::uint64_t next_before = table_.next_token();
  if (command.owner != dlm::Owner{}) owners_ = true;
  std::optional<DeadlockJudge> judge;
  if (owners_) judge.emplace(table_);
  of_one_resource_ = false;
  flags_of_all_ |= command.flags;

  dlm::Effects effects;
  model::execute(table_, command, effects);
  refused_ = dlm::Status::ok;
  if (command.kind != Command::Kind::end) {
    if (effects.empty()) return "no outcome";
    if (effects[0].lock != command.lock) return "the first effect is of another lock";
    if (effects[0].kind == Effect::Kind::refused) refused_ = effects[0].status;
  }
  switch (command.kind) {
    case Command::Kind::acquire:
      acquire(command);
      break;
    case Command::Kind::convert:
      convert(command);
      break;
    case Command::Kind::release:
      release(command);
      break;
    case Command::Kind::cancel:
      cancel(command);
      break;
    case Command::Kind::adopt:
      adopt(command);
      break;
    default:
      end_one(command, next);
  }
  break_deadlocks(command, effects);
  for (const Effect& effect : effects) {
    if (command.kind == Command::Kind::end && effect.lock == next) continue;
    hear(command, effect);
  }
  if (!tokens_.empty()) last_token_ = base::value(*tokens_.rbegin());
  if (last_token_ >= table_.next_token()) return "a token would be drawn twice";
  if (refused_ != dlm::Status::ok) {
    ++seen_["refused: " + std::string(to_string(refused_))];
    const bool may_change =
        refused_ == dlm::Status::would_block ||
        (command.kind == Command::Kind::convert && refused_ == dlm::Status::deadlock);
    const bool drew = table_.next_token() != next_before;
    if (!may_change && !drew && table_.digest() != before) return "refused, and something changed";
  }
  for (const auto& compare : {wrong_, compare_told(), compare_state()}) {
    if (!compare.empty()) return compare;
  }
  return judge_deadlocks(command, effects, judge ? &*judge : nullptr);
}

std::string TablePair::end(const Command& command) {
  const dlm::SessionId session = command.lock.session;
  Command one = command;
  one.budget = 0;
  while (true) {
    const auto left = table_.locks_of(session, 1);
    if (left.empty() || (command.ending == dlm::Ending::closed && left[0].orphan)) break;
    if (const std::string wrong = step(one); !wrong.empty()) return wrong;
  }
  dlm::Effects effects;
  if (!table_.release_some(session, command.ending, 0, effects) || !effects.empty()) {
    return "something is left of a session that has ended";
  }
  while (!again_.release_some(session, command.ending, command.budget, effects)) {
  }
  if (again_.digest() != table_.digest()) return "ended in other pieces, the table differs";
  return {};
}

// The second table goes on from the bytes of the first, and the first from its own.
std::string TablePair::reload() {
  const base::Buffer bytes = snapshot_of(table_);
  if (snapshot_of(again_) != bytes) return "equal tables have different bytes";
  auto loaded = dlm::Table::deserialize(bytes, limits_);
  if (!loaded) return "does not load: " + std::string(to_string(loaded.error()));
  if (loaded->digest() != table_.digest()) return "loaded, its digest differs";
  if (snapshot_of(*loaded) != bytes) return "loaded, its bytes differ";
  again_ = std::move(*loaded);
  return compare_state();
}

LockCall TablePair::call_of(const Command& command) const {
  LockCall call;
  const int session = static_cast<int>(base::value(command.lock.session));
  call.owner = {session, session, 1};
  call.mode = mode_of(command.mode);
  call.flags = flags_of(command.flags);
  call.value = value_of(command.value);
  call.has_blocking_function = (command.flags & flag::notify) != 0;
  call.deadlocked = refused_ == dlm::Status::deadlock;
  return call;
}

// What the model answers, or says later of the lock that was asked for.
void TablePair::expect(const Outcome& outcome, LockName asked) {
  if (outcome.status != Status::ok) expected_[asked].push_back(word(outcome.status));
  for (const Callback& it : outcome.callbacks) {
    std::vector<std::string>& lines = expected_[names_.at(it.lock)];
    if (it.kind == Callback::Kind::blocking) {
      lines.push_back("!" + word(it.mode));
    } else if (it.status == Status::ok) {
      lines.push_back(granted(it.mode, it.flags, it.value));
    } else {
      lines.push_back(word(it.status) + ((it.flags & kDemoted) != 0 ? "+D" : ""));
    }
  }
}

std::size_t TablePair::locks_of(dlm::SessionId session) const {
  const auto& locks = lockspace_.locks();
  return static_cast<std::size_t>(std::count_if(locks.begin(), locks.end(), [&](const auto& it) {
    return names_.at(it.first).session == session;
  }));
}

std::optional<dlm::Status> TablePair::limit_reached(LockName lock, int resource) const {
  if (lockspace_.locks().size() >= limits_.locks) return dlm::Status::too_many_locks;
  if (locks_of(lock.session) >= limits_.locks_per_session) return dlm::Status::session_full;
  if (lockspace_.resources().contains(in_model(resource))) return std::nullopt;
  if (lockspace_.resources().size() >= limits_.resources) return dlm::Status::too_many_resources;
  std::set<std::string> lockspaces;
  for (const auto& [name, it] : lockspace_.resources()) lockspaces.insert(name.substr(0, 1));
  if (lockspaces.size() >= limits_.lockspaces && !lockspaces.contains(lockspace_of(resource))) {
    return dlm::Status::too_many_lockspaces;
  }
  return std::nullopt;
}

void TablePair::acquire(const Command& command) {
  LockCall call = call_of(command);
  call.name = in_model(command.resource);
  if (!call.value) call.value = Value{};
  const Lockspace before = lockspace_;
  const Outcome outcome = lockspace_.lock(call);
  if (outcome.status == Status::ok) names_[outcome.lock] = command.lock;
  const bool eagain = !outcome.callbacks.empty() && outcome.callbacks[0].status == Status::eagain &&
                      outcome.callbacks[0].kind == Callback::Kind::completion;
  const Lockspace after = std::exchange(lockspace_, before);
  if (outcome.status == Status::ok && find(command.lock) != nullptr) {
    expected_[command.lock].push_back(std::string(to_string(dlm::Status::duplicate)));
    return;
  }
  const auto limit = limit_reached(command.lock, command.resource);
  if (outcome.status == Status::ok && !eagain && limit) {
    expected_[command.lock].push_back(std::string(to_string(*limit)));
    return;
  }
  lockspace_ = after;
  if (outcome.status == Status::ok) ids_[command.lock] = outcome.lock;
  expect(outcome, command.lock);
}

void TablePair::convert(const Command& command) {
  LockCall call = call_of(command);
  const auto id = ids_.find(command.lock);
  call.lock = id == ids_.end() ? kUnknown : id->second;
  call.flags |= kConvert;
  if (!call.value && (call.flags & kValblk) != 0) call.value = Value{};
  call.deadlocked = false;
  const Lockspace before = lockspace_;
  const Outcome outcome = lockspace_.lock(call);
  of_one_resource_ = !outcome.callbacks.empty() && outcome.callbacks[0].status == Status::edeadlk;
  if (refused_ != dlm::Status::deadlock || of_one_resource_) {
    return expect(outcome, command.lock);
  }
  lockspace_ = before;
  call.deadlocked = true;
  expect(lockspace_.lock(call), command.lock);
}

void TablePair::adopt(const Command& command) {
  LockCall call = call_of(command);
  const Lock* orphan = find(command.orphan);
  call.name = orphan != nullptr ? orphan->resource : "?";
  call.lock = orphan != nullptr ? orphan->id : kUnknown;
  call.mode = orphan != nullptr && orphan->granted != Mode::none ? orphan->granted : Mode::nl;
  call.flags |= kOrphan;
  if (!call.value) call.value = Value{};
  const Lockspace before = lockspace_;
  const Outcome outcome = lockspace_.lock(call);
  if (outcome.status != Status::ok) return expect(outcome, command.lock);
  const Lockspace after = std::exchange(lockspace_, before);
  std::optional<dlm::Status> status;
  if (find(command.lock) != nullptr) {
    status = dlm::Status::duplicate;
  } else if (locks_of(command.lock.session) >= limits_.locks_per_session) {
    status = dlm::Status::session_full;
  }
  if (status) {
    expected_[command.lock].push_back(std::string(to_string(*status)));
    return;
  }
  lockspace_ = after;
  ids_.erase(command.orphan);
  ids_[command.lock] = outcome.lock;
  names_[outcome.lock] = command.lock;
  const Resource& resource = lockspace_.resources().at(call.name);
  const bool reads = (call.flags & kValblk) != 0;
  expected_[command.lock].push_back(granted(call.mode,
                                            reads && resource.value_invalid ? kValnotvalid : 0,
                                            reads ? std::optional(resource.value) : std::nullopt));
  expect(outcome, command.lock);
}

void TablePair::release(const Command& command) {
  const Lock* lock = find(command.lock);
  const bool forced = (command.flags & flag::force) != 0;
  const bool legal = base::legal_release(command.flags);
  if (lock != nullptr && !lock->orphan && legal && !forced) {
    const bool waits = lock->requested != Mode::none;
    std::vector<std::string>& lines = expected_[command.lock];
    if (waits && lock->granted == Mode::none) {
      return lines.push_back(std::string(to_string(dlm::Status::not_granted)));
    }
    if (waits) return lines.push_back(word(Status::ebusy));
    if (command.wrong_token) {
      return lines.push_back(std::string(to_string(dlm::Status::wrong_token)));
    }
  }
  const auto id = ids_.find(command.lock);
  const UnlockCall call{static_cast<int>(base::value(command.lock.session)),
                        id == ids_.end() ? kUnknown : id->second, flags_of(command.flags),
                        value_of(command.value)};
  expect(lockspace_.unlock(call), command.lock);
}

void TablePair::cancel(const Command& command) {
  const Lock* lock = find(command.lock);
  if (lock != nullptr && !lock->orphan && lock->requested == Mode::none) {
    expected_[command.lock].push_back(std::string(to_string(dlm::Status::already_granted)));
    return;
  }
  const int session = static_cast<int>(base::value(command.lock.session));
  const int id = lock == nullptr ? kUnknown : lock->id;
  if (command.why == dlm::Status::deadlock) {
    return expect(lockspace_.deadlock_cancel(session, id), command.lock);
  }
  Outcome outcome = lockspace_.unlock({session, id, kCancel, {}});
  for (Callback& it : outcome.callbacks) {
    if (it.status == Status::ecancel && command.why == dlm::Status::timed_out) {
      it.status = Status::etimedout;
    }
  }
  expect(outcome, command.lock);
}

void TablePair::end_one(const Command& command, LockName next) {
  const Lock* lock = find(next);
  if (lock == nullptr) {
    wrong_ = "the model does not know " + text(next);
    return;
  }
  const Lockspace::Death how = command.ending == dlm::Ending::closed ? Lockspace::Death::process
                               : command.ending == dlm::Ending::node_gone ? Lockspace::Death::node
                                                                          : Lockspace::Death::purge;
  Outcome outcome = lockspace_.end_lock(lock->id, how);
  const int id = ids_.at(next);
  std::erase_if(outcome.callbacks, [&](const Callback& it) { return it.lock == id; });
  expect(outcome, next);
}

// Waits that the table ended, since somebody was granted something.
void TablePair::break_deadlocks(const Command& command, const dlm::Effects& effects) {
  for (const Effect& effect : effects) {
    const bool ended =
        effect.kind == Effect::Kind::cancelled || effect.kind == Effect::Kind::reverted;
    if (!ended || effect.status != dlm::Status::deadlock) continue;
    if (command.kind == Command::Kind::cancel && effect.lock == command.lock) continue;
    ++seen_["deadlock at a grant"];
    const Lock* lock = find(effect.lock);
    const int session = static_cast<int>(base::value(effect.lock.session));
    expect(lockspace_.deadlock_cancel(session, lock == nullptr ? kUnknown : lock->id), effect.lock);
  }
}

// Notes what the table said, and looks at what is its own: tokens and requests.
void TablePair::hear(const Command& command, const Effect& effect) {
  std::vector<std::string>& lines = told_[effect.lock];
  const bool of_command = effect.lock == command.lock && (command.kind == Command::Kind::acquire ||
                                                          command.kind == Command::Kind::convert);
  const dlm::RequestId own =
      command.kind == Command::Kind::convert ? command.request : command.lock.acquired_by;
  const auto waits = pending_.find(effect.lock);
  const dlm::RequestId request = waits != pending_.end() ? waits->second
                                 : of_command            ? own
                                                         : effect.lock.acquired_by;
  const std::string demoted = (effect.notes & base::grant_note::demoted) != 0 ? "+D" : "";
  switch (effect.kind) {
    case Effect::Kind::granted:
      lines.push_back(granted(mode_of(effect.mode), effect.notes, bytes_of(effect.value)));
      if (base::value(effect.token) <= last_token_ || !tokens_.insert(effect.token).second) {
        wrong_ = "a token does not grow";
      }
      if (effect.request != request) wrong_ = "granted for another request";
      pending_.erase(effect.lock);
      ++seen_[waits != pending_.end() ? "granted from a queue" : "granted at once"];
      break;
    case Effect::Kind::queued:
      pending_[effect.lock] = own;
      if (effect.request != own || effect.mode != command.mode) wrong_ = "queued for another thing";
      ++seen_["queued"];
      break;
    case Effect::Kind::refused:
      lines.push_back(word_of(effect.status) + demoted);
      if (of_command && effect.request != own) wrong_ = "refused for another request";
      break;
    case Effect::Kind::released:
      lines.push_back(word(Status::eunlock));
      pending_.erase(effect.lock);
      break;
    case Effect::Kind::cancelled:
      lines.push_back(word_of(effect.status));
      if (effect.request != request) wrong_ = "cancelled another request";
      pending_.erase(effect.lock);
      break;
    case Effect::Kind::reverted: {
      lines.push_back(word_of(effect.status) + demoted);
      const auto view = table_.find(effect.lock);
      if (!view || view->waiting || view->mode != effect.mode || view->token != effect.token) {
        wrong_ = "reverted to something else";
      }
      if (effect.request != request) wrong_ = "reverted another request";
      pending_.erase(effect.lock);
      break;
    }
    case Effect::Kind::blocks:
      lines.push_back("!" + word(mode_of(effect.mode)));
      ++seen_["notified"];
      break;
  }
}

std::string TablePair::compare_told() {
  std::erase_if(told_, [](const auto& it) { return it.second.empty(); });
  std::erase_if(expected_, [](const auto& it) { return it.second.empty(); });
  if (told_ == expected_) return {};
  return "the table says" + lines_of(told_) + "; the model says" + lines_of(expected_);
}

std::string TablePair::compare_state() const {
  if (table_.locks() != lockspace_.locks().size()) return "not as many locks";
  if (table_.resources() != lockspace_.resources().size()) return "not as many resources";
  for (const auto& [name, resource] : lockspace_.resources()) {
    if (std::string wrong = compare_resource(name, resource); !wrong.empty()) return wrong;
  }
  return {};
}

std::string TablePair::compare_resource(const std::string& name, const Resource& resource) const {
  std::map<int, std::string> holders;
  std::vector<std::string> converting;
  std::vector<std::string> waiting;
  std::map<std::size_t, std::string> positions;
  std::uint64_t last = 0;
  std::string wrong;
  const dlm::ResourceName full{base::bytes_of(std::string_view(name).substr(0, 1)),
                               base::bytes_of(std::string_view(name).substr(2))};
  table_.visit_locks(full, 0, 1000, [&](const dlm::LockView& view) {
    const Mode holds = view.granted ? mode_of(view.mode) : Mode::none;
    const Mode wants = view.waiting ? mode_of(view.wants) : Mode::none;
    const std::string text =
        line(view.lock, holds, wants, flags_of(view.flags), mode_of(view.notified), view.orphan);
    if (!view.granted) {
      waiting.push_back(text);
      return;
    }
    if (base::value(view.token) <= last) wrong = "holders are not in the order of their tokens";
    last = base::value(view.token);
    holders[ids_.contains(view.lock) ? ids_.at(view.lock) : 0] = text;
    if (view.waiting) positions[view.position] = text;
  });
  for (const auto& [position, text] : positions) converting.push_back(text);
  const auto lines = [&](const std::vector<int>& ids) {
    std::vector<std::string> all;
    for (int id : ids) {
      const Lock& it = lockspace_.locks().at(id);
      all.push_back(
          line(names_.at(id), it.granted, it.requested, it.flags, it.notified, it.orphan));
    }
    return all;
  };
  std::vector<int> ids = resource.granted;
  ids.insert(ids.end(), resource.converting.begin(), resource.converting.end());
  std::sort(ids.begin(), ids.end());
  std::vector<std::string> held;
  for (const auto& [id, text] : holders) held.push_back(text);
  if (!wrong.empty()) return wrong;
  if (held != lines(ids)) return name + ": held " + joined(held) + ", model " + joined(lines(ids));
  if (converting != lines(resource.converting)) {
    return name + ": converting " + joined(converting) + ", model " +
           joined(lines(resource.converting));
  }
  if (waiting != lines(resource.waiting)) {
    return name + ": waiting " + joined(waiting) + ", model " + joined(lines(resource.waiting));
  }
  const auto view = table_.find(full);
  if (!view || view->holders != held.size() ||
      view->waiters != converting.size() + waiting.size()) {
    return name + ": counted wrong";
  }
  const Value value =
      view->value ? *bytes_of(std::optional<dlm::ValueBlock>(*view->value)) : Value{};
  if (value != resource.value) return name + ": another value";
  if (view->value_invalid != resource.value_invalid) return name + ": another mark of the value";
  return {};
}

// After a command nobody is stuck; and who was refused or ended for a deadlock would have been.
std::string TablePair::judge_deadlocks(const Command& command, const dlm::Effects& effects,
                                       const DeadlockJudge* before) {
  std::vector<dlm::Deadlock> found = table_.take_deadlocks();
  again_.take_deadlocks();
  const auto told = std::count_if(effects.begin(), effects.end(), [&](const Effect& it) {
    const bool is_asked_for = command.kind == Command::Kind::cancel && it.lock == command.lock;
    return it.status == dlm::Status::deadlock && !is_asked_for;
  });
  if (static_cast<std::size_t>(told) != found.size()) return "a deadlock is told or shown alone";
  const DeadlockJudge after(table_);
  if (of_one_resource_) {
    ++seen_["deadlock of conversions"];
    const std::string wrong =
        compare_ring_of_two(command, found[0], before == nullptr ? after : *before);
    if (!wrong.empty()) return wrong;
    found.erase(found.begin());
  }
  const bool hidden = (flags_of_all_ & flag::no_deadlock_block) != 0;
  if (!hidden && ++commands_ % 16 == 0 && !everybody_can_finish(table_)) {
    return "somebody could never finish";
  }
  if (before == nullptr) return found.empty() ? "" : "a deadlock of nobody";
  if (!after.stuck().empty()) return text(*after.stuck().begin()) + " waits for ever";
  DeadlockJudge with = after;
  if (refused_ == dlm::Status::deadlock && !of_one_resource_) {
    const bool at_head = (command.flags & flag::head_of_queue) != 0;
    DeadlockJudge::Seen wait;
    if (command.kind == Command::Kind::convert) {
      wait = *after.find(command.lock);
    } else {
      wait = {
          command.lock, {command.lock.session, command.owner}, in_model(command.resource), {}, {},
          command.flags};
    }
    wait.wants = command.mode;
    with.add_wait(wait, at_head);
    ++seen_["deadlock at a request"];
    // Where it became an obstacle by it, another wait was ended too, and the ring with that; where
    // it has lost its mode by it, others may have gone since.
    const bool demoted = (effects[0].notes & base::grant_note::demoted) != 0;
    const DeadlockJudge::Seen* was = before->find(command.lock);
    const bool is_new_obstacle = was != nullptr && (was->flags & flag::no_deadlock_block) != 0;
    if (!is_new_obstacle && !demoted && with.stuck().empty())
      return "refused for a deadlock that is none";
  }
  for (const dlm::Deadlock& ring : found) {
    if (const std::string wrong = compare_ring(ring, *before, with); !wrong.empty()) return wrong;
  }
  return {};
}

// Each step is true before the command or after it, and the ring is closed.
std::string TablePair::compare_ring(const dlm::Deadlock& ring, const DeadlockJudge& before,
                                    const DeadlockJudge& after) {
  if (std::none_of(ring.steps.begin(), ring.steps.end(), [&](const dlm::DeadlockStep& step) {
        return step.waits == ring.victim || step.blocker == ring.victim;
      })) {
    return "a ring without its victim";
  }
  for (std::size_t i = 0; i < ring.steps.size(); ++i) {
    const dlm::DeadlockStep& step = ring.steps[i];
    const dlm::LockName next = ring.steps[(i + 1) % ring.steps.size()].waits;
    // A wait that was ended is as it was, beside what was granted since.
    DeadlockJudge both = after;
    for (const dlm::LockName& name : {step.waits, step.blocker, next}) {
      const DeadlockJudge::Seen* was = before.find(name);
      const DeadlockJudge::Seen* is = both.find(name);
      if (was != nullptr && was->wants && (is == nullptr || !is->wants)) {
        DeadlockJudge::Seen again = *was;
        if (is != nullptr) again.holds = is->holds;
        both.add_wait(again, false);
      }
    }
    const bool is_true = before.waits_for(step) || both.waits_for(step);
    const DeadlockJudge::Seen* to = both.find(next);
    const bool leads = to != nullptr && (before.leads_to(step, *to) || both.leads_to(step, *to));
    if (!is_true) return "step " + std::to_string(i + 1) + " of a ring is not true";
    if (!leads) return "step " + std::to_string(i + 1) + " of a ring leads elsewhere";
  }
  ++seen_["ring of " + std::to_string(ring.steps.size()) + " steps"];
  return {};
}

// 2.8: who converts keeps another one from it that came before.
std::string TablePair::compare_ring_of_two(const Command& command, const dlm::Deadlock& ring,
                                           const DeadlockJudge& state) const {
  if (ring.victim != command.lock || ring.steps.size() != 2) return "not a ring of two";
  const dlm::DeadlockStep& there = ring.steps[0];
  const dlm::DeadlockStep& back = ring.steps[1];
  const DeadlockJudge::Seen* own = state.find(command.lock);
  const DeadlockJudge::Seen* other = state.find(there.blocker);
  if (own == nullptr || other == nullptr || !other->wants || !other->holds ||
      dlm::compatible(*own->holds, *other->wants)) {
    return "who converts keeps nobody from it";
  }
  const bool is_right = there.waits == own->name && there.wants == command.mode &&
                        there.has == other->holds && back.waits == other->name &&
                        back.wants == other->wants && back.blocker == own->name &&
                        back.has == own->holds;
  return is_right ? "" : "a ring of two is told wrong";
}

}  // namespace model

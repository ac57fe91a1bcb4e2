// The bytes of a whole barrier table, for a node that has none. Equal tables have equal bytes.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "barrier/table.h"
#include "base/mutant.h"

namespace barrier {
namespace {

constexpr std::uint8_t kVersion = 1;

// Of a barrier.
constexpr std::uint8_t kTwoSteps = 1;
constexpr std::uint8_t kAutoDelete = 2;
constexpr std::uint8_t kEntering = 4;
constexpr std::uint8_t kInside = 8;
constexpr std::uint8_t kAllFlags = 15;

void put(base::ByteWriter& out, const std::string& name) {
  out.bytes16(base::bytes_of(name));
}

void put(base::ByteWriter& out, const std::vector<Lost>& lost, std::uint64_t losses) {
  out.u8(static_cast<std::uint8_t>(lost.size()));
  for (const Lost& one : lost) {
    out.u64(base::value(one.session));
    out.processor(one.at);
  }
  out.u64(losses);
}

void put(base::ByteWriter& out, const Round& round) {
  out.u64(base::value(round.generation()));
  out.u64(round.replacements());
  put(out, round.lost(), round.losses());
  out.u32(static_cast<std::uint32_t>(round.participants().size()));
  for (const auto& [session, participant] : round.participants()) {
    out.u64(base::value(session));
    out.processor(participant.at);
    out.u64(base::value(participant.request));
    out.bytes16(participant.value);
  }
}

void put(base::ByteWriter& out, const Outcomes::Kept& kept) {
  const Outcome& outcome = kept.outcome;
  out.u64(base::value(outcome.key.generation));
  out.u8(static_cast<std::uint8_t>(outcome.key.step));
  put(out, outcome.name.lockspace);
  put(out, outcome.name.barrier);
  out.u8(static_cast<std::uint8_t>(outcome.ending));
  out.ring(outcome.ring);
  out.u64(outcome.membership);
  put(out, outcome.lost, outcome.losses);
  out.u32(static_cast<std::uint32_t>(outcome.members.size()));
  for (const Member& member : outcome.members) {
    out.u64(base::value(member.session));
    out.processor(member.at);
    out.bytes16(member.value);
    const auto owed = kept.owed.find(member.session);
    const bool is_owed = owed != kept.owed.end() || MUTANT("barrier_image_owes_again");
    out.u8(is_owed ? 1 : 0);
    if (is_owed) out.u64(owed == kept.owed.end() ? 0 : base::value(owed->second));
  }
}

}  // namespace

// Builds a table from bytes that nobody vouches for. After the first error the rest is not looked
// at.
class Table::Loader {
 public:
  Loader(Table& table, Bytes bytes) : table_(table), in_(bytes) {}

  std::optional<LoadError> load() {
    if (in_.u8() != kVersion) return LoadError::malformed;
    table_.next_generation_ = in_.u64();
    const std::uint32_t lockspaces = in_.u32();
    const std::uint32_t barriers = in_.u32();
    const std::uint32_t outcomes = in_.u32();
    if (lockspaces > table_.limits_.lockspaces || barriers > table_.limits_.barriers ||
        outcomes > table_.limits_.places) {
      return LoadError::over_limit;
    }
    for (std::uint32_t i = 0; i < lockspaces && good(); ++i) load_lockspace();
    for (std::uint32_t i = 0; i < barriers && good(); ++i) load_barrier();
    for (std::uint32_t i = 0; i < outcomes && good(); ++i) load_outcome();
    if (good()) judge();
    if (error_) return error_;
    return in_.finish() ? std::nullopt : std::optional(LoadError::malformed);
  }

 private:
  bool good() const { return !error_ && !in_.failed(); }

  void fail(LoadError error) {
    if (good()) error_ = error;
  }

  // What is only worth a look while all is well.
  void expect(bool sound) {
    if (!sound) fail(LoadError::contradictory);
  }

  std::string name(std::size_t longest) {
    const Bytes bytes = in_.bytes(in_.count16(static_cast<std::uint32_t>(longest)));
    if (bytes.empty()) in_.fail();
    return base::text_of(bytes);
  }

  base::Buffer value() {
    const Bytes bytes = in_.bytes(in_.count16(kMaxValue));
    return {bytes.begin(), bytes.end()};
  }

  template <typename Enum>
  Enum one_of(Enum last) {
    const std::uint8_t number = in_.u8();
    if (number > static_cast<std::uint8_t>(last)) in_.fail();
    return static_cast<Enum>(number);
  }

  // In growing order, which makes them unique.
  template <typename Value>
  void expect_growing(std::optional<Value>& last, const Value& next) {
    expect(!last || *last < next);
    last = next;
  }

  void load_lockspace() {
    const std::string lockspace = name(kMaxLockspaceName);
    Membership members;
    members.generation = in_.u64();
    std::optional<Processor> last_node;
    for (std::uint32_t left = in_.u32(); left > 0 && good(); --left) {
      members.nodes.push_back(in_.processor());
      expect_growing(last_node, members.nodes.back());
    }
    std::optional<SessionId> last_session;
    for (std::uint32_t left = in_.u32(); left > 0 && good(); --left) {
      members.sessions.push_back(SessionId{in_.u64()});
      expect_growing(last_session, members.sessions.back());
    }
    if (!good()) return;
    expect_growing(last_lockspace_, lockspace);
    if (!good()) return;
    Create create;
    create.name.lockspace = lockspace;
    create.members = std::move(members);
    table_.watch(create);
  }

  void load_barrier() {
    Name full;
    full.lockspace = name(kMaxLockspaceName);
    full.barrier = name(kMaxBarrierName);
    Barrier barrier;
    barrier.config.parties = in_.u32();
    barrier.config.unit = one_of(Unit::node);
    barrier.config.on_death = one_of(OnDeath::wait);
    barrier.patience = in_.u32();
    const std::uint8_t flags = in_.u8();
    if (flags > kAllFlags) in_.fail();
    if (!good()) return;
    barrier.config.two_steps = (flags & kTwoSteps) != 0;
    barrier.auto_delete = (flags & kAutoDelete) != 0;
    const auto lockspace = table_.lockspaces_.find(full.lockspace);
    expect(lockspace != table_.lockspaces_.end() && table_.legal(barrier.config) == Status::ok);
    expect((flags & kInside) == 0 || barrier.config.two_steps);
    expect_growing(last_barrier_, full);
    if (!good()) return;
    if (lockspace->second.barriers >= table_.limits_.barriers_per_lockspace) {
      return fail(LoadError::over_limit);
    }
    table_.insert(full, std::move(barrier));
    const auto at = table_.barriers_.find(full);
    table_.edit(at, [&](const Barrier&) {
      if (flags & kInside) load_round(at, Step::leave);
      if (good() && (flags & kEntering)) load_round(at, Step::enter);
    });
  }

  void load_round(Barriers::iterator at, Step step) {
    Barrier& barrier = at->second;
    const Generation generation{in_.u64()};
    const std::uint64_t replacements = in_.u64();
    std::uint64_t losses = 0;
    std::vector<Lost> lost = load_lost(losses);
    const std::uint32_t participants = in_.u32();
    if (!good()) return;
    if (participants > table_.limits_.participants) return fail(LoadError::over_limit);
    const bool awaits =
        step == Step::enter && barrier.config.dynamic() && barrier.config.on_death == OnDeath::wait;
    expect(participants > 0 && (replacements == 0 || awaits));
    expect(generation != Generation{} && base::value(generation) < table_.next_generation_ &&
           table_.open_.emplace(generation, at->first).second);
    if (!good()) return;
    Round& round = (step == Step::enter ? barrier.entering : barrier.inside).emplace(generation);
    round.set_lost(std::move(lost), losses);
    round.set_replacements(replacements);
    std::optional<SessionId> last;
    for (std::uint32_t left = participants; left > 0 && good(); --left) {
      const SessionId session{in_.u64()};
      Participant participant;
      participant.at = in_.processor();
      participant.request = RequestId{in_.u64()};
      participant.value = value();
      if (!good()) return;
      expect_growing(last, session);
      const bool asked = participant.request != RequestId{};
      expect(step == Step::leave ? asked || participant.value.empty() : asked);
      const bool still_inside = step == Step::enter && barrier.inside &&
                                barrier.inside->find(session) && !barrier.inside->has_left(session);
      expect(!still_inside);
      if (!good()) return;
      if (step == Step::enter) {
        table_.add_participant(at, session, std::move(participant));
      } else {
        table_.add_inside(at, session, std::move(participant));
      }
    }
  }

  std::vector<Lost> load_lost(std::uint64_t& losses) {
    std::vector<Lost> lost;
    const std::uint32_t count = in_.count8(kMaxLost);
    for (std::uint32_t left = count; left > 0 && good(); --left) {
      const SessionId session{in_.u64()};
      lost.push_back({session, in_.processor()});
    }
    losses = in_.u64();
    expect(losses >= count && (losses == count || count == kMaxLost));
    return lost;
  }

  void load_outcome() {
    Outcome outcome;
    outcome.key.generation = Generation{in_.u64()};
    outcome.key.step = one_of(Step::leave);
    outcome.name.lockspace = name(kMaxLockspaceName);
    outcome.name.barrier = name(kMaxBarrierName);
    outcome.ending = one_of(Ending::deleted);
    outcome.ring = in_.ring();
    outcome.membership = in_.u64();
    outcome.lost = load_lost(outcome.losses);
    Outcomes::Owed owed;
    std::optional<SessionId> last;
    for (std::uint32_t left = in_.u32(); left > 0 && good(); --left) {
      const SessionId session{in_.u64()};
      const Processor at = in_.processor();
      outcome.members.push_back({session, at, value()});
      expect_growing(last, session);
      expect(outcome.released() || outcome.members.back().value.empty());
      const std::uint8_t is_owed = in_.u8();
      if (is_owed > 1) in_.fail();
      if (is_owed == 1) owed.emplace(session, RequestId{in_.u64()});
      const bool asks = outcome.released() || outcome.key.step == Step::enter;
      expect(is_owed == 0 || !asks || owed[session] != RequestId{});
    }
    if (!good()) return;
    expect(!owed.empty() && outcome.key.generation != Generation{} &&
           base::value(outcome.key.generation) < table_.next_generation_);
    expect_growing(last_outcome_, outcome.key);
    expect(!table_.find_round(outcome.key));
    if (!good()) return;
    for (const auto& [session, request] : owed) table_.sessions_[session].owed.insert(outcome.key);
    table_.outcomes_.add(std::move(outcome), std::move(owed));
  }

  // What only the whole table shows.
  void judge() {
    for (const auto& [name, lockspace] : table_.lockspaces_) expect(lockspace.barriers > 0);
    for (const auto& [name, barrier] : table_.barriers_) {
      expect(!barrier.inside || !barrier.inside->all_left());
      expect(!barrier.entering || barrier.inside || !table_.complete(name, barrier));
    }
    if (!good()) return;
    for (const auto& [session, record] : table_.sessions_) {
      if (table_.load_of(session) > table_.limits_.outcomes_per_session) {
        return fail(LoadError::over_limit);
      }
    }
    if (table_.places() > table_.limits_.places ||
        table_.value_bytes() > table_.limits_.value_bytes) {
      fail(LoadError::over_limit);
    }
  }

  Table& table_;
  base::ByteReader in_;
  std::optional<LoadError> error_;
  std::optional<std::string> last_lockspace_;
  std::optional<Name> last_barrier_;
  std::optional<OutcomeKey> last_outcome_;
};

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
  out.u64(next_generation_);
  out.u32(static_cast<std::uint32_t>(lockspaces_.size()));
  out.u32(static_cast<std::uint32_t>(barriers_.size()));
  out.u32(static_cast<std::uint32_t>(outcomes_.size()));
  for (const auto& [name, lockspace] : lockspaces_) {
    put(out, name);
    out.u64(lockspace.generation);
    out.u32(static_cast<std::uint32_t>(lockspace.nodes.size()));
    for (const Processor& node : lockspace.nodes) out.processor(node);
    out.u32(static_cast<std::uint32_t>(lockspace.sessions.size()));
    for (const SessionId session : lockspace.sessions) out.u64(base::value(session));
  }
  for (const auto& [name, barrier] : barriers_) {
    put(out, name.lockspace);
    put(out, name.barrier);
    out.u32(barrier.config.parties);
    out.u8(static_cast<std::uint8_t>(barrier.config.unit));
    out.u8(static_cast<std::uint8_t>(barrier.config.on_death));
    out.u32(barrier.patience);
    out.u8(static_cast<std::uint8_t>(
        (barrier.config.two_steps ? kTwoSteps : 0) | (barrier.auto_delete ? kAutoDelete : 0) |
        (barrier.entering ? kEntering : 0) | (barrier.inside ? kInside : 0)));
    if (barrier.inside) put(out, *barrier.inside);
    if (barrier.entering) put(out, *barrier.entering);
  }
  for (const auto& [key, kept] : outcomes_.all()) put(out, kept);
}

base::Result<Table, LoadError> Table::deserialize(Bytes bytes, const Limits& limits) {
  Table table(limits);
  if (const auto error = Loader(table, bytes).load()) return base::error(*error);
  return table;
}

}  // namespace barrier

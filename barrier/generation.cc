// The life of generations: participants come and go, and steps end. The rules are docs/barriers.md,
// "The release" and "Two steps".
#include <utility>

#include "barrier/digest.h"
#include "barrier/table.h"
#include "base/check.h"
#include "base/mutant.h"

namespace barrier {
namespace {

// Without those who take part.
std::uint64_t digest_of_round(std::uint64_t digest, const std::optional<Round>& round) {
  if (!round) return base::mix(digest, 0);
  digest = base::mix(digest, base::value(round->generation()));
  digest = base::mix(digest, round->replacements());
  return digest_of(digest, round->lost(), round->losses());
}

std::uint64_t digest_of_participant(Generation generation, Step step, SessionId session,
                                    const Participant& participant) {
  std::uint64_t digest = base::mix(22, base::value(generation));
  digest = base::mix(digest, static_cast<std::uint64_t>(step));
  digest = digest_of(base::mix(digest, base::value(session)), participant.at);
  digest = base::mix(digest, base::value(participant.request));
  return MUTANT("barrier_digest_without_values") ? digest
                                                 : base::hash_bytes(digest, participant.value);
}

}  // namespace

std::uint64_t Table::digest_of_header(const Name& name, const Barrier& barrier) {
  std::uint64_t digest = digest_of(25, name);
  digest = base::mix(digest, barrier.config.parties);
  digest = base::mix(digest, static_cast<std::uint64_t>(barrier.config.unit));
  digest = base::mix(digest, static_cast<std::uint64_t>(barrier.config.on_death));
  digest = base::mix(digest, barrier.config.two_steps ? 1 : 0);
  digest = base::mix(digest, barrier.auto_delete ? 1 : 0);
  digest = base::mix(digest, barrier.patience);
  return digest_of_round(digest_of_round(digest, barrier.entering), barrier.inside);
}

std::uint64_t Table::digest() const {
  return base::mix(base::mix(next_generation_, digest_), outcomes_.digest());
}

void Table::insert(const Name& name, Barrier barrier) {
  digest_ += digest_of_header(name, barrier);
  ++lockspaces_.at(name.lockspace).barriers;
  CHECK(barriers_.emplace(name, std::move(barrier)).second);
}

// Nobody is entering or inside any more.
void Table::erase(Barriers::iterator at) {
  CHECK(at->second.idle());
  digest_ -= digest_of_header(at->first, at->second);
  const auto lockspace = lockspaces_.find(at->first.lockspace);
  if (--lockspace->second.barriers == 0) {
    set_members(lockspace, {});
    digest_ -= digest_of_header(lockspace->first, lockspace->second);
    lockspaces_.erase(lockspace);
  }
  barriers_.erase(at);
}

std::size_t Table::counted_in(Unit unit, const Round& round) {
  const bool by_node = unit == Unit::node && !MUTANT("barrier_sessions_taken_for_nodes");
  return by_node ? round.nodes() : round.participants().size();
}

bool Table::complete(const Name& name, const Barrier& barrier) const {
  const Config& config = barrier.config;
  const Round& round = *barrier.entering;
  const std::size_t counted = counted_in(config.unit, round);
  if (!config.dynamic()) {
    const bool early = MUTANT("barrier_released_early") && config.parties > 1;
    return counted + (early ? 1 : 0) >= config.parties;
  }
  if (round.replacements() > 0 && !MUTANT("barrier_replacement_not_awaited")) return false;
  const Lockspace& lockspace = lockspaces_.at(name.lockspace);
  const std::size_t members =
      config.unit == Unit::node ? lockspace.nodes.size() : lockspace.sessions.size();
  if (round.participants().size() < members) return false;
  const Membership absent = this->absent(name, barrier, 1);
  return absent.nodes.empty() && absent.sessions.empty();
}

// A command on a barrier: `change`, which says whether a generation is over by it, and what follows
// from it.
void Table::execute(Barriers::iterator at, Effects& effects, const std::function<bool()>& change) {
  bool over = false;
  edit(at, [&](const Barrier&) {
    over = change();
    over = settle(at, effects) || over;
  });
  const bool to_delete = at->second.auto_delete && !MUTANT("barrier_auto_delete_forgotten");
  if (over && to_delete && at->second.idle()) erase(at);
}

// What follows by itself from who is there. True if a generation is over.
bool Table::settle(Barriers::iterator at, Effects& effects) {
  Barrier& barrier = at->second;
  bool over = false;
  if (barrier.inside && barrier.inside->empty()) {
    open_.erase(barrier.inside->generation());
    barrier.inside.reset();
    over = true;
  } else if (barrier.inside && barrier.inside->all_left()) {
    end_inside(at, Ending::released, effects);
    over = true;
  }
  if (!barrier.entering) return over;
  if (barrier.entering->empty()) {
    if (MUTANT("barrier_generation_repeats")) --next_generation_;
    open_.erase(barrier.entering->generation());
    barrier.entering.reset();
    return true;
  }
  const bool room = !barrier.inside || MUTANT("barrier_enters_occupied");
  if (!room || !complete(at->first, barrier)) return over;
  end_entering(at, Ending::released, effects);
  return over || !barrier.inside;
}

void Table::open(Barriers::iterator at) {
  const Generation generation{next_generation_};
  ++next_generation_;
  at->second.entering.emplace(generation);
  open_[generation] = at->first;
}

Table::Barriers::iterator Table::find_open(Generation generation) {
  const auto open = open_.find(generation);
  return open == open_.end() ? barriers_.end() : barriers_.find(open->second);
}

void Table::add_participant(Barriers::iterator at, SessionId session, Participant participant) {
  Round& round = *at->second.entering;
  waiting_places_ += at->second.steps();
  waiting_bytes_ += participant.value.size();
  digest_ += digest_of_participant(round.generation(), Step::enter, session, participant);
  round.add(session, std::move(participant));
  sessions_[session].at.insert(at->first);
}

void Table::add_inside(Barriers::iterator at, SessionId session, Participant participant) {
  Round& round = *at->second.inside;
  waiting_places_ += 1;
  waiting_bytes_ += participant.value.size();
  digest_ += digest_of_participant(round.generation(), Step::leave, session, participant);
  round.add(session, std::move(participant));
  sessions_[session].at.insert(at->first);
}

void Table::remove_entering(Barriers::iterator at, SessionId session) {
  Round& round = *at->second.entering;
  const Participant& participant = *round.find(session);
  if (!MUTANT("barrier_place_leaks")) waiting_places_ -= at->second.steps();
  waiting_bytes_ -= participant.value.size();
  digest_ -= digest_of_participant(round.generation(), Step::enter, session, participant);
  round.remove(session);
  forget(at, session);
}

void Table::leave_inside(Barriers::iterator at, By by, base::Buffer value) {
  Round& round = *at->second.inside;
  const Participant& participant = *round.find(by.session);
  digest_ -= digest_of_participant(round.generation(), Step::leave, by.session, participant);
  waiting_bytes_ += value.size();
  round.leave(by.session, by.request, std::move(value));
  digest_ += digest_of_participant(round.generation(), Step::leave, by.session, participant);
}

void Table::remove_inside(Barriers::iterator at, SessionId session) {
  Round& round = *at->second.inside;
  const Participant& participant = *round.find(session);
  waiting_places_ -= 1;
  waiting_bytes_ -= participant.value.size();
  digest_ -= digest_of_participant(round.generation(), Step::leave, session, participant);
  round.remove(session);
  forget(at, session);
}

// The session takes part in one step less of this barrier.
void Table::forget(Barriers::iterator at, SessionId session) {
  const Barrier& barrier = at->second;
  if (barrier.entering && barrier.entering->find(session)) return;
  if (barrier.inside && barrier.inside->find(session)) return;
  const auto record = sessions_.find(session);
  record->second.at.erase(at->first);
  if (record->second.empty()) sessions_.erase(record);
}

void Table::end_entering(Barriers::iterator at, Ending ending, Effects& effects) {
  Barrier& barrier = at->second;
  Round ended = std::move(*barrier.entering);
  barrier.entering.reset();
  open_.erase(ended.generation());
  if (ending == Ending::released && barrier.config.two_steps) {
    open_[ended.generation()] = at->first;
    barrier.inside.emplace(ended.generation());
    for (const auto& [session, participant] : ended.participants()) {
      add_inside(at, session, {participant.at, {}, {}});
    }
  }
  tell(at, ended, Step::enter, ending, effects);
}

void Table::end_inside(Barriers::iterator at, Ending ending, Effects& effects) {
  Round ended = std::move(*at->second.inside);
  at->second.inside.reset();
  open_.erase(ended.generation());
  tell(at, ended, Step::leave, ending, effects);
}

// Makes an outcome of a step that has ended and is not the barrier's any more.
void Table::tell(Barriers::iterator at, const Round& ended, Step step, Ending ending,
                 Effects& effects) {
  Outcome outcome;
  outcome.key = {ended.generation(), step};
  outcome.name = at->first;
  outcome.ending = ending;
  outcome.ring = ring_;
  outcome.membership = lockspaces_.at(at->first.lockspace).generation;
  outcome.lost = ended.lost();
  outcome.losses = ended.losses();
  const bool values = ending == Ending::released && !MUTANT("barrier_values_lost");
  const std::size_t places = step == Step::enter ? at->second.steps() : 1;
  Outcomes::Owed owed;
  for (const auto& [session, participant] : ended.participants()) {
    digest_ -= digest_of_participant(ended.generation(), step, session, participant);
    waiting_places_ -= places;
    waiting_bytes_ -= participant.value.size();
    outcome.members.push_back(
        {session, participant.at, values ? participant.value : base::Buffer()});
    owed.emplace(session, participant.request);
    sessions_[session].owed.insert(outcome.key);
    forget(at, session);
    effects.push_back({Effect::Kind::ended, Status::ok, session, participant.request, outcome.key});
  }
  outcomes_.add(std::move(outcome), std::move(owed));
}

// Both are broken before anything follows.
void Table::break_all(Barriers::iterator at, Ending ending, Effects& effects) {
  if (at->second.inside) end_inside(at, ending, effects);
  if (at->second.entering) end_entering(at, ending, effects);
}

void Table::time_out(OutcomeKey key, Effects& effects) {
  const auto found = find_open(key.generation);
  if (found == barriers_.end()) return;
  const Barrier& barrier = found->second;
  const bool inside = barrier.inside && barrier.inside->generation() == key.generation;
  const Step step = inside ? Step::leave : Step::enter;
  if (key.step != step && !MUTANT("barrier_time_out_of_another_step")) return;
  if (inside && barrier.inside->left() == 0) return;
  execute(found, effects, [&] {
    if (inside) {
      end_inside(found, Ending::timed_out, effects);
    } else {
      end_entering(found, Ending::timed_out, effects);
    }
    return true;
  });
}

}  // namespace barrier

#include "watch.h"

#include <algorithm>
#include <string>

#include "note.h"
#include "story.h"
#include "volume.h"

namespace journal_recovery {

Watch::Watch(ringlock::client& client, unsigned journals) : client_(client), journals_(journals) {
  for (unsigned i = 0; i < journals; ++i) {
    journals_[i].watch = this;
    journals_[i].number = i + 1;
  }
}

void Watch::start(unsigned own) {
  for (Journal& journal : journals_) {
    if (journal.number != own) ask(journal);
  }
  catch_up();
}

void Watch::stop() {
  for (Journal& journal : journals_) {
    let_go(journal);
    forget(journal.number);
  }
}

void Watch::stop(unsigned journal) {
  let_go(journals_.at(journal - 1));
}

// Our requests are served in their order: once this one is, all that could be granted before it has
// been, and is there to be told.
void Watch::catch_up() {
  ringlock::terms at_once;
  at_once.flags = LOCK_FLAG_EXPEDITE;
  client_.acquire(control(), ringlock::mode::nl, at_once);
  client_.dispatch();
}

void Watch::give_way() {
  for (Journal& journal : journals_) {
    if (!journal.grant || !journal.wanted) continue;
    // Who wants it takes care of it. If he dies over it, we shall be granted it again.
    forget(journal.number);
    let_go(journal);
    ask(journal);
  }
}

bool Watch::is_free(unsigned journal) const {
  return journals_.at(journal - 1).grant && orphaned_.count(journal) == 0;
}

void Watch::ask(Journal& journal) {
  const std::string name = journal_region(journal.number);
  lock_request request{};
  request.size = sizeof request;
  request.lockspace = kLockspace;
  request.name = name.data();
  request.name_len = name.size();
  request.mode = LOCK_MODE_PR;
  request.flags = LOCK_FLAG_VALUE;
  request.owner = LOCK_OWNER_NONE;  // It may wait for ever, and nothing else waits with it.
  request.notify = on_wanted;
  request.notify_arg = &journal;
  journal.wanted = false;
  ringlock::check(lock_acquire_with_async(client_.native_handle(), &request, on_outcome, &journal,
                                          &journal.request),
                  "lock_acquire_with_async");
}

// Granted or waiting.
void Watch::let_go(Journal& journal) {
  if (journal.request == 0) return;
  const lock_grant grant = journal.grant.value_or(lock_grant{journal.request, 0});
  lock_release_with_async(client_.native_handle(), &grant, LOCK_FLAG_FORCE, nullptr, nullptr,
                          nullptr);
  journal.request = 0;
  journal.grant.reset();
}

void Watch::on_outcome(lock_client*, const lock_outcome* outcome, void* arg) {
  auto& journal = *static_cast<Journal*>(arg);
  // Of a request that was let go of, or lost with the session: then there is nothing to watch for.
  if (outcome->grant.id != journal.request || outcome->error != 0) return;
  journal.grant = outcome->grant;
  std::optional<ringlock::value_block> value;
  if (outcome->has_value != 0) {
    std::copy(std::begin(outcome->value), std::end(outcome->value), value.emplace().begin());
  }
  Watch& watch = *journal.watch;
  watch.forget(journal.number);
  if (is_clean(outcome->notes, value)) return;
  watch.orphaned_.insert(journal.number);
  if ((outcome->notes & LOCK_NOTE_VALUE_INVALID) == 0) return;
  watch.of_the_dead_.insert(journal.number);
  tell(journal_region(journal.number) + ": its owner is gone, and was not done");
}

void Watch::forget(unsigned journal) {
  orphaned_.erase(journal);
  of_the_dead_.erase(journal);
}

void Watch::on_wanted(lock_client*, const lock_grant*, lock_mode, void* arg) {
  static_cast<Journal*>(arg)->wanted = true;
}

}  // namespace journal_recovery

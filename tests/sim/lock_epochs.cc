// Which epochs were active, and which table each of them began with: E10.
#include "tests/sim/lock_checker_impl.h"

namespace sim {

void LockChecker::Impl::activated(TrueTime at, const Processor& by, ConfigurationKind kind,
                                  const Activation& activation) {
  const auto wrong = [&](const std::string& what) {
    report("E10", text(at) + "epoch " + std::to_string(activation.epoch) + ", delivered at " +
                      base::to_string(by) + ", " + what);
  };
  const auto [found, is_new] = epochs_.try_emplace(activation.epoch);
  Epoch& epoch = found->second;
  if (is_new) {
    epoch.activation = activation;
    std::vector<base::NodeId> voters = activation.voters;
    std::sort(voters.begin(), voters.end());
    const bool once = std::adjacent_find(voters.begin(), voters.end()) == voters.end();
    if (!once || 2 * voters.size() <= nodes_) wrong("has no majority of votes");
    for (const base::NodeId voter : voters) {
      const bool member = std::any_of(activation.members.begin(), activation.members.end(),
                                      [&](const Processor& m) { return m.node == voter; });
      if (!member) wrong("counts the vote of " + base::to_string(voter) + ", which is no member");
    }
    if (cold_for_nothing(activation)) {
      wrong("begins with nothing, though a member has the last table and nobody ever failed");
    }
    if (!activation.cold) {
      if (!contains(activation.members, activation.donor)) wrong("has a donor that is no member");
      const auto& tables = replicas_[activation.donor].pending;
      const auto of = epochs_.find(activation.donor_epoch);
      const auto table = of == epochs_.end() ? tables.end() : tables.find(&of->second);
      if (table == tables.end()) {
        wrong("has a donor without a table of epoch " + std::to_string(activation.donor_epoch));
      } else {
        epoch.inherited = table->second;
      }
    }
  } else if (epoch.activation.ring != activation.ring) {
    return wrong("is active in two configurations");
  } else if (!(epoch.activation == activation)) {
    return wrong("has another content elsewhere");
  }
  if (!contains(activation.members, by)) wrong("is active at a stranger");

  Replica& replica = replicas_[by];
  replica.epoch = &epoch;
  if (kind == ConfigurationKind::regular) {
    replica.active =
        replica.kind == ConfigurationKind::regular && replica.configuration == activation.ring;
    epoch.known_active = true;
    begin_epoch(at, epoch);
  }
  std::vector<Pending>& pending = replica.pending[&epoch];
  if (!epoch.in_order) {
    pending = epoch.inherited;
    pending.push_back({nullptr, &epoch});
  }
}

// Who never failed can say of every attempt that it was a member of whether it ever became active;
// so the last table is known, and whoever has it is asked.
bool LockChecker::Impl::cold_for_nothing(const Activation& activation) const {
  if (!activation.cold || somebody_failed_ || activation.epoch != epochs_.rbegin()->first ||
      epochs_.size() < 2) {
    return false;
  }
  const Epoch& last = std::next(epochs_.rbegin())->second;
  const auto holder = replicas_.find(last.activation.donor);
  return holder != replicas_.end() && holder->second.epoch == &last &&
         contains(activation.members, last.activation.donor);
}

void LockChecker::Impl::begin_epoch(TrueTime at, Epoch& epoch) {
  if (epoch.in_order) return;
  epoch.in_order = true;
  for (const Pending& pending : epoch.inherited) {
    if (pending.activation != nullptr) {
      begin_epoch(at, *pending.activation);
    } else {
      apply_in_order(*pending.applied);
    }
  }
  epoch.inherited.clear();
  const Activation& activation = epoch.activation;
  if (activation.epoch < frontier_.epoch) {
    if (last_cold_ > activation.epoch) return;  // Nothing of it was inherited, and that was said.
    report("E10", text(at) + "epoch " + std::to_string(activation.epoch) +
                      " was active, but a later one does not build upon it");
    return;
  }
  frontier_ = {activation.epoch, activation.ring, 0, 0};
  if (!activation.cold) return;
  last_cold_ = activation.epoch;
  begin_empty();
  if (listener != nullptr) listener->began_empty(activation.epoch);
}

void LockChecker::Impl::begin_empty() {
  lockspaces_.clear();
  failed_.clear();
  for (Resource& resource : resources_) {
    resource.waiting.clear();
    resource.converting.clear();
    resource.value = {};
    resource.marked.reset();
    resource.granted_since_cold = false;
    for (std::size_t mode = 0; mode < kModes; ++mode) {
      for (const LockName name : resource.holders[mode]) {
        Lock& lock = locks_[name];
        lock.held = false;
        lock.gone = true;
        if (!lock.over) resource.ghosts[mode].push_back(name);
      }
      resource.holders[mode].clear();
    }
  }
}

// Consecutive epochs share a processor, or a cold start lies between them. An epoch that was
// delivered in transitional configurations only may or may not have been a step on the way.
void LockChecker::Impl::check_succession() {
  std::vector<const Activation*> before;
  for (const auto& entry : epochs_) {
    const Epoch& epoch = entry.second;
    const auto shares = [&](const Activation* other) {
      return std::any_of(other->members.begin(), other->members.end(),
                         [&](const Processor& m) { return contains(epoch.activation.members, m); });
    };
    if (epoch.known_active) {
      if (!epoch.activation.cold && !std::any_of(before.begin(), before.end(), shares)) {
        report("E10", "epoch " + std::to_string(entry.first) +
                          " has no member in common with the one before, and is no cold start");
      }
      before.clear();
    }
    before.push_back(&epoch.activation);
  }
}

}  // namespace sim

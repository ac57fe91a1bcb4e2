#include "lockd/activation.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/mutant.h"

namespace lockd {
namespace {

using base::Duration;
using base::Processor;

bool same_life(const Processor& a, const Processor& b) {
  return MUTANT("restarted_member_refutes") ? a.node == b.node : a == b;
}

bool same_epoch(const Epoch& a, const Epoch& b) {
  return MUTANT("epoch_by_number_only") ? a.number == b.number : a == b;
}

// All that the members of a ring have told, united.
class Testimony {
 public:
  explicit Testimony(const Exchanges& exchanges) : exchanges_(exchanges) {
    for (const auto& [processor, exchange] : exchanges) {
      if (exchange.record) {
        known_active(exchange.record->last_active);
        for (const Attempt& attempt : exchange.record->attempts) {
          add(attempt);
          if (MUTANT("attempt_taken_for_active")) known_active(attempt.epoch);
        }
      }
      for (const Delivered& delivered : exchange.delivered) {
        add(delivered.attempt);
        if (delivered.regular) {
          known_active(delivered.attempt.epoch);
        }
      }
      if (exchange.table) {
        labels_.insert(exchange.table->label.epoch);
        add({exchange.table->label.epoch, {}});
      }
    }
  }

  const Epoch& last_active() const { return last_active_; }

  std::uint64_t highest_number() const {
    std::uint64_t highest = last_active_.number;
    for (const auto& [epoch, attempt] : attempts_) {
      highest = std::max(highest, epoch.number);
    }
    return highest;
  }

  // Whether a member of this ring proves that nothing was ever told in the epoch: it was a member
  // of the epoch's ring, has not restarted since, and did not deliver the ACTIVATE, which was safe
  // [rule 6.11]. A complete table in the ring makes its own label stand [rule 8.C2].
  bool refuted(const Epoch& epoch) const {
    const bool labelled = labels_.count(epoch) != 0 && !MUTANT("label_refuted");
    if (epoch == last_active_ || labelled) {
      return false;
    }
    return std::any_of(exchanges_.begin(), exchanges_.end(), [&](const auto& told) {
      return was_member(told.first, epoch) && !may_have_delivered(told.second, epoch);
    });
  }

  // Attempts above the last epoch known active: those that stand, sorted, and how many do not.
  std::pair<std::vector<Attempt>, std::size_t> unrefuted() const {
    std::vector<Attempt> standing;
    std::size_t refuted_count = 0;
    for (const auto& [epoch, attempt] : attempts_) {
      if (epoch.number <= last_active_.number) {
        continue;
      }
      if (refuted(epoch)) {
        ++refuted_count;
      } else {
        standing.push_back(attempt);
      }
    }
    return {std::move(standing), refuted_count};
  }

  // e*: the highest epoch that may have been active; a label, or an epoch known active, goes before
  // a mere attempt of the same number [rule 8.C2]. None if nothing ever was.
  std::optional<Epoch> latest(const std::vector<Attempt>& unrefuted) const {
    std::optional<Epoch> best;
    const auto offer = [&](const Epoch& epoch) {
      const auto rank = [&](const Epoch& e) {
        return std::tuple(e.number, labels_.count(e) != 0 || e == last_active_, e.ring);
      };
      if (epoch.number != 0 && (!best || rank(epoch) > rank(*best))) {
        best = epoch;
      }
    };
    offer(last_active_);
    for (const Epoch& label : labels_) {
      if (!MUTANT("label_refuted")) offer(label);
    }
    for (const Attempt& attempt : unrefuted) {
      if (!MUTANT("unrefuted_attempt_ignored")) {
        offer(attempt.epoch);
      }
    }
    return best;
  }

 private:
  void add(const Attempt& attempt) {
    Attempt& known = attempts_.try_emplace(attempt.epoch, attempt).first->second;
    if (known.members.empty()) {
      known.members = attempt.members;
    }
  }

  void known_active(const Epoch& epoch) { last_active_ = std::max(last_active_, epoch); }

  bool was_member(const Processor& processor, const Epoch& epoch) const {
    return std::any_of(attempts_.begin(), attempts_.end(), [&](const auto& known) {
      const std::vector<Processor>& members = known.second.members;
      return same_epoch(known.first, epoch) &&
             std::any_of(members.begin(), members.end(),
                         [&](const Processor& member) { return same_life(member, processor); });
    });
  }

  static bool may_have_delivered(const Exchange& exchange, const Epoch& epoch) {
    return epoch.number <= exchange.forgotten ||
           std::any_of(exchange.delivered.begin(), exchange.delivered.end(),
                       [&](const Delivered& delivered) {
                         return same_epoch(delivered.attempt.epoch, epoch);
                       });
  }

  const Exchanges& exchanges_;
  Epoch last_active_;
  std::set<Epoch> labels_;
  std::map<Epoch, Attempt> attempts_;
};

std::uint32_t votes_of(const ReplicaConfig& config, const std::vector<Processor>& processors) {
  std::uint32_t votes = 0;
  for (const Processor& processor : processors) {
    votes += config.votes_of(processor.node);
  }
  return votes;
}

std::vector<Processor> voters_of(const Exchanges& exchanges) {
  std::vector<Processor> voters;
  for (const auto& [processor, exchange] : exchanges) {
    if ((exchange.record && exchange.record->role == RecordRole::voter) ||
        MUTANT("amnesiac_votes")) {
      voters.push_back(processor);
    }
  }
  return voters;
}

// Of the tables of exactly this epoch, the chain with the most votes; of equal ones that with the
// lowest node [rules 6.13, 7.B2]. None if nobody holds one.
std::optional<Label> donor_of(const ReplicaConfig& config, const Exchanges& exchanges,
                              const Epoch& epoch) {
  std::map<Label, std::vector<Processor>> chains;
  for (const auto& [processor, exchange] : exchanges) {
    if (exchange.table && exchange.table->label.epoch == epoch) {
      chains[exchange.table->label].push_back(processor);
    }
  }
  const auto better = [&](const auto& a, const auto& b) {
    const std::uint32_t votes_a = votes_of(config, a.second);
    const std::uint32_t votes_b = votes_of(config, b.second);
    return votes_a != votes_b ? votes_a < votes_b : a.second.front() > b.second.front();
  };
  const auto best = std::max_element(chains.begin(), chains.end(), better);
  return best == chains.end() ? std::nullopt : std::optional(best->first);
}

std::optional<Epoch> highest_label(const Exchanges& exchanges) {
  std::optional<Epoch> highest;
  for (const auto& [processor, exchange] : exchanges) {
    if (exchange.table && (!highest || exchange.table->label.epoch > *highest)) {
      highest = exchange.table->label.epoch;
    }
  }
  return highest;
}

bool holds(const Exchange& exchange, const Label& donor) {
  return exchange.table &&
         (exchange.table->label == donor ||
          (MUTANT("unequal_chains_both_hold") && exchange.table->label.epoch == donor.epoch));
}

}  // namespace

base::Result<Choice, NoChoice> choose(const ReplicaConfig& config, const evs::Configuration& ring,
                                      const Exchanges& exchanges) {
  for (const auto& [processor, exchange] : exchanges) {
    if (exchange.fingerprint != config.fingerprint()) {
      return base::error(NoChoice::different_configuration);
    }
  }
  Choice choice;
  choice.voters = voters_of(exchanges);
  if (votes_of(config, choice.voters) < config.majority()) {
    return base::error(NoChoice::no_quorum);
  }

  const Testimony testimony(exchanges);
  choice.attempt = {testimony.highest_number() + 1, ring.id};
  choice.last_active = testimony.last_active();
  std::tie(choice.unrefuted, choice.refuted) = testimony.unrefuted();
  if (choice.unrefuted.size() + 1 > kRecordAttemptsMax) {
    return base::error(NoChoice::record_full);
  }

  std::optional<Epoch> latest = testimony.latest(choice.unrefuted);
  if (MUTANT("any_old_table_donates")) {
    latest = highest_label(exchanges);
  }
  if (latest) {
    choice.donor = donor_of(config, exchanges, *latest);
  }

  std::uint64_t highest_token = 0;
  for (const auto& [processor, exchange] : exchanges) {
    if (exchange.record && !MUTANT("token_base_from_donor_only")) {
      highest_token = std::max(highest_token, exchange.record->token_ceiling);
    }
    if (exchange.record) {
      choice.cold_lease = std::max(choice.cold_lease, exchange.record->lease_max);
    }
    if (exchange.table) {
      choice.cold_lease = std::max(choice.cold_lease, exchange.table->longest_lease);
    }
    choice.lease_max = std::max(choice.lease_max, exchange.lease);
    if (!choice.donor || holds(exchange, *choice.donor)) {
      choice.holders.push_back(processor);
    }
    if (choice.donor && exchange.table && exchange.table->label == *choice.donor) {
      choice.departures = exchange.table->departures;
      highest_token = std::max(highest_token, exchange.table->next_token);
    }
  }
  choice.token_base = highest_token + 1;
  choice.lease_max = std::max(choice.lease_max, choice.cold_lease);
  return choice;
}

Round::Round(const ReplicaConfig& config, evs::Configuration ring)
    : config_(config), ring_(std::move(ring)) {}

bool Round::add(const Processor& origin, Exchange&& exchange) {
  if (!std::binary_search(ring_.members.begin(), ring_.members.end(), origin) ||
      !exchanges_.try_emplace(origin, std::move(exchange)).second ||
      exchanges_.size() != ring_.members.size()) {
    return false;
  }
  outcome_ = choose(config_, ring_, exchanges_);
  return true;
}

void Round::add(const Processor& origin, const Persisted& persisted) {
  const Choice* chosen = choice();
  if (chosen != nullptr && persisted.token_base == chosen->token_base &&
      std::binary_search(chosen->voters.begin(), chosen->voters.end(), origin)) {
    persisted_.insert(origin);
  }
}

const Choice* Round::choice() const {
  return outcome_ && outcome_->has_value() ? &outcome_->value() : nullptr;
}

std::optional<NoChoice> Round::no_choice() const {
  return outcome_ && !outcome_->has_value() ? std::optional(outcome_->error()) : std::nullopt;
}

std::uint32_t Round::votes_of(const std::vector<Processor>& voters) const {
  return lockd::votes_of(config_, voters);
}

std::optional<Activate> Round::proposal(bool patience) const {
  const Choice* chosen = choice();
  if (chosen == nullptr) {
    return std::nullopt;
  }
  Activate activate;
  activate.number = chosen->attempt.number;
  activate.donor = chosen->donor;
  activate.departures = chosen->departures;
  activate.voters.assign(persisted_.begin(), persisted_.end());
  activate.token_base = chosen->token_base;
  activate.lease_max = chosen->lease_max;
  activate.cold_lease = chosen->cold_lease;
  const bool all = activate.voters == chosen->voters;
  if ((!all && patience && !MUTANT("activate_before_majority_wrote")) || !valid(activate)) {
    return std::nullopt;
  }
  return activate;
}

bool Round::valid(const Activate& activate) const {
  const Choice* chosen = choice();
  if (chosen == nullptr) {
    return false;
  }
  const bool repeats =
      activate.number == chosen->attempt.number && activate.donor == chosen->donor &&
      activate.departures == chosen->departures && activate.token_base == chosen->token_base &&
      activate.lease_max == chosen->lease_max && activate.cold_lease == chosen->cold_lease;
  const bool written =
      std::all_of(activate.voters.begin(), activate.voters.end(),
                  [&](const Processor& voter) { return persisted_.count(voter) != 0; });
  const bool sorted = std::adjacent_find(activate.voters.begin(), activate.voters.end(),
                                         std::greater_equal<>()) == activate.voters.end();
  if (MUTANT("activate_before_majority_wrote")) {
    return repeats && !activate.voters.empty();
  }
  return repeats && written && sorted && votes_of(activate.voters) >= config_.majority();
}

}  // namespace lockd

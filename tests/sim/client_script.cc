// What a simulated client does, step by step.
#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/sim/client.h"

namespace sim {

namespace {

using std::chrono::milliseconds;
using namespace base::lock_flag;

constexpr std::size_t kAtATimeMax = 2;
constexpr std::size_t kAtATimeMaxOfMany = 4;
const char* const kResources[] = {"a", "b", "c"};
const char* const kLockspace = "team";
const char* const kInLockspace = "t";

const char* lockspace_of(const std::string& resource) {
  return resource == kInLockspace ? kLockspace : "default";
}

// Written numbers grow, whoever writes.
dlm::ValueBlock block_of(std::uint64_t number) {
  dlm::ValueBlock value{};
  for (std::size_t i = 0; i < sizeof number; ++i) {
    value[i] = static_cast<std::byte>(number >> (8 * i) & 0xff);
  }
  return value;
}

bool writes(dlm::Mode mode) {
  return mode == dlm::Mode::ex || mode == dlm::Mode::pw;
}

}  // namespace

void Client::act(Duration now) {
  if (barriers_) {
    barriers_->act(now);
    next_act_ = now + random_.between(milliseconds(5), milliseconds(120));
    return;
  }
  for (const auto& [id, request] : std::map(requests_)) {
    const auto own = requests_.find(id);
    if (own == requests_.end()) continue;
    if (own->second.act_at > now && !winding_down_) continue;
    if (own->second.releasing) continue;
    if (own->second.granted && !own->second.conversion) {
      act_on_granted(now, id);
    } else {
      act_on_waiting(now, id);
    }
  }
  if (traffic_.lockspaces) visit_lockspace(now);
  const std::size_t most = traffic_.plain() ? kAtATimeMax : kAtATimeMaxOfMany;
  if (!winding_down_ && requests_.size() < most) begin(now);
  next_act_ = now + random_.between(milliseconds(5), milliseconds(150));
}

// Patience is at its end, or in a run that ends nobody asks for more than he has.
void Client::act_on_waiting(Duration now, base::RequestId id) {
  Request& own = requests_.at(id);
  if (own.patient && !(own.conversion && winding_down_)) return;
  if (own.role == Role::transaction) return;
  own.act_at = now + milliseconds(500);
  if (traffic_.force && random_.chance(1, 2) && own.parts == 1) {
    if (own.granted) return release(now, id);
    (void)wire_.release(clock_now(now), id, force);
    return;
  }
  (void)wire_.cancel(clock_now(now), own.granted ? id : own.first);
}

void Client::act_on_granted(Duration now, base::RequestId id) {
  use(now, id, requests_.at(id));
  Request& own = requests_.at(id);
  if (keeps(now, own)) return;
  const bool ends = winding_down_ || random_.chance(1, 3);
  switch (own.role) {
    case Role::any_mode:
      if (ends) break;
      return convert(now, id, static_cast<dlm::Mode>(random_.below(6)));
    case Role::value:
      if (ends && random_.chance(2, 3)) break;
      if (own.mode == dlm::Mode::nl || own.mode == dlm::Mode::cr) {
        if (winding_down_) break;
        return convert(now, id, random_.chance(1, 2) ? dlm::Mode::ex : dlm::Mode::pr);
      }
      return convert(now, id, random_.chance(1, 4) ? dlm::Mode::cr : dlm::Mode::nl);
    case Role::cached:
      if (own.mode == dlm::Mode::nl && !winding_down_ && random_.chance(1, 2)) {
        return convert(now, id, random_.chance(1, 2) ? dlm::Mode::ex : dlm::Mode::pr);
      }
      if (own.blocked && random_.chance(1, 2)) return convert(now, id, dlm::Mode::nl);
      break;
    default:
      break;
  }
  release(now, id);
}

// Whether it goes on as it is.
bool Client::keeps(Duration now, Request& request) {
  if (request.role == Role::transaction) return is_of_transaction(request);
  if (request.role == Role::cached && request.mode != dlm::Mode::nl) {
    return !request.blocked && !letting_go_;
  }
  if (winding_down_ || !random_.chance(1, 2)) return false;
  request.act_at = now + random_.between(milliseconds(1), milliseconds(200));
  return true;
}

void Client::convert(Duration now, base::RequestId id, dlm::Mode mode) {
  Request& own = requests_.at(id);
  liblock::LockConversion conversion;
  conversion.mode = mode;
  conversion.flags = own.flags & (value_block | persistent | notify);
  if (own.role == Role::any_mode) conversion.flags |= draw_conversion_flags(own.mode, mode);
  if ((own.flags & value_block) != 0) {
    if (writes(own.mode) && random_.chance(1, 10)) conversion.flags |= invalidate_value;
    if (writes(own.mode)) conversion.value = block_of(own.number + 1 + random_.below(5));
  }
  conversion.patience = draw_patience();
  const auto operation = wire_.convert(clock_now(now), id, conversion);
  if (!operation) return;
  operates(*operation);
  own.conversion = *operation;
  own.patient = random_.chance(1, 2);
  own.act_at = now + random_.between(milliseconds(10), milliseconds(800));
  checker_.client_converts(now, name_of(id),
                           {*operation, mode, conversion.flags, conversion.value});
}

dlm::LockFlags Client::draw_conversion_flags(dlm::Mode from, dlm::Mode to) {
  dlm::LockFlags flags = 0;
  if (random_.chance(1, 6)) {
    flags |= no_queue;
    if (random_.chance(1, 2)) flags |= no_queue_notify;
  } else if (random_.chance(1, traffic_.jumps ? 4 : 12)) {
    flags |= demote_on_deadlock;
  }
  if (random_.chance(1, 4) && base::legal_conversion(from, to, queue_convert)) {
    flags |= queue_convert;
  }
  return flags | draw_jumps();
}

// Flags with which one overtakes others, or stays in a deadlock of its own will.
dlm::LockFlags Client::draw_jumps() {
  dlm::LockFlags flags = 0;
  if (!traffic_.jumps) return flags;
  if (random_.chance(1, 4)) flags |= random_.chance(1, 2) ? no_order : head_of_queue;
  // Who is not known to the detection of deadlocks may keep a transaction from its end for ever.
  if (traffic_.transactions) return flags;
  if (random_.chance(1, 5)) flags |= random_.chance(1, 2) ? or_pr : or_cw;
  if (random_.chance(1, 6)) flags |= random_.chance(1, 2) ? no_deadlock_wait : no_deadlock_block;
  return flags;
}

void Client::release(Duration now, base::RequestId id) {
  Request& own = requests_.at(id);
  dlm::LockFlags flags = own.conversion ? force : 0;
  std::optional<dlm::ValueBlock> value;
  // From a mode that does not write, a value has no effect.
  if ((own.flags & value_block) != 0 && (writes(own.mode) || random_.chance(1, 3))) {
    if (random_.chance(1, 10)) {
      flags |= invalidate_value;
    } else if (random_.chance(2, 3)) {
      flags |= value_block;
      value = block_of(own.number + 1 + random_.below(5));
    }
  }
  // Lost by now: that is the next event.
  if (!wire_.release(clock_now(now), id, flags, value)) return;
  own.conversion.reset();
  own.releasing = true;
  checker_.client_releases(now, name_of(id), flags, value);
}

void Client::begin(Duration now) {
  Request request;
  request.resource = kResources[random_.below(std::size(kResources))];
  std::vector<Role> roles = {Role::plain};
  if (traffic_.modes) roles.insert(roles.end(), 2, Role::any_mode);
  if (traffic_.values) roles.insert(roles.end(), 2, Role::value);
  if (traffic_.cached) roles.insert(roles.end(), 2, Role::cached);
  if (traffic_.transactions) roles.insert(roles.end(), 2, Role::transaction);
  if (traffic_.several) roles.push_back(Role::several);
  request.role = roles[random_.below(roles.size())];
  if (request.role == Role::several) return begin_several(now);
  if (request.role == Role::transaction) return begin_transaction(now);
  request.mode = random_.chance(2, 3) ? dlm::Mode::ex : dlm::Mode::pr;
  if (request.role == Role::any_mode) request.mode = static_cast<dlm::Mode>(random_.below(6));
  if (request.role == Role::value && random_.chance(2, 3)) request.mode = dlm::Mode::nl;
  request.flags = draw_flags(request.role);
  if (traffic_.lockspaces && joined_ && random_.chance(1, 4)) request.resource = kInLockspace;
  if (!left_behind_.empty() && random_.chance(2, 3)) {
    const LeftBehind& left = left_behind_[random_.below(left_behind_.size())];
    request.resource = left.resource;
    request.mode = left.mode;
    request.role = Role::plain;
    request.flags = (request.flags & (value_block | notify | persistent)) | adopt_orphan;
    if (random_.chance(1, 4)) left_behind_.clear();
  } else if (traffic_.orphans && random_.chance(1, 5)) {
    request.flags = (request.flags & (value_block | notify | persistent)) | adopt_orphan;
  } else if (traffic_.jumps && request.mode == dlm::Mode::nl && random_.chance(1, 2)) {
    request.flags |= expedite;
  }
  const bool refuse = (request.flags & expedite) == 0 && random_.chance(1, 5);
  begin_one(now, request, refuse);
}

dlm::LockFlags Client::draw_flags(Role role) {
  dlm::LockFlags flags = 0;
  if (role == Role::value || (traffic_.values && random_.chance(1, 4))) flags |= value_block;
  if (role == Role::cached || (traffic_.cached && random_.chance(1, 4))) flags |= notify;
  if (traffic_.orphans && random_.chance(1, 3)) flags |= persistent;
  if (role != Role::several) flags |= draw_jumps();
  return flags;
}

std::uint32_t Client::draw_patience() {
  if (!traffic_.patience || random_.chance(1, 2)) return 0;
  return static_cast<std::uint32_t>(random_.between(std::uint64_t{5}, std::uint64_t{600}));
}

void Client::begin_one(Duration now, Request request, bool refuse) {
  if (refuse) request.flags |= random_.chance(1, 2) ? no_queue : no_queue | no_queue_notify;
  // Where some wait for others' locks with locks of their own, all who wait are known to the
  // detection of deadlocks: behind one who is not a ring would stay.
  if (request.owner == 0 && traffic_.transactions) request.owner = ++last_owner_;
  const liblock::LockRequest asked{lockspace_of(request.resource),
                                   request.resource,
                                   request.mode,
                                   request.flags,
                                   request.owner,
                                   request.role == Role::transaction ? 0 : draw_patience()};
  const auto id = wire_.acquire(clock_now(now), asked);
  if (!id) return;
  request.first = *id;
  request.patient = random_.chance(1, 2);
  request.act_at = now + random_.between(milliseconds(10), milliseconds(800));
  requests_.emplace(*id, request);
  ask(now, *id);
}

void Client::begin_several(Duration now) {
  liblock::AllRequest asked;
  for (const char* resource : kResources) {
    if (asked.parts.size() < 2 || random_.chance(1, 2)) {
      asked.parts.push_back(
          {random_.chance(1, 2) ? dlm::Mode::ex : dlm::Mode::pr, lockspace_of(resource), resource});
    }
  }
  if (random_.chance(1, 2)) std::swap(asked.parts.front(), asked.parts.back());
  asked.flags = draw_flags(Role::several);
  if (random_.chance(1, 5)) asked.flags |= no_queue;
  asked.patience = draw_patience();
  // Nobody who holds what it waits for with one part waits behind another, and stays there.
  if (traffic_.transactions) asked.owner = ++last_owner_;
  const auto first = wire_.acquire_all(clock_now(now), asked);
  if (!first) return;
  const bool patient = random_.chance(1, 2);
  const Duration act_at = now + random_.between(milliseconds(10), milliseconds(800));
  for (std::size_t i = 0; i < asked.parts.size(); ++i) {
    const base::RequestId id{base::value(*first) + i};
    Request request;
    request.resource = asked.parts[i].resource;
    request.role = Role::several;
    request.mode = asked.parts[i].mode;
    request.flags = asked.flags;
    request.owner = asked.owner;
    request.first = *first;
    request.parts = asked.parts.size();
    request.patient = patient;
    request.act_at = act_at;
    requests_.emplace(id, request);
    ask(now, id);
  }
}

// One after the other, in an order of its own: with others who do so, in a ring now and then.
void Client::begin_transaction(Duration now) {
  if (transaction_) return;
  transaction_.emplace();
  transaction_->owner = ++last_owner_;
  transaction_->todo.assign(std::begin(kResources), std::end(kResources));
  for (std::size_t i = transaction_->todo.size(); i > 1; --i) {
    std::swap(transaction_->todo[i - 1], transaction_->todo[random_.below(i)]);
  }
  if (random_.chance(1, 2)) transaction_->todo.pop_back();
  go_on(now);
}

void Client::go_on(Duration now) {
  if (transaction_->todo.empty()) return end_transaction();
  for (const auto& [id, own] : requests_) {
    const bool shared = own.owner == transaction_->owner && own.mode == dlm::Mode::pr;
    if (!shared || !random_.chance(1, 3)) continue;
    convert(now, id, dlm::Mode::ex);
    if (own.conversion) return;
  }
  Request request;
  request.resource = transaction_->todo.back();
  request.role = Role::transaction;
  request.mode = random_.chance(2, 3) ? dlm::Mode::ex : dlm::Mode::pr;
  request.owner = transaction_->owner;
  transaction_->todo.pop_back();
  const std::size_t before = requests_.size();
  begin_one(now, request, false);
  if (requests_.size() == before) end_transaction();
}

// What it has is released as its time comes.
void Client::end_transaction() {
  transaction_.reset();
}

bool Client::is_of_transaction(const Request& request) const {
  return request.role == Role::transaction && transaction_ && request.owner == transaction_->owner;
}

void Client::visit_lockspace(Duration now) {
  if (!operations_.empty() || !wire_.open()) return;
  if (!joined_ && !winding_down_ && random_.chance(1, 4)) {
    const auto kind = random_.chance(1, 6) ? liblock::protocol::JoinKind::open
                                           : liblock::protocol::JoinKind::create;
    const auto operation = wire_.join(clock_now(now), kLockspace, kind, 0666);
    if (!operation) return;
    operates(*operation);
    joined_ = true;
    return;
  }
  // By force it ends the sessions of others at its node that use the lockspace, if it is the last
  // to leave.
  const bool by_force = traffic_.force && random_.chance(1, 8);
  if (joined_ && (requests_.empty() || by_force) && random_.chance(1, 3)) {
    const auto operation = wire_.leave(clock_now(now), kLockspace, by_force);
    if (!operation) return;
    operates(*operation);
    joined_ = false;
  }
}

void Client::drop_orphans(Duration now, base::NodeId node) {
  if (const auto operation = wire_.drop_orphans(clock_now(now), node, 0)) operates(*operation);
}

// What the lock guards is used as long as the client may believe that it holds it, and sometimes
// later by a careless one: the resource then compares tokens. Who converts, waits with its use.
void Client::use(Duration now, base::RequestId id, const Request& request) {
  const bool believes = wire_.valid_for(clock_now(now), id) > Duration(0);
  if (!believes && !random_.chance(1, 4)) return;
  if (believes) checker_.client_uses(now, name_of(id));
  if (request.mode != dlm::Mode::pr && !writes(request.mode)) return;
  const bool write = writes(request.mode);
  const bool accepted = resources_.access(request.resource, write, request.token);
  checker_.access(now, request.resource, name_of(id), request.mode, request.token, accepted);
}

}  // namespace sim

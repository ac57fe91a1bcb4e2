#include "lockd/session_table.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "dlm/hash.h"
#include "liblock/protocol/messages.h"

namespace lockd {
namespace {

static_assert(SessionLimits{}.unacknowledged_max == liblock::protocol::kRequestWindow);

constexpr auto kByRequest = [](const Reply& reply, RequestId request) {
  return reply.request < request;
};

class Digest {
 public:
  explicit Digest(std::uint64_t kind) : value_(kind) {}

  Digest& word(std::uint64_t v) {
    value_ = dlm::mix(value_, v);
    return *this;
  }
  Digest& bytes(base::Bytes v) {
    value_ = dlm::hash_bytes(value_, v);
    return *this;
  }
  Digest& processor(const Processor& v) {
    return word(base::value(v.node)).word(base::value(v.incarnation));
  }
  Digest& ring(const RingId& v) {
    return word(v.sequence).word(base::value(v.representative)).word(v.nonce);
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_;
};

// Of what changes with the session's life, not with each request.
std::uint64_t digest_of_life(const Session& session) {
  Digest digest(1);
  digest.word(base::value(session.id)).bytes(session.secret.bits).bytes(session.instance.bits);
  digest.processor(session.at).word(base::value(session.generation));
  digest.word(session.standing.index());
  if (const RingId* ring = session.ring_of_orphan()) digest.ring(*ring);
  if (const auto* dead = std::get_if<Dead>(&session.standing)) {
    digest.word(static_cast<std::uint64_t>(dead->how));
  }
  digest.processor(session.opened_by).word(base::value(session.number));
  digest.word(session.uid)
      .word(session.gid)
      .word(session.pid)
      .bytes(base::bytes_of(session.program));
  return digest.value();
}

// A session without its replies, which are digested one by one.
std::uint64_t digest_of(const Session& session) {
  return dlm::mix(session.digest, base::value(session.acknowledged));
}

std::uint64_t digest_of(SessionId session, const Reply& reply) {
  return Digest(2)
      .word(base::value(session))
      .word(base::value(reply.request))
      .word(static_cast<std::uint64_t>(reply.status))
      .word(static_cast<std::uint64_t>(reply.mode))
      .word(base::value(reply.token))
      .word(reply.notes)
      .bytes(reply.value ? base::Bytes(*reply.value) : base::Bytes())
      .value();
}

std::uint64_t digest_of(const Processor& daemon, OpenNumber highest) {
  return Digest(3).processor(daemon).word(base::value(highest)).value();
}

void put(base::ByteWriter& out, const Session& session) {
  out.u64(base::value(session.id));
  out.bytes(session.secret.bits);
  out.bytes(session.instance.bits);
  out.processor(session.at);
  out.u64(base::value(session.generation));
  out.u8(static_cast<std::uint8_t>(session.standing.index()));
  if (const RingId* ring = session.ring_of_orphan()) out.ring(*ring);
  if (const auto* dead = std::get_if<Dead>(&session.standing)) {
    out.u8(static_cast<std::uint8_t>(dead->how));
  }
  out.processor(session.opened_by);
  out.u64(base::value(session.number));
  out.u32(session.uid);
  out.u32(session.gid);
  out.u32(session.pid);
  out.bytes16(base::bytes_of(session.program));
  out.u64(base::value(session.acknowledged));
  out.u16(static_cast<std::uint16_t>(session.replies.size()));
  for (const Reply& reply : session.replies) {
    out.u64(base::value(reply.request));
    out.u8(static_cast<std::uint8_t>(reply.status));
    out.u8(static_cast<std::uint8_t>(reply.mode));
    out.u64(base::value(reply.token));
    out.u8(reply.notes);
    out.u8(reply.value ? 1 : 0);
    if (reply.value) out.bytes(*reply.value);
  }
}

Standing standing_of(base::ByteReader& in) {
  switch (in.u8()) {
    case 0:
      return Attached{};
    case 1:
      return Orphaned{in.ring()};
    case 2:
      return Dead{static_cast<dlm::Ending>(in.count8(2))};
    case 3:
      return Bequeathed{};
    case 4:
      return BequeathedOrphan{in.ring()};
    default:
      in.fail();
      return Dead{};
  }
}

Reply reply_of(base::ByteReader& in) {
  Reply reply;
  reply.request = RequestId{in.u64()};
  reply.status =
      Status{static_cast<std::uint8_t>(in.count8(static_cast<std::uint32_t>(kLastStatus)))};
  std::optional<dlm::Mode> mode = dlm::mode_of(in.u8());
  if (!mode) in.fail();
  reply.mode = mode.value_or(dlm::Mode::nl);
  reply.token = Token{in.u64()};
  reply.notes = in.u8();
  if (in.count8(1) == 1) {
    const base::Bytes bytes = in.bytes(dlm::ValueBlock().size());
    reply.value.emplace();
    std::copy(bytes.begin(), bytes.end(), reply.value->begin());
  }
  return reply;
}

Session session_of(base::ByteReader& in, const SessionLimits& limits) {
  Session session;
  session.id = SessionId{in.u64()};
  session.secret = secret_of(in);
  session.instance = instance_of(in);
  session.at = in.processor();
  session.generation = Generation{in.u64()};
  session.standing = standing_of(in);
  session.opened_by = in.processor();
  session.number = OpenNumber{in.u64()};
  session.uid = in.u32();
  session.gid = in.u32();
  session.pid = in.u32();
  session.program = base::text_of(in.bytes(in.count16(kProgramBytesMax)));
  session.acknowledged = RequestId{in.u64()};
  std::uint32_t replies = in.count16(static_cast<std::uint32_t>(limits.unacknowledged_max));
  std::uint64_t last = base::value(session.acknowledged);
  for (std::uint32_t i = 0; i < replies && !in.failed(); ++i) {
    Reply reply = reply_of(in);
    std::uint64_t request = base::value(reply.request);
    if (request <= last ||
        request - base::value(session.acknowledged) > limits.unacknowledged_max) {
      in.fail();
    }
    last = request;
    session.replies.push_back(reply);
  }
  if (session.ended() && replies > 0) in.fail();
  return session;
}

}  // namespace

const RingId* Session::ring_of_orphan() const {
  if (const auto* orphan = std::get_if<Orphaned>(&standing)) return &orphan->ring;
  const auto* bequeathed = std::get_if<BequeathedOrphan>(&standing);
  return bequeathed ? &bequeathed->ring : nullptr;
}

std::optional<Mark> Session::mark() const {
  const RingId* ring = ring_of_orphan();
  if (!ring) return std::nullopt;
  return Mark{id, generation, *ring};
}

const Reply* Session::reply(RequestId request) const {
  auto found = std::lower_bound(replies.begin(), replies.end(), request, kByRequest);
  return found != replies.end() && found->request == request ? &*found : nullptr;
}

const Session* SessionTable::find(SessionId id) const {
  auto at = sessions_.find(id);
  return at == sessions_.end() ? nullptr : &at->second;
}

const Session* SessionTable::find_opened(const Processor& by, OpenNumber number) const {
  // It is asked for new ones, and they are the last.
  for (auto at = sessions_.rbegin(); at != sessions_.rend(); ++at) {
    if (at->second.opened_by == by && at->second.number == number) return &at->second;
  }
  return nullptr;
}

OpenNumber SessionTable::highest_open(const Processor& by) const {
  auto at = daemons_.find(by.node);
  if (at == daemons_.end() || at->second.incarnation != by.incarnation) return OpenNumber{0};
  return at->second.highest;
}

bool SessionTable::has_room(base::NodeId node, std::uint32_t uid) const {
  auto at = per_user_.find({node, uid});
  std::size_t of_user = at == per_user_.end() ? 0 : at->second;
  return sessions_.size() < limits_.sessions_max && of_user < limits_.sessions_per_user_max;
}

bool SessionTable::count_open(const Processor& by, OpenNumber number) {
  auto at = daemons_.find(by.node);
  if (at == daemons_.end()) {
    if (daemons_.size() >= limits_.daemons_max) return false;
    at = daemons_.emplace(by.node, Daemon{}).first;
  } else {
    digest_ -= digest_of({by.node, at->second.incarnation}, at->second.highest);
  }
  at->second = {by.incarnation, number};
  digest_ += digest_of(by, number);
  return true;
}

void SessionTable::add(Session session) {
  SessionId id = session.id;
  auto [at, added] = sessions_.emplace(id, std::move(session));
  CHECK(added);
  enter(at->second);
  for (const Reply& reply : at->second.replies) digest_ += digest_of(id, reply);
}

void SessionTable::attach(SessionId id, const Processor& at, Generation generation) {
  edit(id, [&](Session& session) {
    session.at = at;
    session.generation = generation;
    session.standing = Attached{};
  });
}

void SessionTable::orphan(SessionId id, const RingId& ring) {
  edit(id, [&](Session& session) {
    if (session.bequeathed() && !MUTANT("state_departure_revives")) {
      session.standing = BequeathedOrphan{ring};
    } else {
      session.standing = Orphaned{ring};
    }
  });
}

void SessionTable::kill(SessionId id, dlm::Ending how) {
  edit(id, [&](Session& session) {
    session.standing = Dead{how};
    for (const Reply& reply : session.replies) digest_ -= digest_of(id, reply);
    session.replies.clear();
  });
}

void SessionTable::kill_again(SessionId id, dlm::Ending how) {
  Session& session = sessions_.at(id);
  withdraw(session);
  session.standing = Dead{how};
  enter(session);
}

void SessionTable::bequeath(SessionId id) {
  Session& session = sessions_.at(id);
  CHECK(session.dead());
  withdraw(session);
  session.standing = Bequeathed{};
  enter(session);
}

void SessionTable::remove(SessionId id) {
  auto at = sessions_.find(id);
  CHECK(at != sessions_.end() && at->second.dead());
  withdraw(at->second);
  sessions_.erase(at);
}

void SessionTable::acknowledge(SessionId id, RequestId up_to) {
  auto found = sessions_.find(id);
  CHECK(found != sessions_.end() && !found->second.dead());
  Session& session = found->second;
  if (up_to <= session.acknowledged) return;
  digest_ -= digest_of(session);
  session.acknowledged = up_to;
  digest_ += digest_of(session);
  auto last = session.replies.begin();
  for (; last != session.replies.end() && last->request <= up_to; ++last) {
    digest_ -= digest_of(id, *last);
  }
  session.replies.erase(session.replies.begin(), last);
}

void SessionTable::remember(SessionId id, const Reply& reply) {
  auto found = sessions_.find(id);
  CHECK(found != sessions_.end() && !found->second.dead());
  std::vector<Reply>& replies = found->second.replies;
  auto at = std::lower_bound(replies.begin(), replies.end(), reply.request, kByRequest);
  if (at != replies.end() && at->request == reply.request) {
    digest_ -= digest_of(id, *at);
    *at = reply;
  } else {
    replies.insert(at, reply);
  }
  digest_ += digest_of(id, reply);
}

void SessionTable::serialize(base::ByteWriter& out) const {
  out.u32(static_cast<std::uint32_t>(daemons_.size()));
  for (const auto& [node, daemon] : daemons_) {
    out.processor({node, daemon.incarnation});
    out.u64(base::value(daemon.highest));
  }
  out.u32(static_cast<std::uint32_t>(sessions_.size()));
  for (const auto& [id, session] : sessions_) put(out, session);
}

SessionTable SessionTable::deserialize(base::ByteReader& in, const SessionLimits& limits) {
  SessionTable table(limits);
  std::uint32_t daemons = in.count32(static_cast<std::uint32_t>(limits.daemons_max));
  for (std::uint32_t i = 0; i < daemons && !in.failed(); ++i) {
    Processor daemon = in.processor();
    if (!table.daemons_.empty() && table.daemons_.rbegin()->first >= daemon.node) in.fail();
    table.count_open(daemon, OpenNumber{in.u64()});
  }
  std::uint32_t sessions = in.count32(static_cast<std::uint32_t>(limits.sessions_max));
  for (std::uint32_t i = 0; i < sessions && !in.failed(); ++i) {
    Session session = session_of(in, limits);
    SessionId last = table.sessions_.empty() ? SessionId{0} : table.sessions_.rbegin()->first;
    if (in.failed() || session.id <= last) {
      in.fail();
    } else {
      table.add(std::move(session));
    }
  }
  return table;
}

template <typename Change>
void SessionTable::edit(SessionId id, Change change) {
  auto at = sessions_.find(id);
  CHECK(at != sessions_.end() && !at->second.dead());
  withdraw(at->second);
  change(at->second);
  enter(at->second);
}

void SessionTable::enter(Session& session) {
  session.digest = digest_of_life(session);
  digest_ += digest_of(session);
  ++per_user_[{session.at.node, session.uid}];
  if (session.orphaned()) orphans_.insert(session.id);
  if (session.dead()) dead_.insert(session.id);
}

void SessionTable::withdraw(const Session& session) {
  digest_ -= digest_of(session);
  auto user = per_user_.find({session.at.node, session.uid});
  if (--user->second == 0) per_user_.erase(user);
  orphans_.erase(session.id);
  dead_.erase(session.id);
}

}  // namespace lockd

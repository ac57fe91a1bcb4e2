#include "lockd/lockspace_table.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "dlm/hash.h"
#include "dlm/lock.h"

namespace lockd {
namespace {

// Members of a cluster; a snapshot that claims more is none.
constexpr std::uint32_t kMembersMax = 1024;

std::uint64_t digest_of(std::uint64_t digest, const std::vector<LockspaceMember>& members) {
  for (const LockspaceMember& member : members) {
    digest = dlm::mix(digest, base::value(member.processor.node));
    digest = dlm::mix(digest, base::value(member.processor.incarnation));
    digest = dlm::mix(digest, std::uint64_t{member.slot} << 32 | member.uses);
  }
  return dlm::mix(digest, members.size());
}

std::uint64_t digest_of(const std::string& name, const Lockspace& lockspace) {
  std::uint64_t digest = dlm::hash_bytes(4, base::bytes_of(name));
  digest = dlm::mix(digest, std::uint64_t{lockspace.uid} << 32 | lockspace.gid);
  digest = dlm::mix(digest, lockspace.permissions);
  digest = dlm::mix(digest, lockspace.generation);
  digest = digest_of(digest_of(digest, lockspace.members), lockspace.gone);
  for (const SessionId user : lockspace.users) digest = dlm::mix(digest, base::value(user));
  return digest;
}

void put(base::ByteWriter& out, const std::vector<LockspaceMember>& members) {
  out.u16(static_cast<std::uint16_t>(members.size()));
  for (const LockspaceMember& member : members) {
    out.processor(member.processor);
    out.u32(member.slot);
    out.u32(member.uses);
  }
}

std::vector<LockspaceMember> members_of(base::ByteReader& in) {
  std::vector<LockspaceMember> members;
  const std::uint32_t count = in.count16(kMembersMax);
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    members.push_back({in.processor(), in.u32(), in.u32()});
  }
  return members;
}

}  // namespace

const LockspaceMember* Lockspace::member(base::NodeId node) const {
  const auto found = std::find_if(members.begin(), members.end(), [&](const LockspaceMember& m) {
    return m.processor.node == node;
  });
  return found == members.end() ? nullptr : &*found;
}

bool Lockspace::lets(std::uint32_t by_uid, std::uint32_t by_gid) const {
  constexpr unsigned kWrite = 2;
  const unsigned shift = by_uid == uid ? 6 : by_gid == gid ? 3 : 0;
  const bool lets = by_uid == 0 || (permissions >> shift & kWrite) != 0;
  return lets || MUTANT("lockspace_permissions_ignored");
}

const Lockspace* LockspaceTable::find(const std::string& name) const {
  const auto found = lockspaces_.find(name);
  return found == lockspaces_.end() ? nullptr : &found->second;
}

bool LockspaceTable::full(SessionId session) const {
  std::size_t used = 0;
  for (auto at = used_by_.lower_bound({session, {}}); at != used_by_.end(); ++at) {
    if (at->first != session) break;
    ++used;
  }
  return used >= limits_.per_session;
}

template <typename Change>
void LockspaceTable::edit(const std::string& name, Change change) {
  Lockspace& lockspace = lockspaces_.at(name);
  digest_ -= digest_of(name, lockspace);
  change(lockspace);
  digest_ += digest_of(name, lockspace);
}

void LockspaceTable::join(const std::string& name, const Processor& processor, std::uint32_t uid,
                          std::uint32_t gid, std::uint16_t permissions) {
  if (lockspaces_.count(name) == 0) {
    Lockspace made;
    made.uid = uid;
    made.gid = gid;
    made.permissions = permissions;
    digest_ += digest_of(name, made);
    lockspaces_.emplace(name, std::move(made));
  }
  edit(name, [&](Lockspace& lockspace) {
    for (LockspaceMember& member : lockspace.members) {
      if (member.processor == processor) {
        ++member.uses;
        return;
      }
    }
    std::uint32_t slot = 1;
    const auto taken = [&](const LockspaceMember& member) {
      return member.slot == slot && !MUTANT("lockspace_slot_twice");
    };
    const auto inherited = [&](const LockspaceMember& member) {
      return member.slot == slot && !MUTANT("lockspace_slot_inherited");
    };
    while (std::any_of(lockspace.members.begin(), lockspace.members.end(), taken) ||
           std::any_of(lockspace.gone.begin(), lockspace.gone.end(), inherited)) {
      ++slot;
    }
    const auto behind =
        std::find_if(lockspace.members.begin(), lockspace.members.end(),
                     [&](const LockspaceMember& member) { return processor < member.processor; });
    lockspace.members.insert(behind, {processor, slot, 1});
    ++lockspace.generation;
  });
}

void LockspaceTable::leave(const std::string& name, base::NodeId node) {
  edit(name, [&](Lockspace& lockspace) {
    for (auto at = lockspace.members.begin(); at != lockspace.members.end(); ++at) {
      if (at->processor.node != node) continue;
      if (--at->uses > 0 && !MUTANT("lockspace_left_with_first_leave")) return;
      lockspace.members.erase(at);
      ++lockspace.generation;
      return;
    }
  });
  drop_if_unused(name);
}

void LockspaceTable::drop_if_unused(const std::string& name) {
  const auto found = lockspaces_.find(name);
  if (!found->second.members.empty() || !found->second.gone.empty()) return;
  for (const SessionId user : found->second.users) used_by_.erase({user, name});
  digest_ -= digest_of(name, found->second);
  lockspaces_.erase(found);
}

void LockspaceTable::add_user(const std::string& name, SessionId session) {
  edit(name, [&](Lockspace& lockspace) { lockspace.users.insert(session); });
  used_by_.emplace(session, name);
}

void LockspaceTable::remove_user(SessionId session) {
  while (true) {
    const auto at = used_by_.lower_bound({session, {}});
    if (at == used_by_.end() || at->first != session) return;
    edit(at->second, [&](Lockspace& lockspace) { lockspace.users.erase(session); });
    used_by_.erase(at);
  }
}

std::vector<std::string> LockspaceTable::depart(const Processor& processor) {
  std::vector<std::string> changed;
  for (const auto& [name, lockspace] : lockspaces_) {
    const LockspaceMember* member = lockspace.member(processor.node);
    if (member && member->processor == processor) changed.push_back(name);
  }
  for (const std::string& name : changed) {
    edit(name, [&](Lockspace& lockspace) {
      const auto at =
          lockspace.members.begin() + (lockspace.member(processor.node) - lockspace.members.data());
      lockspace.gone.push_back(*at);
      lockspace.members.erase(at);
      if (!MUTANT("lockspace_generation_not_raised")) ++lockspace.generation;
    });
  }
  return changed;
}

std::vector<std::string> LockspaceTable::settle(const Processor& processor) {
  std::vector<std::string> settled;
  std::vector<std::string> names;
  for (const auto& [name, lockspace] : lockspaces_) names.push_back(name);
  for (const std::string& name : names) {
    bool changed = false;
    edit(name, [&](Lockspace& lockspace) {
      changed = std::erase_if(lockspace.gone, [&](const LockspaceMember& member) {
                  return member.processor == processor;
                }) > 0;
    });
    if (!changed) continue;
    if (lockspaces_.at(name).gone.empty()) settled.push_back(name);
    drop_if_unused(name);
  }
  return settled;
}

std::set<Processor> LockspaceTable::gone() const {
  std::set<Processor> gone;
  for (const auto& [name, lockspace] : lockspaces_) {
    for (const LockspaceMember& member : lockspace.gone) gone.insert(member.processor);
  }
  return gone;
}

void LockspaceTable::serialize(base::ByteWriter& out) const {
  out.u32(static_cast<std::uint32_t>(lockspaces_.size()));
  for (const auto& [name, lockspace] : lockspaces_) {
    out.bytes16(base::bytes_of(name));
    out.u32(lockspace.uid);
    out.u32(lockspace.gid);
    out.u16(lockspace.permissions);
    out.u64(lockspace.generation);
    put(out, lockspace.members);
    put(out, lockspace.gone);
    out.u32(static_cast<std::uint32_t>(lockspace.users.size()));
    for (const SessionId user : lockspace.users) out.u64(base::value(user));
  }
}

LockspaceTable LockspaceTable::deserialize(base::ByteReader& in, const LockspaceLimits& limits) {
  LockspaceTable table(limits);
  const std::uint32_t count = in.count32(static_cast<std::uint32_t>(limits.lockspaces));
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    const std::string name =
        base::text_of(in.bytes(in.count16(static_cast<std::uint32_t>(dlm::kMaxLockspaceName))));
    Lockspace lockspace;
    lockspace.uid = in.u32();
    lockspace.gid = in.u32();
    lockspace.permissions = in.u16();
    lockspace.generation = in.u64();
    lockspace.members = members_of(in);
    lockspace.gone = members_of(in);
    const bool in_order = table.lockspaces_.empty() || table.lockspaces_.rbegin()->first < name;
    if (name.empty() || !in_order || (lockspace.members.empty() && lockspace.gone.empty())) {
      in.fail();
    }
    for (std::uint32_t users = in.u32(); users > 0 && !in.failed(); --users) {
      const SessionId user{in.u64()};
      lockspace.users.insert(user);
      table.used_by_.emplace(user, name);
    }
    if (in.failed()) break;
    table.digest_ += digest_of(name, lockspace);
    table.lockspaces_.emplace(name, std::move(lockspace));
  }
  return table;
}

}  // namespace lockd

// A lock table as one would write it on a napkin: maps, vectors, and searches through all of it.
// The real one is compared with it.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dlm/lock.h"

namespace dlm {

class Model {
 public:
  explicit Model(const Limits& limits) : limits_(limits) {}

  Effects acquire(const Acquire& request) {
    const Key key{base::text_of(request.on.lockspace), base::text_of(request.on.resource)};
    const auto at = resources_.find(key);
    const bool grantable =
        at == resources_.end() || (at->second.waiting.empty() && fits(at->second, request.mode));
    const auto refuse = [&](Status status) { return refusal(request.lock, status); };
    if (find(request.lock).first) return refuse(Status::duplicate);
    if (request.no_queue && !grantable) return refuse(Status::would_block);
    if (count([](const Entry&) { return true; }) >= limits_.locks) {
      return refuse(Status::too_many_locks);
    }
    const auto of_session = [&](const Entry& e) { return e.lock.session == request.lock.session; };
    if (count(of_session) >= limits_.locks_per_session) return refuse(Status::session_full);
    if (at == resources_.end()) {
      if (resources_.size() >= limits_.resources) return refuse(Status::too_many_resources);
      std::map<std::string, int> lockspaces;
      for (const auto& [name, resource] : resources_) lockspaces[name.first] = 1;
      if (lockspaces.count(key.first) == 0 && lockspaces.size() >= limits_.lockspaces) {
        return refuse(Status::too_many_lockspaces);
      }
    }
    const Entry entry{request.lock, request.mode, next++};
    Resource& resource = resources_[key];
    if (!grantable) {
      resource.waiting.push_back(entry);
      return {{Effect::Kind::queued, Status::ok, request.mode, request.lock, Token{}}};
    }
    resource.granted.push_back(entry);
    return {{Effect::Kind::granted, Status::ok, request.mode, request.lock, Token{entry.stamp}}};
  }

  Effects release(LockName lock, Token token) {
    const auto [resource, entry] = find(lock);
    if (!resource) return refusal(lock, Status::unknown_lock);
    if (!holds(*resource, lock)) return refusal(lock, Status::not_granted);
    if (Token{entry.stamp} != token) return refusal(lock, Status::wrong_token);
    return end(lock);
  }

  Effects cancel(LockName lock) {
    const auto [resource, entry] = find(lock);
    if (!resource) return refusal(lock, Status::unknown_lock);
    if (holds(*resource, lock)) return refusal(lock, Status::already_granted);
    return end(lock);
  }

  std::pair<Effects, bool> release_some(SessionId session, std::size_t budget) {
    Effects effects;
    while (true) {
      const std::vector<Entry> left = locks_of(session);
      if (left.empty()) return {effects, true};
      if (!effects.empty() && effects.size() >= budget) return {effects, false};
      const Effects more = end(left.front().lock);
      effects.insert(effects.end(), more.begin(), more.end());
    }
  }

  struct Entry {
    LockName lock;
    Mode mode;
    std::uint64_t stamp;
  };

  // Waiting ones first, by age.
  std::vector<Entry> locks_of(SessionId session) const {
    std::vector<std::pair<bool, Entry>> all;
    for (const auto& [name, resource] : resources_) {
      for (const Entry& e : resource.waiting) {
        if (e.lock.session == session) all.push_back({false, e});
      }
      for (const Entry& e : resource.granted) {
        if (e.lock.session == session) all.push_back({true, e});
      }
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return std::make_pair(a.first, a.second.stamp) < std::make_pair(b.first, b.second.stamp);
    });
    std::vector<Entry> entries;
    for (const auto& [granted, entry] : all) entries.push_back(entry);
    return entries;
  }

  struct Resource {
    std::vector<Entry> granted;
    std::deque<Entry> waiting;
  };
  using Key = std::pair<std::string, std::string>;

  const std::map<Key, Resource>& resources() const { return resources_; }

  std::uint64_t next = 1;

 private:
  static Effects refusal(LockName lock, Status status) {
    return {{Effect::Kind::refused, status, Mode::nl, lock, Token{}}};
  }

  static bool holds(const Resource& resource, LockName lock) {
    return std::any_of(resource.granted.begin(), resource.granted.end(),
                       [&](const Entry& e) { return e.lock == lock; });
  }

  static bool fits(const Resource& resource, Mode mode) {
    return std::all_of(resource.granted.begin(), resource.granted.end(),
                       [&](const Entry& e) { return compatible(e.mode, mode); });
  }

  std::pair<Resource*, Entry> find(LockName lock) {
    for (auto& [name, resource] : resources_) {
      for (const Entry& e : resource.granted) {
        if (e.lock == lock) return {&resource, e};
      }
      for (const Entry& e : resource.waiting) {
        if (e.lock == lock) return {&resource, e};
      }
    }
    return {nullptr, {}};
  }

  template <typename Wanted>
  std::size_t count(const Wanted& wanted) const {
    std::size_t count = 0;
    for (const auto& [name, resource] : resources_) {
      count += static_cast<std::size_t>(
          std::count_if(resource.granted.begin(), resource.granted.end(), wanted) +
          std::count_if(resource.waiting.begin(), resource.waiting.end(), wanted));
    }
    return count;
  }

  Effects end(LockName lock) {
    Effects effects;
    for (auto at = resources_.begin(); at != resources_.end(); ++at) {
      Resource& resource = at->second;
      const auto is_it = [&](const Entry& e) { return e.lock == lock; };
      const auto held = std::find_if(resource.granted.begin(), resource.granted.end(), is_it);
      const auto queued = std::find_if(resource.waiting.begin(), resource.waiting.end(), is_it);
      if (held != resource.granted.end()) {
        effects.push_back(
            {Effect::Kind::released, Status::ok, held->mode, lock, Token{held->stamp}});
        resource.granted.erase(held);
      } else if (queued != resource.waiting.end()) {
        effects.push_back({Effect::Kind::cancelled, Status::ok, queued->mode, lock, Token{}});
        resource.waiting.erase(queued);
      } else {
        continue;
      }
      while (!resource.waiting.empty() && fits(resource, resource.waiting.front().mode)) {
        Entry granted = resource.waiting.front();
        resource.waiting.pop_front();
        granted.stamp = next++;
        resource.granted.push_back(granted);
        effects.push_back(
            {Effect::Kind::granted, Status::ok, granted.mode, granted.lock, Token{granted.stamp}});
      }
      if (resource.granted.empty() && resource.waiting.empty()) resources_.erase(at);
      break;
    }
    return effects;
  }

  Limits limits_;
  std::map<Key, Resource> resources_;
};

}  // namespace dlm

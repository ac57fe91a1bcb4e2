#include "tools/lockctl/blocking.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/lock_mode.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

using base::LockMode;

// Which modes may be held beside each other (docs/locks.md, "Modes").
constexpr std::array<std::string_view, base::kLockModes> kGoesWith = {
    "NL CR CW PR PW EX", "NL CR CW PR PW", "NL CR CW", "NL CR PR", "NL CR", "NL"};

bool go_together(std::string_view held, std::string_view wanted) {
  const auto mode = base::mode_of(held);
  if (!mode) return true;  // Of a later version: nothing can be said.
  return kGoesWith[base::index_of(*mode)].find(wanted) != std::string_view::npos;
}

std::string who(const ShownLock& lock) {
  if (lock.session == 0) return "nobody: the leases from before have to run out first";
  std::string text = "node " + std::to_string(lock.node);
  if (lock.pid != 0) text += " pid " + std::to_string(lock.pid);
  if (!lock.command.empty()) text += " (" + printable(lock.command) + ")";
  return text;
}

// What becomes of a holder that can not give the lock back itself.
std::string fate(const ShownLock& lock) {
  if (lock.orphan)
    return "; its process has ended, and the lock stays until it is adopted or dropped";
  if (lock.orphaned) return "; its node or process is gone, and its lease has to run out first";
  return "";
}

class Explainer {
 public:
  explicit Explainer(const Showing& showing) : locks_(showing.locks) {}

  std::vector<Blocking> explain() const {
    std::vector<Blocking> all;
    for (std::size_t i = 0; i < locks_.size(); ++i) {
      if (locks_[i].waiting) all.push_back(explain(i));
    }
    std::stable_sort(all.begin(), all.end(), [&](const Blocking& a, const Blocking& b) {
      return key(locks_[a.waiter]) < key(locks_[b.waiter]);
    });
    return all;
  }

 private:
  static std::pair<bool, std::uint32_t> key(const ShownLock& lock) {
    return {!lock.granted, lock.position};
  }

  Blocking explain(std::size_t waiter) const {
    const ShownLock& lock = locks_[waiter];
    Blocking blocking;
    blocking.waiter = waiter;
    const bool fits = fits_in_some_mode(waiter);
    if (!fits) blocking.blockers = holders_against(waiter, lock.wants);
    const bool in_turn = (lock.flags & base::lock_flag::no_order) != 0;
    if (!fits) {
      blocking.rule = BlockRule::held_mode;
    } else if (const auto before = in_turn ? std::nullopt : before_it(waiter)) {
      blocking.rule = !lock.granted && locks_[*before].granted ? BlockRule::conversions_first
                      : lock.granted                           ? BlockRule::conversion_before
                                                               : BlockRule::request_before;
      blocking.blockers = {*before};
    }
    blocking.sentence = begin(lock) + reason(blocking) + ".";
    return blocking;
  }

  // The mode that it wants, or one that it said is as good, beside all that others hold.
  bool fits_in_some_mode(std::size_t waiter) const {
    const ShownLock& lock = locks_[waiter];
    if (holders_against(waiter, lock.wants).empty()) return true;
    if ((lock.flags & base::lock_flag::or_pr) && holders_against(waiter, "PR").empty()) return true;
    return (lock.flags & base::lock_flag::or_cw) && holders_against(waiter, "CW").empty();
  }

  std::vector<std::size_t> holders_against(std::size_t waiter, std::string_view mode) const {
    std::vector<std::size_t> holders;
    for (std::size_t i = 0; i < locks_.size(); ++i) {
      if (i != waiter && locks_[i].granted && !go_together(locks_[i].mode, mode)) {
        holders.push_back(i);
      }
    }
    return holders;
  }

  // Whose turn comes right before: the one before it in its queue; for the first request the last
  // of the conversions, which all come first.
  std::optional<std::size_t> before_it(std::size_t waiter) const {
    const ShownLock& lock = locks_[waiter];
    std::optional<std::size_t> before;
    for (std::size_t i = 0; i < locks_.size(); ++i) {
      const ShownLock& other = locks_[i];
      if (i == waiter || !other.waiting) continue;
      const bool earlier =
          other.granted == lock.granted ? other.position < lock.position : other.granted;
      if (earlier && (!before || key(locks_[*before]) < key(other))) before = i;
    }
    return before;
  }

  static std::string begin(const ShownLock& lock) {
    return who(lock) +
           (lock.granted ? " holds " + lock.mode + ", waits to convert it to "
                         : std::string(" waits for ")) +
           lock.wants + ", ";
  }

  std::string reason(const Blocking& blocking) const {
    if (blocking.blockers.empty()) {
      return "and nothing here stands against it: it takes other locks at the same moment, or is "
             "about "
             "to be granted";
    }
    const ShownLock& first = locks_[blocking.blockers.front()];
    switch (blocking.rule) {
      case BlockRule::held_mode: {
        const std::size_t others = blocking.blockers.size() - 1;
        std::string text = "which does not go with the " + first.mode + " of " + who(first);
        if (others > 0) text += " and of " + std::to_string(others) + " more";
        return text + fate(first);
      }
      case BlockRule::conversion_before:
        return "and the conversion of " + who(first) + " to " + first.wants +
               " was asked for before";
      case BlockRule::conversions_first:
        return "and conversions come first: that of " + who(first) + " from " + first.mode +
               " to " + first.wants;
      case BlockRule::request_before:
      case BlockRule::elsewhere:
        break;
    }
    return "and is behind " + who(first) + ", who waits for " + first.wants + " as number " +
           std::to_string(first.position) + " of the queue";
  }

  const std::vector<ShownLock>& locks_;
};

}  // namespace

const char* to_string(BlockRule rule) {
  switch (rule) {
    case BlockRule::held_mode:
      return "held_mode";
    case BlockRule::conversion_before:
      return "conversion_before";
    case BlockRule::conversions_first:
      return "conversions_first";
    case BlockRule::request_before:
      return "request_before";
    case BlockRule::elsewhere:
      break;
  }
  return "elsewhere";
}

std::vector<Blocking> blockings_of(const Showing& showing) {
  return Explainer(showing).explain();
}

}  // namespace tools::lockctl

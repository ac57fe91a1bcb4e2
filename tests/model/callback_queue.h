// The callbacks of one lock that its client has not taken yet, and which notifications are left out
// on the way. The lockspace of lock_model.h says what is sent; this what is heard. 2.7, "Delivery
// side".
#pragma once

#include <optional>
#include <vector>

#include "tests/model/lock_model.h"

namespace model {

class CallbackQueue {
 public:
  void add(const Callback& callback) {
    if (callback.kind == Callback::Kind::blocking && !queue_.empty() &&
        queue_.back().kind == Callback::Kind::blocking) {
      // Behind a notification of the same mode, or of a more restrictive one above PR, it says
      // nothing new.
      const Mode before = queue_.back().mode;
      if (before == callback.mode) return;
      if (before > callback.mode && before > Mode::pr) return;
    }
    queue_.push_back(callback);
  }

  std::optional<Callback> deliver() {
    while (!queue_.empty()) {
      const Callback next = queue_.front();
      queue_.erase(queue_.begin());
      if (next.kind == Callback::Kind::completion) {
        last_mode_ = next.mode;
        return next;
      }
      // What the lock has become since does not stand in the way any more.
      if (!compatible(last_mode_, next.mode)) return next;
    }
    return std::nullopt;
  }

 private:
  std::vector<Callback> queue_;
  Mode last_mode_ = Mode::none;
};

}  // namespace model

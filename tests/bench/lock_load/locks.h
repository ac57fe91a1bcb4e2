// A client of a lock service. Each kind speaks the service's own protocol on connections of its
// own, and asks for one lock at a time.
#pragma once

#include <functional>
#include <string>

namespace tests::lock_load {

class Locks {
 public:
  using Done = std::function<void()>;

  virtual ~Locks() = default;

  // Asks; `granted` is called from the loop when it has the lock, however long that takes.
  // Failures throw from the loop: std::runtime_error with a sentence.
  virtual void acquire(const std::string& name, Done granted) = 0;

  // Gives back what it has; `released` is called when the service has said so.
  virtual void release(Done released) = 0;
};

}  // namespace tests::lock_load

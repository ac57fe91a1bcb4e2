// What a process says before a failed CHECK ends it. Its main part sets who says it, one for the
// process: a CHECK knows nobody whom it could ask.
#pragma once

namespace base {

class LastWords {
 public:
  virtual ~LastWords() = default;

  // Called in the thread whose CHECK failed, among data that may not be as they should. `failure`
  // is what stderr has already: where, and which condition. The process ends when it returns,
  // throws, or fails a CHECK itself; and when one fails in another thread meanwhile.
  virtual void say(const char* failure) noexcept = 0;
};

// In place of whoever was set before, not owned; null: nobody.
void set_last_words(LastWords* words);

// For base/check.cc. Whoever is taken is not set any more: nothing is said twice, nor within
// itself.
LastWords* take_last_words();

}  // namespace base

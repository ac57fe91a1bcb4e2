#include "base/last_words.h"

#include <atomic>

namespace base {

namespace {

// The only mutable global there is: see the header. Two threads can fail at once.
constinit std::atomic<LastWords*> last_words{nullptr};

}  // namespace

void set_last_words(LastWords* words) {
  last_words = words;
}

LastWords* take_last_words() {
  return last_words.exchange(nullptr);
}

}  // namespace base

// A state from the bytes of its image as they come, which nobody vouches for.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "dlm/image_loader.h"
#include "lockd/state.h"

namespace lockd {

class State::Loader {
 public:
  explicit Loader(const StateLimits& limits);
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Takes the next bytes, and reads them but for what is not complete: so a call costs what it
  // brings, but for the one that completes sessions, lockspaces and barriers, which are read in one
  // go. After a failure nothing is looked at any more.
  void add(base::Bytes bytes);

  bool failed() const { return failed_ || locks_.failed(); }

  // There are no more bytes: the state, or none if these were not the image of one. To be called
  // once.
  std::optional<State> finish();

 private:
  void read_head();

  State state_;
  dlm::Table::Loader locks_;
  base::Buffer head_;  // Until it is complete.
  bool head_read_ = false;
  bool failed_ = false;
};

}  // namespace lockd

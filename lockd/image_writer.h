// The image of a state as it is at one moment, written in steps while the state goes on. It is what
// a snapshot carries; the bytes are those of docs/wire.md, "Image of the state".
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "dlm/image_writer.h"
#include "lockd/state.h"

namespace lockd {

class State::Writer {
 public:
  // Sessions, lockspaces and barriers are written here and now, which takes a step as long as there
  // are of them: some milliseconds for SessionLimits::sessions_max, some 30 for
  // barrier::Limits::places. The locks are frozen, which one writer at a time can do: CHECK. The
  // state is not needed any more.
  explicit Writer(State& state);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Appends the next bytes, about so many (dlm/image_writer.h). True while there are more.
  bool write_some(base::ByteWriter& out, std::size_t about_bytes);

 private:
  base::Buffer head_;
  std::size_t head_written_ = 0;
  const dlm::Table frozen_;
  dlm::Table::Writer locks_;
};

}  // namespace lockd

// An epoch is one attempt to make a primary component active: a number, and the ring in which it
// was made, since two rings may try the same number [rule 6.11]. Who may refute an attempt is
// decided in lockd/activation.h.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace lockd {

struct Epoch {
  std::uint64_t number = 0;
  base::RingId ring;

  friend auto operator<=>(const Epoch&, const Epoch&) = default;
};

// An attempt as records and exchanges carry it. `members` are those of its ring: only they may
// refute it.
struct Attempt {
  Epoch epoch;
  std::vector<base::Processor> members;  // Sorted.

  friend bool operator==(const Attempt&, const Attempt&) = default;
};

void write_epoch(base::ByteWriter& out, const Epoch& epoch);
Epoch read_epoch(base::ByteReader& in);
void write_attempt(base::ByteWriter& out, const Attempt& attempt);
Attempt read_attempt(base::ByteReader& in);

// At most evs::kMembersMax of them, as everywhere in records and exchanges.
void write_processors(base::ByteWriter& out, const std::vector<base::Processor>& processors);
std::vector<base::Processor> read_processors(base::ByteReader& in);

std::string to_string(const Epoch& epoch);

}  // namespace lockd

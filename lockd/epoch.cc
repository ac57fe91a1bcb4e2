#include "lockd/epoch.h"

#include "evs/config.h"

namespace lockd {

void write_epoch(base::ByteWriter& out, const Epoch& epoch) {
  out.u64(epoch.number);
  out.ring(epoch.ring);
}

Epoch read_epoch(base::ByteReader& in) {
  Epoch epoch;
  epoch.number = in.u64();
  epoch.ring = in.ring();
  return epoch;
}

void write_attempt(base::ByteWriter& out, const Attempt& attempt) {
  write_epoch(out, attempt.epoch);
  write_processors(out, attempt.members);
}

Attempt read_attempt(base::ByteReader& in) {
  Attempt attempt;
  attempt.epoch = read_epoch(in);
  attempt.members = read_processors(in);
  return attempt;
}

void write_processors(base::ByteWriter& out, const std::vector<base::Processor>& processors) {
  out.u8(static_cast<std::uint8_t>(processors.size()));
  for (const base::Processor& processor : processors) {
    out.processor(processor);
  }
}

std::vector<base::Processor> read_processors(base::ByteReader& in) {
  std::vector<base::Processor> processors(in.count8(evs::kMembersMax));
  for (base::Processor& processor : processors) {
    processor = in.processor();
  }
  return processors;
}

std::string to_string(const Epoch& epoch) {
  return std::to_string(epoch.number) + "@" + base::to_string(epoch.ring);
}

}  // namespace lockd

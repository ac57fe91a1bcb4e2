#include "base/ids.h"

#include <cstdio>

namespace base {

namespace {

// The first digits of a random number tell two of them apart well enough for a reader.
std::string short_hex(std::uint64_t random) {
  char text[8];
  std::snprintf(text, sizeof text, "%04x", static_cast<unsigned>(random >> 48));
  return text;
}

}  // namespace

std::string to_string(NodeId node) {
  return std::to_string(value(node));
}

std::string to_string(const Processor& processor) {
  return to_string(processor.node) + ":" + short_hex(value(processor.incarnation));
}

std::string to_string(const RingId& ring) {
  return std::to_string(ring.sequence) + "." + to_string(ring.representative) + ":" +
         short_hex(ring.nonce);
}

}  // namespace base

// How often each thing that is rare, and matters, did happen: "sometimes" counters. A run of many
// seeds that never saw one of them has proved nothing about it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace sim {

class Coverage {
 public:
  void add(const std::string& name, std::uint64_t times = 1) { counts_[name] += times; }
  void add(const Coverage& other) {
    for (const auto& [name, times] : other.counts_) counts_[name] += times;
  }
  const std::map<std::string, std::uint64_t>& counts() const { return counts_; }

 private:
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace sim

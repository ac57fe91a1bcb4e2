// What is to happen in the simulated world, by true time; things of the same time in the order in
// which they were put in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace sim {

using base::Duration;

enum class Happening : std::uint8_t {
  datagram,  // `bytes` reach `node`.
  timer,     // A deadline of `node`, set as its `number`-th.
  message,   // The workload multicasts.
  partition,
  crash,
  restart,
  pause,
  resume,
  record_written,  // Write `number` of `node` is durable, or failed.
  client,          // Client `number` has something to do.
  heal,
};

struct Occurrence {
  Duration at{};
  std::uint64_t order = 0;
  Happening what{};
  std::size_t node = 0;
  std::uint64_t number = 0;
  base::Buffer bytes;
};

class EventQueue {
 public:
  void push(Occurrence occurrence) {
    occurrence.order = next_order_++;
    heap_.push_back(std::move(occurrence));
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  bool empty() const { return heap_.empty(); }
  Duration next_at() const { return heap_.front().at; }

  Occurrence pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Occurrence next = std::move(heap_.back());
    heap_.pop_back();
    return next;
  }

 private:
  static bool later(const Occurrence& a, const Occurrence& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  std::vector<Occurrence> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace sim

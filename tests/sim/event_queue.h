// What is to happen in the simulated world, by true time; things of the same time in the order in
// which they were put in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace sim {

using base::Duration;

enum class Happening : std::uint8_t {
  // To the daemon of machine `node`.
  datagram,        // `bytes` arrive.
  timer,           // The deadline that was set as its `number`-th is reached.
  record_written,  // Write `number` is durable.
  client_bytes,    // `bytes` come over connection `number`.
  client_broken,   // Connection `number` is at its end, though its client has not closed it.
  client_gone,     // Connection `number` was closed by its client.

  // To client `node`.
  daemon_bytes,  // `bytes` come over connection `number`.
  daemon_gone,   // Connection `number` is at its end.
  client_timer,  // The deadline that was set as its `number`-th is reached.
  client_acts,   // It is time for its next step.
  client_pause,  // To any client.
  client_resume,
  client_fault,  // To any client.

  // To the world.
  message,  // The workload multicasts.
  partition,
  flap,
  crash,
  restart,
  pause,
  resume,
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
  void push(Duration at, Happening what, std::size_t node, std::uint64_t number = 0,
            base::Buffer bytes = {}) {
    heap_.push_back({at, next_order_++, what, node, number, std::move(bytes)});
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

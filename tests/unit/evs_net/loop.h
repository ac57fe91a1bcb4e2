// A libuv loop that is run until something has happened.
#pragma once

#include <doctest/doctest.h>
#include <uv.h>

#include <cstdint>
#include <functional>

#include "evs/net/close.h"

// Ends every wait of these tests that would not end.
inline constexpr std::uint64_t kDeadlineMs = 20000;

struct Loop {
  Loop() { REQUIRE(uv_loop_init(&loop) == 0); }
  ~Loop() {
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }

  // Runs until `done`; false at the deadline.
  bool run_until(const std::function<bool()>& done) {
    bool late = false;
    auto* deadline = new uv_timer_t;
    uv_timer_init(&loop, deadline);
    deadline->data = &late;
    uv_timer_start(
        deadline, [](uv_timer_t* t) { *static_cast<bool*>(t->data) = true; }, kDeadlineMs, 0);
    while (!late && !done()) uv_run(&loop, UV_RUN_ONCE);
    evs::net::close_and_delete(deadline);
    return done();
  }

  uv_loop_t loop;
};

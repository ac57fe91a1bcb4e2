#include "evs/windows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "base/random.h"

namespace evs {

namespace {

using std::chrono::milliseconds;

constexpr Duration kNeitherShortNorLong = milliseconds(15);

// Visits of a member whose share of lost packets depends on what all may send in a rotation.
void visits(Windows& windows, int count, const std::function<double(double)>& loss,
            Duration took = kNeitherShortNorLong) {
  for (int i = 0; i < count; ++i) {
    const std::uint64_t numbered = windows.rotation();
    windows.after_visit(numbered,
                        static_cast<std::uint64_t>(loss(static_cast<double>(numbered)) *
                                                   static_cast<double>(numbered)),
                        took);
  }
}

// A buffer that takes so many packets in a rotation.
std::function<double(double)> buffer_of(double packets) {
  return [packets](double sent) { return std::max(0.0, (sent - packets) / sent); };
}

std::function<double(double)> at_random(double share) {
  return [share](double) { return share; };
}

}  // namespace

TEST_CASE("windows begin as they are configured, and stay so without loss") {
  const Config config;
  Windows windows(config);
  visits(windows, 1000, at_random(0));
  CHECK(windows.personal() == config.personal_window);
  CHECK(windows.rotation() == config.rotation_window);
  CHECK(windows.accelerated() == config.accelerated_window);
}

TEST_CASE("loss that comes of sending too much makes all three windows smaller, until it ends") {
  const Config config;
  Windows windows(config);
  std::uint32_t most = 0;
  visits(windows, 2000, buffer_of(40));
  for (int i = 0; i < 10'000; ++i) {
    visits(windows, 1, buffer_of(40));
    most = std::max(most, windows.rotation());
  }
  // The buffer's size, and the loss that is not told from chance.
  CHECK(most <= 55);
  CHECK(most >= 30);
  CHECK(windows.personal() < config.personal_window / 2);
  CHECK(windows.accelerated() < config.accelerated_window / 2);
}

TEST_CASE("a window is never below the configured least, nor 0") {
  Config config;
  Windows windows(config);
  for (int i = 0; i < 1000; ++i) {
    visits(windows, 1, buffer_of(1));
    CHECK(windows.personal() >= config.personal_window_min);
  }
  config.personal_window = 2;
  config.rotation_window = 5;
  config.accelerated_window = 1;
  Windows small(config);
  for (int i = 0; i < 1000; ++i) {
    visits(small, 1, buffer_of(1));
    CHECK(small.personal() == 2);
    CHECK(small.rotation() == 5);
  }
}

TEST_CASE("loss that a small window does not lessen is borne, with the window as it was") {
  for (const double share : {0.1, 0.3, 0.6}) {
    const Config config;
    Windows windows(config);
    visits(windows, 4000, at_random(share));
    CHECK(windows.personal() == config.personal_window);
    visits(windows, 1000, at_random(share));
    CHECK(windows.personal() == config.personal_window);
  }
}

TEST_CASE("chance alone does not make a window small") {
  for (const std::uint64_t percent : {1u, 10u, 30u, 60u}) {
    const Config config;
    Windows windows(config);
    base::Random random(percent);
    int small = 0;
    for (int i = 0; i < 20'000; ++i) {
      std::uint64_t repeated = 0;
      for (std::uint32_t packet = 0; packet < windows.rotation(); ++packet) {
        if (random.chance(percent, 100)) ++repeated;
      }
      windows.after_visit(windows.rotation(), repeated, kNeitherShortNorLong);
      if (windows.personal() < config.personal_window) ++small;
    }
    // But for the first samples, after which it is borne.
    CHECK(small < 1000);
  }
}

TEST_CASE("a window grows again when a buffer has grown") {
  const Config config;
  Windows windows(config);
  visits(windows, 5000, buffer_of(30));
  CHECK(windows.personal() < config.personal_window / 2);
  visits(windows, 10'000, buffer_of(1000));
  CHECK(windows.personal() == config.personal_window);
}

TEST_CASE("loss that ends is not borne for ever: later loss by sending too much is seen") {
  const Config config;
  Windows windows(config);
  visits(windows, 4000, at_random(0.5));
  visits(windows, 10'000, at_random(0));
  visits(windows, 4000, buffer_of(60));
  CHECK(windows.rotation() < 75);
}

TEST_CASE("windows grow together while rotations are short, up to the bound") {
  Config config;
  config.window_growth = 4;
  Windows windows(config);
  visits(windows, 1000, at_random(0), milliseconds(2));
  CHECK(windows.personal() == config.personal_window * config.window_growth);
  CHECK(windows.rotation() == config.rotation_window * config.window_growth);
  CHECK(windows.accelerated() == config.accelerated_window * config.window_growth);
}

TEST_CASE(
    "windows that make rotations long become smaller, but for time not below the configured") {
  Config config;
  config.window_growth = 4;
  Windows windows(config);
  // A link that takes 20 packets in a millisecond: 10 to 20 ms are 200 to 400 packets.
  for (int i = 0; i < 1000; ++i) {
    visits(windows, 1, at_random(0), milliseconds(windows.rotation() / 20));
  }
  CHECK(windows.rotation() >= 200);
  CHECK(windows.rotation() <= 400);
  visits(windows, 1000, at_random(0), milliseconds(200));
  CHECK(windows.personal() == config.personal_window);
}

TEST_CASE("beyond the configured size a window grows only where next to nothing is lost") {
  Config config;
  config.window_growth = 4;
  Windows windows(config);
  visits(windows, 1000, at_random(0.1), milliseconds(2));
  CHECK(windows.personal() == config.personal_window);
  // Packets of one and a half of the configured rotation fit.
  std::uint64_t lost = 0;
  std::uint64_t sent = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double rotation = windows.rotation();
    const double loss = buffer_of(1.5 * config.rotation_window)(rotation);
    visits(windows, 1, at_random(loss), milliseconds(2));
    lost += static_cast<std::uint64_t>(loss * rotation);
    sent += static_cast<std::uint64_t>(rotation);
  }
  CHECK(lost < sent / 50);
}

TEST_CASE("rotations in which little was sent say nothing about windows") {
  const Config config;
  Windows windows(config);
  for (int i = 0; i < 1000; ++i) windows.after_visit(config.personal_window - 1, 0, {});
  CHECK(windows.personal() == config.personal_window);
}

TEST_CASE("a token is worth copies while much is lost") {
  const Config config;
  Windows windows(config);
  CHECK(windows.token_copies() == 1);
  visits(windows, 500, at_random(0.02));
  CHECK(windows.token_copies() == 1);
  visits(windows, 500, at_random(0.1));
  CHECK(windows.token_copies() == 2);
  visits(windows, 500, at_random(0.3));
  CHECK(windows.token_copies() == 3);
  visits(windows, 500, at_random(0));
  CHECK(windows.token_copies() == 1);
}

TEST_CASE("no more copies of a token than configured") {
  Config config;
  config.token_copies_max = 1;
  Windows windows(config);
  visits(windows, 500, at_random(0.3));
  CHECK(windows.token_copies() == 1);
}

TEST_CASE("equal bounds keep the windows fixed") {
  Config config;
  config.personal_window_min = config.personal_window;
  config.window_growth = 1;
  Windows windows(config);
  for (int i = 0; i < 500; ++i) {
    visits(windows, 1, i % 2 == 0 ? buffer_of(10) : at_random(0), milliseconds(1));
    CHECK(windows.personal() == config.personal_window);
  }
}

TEST_CASE("without acceleration nothing leaves after the token at any window") {
  Config config;
  config.accelerated_window = 0;
  Windows windows(config);
  for (int i = 0; i < 500; ++i) {
    visits(windows, 1, buffer_of(50));
    CHECK(windows.accelerated() == 0);
  }
}

}  // namespace evs

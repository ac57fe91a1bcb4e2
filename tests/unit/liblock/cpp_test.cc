#include <doctest/doctest.h>
#include <liblock/lock.hpp>

#include <concepts>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include "tests/unit/liblock/fake_daemon.h"

using liblock_test::FakeDaemon;

namespace {

template <typename T>
concept Lockable = requires(T& lock) {
  lock.lock();
  { lock.try_lock() } -> std::same_as<bool>;
  { lock.unlock() }
  noexcept;
};
template <typename T>
concept TimedLockable = Lockable<T> && requires(T& lock) {
  { lock.try_lock_for(std::chrono::seconds(1)) } -> std::same_as<bool>;
  { lock.try_lock_until(std::chrono::steady_clock::now()) } -> std::same_as<bool>;
};
template <typename T>
concept SharedLockable = requires(T& lock) {
  lock.lock_shared();
  { lock.try_lock_shared() } -> std::same_as<bool>;
  { lock.try_lock_shared_for(std::chrono::seconds(1)) } -> std::same_as<bool>;
  { lock.try_lock_shared_until(std::chrono::steady_clock::now()) } -> std::same_as<bool>;
  { lock.unlock_shared() }
  noexcept;
};

static_assert(TimedLockable<ringlock::mutex>);
static_assert(TimedLockable<ringlock::shared_mutex> && SharedLockable<ringlock::shared_mutex>);
static_assert(std::is_nothrow_move_constructible_v<ringlock::held>);
static_assert(!std::is_copy_constructible_v<ringlock::held>);
static_assert(std::is_error_code_enum_v<ringlock::errc>);

ringlock::client connected(const FakeDaemon& daemon) {
  return ringlock::client(ringlock::options{daemon.path(), "test", std::chrono::seconds(10)});
}

}  // namespace

TEST_CASE("a held lock is given back at the end of its scope, wherever it was moved") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client other = connected(daemon);
  {
    ringlock::held first = client.acquire("jobs");
    CHECK(first.is_held());
    CHECK(first.token() != 0);
    CHECK_FALSE(other.try_acquire("jobs").has_value());
    const ringlock::held second = std::move(first);
    CHECK_FALSE(first.is_held());
    CHECK(second.valid_for() > std::chrono::seconds(0));
  }
  std::optional<ringlock::held> taken = other.acquire_for("jobs", std::chrono::minutes(1));
  REQUIRE(taken.has_value());
  CHECK_FALSE(taken->release());
  CHECK(taken->release() == ringlock::errc::not_held);
}

TEST_CASE("the standard library's guards take cluster locks") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client rival = connected(daemon);
  ringlock::mutex first(client, "first");
  ringlock::mutex second(client, {"space", "second"});
  {
    const std::scoped_lock both(first, second);
    CHECK(first.token() != second.token());
    CHECK(first.valid_for() > std::chrono::seconds(0));
    CHECK_FALSE(rival.try_acquire("first").has_value());
  }
  CHECK(first.token() == 0);
  ringlock::mutex theirs(rival, "first");
  {
    std::unique_lock lock(theirs, std::chrono::minutes(1));
    CHECK(lock.owns_lock());
    CHECK_FALSE(first.try_lock());
    CHECK_FALSE(first.try_lock_for(std::chrono::milliseconds(5)));
  }
  ringlock::shared_mutex shared(client, "shared");
  {
    const std::shared_lock reader(shared);
    CHECK(reader.owns_lock());
  }
  const std::unique_lock writer(shared);
  CHECK(writer.owns_lock());
}

TEST_CASE("a mutex that threads share excludes them") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::mutex mutex(client, "jobs");
  int shared = 0;
  const auto work = [&] {
    for (int i = 0; i < 25; ++i) {
      const std::lock_guard lock(mutex);
      ++shared;
    }
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  CHECK(shared == 50);
}

TEST_CASE("what fails throws a system_error that says what") {
  const auto code_of = [](auto call) {
    try {
      call();
    } catch (const std::system_error& error) {
      return error.code();
    }
    return std::error_code();
  };
  CHECK(code_of([] {
          ringlock::client(ringlock::options{"/nowhere/sock", "", {}});
        }) == ringlock::errc::no_daemon);
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  CHECK(code_of([&] { client.acquire(""); }) == ringlock::errc::invalid);
  ringlock::mutex mutex(client, std::string(300, 'x'));
  CHECK(code_of([&] { mutex.lock(); }) == ringlock::errc::invalid);
  CHECK(std::string(ringlock::category().name()) == "ringlock");
  CHECK(make_error_code(ringlock::errc::busy).message() == lock_strerror(LOCK_ERROR_BUSY));
}

TEST_CASE("a held lock is converted, and reads and writes the value on its way") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client rival = connected(daemon);
  ringlock::terms value;
  value.flags = LOCK_FLAG_VALUE;
  ringlock::held job = client.acquire("jobs", ringlock::mode::ex, value);
  REQUIRE(job.value().has_value());
  CHECK(job.value()->at(0) == 0);
  const std::uint64_t before = job.token();
  ringlock::terms write = value;
  write.value.emplace().fill(7);
  job.convert(ringlock::mode::pr, write);
  CHECK(job.token() > before);
  CHECK(job.how() == ringlock::mode::pr);
  CHECK_FALSE(job.value().has_value());

  ringlock::held other = rival.acquire("jobs", ringlock::mode::pr, value);
  CHECK(other.value()->at(31) == 7);
  CHECK_FALSE(job.try_convert(ringlock::mode::ex));
  CHECK_FALSE(job.convert_for(ringlock::mode::ex, std::chrono::milliseconds(10)));
  CHECK(job.how() == ringlock::mode::pr);
  CHECK_FALSE(other.release());
  CHECK(job.try_convert(ringlock::mode::ex));
  ringlock::value_block last;
  last.fill(9);
  const ringlock::held keeper = rival.acquire("jobs", ringlock::mode::nl);
  CHECK_FALSE(job.release(last));
  CHECK(rival.acquire("jobs", ringlock::mode::pr, value).value() == last);
}

TEST_CASE("a holder hears who waits, and that his lock is lost") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client rival = connected(daemon);
  std::vector<ringlock::mode> told;
  ringlock::terms hears;
  hears.notify = [&told](ringlock::mode wanted) { told.push_back(wanted); };
  const ringlock::held job = client.acquire("jobs", ringlock::mode::ex, hears);
  const std::stop_token lost = job.lost_token();
  CHECK_FALSE(lost.stop_requested());
  CHECK_FALSE(rival.acquire_for("jobs", std::chrono::milliseconds(10), ringlock::mode::pr));
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (told.empty() && std::chrono::steady_clock::now() < end) client.dispatch();
  CHECK(told == std::vector<ringlock::mode>{ringlock::mode::pr});
  daemon.forget_sessions();
  while (!lost.stop_requested() && std::chrono::steady_clock::now() < end) client.dispatch();
  CHECK(lost.stop_requested());
  CHECK_FALSE(job.is_held());
}

TEST_CASE("several locks are held together, or none is") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  ringlock::client rival = connected(daemon);
  {
    const std::vector<ringlock::held> both = client.acquire_all({"a", {"space", "b"}});
    REQUIRE(both.size() == 2);
    CHECK(both[0].token() != both[1].token());
    CHECK_FALSE(rival.acquire_all_for({"c", "a"}, std::chrono::milliseconds(0)).has_value());
    CHECK(rival.try_acquire("c").has_value());
  }
  CHECK(rival.acquire_all_for({"c", "a"}, std::chrono::minutes(1)).has_value());
  CHECK_THROWS_AS(client.acquire_all({}), std::system_error);
}

TEST_CASE("a deadlock is thrown with its ring") {
  FakeDaemon daemon;
  ringlock::client client = connected(daemon);
  const ringlock::held job = client.acquire("jobs");
  try {
    client.acquire("jobs");
    FAIL("a thread can not wait for itself");
  } catch (const ringlock::deadlock& deadlock) {
    CHECK(deadlock.code() == ringlock::errc::deadlock);
    CHECK(deadlock.code() == std::errc::resource_deadlock_would_occur);
    REQUIRE(deadlock.ring().size() == 1);
    CHECK(std::string(deadlock.ring()[0].name) == "jobs");
    CHECK(deadlock.text().find("waits for EX") != std::string::npos);
  }
  ringlock::mutex mutex(client, "jobs");
  CHECK_THROWS_AS(mutex.lock(), ringlock::deadlock);
}

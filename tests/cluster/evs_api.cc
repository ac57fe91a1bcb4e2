// The C++ interface to groups against a real daemon (LOCKD_SOCKET), as tests/cluster/evs_test.py
// runs it: what needs several instances or threads of one process. Prints what is wrong and ends
// with 1.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <liblock/evs.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::exit(1);
}

template <typename Done>
void dispatch_until(ringlock::evs& evs, Done done) {
  while (!done()) evs.wait_and_dispatch(std::chrono::milliseconds(100));
}

void several_instances_of_one_process() {
  std::vector<std::string> heard_a;
  std::vector<std::string> heard_b;
  unsigned configurations = 0;
  ringlock::evs a(
      {.deliver = [&](const ringlock::delivery& what) { heard_a.emplace_back(what.text()); },
       .configure = [&](const ringlock::configuration&) { ++configurations; }});
  ringlock::evs b(
      {.deliver = [&](const ringlock::delivery& what) { heard_b.emplace_back(what.text()); }});
  expect(a.self().node == b.self().node, "instances of a daemon send as one processor");
  expect(!a.current().members.empty(), "the first configuration is there before it is dispatched");
  expect(configurations == 0, "nothing is called outside dispatch()");
  a.join("api");
  b.join("api");
  for (int i = 0; i < 50; ++i) {
    a.multicast("api", "a" + std::to_string(i), ringlock::guarantee::safe);
    b.multicast_joined("b" + std::to_string(i));
  }
  dispatch_until(a, [&] { return heard_a.size() == 100; });
  dispatch_until(b, [&] { return heard_b.size() == 100; });
  expect(heard_a == heard_b, "one order");
  expect(configurations == 1, "the stream begins with one configuration");
  b.leave("api");
  b.join("other");
  a.multicast("api", "not for b");
  a.multicast("other", "for b");
  dispatch_until(b, [&] { return heard_b.size() == 101; });
  expect(heard_b.back() == "for b", "who left hears nothing");
}

void a_few_events_at_a_time_and_callbacks_that_throw() {
  unsigned heard = 0;
  ringlock::evs evs({.deliver = [&](const ringlock::delivery& what) {
    ++heard;
    if (what.text() == "2") throw std::runtime_error("of the program's own");
  }});
  evs.join("few");
  for (int i = 0; i < 5; ++i) evs.multicast("few", std::to_string(i));
  bool thrown = false;
  while (heard < 5) {
    try {
      evs.wait_and_dispatch(std::chrono::milliseconds(0));
      expect(evs.dispatch(1) <= 1, "no more than was asked for");
    } catch (const std::runtime_error&) {
      thrown = true;
    }
  }
  expect(thrown && heard == 5, "an exception ends no stream");
}

void a_full_window_is_told_and_so_is_room() {
  bool writable = false;
  ringlock::evs evs({.writable = [&] { writable = true; }});
  const std::string longest(LOCK_EVS_MESSAGE_BYTES_MAX, 'x');
  const ringlock::group group("nobody is here");
  unsigned sent = 0;
  while (evs.try_multicast(std::span(&group, 1), longest) && sent < 10000) ++sent;
  expect(sent < 10000, "the window is bounded");
  dispatch_until(evs, [&] { return writable; });
  expect(evs.try_multicast(std::span(&group, 1), longest), "there is room when it is told");
  // Another thread asks while this one waits for all to be taken.
  std::thread other([&] { evs.join("from a thread"); });
  expect(evs.flush(), "everything goes to the ring");
  other.join();
  try {
    evs.multicast(group, longest + "y");
    expect(false, "a message over a MiB is refused");
  } catch (const std::system_error& error) {
    expect(error.code() == ringlock::errc::invalid, "and it is said that it is invalid");
  }
}

void threads_send_while_one_dispatches() {
  std::atomic<unsigned> heard = 0;
  ringlock::evs evs({.deliver = [&](const ringlock::delivery&) { ++heard; }});
  evs.join("threads");
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; ++i) {
    senders.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        while (!evs.try_multicast_joined("x")) std::this_thread::yield();
      }
      evs.flush();
    });
  }
  dispatch_until(evs, [&] { return heard == 800; });
  for (std::thread& sender : senders) sender.join();
}

void a_forked_child_owns_nothing() {
  ringlock::evs evs;
  const pid_t child = fork();
  if (child == 0) {
    lock_evs_group group;
    lock_evs_group_of("x", &group);
    const bool refused = lock_evs_dispatch(evs.get(), 0) == LOCK_ERROR_FORKED &&
                         lock_evs_join(evs.get(), &group, 1) == LOCK_ERROR_FORKED;
    lock_evs_close(evs.get());
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child is refused");
  evs.join("still here");
}

}  // namespace

int main() {
  several_instances_of_one_process();
  a_few_events_at_a_time_and_callbacks_that_throw();
  a_full_window_is_told_and_so_is_room();
  threads_send_while_one_dispatches();
  a_forked_child_owns_nothing();
}

#include "liblock/owner.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using liblock::Owner;

namespace {

// Whether `holds` does in a forked child.
template <typename Holds>
bool in_child(Holds holds) {
  const pid_t child = fork();
  if (child == 0) _exit(holds() ? 0 : 1);
  int status = 1;
  return waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

TEST_CASE("what a process made is its own, and of none of its children") {
  const Owner mine;
  CHECK(mine.asks());
  CHECK(in_child([&] { return !mine.asks(); }));
  CHECK(in_child([&] { return in_child([&] { return !mine.asks(); }); }));
  CHECK(mine.asks());
}

TEST_CASE("a child owns what it makes, and its own child does not") {
  const Owner mine;
  CHECK(in_child([&] {
    const Owner childs;
    return childs.asks() && !mine.asks() &&
           in_child([&] { return !childs.asks() && !mine.asks() && Owner().asks(); });
  }));
}

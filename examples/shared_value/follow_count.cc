// Keeps a copy of the value of the lock "count" as long as nobody changes it: holds PR, is notified
// when somebody wants more, lets go, and reads again. Prints each value that it comes to know; the
// argument is the last one that it waits for.
#include <liblock/lock.hpp>

#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

std::string text_of(const ringlock::held& lock) {
  const auto& value = lock.value();
  return value ? std::string(reinterpret_cast<const char*>(value->data())) : std::string();
}

}  // namespace

int main(int argc, char** argv) try {
  const long last = argc > 1 ? std::atol(argv[1]) : 0;
  ringlock::client client;
  bool in_the_way = false;
  ringlock::terms terms;
  terms.flags = LOCK_FLAG_VALUE;
  terms.notify = [&](ringlock::mode) { in_the_way = true; };

  // At NL it stands in nobody's way, and the value is kept: one without any lock is forgotten.
  ringlock::held copy = client.acquire("count", ringlock::mode::nl);
  for (;;) {
    in_the_way = false;
    copy.convert(ringlock::mode::pr, terms);  // Behind the writer, and reads what it has left.
    std::printf("%s\n", text_of(copy).c_str());
    std::fflush(stdout);
    if (std::atol(text_of(copy).c_str()) >= last) return 0;
    while (!in_the_way && copy.is_held()) {
      pollfd news = {client.fd(), POLLIN, 0};
      ::poll(&news, 1, client.timeout_ms());
      client.dispatch();
    }
    copy.convert(ringlock::mode::nl);
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "follow_count: %s\n", error.what());
  return 1;
}

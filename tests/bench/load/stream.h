// A TCP connection that is read by a loop.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tests/bench/load/loop.h"

namespace tests::load {

class Stream {
 public:
  // `take` gets all that has arrived and was not taken before, and says how much of it it took.
  using Take = std::function<std::size_t(std::string_view)>;

  // Connects to "HOST:PORT", HOST a number.
  Stream(Loop& loop, const std::string& address, Take take);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // While bytes are being taken it waits for the end of that, so that an answer and the next
  // question are one packet.
  void send(std::string_view bytes);

 private:
  void read();
  void flush();

  Loop& loop_;
  std::string address_;
  Take take_;
  int fd_;
  std::string received_;
  std::string unsent_;
  bool taking_ = false;
};

}  // namespace tests::load

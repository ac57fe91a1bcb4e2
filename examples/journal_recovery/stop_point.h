// A place in the course of a node at which it can be told to stand still, so that whoever tries or
// tests this example hits the very moment that he wants to: "commit", or "commit:5" for the fifth
// time that it comes there.
#pragma once

#include <string>

namespace journal_recovery {

class StopPoint {
 public:
  StopPoint() = default;  // Nowhere.
  explicit StopPoint(const std::string& text);

  // Here it stops by SIGSTOP, once, until SIGCONT (or SIGKILL) comes.
  void pass(const std::string& name);

 private:
  std::string name_;
  unsigned times_ = 0;
};

}  // namespace journal_recovery

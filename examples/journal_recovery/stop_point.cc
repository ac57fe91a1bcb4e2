#include "stop_point.h"

#include <csignal>

#include "story.h"

namespace journal_recovery {

StopPoint::StopPoint(const std::string& text) : name_(text.substr(0, text.find(':'))), times_(1) {
  if (name_ != text) times_ = static_cast<unsigned>(std::stoul(text.substr(name_.size() + 1)));
}

void StopPoint::pass(const std::string& name) {
  if (name != name_ || times_ == 0 || --times_ != 0) return;
  tell("stands still: the next thing would be " + name);
  std::raise(SIGSTOP);
  tell("goes on, as if nothing had happened");
}

}  // namespace journal_recovery

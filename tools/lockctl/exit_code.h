// What lockctl's exit codes mean, apart from the wrapped command's own. They follow sysexits and
// the shell.
#pragma once

namespace tools::lockctl {

enum ExitCode : int {
  kOk = 0,
  kUsage = 64,
  kUnavailable = 69,  // No daemon, or no quorum.
  kInternal = 70,
  kBusy = 75,  // Somebody else holds the lock, and the time to wait is over.
  kPermission = 77,
  kConfig = 78,
  kLost = 79,  // The lock was lost while the command ran; the command was ended in time.
  kCannotExecute = 126,
  kNotFound = 127,
  kSignal = 128,  // Plus the number of the signal that ended the command.
};

}  // namespace tools::lockctl

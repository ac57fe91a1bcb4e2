// Where the process that keeps a lock for a shell is found: a socket in a folder of the user's own,
// named after whose lock it is. Held by one keeper at a time.
#pragma once

#include <string>

#include "base/result.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

// What tells locks of one user on one machine apart.
struct KeeperId {
  std::string session;  // Of LOCKCTL_SESSION, or the shell (followed.h).
  std::string socket;   // Of the daemon.
  std::string lockspace;
  std::string name;

  std::string text() const;
};

class KeeperPlace {
 public:
  // $XDG_RUNTIME_DIR/lockctl, or /tmp/lockctl-UID; made if it is not there. It must be a folder of
  // this user that nobody else can enter.
  static base::Result<std::string, Failure> folder();

  static std::string socket_path(const std::string& folder, const KeeperId& id);

  // Takes the place; fails with kUsage if it is taken.
  static base::Result<KeeperPlace, Failure> take(const std::string& folder, const KeeperId& id);

  KeeperPlace(KeeperPlace&& other) noexcept;
  KeeperPlace& operator=(KeeperPlace&& other) = delete;
  ~KeeperPlace();

  // The socket, listening. Once.
  base::Result<int, Failure> listen();

  // Nobody finds the keeper from now on, and another one may take the place.
  void leave();

  // The place stays taken while this is open anywhere.
  int fd() const { return fd_; }

 private:
  KeeperPlace(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;  // Of the socket.
  int fd_;            // The file that is locked.
};

// A connection to the keeper of that lock. None: there is no keeper.
base::Result<int, Failure> connect_to_keeper(const std::string& path);

}  // namespace tools::lockctl

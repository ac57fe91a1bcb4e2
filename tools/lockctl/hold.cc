#include "tools/lockctl/hold.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "tools/lockctl/exit_code.h"
#include "tools/lockctl/keeper.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

// Of LOCKCTL_SESSION; else of the shell, which is looked for if it is not known yet.
base::Result<KeeperId, Failure> id_of(const std::string& name, const HoldPlace& place) {
  KeeperId id;
  id.socket = place.socket;
  id.lockspace = place.lockspace.empty() ? "default" : place.lockspace;
  id.name = name;
  const char* session = std::getenv("LOCKCTL_SESSION");
  if (session != nullptr && *session != '\0') {
    id.session = "named " + std::string(session);
    return id;
  }
  const auto shell = Followed::shell();
  if (!shell) return base::error(shell.error());
  id.session = "shell " + shell->id();
  return id;
}

}  // namespace

base::Result<void, Failure> hold(const LockOptions& options, const HoldPlace& place,
                                 const std::function<bool(const KeeperAnswer&)>& tell) {
  KeeperPlan plan;
  auto id = id_of(options.name, place);
  if (!id) return base::error(id.error());
  plan.id = std::move(*id);
  plan.wanted.holder = "lockctl lock";
  if (!options.detach) {
    auto followed = options.follow == 0 ? Followed::shell() : Followed::process(options.follow);
    if (!followed) return base::error(followed.error());
    plan.wanted.holder += ", for " + std::to_string(followed->pid()) + ": " + followed->command();
    plan.followed.emplace(std::move(*followed));
  }
  plan.wanted.socket = place.socket;
  plan.wanted.lockspace = place.lockspace;
  plan.wanted.name = options.name;
  plan.wanted.mode = static_cast<lock_mode>(options.mode);
  plan.wanted.wait = options.wait;
  if (options.read_value) plan.wanted.flags |= LOCK_FLAG_VALUE;
  auto keeper = StartedKeeper::start(plan);
  if (!keeper) return base::error(keeper.error());
  if (!tell(keeper->answer())) {
    return base::error(
        Failure{kInternal, "the token could not be printed: the lock is given back"});
  }
  if (!keeper->confirm()) {
    return base::error(Failure{kLost, printable(options.name) + " was lost at once"});
  }
  return {};
}

base::Result<KeeperAnswer, Failure> ask_keeper(const std::string& name, const HoldPlace& place,
                                               KeeperRequest request) {
  const auto id = id_of(name, place);
  if (!id) return base::error(id.error());
  const auto folder = KeeperPlace::folder();
  if (!folder) return base::error(folder.error());
  const auto connection = connect_to_keeper(KeeperPlace::socket_path(*folder, *id));
  if (!connection) return base::error(connection.error());
  request.whose = id->text();
  const base::Buffer bytes = encode(request);
  std::array<std::byte, kKeeperMessageMax> answered;
  ssize_t size = ::send(*connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size >= 0) {
    do {
      size = ::recv(*connection, answered.data(), answered.size(), 0);
    } while (size < 0 && errno == EINTR);
  }
  ::close(*connection);
  const auto answer =
      size > 0 ? decode_answer({answered.data(), static_cast<std::size_t>(size)}) : std::nullopt;
  if (!answer) return base::error(Failure{kLost, "the lock was lost"});
  if (answer->exit_code != kOk) return base::error(Failure{answer->exit_code, answer->message});
  return *answer;
}

}  // namespace tools::lockctl

#include "tools/lockctl/watch.h"

#include <liblock/watch.h>

#include <algorithm>

#include "tools/client.h"
#include "tools/lockctl/watch_json.h"

namespace tools::lockctl {
namespace {

constexpr int kEnough = 1;

struct Telling {
  const std::function<bool(const std::string& line)>& tell;
  std::uint64_t left = 0;  // Meaningful if there is a count.
  bool counts = false;
};

int on_event(lock_client*, const lock_watch_event* event, void* arg) {
  auto& telling = *static_cast<Telling*>(arg);
  if (event == nullptr) return 0;
  if (!telling.tell(json_of(*event))) return kEnough;
  return telling.counts && --telling.left == 0 ? kEnough : 0;
}

}  // namespace

base::Result<void, Failure> watch(const WatchOptions& options, const std::string& lockspace,
                                  const std::string& socket,
                                  const std::function<bool(const std::string& line)>& tell) {
  lock_options connection{};
  connection.size = sizeof connection;
  connection.socket_path = socket.c_str();
  connection.query_only = 1;
  lock_client* opened = nullptr;
  if (const int error = lock_connect(&connection, &opened)) {
    return base::error(failure_of(error, nullptr, socket));
  }
  const Client client(opened);
  lock_watch_options wanted{};
  wanted.size = sizeof wanted;
  for (const std::string& word : options.types) {
    wanted.kinds |= LOCK_WATCH_BIT(*watch_kind_of(word));
  }
  wanted.lockspace = lockspace.empty() ? nullptr : lockspace.c_str();
  wanted.name = options.name.data();
  wanted.name_len = options.name.size();
  wanted.prefix = options.prefix ? 1 : 0;
  Telling telling{tell, options.count, options.count > 0};
  const int error = lock_watch(client.get(), &wanted, &on_event, &telling);
  if (error != kEnough) return base::error(failure_of(error, client.get(), socket));
  return {};
}

}  // namespace tools::lockctl

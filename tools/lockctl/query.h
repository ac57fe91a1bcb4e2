// Asks the daemon about locks, the cluster and itself. Blocks as liblock/query.h says.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tools/client.h"
#include "tools/lockctl/answers.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

constexpr std::size_t kWaitsMax = 1000;

class Query {
 public:
  static base::Result<Query, Failure> connect(const std::string& socket);

  // An empty lockspace: all of them.
  base::Result<Listing, Failure> list(const std::string& lockspace, const std::string& prefix);
  base::Result<Showing, Failure> show(const std::string& lockspace, const std::string& name);
  base::Result<Deadlocks, Failure> deadlocks();
  base::Result<Lockspaces, Failure> lockspaces();
  base::Result<BarrierListing, Failure> barriers(const std::string& lockspace,
                                                 const std::string& prefix);

  // Where somebody waits now, in any lockspace; at most kWaitsMax resources.
  base::Result<Waits, Failure> waits();
  base::Result<Status, Failure> status();
  base::Result<FullStatus, Failure> full_status();
  base::Result<RingLog, Failure> ring_log();
  base::Result<Reasons, Failure> why(bool all);
  base::Result<std::vector<Member>, Failure> members();
  base::Result<KeyUse, Failure> key_use();

 private:
  Query(Client client, std::string socket)
      : client_(std::move(client)), socket_(std::move(socket)) {}

  // Asked apart, since an answer without locks can not say it.
  base::Result<bool, Failure> is_stale();

  Failure failure(int error) const { return failure_of(error, client_.get(), socket_); }

  Client client_;
  std::string socket_;
};

}  // namespace tools::lockctl

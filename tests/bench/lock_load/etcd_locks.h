// etcd's locks by its gRPC interface: one lease a client, and on it either a key that is put if it
// is not there and deleted, or the lock service of the server, whose clients wait in a queue.
#pragma once

#include "tests/bench/lock_load/grpc.h"
#include "tests/bench/lock_load/locks.h"

namespace tests::lock_load {

enum class EtcdRecipe { transaction, lock_service };

class EtcdLocks : public Locks {
 public:
  EtcdLocks(load::Loop& loop, const std::string& address, EtcdRecipe recipe);

  void acquire(const std::string& name, Done granted) override;
  void release(Done released) override;

 private:
  Grpc server_;
  EtcdRecipe recipe_;
  std::uint64_t lease_ = 0;
  std::string key_;  // Of the lock that is held.
};

}  // namespace tests::lock_load

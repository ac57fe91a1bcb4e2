#include "tests/bench/lock_load/etcd_locks.h"

#include <stdexcept>
#include <utility>

#include "tests/bench/load/session_time.h"
#include "tests/bench/lock_load/protobuf.h"

namespace tests::lock_load {
namespace {

// Numbers of fields as in etcd's rpc.proto and v3lock.proto.
std::string put_if_absent(const std::string& key, std::uint64_t lease) {
  constexpr unsigned kCreateRevision = 1;  // What is compared, to be equal to 0.
  const ProtoWriter compare = ProtoWriter().number(2, kCreateRevision).bytes(3, key).number(5, 0);
  const ProtoWriter put = ProtoWriter().bytes(1, key).bytes(2, "").number(3, lease);
  const ProtoWriter operation = ProtoWriter().bytes(2, put.message());
  return ProtoWriter().bytes(1, compare.message()).bytes(2, operation.message()).message();
}

}  // namespace

EtcdLocks::EtcdLocks(load::Loop& loop, const std::string& address, EtcdRecipe recipe)
    : server_(loop, address), recipe_(recipe) {
  const auto seconds = static_cast<std::uint64_t>(load::kSessionTime / std::chrono::seconds(1));
  server_.call("/etcdserverpb.Lease/LeaseGrant", ProtoWriter().number(1, seconds).message(),
               [&](std::string_view answer) { lease_ = proto_number(answer, 2).value_or(0); });
  loop.turn_until([&] { return lease_ != 0; }, load::kSessionTime, "LeaseGrant");
}

void EtcdLocks::acquire(const std::string& name, Done granted) {
  if (recipe_ == EtcdRecipe::lock_service) {
    server_.call("/v3lockpb.Lock/Lock", ProtoWriter().bytes(1, name).number(2, lease_).message(),
                 [this, done = std::move(granted)](std::string_view answer) {
                   const auto key = proto_bytes(answer, 2);
                   if (!key) throw std::runtime_error("etcd's lock has no key");
                   key_ = *key;
                   done();
                 });
    return;
  }
  key_ = name;
  server_.call("/etcdserverpb.KV/Txn", put_if_absent(name, lease_),
               [done = std::move(granted)](std::string_view answer) {
                 if (proto_number(answer, 2) != 1)
                   throw std::runtime_error("a key was there that nobody else puts");
                 done();
               });
}

void EtcdLocks::release(Done released) {
  const bool service = recipe_ == EtcdRecipe::lock_service;
  server_.call(service ? "/v3lockpb.Lock/Unlock" : "/etcdserverpb.KV/DeleteRange",
               ProtoWriter().bytes(1, key_).message(),
               [done = std::move(released)](std::string_view) { done(); });
}

}  // namespace tests::lock_load

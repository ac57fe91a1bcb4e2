// The same load over corosync's process groups. They have no safe delivery: what is asked for as
// safe is sent as agreed, which is all that a user of corosync gets.
#include <corosync/cpg.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "tools/evs_load/bus.h"

namespace tools::evs_load {
namespace {

class CorosyncBus final : public Bus {
 public:
  explicit CorosyncBus(Listener& listener) : listener_(listener) {
    cpg_model_v1_data_t model{};
    model.cpg_deliver_fn = [](cpg_handle_t handle, const cpg_name*, std::uint32_t node,
                              std::uint32_t, void* message, std::size_t size) {
      CorosyncBus& self = of(handle);
      self.listener_.on_message(node == self.node_, {static_cast<const std::byte*>(message), size});
    };
    model.cpg_confchg_fn = [](cpg_handle_t handle, const cpg_name*, const cpg_address*,
                              std::size_t members, const cpg_address*, std::size_t,
                              const cpg_address*,
                              std::size_t) { of(handle).listener_.on_members(members); };
    check(cpg_model_initialize(&handle_, CPG_MODEL_V1, reinterpret_cast<cpg_model_data_t*>(&model),
                               this),
          "initialize");
    check(cpg_local_get(handle_, &node_), "local_get");
    check(cpg_fd_get(handle_, &descriptor_), "fd_get");
    cpg_name group{};
    std::strcpy(group.value, "evs_load");
    group.length = static_cast<std::uint32_t>(std::strlen(group.value));
    cs_error_t joined = CS_ERR_TRY_AGAIN;
    while (joined == CS_ERR_TRY_AGAIN) joined = cpg_join(handle_, &group);
    check(joined, "join");
  }

  ~CorosyncBus() override { cpg_finalize(handle_); }
  CorosyncBus(const CorosyncBus&) = delete;
  CorosyncBus& operator=(const CorosyncBus&) = delete;

  int descriptor() const override { return descriptor_; }

  bool send(bool, base::Bytes message) override {
    iovec part{const_cast<std::byte*>(message.data()), message.size()};
    const cs_error_t error = cpg_mcast_joined(handle_, CPG_TYPE_AGREED, &part, 1);
    if (error == CS_ERR_TRY_AGAIN) return false;
    check(error, "mcast");
    return true;
  }

  void dispatch() override {
    const cs_error_t error = cpg_dispatch(handle_, CS_DISPATCH_ALL);
    if (error != CS_ERR_TRY_AGAIN) check(error, "dispatch");
  }

 private:
  static CorosyncBus& of(cpg_handle_t handle) {
    void* self = nullptr;
    cpg_context_get(handle, &self);
    return *static_cast<CorosyncBus*>(self);
  }

  static void check(cs_error_t error, const char* what) {
    if (error != CS_OK) throw std::runtime_error(std::string(what) + ": " + cs_strerror(error));
  }

  Listener& listener_;
  cpg_handle_t handle_ = 0;
  std::uint32_t node_ = 0;
  int descriptor_ = -1;
};

}  // namespace

// One daemon in each network namespace: there is nothing to choose.
std::unique_ptr<Bus> open_bus(const std::string&, Bus::Listener& listener) {
  return std::make_unique<CorosyncBus>(listener);
}

}  // namespace tools::evs_load

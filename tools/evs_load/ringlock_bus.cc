#include <liblock/evs.h>

#include <stdexcept>
#include <string>

#include "tools/evs_load/bus.h"

namespace tools::evs_load {
namespace {

constexpr const char* kGroup = "evs_load";

class RinglockBus final : public Bus {
 public:
  RinglockBus(const std::string& where, Listener& listener) : listener_(listener) {
    lock_evs_options options{};
    options.size = sizeof options;
    options.socket_path = where.c_str();
    options.deliver = [](lock_evs*, const lock_evs_delivery* delivery, void* self) {
      static_cast<RinglockBus*>(self)->deliver(*delivery);
    };
    options.configuration = [](lock_evs*, const lock_evs_configuration* configuration, void* self) {
      if (configuration->transitional) return;
      static_cast<RinglockBus*>(self)->listener_.on_members(configuration->members_len);
    };
    options.arg = this;
    check(lock_evs_open(&options, &evs_), "open");
    check(lock_evs_self(evs_, &self_), "self");
    check(lock_evs_group_of(kGroup, &group_), "group");
    check(lock_evs_join(evs_, &group_, 1), "join");
  }

  ~RinglockBus() override { lock_evs_close(evs_); }
  RinglockBus(const RinglockBus&) = delete;
  RinglockBus& operator=(const RinglockBus&) = delete;

  int descriptor() const override { return lock_evs_fd(evs_); }

  bool send(bool safe, base::Bytes message) override {
    const int error = lock_evs_multicast(evs_, safe ? LOCK_EVS_SAFE : LOCK_EVS_AGREED, &group_, 1,
                                         message.data(), message.size());
    if (error == LOCK_ERROR_TRY_AGAIN) return false;
    check(error, "multicast");
    return true;
  }

  void dispatch() override { check(lock_evs_dispatch(evs_, 0), "dispatch"); }

 private:
  static void check(int result, const char* what) {
    if (result < 0) throw std::runtime_error(std::string(what) + ": " + lock_strerror(result));
  }

  void deliver(const lock_evs_delivery& delivery) {
    const bool own = delivery.sender.node == self_.node;
    listener_.on_message(own,
                         {static_cast<const std::byte*>(delivery.message), delivery.message_len});
  }

  Listener& listener_;
  lock_evs* evs_ = nullptr;
  lock_evs_processor self_{};
  lock_evs_group group_{};
};

}  // namespace

std::unique_ptr<Bus> open_bus(const std::string& where, Bus::Listener& listener) {
  return std::make_unique<RinglockBus>(where, listener);
}

}  // namespace tools::evs_load

#include <liblock/evs.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "liblock/copy_text.h"
#include "liblock/defaults.h"
#include "liblock/evs_instance.h"

struct lock_evs {
  lock_evs(liblock::EvsOptions options, const liblock::protocol::Instance& drawn)
      : instance(this, std::move(options), drawn) {}

  liblock::EvsInstance instance;
};

namespace {

using liblock::protocol::Guarantee;

// Of the last lock_evs_open() in this thread that failed.
thread_local std::string open_advice;

// The only exceptions that can come this far are those of memory and of the system's locks, and
// those that a callback threw.
template <typename Call>
int guarded(lock_evs* evs, Call call) {
  if (evs == nullptr) return LOCK_ERROR_INVALID;
  if (evs->instance.forked()) return LOCK_ERROR_FORKED;
  try {
    return call(evs->instance);
  } catch (const std::exception&) {
    return LOCK_ERROR_SYSTEM;
  }
}

std::span<const base::GroupKey> groups_of(const lock_evs_group* groups, size_t count) {
  static_assert(sizeof(lock_evs_group) == sizeof(base::GroupKey) &&
                alignof(lock_evs_group) == alignof(base::GroupKey));
  return {reinterpret_cast<const base::GroupKey*>(groups), groups == nullptr ? 0 : count};
}

base::Bytes bytes_of(const void* message, size_t size) {
  return {static_cast<const std::byte*>(message), message == nullptr ? 0 : size};
}

// A number that is no guarantee stays none.
Guarantee guarantee_of(lock_evs_guarantee guarantee) {
  return static_cast<Guarantee>(std::min(static_cast<unsigned>(guarantee), 255u));
}

int open(const lock_evs_options* options, lock_evs** evs) {
  lock_evs_options given{};
  if (options != nullptr) std::memcpy(&given, options, std::min(options->size, sizeof given));
  auto paths = liblock::socket_paths(given.socket_path);
  if (!paths || given.answer_timeout_ms < 0) return LOCK_ERROR_INVALID;
  liblock::EvsOptions wanted;
  wanted.socket_paths = std::move(*paths);
  wanted.command = given.command != nullptr ? given.command : liblock::command_line();
  if (given.answer_timeout_ms > 0) {
    wanted.answer_timeout = std::chrono::milliseconds(given.answer_timeout_ms);
  }
  wanted.deliver = given.deliver;
  wanted.configuration = given.configuration;
  wanted.writable = given.writable;
  wanted.arg = given.arg;
  const auto instance = liblock::draw_instance();
  if (!instance) return LOCK_ERROR_SYSTEM;
  auto opened = std::make_unique<lock_evs>(std::move(wanted), *instance);
  const int error = opened->instance.open();
  if (error == 0) {
    *evs = opened.release();
  } else {
    open_advice = opened->instance.advice();
  }
  return error;
}

}  // namespace

extern "C" {

int lock_evs_group_of(const char* text, lock_evs_group* group) {
  if (text == nullptr || group == nullptr) return LOCK_ERROR_INVALID;
  const size_t size = std::strlen(text);
  if (size == 0 || size > sizeof group->key) return LOCK_ERROR_INVALID;
  *group = {};
  std::memcpy(group->key, text, size);
  return 0;
}

int lock_evs_open(const lock_evs_options* options, lock_evs** evs) {
  if (evs == nullptr) return LOCK_ERROR_INVALID;
  *evs = nullptr;
  try {
    open_advice.clear();
    return open(options, evs);
  } catch (const std::exception&) {
    return LOCK_ERROR_SYSTEM;
  }
}

void lock_evs_close(lock_evs* evs) {
  if (evs == nullptr) return;
  guarded(evs, [](liblock::EvsInstance& instance) {
    instance.close();
    return 0;
  });
  delete evs;
}

int lock_evs_fd(lock_evs* evs) {
  return guarded(evs, [](liblock::EvsInstance& instance) { return instance.poll_fd(); });
}

int lock_evs_dispatch(lock_evs* evs, unsigned max) {
  return guarded(evs, [&](liblock::EvsInstance& instance) { return instance.dispatch(max); });
}

int lock_evs_join(lock_evs* evs, const lock_evs_group* groups, size_t groups_len) {
  return guarded(evs, [&](liblock::EvsInstance& instance) {
    return instance.join(groups_of(groups, groups_len));
  });
}

int lock_evs_leave(lock_evs* evs, const lock_evs_group* groups, size_t groups_len) {
  return guarded(evs, [&](liblock::EvsInstance& instance) {
    return instance.leave(groups_of(groups, groups_len));
  });
}

int lock_evs_multicast(lock_evs* evs, lock_evs_guarantee guarantee, const lock_evs_group* groups,
                       size_t groups_len, const void* message, size_t message_len) {
  return guarded(evs, [&](liblock::EvsInstance& instance) {
    return instance.multicast(guarantee_of(guarantee), groups_of(groups, groups_len),
                              bytes_of(message, message_len));
  });
}

int lock_evs_multicast_joined(lock_evs* evs, lock_evs_guarantee guarantee, const void* message,
                              size_t message_len) {
  return guarded(evs, [&](liblock::EvsInstance& instance) {
    return instance.multicast_joined(guarantee_of(guarantee), bytes_of(message, message_len));
  });
}

int lock_evs_flush(lock_evs* evs, int timeout_ms) {
  return guarded(evs, [&](liblock::EvsInstance& instance) {
    std::optional<base::Duration> timeout;
    if (timeout_ms >= 0) timeout = std::chrono::milliseconds(timeout_ms);
    return instance.flush(timeout);
  });
}

int lock_evs_self(lock_evs* evs, lock_evs_processor* self) {
  return guarded(evs, [&](liblock::EvsInstance& instance) {
    if (self == nullptr) return int{LOCK_ERROR_INVALID};
    const base::Processor processor = instance.self();
    *self = {base::value(processor.node), base::value(processor.incarnation)};
    return 0;
  });
}

int lock_evs_current(lock_evs* evs, lock_evs_configuration* configuration) {
  return guarded(evs, [&](liblock::EvsInstance& instance) {
    if (configuration == nullptr) return int{LOCK_ERROR_INVALID};
    *configuration = instance.configuration();
    return 0;
  });
}

size_t lock_evs_advice(lock_evs* evs, char* text, size_t size) {
  if (text == nullptr || size == 0) return 0;
  *text = '\0';
  if (evs != nullptr && evs->instance.forked()) return 0;
  try {
    return liblock::copy_text(evs == nullptr ? open_advice : evs->instance.advice(), text, size);
  } catch (const std::exception&) {
    return 0;
  }
}

}  // extern "C"

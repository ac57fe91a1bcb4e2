// The historical EVS API over liblock/evs.h. Handles are numbers that are never used twice, so that
// one that was finalized stays bad.
#include <corosync/evs.h>
#include <liblock/evs.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kGroupsPerCallMax = 50;
constexpr unsigned kPiecesMax = 1024;

using Key = std::array<unsigned char, 32>;
static_assert(sizeof(evs_group) == sizeof(Key) && sizeof(lock_evs_group) == sizeof(Key));

Key key_of(const evs_group& group) {
  Key key;
  std::memcpy(key.data(), group.key, key.size());
  return key;
}

lock_evs_group native(const Key& key) {
  lock_evs_group group{};
  std::memcpy(group.key, key.data(), key.size());
  return group;
}

cs_error_t error_of(int error) {
  switch (error) {
    case 0:
      return CS_OK;
    case LOCK_ERROR_TRY_AGAIN:
      return CS_ERR_TRY_AGAIN;
    case LOCK_ERROR_INVALID:
      return CS_ERR_INVALID_PARAM;
    case LOCK_ERROR_PERMISSION:
      return CS_ERR_ACCESS;
    case LOCK_ERROR_LIMIT:
      return CS_ERR_NO_RESOURCES;
    case LOCK_ERROR_VERSION:
      return CS_ERR_VERSION;
    case LOCK_ERROR_SYSTEM:
      return CS_ERR_NO_MEMORY;
    default:
      return CS_ERR_LIBRARY;
  }
}

struct Instance {
  Instance() : stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Instance() {
    lock_evs_close(evs);
    if (stop >= 0) close(stop);
  }
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  hdb_handle_t handle = 0;
  lock_evs* evs = nullptr;
  evs_callbacks_t callbacks{};
  int stop;  // Readable once finalized.
  std::atomic<bool> finalized = false;
  std::atomic<bool> dispatching = false;
  unsigned seen = 0;  // Events, by the thread that dispatches.

  std::mutex mutex;  // Guards all below.
  void* context = nullptr;
  std::map<Key, unsigned> joined;     // How often.
  std::vector<unsigned int> members;  // As last told.
};

using InstancePtr = std::shared_ptr<Instance>;

class Handles {
 public:
  hdb_handle_t add(const InstancePtr& instance) {
    const std::lock_guard guard(mutex_);
    instance->handle = ++last_;
    all_[last_] = instance;
    return last_;
  }
  InstancePtr find(evs_handle_t handle) {
    const std::lock_guard guard(mutex_);
    const auto found = all_.find(handle);
    return found == all_.end() ? nullptr : found->second;
  }
  InstancePtr remove(evs_handle_t handle) {
    const std::lock_guard guard(mutex_);
    const auto found = all_.find(handle);
    if (found == all_.end()) return nullptr;
    InstancePtr instance = std::move(found->second);
    all_.erase(found);
    return instance;
  }

 private:
  std::mutex mutex_;
  hdb_handle_t last_ = 0;
  std::map<evs_handle_t, InstancePtr> all_;
};

// The API names instances by numbers, so somebody has to know them all. Never destroyed: threads
// may still run when the process ends.
Handles& handles() {
  static Handles& all = *new Handles;
  return all;
}

template <typename Call>
cs_error_t with(evs_handle_t handle, Call call) {
  try {
    const InstancePtr instance = handles().find(handle);
    return instance ? call(*instance) : CS_ERR_BAD_HANDLE;
  } catch (const std::exception&) {
    return CS_ERR_NO_MEMORY;
  }
}

std::vector<unsigned int> nodes_of(const lock_evs_processor* from, std::size_t count) {
  std::vector<unsigned int> nodes;
  for (std::size_t i = 0; i < count; ++i) nodes.push_back(from[i].node);
  return nodes;
}

void on_delivery(lock_evs*, const lock_evs_delivery* what, void* arg) {
  auto& self = *static_cast<Instance*>(arg);
  ++self.seen;
  if (self.finalized || self.callbacks.evs_deliver_fn == nullptr) return;
  self.callbacks.evs_deliver_fn(self.handle, what->sender.node, what->message, what->message_len);
}

void on_configuration(lock_evs*, const lock_evs_configuration* what, void* arg) {
  auto& self = *static_cast<Instance*>(arg);
  ++self.seen;
  const auto members = nodes_of(what->members, what->members_len);
  {
    const std::lock_guard guard(self.mutex);
    self.members = members;
  }
  if (self.finalized || self.callbacks.evs_confchg_fn == nullptr) return;
  const auto left = nodes_of(what->left, what->left_len);
  const auto joined = nodes_of(what->joined, what->joined_len);
  const evs_ring_id ring{what->ring.representative, what->ring.sequence};
  self.callbacks.evs_confchg_fn(self.handle, members.data(), members.size(), left.data(),
                                left.size(), joined.data(), joined.size(), &ring);
}

// Until there is something to dispatch, or the handle is finalized.
void wait_for(Instance& self) {
  pollfd ready[2] = {{lock_evs_fd(self.evs), POLLIN, 0}, {self.stop, POLLIN, 0}};
  poll(ready, 2, -1);
}

cs_error_t dispatch(Instance& self, cs_dispatch_flags_t flags) {
  while (!self.finalized) {
    self.seen = 0;
    const int count = lock_evs_dispatch(self.evs, flags == CS_DISPATCH_ALL ? 0 : 1);
    if (self.finalized) break;
    if (count < 0) return CS_ERR_LIBRARY;
    if (flags == CS_DISPATCH_ALL) return CS_OK;
    if (self.seen > 0 && flags != CS_DISPATCH_BLOCKING) return CS_OK;
    // An event that is none here, that there is room again, is passed over.
    if (count > 0) continue;
    if (flags == CS_DISPATCH_ONE_NONBLOCKING) return CS_ERR_TRY_AGAIN;
    wait_for(self);
  }
  return CS_OK;
}

// The pieces in one; false if they make no message.
bool gather(const iovec* pieces, unsigned count, std::string& message) {
  if (count > kPiecesMax || (pieces == nullptr && count > 0)) return false;
  for (unsigned i = 0; i < count; ++i) {
    if (pieces[i].iov_base == nullptr && pieces[i].iov_len > 0) return false;
    if (pieces[i].iov_len > LOCK_EVS_MESSAGE_BYTES_MAX - message.size()) return false;
    message.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  return true;
}

bool is_guarantee(evs_guarantee_t guarantee) {
  return static_cast<unsigned>(guarantee) <= EVS_TYPE_SAFE;
}

}  // namespace

extern "C" {

cs_error_t evs_initialize(evs_handle_t* handle, evs_callbacks_t* callbacks) {
  if (handle == nullptr) return CS_ERR_INVALID_PARAM;
  try {
    const auto instance = std::make_shared<Instance>();
    if (instance->stop < 0) return CS_ERR_NO_RESOURCES;
    if (callbacks != nullptr) instance->callbacks = *callbacks;
    lock_evs_options options{};
    options.size = sizeof options;
    options.deliver = &on_delivery;
    options.configuration = &on_configuration;
    options.arg = instance.get();
    const int error = lock_evs_open(&options, &instance->evs);
    if (error == LOCK_ERROR_NO_DAEMON || error == LOCK_ERROR_DAEMON_GONE) return CS_ERR_TRY_AGAIN;
    if (error != 0) return error_of(error);
    lock_evs_configuration first{};
    lock_evs_current(instance->evs, &first);
    instance->members = nodes_of(first.members, first.members_len);
    *handle = handles().add(instance);
    return CS_OK;
  } catch (const std::exception&) {
    return CS_ERR_NO_MEMORY;
  }
}

cs_error_t evs_finalize(evs_handle_t handle) {
  const InstancePtr instance = handles().remove(handle);
  if (!instance) return CS_ERR_BAD_HANDLE;
  instance->finalized = true;
  const std::uint64_t one = 1;
  (void)!write(instance->stop, &one, sizeof one);
  return CS_OK;
}

cs_error_t evs_fd_get(evs_handle_t handle, int* fd) {
  return with(handle, [&](Instance& self) {
    if (fd == nullptr) return CS_ERR_INVALID_PARAM;
    *fd = lock_evs_fd(self.evs);
    return *fd < 0 ? CS_ERR_LIBRARY : CS_OK;
  });
}

cs_error_t evs_context_get(evs_handle_t handle, void** context) {
  return with(handle, [&](Instance& self) {
    if (context == nullptr) return CS_ERR_INVALID_PARAM;
    const std::lock_guard guard(self.mutex);
    *context = self.context;
    return CS_OK;
  });
}

cs_error_t evs_context_set(evs_handle_t handle, void* context) {
  return with(handle, [&](Instance& self) {
    const std::lock_guard guard(self.mutex);
    self.context = context;
    return CS_OK;
  });
}

cs_error_t evs_dispatch(evs_handle_t handle, cs_dispatch_flags_t dispatch_types) {
  return with(handle, [&](Instance& self) {
    if (dispatch_types < CS_DISPATCH_ONE || dispatch_types > CS_DISPATCH_ONE_NONBLOCKING) {
      return CS_ERR_INVALID_PARAM;
    }
    // By another thread, or by the callback's own.
    if (self.dispatching.exchange(true)) return CS_ERR_TRY_AGAIN;
    struct Done {
      std::atomic<bool>& dispatching;
      ~Done() { dispatching = false; }
    } done{self.dispatching};
    return dispatch(self, dispatch_types);
  });
}

cs_error_t evs_join(evs_handle_t handle, const evs_group* groups, size_t group_cnt) {
  return with(handle, [&](Instance& self) {
    if (group_cnt > kGroupsPerCallMax) return CS_ERR_TOO_MANY_GROUPS;
    if (groups == nullptr && group_cnt > 0) return CS_ERR_INVALID_PARAM;
    if (group_cnt == 0) return CS_OK;
    const std::lock_guard guard(self.mutex);
    std::map<Key, unsigned> joined = self.joined;
    std::vector<lock_evs_group> wanted;
    for (size_t i = 0; i < group_cnt; ++i) {
      const Key key = key_of(groups[i]);
      ++joined[key];
      wanted.push_back(native(key));
    }
    const int error = lock_evs_join(self.evs, wanted.data(), wanted.size());
    if (error == LOCK_ERROR_LIMIT) return CS_ERR_TOO_MANY_GROUPS;
    if (error == 0) self.joined = std::move(joined);
    return error_of(error);
  });
}

cs_error_t evs_leave(evs_handle_t handle, const evs_group* groups, size_t group_cnt) {
  return with(handle, [&](Instance& self) {
    if (groups == nullptr && group_cnt > 0) return CS_ERR_INVALID_PARAM;
    const std::lock_guard guard(self.mutex);
    std::vector<lock_evs_group> left;
    bool known = true;
    for (size_t i = 0; i < group_cnt && known; ++i) {
      const auto found = self.joined.find(key_of(groups[i]));
      known = found != self.joined.end();
      if (!known || --found->second > 0) continue;
      left.push_back(native(found->first));
      self.joined.erase(found);
    }
    const int error = left.empty() ? 0 : lock_evs_leave(self.evs, left.data(), left.size());
    if (error != 0) return error_of(error);
    return known ? CS_OK : CS_ERR_NOT_EXIST;
  });
}

cs_error_t evs_mcast_joined(evs_handle_t handle, evs_guarantee_t guarantee, const iovec* pieces,
                            unsigned int iov_len) {
  return with(handle, [&](Instance& self) {
    std::string message;
    if (!is_guarantee(guarantee) || !gather(pieces, iov_len, message)) return CS_ERR_INVALID_PARAM;
    const int error = lock_evs_multicast_joined(
        self.evs, static_cast<lock_evs_guarantee>(guarantee), message.data(), message.size());
    return error == LOCK_ERROR_NOT_JOINED ? CS_OK : error_of(error);
  });
}

cs_error_t evs_mcast_groups(evs_handle_t handle, evs_guarantee_t guarantee, const evs_group* groups,
                            size_t group_cnt, const iovec* pieces, unsigned int iov_len) {
  return with(handle, [&](Instance& self) {
    if (group_cnt > LOCK_EVS_GROUPS_MAX) return CS_ERR_TOO_MANY_GROUPS;
    if (groups == nullptr && group_cnt > 0) return CS_ERR_INVALID_PARAM;
    std::string message;
    if (!is_guarantee(guarantee) || !gather(pieces, iov_len, message)) return CS_ERR_INVALID_PARAM;
    if (group_cnt == 0) return CS_OK;
    std::vector<lock_evs_group> to;
    for (size_t i = 0; i < group_cnt; ++i) to.push_back(native(key_of(groups[i])));
    return error_of(lock_evs_multicast(self.evs, static_cast<lock_evs_guarantee>(guarantee),
                                       to.data(), to.size(), message.data(), message.size()));
  });
}

cs_error_t evs_membership_get(evs_handle_t handle, unsigned int* local_nodeid,
                              unsigned int* member_list, size_t* member_list_entries) {
  return with(handle, [&](Instance& self) {
    if (local_nodeid != nullptr) {
      lock_evs_processor own{};
      if (const int error = lock_evs_self(self.evs, &own)) return error_of(error);
      *local_nodeid = own.node;
    }
    if (member_list_entries == nullptr) return CS_OK;
    const std::lock_guard guard(self.mutex);
    const size_t count = std::min(*member_list_entries, self.members.size());
    if (member_list != nullptr) std::copy_n(self.members.begin(), count, member_list);
    *member_list_entries = count;
    return CS_OK;
  });
}

const char* cs_strerror(cs_error_t err) {
  switch (err) {
    case CS_OK:
      return "success";
    case CS_ERR_LIBRARY:
      return "the connection to the daemon has ended";
    case CS_ERR_VERSION:
      return "the daemon speaks another version";
    case CS_ERR_TIMEOUT:
      return "the time is over";
    case CS_ERR_TRY_AGAIN:
      return "not at the moment: try again";
    case CS_ERR_INVALID_PARAM:
      return "an argument is out of its range";
    case CS_ERR_NO_MEMORY:
      return "out of memory";
    case CS_ERR_BAD_HANDLE:
      return "no such handle (any more)";
    case CS_ERR_BUSY:
      return "busy";
    case CS_ERR_ACCESS:
      return "permission denied";
    case CS_ERR_NOT_EXIST:
      return "no such thing";
    case CS_ERR_EXIST:
      return "it is there already";
    case CS_ERR_NO_RESOURCES:
      return "a limit is reached, of the daemon or of the process";
    case CS_ERR_NOT_SUPPORTED:
      return "not supported";
    case CS_ERR_TOO_BIG:
      return "too big";
    case CS_ERR_TOO_MANY_GROUPS:
      return "too many groups";
    case CS_ERR_SECURITY:
      return "refused for security";
    default:
      return "an error without a name here";
  }
}

}  // extern "C"

// The calls of libcman over its handles.
#include <cerrno>
#include <exception>
#include <memory>

#include "liblock/compat/cman_handle.h"
#include "liblock/compat/libcman.h"

namespace {

using compat::CmanHandle;

cman_handle_t open() {
  try {
    return CmanHandle::open().release();
  } catch (const std::exception&) {
    errno = ENOMEM;
    return nullptr;
  }
}

template <typename Call>
int with(cman_handle_t handle, const char* name, Call call) {
  int error = EINVAL;
  if (handle != nullptr && name != nullptr) {
    try {
      error = call(*static_cast<CmanHandle*>(handle));
    } catch (const std::exception&) {
      error = ENOMEM;
    }
  }
  if (error == 0) return 0;
  errno = error;
  return -1;
}

}  // namespace

extern "C" {

cman_handle_t cman_init(void*) {
  return open();
}

cman_handle_t cman_admin_init(void*) {
  return open();
}

int cman_finish(cman_handle_t handle) {
  return with(handle, "", [](CmanHandle& self) {
    delete &self;
    return 0;
  });
}

int cman_barrier_register(cman_handle_t handle, const char* name, int flags, int nodes) {
  return with(handle, name, [&](CmanHandle& self) { return self.enter(name, flags, nodes); });
}

int cman_barrier_change(cman_handle_t handle, const char* name, int attribute, int arg) {
  return with(handle, name, [&](CmanHandle& self) { return self.change(name, attribute, arg); });
}

int cman_barrier_wait(cman_handle_t handle, const char* name) {
  return with(handle, name, [&](CmanHandle& self) { return self.wait(name); });
}

int cman_barrier_delete(cman_handle_t handle, const char* name) {
  return with(handle, name, [&](CmanHandle& self) { return self.remove(name); });
}

}  // extern "C"

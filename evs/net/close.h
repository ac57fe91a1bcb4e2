// The end of a handle of libuv that was made with new: the loop keeps it until it has been closed,
// which may be after its user is gone.
#pragma once

#include <uv.h>

namespace evs::net {

// Nothing is called back for the handle any more; its data is free to use from now on.
template <typename Handle>
void close_and_delete(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

}  // namespace evs::net

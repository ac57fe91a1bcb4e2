// Result carries a value or the reason why there is none. It is std::expected of C++23, taken from
// libexpected-dev until both compilers have the standard one.
#pragma once

#include <tl/expected.hpp>

namespace base {

template <typename T, typename E>
using Result = tl::expected<T, E>;

template <typename E>
tl::unexpected<E> error(E e) {
  return tl::unexpected<E>(static_cast<E&&>(e));
}

}  // namespace base

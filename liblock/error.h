// Failures of daemon and socket as the errors of liblock/include/liblock/lock.h.
#pragma once

#include "liblock/protocol/messages.h"

namespace liblock {

int error_of_refusal(protocol::Refusal refusal);

// Of an errno that connect() left.
int error_of_connect(int error);

}  // namespace liblock

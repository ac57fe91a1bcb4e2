// `lockd init`: makes the state folder of a node, with the record of one that has promised nothing.
// A record that is there is never touched.
#pragma once

#include <string>

#include "base/result.h"
#include "lockd/record.h"

namespace lockd {

// What is created, for the words to the user, or why it was not. A voter must be new to its
// cluster: a member that lost its record, and with it what it promised, is made an amnesiac.
base::Result<std::string, std::string> initialize(const std::string& state_dir,
                                                  const ClusterId& cluster, base::NodeId self,
                                                  RecordRole role);

}  // namespace lockd

// The small tree of files by which programs that know the kernel's lock manager see which
// lockspaces this node is in, and who else: cluster_name and spaces/LOCKSPACE/nodes/NODE, as under
// /sys/kernel/config/dlm/cluster there. It is written when something in it has changed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "lockd/lockspace_table.h"

namespace lockd {

class DlmTree {
 public:
  // In the folder `root`, which is made if it is not there, and belongs to this daemon alone.
  DlmTree(std::string root, base::NodeId self);

  // A node that has just started is in no lockspace, whatever is found there. The error says what
  // could not be done.
  base::Result<void, std::string> begin(const std::string& cluster_name);

  // Everything is as in the table when this returns. Members come and go one at a time, a lockspace
  // with all its members at once. Those whose names cannot be a file's are left out. What could not
  // be done is tried again when the table changes next.
  base::Result<void, std::string> publish(const LockspaceTable& table);

  // Nobody serves locks here any more: the files are removed.
  void end();

 private:
  using Spaces = std::map<std::string, std::set<base::NodeId>>;

  void write(const Spaces& wanted);
  void add(const std::string& name, const std::set<base::NodeId>& nodes);
  void remove(const std::string& name);

  const std::string root_;
  const base::NodeId self_;
  std::optional<std::uint64_t> digest_;  // Of the table that was published last.
  Spaces published_;
};

}  // namespace lockd

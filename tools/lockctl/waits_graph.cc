#include "tools/lockctl/waits_graph.h"

#include <map>
#include <vector>

#include "tools/lockctl/blocking.h"
#include "tools/lockctl/name.h"

namespace tools::lockctl {
namespace {

// As graphviz reads it between quotes.
std::string quoted(const std::string& bytes) {
  std::string text = "\"";
  for (const char c : printable(bytes)) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string place(const std::string& lockspace, const std::string& name) {
  return lockspace == "default" ? name : lockspace + ":" + name;
}

class Graph {
 public:
  void add(const Showing& showing) {
    for (const Blocking& blocking : blockings_of(showing)) {
      const ShownLock& waiter = showing.locks[blocking.waiter];
      for (const std::size_t at : blocking.blockers) {
        const ShownLock& blocker = showing.locks[at];
        // Not held in the way, but in front: what it waits for itself.
        const bool holds = blocking.rule == BlockRule::held_mode;
        arrow(box(waiter.session, waiter.node, waiter.pid, waiter.command),
              box(blocker.session, blocker.node, blocker.pid, blocker.command),
              place(showing.lockspace, showing.name) + ": " + waiter.wants +
                  (holds ? " against " + blocker.mode : " behind " + blocker.wants),
              "");
      }
    }
  }

  void add(const Deadlock& deadlock) {
    for (const DeadlockStep& step : deadlock.steps) {
      arrow(box(step.waits.session, step.waits.node, step.waits.pid, step.waits.command),
            box(step.blocker.session, step.blocker.node, step.blocker.pid, step.blocker.command),
            place(step.lockspace, step.name) + ": deadlock, " + step.wants + " against " + step.has,
            ", color=red, fontcolor=red, style=dashed");
    }
  }

  std::string text(std::size_t left_out) const {
    std::string out = "digraph waits {\n  rankdir=LR;\n  node [shape=box];\n";
    if (left_out > 0) {
      out += "  label=" + quoted(std::to_string(left_out) + " locks more are waited for") + ";\n";
    }
    for (const auto& [session, label] : boxes_) {
      out += "  s" + std::to_string(session) + " [label=" + label + "];\n";
    }
    for (const std::string& arrow : arrows_) out += arrow;
    return out + "}\n";
  }

 private:
  std::uint64_t box(std::uint64_t session, std::uint32_t node, std::uint32_t pid,
                    const std::string& command) {
    std::string label = session == 0 ? "the leases from before" : "node " + std::to_string(node);
    if (pid != 0) label += " pid " + std::to_string(pid);
    if (!command.empty()) label += ": " + command;
    boxes_.emplace(session, quoted(label));
    return session;
  }

  void arrow(std::uint64_t from, std::uint64_t to, const std::string& label,
             const std::string& style) {
    arrows_.push_back("  s" + std::to_string(from) + " -> s" + std::to_string(to) +
                      " [label=" + quoted(label) + style + "];\n");
  }

  std::map<std::uint64_t, std::string> boxes_;
  std::vector<std::string> arrows_;
};

}  // namespace

std::string dot_of(const Waits& waits, const Deadlocks& deadlocks) {
  Graph graph;
  for (const Showing& showing : waits.resources) graph.add(showing);
  for (const Deadlock& deadlock : deadlocks.deadlocks) graph.add(deadlock);
  return graph.text(waits.left_out);
}

}  // namespace tools::lockctl

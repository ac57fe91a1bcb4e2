// The links between all nodes, each direction by itself, and the commands that change them: a line
// in, an answer of lines out. Pure; the language is tools/relay/README.md's.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tools/relay/link.h"

namespace tools::relay {

using Node = std::uint32_t;
using Direction = std::pair<Node, Node>;  // From, to.

class Links {
 public:
  static constexpr std::size_t kNodesMax = 32;

  Links(const std::vector<Node>& nodes, std::uint64_t seed);

  Link& link(const Direction& direction) { return links_.at(direction); }
  std::map<Direction, Link>& all() { return links_; }

  // The lines of the answer, the last of which is "ok"; or what is wrong with the command, on one
  // line, and nothing was changed.
  base::Result<std::string, std::string> execute(std::string_view command);

 private:
  using Words = std::vector<std::string>;
  using Answer = base::Result<std::string, std::string>;

  base::Result<std::set<Node>, std::string> nodes_of(const std::string& word) const;
  Answer set(const Words& words);
  Answer cut(const Words& words, bool cut);
  Answer partition(const Words& words);
  Answer counts() const;
  Answer settings() const;
  void seed(std::uint64_t seed);
  void cut_each(const std::set<Node>& from, const std::set<Node>& to, bool cut);

  std::set<Node> nodes_;
  std::map<Direction, Link> links_;
};

}  // namespace tools::relay

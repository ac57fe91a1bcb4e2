#include "lockd/dlm_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace lockd {
namespace {

namespace fs = std::filesystem;

// What is made or taken apart is not seen under its own name meanwhile.
constexpr const char* kHidden = "/.hidden";

bool is_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '/';
  });
}

template <typename Work>
base::Result<void, std::string> attempt(Work work) {
  try {
    work();
    return {};
  } catch (const fs::filesystem_error& error) {
    return base::error(std::string(error.what()));
  } catch (const std::ios_base::failure& error) {
    return base::error(std::string(error.what()));
  }
}

}  // namespace

DlmTree::DlmTree(std::string root, base::NodeId self) : root_(std::move(root)), self_(self) {}

base::Result<void, std::string> DlmTree::begin(const std::string& cluster_name) {
  return attempt([&] {
    fs::create_directories(root_);
    fs::remove_all(root_ + kHidden);
    fs::remove_all(root_ + "/spaces");
    fs::create_directory(root_ + "/spaces");
    std::ofstream file;
    file.exceptions(std::ios::failbit | std::ios::badbit);
    file.open(root_ + kHidden);
    file << cluster_name << '\n';
    file.close();
    fs::rename(root_ + kHidden, root_ + "/cluster_name");
  });
}

base::Result<void, std::string> DlmTree::publish(const LockspaceTable& table) {
  if (digest_ == table.digest()) return {};
  Spaces wanted;
  for (const auto& [name, lockspace] : table.all()) {
    if (!lockspace.member(self_) || !is_file_name(name)) continue;
    for (const LockspaceMember& member : lockspace.members) {
      wanted[name].insert(member.processor.node);
    }
  }
  digest_ = table.digest();
  return attempt([&] { write(wanted); });
}

// What was done stays noted, so that a failure is gone on from.
void DlmTree::write(const Spaces& wanted) {
  const Spaces before = published_;
  for (const auto& [name, nodes] : before) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      remove(name);
      continue;
    }
    const std::string folder = root_ + "/spaces/" + name + "/nodes/";
    for (const base::NodeId node : found->second) {
      if (nodes.count(node) == 0) fs::create_directory(folder + base::to_string(node));
      published_[name].insert(node);
    }
    for (const base::NodeId node : nodes) {
      if (found->second.count(node) != 0) continue;
      fs::remove(folder + base::to_string(node));
      published_[name].erase(node);
    }
  }
  for (const auto& [name, nodes] : wanted) {
    if (before.count(name) == 0) add(name, nodes);
  }
}

void DlmTree::add(const std::string& name, const std::set<base::NodeId>& nodes) {
  const std::string hidden = root_ + kHidden;
  fs::remove_all(hidden);
  fs::create_directories(hidden + "/nodes");
  for (const base::NodeId node : nodes) {
    fs::create_directory(hidden + "/nodes/" + base::to_string(node));
  }
  fs::rename(hidden, root_ + "/spaces/" + name);
  published_[name] = nodes;
}

void DlmTree::remove(const std::string& name) {
  fs::remove_all(root_ + kHidden);
  fs::rename(root_ + "/spaces/" + name, root_ + kHidden);
  published_.erase(name);
  fs::remove_all(root_ + kHidden);
}

void DlmTree::end() {
  std::error_code ignored;
  fs::remove(root_ + "/cluster_name", ignored);
  fs::remove_all(root_ + "/spaces", ignored);
}

}  // namespace lockd

#include "lockd/dlm_tree.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/unit/lockd/temporary_folder.h"

namespace lockd {
namespace {

namespace fs = std::filesystem;

base::Processor node(std::uint32_t id) {
  return {base::NodeId{id}, base::Incarnation{1}};
}

struct Fixture {
  std::set<std::string> in(const std::string& name) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(root + "/" + name)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  void publish(DlmTree& tree) const { REQUIRE(tree.publish(table)); }

  TemporaryFolder folder;
  std::string root = folder.path() + "/dlm";
  LockspaceTable table{{}};
};

using Names = std::set<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the tree shows the lockspaces of this node, and who is in them") {
  DlmTree tree(root, base::NodeId{1});
  REQUIRE(tree.begin("alpha"));
  std::string name;
  std::getline(std::ifstream(root + "/cluster_name") >> std::ws, name);
  CHECK(name == "alpha");
  CHECK(in("") == Names{"cluster_name", "spaces"});

  table.join("mine", node(1), 0, 0, 0600);
  table.join("mine", node(3), 0, 0, 0600);
  table.join("others", node(2), 0, 0, 0600);
  publish(tree);
  CHECK(in("spaces") == Names{"mine"});
  CHECK(in("spaces/mine") == Names{"nodes"});
  CHECK(in("spaces/mine/nodes") == Names{"1", "3"});

  table.join("mine", node(2), 0, 0, 0600);
  table.depart(node(3));
  table.join("others", node(1), 0, 0, 0600);
  publish(tree);
  CHECK(in("spaces/mine/nodes") == Names{"1", "2"});
  CHECK(in("spaces/others/nodes") == Names{"1", "2"});

  table.leave("mine", base::NodeId{1});
  publish(tree);
  CHECK(in("spaces") == Names{"others"});
  CHECK(in("") == Names{"cluster_name", "spaces"});
  tree.end();
  CHECK(in("") == Names{});
}

TEST_CASE_FIXTURE(Fixture, "what an earlier life has left is not shown") {
  table.join("mine", node(1), 0, 0, 0600);
  {
    DlmTree tree(root, base::NodeId{1});
    REQUIRE(tree.begin("alpha"));
    publish(tree);
  }
  DlmTree tree(root, base::NodeId{1});
  REQUIRE(tree.begin("beta"));
  CHECK(in("spaces") == Names{});
  publish(tree);
  CHECK(in("spaces") == Names{"mine"});
}

TEST_CASE_FIXTURE(Fixture, "a name that leads elsewhere is no file") {
  for (const char* name : {"..", ".hidden", "../../up", "a/b", "a b", "a\nb"}) {
    table.join(name, node(1), 0, 0, 0600);
  }
  table.join("good-one_2", node(1), 0, 0, 0600);
  DlmTree tree(root, base::NodeId{1});
  REQUIRE(tree.begin("alpha"));
  publish(tree);
  CHECK(in("spaces") == Names{"good-one_2"});
  CHECK(in("") == Names{"cluster_name", "spaces"});
}

TEST_CASE_FIXTURE(Fixture, "what cannot be written is told, and made good with the next change") {
  DlmTree tree(root, base::NodeId{1});
  REQUIRE(tree.begin("alpha"));
  fs::remove_all(root + "/spaces");
  table.join("mine", node(1), 0, 0, 0600);
  CHECK(!tree.publish(table));
  fs::create_directory(root + "/spaces");
  table.join("mine", node(2), 0, 0, 0600);
  publish(tree);
  CHECK(in("spaces/mine/nodes") == Names{"1", "2"});
}

}  // namespace lockd

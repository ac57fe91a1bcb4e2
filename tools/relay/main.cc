// relay: stands between the nodes of a cluster and does to their datagrams, or connections, what a
// bad network would. See tools/relay/README.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "tools/relay/server.h"

namespace {

constexpr int kRefused = 1;
constexpr int kUsage = 64;

int fail(const std::string& why) {
  std::fprintf(stderr, "relay: %s\n", why.c_str());
  return kRefused;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Stands between the nodes of a cluster: loss, delay, duplicates, cuts."};
  app.require_subcommand(1);

  tools::relay::ServerOptions options;
  std::vector<std::string> nodes;
  auto* run = app.add_subcommand("run", "Relay until a signal; prints its links, then 'ready'");
  run->add_option("--node", nodes, "ID=HOST:PORT, where a node listens; one for each")->required();
  run->add_option("--control", options.control, "Path of the control socket")->required();
  run->add_option("--listen", options.listen, "The relay's own address (127.0.0.1)");
  run->add_option("--base-port", options.base_port, "First of its ports, one a link; else any");
  run->add_flag("--tcp", options.tcp, "Carry TCP connections instead of datagrams");
  run->add_option("--seed", options.seed, "Of all chance (1)");

  std::string path;
  std::vector<std::string> words;
  auto* ctl = app.add_subcommand("ctl", "Send one command to a relay");
  ctl->add_option("CONTROL", path, "Path of its control socket")->required();
  ctl->add_option("COMMAND", words, "Such as: set * * loss=30")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }

  if (ctl->parsed()) {
    std::string command;
    for (const std::string& word : words) command += (command.empty() ? "" : " ") + word;
    const auto answer = tools::relay::ask(path, command);
    if (!answer) return fail(answer.error());
    std::fputs(answer->c_str(), stdout);
    return 0;
  }

  for (const std::string& node : nodes) {
    const std::size_t equals = node.find('=');
    const std::string id = node.substr(0, equals);
    const bool plain = equals != std::string::npos && !id.empty() && id.size() < 10 &&
                       id.find_first_not_of("0123456789") == std::string::npos;
    if (!plain) return fail("--node: '" + node + "' is not ID=HOST:PORT");
    const auto number = static_cast<tools::relay::Node>(std::stoul(id));
    if (!options.nodes.emplace(number, node.substr(equals + 1)).second) {
      return fail("--node: node " + id + " is given twice");
    }
  }
  const auto server = tools::relay::Server::create(options);
  if (!server) return fail(server.error());
  std::printf("%sready\n", (*server)->links().c_str());
  std::fflush(stdout);
  (*server)->run();
  return 0;
}

// Several processes on several nodes use one file as their disk; when one dies in the middle of a
// transaction, the others recover its journal. README.md tells how.
//   journal_recovery format DISK             Once: makes the disk, its fence and its trace.
//   journal_recovery serve DISK SOCKET       Plays the SAN in front of it.
//   journal_recovery node SOCKET [OPTION..]  Uses it, on the node whose lockd is at LOCKD_SOCKET,
//   until
//                                            SIGTERM. Ends with 3 if it was shut out.
//     --pair A,B           transfers are between these two blocks; else between any
//     --stop-at POINT[:N]  stands still there (the N-th time), before it writes that: intent,
//     commit,
//                          block, second, done; recovering, replay, recovered; mount, leave
//   journal_recovery check DISK              Judges it; 1 if something is wrong.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "check.h"
#include "disk_server.h"
#include "node.h"
#include "story.h"

using namespace journal_recovery;

namespace {

constexpr int kUsage = 64;
constexpr int kShutOut = 3;

int check_disk(const std::string& path) {
  std::ifstream disk(path, std::ios::binary);
  std::ifstream lines(path + ".trace");
  if (!disk || !lines) throw std::runtime_error(path + ": can not be read");
  const std::string image{std::istreambuf_iterator<char>(disk), {}};
  std::vector<Traced> trace;
  for (std::string line; std::getline(lines, line);) {
    const auto traced = parse_traced(line);
    if (!traced) throw std::runtime_error(path + ".trace is damaged: " + line);
    trace.push_back(*traced);
  }
  const Verdict verdict = check(image, trace);
  for (const std::string& complaint : verdict.complaints) tell("WRONG " + complaint);
  std::printf(
      "RESULT transactions=%u recoveries=%u replayed=%u dropped=%u interrupted=%u refused=%u "
      "wrong=%zu\n",
      verdict.transactions, verdict.recoveries, verdict.replayed, verdict.dropped,
      verdict.interrupted, verdict.refused, verdict.complaints.size());
  return verdict.complaints.empty() ? 0 : 1;
}

// False: no such option.
bool parse(const std::vector<std::string>& arguments, NodeOptions& options) {
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string& value = arguments[i + 1];
    if (arguments[i] == "--stop-at") {
      options.stop = StopPoint(value);
    } else if (arguments[i] == "--pair" && value.find(',') != std::string::npos) {
      options.pair = {static_cast<unsigned>(std::stoul(value)),
                      static_cast<unsigned>(std::stoul(value.substr(value.find(',') + 1)))};
    } else {
      return false;
    }
  }
  return arguments.size() % 2 == 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string verb = arguments.empty() ? "" : arguments[0];
  if (verb == "format" && arguments.size() == 2) return format_disk(arguments[1]), 0;
  if (verb == "serve" && arguments.size() == 3) return serve_disk(arguments[1], arguments[2]), 0;
  if (verb == "check" && arguments.size() == 2) return check_disk(arguments[1]);
  NodeOptions options;
  if (verb == "node" && arguments.size() >= 2 &&
      parse({arguments.begin() + 2, arguments.end()}, options)) {
    run_node(arguments[1], options);
    return 0;
  }
  std::fputs(
      "journal_recovery format DISK | serve DISK SOCKET | check DISK |\n"
      "  node SOCKET [--pair A,B] [--stop-at POINT[:N]]\n",
      stderr);
  return kUsage;
} catch (const Lost& lost) {
  tell(std::string("LOST: ") + lost.what() + "; nothing more is written");
  return kShutOut;
} catch (const Refused& refused) {
  tell(std::string("REFUSED by the disk: ") + refused.what());
  return kShutOut;
} catch (const std::exception& error) {
  // A lock that was lost while the library waited for something.
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  if (system != nullptr && system->code() == ringlock::errc::lost) {
    tell(std::string("LOST: ") + error.what() + "; nothing more is written");
    return kShutOut;
  }
  std::fprintf(stderr, "journal_recovery: %s\n", error.what());
  return 1;
}

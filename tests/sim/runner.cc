#include "tests/sim/runner.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "tests/sim/world.h"

namespace sim {

namespace {

// A worker runs every `stride`-th seed and tells, a line each: "seed N" before a run, "violation N
// text", and at the end or in between what it added up since ("sum ...", "cover ...").
[[noreturn]] void work(int out, std::uint64_t first, std::uint64_t last, unsigned stride,
                       const RunnerOptions& options) {
  std::FILE* lines = fdopen(out, "w");
  for (std::uint64_t seed = first; seed <= last; seed += stride) {
    std::fprintf(lines, "seed %llu\n", static_cast<unsigned long long>(seed));
    std::fflush(lines);
    RunOptions run = RunOptions::from_seed(seed);
    if (options.workload) run.set_workload(*options.workload);
    run.check_invariants = !options.judged_only;
    const RunResult result = World(run, false).run();
    std::fprintf(lines, "sum %lld %llu\n", static_cast<long long>(result.simulated.count()),
                 static_cast<unsigned long long>(result.events));
    for (const auto& [name, times] : result.coverage.counts()) {
      std::fprintf(lines, "cover %s %llu\n", name.c_str(), static_cast<unsigned long long>(times));
    }
    const bool timed_out =
        !result.violations.empty() && result.violations.front().property == kRest;
    if (!result.violations.empty() && !(timed_out && options.judged_only)) {
      const Violation& first_seen = result.violations.front();
      std::fprintf(lines, "violation %llu %s: %s\n", static_cast<unsigned long long>(seed),
                   first_seen.property.c_str(), first_seen.explanation.c_str());
      break;
    }
  }
  std::fclose(lines);
  _exit(0);
}

struct Worker {
  pid_t pid = 0;
  int in = -1;
  std::string partial;
  std::uint64_t seed = 0;
  unsigned offset = 0;
  bool violated = false;
};

void start(Worker& worker, std::uint64_t first, std::uint64_t last, const RunnerOptions& options) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  std::fflush(nullptr);
  worker.pid = fork();
  if (worker.pid < 0) std::abort();
  if (worker.pid == 0) {
    close(ends[0]);
    if (options.judged_only && std::freopen("/dev/null", "w", stderr) == nullptr) std::abort();
    work(ends[1], first, last, options.jobs, options);
  }
  close(ends[1]);
  worker.in = ends[0];
  worker.partial.clear();
}

void found(Summary& summary, std::uint64_t seed, const std::string& what) {
  if (summary.failed && *summary.failed <= seed) return;
  summary.failed = seed;
  summary.what = what;
}

void take_line(const std::string& line, Worker& worker, Summary& summary) {
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  if (kind == "seed") {
    words >> worker.seed;
  } else if (kind == "sum") {
    std::int64_t simulated = 0;
    std::uint64_t events = 0;
    words >> simulated >> events;
    ++summary.seeds;
    summary.simulated += Duration(simulated);
    summary.events += events;
  } else if (kind == "cover") {
    std::string name;
    std::uint64_t times = 0;
    words >> name >> times;
    summary.coverage.add(name, times);
  } else if (kind == "violation") {
    std::uint64_t seed = 0;
    words >> seed;
    std::string what;
    std::getline(words >> std::ws, what);
    worker.violated = true;
    ++summary.violations;
    found(summary, seed, what);
  }
}

// False when the worker has nothing more to say.
bool read_from(Worker& worker, Summary& summary) {
  char buffer[65536];
  const ssize_t got = read(worker.in, buffer, sizeof buffer);
  if (got <= 0) return false;
  worker.partial.append(buffer, static_cast<std::size_t>(got));
  std::size_t begin = 0;
  for (std::size_t end; (end = worker.partial.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    take_line(worker.partial.substr(begin, end - begin), worker, summary);
  }
  worker.partial.erase(0, begin);
  return true;
}

}  // namespace

Summary run_seeds(SeedRange range, const RunnerOptions& options) {
  Summary summary;
  std::vector<Worker> workers(options.jobs);
  for (unsigned i = 0; i < options.jobs; ++i) {
    workers[i].offset = i;
    if (range.first + i <= range.last) start(workers[i], range.first + i, range.last, options);
  }
  for (;;) {
    std::vector<pollfd> polls;
    for (const Worker& worker : workers) polls.push_back({worker.in, POLLIN, 0});
    bool any = false;
    for (const Worker& worker : workers) any |= worker.in >= 0;
    if (!any) break;
    poll(polls.data(), polls.size(), -1);
    for (std::size_t i = 0; i < workers.size(); ++i) {
      Worker& worker = workers[i];
      if (worker.in < 0 || polls[i].revents == 0 || read_from(worker, summary)) continue;
      close(worker.in);
      worker.in = -1;
      int status = 0;
      waitpid(worker.pid, &status, 0);
      const bool crashed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
      if (crashed) {
        ++summary.crashes;
        if (!options.judged_only) {
          ++summary.violations;
          found(summary, worker.seed, "crash: the run ended its process");
        } else if (worker.seed + options.jobs <= range.last) {
          start(worker, worker.seed + options.jobs, range.last, options);
        }
      }
      if (summary.failed) {
        for (Worker& other : workers) {
          if (other.in >= 0 && other.seed > *summary.failed) {
            kill(other.pid, SIGKILL);
            waitpid(other.pid, nullptr, 0);
            close(other.in);
            other.in = -1;
          }
        }
      }
    }
  }
  return summary;
}

}  // namespace sim

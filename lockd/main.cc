// The program lockd: options, exit codes and signals. What a daemon does is lockd/service.h.
#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "evs/net/key_file.h"
#include "lockd/config.h"
#include "lockd/evs_trace.h"
#include "lockd/init.h"
#include "lockd/log.h"
#include "lockd/record_file.h"
#include "lockd/service.h"

namespace {

using lockd::Config;

struct Options {
  std::string config;
  std::string check;
  std::string print;
  std::string log_format;
  std::string evs_trace;
  bool init = false;
  bool replace = false;
};

int fail(int code, const std::string& text) {
  std::fprintf(stderr, "lockd: %s\n", text.c_str());
  return code;
}

// The configuration, or nothing after its errors were told.
std::optional<Config> load(const std::string& path) {
  auto config = lockd::load_config(path);
  if (!config) {
    // Each line names its place by itself.
    std::fprintf(stderr, "%s\n", config.error().c_str());
    return std::nullopt;
  }
  for (const std::string& warning : config->warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  return std::move(*config);
}

int check(const Options& options) {
  const auto config = load(options.check);
  if (!config) return EX_CONFIG;
  if (const auto files = lockd::check_files(*config); !files) {
    std::fprintf(stderr, "%s\n", files.error().c_str());
    return EX_CONFIG;
  }
  std::printf("%s: good; node %s of %zu\n", config->source.c_str(),
              base::to_string(config->self).c_str(), config->nodes.size());
  return EX_OK;
}

int print(const Options& options) {
  const auto config = load(options.print);
  if (!config) return EX_CONFIG;
  std::fputs(lockd::print_config(*config).c_str(), stdout);
  return EX_OK;
}

int initialize(const Options& options) {
  const auto config = load(options.config);
  if (!config) return EX_CONFIG;
  const auto made =
      lockd::initialize(config->state_dir, config->cluster, config->self,
                        options.replace ? lockd::RecordRole::amnesiac : lockd::RecordRole::voter);
  if (!made) return fail(EX_CANTCREAT, made.error());
  std::printf("%s\n", made->c_str());
  return EX_OK;
}

// Each client takes a descriptor, and the soft limit is often 1024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

struct Signals {
  uv_signal_t terminate{};
  uv_signal_t interrupt{};
  uv_signal_t hang_up{};

  Signals(uv_loop_t& loop, lockd::Service& service) {
    for (uv_signal_t* handle : {&terminate, &interrupt, &hang_up}) {
      uv_signal_init(&loop, handle);
      handle->data = &service;
    }
    const auto stop = [](uv_signal_t* handle, int) {
      static_cast<lockd::Service*>(handle->data)->stop();
    };
    uv_signal_start(&terminate, stop, SIGTERM);
    uv_signal_start(&interrupt, stop, SIGINT);
    uv_signal_start(
        &hang_up,
        [](uv_signal_t* handle, int) { static_cast<lockd::Service*>(handle->data)->reread_keys(); },
        SIGHUP);
  }

  void close() {
    uv_close(reinterpret_cast<uv_handle_t*>(&terminate), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&interrupt), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&hang_up), nullptr);
  }
};

int serve(const Config& config, const evs::net::Keyring& keys, lockd::RecordFile& record,
          lockd::Log& log, lockd::EvsTrace* trace) {
  uv_loop_t loop;
  if (uv_loop_init(&loop) != 0) return fail(EX_OSERR, "cannot create an event loop");
  int code = EX_OK;
  {
    auto service = lockd::Service::start(loop, config, keys, record, log, trace);
    if (!service) {
      log.error("not started", {{"cause", service.error()}});
      code = EX_UNAVAILABLE;
    } else {
      log.info("lockd started", {{"version", RINGLOCK_VERSION},
                                 {"node", base::value(config.self)},
                                 {"nodes", config.nodes.size()},
                                 {"socket", config.socket},
                                 {"pid", getpid()}});
      Signals signals(loop, **service);
      uv_run(&loop, UV_RUN_DEFAULT);
      signals.close();
      if ((*service)->failure()) code = EX_SOFTWARE;
      // Handles close in a turn of the loop, and signals must outlive that.
      service->reset();
      uv_run(&loop, UV_RUN_DEFAULT);
    }
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  if (code == EX_OK) log.info("lockd ended");
  return code;
}

int run(const Options& options) {
  const auto config = load(options.config);
  if (!config) return EX_CONFIG;
  const lockd::LogFormat format = options.log_format.empty()     ? config->log_format
                                  : options.log_format == "json" ? lockd::LogFormat::json
                                                                 : lockd::LogFormat::text;
  lockd::Log log(STDERR_FILENO, config->log_level, format);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  // A limit of the length of files makes writes fail, and failing is provided for.
  signal(SIGXFSZ, SIG_IGN);
  raise_descriptor_limit();

  auto keys = evs::net::read_key_file(config->key_file);
  if (!keys) {
    log.error("not started", {{"cause", keys.error()}});
    return EX_CONFIG;
  }
  auto record = lockd::RecordFile::open(config->state_dir, config->cluster, config->self);
  if (!record) {
    log.error("not started", {{"cause", record.error().text}});
    return record.error().trouble == lockd::RecordFile::Trouble::in_use ? EX_UNAVAILABLE
                                                                        : EX_CONFIG;
  }
  if (!record->record())
    log.warning("no valid record: this node has no vote", {{"advice", record->amnesia_advice()}});
  std::optional<lockd::EvsTrace> trace;
  if (!options.evs_trace.empty()) {
    auto opened = lockd::EvsTrace::open(options.evs_trace);
    if (!opened) {
      log.error("not started", {{"cause", opened.error()}});
      return EX_CANTCREAT;
    }
    trace.emplace(std::move(*opened));
  }
  return serve(*config, *keys, *record, log, trace ? &*trace : nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "The lock daemon of Ringlock: one per machine. It joins the others in a ring and serves "
      "local clients."};
  Options options;
  app.set_version_flag("--version", std::string("lockd ") + RINGLOCK_VERSION);
  auto* config =
      app.add_option("--config", options.config, "Run with this configuration")->type_name("FILE");
  auto* checked =
      app.add_option("--check-config", options.check,
                     "Say whether a daemon would start with this configuration, and end")
          ->type_name("FILE");
  auto* printed = app.add_option("--print-config", options.print,
                                 "Print every key with its value and source, and end")
                      ->type_name("FILE");
  app.add_option("--log-format", options.log_format, "Form of the log's lines: text or json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--evs-trace", options.evs_trace,
                 "Record what is given to the ring and what it delivers; costs time, and grows")
      ->type_name("FILE");
  checked->excludes(config)->excludes(printed);
  printed->excludes(config);
  auto* init = app.add_subcommand("init", "Make the state folder of a new node, and end");
  init->add_option("--config", options.config, "The node's configuration")
      ->type_name("FILE")
      ->required();
  init->add_flag("--replace", options.replace,
                 "The node was a member before and has lost its state: it gets no vote until the "
                 "others allow it");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  if (init->parsed()) return initialize(options);
  if (!options.check.empty()) return check(options);
  if (!options.print.empty()) return print(options);
  if (options.config.empty())
    return fail(EX_USAGE, "which configuration? Say --config FILE, or --help");
  return run(options);
}

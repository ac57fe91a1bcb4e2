#include "tools/lockctl/options.h"

#include <CLI/CLI.hpp>

#include "tools/lockctl/barrier_verb.h"
#include "tools/lockctl/name.h"
#include "tools/lockctl/option_checks.h"
#include "tools/lockctl/value.h"
#include "tools/lockctl/watch_json.h"

namespace tools::lockctl {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: the command's own; 75 the lock is busy; 79 the lock was lost and the command "
    "ended;\n"
    "69 no daemon or no quorum; 64 usage, 77 permission, 78 configuration, 70 internal;\n"
    "126 can not execute, 127 not found, 128+N the command died of signal N.";

constexpr const char* kKeysFooter =
    "A cluster gets a new key while it runs, in three steps. After each one every lockd is told to "
    "read\nits file again (SIGHUP):\n"
    "  1. lockctl keys FILE --add     on one node; copy the file to the others\n"
    "  2. lockctl keys FILE --use ID  on every node; then \"lockctl keys\" shows who uses it\n"
    "  3. lockctl keys FILE --remove OLD  on every node, when nobody uses it any more";

std::string checked_group(const std::string& text) {
  if (text.empty() || text.size() > 32 || !check_name(text)) {
    return "the name of a group has 1 to 32 readable bytes";
  }
  return {};
}

std::string checked_mode(const std::string& text) {
  return base::mode_of(text) ? std::string() : "a mode is one of NL CR CW PR PW EX";
}

std::string checked_value(const std::string& text) {
  const auto value = parse_value(text);
  return value ? std::string() : value.error();
}

constexpr const char* kHoldFooter =
    "A lock that was taken by \"lockctl lock\" is kept by a process of its own until \"lockctl "
    "unlock\", "
    "or until\nthe shell that called it ends (a subshell is part of its shell), or the lock is "
    "lost. "
    "Only that shell\ncan convert it and give it back, unless LOCKCTL_SESSION is set: then all "
    "programs "
    "of this user in whose\nenvironment it is the same. Standard output has the fencing token of "
    "the "
    "lock, and with --read-value the\nvalue on a second line; --json has everything. Before each "
    "effect "
    "that the lock is to protect ask\n\"lockctl held NAME\", and give the token to what it "
    "protects.\n"
    "  token=$(lockctl lock jobs --wait 10s) || exit\n"
    "  lockctl convert jobs --mode PR --value \"batch 7\"\n"
    "  lockctl unlock jobs\n"
    "Exit codes: 75 it is busy, or to wait would be a deadlock; 79 it is not held (any more); 69 "
    "no "
    "daemon or\nno quorum; 64 usage, 77 permission, 78 configuration, 70 internal. Scripts that "
    "wait for "
    "each other in a\nring are not told of the deadlock: use --wait.";

constexpr const char* kWatchFooter =
    "What this machine's daemon does to its table of locks, in the order in which all daemons do "
    "it, one\nJSON object a line, until it is interrupted. The first line is "
    "{\"event\":\"resync\"}: from there on all\nis told. It comes again after a new "
    "connection to the daemon, and when the daemon has loaded the table\nanew; "
    "{\"event\":\"lost\",\"count\":N} says that N events were left out, since they were not "
    "read in time. The types\nare granted, converted, waits, cancelled, denied, released, "
    "deadlock, session, lockspace, configuration\nand quorum. --lockspace, --name and --prefix "
    "narrow what is told of locks (--lockspace also of\nlockspaces); the other types are told "
    "all the same.\nWhoever wants to act under a lock asks for it: this is for people and "
    "monitoring.\n"
    "  lockctl watch --prefix jobs/ --type granted,released\n"
    "Exit codes: 69 no daemon (a daemon that was there is waited for), or it has its 64 watchers; "
    "64 usage,\n77 permission, 78 configuration, 70 internal.";

class Parser {
 public:
  Parser() {
    app_.name("lockctl");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(kExitCodes);
    app_.set_version_flag("--version", "");
    app_.add_option("--socket", options_.socket,
                    "lockd's socket; else LOCKD_SOCKET, else /run/lockd/lockd.sock")
        ->type_name("PATH");
    app_.add_flag("--json", options_.json, "Print JSON");
    add_run();
    add_hold();
    barrier_ = barrier_verb_.add_to(app_);
    add_lockspace(barrier_);
    add_queries();
    add_watch();
    add_evs();
    add_keygen();
    add_keys();
  }

  base::Result<Options, ParseEnd> parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
      finish();
      return options_;
    } catch (const CLI::CallForHelp&) {
      return base::error(ParseEnd{kOk, help()});
    } catch (const CLI::CallForVersion&) {
      return base::error(ParseEnd{kOk, "lockctl " RINGLOCK_VERSION});
    } catch (const CLI::ExtrasError& error) {
      const char* advice =
          run_->parsed() ? "\nA command with options of its own stands behind \"--\"." : "";
      return base::error(usage(error.what() + std::string(advice)));
    } catch (const CLI::ParseError& error) {
      return base::error(usage(error.what()));
    }
  }

 private:
  void add_run() {
    run_ = app_.add_subcommand("run", "Run a command while holding a lock: run NAME -- COMMAND...");
    run_->footer(
        std::string("The command finds LOCK_NAME, LOCK_TOKEN and LOCK_MODE in its environment.\n") +
        kExitCodes);
    run_->add_option("NAME", run_options_.name, "The lock")->required()->check(checked_name);
    run_->add_option("COMMAND", run_options_.command, "The command and its arguments")->required();
    auto* shared =
        run_->add_flag("-s,--shared", run_options_.shared, "Share it with others who share");
    run_->add_flag("-x,--exclusive", exclusive_, "Alone (the default)")->excludes(shared);
    add_wait(run_);
    run_->add_option("--grace", grace_,
                     "Time for the command to end when the lock is lost, within the lease (300ms)")
        ->type_name("D");
    run_->add_option("--on-lost", on_lost_,
                     "What becomes of the command when the lock is lost: term (asked to end, and "
                     "killed after the grace), kill, freeze (stopped, and killed with lockctl)")
        ->type_name("HOW")
        ->check(CLI::IsMember({"term", "kill", "freeze"}));
    run_->add_option("-E,--busy-code", run_options_.busy_code,
                     "Exit code instead of 75 when the lock is busy")
        ->type_name("N")
        ->check(CLI::Range(0, 255));
    add_lockspace(run_);
  }

  void add_hold() {
    lock_ = hold_verb("lock", "Take a lock for a script, beyond this command; prints its token",
                      lock_options_.name);
    lock_->add_option("-m,--mode", mode_, "NL, CR, CW, PR, PW or EX (EX)")
        ->type_name("MODE")
        ->check(checked_mode);
    add_wait(lock_);
    lock_->add_flag("--read-value", lock_options_.read_value, "Print the value of the name too");
    auto* follow = lock_->add_option("--follow", lock_options_.follow,
                                     "Give it back when this process ends (the calling shell)");
    follow->type_name("PID")->check(CLI::PositiveNumber);
    lock_
        ->add_flag("--detach", lock_options_.detach,
                   "Keep it until it is unlocked, whatever ends; see LOCKCTL_SESSION")
        ->excludes(follow);

    convert_ =
        hold_verb("convert", "Another mode for a lock of \"lockctl lock\"; prints its new token",
                  convert_options_.name);
    convert_->add_option("-m,--mode", mode_, "NL, CR, CW, PR, PW or EX")
        ->type_name("MODE")
        ->check(checked_mode)
        ->required();
    add_wait(convert_);
    auto* value = add_value(convert_);
    convert_
        ->add_flag("--read-value", convert_options_.read_value,
                   "Print the value of the name too, when the mode goes up")
        ->excludes(value);

    unlock_ = hold_verb("unlock", "Give back a lock of \"lockctl lock\"", unlock_options_.name);
    add_value(unlock_);
    held_ = hold_verb("held", "Whether a lock of \"lockctl lock\" is still held; prints its token",
                      held_options_.name);
  }

  CLI::App* hold_verb(const char* verb, const char* help, std::string& name) {
    CLI::App* app = app_.add_subcommand(verb, help);
    app->footer(kHoldFooter);
    app->add_option("NAME", name, "The lock")->required()->check(checked_name);
    add_lockspace(app);
    return app;
  }

  void add_wait(CLI::App* verb) {
    auto* no_wait = verb->add_flag("-n,--try", no_wait_, "Do not wait: answer at once");
    verb->add_option("-w,--wait", wait_, "Wait so long at most, e.g. 500ms, 5s, 2m")
        ->type_name("D")
        ->excludes(no_wait);
  }

  CLI::Option* add_value(CLI::App* verb) {
    return verb
        ->add_option(
            "--value", value_,
            "Leave this behind as the value of the name, from EX or PW: text of up to 32 bytes, "
            "or 0x and digits")
        ->type_name("V")
        ->check(checked_value);
  }

  std::optional<base::Duration> wait_of() const {
    if (no_wait_) return base::Duration(0);
    if (wait_.empty()) return std::nullopt;
    return duration_of("--wait", wait_);
  }

  std::optional<base::ValueBlock> value_of(const CLI::App* verb) const {
    if (verb->count("--value") == 0) return std::nullopt;
    return *parse_value(value_);
  }

  void add_queries() {
    list_ = app_.add_subcommand("ls", "List locks, lockspaces or barriers");
    auto* prefix = list_->add_option("PREFIX", list_options_.prefix, "Only names that begin so");
    auto* barriers = list_->add_flag("--barriers", list_options_.barriers,
                                     "Instead the barriers, and who is there");
    list_
        ->add_flag(
            "--lockspaces", list_options_.lockspaces,
            "Instead the lockspaces that nodes have joined: members as node:slot, permissions")
        ->excludes(prefix)
        ->excludes(barriers)
        ->excludes(add_lockspace(list_));
    show_ = app_.add_subcommand("show", "Who holds a lock and who waits for it");
    show_->add_option("NAME", show_options_.name, "The lock")->required()->check(checked_name);
    add_lockspace(show_);
    status_ = app_.add_subcommand("status", "This machine's daemon and its cluster");
    auto* ring = status_->add_flag("--ring", status_options_.ring,
                                   "The ring in detail: its members, its counters");
    status_->add_flag("--counters", status_options_.counters, "All counters too")->excludes(ring);
    ring_log_ = app_.add_subcommand("ring-log", "What happened to the ring of late");
    ring_log_->footer(
        "A daemon that ended by a bug of its own (\"CHECK failed\" in its log) has left this in\n"
        "its state_dir: in ring-log.1, or in .2 to .4 if there was one.");
    why_ =
        app_.add_subcommand("why", "Who waits for a lock, and why; or why the ring changed last");
    auto* name = why_->add_option("NAME", why_options_.name,
                                  "The lock; without it, the ring and its last change");
    name->check(checked_name);
    why_->add_flag("--all", why_options_.all,
                   "Of the ring: the changes before it too, as far as they are known")
        ->excludes(name);
    add_lockspace(why_)->needs(name);
    deadlocks_ = app_.add_subcommand("deadlocks", "The last deadlocks, step by step");
    deadlocks_->add_flag(
        "--dot", deadlocks_options_.dot,
        "A graph for graphviz: who waits for whom now, and those deadlocks in red");
    members_ = app_.add_subcommand("members", "The configured nodes and how they are");
  }

  void add_watch() {
    watch_ = app_.add_subcommand("watch", "Print what happens to locks, a line of JSON each");
    watch_->footer(kWatchFooter);
    add_lockspace(watch_);
    auto* name = watch_->add_option("--name", watch_options_.name, "Only this lock");
    name->type_name("NAME")->check(checked_name);
    watch_->add_option("--prefix", watch_prefix_, "Only locks whose names begin so")
        ->type_name("PREFIX")
        ->check(checked_name)
        ->excludes(name);
    watch_->add_option("--type", watch_options_.types, "Only events of these types: word,word...")
        ->type_name("TYPE")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember(watch_words()));
    watch_->add_option("-c,--count", watch_options_.count, "End after so many events")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
  }

  void add_evs() {
    evs_ = app_.add_subcommand("evs", "Messages to groups of processes, in one order everywhere");
    evs_->require_subcommand(1);
    evs_join_ = evs_->add_subcommand(
        "join", "Print the messages to groups, and the configurations, as they come");
    add_groups(evs_join_, evs_join_options_.groups);
    evs_join_->add_option("-c,--count", evs_join_options_.count, "End after so many messages")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
    evs_send_ = evs_->add_subcommand("send", "Send each line of standard input to groups");
    add_groups(evs_send_, evs_send_options_.groups);
    evs_send_->add_option("-m,--message", evs_send_options_.messages, "Send this instead")
        ->type_name("TEXT")
        ->allow_extra_args(false);
    evs_send_
        ->add_option("-g,--guarantee", evs_send_options_.guarantee,
                     "unordered, fifo, agreed or safe (agreed)")
        ->type_name("WORD")
        ->check(CLI::IsMember({"unordered", "fifo", "agreed", "safe"}));
    evs_members_ = evs_->add_subcommand("members", "The configuration of this machine's daemon");
  }

  static void add_groups(CLI::App* verb, std::vector<std::string>& groups) {
    verb->add_option("GROUP", groups, "Groups, by name")->required()->check(checked_group);
  }

  void add_keygen() {
    keygen_ = app_.add_subcommand("keygen", "Write a new cluster key");
    keygen_->add_option("FILE", keygen_options_.file, "A file that does not exist yet")->required();
  }

  void add_keys() {
    keys_ = app_.add_subcommand("keys", "Which keys there are and who uses which; change the key");
    keys_->footer(kKeysFooter);
    auto* file = keys_->add_option("FILE", keys_options_.file,
                                   "The key file; without it, what the daemons use");
    auto* add = keys_->add_flag("--add", add_key_, "Add a new key, with the next id");
    auto* use = keys_->add_option("--use", use_key_, "Use this key to send")
                    ->type_name("ID")
                    ->check(CLI::Range(1, 65535));
    auto* remove = keys_->add_option("--remove", remove_key_, "Remove this key")
                       ->type_name("ID")
                       ->check(CLI::Range(1, 65535));
    add->needs(file)->excludes(use)->excludes(remove);
    use->needs(file)->excludes(remove);
    remove->needs(file);
  }

  CLI::Option* add_lockspace(CLI::App* verb) {
    return verb->add_option("--lockspace", options_.lockspace, "The lockspace (default)")
        ->type_name("NAME")
        ->check(checked_lockspace);
  }

  void finish() {
    if (run_->parsed()) {
      run_options_.wait = wait_of();
      if (!grace_.empty()) run_options_.grace = duration_of("--grace", grace_);
      if (on_lost_ == "kill") run_options_.on_lost = OnLost::kill;
      if (on_lost_ == "freeze") run_options_.on_lost = OnLost::freeze;
      options_.verb = run_options_;
    } else if (lock_->parsed()) {
      if (!mode_.empty()) lock_options_.mode = *base::mode_of(mode_);
      lock_options_.wait = wait_of();
      options_.verb = lock_options_;
    } else if (convert_->parsed()) {
      convert_options_.mode = *base::mode_of(mode_);
      convert_options_.wait = wait_of();
      convert_options_.value = value_of(convert_);
      options_.verb = convert_options_;
    } else if (unlock_->parsed()) {
      unlock_options_.value = value_of(unlock_);
      options_.verb = unlock_options_;
    } else if (held_->parsed()) {
      options_.verb = held_options_;
    } else if (barrier_->parsed()) {
      options_.verb = barrier_verb_.options();
    } else if (list_->parsed()) {
      options_.verb = list_options_;
    } else if (show_->parsed()) {
      options_.verb = show_options_;
    } else if (status_->parsed()) {
      options_.verb = status_options_;
    } else if (ring_log_->parsed()) {
      options_.verb = RingLogOptions{};
    } else if (why_->parsed()) {
      options_.verb = why_options_;
    } else if (deadlocks_->parsed()) {
      options_.verb = deadlocks_options_;
    } else if (members_->parsed()) {
      options_.verb = MembersOptions{};
    } else if (watch_->parsed()) {
      if (!watch_prefix_.empty()) {
        watch_options_.name = watch_prefix_;
        watch_options_.prefix = true;
      }
      options_.verb = watch_options_;
    } else if (keys_->parsed()) {
      if (add_key_) keys_options_.change = KeysOptions::Change::add;
      if (use_key_ != 0) keys_options_.change = KeysOptions::Change::use;
      if (remove_key_ != 0) keys_options_.change = KeysOptions::Change::remove;
      keys_options_.id = static_cast<std::uint16_t>(use_key_ + remove_key_);
      options_.verb = keys_options_;
    } else if (evs_join_->parsed()) {
      options_.verb = evs_join_options_;
    } else if (evs_send_->parsed()) {
      options_.verb = evs_send_options_;
    } else if (evs_members_->parsed()) {
      options_.verb = EvsMembersOptions{};
    } else {
      options_.verb = keygen_options_;
    }
  }

  static ParseEnd usage(const std::string& text) {
    return {kUsage, "lockctl: " + text + "\nlockctl --help tells more."};
  }

  // Of the verb that help was asked for.
  std::string help() const {
    const CLI::App* verb = &app_;
    while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().front();
    return verb->help();
  }

  CLI::App app_{"Cluster locks from the command line."};
  CLI::App* run_ = nullptr;
  CLI::App* lock_ = nullptr;
  CLI::App* convert_ = nullptr;
  CLI::App* unlock_ = nullptr;
  CLI::App* held_ = nullptr;
  CLI::App* barrier_ = nullptr;
  CLI::App* list_ = nullptr;
  CLI::App* show_ = nullptr;
  CLI::App* status_ = nullptr;
  CLI::App* ring_log_ = nullptr;
  CLI::App* why_ = nullptr;
  CLI::App* deadlocks_ = nullptr;
  CLI::App* members_ = nullptr;
  CLI::App* watch_ = nullptr;
  CLI::App* evs_ = nullptr;
  CLI::App* evs_join_ = nullptr;
  CLI::App* evs_send_ = nullptr;
  CLI::App* evs_members_ = nullptr;
  CLI::App* keygen_ = nullptr;
  CLI::App* keys_ = nullptr;
  Options options_;
  RunOptions run_options_;
  LockOptions lock_options_;
  ConvertOptions convert_options_;
  UnlockOptions unlock_options_;
  HeldOptions held_options_;
  BarrierVerb barrier_verb_;
  ListOptions list_options_;
  ShowOptions show_options_;
  StatusOptions status_options_;
  WhyOptions why_options_;
  DeadlocksOptions deadlocks_options_;
  WatchOptions watch_options_;
  std::string watch_prefix_;
  EvsJoinOptions evs_join_options_;
  EvsSendOptions evs_send_options_;
  KeygenOptions keygen_options_;
  KeysOptions keys_options_;
  bool add_key_ = false;
  unsigned use_key_ = 0;
  unsigned remove_key_ = 0;
  bool exclusive_ = false;
  bool no_wait_ = false;
  std::string wait_;
  std::string mode_;
  std::string value_;
  std::string grace_;
  std::string on_lost_;
};

}  // namespace

base::Result<Options, ParseEnd> parse_options(int argc, const char* const* argv) {
  return Parser().parse(argc, argv);
}

}  // namespace tools::lockctl

#include "tools/lockctl/barrier_verb.h"

#include <charconv>

#include "tools/lockctl/option_checks.h"
#include "tools/lockctl/value.h"

namespace tools::lockctl {
namespace {

constexpr unsigned kPartiesMax = 4096;
constexpr base::Duration kPatienceMax = std::chrono::hours(24 * 30);

constexpr const char* kFooter =
    "Waits until N jobs have come to this barrier, on whatever machines; then all of them go on. "
    "Who "
    "of them\nis told that it was broken, and by whose death, the others are told too. Standard "
    "output "
    "has the\ngeneration, a number that no other use of a barrier has and that grows: it can serve "
    "as "
    "a fencing token.\nWith --value it has instead of that a line for each job: its node, and what "
    "it "
    "brought along. --json\nhas everything, also of a barrier that was broken.\n"
    "  lockctl barrier loaded --parties 3 --wait 5m && ./compute\n"
    "  lockctl barrier ports --parties 3 --value \"$HOSTNAME:$port\" > ports\n"
    "All jobs have to agree on parties, unit and what a death does. --parties all stands for all "
    "nodes "
    "that\nhave joined the lockspace, which programs do (\"lockctl ls --lockspaces\"): it does not "
    "join "
    "one itself.\nA job that gives up waiting, by --wait or by a signal, is not counted any more. "
    "While "
    "it waits for others\nit waits also for a daemon that restarts, or a quorum, for 10 s, or as "
    "long "
    "as --wait says.\n"
    "Exit codes: 0 released; 75 time is over, by --wait or --patience; 79 broken, or this job was "
    "given "
    "up by\nthe others; 69 no daemon or no quorum; 64 usage, 77 permission, 78 configuration, 70 "
    "internal; 128+N ended\nby signal N. Of --cancel and --delete: 79 no such barrier, or nobody "
    "is "
    "there; 75 somebody is.";

std::string checked_parties(const std::string& text) {
  unsigned parties = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, parties);
  const bool number = read.ec == std::errc() && read.ptr == end && parties >= 1;
  if (text == "all" || (number && parties <= kPartiesMax)) return {};
  return "so many have to come: 1 to " + std::to_string(kPartiesMax) + ", or all";
}

std::string checked_value(const std::string& text) {
  const auto value = parse_bytes(text, LOCK_BARRIER_VALUE_MAX);
  return value ? std::string() : value.error();
}

}  // namespace

CLI::App* BarrierVerb::add_to(CLI::App& app) {
  verb_ =
      app.add_subcommand("barrier", "Wait for jobs on other machines: barrier NAME --parties N");
  verb_->footer(kFooter);
  verb_->add_option("NAME", options_.name, "The barrier")->required()->check(checked_name);
  auto* parties =
      verb_->add_option("-p,--parties", parties_, "How many have to come, or all (nodes)");
  parties->type_name("N")->check(checked_parties);
  auto* cancel =
      verb_->add_flag("--cancel", cancel_, "Break it for those who wait, whoever they are");
  auto* remove =
      verb_->add_flag("--delete", delete_, "Delete it; one that was kept stays until then");
  cancel->excludes(parties)->excludes(remove);
  remove->excludes(parties);
  verb_->add_flag("--force", options_.force, "Delete it also if somebody is there, who is told")
      ->needs(remove);
  const auto waits = [&](CLI::Option* option) { return option->needs(parties); };
  waits(verb_->add_option("-w,--wait", wait_, "Wait so long at most, e.g. 500ms, 5s, 2m"))
      ->type_name("D");
  waits(verb_->add_option("--value", value_,
                          "Bring this along, and print what all brought along: text of up to 256 "
                          "bytes, or 0x and digits"))
      ->type_name("V")
      ->check(checked_value);
  waits(verb_->add_flag("--nodes", options_.nodes,
                        "Count nodes: of each one job suffices, and more may come"));
  waits(verb_->add_option("--on-death", on_death_,
                          "What the end of one who waits does: break (all are told), wait (for "
                          "another one); of --parties all also shrink (not waited for any more)"))
      ->type_name("HOW")
      ->check(CLI::IsMember({"break", "shrink", "wait"}));
  waits(verb_->add_option("--patience", patience_,
                          "Break it for all so long after the first has come"))
      ->type_name("D");
  waits(verb_->add_flag("--keep", options_.keep, "Leave it there when it is over"));
  return verb_;
}

BarrierOptions BarrierVerb::options() const {
  BarrierOptions options = options_;
  if (cancel_) options.action = BarrierOptions::Action::cancel;
  if (delete_) options.action = BarrierOptions::Action::remove;
  if (options.action != BarrierOptions::Action::wait) return options;
  if (parties_.empty()) throw CLI::RequiredError("--parties, --cancel or --delete");
  options.parties = parties();
  if (options.parties == 0 && !options.nodes) {
    throw CLI::ValidationError("--parties", "all are all nodes: it goes with --nodes");
  }
  if (on_death_ == "wait") options.on_death = LOCK_BARRIER_WAIT;
  if (on_death_ == "shrink") options.on_death = LOCK_BARRIER_SHRINK;
  if (options.on_death == LOCK_BARRIER_SHRINK && options.parties != 0) {
    throw CLI::ValidationError("--on-death", "shrink goes with --parties all");
  }
  if (!wait_.empty()) options.wait = duration_of("--wait", wait_);
  if (!patience_.empty()) {
    const base::Duration patience = duration_of("--patience", patience_);
    if (patience > kPatienceMax || patience == base::Duration(0)) {
      throw CLI::ValidationError("--patience", "it is more than nothing, and up to 30 days");
    }
    options.patience_ms =
        static_cast<unsigned>(std::chrono::ceil<std::chrono::milliseconds>(patience).count());
  }
  if (verb_->count("--value") > 0) options.value = *parse_bytes(value_, LOCK_BARRIER_VALUE_MAX);
  return options;
}

// 0: all.
unsigned BarrierVerb::parties() const {
  unsigned parties = 0;
  std::from_chars(parties_.data(), parties_.data() + parties_.size(), parties);
  return parties;
}

}  // namespace tools::lockctl

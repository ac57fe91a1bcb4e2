#include "tests/scenarios/stage.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace scenarios {

namespace {

constexpr base::Duration kUntilMax = std::chrono::seconds(10);

struct Setting {
  std::string_view name;
  void (*set)(evs::Config&, Words&);
};

constexpr Setting kSettings[] = {
    {"accelerated_window",
     [](evs::Config& c, Words& w) {
       c.accelerated_window = static_cast<std::uint32_t>(w.count("packets"));
     }},
    {"acknowledge_packets_max",
     [](evs::Config& c, Words& w) {
       c.acknowledge_packets_max = static_cast<std::uint32_t>(w.count("packets"));
     }},
    {"personal_window",
     [](evs::Config& c, Words& w) {
       c.personal_window = static_cast<std::uint32_t>(w.count("packets"));
     }},
    {"first_sequence", [](evs::Config& c, Words& w) { c.first_sequence = w.count("a number"); }},
    {"first_ring_sequence",
     [](evs::Config& c, Words& w) { c.first_ring_sequence = w.count("a number"); }},
    {"outstanding_max",
     [](evs::Config& c, Words& w) {
       c.outstanding_max = static_cast<std::uint32_t>(w.count("packets"));
     }},
    {"readmission_pause_max",
     [](evs::Config& c, Words& w) { c.readmission_pause_max = w.duration(); }},
    {"token_hold_max", [](evs::Config& c, Words& w) { c.token_hold_max = w.duration(); }},
};

evs::Service service_of(Words& words) {
  const std::string& word = words.take("unordered, fifo, agreed or safe");
  if (word == "unordered") return evs::Service::unordered;
  if (word == "fifo") return evs::Service::fifo;
  if (word == "agreed") return evs::Service::agreed;
  if (word == "safe") return evs::Service::safe;
  words.fail("there is no service `" + word + "`");
}

}  // namespace

std::optional<Failure> Stage::play(std::string_view text) {
  try {
    std::size_t number = 0;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      take_line(++number, text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (expected_.empty()) throw Failure{number, "a scenario ends with what it expects"};
    compare();
    judge();
  } catch (const Failure& failure) {
    return failure;
  }
  return std::nullopt;
}

void Stage::take_line(std::size_t number, std::string_view text) {
  if (number == 1 && text.substr(0, 2) != "# ") {
    throw Failure{number, "a scenario begins with what it is about: # ..."};
  }
  Words words(number, text, nodes_);
  if (!words.more()) return;
  if (!expected_.empty() || words.take_if("expect")) {
    expectation(words, text);
  } else {
    step(words);
  }
}

void Stage::step(Words& words) {
  const std::string what = words.take("a step");
  if (what == "finds") {
    finds_.push_back(words.name("a planted bug's name"));
  } else if (what == "nodes") {
    if (ring_) words.fail("the number of nodes stands already");
    const std::uint64_t count = words.count("the number of nodes");
    if (count == 0 || count > evs::kMembersMax) words.fail("1 to 32 nodes are possible");
    nodes_ = static_cast<Number>(count);
    ring_.emplace(nodes_);
    ring_->check_invariants = check_invariants_;
    ring_->fate = [this](Number from, Number to, const evs::Message& message) {
      return fate_of(from, to, message);
    };
    ring_->delay = [this](Number, Number, const evs::Message&) { return delay_; };
    ring_->traced = [this](Number number, const evs::TraceRecord& record) {
      if (record.event != evs::TraceEvent::message_numbered) return;
      checker_.sent(ring_->node(number).self(), record.ring, record.sequence, record.index);
    };
    ring_->told = [this](Number number, const evs::Event& event) {
      const base::Processor self = ring_->node(number).self();
      if (const auto* change = std::get_if<evs::ConfigurationChange>(&event)) {
        checker_.configuration(self, *change);
      } else {
        checker_.delivered(self, std::get<evs::Delivery>(event));
      }
    };
  } else if (!ring_) {
    words.fail("first of all: nodes N");
  } else if (what == "set") {
    set(words);
  } else {
    step_of_nodes(what, words);
  }
  words.end();
}

void Stage::step_of_nodes(const std::string& what, Words& words) {
  constexpr std::pair<std::string_view, Action> kActions[] = {{"drop", Action::drop},
                                                              {"hold", Action::hold},
                                                              {"copy", Action::copy},
                                                              {"delay", Action::delay},
                                                              {"watch", Action::watch}};
  for (const auto& [name, action] : kActions) {
    if (what == name) return rules_.add(action, words, rings_);
  }
  if (what == "start") {
    for (Number number : words.nodes()) {
      if (ring_->exists(number)) words.fail("node " + std::to_string(number) + " runs already");
      start(number);
    }
  } else if (what == "kill" || what == "leave" || what == "stop" || what == "continue" ||
             what == "pause" || what == "resume") {
    for (Number number : words.nodes()) {
      const base::Processor self = running(number, words).self();
      if (what == "kill") checker_.failed(self), ring_->kill(number);
      if (what == "leave") checker_.left(self), ring_->leave(number);
      if (what == "stop") ring_->stop(number);
      if (what == "continue") ring_->go_on(number);
      if (what == "pause") ring_->pause(number);
      if (what == "resume") ring_->resume(number);
    }
  } else if (what == "cut" || what == "mend") {
    if (what == "mend" && words.take_if("all")) return ring_->mend_all();
    for (const auto& [from, to] : words.links()) {
      what == "cut" ? ring_->cut_link(from, to) : ring_->mend_link(from, to);
    }
  } else if (what == "clear") {
    rules_.clear();
  } else if (what == "release") {
    ring_->release_held();
  } else if (what == "repeat") {
    words.expect("copies");
    for (const auto& [from, to, bytes] : std::exchange(copies_, {})) {
      if (ring_->exists(to)) ring_->inject(from, to, bytes);
    }
  } else if (what == "send") {
    send(words);
  } else if (what == "inject") {
    inject(words);
  } else if (what == "name") {
    const std::string name = words.name("a ring's name");
    const base::RingId id = running(words.node(), words).regular().id;
    if (!rings_.emplace(name, id).second) words.fail(name + " is the name of a ring already");
  } else if (what == "time") {
    times_[words.name("a name for this moment")] = ring_->now().boot;
  } else if (what == "run") {
    ring_->run_for(words.duration());
  } else if (what == "until") {
    until(words);
  } else if (what == "check") {
    if (!condition(words)()) words.fail("it is not so");
  } else if (what == "begin") {
    for (Number number = 1; number <= nodes_; ++number)
      begin_[number] = ring_->events(number).size();
  } else {
    words.fail("there is no step `" + what + "`");
  }
}

void Stage::set(Words& words) {
  if (started_) words.fail("settings stand before the first start");
  const std::string& name = words.take("a setting's name");
  const auto* const setting = std::find_if(std::begin(kSettings), std::end(kSettings),
                                           [&](const Setting& s) { return s.name == name; });
  if (setting == std::end(kSettings)) words.fail("there is no setting `" + name + "`");
  setting->set(ring_->config, words);
  evs::Config config = ring_->config;
  config.self = config.nodes.front();
  if (const auto valid = config.validate(); !valid) words.fail(valid.error());
}

void Stage::start(Number number) {
  started_ = true;
  std::string& life = last_life_[number];
  life = life.empty() ? std::to_string(number) : life + "'";
  ring_->start(number);
  lives_[ring_->node(number).self()] = life;
}

void Stage::send(Words& words) {
  const Number node = words.node();
  const evs::Service service = service_of(words);
  const std::string name = words.name("the message's name");
  std::size_t bytes = 0;
  std::uint64_t times = 0;
  if (words.take_if("of")) {
    bytes = words.count("a number of bytes");
    words.expect("bytes");
    if (bytes < name.size() + 12) words.fail("a message is longer than its name");
  }
  if (words.take_if("times")) times = words.count("how many messages");
  running(node, words);
  for (std::uint64_t i = 1; i <= std::max<std::uint64_t>(times, 1); ++i) {
    const std::string text = times == 0 ? name : name + "." + std::to_string(i);
    const base::Buffer payload = payload_of(text, bytes);
    if (!ring_->multicast(node, service, base::text_of(payload))) {
      words.fail("node " + std::to_string(node) + " does not take " + text);
    }
  }
}

void Stage::inject(Words& words) {
  const auto links = words.links();
  const std::string& hex = words.take("bytes in hex");
  base::Buffer bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const std::string pair = hex.substr(i, 2);
    if (pair.size() != 2 || pair.find_first_not_of("0123456789abcdef") != std::string::npos) {
      words.fail("bytes are two small hex digits each");
    }
    bytes.push_back(static_cast<std::byte>(std::stoul(pair, nullptr, 16)));
  }
  for (const auto& [from, to] : links) {
    running(to, words);
    ring_->inject(from, to, bytes);
  }
}

evs::Node& Stage::running(Number number, const Words& words) {
  if (!ring_->exists(number)) words.fail("node " + std::to_string(number) + " does not run");
  return ring_->node(number);
}

evs::Fate Stage::fate_of(Number from, Number to, const evs::Message& message) {
  largest_datagram_ = std::max(largest_datagram_, evs::encode(message).size());
  const Rules::Verdict verdict = rules_.judge(from, to, message);
  if (verdict.copied) copies_.emplace_back(from, to, evs::encode(message));
  delay_ = verdict.delay;
  if (verdict.action == Action::drop) return evs::Fate::drop;
  if (verdict.action == Action::hold) return evs::Fate::hold;
  return evs::Fate::deliver;
}

void Stage::until(Words& words) {
  const Condition wanted = condition(words);
  const base::Duration limit = words.take_if("within") ? words.duration() : kUntilMax;
  if (!ring_->run_until(wanted, limit)) words.fail("it did not come true in time");
}

void Stage::expectation(Words& words, std::string_view text) {
  // The first `expect` was taken already.
  if (expected_.empty() || words.take_if("expect")) {
    expected_.push_back({words.line(), words.nodes(), {}});
    words.end();
    return;
  }
  text = text.substr(0, text.find('#'));
  const std::size_t begin = text.find_first_not_of(' ');
  const std::size_t end = text.find_last_not_of(' ');
  expected_.back().lines.emplace_back(words.line(),
                                      std::string(text.substr(begin, end + 1 - begin)));
}

void Stage::compare() {
  ConfigurationNames names(rings_);
  std::set<Number> seen;
  for (const Expected& expected : expected_) {
    for (Number node : expected.nodes) {
      if (!seen.insert(node).second) {
        throw Failure{expected.line, "node " + std::to_string(node) + " is expected twice"};
      }
      compare(expected, node, names);
    }
  }
  for (const auto& [node, life] : last_life_) {
    if (seen.count(node) == 0) {
      throw Failure{expected_.front().line, "nothing is said of node " + std::to_string(node)};
    }
  }
}

void Stage::compare(const Expected& expected, Number node, ConfigurationNames& names) {
  const auto told = transcript_of(ring_->events(node), begin_[node], lives_);
  const std::string who = "node " + std::to_string(node);
  for (std::size_t i = 0; i < expected.lines.size(); ++i) {
    const auto& [line, wanted] = expected.lines[i];
    if (i == told.size())
      throw Failure{line, who + " was told no more, `" + wanted + "` is wanted"};
    bool same = wanted == told[i].before;
    const std::string& before = told[i].before;
    if (told[i].configuration && wanted.compare(0, before.size() + 1, before + " ") == 0) {
      const std::size_t at = before.size() + 1;
      const std::size_t end = std::min(wanted.find(' ', at), wanted.size());
      same = wanted.substr(std::min(end + 1, wanted.size())) == told[i].after &&
             names.agree(wanted.substr(at, end - at), told[i].id);
    }
    if (!same) {
      throw Failure{line,
                    who + " was told `" + names.text_of(told[i]) + "`, `" + wanted + "` is wanted"};
    }
  }
  if (told.size() > expected.lines.size()) {
    const std::size_t line = expected.lines.empty() ? expected.line : expected.lines.back().first;
    throw Failure{line,
                  who + " was told more: `" + names.text_of(told[expected.lines.size()]) + "`"};
  }
}

// The judge of the simulator has no part in what a scenario expects, and so sees what its writer
// did not.
void Stage::judge() {
  for (const sim::Violation& violation : checker_.finish(false)) {
    throw Failure{expected_.front().line,
                  "the judge: " + violation.property + " " + violation.explanation};
  }
}

std::string Stage::transcript() {
  ConfigurationNames names(rings_);
  std::string text;
  for (const auto& [node, life] : last_life_) {
    text += "expect " + std::to_string(node) + "\n";
    for (const Told& told : transcript_of(ring_->events(node), begin_[node], lives_)) {
      text += "  " + names.text_of(told) + "\n";
    }
  }
  return text;
}

}  // namespace scenarios

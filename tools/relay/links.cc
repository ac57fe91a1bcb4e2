#include "tools/relay/links.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <sstream>

namespace tools::relay {

namespace {

using Answer = base::Result<std::string, std::string>;

Answer done() {
  return std::string("ok\n");
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

// Not negative, and not more than `most`.
std::optional<double> number(const std::string& text, double most) {
  char* stop = nullptr;
  const double value = std::strtod(text.c_str(), &stop);
  const bool all = stop != text.c_str() && *stop == '\0';
  if (!all || !std::isfinite(value) || value < 0 || value > most) return std::nullopt;
  return value;
}

Duration milliseconds(double value) {
  return Duration(std::llround(value * 1e6));
}

double in_milliseconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

constexpr double kDelayMax = 60'000;
constexpr const char* kKeys =
    "loss, duplicate and reorder in percent; delay_ms, jitter_ms, reorder_ms up to 60000; "
    "rate_kbit, 0 for none";

// False if there is no such key, or the value does not fit it.
bool change(LinkSettings& settings, const std::string& key, const std::string& text) {
  const bool percent = key == "loss" || key == "duplicate" || key == "reorder";
  const auto value = number(text, percent ? 100 : key == "rate_kbit" ? 1e9 : kDelayMax);
  if (!value) return false;
  const auto of_a_million = static_cast<std::uint32_t>(std::llround(*value * 10'000));
  if (key == "loss") {
    settings.loss = of_a_million;
  } else if (key == "duplicate") {
    settings.duplication = of_a_million;
  } else if (key == "reorder") {
    settings.reordering = of_a_million;
  } else if (key == "delay_ms") {
    settings.delay = milliseconds(*value);
  } else if (key == "jitter_ms") {
    settings.jitter = milliseconds(*value);
  } else if (key == "reorder_ms") {
    settings.reorder_delay = milliseconds(*value);
  } else if (key == "rate_kbit") {
    settings.bits_per_second = static_cast<std::uint64_t>(std::llround(*value * 1000));
  } else {
    return false;
  }
  return true;
}

}  // namespace

Links::Links(const std::vector<Node>& nodes, std::uint64_t seed)
    : nodes_(nodes.begin(), nodes.end()) {
  for (const Node from : nodes_) {
    for (const Node to : nodes_) {
      if (from != to) links_.try_emplace(Direction{from, to}, 0);
    }
  }
  this->seed(seed);
}

// Each link draws for itself, so that the traffic of one does not change what happens on another.
void Links::seed(std::uint64_t seed) {
  base::Random random(seed);
  for (auto& [direction, link] : links_) link.seed(random.u64());
}

Answer Links::execute(std::string_view command) {
  Words words;
  std::istringstream in{std::string(command)};
  for (std::string word; in >> word;) words.push_back(word);
  if (words.empty()) return base::error(std::string("an empty command; try: counts"));
  const std::string& what = words[0];
  if (what == "set") return set(words);
  if (what == "cut") return cut(words, true);
  if (what == "mend") return cut(words, false);
  if (what == "partition") return partition(words);
  if (what == "counts" && words.size() == 1) return counts();
  if (what == "settings" && words.size() == 1) return settings();
  if (what == "heal" && words.size() == 1) {
    cut_each(nodes_, nodes_, false);
    return done();
  }
  if (what == "reset" && words.size() == 1) {
    for (auto& [direction, link] : links_) link.set({});
    return done();
  }
  if (what == "seed" && words.size() == 2) {
    const auto value = whole_number(words[1]);
    if (!value) return base::error("seed: " + words[1] + " is not a whole number");
    seed(*value);
    return done();
  }
  return base::error("unknown command '" + what +
                     "'; there are: set FROM TO KEY=VALUE..., cut FROM TO, mend FROM TO, partition "
                     "NODES..., heal, reset, seed N, counts, settings, links");
}

base::Result<std::set<Node>, std::string> Links::nodes_of(const std::string& word) const {
  if (word == "*") return nodes_;
  std::set<Node> named;
  std::istringstream in(word);
  for (std::string text; std::getline(in, text, ',');) {
    const auto id = whole_number(text);
    if (!id || *id > UINT32_MAX || !nodes_.contains(static_cast<Node>(*id))) {
      return base::error("'" + text + "' is no node here; name nodes as 1,2,3 or *");
    }
    named.insert(static_cast<Node>(*id));
  }
  if (named.empty()) return base::error(std::string("name nodes as 1,2,3 or *"));
  return named;
}

Answer Links::set(const Words& words) {
  if (words.size() < 4) {
    return base::error(std::string("set FROM TO KEY=VALUE...; the keys: ") + kKeys);
  }
  const auto from = nodes_of(words[1]);
  if (!from) return base::error(from.error());
  const auto to = nodes_of(words[2]);
  if (!to) return base::error(to.error());
  // Twice: first to see whether all of it makes sense.
  for (const bool really : {false, true}) {
    for (auto& [direction, link] : links_) {
      if (!from->contains(direction.first) || !to->contains(direction.second)) continue;
      LinkSettings settings = link.settings();
      for (std::size_t i = 3; i < words.size(); ++i) {
        const std::size_t equals = words[i].find('=');
        if (equals == std::string::npos ||
            !change(settings, words[i].substr(0, equals), words[i].substr(equals + 1))) {
          return base::error("'" + words[i] + "' is no setting; the keys: " + kKeys);
        }
      }
      if (really) link.set(settings);
    }
  }
  return done();
}

Answer Links::cut(const Words& words, bool cut) {
  if (words.size() != 3) return base::error(words[0] + " FROM TO; one direction");
  const auto from = nodes_of(words[1]);
  if (!from) return base::error(from.error());
  const auto to = nodes_of(words[2]);
  if (!to) return base::error(to.error());
  cut_each(*from, *to, cut);
  return done();
}

void Links::cut_each(const std::set<Node>& from, const std::set<Node>& to, bool cut) {
  for (auto& [direction, link] : links_) {
    if (!from.contains(direction.first) || !to.contains(direction.second)) continue;
    LinkSettings settings = link.settings();
    settings.cut = cut;
    link.set(settings);
  }
}

// Those who are named together hear each other and nobody else; who is not named is with the others
// who are not.
Answer Links::partition(const Words& words) {
  if (words.size() < 2) {
    return base::error(std::string("partition NODES...; such as: partition 1,2 3"));
  }
  std::map<Node, std::size_t> sides;
  for (std::size_t side = 1; side < words.size(); ++side) {
    const auto nodes = nodes_of(words[side]);
    if (!nodes) return base::error(nodes.error());
    for (const Node node : *nodes) {
      if (!sides.try_emplace(node, side).second) {
        return base::error("node " + std::to_string(node) + " is on two sides");
      }
    }
  }
  for (auto& [direction, link] : links_) {
    LinkSettings settings = link.settings();
    settings.cut = sides[direction.first] != sides[direction.second];
    link.set(settings);
  }
  return done();
}

Answer Links::counts() const {
  std::ostringstream out;
  for (const auto& [direction, link] : links_) {
    const LinkCounts& counts = link.counts();
    out << "link " << direction.first << ' ' << direction.second << " received=" << counts.received
        << " forwarded=" << counts.forwarded << " lost=" << counts.lost << " cut=" << counts.cut
        << " duplicated=" << counts.duplicated << " reordered=" << counts.reordered
        << " overflowed=" << counts.overflowed << " waiting=" << link.waiting() << '\n';
  }
  return out.str() + "ok\n";
}

Answer Links::settings() const {
  std::ostringstream out;
  for (const auto& [direction, link] : links_) {
    const LinkSettings& s = link.settings();
    out << "link " << direction.first << ' ' << direction.second << " loss=" << s.loss / 1e4
        << " duplicate=" << s.duplication / 1e4 << " reorder=" << s.reordering / 1e4
        << " delay_ms=" << in_milliseconds(s.delay) << " jitter_ms=" << in_milliseconds(s.jitter)
        << " reorder_ms=" << in_milliseconds(s.reorder_delay)
        << " rate_kbit=" << static_cast<double>(s.bits_per_second) / 1e3 << " cut=" << s.cut
        << '\n';
  }
  return out.str() + "ok\n";
}

}  // namespace tools::relay

#include "lockd/config_table.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace lockd {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kErrorsMax = 20;

// Keys of other cluster software that would let both halves of a split work on.
constexpr std::array<std::string_view, 7> kSplitBrainKeys = {
    "two_node",     "auto_tie_breaker", "last_man_standing", "expected_votes",
    "wait_for_all", "quorum",           "allow_downscale"};

// Letters to change, insert or leave out to make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({change, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

const char* name_of(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

std::string toml_string(std::string_view text) {
  std::ostringstream out;
  out << toml::value<std::string>(std::string(text));
  return out.str();
}

std::string print(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& n) { out << n; });
  return out.str();
}

std::string bracketed(const std::string& table) {
  return table == "node" ? "[[node]]" : "[" + table + "]";
}

}  // namespace

std::string shown(std::string_view text) {
  std::string safe;
  for (const char c : text.substr(0, 64)) safe += c >= ' ' && c <= '~' ? c : '?';
  return safe;
}

std::string Complaints::at(const toml::source_position& place, const std::string& what) const {
  return source_ + ":" + std::to_string(std::max(place.line, 1u)) + ":" +
         std::to_string(std::max(place.column, 1u)) + ": " + what;
}

void Complaints::add(const toml::source_position& place, const std::string& what) {
  if (errors_.size() < kErrorsMax) errors_.push_back({place, at(place, what)});
}

std::string Complaints::text() const {
  auto sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
  });
  std::string all;
  for (const auto& [place, error] : sorted) all += (all.empty() ? "" : "\n") + error;
  return all;
}

TableReader::TableReader(const toml::table* table, std::string name, toml::source_position place,
                         Complaints& complaints, std::vector<Setting>& settings)
    : table_(table),
      name_(std::move(name)),
      place_(place),
      complaints_(complaints),
      settings_(settings) {}

std::uint64_t TableReader::number(std::string_view key, std::uint64_t low, std::uint64_t high,
                                  std::optional<std::uint64_t> otherwise) {
  const toml::node* node = take(key);
  const std::string range = "from " + std::to_string(low) + " to " + std::to_string(high);
  std::uint64_t value = otherwise.value_or(low);
  if (node == nullptr) {
    if (!otherwise) wrong(key, "is missing; it has to be a whole number " + range);
  } else if (const auto* integer = node->as_integer(); integer == nullptr) {
    wrong(key, "has to be a whole number " + range + ", not " + name_of(node->type()));
  } else if (integer->get() < 0 || static_cast<std::uint64_t>(integer->get()) < low ||
             static_cast<std::uint64_t>(integer->get()) > high) {
    wrong(key, "is " + std::to_string(integer->get()) + "; it has to be " + range);
  } else {
    value = static_cast<std::uint64_t>(integer->get());
  }
  note(key, std::to_string(value), node);
  return value;
}

milliseconds TableReader::duration(std::string_view key, milliseconds low, milliseconds high,
                                   milliseconds otherwise) {
  const auto count = [](milliseconds d) { return static_cast<std::uint64_t>(d.count()); };
  return milliseconds(number(key, count(low), count(high), count(otherwise)));
}

bool TableReader::flag(std::string_view key, bool otherwise) {
  const toml::node* node = take(key);
  bool value = otherwise;
  if (node != nullptr && node->is_boolean()) value = node->as_boolean()->get();
  if (node != nullptr && !node->is_boolean()) {
    wrong(key, std::string("has to be true or false, not ") + name_of(node->type()));
  }
  note(key, value ? "true" : "false", node);
  return value;
}

std::string TableReader::text(std::string_view key, const std::string& what,
                              const std::optional<std::string>& otherwise) {
  const toml::node* node = take(key);
  std::string value = otherwise.value_or("");
  if (node == nullptr) {
    if (!otherwise) wrong(key, "is missing; it has to be " + what);
  } else if (!node->is_string()) {
    wrong(key, "has to be " + what + ", a string, not " + name_of(node->type()));
  } else if (node->as_string()->get().empty()) {
    wrong(key, "is empty; it has to be " + what);
  } else if (node->as_string()->get().find('\0') != std::string::npos) {
    wrong(key, "has a zero byte in it; it has to be " + what);
  } else {
    value = node->as_string()->get();
  }
  note(key, toml_string(value), node);
  return value;
}

const toml::array* TableReader::array(std::string_view key, const std::string& what) {
  const toml::node* node = take(key);
  if (node == nullptr) {
    wrong(key, "is missing; it has to be " + what);
    return nullptr;
  }
  if (!node->is_array()) {
    wrong(key, "has to be " + what + ", not " + name_of(node->type()));
    return nullptr;
  }
  note(key, print(*node), node);
  return node->as_array();
}

const toml::table* TableReader::table(std::string_view key) {
  const toml::node* node = take(key);
  if (node != nullptr && !node->is_table()) {
    wrong(key, std::string("has to be a table, [") + std::string(key) + "], not " +
                   name_of(node->type()));
  }
  return node == nullptr ? nullptr : node->as_table();
}

const toml::array* TableReader::tables(std::string_view key) {
  const toml::node* node = take(key);
  const bool right = node != nullptr && node->is_array_of_tables();
  if (node != nullptr && !right) {
    wrong(key, "has to be entries that begin with [[" + std::string(key) + "]] each");
  }
  return right ? node->as_array() : nullptr;
}

void TableReader::finish(const std::map<std::string, std::string>& keys_elsewhere) {
  if (table_ == nullptr) return;
  for (const auto& entry : *table_) {
    const toml::key& key = entry.first;
    if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
    complaints_.add(key.source().begin,
                    full(shown(key.str())) + ": " + advice(key.str(), keys_elsewhere));
  }
}

void TableReader::wrong(std::string_view key, const std::string& what) {
  complaints_.add(place(key), full(key) + " " + what);
}

toml::source_position TableReader::place(std::string_view key) const {
  const toml::node* node = peek(key);
  return node == nullptr ? place_ : node->source().begin;
}

std::string TableReader::full(std::string_view key) const {
  return (name_.empty() ? "" : "[" + name_ + "] ") + std::string(key);
}

const toml::node* TableReader::peek(std::string_view key) const {
  return table_ == nullptr ? nullptr : table_->get(key);
}

const toml::node* TableReader::take(std::string_view key) {
  known_.emplace_back(key);
  return peek(key);
}

void TableReader::note(std::string_view key, std::string value, const toml::node* node) {
  const std::size_t line = node == nullptr ? 0 : node->source().begin.line;
  settings_.push_back({name_, std::string(key), std::move(value), line});
}

std::string TableReader::advice(std::string_view key,
                                const std::map<std::string, std::string>& keys_elsewhere) const {
  if (std::find(kSplitBrainKeys.begin(), kSplitBrainKeys.end(), key) != kSplitBrainKeys.end()) {
    return "refused: locks are granted where more than half of all votes are together, and "
           "nothing may change that, or both halves of a split would grant the same lock; for "
           "two nodes add a third with witness = true";
  }
  const auto elsewhere = keys_elsewhere.find(std::string(key));
  if (elsewhere != keys_elsewhere.end()) {
    return "unknown key here; it belongs " + (elsewhere->second.empty()
                                                  ? "before the first table"
                                                  : "into " + bracketed(elsewhere->second));
  }
  const std::string* nearest = nullptr;
  std::size_t best = 1 + key.size() / 2;
  for (const std::string& candidate : known_) {
    const std::size_t d = distance(key.substr(0, 64), candidate);
    if (d < best) {
      best = d;
      nearest = &candidate;
    }
  }
  if (nearest != nullptr) return "unknown key; did you mean \"" + *nearest + "\"?";
  std::string all;
  for (const std::string& candidate : known_) all += (all.empty() ? "" : ", ") + candidate;
  return "unknown key; there are " + all;
}

}  // namespace lockd

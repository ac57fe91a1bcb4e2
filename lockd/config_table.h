// Tables of the configuration file: reads one key after another, notes what is wrong and where, and
// knows what is near to a key that there is not. Which keys there are is lockd/config.cc.
#pragma once

#include <toml++/toml.h>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "lockd/config.h"

namespace lockd {

// Text from the file, for an error on a terminal.
std::string shown(std::string_view text);

// Collects what is wrong, each with its place.
class Complaints {
 public:
  explicit Complaints(std::string source) : source_(std::move(source)) {}

  // file:line:column: what
  std::string at(const toml::source_position& place, const std::string& what) const;
  void add(const toml::source_position& place, const std::string& what);

  bool any() const { return !errors_.empty(); }

  // One a line, in the order of the file.
  std::string text() const;

 private:
  std::string source_;
  std::vector<std::pair<toml::source_position, std::string>> errors_;
};

// Each reading function answers the default, or something harmless, when it has complained. A key
// without a default has to be there.
class TableReader {
 public:
  // `table` is null if it is not in the file; `place` then stands for it. Those named last outlive
  // the reader.
  TableReader(const toml::table* table, std::string name, toml::source_position place,
              Complaints& complaints, std::vector<Setting>& settings);

  // A whole number in [low, high].
  std::uint64_t number(std::string_view key, std::uint64_t low, std::uint64_t high,
                       std::optional<std::uint64_t> otherwise = {});
  std::chrono::milliseconds duration(std::string_view key, std::chrono::milliseconds low,
                                     std::chrono::milliseconds high,
                                     std::chrono::milliseconds otherwise);
  bool flag(std::string_view key, bool otherwise);

  // Not empty, if it is there at all. `what` says what it has to be.
  std::string text(std::string_view key, const std::string& what,
                   const std::optional<std::string>& otherwise = {});

  template <typename Value>
  Value choice(std::string_view key, const std::vector<std::pair<std::string, Value>>& names,
               Value otherwise) {
    std::string what = "one of";
    std::string fallback;
    for (const auto& [name, value] : names) {
      what += " \"" + name + "\"";
      if (value == otherwise) fallback = name;
    }
    const std::string given = text(key, what, fallback);
    for (const auto& [name, value] : names) {
      if (name == given) return value;
    }
    wrong(key, "is \"" + shown(given) + "\"; it has to be " + what);
    return otherwise;
  }

  // Null if it is not there, after a complaint.
  const toml::array* array(std::string_view key, const std::string& what);

  // Null if it is not there.
  const toml::table* table(std::string_view key);

  // The [[key]] entries; null if there are none.
  const toml::array* tables(std::string_view key);

  // To be called when all keys of all tables were read: complains about the others.
  // `keys_elsewhere` has the name of its table for every key that there is.
  void finish(const std::map<std::string, std::string>& keys_elsewhere);

  void wrong(std::string_view key, const std::string& what);
  toml::source_position place(std::string_view key) const;
  bool has(std::string_view key) const { return peek(key) != nullptr; }

  // The key with its table, as errors name it.
  std::string full(std::string_view key) const;

  const std::string& name() const { return name_; }
  const std::vector<std::string>& known() const { return known_; }

 private:
  const toml::node* peek(std::string_view key) const;
  const toml::node* take(std::string_view key);
  void note(std::string_view key, std::string value, const toml::node* node);
  std::string advice(std::string_view key,
                     const std::map<std::string, std::string>& keys_elsewhere) const;

  const toml::table* table_;
  std::string name_;
  toml::source_position place_;
  Complaints& complaints_;
  std::vector<Setting>& settings_;
  std::vector<std::string> known_;  // The keys that were read: those that there are.
};

}  // namespace lockd

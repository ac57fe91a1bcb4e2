// The daemon's log: one line for each event, for people or as JSON. It owns the form of a line and
// its limits; what is worth a line is for the callers, who pass constants as messages and
// everything variable as fields.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lockd {

enum class LogLevel : std::uint8_t { error, warning, info, debug };
enum class LogFormat : std::uint8_t { text, json };

std::string_view to_string(LogLevel level);

// A key and a value. Values may hold any bytes: what is not printable ASCII is escaped.
struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) LogField(std::string_view k, Number v)
      : key(k), value(std::to_string(v)), quoted(false) {}

  std::string_view key;
  std::string value;
  bool quoted = true;  // In JSON.
};

using LogFields = std::initializer_list<LogField>;

// Longer values and messages are cut, and fields that do not fit into a line are left out.
constexpr std::size_t kLogValueBytesMax = 512;
constexpr std::size_t kLogLineBytesMax = 4000;

// The line, without its end. `utc` is the time since 1970.
std::string format_log_line(LogFormat format, std::chrono::nanoseconds utc, LogLevel level,
                            std::string_view message, LogFields fields);

// Lets the first few of equal messages through, then some again when `interval` has passed, and
// counts the others.
class RepeatLimit {
 public:
  RepeatLimit(base::Duration interval, std::uint64_t burst) : interval_(interval), burst_(burst) {}

  struct Verdict {
    bool write = false;
    std::uint64_t suppressed = 0;  // Since the last one that was written.
  };
  Verdict ask(std::string_view message, base::Duration now);

 private:
  struct Count {
    base::Duration since{0};
    std::uint64_t written = 0;
    std::uint64_t suppressed = 0;
  };

  base::Duration interval_;
  std::uint64_t burst_;
  std::map<std::string, Count, std::less<>> counts_;
};

// Writes to a file descriptor, which it borrows, one write for a line. Never blocks: a line for
// which a pipe has no room is lost, and counted. Can be called from any thread, but for repeated().
class Log {
 public:
  Log(int fd, LogLevel level, LogFormat format);

  bool writes(LogLevel level) const { return level <= level_; }

  void error(std::string_view message, LogFields fields = {}) const;
  void warning(std::string_view message, LogFields fields = {}) const;
  void info(std::string_view message, LogFields fields = {}) const;
  void debug(std::string_view message, LogFields fields = {}) const;

  // For what can happen at any rate: of equal messages at most 5 in 10 seconds are written; the
  // next one says how many were not. From one thread only.
  void repeated(LogLevel level, std::string_view message, LogFields fields = {});

  std::uint64_t lost() const { return lost_; }

 private:
  void write(LogLevel level, std::string_view message, LogFields fields) const;

  int fd_;
  LogLevel level_;
  LogFormat format_;
  RepeatLimit limit_{std::chrono::seconds(10), 5};
  mutable std::atomic<std::uint64_t> lost_{0};
};

}  // namespace lockd

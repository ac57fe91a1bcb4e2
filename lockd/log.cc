#include "lockd/log.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cstdio>
#include <ctime>
#include <utility>

namespace lockd {

namespace {

constexpr std::size_t kRepeatedMessagesMax = 256;
constexpr std::size_t kLevelWidth = 9;

// A pipe that poll() calls writable takes so much at once.
static_assert(kLogLineBytesMax < PIPE_BUF);

bool printable(char c) {
  return c >= ' ' && c <= '~';
}

// Printable ASCII as it is, every other byte as \xNN. What is too long ends in "...".
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= kLogValueBytesMax) return out + "...";
    if (c == '\\') {
      out += "\\\\";
    } else if (printable(c)) {
      out += c;
    } else {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02x",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += hex;
    }
  }
  return out;
}

// A string of JSON; `text` is printable ASCII.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string text_value(const std::string& escaped_value) {
  const bool plain =
      !escaped_value.empty() && escaped_value.find_first_of(" =\"") == std::string::npos;
  if (plain) return escaped_value;
  std::string out = "\"";
  for (const char c : escaped_value) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + "\"";
}

// 2026-11-22T15:04:05.123456789Z, with so many digits of the fraction.
std::string timestamp(std::chrono::nanoseconds utc, int digits, char between) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(utc);
  const std::time_t time = seconds.count();
  std::tm parts{};
  gmtime_r(&time, &parts);
  char date[80];
  std::snprintf(date, sizeof date, "%04d-%02d-%02d%c%02d:%02d:%02d", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, between, parts.tm_hour, parts.tm_min,
                parts.tm_sec);
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%09ld", static_cast<long>((utc - seconds).count()));
  return std::string(date) + std::string(fraction).substr(0, static_cast<std::size_t>(digits) + 1) +
         "Z";
}

}  // namespace

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return "error";
    case LogLevel::warning:
      return "warning";
    case LogLevel::info:
      return "info";
    case LogLevel::debug:
      return "debug";
  }
  return "?";
}

std::string format_log_line(LogFormat format, std::chrono::nanoseconds utc, LogLevel level,
                            std::string_view message, LogFields fields) {
  const bool json = format == LogFormat::json;
  std::string line;
  if (json) {
    line = "{\"ts\":\"" + timestamp(utc, 9, 'T') + "\",\"level\":\"" +
           std::string(to_string(level)) + "\",\"msg\":" + json_string(escaped(message));
  } else {
    std::string name(to_string(level));
    name.resize(kLevelWidth, ' ');
    line = timestamp(utc, 3, ' ') + " " + name + escaped(message);
  }
  for (const LogField& field : fields) {
    const std::string key = escaped(field.key);
    const std::string value = escaped(field.value);
    const std::string whole =
        json ? "," + json_string(key) + ":" + (field.quoted ? json_string(value) : value)
             : " " + key + "=" + text_value(value);
    if (line.size() + whole.size() + 1 > kLogLineBytesMax) break;
    line += whole;
  }
  return json ? line + "}" : line;
}

RepeatLimit::Verdict RepeatLimit::ask(std::string_view message, base::Duration now) {
  auto at = counts_.find(message);
  if (at == counts_.end()) {
    // Messages are constants; should somebody forget that, the rest share one count.
    const bool room = counts_.size() < kRepeatedMessagesMax;
    at = counts_.try_emplace(room ? std::string(message) : std::string(), Count{now, 0, 0}).first;
  }
  Count& count = at->second;
  if (now - count.since >= interval_) {
    count.since = now;
    count.written = 0;
  }
  if (count.written >= burst_) {
    ++count.suppressed;
    return {};
  }
  ++count.written;
  return {true, std::exchange(count.suppressed, 0)};
}

Log::Log(int fd, LogLevel level, LogFormat format) : fd_(fd), level_(level), format_(format) {}

void Log::error(std::string_view message, LogFields fields) const {
  write(LogLevel::error, message, fields);
}
void Log::warning(std::string_view message, LogFields fields) const {
  write(LogLevel::warning, message, fields);
}
void Log::info(std::string_view message, LogFields fields) const {
  write(LogLevel::info, message, fields);
}
void Log::debug(std::string_view message, LogFields fields) const {
  write(LogLevel::debug, message, fields);
}

void Log::repeated(LogLevel level, std::string_view message, LogFields fields) {
  if (!writes(level)) return;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const RepeatLimit::Verdict verdict = limit_.ask(message, now);
  if (!verdict.write) return;
  if (verdict.suppressed > 0) {
    write(level, "more of the next message were not written",
          {{"message", message}, {"suppressed", verdict.suppressed}});
  }
  write(level, message, fields);
}

void Log::write(LogLevel level, std::string_view message, LogFields fields) const {
  if (!writes(level)) return;
  const auto utc = std::chrono::system_clock::now().time_since_epoch();
  const std::string line = format_log_line(format_, utc, level, message, fields) + "\n";
  // Whoever reads the log may be stopped. That must not stop the daemon, so the line is lost.
  pollfd ready{fd_, POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1 || ::write(fd_, line.data(), line.size()) < 0) ++lost_;
}

}  // namespace lockd

#include "tools/lockctl/duration.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace tools::lockctl {
namespace {

struct Unit {
  std::string_view name;
  base::Duration size;
};

constexpr std::array<Unit, 7> kUnits = {{
    {"ns", std::chrono::nanoseconds(1)},
    {"us", std::chrono::microseconds(1)},
    {"ms", std::chrono::milliseconds(1)},
    {"s", std::chrono::seconds(1)},
    {"m", std::chrono::minutes(1)},
    {"h", std::chrono::hours(1)},
    {"d", std::chrono::hours(24)},
}};

constexpr base::Duration kLongest = std::chrono::hours(24 * 365);

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A number and its unit, taken off the front of `text`; nothing if it does not begin with one.
class Term {
 public:
  explicit Term(std::string_view& text) : text_(text) {}

  bool read() {
    const bool whole = read_whole();
    const bool fraction = read_fraction();
    return (whole || fraction) && !too_long_ && read_unit();
  }
  bool bare() const { return bare_; }
  bool too_long() const { return too_long_; }
  base::Duration value() const { return value_; }

 private:
  bool read_whole() {
    const std::size_t before = text_.size();
    for (; !text_.empty() && is_digit(text_[0]); text_.remove_prefix(1)) {
      whole_ = whole_ * 10 + (text_[0] - '0');
      too_long_ = too_long_ || whole_ > kLongest.count();
      if (too_long_) whole_ = 0;
    }
    return text_.size() != before;
  }

  // Digits beyond the ninth are below every clock and are dropped.
  bool read_fraction() {
    if (text_.size() < 2 || text_[0] != '.' || !is_digit(text_[1])) return false;
    text_.remove_prefix(1);
    for (; !text_.empty() && is_digit(text_[0]); text_.remove_prefix(1)) {
      if (scale_ == 1'000'000'000) continue;
      fraction_ = fraction_ * 10 + (text_[0] - '0');
      scale_ *= 10;
    }
    return true;
  }

  bool read_unit() {
    std::size_t length = 0;
    while (length < text_.size() && text_[length] >= 'a' && text_[length] <= 'z') ++length;
    const std::string_view name = text_.substr(0, length);
    bare_ = name.empty();
    for (const Unit& unit : kUnits) {
      if (unit.name != (bare_ ? "s" : name)) continue;
      text_.remove_prefix(length);
      too_long_ = whole_ > kLongest / unit.size;
      if (too_long_) return false;
      // The fraction of a day overflows 64 bits in one product: whole units first, then the rest.
      const std::int64_t size = unit.size.count();
      value_ = base::Duration(whole_ * size + size / scale_ * fraction_ +
                              size % scale_ * fraction_ / scale_);
      return true;
    }
    return false;
  }

  std::string_view& text_;
  std::int64_t whole_ = 0;
  std::int64_t fraction_ = 0;
  std::int64_t scale_ = 1;
  base::Duration value_{0};
  bool bare_ = false;
  bool too_long_ = false;
};

}  // namespace

base::Result<base::Duration, std::string> parse_duration(std::string_view text) {
  const std::string advice =
      "\"" + std::string(text) + "\" is not a duration; write for example 500ms, 5s, 1m30s or 2h";
  base::Duration sum{0};
  std::string_view rest = text;
  bool first = true;
  do {
    Term term(rest);
    const bool good = term.read();
    if (term.too_long()) return base::error("\"" + std::string(text) + "\" is over a year");
    // A number without a unit stands alone.
    if (!good || (term.bare() && (!first || !rest.empty()))) return base::error(advice);
    sum += term.value();
    if (sum > kLongest) return base::error("\"" + std::string(text) + "\" is over a year");
    first = false;
  } while (!rest.empty());
  return sum;
}

std::string format_duration(base::Duration duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  std::array<char, 64> out{};
  if (seconds < 1e-3) {
    std::snprintf(out.data(), out.size(), "%.3gus", seconds * 1e6);
  } else if (seconds < 1) {
    std::snprintf(out.data(), out.size(), "%.3gms", seconds * 1e3);
  } else if (seconds < 60) {
    std::snprintf(out.data(), out.size(), "%.3gs", seconds);
  } else {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    if (whole < 3600) {
      std::snprintf(out.data(), out.size(), "%lldm%llds", static_cast<long long>(whole / 60),
                    static_cast<long long>(whole % 60));
    } else {
      std::snprintf(out.data(), out.size(), "%lldh%lldm", static_cast<long long>(whole / 3600),
                    static_cast<long long>(whole / 60 % 60));
    }
  }
  return out.data();
}

}  // namespace tools::lockctl

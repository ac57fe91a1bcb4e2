#include "tests/scenarios/words.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace scenarios {

Words::Words(std::size_t line, std::string_view text, Number nodes) : line_(line), nodes_(nodes) {
  std::istringstream in{std::string(text.substr(0, text.find('#')))};
  for (std::string word; in >> word;) words_.push_back(word);
}

void Words::fail(const std::string& what) const {
  throw Failure{line_, what};
}

const std::string& Words::take(std::string_view what) {
  if (!more()) fail("the line ends where " + std::string(what) + " is wanted");
  return words_[next_++];
}

bool Words::take_if(std::string_view word) {
  if (!more() || words_[next_] != word) return false;
  ++next_;
  return true;
}

void Words::expect(std::string_view word) {
  if (!take_if(word)) {
    fail("`" + std::string(word) + "` is wanted, not " +
         (more() ? "`" + words_[next_] + "`" : "the end of the line"));
  }
}

std::uint64_t Words::number_of(std::string_view text, std::string_view what) const {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(std::string(what) + " is wanted, not `" + std::string(text) + "`");
  }
  return number;
}

std::uint64_t Words::count(std::string_view what) {
  return number_of(take(what), what);
}

base::Duration Words::duration() {
  const std::string& word = take("a duration such as 20ms");
  const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
  const std::string unit = word.substr(digits);
  const auto number = static_cast<std::int64_t>(
      number_of(std::string_view(word).substr(0, digits), "a duration such as 20ms"));
  if (number > 1'000'000) fail("a duration of at most 1000000 of its unit is wanted");
  if (unit == "s") return std::chrono::seconds(number);
  if (unit == "ms") return std::chrono::milliseconds(number);
  if (unit == "us") return std::chrono::microseconds(number);
  fail("a duration is wanted in s, ms or us, not `" + word + "`");
}

std::vector<Number> Words::nodes_of(std::string_view text) const {
  std::vector<Number> found;
  if (text == "*") {
    for (Number number = 1; number <= nodes_; ++number) found.push_back(number);
    return found;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::uint64_t number = number_of(text.substr(begin, end - begin), "a node's number");
    if (number == 0 || number > nodes_) fail("there is no node " + std::to_string(number));
    if (!found.empty() && number <= found.back()) fail("nodes are named in order, each once");
    found.push_back(static_cast<Number>(number));
    begin = end + 1;
  }
  return found;
}

std::vector<Number> Words::nodes() {
  return nodes_of(take("nodes such as 1,2"));
}

Number Words::node() {
  const auto found = nodes_of(take("a node's number"));
  if (found.size() != 1) fail("one node is wanted");
  return found.front();
}

std::vector<Link> Words::links() {
  const std::string& word = take("a link such as 1>2 or 1-2");
  const std::size_t sign = word.find_first_of(">-");
  if (sign == std::string::npos) fail("a link such as 1>2 or 1-2 is wanted, not `" + word + "`");
  std::vector<Link> found;
  for (Number from : nodes_of(std::string_view(word).substr(0, sign))) {
    for (Number to : nodes_of(std::string_view(word).substr(sign + 1))) {
      if (from == to) continue;
      found.emplace_back(from, to);
      if (word[sign] == '-') found.emplace_back(to, from);
    }
  }
  if (found.empty()) fail("`" + word + "` is no link");
  return found;
}

std::string Words::name(std::string_view what) {
  const std::string& word = take(what);
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  if (word.find_first_not_of(kLetters) != std::string::npos) {
    fail(std::string(what) + " is of letters, digits and _, which `" + word + "` is not");
  }
  return word;
}

void Words::end() {
  if (more()) fail("the line should end before `" + words_[next_] + "`");
}

}  // namespace scenarios

// The words of one line of a scenario, taken from left to right. What does not fit is reported with
// the number of the line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "tests/unit/evs/test_ring.h"

namespace scenarios {

using evs::Number;

// Thrown where a scenario makes no sense, or comes out differently: which line, and why.
struct Failure {
  std::size_t line = 0;
  std::string what;
};

using Link = std::pair<Number, Number>;  // From, to.

class Words {
 public:
  // The words of `text`, which is line `line` of its file and a cluster of `nodes` is spoken of.
  Words(std::size_t line, std::string_view text, Number nodes);

  std::size_t line() const { return line_; }
  bool more() const { return next_ < words_.size(); }

  // The next word; `what` says what is wanted, for the message if there is none.
  const std::string& take(std::string_view what);

  // Takes the next word if it is this one.
  bool take_if(std::string_view word);

  void expect(std::string_view word);
  std::uint64_t count(std::string_view what);
  base::Duration duration();                // 5s, 20ms, 300us
  Number node();                            // 3
  std::vector<Number> nodes();              // 1,2,3 or *
  std::vector<Link> links();                // 1>2  1,2>*  or both ways: 1-2
  std::string name(std::string_view what);  // Of letters, digits and '_'.
  void end();

  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::vector<Number> nodes_of(std::string_view text) const;
  std::uint64_t number_of(std::string_view text, std::string_view what) const;

  std::size_t line_;
  Number nodes_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

}  // namespace scenarios

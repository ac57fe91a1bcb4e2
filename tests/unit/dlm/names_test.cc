#include "dlm/names.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "base/random.h"

namespace dlm {

TEST_CASE("names of every length are kept, removed and their space used again") {
  base::Random random(1);
  Names names;
  std::map<std::uint32_t, std::string> expected;
  std::size_t memory_when_full = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5000; ++i) {
      std::string name(random.below(256), '\0');
      for (char& c : name) c = static_cast<char>(random.below(256));
      const auto ref = static_cast<std::uint32_t>(names.add(base::bytes_of(name)));
      CHECK(expected.emplace(ref, name).second);
    }
    for (const auto& [ref, name] : expected) {
      CHECK(base::text_of(names[NameRef{ref}]) == name);
    }
    if (round == 0) memory_when_full = names.memory();
    for (const auto& [ref, name] : expected) names.remove(NameRef{ref});
    expected.clear();
  }
  CHECK(names.memory() < memory_when_full * 3 / 2);
}

}  // namespace dlm

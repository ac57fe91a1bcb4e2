#include "tests/bench/load/words.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace tests::load {

double number_of(const std::string& word, double least, double most) {
  char* end = nullptr;
  const double number = std::strtod(word.c_str(), &end);
  if (word.empty() || *end != 0 || !(number >= least && number <= most))
    throw Usage(word + ": not a number from " + std::to_string(least) + " to " +
                std::to_string(most));
  return number;
}

std::size_t count_of(const std::string& word, std::size_t least, std::size_t most) {
  return static_cast<std::size_t>(
      number_of(word, static_cast<double>(least), static_cast<double>(most)));
}

base::Duration time_of(const std::string& word, base::Duration unit, base::Duration most) {
  const auto units = static_cast<double>(unit.count());
  return base::Duration(static_cast<std::int64_t>(
      number_of(word, 0, static_cast<double>(most.count()) / units) * units));
}

int run_program(const char* name, int argc, char** argv,
                void (*run)(const std::vector<std::string>& words)) {
  try {
    run({argv + 1, argv + argc});
  } catch (const Usage& usage) {
    std::fprintf(stderr, "%s: %s\n", name, usage.what());
    return 64;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s: %s\n", name, failure.what());
    return 69;
  }
  return 0;
}

}  // namespace tests::load

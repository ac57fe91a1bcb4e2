// What a load program is asked by the words of its command line.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "base/time.h"

namespace tests::load {

struct Usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// These throw Usage, with a sentence, if the word says nothing like that.
double number_of(const std::string& word, double least, double most);
std::size_t count_of(const std::string& word, std::size_t least, std::size_t most);
base::Duration time_of(const std::string& word, base::Duration unit, base::Duration most);

// The whole of main(): 0; 64 after Usage, 69 after another failure, with a line on standard error.
int run_program(const char* name, int argc, char** argv,
                void (*run)(const std::vector<std::string>& words));

}  // namespace tests::load

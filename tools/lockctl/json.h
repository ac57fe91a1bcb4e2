// Answers for programs: one JSON object each, on one line that is ended. Numbers are numbers; ids
// of 64 random bits are hexadecimal text, since many readers of JSON keep 53 bits only; a name that
// is not UTF-8 is escaped as in the text.
#pragma once

#include <string>
#include <vector>

#include "tools/lockctl/answers.h"
#include "tools/lockctl/failure.h"

namespace tools::lockctl {

// What became of a wrapped command.
struct RunReport {
  std::string name;
  std::uint64_t token = 0;
  int exit_code = 0;
  bool lost = false;
  base::Duration waited{0};
  base::Duration held{0};
};

std::string json_of(const Listing& listing);
std::string json_of(const FullStatus& status);
std::string json_of(const RingLog& log);
std::string json_of(const Reasons& reasons);
std::string json_of(const std::vector<Member>& members);
std::string json_of(const KeyListing& listing);
std::string json_of(const KeyUse& use);
std::string json_of(const EvsMessage& message);
std::string json_of(const EvsConfiguration& configuration);
std::string json_of(const EvsMembers& members);
std::string json_of(const RunReport& report);
std::string json_of(const Failure& failure);
std::string json_of_key_file(const std::string& file);

}  // namespace tools::lockctl

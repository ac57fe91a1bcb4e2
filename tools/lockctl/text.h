// Answers for people: aligned tables and sentences, each line ended. Bytes that could hurt a
// terminal are escaped.
#pragma once

#include <string>
#include <vector>

#include "tools/lockctl/answers.h"

namespace tools::lockctl {

std::string text_of(const Listing& listing);
std::string text_of(const FullStatus& status);
std::string text_of(const RingLog& log);
std::string text_of(const Reasons& reasons);
std::string text_of(const std::vector<Member>& members);
std::string text_of(const KeyListing& listing);
std::string text_of(const KeyUse& use);
std::string text_of(const EvsMessage& message);
std::string text_of(const EvsConfiguration& configuration);
std::string text_of(const EvsMembers& members);

}  // namespace tools::lockctl

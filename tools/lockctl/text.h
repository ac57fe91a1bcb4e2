// Answers for people: aligned tables and sentences, each line ended. Bytes that could hurt a
// terminal are escaped.
#pragma once

#include <string>
#include <vector>

#include "tools/lockctl/answers.h"

namespace tools::lockctl {

std::string text_of(const Listing& listing);
std::string text_of(const Showing& showing);
std::string text_of(const Status& status);
std::string text_of(const std::vector<Member>& members);
std::string text_of(const KeyListing& listing);
std::string text_of(const KeyUse& use);

}  // namespace tools::lockctl

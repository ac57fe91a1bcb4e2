// Barriers and their outcomes for people (text.h) and for programs (json.h).
#pragma once

#include <string>

#include "tools/lockctl/answers.h"

namespace tools::lockctl {

// Of one that was released: the generation; or for each participant its node and its value.
std::string text_of(const BarrierOutcome& outcome, bool values);
std::string json_of(const BarrierOutcome& outcome);

// A sentence of one that was broken: why, and who died.
std::string reason_of(const BarrierOutcome& outcome);

std::string text_of(const BarrierListing& listing);
std::string json_of(const BarrierListing& listing);

}  // namespace tools::lockctl

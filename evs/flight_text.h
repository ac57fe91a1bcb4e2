// The flight recorder's records in words, for logs and people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "evs/trace.h"

namespace evs {

// One record, without its time, event and ring. `nodes` are the configured ones, sorted.
std::string describe(const std::vector<base::NodeId>& nodes, const TraceRecord& record);

// "node 3"; "boot 9f2c"; "312ms".
std::string name_of(base::NodeId node);
std::string boot_of(const base::Processor& processor);
std::string in_words(base::Duration duration);

// The nodes of a record's `members`, as ids and in words.
std::vector<base::NodeId> nodes_of(const std::vector<base::NodeId>& nodes, std::uint32_t members);
std::string nodes_in_words(const std::vector<base::NodeId>& nodes, std::uint32_t members);

// Whether it is about one processor.
bool is_about_one(const TraceRecord& record);

// Of a member_departed, a token_lost and a member_joined.
std::string not_heard(const TraceRecord& departed);
std::string sent_again(const TraceRecord& lost);
std::string why_came(const TraceRecord& joined);

}  // namespace evs

// What a daemon tells of the ring, for people: rows of `lockctl status`, and the screen of its
// --ring.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/lockctl/answers.h"
#include "tools/lockctl/table.h"

namespace tools::lockctl {

// Rows of two cells.
std::vector<Row> ring_rows(const Status& status, const RingStatus& ring);

std::string ring_details(const Status& status, const RingStatus& ring);

}  // namespace tools::lockctl

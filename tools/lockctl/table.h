// Aligned columns for people.
#pragma once

#include <string>
#include <vector>

namespace tools::lockctl {

using Row = std::vector<std::string>;

// Columns as wide as their widest cell, the last one as it comes; each line ended. All rows have as
// many cells, and there is one at least.
std::string table(const std::vector<Row>& rows);

}  // namespace tools::lockctl

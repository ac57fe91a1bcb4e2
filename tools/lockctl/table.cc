#include "tools/lockctl/table.h"

#include <algorithm>

namespace tools::lockctl {

std::string table(const std::vector<Row>& rows) {
  const Row::size_type columns = rows.front().size();
  std::vector<std::size_t> widths(columns, 0);
  for (const Row& row : rows) {
    for (Row::size_type i = 0; i < columns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    for (Row::size_type i = 0; i < columns; ++i) {
      out += row[i];
      if (i + 1 < columns) out.append(widths[i] - row[i].size() + 2, ' ');
    }
    while (out.back() == ' ') out.pop_back();
    out += '\n';
  }
  return out;
}

}  // namespace tools::lockctl

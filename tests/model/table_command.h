// One request to a lock table as a plain value: drawn, executed, printed, left out of a history. It
// names locks by session and request, so it stays meaningful when others before it are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dlm/lock.h"
#include "dlm/table.h"

namespace model {

struct Command {
  enum class Kind { acquire, convert, release, cancel, adopt, end, reload };

  Kind kind = Kind::acquire;
  dlm::LockName lock;    // Of an end: the session alone.
  dlm::LockName orphan;  // Of an adoption.
  dlm::RequestId request{};
  int resource = 0;
  dlm::Mode mode = dlm::Mode::nl;
  dlm::LockFlags flags = 0;
  dlm::Owner owner{};
  std::optional<unsigned char> value{};  // Each byte of it.
  bool wrong_token = false;
  dlm::Status why = dlm::Status::withdrawn;
  dlm::Ending ending = dlm::Ending::closed;
  std::size_t budget = 1;
};

// "convert 2/3 as 7 to EX QUECVT|VALBLK value 9"
std::string text(const Command& command);
std::string text(dlm::LockName name);

// Few resources in two lockspaces.
const std::string& lockspace_of(int resource);
const std::string& name_of(int resource);
dlm::ResourceName full_name_of(int resource);

std::optional<dlm::ValueBlock> block_of(std::optional<unsigned char> value);

// As the caller of a table does it: with the token that the lock has. An end takes one step.
void execute(dlm::Table& table, const Command& command, dlm::Effects& effects);

}  // namespace model

#pragma once
#include "dlm/table.h"
namespace model {
class DeadlockJudge {
 public:
  explicit DeadlockJudge(const dlm::Table&) {}
};
}  // namespace model

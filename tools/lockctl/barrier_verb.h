// The options of `lockctl barrier`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tools/lockctl/options.h"

namespace tools::lockctl {

class BarrierVerb {
 public:
  CLI::App* add_to(CLI::App& app);

  // As parsed; throws what CLI11 understands.
  BarrierOptions options() const;

 private:
  unsigned parties() const;

  CLI::App* verb_ = nullptr;
  BarrierOptions options_;
  std::string parties_;
  std::string on_death_;
  std::string patience_;
  std::string wait_;
  std::string value_;
  bool cancel_ = false;
  bool delete_ = false;
};

}  // namespace tools::lockctl

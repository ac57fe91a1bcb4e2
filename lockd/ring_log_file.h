// Where a daemon that ends by a failed CHECK leaves what happened to its ring: a file in the state
// folder with what `lockctl ring-log` would have said. It reads the flight recorder and nothing
// else, since what the CHECK was about can not be trusted.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/last_words.h"
#include "evs/flight_recorder.h"
#include "lockd/log.h"

namespace lockd {

// The process's last words from its construction to its end.
class RingLogFile final : public base::LastWords {
 public:
  // The first file that does not exist yet is written, else the last one again. So a daemon that
  // is started and fails over and over leaves how it began and how it goes on.
  static constexpr int kFilesMax = 4;
  static std::string path(const std::string& state_dir, int number);

  // Of one file; longer lines are cut.
  static constexpr std::size_t kLineBytesMax = 512;
  static constexpr std::size_t kLinesMax = evs::FlightRecorder::kRecordsMax + 4;

  // `nodes` are the configured ones, sorted. `recorder` and `log` outlive it.
  RingLogFile(std::string state_dir, const base::Processor& self, std::vector<base::NodeId> nodes,
              const evs::FlightRecorder& recorder, const Log& log);
  ~RingLogFile() override;
  RingLogFile(const RingLogFile&) = delete;
  RingLogFile& operator=(const RingLogFile&) = delete;

  // Tells the log which file it is, or why there is none. If this takes longer than a few seconds,
  // the process ends without the rest.
  void say(const char* failure) noexcept override;

 private:
  bool write_all(int fd, const char* failure) const;

  const std::string state_dir_;
  const base::Processor self_;
  const std::vector<base::NodeId> nodes_;
  const evs::FlightRecorder& recorder_;
  const Log& log_;
};

}  // namespace lockd

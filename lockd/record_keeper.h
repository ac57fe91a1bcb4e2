// This node's record: what is durable, and what is to become so, with one write under way at a
// time, so that a late write of an old attempt never overwrites a newer one [rule 7.C]. What it
// says is decided by the replica.
#pragma once

#include <cstdint>
#include <optional>

#include "lockd/record.h"

namespace lockd {

// A write of the record that the driver is to make durable: encode_record(record) into
// slot_of(record.generation), then fdatasync, then Replica::handle_record_written(id).
struct RecordWrite {
  std::uint64_t id = 0;
  Record record;
};

class RecordKeeper {
 public:
  explicit RecordKeeper(std::optional<Record> durable) : durable_(std::move(durable)) {}

  // What is on disk for certain. None: this node is an amnesiac, and nothing is ever written.
  const std::optional<Record>& durable() const { return durable_; }
  bool voter() const { return durable_ && durable_->role == RecordRole::voter; }

  // Replaces what is wanted and not under way yet. The generation is set here.
  void want(Record record) { wanted_ = std::move(record); }
  void forget_wanted() { wanted_.reset(); }

  // What is or will be durable if all goes well: what the next change starts from.
  const Record& latest() const {
    return wanted_ ? *wanted_ : under_way_ ? under_way_->record : *durable_;
  }

  std::optional<RecordWrite> poll();

  // True if that was the write under way, and it is durable now.
  bool written(std::uint64_t id, bool ok);

 private:
  std::optional<Record> durable_;
  std::optional<Record> wanted_;
  std::optional<RecordWrite> under_way_;
  std::uint64_t last_id_ = 0;
};

}  // namespace lockd

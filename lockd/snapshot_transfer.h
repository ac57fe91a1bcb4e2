// The table on its way to members that have none: the image at its server, cut into chunks, and the
// staging at a newcomer, which is no table before its READY. When they are sent, kept and dropped
// is the replica's business [rules 6.16, 7.A3, 7.B1-B8 of docs/safety.md].
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <variant>

#include "base/bytes.h"
#include "evs/event.h"
#include "lockd/lineage.h"
#include "lockd/ring_message.h"
#include "lockd/state.h"

namespace lockd {

// The image of a table at the place of a SNAPSHOT in the order.
class SnapshotServer {
 public:
  SnapshotServer(const SnapshotId& id, const State& state);

  const SnapshotId& id() const { return id_; }

  // The next chunk to multicast; none if all are, or too many are under way.
  std::optional<Chunk> next(std::size_t bytes, std::size_t under_way);

  // One of its chunks was delivered here.
  void delivered();

  // The ring has changed: what was under way may be lost, and nothing goes on before resume().
  void interrupt();

  // Somebody wants the rest from here on.
  void resume(std::uint64_t offset);

  // Nothing is left to send or under way.
  bool idle() const;

 private:
  SnapshotId id_;
  base::Buffer image_;
  std::uint64_t digest_ = 0;
  std::uint64_t next_ = 0;
  std::size_t under_way_ = 0;
};

// What a newcomer has so far.
class Staging {
 public:
  // Begins at the delivery of a SNAPSHOT in an active epoch; `lineage` is that of the epoch's
  // tables.
  Staging(const SnapshotId& id, Lineage lineage, const StateLimits& limits,
          std::size_t log_bytes_max);

  const SnapshotId& id() const { return id_; }
  Lineage& lineage() { return lineage_; }
  const Lineage& lineage() const { return lineage_; }

  // Hears of each step that is replayed, and of the state after it.
  using Replayed = std::function<void(const evs::Delivery&, const State&, const Effects&)>;

  // What the order brings after the SNAPSHOT: the delivery of a command or of an ACTIVATE. False if
  // the log is full: the staging is of no use any more.
  bool log(const evs::Delivery& delivery, const Replayed& replayed);

  // A chunk; one that does not continue what is here is ignored. True if it was the last one and
  // the state, loaded and brought up to date, is there now.
  bool add(const Chunk& chunk, const Replayed& replayed);

  // Bytes of the image that are here.
  std::uint64_t offset() const { return image_.size(); }

  bool complete() const { return state_.has_value(); }

  // The image was no state, or not the one that was promised: a bug on one side.
  bool broken() const { return broken_; }

  // Of the image, as the holders saw it at the SNAPSHOT.
  std::uint64_t image_digest() const { return image_digest_; }

  // The table, when READY was delivered.
  State take();

 private:
  void replay(const evs::Delivery& delivery, const Replayed& replayed);
  void load(const Replayed& replayed);

  SnapshotId id_;
  Lineage lineage_;
  StateLimits limits_;
  std::size_t log_bytes_max_;
  base::Buffer image_;
  std::uint64_t image_digest_ = 0;
  std::size_t log_bytes_ = 0;
  std::deque<evs::Delivery> log_;
  std::optional<State> state_;
  bool broken_ = false;
};

// Applies an ACTIVATE that has a donor to a table of that donor's label.
void apply_activate(const Activate& activate, State& state, Effects& effects);

}  // namespace lockd

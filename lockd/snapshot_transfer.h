// The table on its way to members that have none: the image at its server, cut into chunks, and the
// staging at a newcomer, which is no table before its READY. Both go in bounded steps; when they
// are sent, kept and dropped is the replica's business [rules 6.16, 7.A3, 7.B1-B9 of
// docs/safety.md].
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "evs/event.h"
#include "lockd/image_loader.h"
#include "lockd/image_writer.h"
#include "lockd/lineage.h"
#include "lockd/ring_message.h"
#include "lockd/state.h"

namespace lockd {

// The image of a table at the place of a SNAPSHOT in the order, written as it is sent, and kept for
// those that want the rest of it once more.
class SnapshotServer {
 public:
  // A chunk has so many bytes, but for the last; the digest is the state's.
  SnapshotServer(const SnapshotId& id, std::uint64_t digest, std::size_t chunk_bytes);

  // To be called before next(): the image is of the state as it is now, which may go on at once. A
  // second call does nothing. One server of a state at a time: CHECK.
  void freeze(State& state);

  const SnapshotId& id() const { return id_; }

  // The next chunk to multicast, which is written now if it was not before; none if all are sent,
  // or too many are under way.
  std::optional<Chunk> next(std::size_t under_way);

  // One of its chunks was delivered here.
  void delivered();

  // The ring has changed: what was under way may be lost, and nothing goes on before resume().
  void interrupt();

  // Somebody wants the rest from here on.
  void resume(std::uint64_t offset);

  // Nothing is left to send or under way.
  bool idle() const { return !sending_ && under_way_ == 0; }

 private:
  void write();
  bool something_left() const;

  SnapshotId id_;
  std::uint64_t digest_ = 0;
  std::size_t chunk_bytes_;
  std::optional<State::Writer> writer_;  // While there is something to write.
  std::deque<base::Buffer> chunks_;      // In pieces, since a long buffer grows by jumps.
  base::Buffer begun_;                   // What was written beyond them.
  std::size_t next_ = 0;                 // Of the chunks.
  std::size_t under_way_ = 0;
  bool frozen_ = false;
  bool sending_ = true;
};

// What a newcomer has so far: it reads the image, then replays what came after it, and is complete
// when it has caught up.
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

  // What the order brings after the SNAPSHOT: the delivery of a command or of an ACTIVATE. Replays
  // it at once if nothing is before it, otherwise a few of those that are, so that they grow fewer.
  // False if the log is full: the staging is of no use any more.
  bool log(const evs::Delivery& delivery, const Replayed& replayed);

  // A chunk, which is read at once; one that does not continue what is here is ignored.
  void add(const Chunk& chunk);

  // Replays deliveries of the log until they have changed about so much, once the image is read.
  void replay_some(std::size_t changes, const Replayed& replayed);

  // Whether chunks are missing.
  bool reading() const { return !state_ && !broken_; }

  // Bytes of the image that are here.
  std::uint64_t offset() const { return offset_; }

  // Whether replay_some() has something to do.
  bool replaying() const { return state_ && !log_.empty(); }

  // The state is here, as it is at this place in the order.
  bool complete() const;

  // The image was no state, or not the one that was promised: a bug on one side.
  bool broken() const { return broken_; }

  // Of the image, as the holders saw it at the SNAPSHOT.
  std::uint64_t image_digest() const { return image_digest_; }

  // The table, when READY was delivered.
  State take();

 private:
  std::size_t replay(const evs::Delivery& delivery, const Replayed& replayed);
  void load();

  SnapshotId id_;
  Lineage lineage_;
  std::size_t log_bytes_max_;
  std::optional<State::Loader> loader_;  // While it reads.
  std::uint64_t offset_ = 0;
  std::uint64_t image_digest_ = 0;
  std::size_t log_bytes_ = 0;
  std::deque<evs::Delivery> log_;
  std::optional<State> state_;
  bool broken_ = false;
};

// Applies an ACTIVATE that has a donor to a table of that donor's label.
void apply_activate(const RingId& ring, const Activate& activate, State& state, Effects& effects);

}  // namespace lockd

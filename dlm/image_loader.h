// A table from the bytes of its image as they come, which nobody vouches for. What is wrong with
// them ends the load; that the table is the one that was meant, only its digest can say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "dlm/table.h"

namespace dlm {

class Table::Loader {
 public:
  explicit Loader(const Limits& limits) : table_(limits) {}
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Takes the next bytes of the image, and reads them but for a record that may not be complete, of
  // up to 512 bytes: so a call costs what it brings. After an error nothing is looked at any more.
  void add(Bytes bytes);

  bool failed() const { return error_.has_value(); }

  // There are no more bytes: the table, or what was wrong. To be called once.
  base::Result<Table, LoadError> finish();

 private:
  // What comes next.
  enum class At : std::uint8_t {
    head,
    lockspace,
    resource,
    granted,
    converting,
    waiting,
    lock,   // Of a session.
    owner,  // Of the session, and
    wait,   // of the owner.
    end,
  };

  // What the list of a session ascends by: first those that hold nothing, then others, then
  // orphans; each by what was drawn when it was granted or began to wait.
  using Rank = std::tuple<bool, bool, std::uint64_t>;

  void fail(LoadError error);
  void read_record(base::ByteReader& in);
  void read_head(base::ByteReader& in);
  void read_lockspace(base::ByteReader& in);
  void read_resource(base::ByteReader& in);
  void read_granted(base::ByteReader& in);
  void read_converting(base::ByteReader& in);
  void read_waiting(base::ByteReader& in);
  void read_lock_of_session(base::ByteReader& in);
  void read_owner(base::ByteReader& in);
  void read_wait_of_owner(base::ByteReader& in);

  std::optional<Slot> read_lock(base::ByteReader& in, bool granted);
  void read_wait(base::ByteReader& in, Slot lock);
  void go_on_in_resource();
  void end_resources();
  bool begin_session(const LockRecord& first);
  void end_session();
  bool whole(const LockRecord& lock) const;
  Rank rank_of(const LockRecord& lock) const;

  // Which are numbered in the order of the image, from 0. Null: there is none of this number.
  const LockRecord* lock_of(std::uint32_t number) const;

  Table table_;
  Store& store_ = table_.store_;  // Its own: a loader is not moved.

  std::optional<LoadError> error_;
  base::Buffer unread_;
  At next_ = At::head;

  // What the image said that there is, and what is left of it.
  std::uint32_t lockspaces_ = 0;
  std::uint32_t locks_ = 0;
  std::uint32_t resources_left_ = 0;
  std::vector<std::string> lockspace_names_;

  // The highest that anything was drawn from the counter so far.
  std::uint64_t last_drawn_ = 0;

  // Of the resource that is read.
  Slot resource_ = kNoSlot;
  std::uint32_t holders_ = 0;
  std::uint32_t first_holder_ = 0;
  std::uint32_t granted_left_ = 0;
  std::uint32_t converting_left_ = 0;
  std::uint32_t waiting_left_ = 0;

  // Of the session that is read, from its first lock on, and of its owner.
  std::size_t sessions_left_ = 0;
  std::size_t owned_waits_left_ = 0;
  std::optional<std::uint64_t> last_place_;
  Slot session_ = kNoSlot;
  std::uint32_t listed_ = 0;
  std::optional<Rank> last_lock_;
  std::optional<Rank> last_owner_;
  Slot owner_ = kNoSlot;
};

}  // namespace dlm

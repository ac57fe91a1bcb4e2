// The image of a table, written in steps. The table must not change meanwhile: it is a frozen copy,
// or nobody else is at work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "dlm/table.h"

namespace dlm {

class Table::Writer {
 public:
  // The table is borrowed.
  explicit Writer(const Table& table);

  // Appends the next bytes, about so many: a record more at the most, which has up to 512, after
  // the first one, which names all lockspaces. True while there are more.
  bool write_some(base::ByteWriter& out, std::size_t about_bytes);

 private:
  // What comes next. Where it is a member of a list, that is `at_`; behind the last one the list
  // ends.
  enum class At : std::uint8_t {
    head,
    resource,
    granted,
    converting,
    waiting,
    session,
    lock,   // Of the session.
    owner,  // Of the session, and
    wait,   // of the owner.
    end,
  };

  void write_record(base::ByteWriter& out);
  void write_head(base::ByteWriter& out);
  void write_resource(base::ByteWriter& out);
  void write_granted(base::ByteWriter& out);
  void write_converting(base::ByteWriter& out);
  void write_waiting(base::ByteWriter& out);
  void write_session();
  void write_lock_of_session(base::ByteWriter& out);
  void write_owner(base::ByteWriter& out);
  void write_wait_of_owner(base::ByteWriter& out);

  void write_lock(base::ByteWriter& out, Slot slot);
  void write_wait(base::ByteWriter& out, const WaitRecord& wait);
  template <typename Records>
  Slot next_of(const Records& records);

  const Table& table_;
  const Store& store_;
  At next_ = At::head;

  // Slots that a visit has found, the next one last, and where it goes on.
  std::vector<Slot> found_;
  std::uint64_t position_ = 0;
  bool visited_all_ = false;

  Slot slot_ = kNoSlot;  // The resource or session.
  Slot at_ = kNoSlot;

  // Of the session: those that wait, in the order in which its list comes to their first waits.
  std::vector<Slot> owners_;
  std::size_t next_owner_ = 0;

  // By slot: how many came before it in the image.
  std::vector<std::uint32_t> lockspace_numbers_;
  std::vector<std::uint32_t> lock_numbers_;
  std::uint32_t locks_written_ = 0;
};

}  // namespace dlm

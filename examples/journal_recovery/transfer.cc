#include "transfer.h"

#include <chrono>

#include "note.h"
#include "story.h"

namespace journal_recovery {
namespace {

// So that nobody waits for us for long if he has something to recover.
constexpr std::chrono::milliseconds kPatience(500);

Block read(Volume& volume, const ringlock::held& under, unsigned number) {
  const auto block = parse_block(volume.disk.read(block_region(number), 0, under.token()));
  if (!block) throw std::runtime_error(block_region(number) + " is damaged");
  return *block;
}

}  // namespace

bool carry_out(Volume& volume, const Transfer& transfer, std::uint64_t sequence) {
  ringlock::terms terms;
  terms.flags = LOCK_FLAG_VALUE;
  terms.owner = LOCK_OWNER_NONE;  // It has an end, and holds nothing that others wait for by it.
  // Both at one moment: so nobody has one, and waits for another one who has the other.
  auto locks = volume.client.acquire_all_for(
      {{kLockspace, block_region(transfer.from)}, {kLockspace, block_region(transfer.to)}},
      kPatience, ringlock::mode::ex, terms);
  if (!locks) return false;
  const ringlock::held& from_lock = (*locks)[0];
  const ringlock::held& to_lock = (*locks)[1];
  // The lock was free, but its last owner died with it. What the block should be is in a journal
  // which nobody has recovered yet: we may be the first ones to notice.
  for (const ringlock::held& lock : *locks) {
    if ((lock.notes() & LOCK_NOTE_VALUE_INVALID) != 0) return false;
  }

  Intent intent{{volume.journal, volume.header.life, sequence},
                read(volume, from_lock, transfer.from),
                read(volume, to_lock, transfer.to)};
  intent.from.balance -= transfer.amount;
  intent.to.balance += transfer.amount;
  for (Block* block : {&intent.from, &intent.to}) {
    ++block->version;
    block->by = intent.name;
  }

  const std::string journal = journal_region(volume.journal);
  const unsigned mark_at = mark_sector(volume.superblock, sequence);
  volume.write("intent", volume.owned, journal, intent_sector(volume.superblock, sequence),
               text_of(intent));
  // With this write it has happened, whatever becomes of us.
  volume.write("commit", volume.owned, journal, mark_at, text_of(Mark{intent.name, false}));
  volume.write("block", from_lock, block_region(transfer.from), 0, text_of(intent.from));
  volume.write("second", to_lock, block_region(transfer.to), 0, text_of(intent.to));
  volume.write("done", volume.owned, journal, mark_at, text_of(Mark{intent.name, true}));
  for (ringlock::held& lock : *locks) lock.release(clean_note(volume.generation));
  return true;
}

}  // namespace journal_recovery

// What stands in the sectors of the disk, as lines of text with a checksum, so that `strings` shows
// a whole disk. Where they stand is layout.h's business, what may follow what is check.h's.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace journal_recovery {

constexpr std::size_t kSectorBytes = 256;

// The first sector: what the disk was made for.
struct Superblock {
  unsigned journals = 8;  // For the lockspace's slots 1 to 8.
  unsigned entries = 4;   // Of each journal, used in a ring.
  unsigned blocks = 16;
  std::int64_t balance = 1000;  // Of each block at first.

  friend bool operator==(const Superblock&, const Superblock&) = default;
};

// A transaction: the journal it was written to, which owner of that journal wrote it (its lives are
// counted), and which one of the owner's it is.
struct TransactionName {
  unsigned journal = 0;
  std::uint64_t life = 0;
  std::uint64_t sequence = 0;

  friend auto operator<=>(const TransactionName&, const TransactionName&) = default;
};

// An account. Each transaction that changes it raises the version by one.
struct Block {
  unsigned number = 0;
  std::int64_t balance = 0;
  std::uint64_t version = 0;
  TransactionName by = {};

  friend bool operator==(const Block&, const Block&) = default;
};

enum class State {
  free,        // Its last owner has left in good order, and nothing is to be done.
  used,        // Somebody owns it, or has died with it.
  recovering,  // The dead owner's transactions are being brought to an end,
  recovered,   // or have been: once in each life that ended so.
};

// The first sector of a journal.
struct Header {
  unsigned journal = 0;
  State state = State::free;
  std::uint64_t life = 0;
  std::uint64_t token = 0;       // Of who wrote this: the owner, or who recovers.
  std::uint64_t generation = 0;  // Of the recovery: the barrier's.
  unsigned replayed = 0;
  unsigned dropped = 0;

  friend bool operator==(const Header&, const Header&) = default;
};

// What a transaction is about to do: both blocks as they will be, whole. To write them twice does
// no harm, so a recovery that was interrupted is simply done again.
struct Intent {
  TransactionName name;
  Block from;
  Block to;

  friend bool operator==(const Intent&, const Intent&) = default;
};

// Behind the intent: that it is valid, and later that both blocks are where they belong.
struct Mark {
  TransactionName name;
  bool done = false;

  friend bool operator==(const Mark&, const Mark&) = default;
};

std::string text_of(const Superblock& superblock);
std::string text_of(const Block& block);
std::string text_of(const Header& header);
std::string text_of(const Intent& intent);
std::string text_of(const Mark& mark);
std::string text_of(const TransactionName& name);  // For people: "2.1.33".

// None if it is no such record, or not as it was written.
std::optional<Superblock> parse_superblock(const std::string& text);
std::optional<Block> parse_block(const std::string& text);
std::optional<Header> parse_header(const std::string& text);
std::optional<Intent> parse_intent(const std::string& text);
std::optional<Mark> parse_mark(const std::string& text);

}  // namespace journal_recovery

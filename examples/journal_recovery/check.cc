#include "check.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "journal.h"
#include "layout.h"
#include "record.h"

namespace journal_recovery {
namespace {

// The disk as it was after each write of the trace, and what may come next.
class History {
 public:
  History(const Superblock& superblock, Verdict& verdict)
      : superblock_(superblock), verdict_(verdict), image_(formatted(superblock)) {
    for (unsigned i = 1; i <= superblock.journals; ++i) journals_[i].header.journal = i;
    for (unsigned i = 0; i < superblock.blocks; ++i) {
      blocks_.push_back(Block{.number = i, .balance = superblock.balance});
    }
  }

  void add(const Traced& traced) {
    const Write& write = traced.write;
    const auto offset = offset_of(superblock_, write.region, write.sector);
    if (!offset) return complain(write.region + ": there is no such sector");
    if (traced.stale) return add_refused(write);
    std::uint64_t& highest = tokens_[write.region];
    if (write.token < highest) {
      complain(write.region + ": a write with token " + std::to_string(write.token) +
               " was let in after one with " + std::to_string(highest));
    }
    highest = std::max(highest, write.token);
    if (write.region.starts_with("block/")) {
      add_block(write);
    } else if (write.sector == 0) {
      add_header(write);
    } else if (write.sector % 2 == 1) {
      add_intent(write);
    } else {
      add_mark(write);
    }
    image_.replace(*offset, kSectorBytes, padded(write.text));
  }

  void end(const std::string& image) {
    for (const auto& [name, transaction] : committed_) {
      if (transaction.blocks_missing.empty()) continue;
      complain("transaction " + text_of(name) + " was committed and never reached " +
               block_region(*transaction.blocks_missing.begin()));
    }
    for (const auto& [number, journal] : journals_) {
      if (journal.header.state == State::free || journal.header.state == State::recovered) continue;
      complain(journal_region(number) + ": was left by its owner of life " +
               std::to_string(journal.header.life) + ", and not recovered");
    }
    for (std::size_t at = kSectorBytes; at < image_.size(); at += kSectorBytes) {
      if (image.compare(at, kSectorBytes, image_, at, kSectorBytes) == 0) continue;
      complain("the sector at byte " + std::to_string(at) + " is not as it was last written");
    }
  }

 private:
  struct Journal {
    Header header;
    std::optional<Intent> open;  // Begun, and neither done nor given up.
    bool open_committed = false;
    std::uint64_t sequence = 0;  // Of the last intent in this life.
    bool shut_out = false;       // This life has no right to the journal any more.
  };

  struct Committed {
    Intent intent;
    std::set<unsigned> blocks_missing;  // That it has not reached yet.
  };

  void complain(const std::string& what) { verdict_.complaints.push_back(what); }

  // Late is a write of somebody whose journal others have taken over. Who is alive is never late:
  // he had been told to stop, and had stopped, before anybody raised the fence.
  void add_refused(const Write& write) {
    ++verdict_.refused;
    TransactionName by;
    if (const auto block = parse_block(write.text)) by = block->by;
    if (const auto intent = parse_intent(write.text)) by = intent->name;
    if (const auto mark = parse_mark(write.text)) by = mark->name;
    if (const auto header = parse_header(write.text)) by = {header->journal, header->life, 0};
    const auto journal = journals_.find(by.journal);
    if (journal == journals_.end()) return complain(write.region + ": " + write.text);
    const Header& header = journal->second.header;
    if (header.state != State::used || header.life != by.life) return;
    if (write.region == journal_region(by.journal)) {
      // Somebody has been granted the journal's lock, and is about to say so in the header.
      journal->second.shut_out = true;
    } else {
      complain("a write of transaction " + text_of(by) +
               " was refused, though its journal is in use");
    }
  }

  void add_header(const Write& write) {
    const auto header = parse_header(write.text);
    if (!header || journal_region(header->journal) != write.region) {
      return complain(write.region + ": is no header: " + write.text);
    }
    Journal& journal = journals_[header->journal];
    const Header before = std::exchange(journal.header, *header);
    const std::string who = write.region + ", life " + std::to_string(header->life) + ": ";
    if (header->token != write.token) complain(who + "has the token of somebody else");
    const bool rests = before.state == State::free || before.state == State::recovered;
    if (header->life != before.life + (header->state == State::used ? 1 : 0)) {
      complain(who + "comes after life " + std::to_string(before.life));
    }
    switch (header->state) {
      case State::used:
        if (!rests) complain(who + "begins before the life before it was recovered");
        journal.sequence = 0;
        journal.shut_out = false;
        break;
      case State::free:
        if (before.state != State::used || before.token != header->token) {
          complain(who + "is left by who does not own it");
        }
        if (journal.open) complain(who + "is left in the middle of a transaction");
        if (journal.shut_out) complain(who + "is left by who was shut out");
        break;
      case State::recovering:
        if (rests) complain(who + "is recovered a second time");
        if (before.state == State::recovering) ++verdict_.interrupted;
        if (header->generation < generation_) complain(who + "an older generation recovers it");
        generation_ = std::max(generation_, header->generation);
        break;
      case State::recovered: {
        if (before.state != State::recovering || before.token != header->token) {
          complain(who + "is recovered by who did not begin with it");
        }
        const unsigned replayed = journal.open && journal.open_committed ? 1 : 0;
        const unsigned dropped = journal.open && !journal.open_committed ? 1 : 0;
        if (header->replayed != replayed || header->dropped != dropped) {
          complain(who + "what was replayed or dropped is not what was open");
        }
        journal.open.reset();
        ++verdict_.recoveries;
        verdict_.replayed += replayed;
        verdict_.dropped += dropped;
      }
    }
  }

  void add_intent(const Write& write) {
    const auto intent = parse_intent(write.text);
    Journal* journal = intent ? owned(write, intent->name) : nullptr;
    if (!journal) return;
    const std::string who = "transaction " + text_of(intent->name) + ": ";
    if (journal->open) complain(who + "begins in the middle of another one");
    if (intent->name.sequence != journal->sequence + 1) complain(who + "is out of its turn");
    journal->sequence = intent->name.sequence;
    std::int64_t moved = 0;
    for (const Block& block : {intent->from, intent->to}) {
      if (block.number >= blocks_.size()) return complain(who + "there is no such block");
      const Block& now = blocks_[block.number];
      moved += block.balance - now.balance;
      if (block.version != now.version + 1 || block.by != intent->name) {
        complain(who + "has not seen " + block_region(block.number) + " as it is");
      }
    }
    if (moved != 0) complain(who + "makes or loses money");
    journal->open = *intent;
    journal->open_committed = false;
  }

  void add_mark(const Write& write) {
    const auto mark = parse_mark(write.text);
    Journal* journal = mark ? owned(write, mark->name) : nullptr;
    if (!journal) return;
    const std::string who = "transaction " + text_of(mark->name) + ": ";
    if (!journal->open || journal->open->name != mark->name ||
        journal->open_committed != mark->done) {
      return complain(who + (mark->done ? "is done" : "is committed") + " out of its turn");
    }
    if (mark->done) {
      if (!committed_[mark->name].blocks_missing.empty()) {
        complain(who + "is called done, and its blocks are not written");
      }
      journal->open.reset();
      return;
    }
    journal->open_committed = true;
    ++verdict_.transactions;
    const Intent& intent = *journal->open;
    committed_[mark->name] = {intent, {intent.from.number, intent.to.number}};
    for (const auto& [number, other] : journals_) {
      if (other.header.state != State::recovering) continue;
      complain(who + "is committed while " + journal_region(number) + " is being recovered");
    }
  }

  // Null, and a complaint, if this is not for the owner of the journal to write.
  Journal* owned(const Write& write, const TransactionName& name) {
    const auto journal = journals_.find(name.journal);
    if (journal != journals_.end() && journal_region(name.journal) == write.region) {
      const Header& header = journal->second.header;
      if (header.state == State::used && header.life == name.life && header.token == write.token &&
          !journal->second.shut_out) {
        return &journal->second;
      }
    }
    complain(write.region + ": is written by " + text_of(name) + ", who does not own it");
    return nullptr;
  }

  void add_block(const Write& write) {
    const auto block = parse_block(write.text);
    if (!block || block_region(block->number) != write.region) {
      return complain(write.region + ": is no block: " + write.text);
    }
    const auto transaction = committed_.find(block->by);
    const std::string who = write.region + ": transaction " + text_of(block->by) + ' ';
    if (transaction == committed_.end()) return complain(who + "was not committed");
    const Intent& intent = transaction->second.intent;
    if (*block != intent.from && *block != intent.to)
      complain(who + "had announced something else");
    Block& now = blocks_[block->number];
    if (*block != now && block->version != now.version + 1) {
      complain(who + "puts version " + std::to_string(block->version) + " in the place of " +
               std::to_string(now.version));
    }
    now = *block;
    transaction->second.blocks_missing.erase(block->number);
  }

  const Superblock superblock_;
  Verdict& verdict_;
  std::string image_;
  std::map<unsigned, Journal> journals_;
  std::vector<Block> blocks_;
  std::map<TransactionName, Committed> committed_;
  std::map<std::string, std::uint64_t> tokens_;  // The highest of each region.
  std::uint64_t generation_ = 0;
};

// What the sectors say without their history.
void check_image(const Superblock& superblock, const std::string& image, Verdict& verdict) {
  std::map<unsigned, Header> headers;
  for (unsigned i = 1; i <= superblock.journals; ++i) {
    const auto header =
        parse_header(sector_at(image, *offset_of(superblock, journal_region(i), 0)));
    if (!header || header->journal != i) {
      verdict.complaints.push_back(journal_region(i) + ": the header is damaged");
      continue;
    }
    headers[i] = *header;
    std::vector<std::string> sectors;
    for (unsigned at = 1; at < journal_sectors(superblock); ++at) {
      sectors.push_back(sector_at(image, *offset_of(superblock, journal_region(i), at)));
      if (!sectors.back().empty() && !parse_intent(sectors.back()) && !parse_mark(sectors.back())) {
        verdict.complaints.push_back(journal_region(i) + ": sector " + std::to_string(at) +
                                     " is damaged");
      }
    }
    if (header->state == State::free && !replay_of(*header, sectors).committed.empty()) {
      verdict.complaints.push_back(journal_region(i) + ": was left with a transaction to be done");
    }
  }
  std::int64_t sum = 0;
  for (unsigned i = 0; i < superblock.blocks; ++i) {
    const auto block = parse_block(sector_at(image, *offset_of(superblock, block_region(i), 0)));
    if (!block || block->number != i) {
      verdict.complaints.push_back(block_region(i) + ": is damaged");
      return;
    }
    sum += block->balance;
    if (block->version != 0 && headers[block->by.journal].life < block->by.life) {
      verdict.complaints.push_back(block_region(i) + ": " + text_of(block->by) +
                                   " was never there");
    }
  }
  const std::int64_t wanted = superblock.balance * superblock.blocks;
  if (sum != wanted) {
    verdict.complaints.push_back("the blocks have " + std::to_string(sum) + " together, and not " +
                                 std::to_string(wanted));
  }
}

}  // namespace

Verdict check(const std::string& image, const std::vector<Traced>& trace) {
  Verdict verdict;
  const auto superblock = parse_superblock(sector_at(image + '\0', 0));
  if (!superblock || image.size() != disk_bytes(*superblock)) {
    verdict.complaints.push_back("the superblock is damaged, or the disk has another length");
    return verdict;
  }
  check_image(*superblock, image, verdict);
  History history(*superblock, verdict);
  for (const Traced& traced : trace) history.add(traced);
  history.end(image);
  return verdict;
}

}  // namespace journal_recovery

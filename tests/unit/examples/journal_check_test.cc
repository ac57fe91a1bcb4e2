// The checker sees each kind of damage that is planted, and complains of nothing else.
#include <doctest/doctest.h>

#include <functional>

#include "examples/journal_recovery/check.h"
#include "examples/journal_recovery/layout.h"
#include "examples/journal_recovery/record.h"

using namespace journal_recovery;

namespace {

const Superblock kSuperblock{3, 2, 4, 100};

// A disk, and what is done to it: well as long as nothing is planted.
class Disk {
 public:
  void write(const std::string& region, unsigned sector, std::uint64_t token,
             const std::string& text) {
    trace.push_back({false, {region, sector, token, text}});
    image.replace(offset_of(kSuperblock, region, sector).value(), kSectorBytes, padded(text));
  }

  void refuse(const std::string& region, unsigned sector, std::uint64_t token,
              const std::string& text) {
    trace.push_back({true, {region, sector, token, text}});
  }

  void header(const Header& header) {
    write(journal_region(header.journal), 0, header.token, text_of(header));
  }

  void mount(unsigned journal, std::uint64_t life, std::uint64_t token) {
    header({journal, State::used, life, token, 0, 0, 0});
  }
  void leave(unsigned journal, std::uint64_t life, std::uint64_t token) {
    header({journal, State::free, life, token, 0, 0, 0});
  }
  void recovering(unsigned journal, std::uint64_t life, std::uint64_t token,
                  std::uint64_t generation) {
    header({journal, State::recovering, life, token, generation, 0, 0});
  }
  void recovered(unsigned journal, std::uint64_t life, std::uint64_t token,
                 std::uint64_t generation, unsigned replayed, unsigned dropped) {
    header({journal, State::recovered, life, token, generation, replayed, dropped});
  }

  Block block(unsigned number) const {
    return parse_block(sector_at(image, *offset_of(kSuperblock, block_region(number), 0))).value();
  }

  // Moves 10 between two blocks as they are now.
  Intent intent(const TransactionName& name, unsigned from, unsigned to) const {
    Intent intent{name, block(from), block(to)};
    intent.from.balance -= 10;
    intent.to.balance += 10;
    for (Block* one : {&intent.from, &intent.to}) {
      ++one->version;
      one->by = name;
    }
    return intent;
  }

  void begin(const Intent& intent, std::uint64_t token) {
    write(journal_region(intent.name.journal), intent_sector(kSuperblock, intent.name.sequence),
          token, text_of(intent));
  }
  void mark(const TransactionName& name, std::uint64_t token, bool done) {
    write(journal_region(name.journal), mark_sector(kSuperblock, name.sequence), token,
          text_of(Mark{name, done}));
  }
  void apply(const Block& block, std::uint64_t token) {
    write(block_region(block.number), 0, token, text_of(block));
  }
  void transaction(const TransactionName& name, std::uint64_t journal_token, unsigned from,
                   unsigned to, std::uint64_t token) {
    const Intent all = intent(name, from, to);
    begin(all, journal_token);
    mark(name, journal_token, false);
    apply(all.from, token);
    apply(all.to, token);
    mark(name, journal_token, true);
  }

  std::string image = formatted(kSuperblock);
  std::vector<Traced> trace;
};

std::string complaints(const Disk& disk) {
  std::string all;
  for (const std::string& one : check(disk.image, disk.trace).complaints) all += one + "\n";
  return all;
}

bool complains(const Disk& disk, const std::string& what) {
  const std::string all = complaints(disk);
  INFO("complaints: ", all);
  CHECK(all.find(what) != std::string::npos);
  return all.find(what) != std::string::npos;
}

// Two owners, each with a transaction: the first one's is done.
Disk used() {
  Disk disk;
  disk.mount(1, 1, 10);
  disk.mount(2, 1, 11);
  disk.transaction({1, 1, 1}, 10, 0, 1, 20);
  return disk;
}

// The second owner dies when it has written `block` of its two blocks.
Disk orphaned(int blocks, Intent& intent) {
  Disk disk = used();
  intent = disk.intent({2, 1, 1}, 1, 2);
  disk.begin(intent, 11);
  disk.mark(intent.name, 11, false);
  if (blocks > 0) disk.apply(intent.from, 21);
  return disk;
}

void recover(Disk& disk, const Intent& intent) {
  disk.recovering(2, 1, 30, 29);
  disk.apply(intent.from, 30);
  disk.apply(intent.to, 30);
  disk.recovered(2, 1, 30, 29, 1, 0);
}

}  // namespace

TEST_CASE("a disk on which nothing happened is well") {
  CHECK(complaints(Disk()) == "");
}

TEST_CASE("transactions and lives in good order are well") {
  Disk disk = used();
  disk.transaction({2, 1, 1}, 11, 1, 2, 21);
  disk.transaction({1, 1, 2}, 10, 2, 3, 22);
  disk.leave(2, 1, 11);
  disk.mount(2, 2, 23);
  disk.transaction({2, 2, 1}, 23, 0, 3, 24);
  disk.leave(2, 2, 23);
  disk.leave(1, 1, 10);
  CHECK(complaints(disk) == "");
  CHECK(check(disk.image, disk.trace).transactions == 4);
}

TEST_CASE("a recovery is well, wherever its owner has died, and when it was done twice over") {
  for (const int blocks : {0, 1}) {
    Intent intent;
    Disk disk = orphaned(blocks, intent);
    SUBCASE("at once") {}
    SUBCASE("after one that was interrupted") {
      disk.recovering(2, 1, 27, 26);
      disk.apply(intent.from, 27);
    }
    // The fence of the journal is up before the header says why.
    disk.refuse("journal/2", mark_sector(kSuperblock, 1), 11, text_of(Mark{intent.name, true}));
    recover(disk, intent);
    disk.refuse("block/1", 0, 21, text_of(intent.from));
    disk.leave(1, 1, 10);
    CHECK(complaints(disk) == "");
    const Verdict verdict = check(disk.image, disk.trace);
    CHECK(verdict.recoveries == 1);
    CHECK(verdict.replayed == 1);
    CHECK(verdict.refused == 2);
  }
}

TEST_CASE("what was not committed is dropped") {
  Disk disk = used();
  disk.begin(disk.intent({2, 1, 1}, 1, 2), 11);
  disk.recovering(2, 1, 30, 29);
  SUBCASE("well") {
    disk.recovered(2, 1, 30, 29, 0, 1);
    disk.leave(1, 1, 10);
    CHECK(complaints(disk) == "");
  }
  SUBCASE("but it is replayed") {
    disk.apply(disk.intent({2, 1, 1}, 1, 2).from, 30);
    disk.recovered(2, 1, 30, 29, 1, 0);
    complains(disk, "block/1: transaction 2.1.1 was not committed");
    complains(disk, "what was replayed or dropped is not what was open");
  }
}

TEST_CASE("each damaged sector is found") {
  Disk disk = used();
  disk.leave(1, 1, 10);
  disk.leave(2, 1, 11);
  REQUIRE(complaints(disk) == "");
  for (std::size_t at = 0; at < disk.image.size(); at += kSectorBytes) {
    Disk damaged = disk;
    damaged.image[at + 20] = static_cast<char>(damaged.image[at + 20] ^ 4);
    CHECK(complaints(damaged) != "");
  }
  Disk shorter = disk;
  shorter.image.pop_back();
  complains(shorter, "another length");
}

TEST_CASE("money that is made or lost is found") {
  Disk disk = used();
  disk.leave(1, 1, 10);
  disk.leave(2, 1, 11);
  Block block = disk.block(3);
  ++block.balance;
  disk.image.replace(*offset_of(kSuperblock, "block/3", 0), kSectorBytes, padded(text_of(block)));
  complains(disk, "the blocks have 401 together, and not 400");
  complains(disk, "is not as it was last written");
}

TEST_CASE("a journal that nobody has recovered is found") {
  Intent intent;
  const Disk disk = orphaned(1, intent);
  complains(disk, "journal/2: was left by its owner of life 1, and not recovered");
  complains(disk, "2.1.1 was committed and never reached block/2");
  complains(disk, "the blocks have 390 together");
}

TEST_CASE("planted faults of a recovery are found") {
  using Plant = std::function<void(Disk&, const Intent&)>;
  struct Planted {
    const char* complaint;
    Plant plant;
  };
  const Planted planted[] = {
      {"life 1: is recovered a second time",
       [](Disk& disk, const Intent& intent) {
         recover(disk, intent);
         disk.recovering(2, 1, 40, 39);
       }},
      {"never reached block/2",
       [](Disk& disk, const Intent&) {
         disk.recovering(2, 1, 30, 29);
         disk.recovered(2, 1, 30, 29, 1, 0);
       }},
      {"had announced something else",
       [](Disk& disk, const Intent& intent) {
         disk.recovering(2, 1, 30, 29);
         Block twice = intent.from;
         twice.balance -= 10;
         disk.apply(twice, 30);
       }},
      // Somebody has used the block as it was, and now loses what he has done.
      {"block/2: transaction 2.1.1 puts version 1 in the place of 1",
       [](Disk& disk, const Intent& intent) {
         disk.transaction({1, 1, 2}, 10, 2, 3, 25);
         recover(disk, intent);
       }},
      {"1.1.2: is committed while journal/2 is being recovered",
       [](Disk& disk, const Intent&) {
         disk.recovering(2, 1, 30, 29);
         disk.transaction({1, 1, 2}, 10, 0, 3, 31);
       }},
      {"1.1.2 was refused, though its journal is in use",
       [](Disk& disk, const Intent& intent) {
         const Intent other = disk.intent({1, 1, 2}, 0, 3);
         disk.begin(other, 10);
         disk.mark(other.name, 10, false);
         recover(disk, intent);
         disk.refuse("block/0", 0, 25, text_of(other.from));
       }},
      {"journal/1: is written by 1.1.2, who does not own it",
       [](Disk& disk, const Intent&) {
         const Intent other = disk.intent({1, 1, 2}, 0, 3);
         disk.refuse("journal/1", intent_sector(kSuperblock, 2), 10, text_of(other));
         disk.begin(other, 10);
       }},
      {"journal/1, life 1: is left by who was shut out",
       [](Disk& disk, const Intent&) {
         disk.refuse("journal/1", mark_sector(kSuperblock, 1), 10, text_of(Mark{{1, 1, 1}, true}));
         disk.leave(1, 1, 10);
       }},
      {"block/1: a write with token 21 was let in after one with 30",
       [](Disk& disk, const Intent& intent) {
         recover(disk, intent);
         disk.apply(intent.from, 21);
       }},
      {"journal/2: is written by 2.1.1, who does not own it",
       [](Disk& disk, const Intent& intent) {
         recover(disk, intent);
         disk.mark(intent.name, 11, true);
       }},
      {"an older generation recovers it",
       [](Disk& disk, const Intent& intent) {
         recover(disk, intent);
         disk.recovering(1, 1, 40, 28);
       }},
      {"life 2: begins before the life before it was recovered",
       [](Disk& disk, const Intent&) { disk.mount(2, 2, 30); }},
      {"life 3: comes after life 1",
       [](Disk& disk, const Intent& intent) {
         recover(disk, intent);
         disk.mount(2, 3, 40);
       }},
      {"is recovered by who did not begin with it",
       [](Disk& disk, const Intent&) {
         disk.recovering(2, 1, 30, 29);
         disk.recovered(2, 1, 31, 29, 1, 0);
       }},
      {"life 1: is left in the middle of a transaction",
       [](Disk& disk, const Intent&) { disk.leave(2, 1, 11); }},
      {"life 1: is left by who does not own it",
       [](Disk& disk, const Intent&) { disk.leave(2, 1, 12); }},
      {"has the token of somebody else",
       [](Disk& disk, const Intent&) {
         disk.write("journal/2", 0, 31, text_of(Header{2, State::recovering, 1, 30, 29, 0, 0}));
       }},
  };
  for (const Planted& one : planted) {
    Intent intent;
    Disk disk = orphaned(1, intent);
    one.plant(disk, intent);
    complains(disk, one.complaint);
  }
}

TEST_CASE("planted faults of an owner are found") {
  using Plant = std::function<void(Disk&)>;
  struct Planted {
    const char* complaint;
    Plant plant;
  };
  const Planted planted[] = {
      {"1.1.2: begins in the middle of another one",
       [](Disk& disk) {
         disk.begin(disk.intent({2, 1, 1}, 1, 2), 11);
         disk.begin(disk.intent({1, 1, 2}, 1, 2), 10);
         disk.begin(disk.intent({1, 1, 2}, 1, 2), 10);
       }},
      {"1.1.3: is out of its turn",
       [](Disk& disk) {
         disk.begin(disk.intent({1, 1, 3}, 1, 2), 10);
       }},
      {"1.1.2: has not seen block/1 as it is",
       [](Disk& disk) {
         const Intent old = disk.intent({1, 1, 2}, 1, 2);
         disk.transaction({2, 1, 1}, 11, 1, 3, 22);
         disk.begin(old, 10);
       }},
      {"1.1.2: makes or loses money",
       [](Disk& disk) {
         Intent intent = disk.intent({1, 1, 2}, 1, 2);
         ++intent.to.balance;
         disk.begin(intent, 10);
       }},
      {"1.1.2: is committed out of its turn",
       [](Disk& disk) {
         disk.mark({1, 1, 2}, 10, false);
       }},
      {"1.1.2: is called done, and its blocks are not written",
       [](Disk& disk) {
         const Intent intent = disk.intent({1, 1, 2}, 1, 2);
         disk.begin(intent, 10);
         disk.mark(intent.name, 10, false);
         disk.apply(intent.from, 22);
         disk.mark(intent.name, 10, true);
       }},
      {"block/1: transaction 1.1.2 was not committed",
       [](Disk& disk) {
         const Intent intent = disk.intent({1, 1, 2}, 1, 2);
         disk.begin(intent, 10);
         disk.apply(intent.from, 22);
       }},
      {"block/1: is no block", [](Disk& disk) { disk.write("block/1", 0, 22, "torn"); }},
      {"journal/1: is no header", [](Disk& disk) { disk.write("journal/1", 0, 22, "torn"); }},
      {"there is no such sector",
       [](Disk& disk) {
         disk.trace.push_back({false, {"block/9", 0, 1, "text"}});
       }},
  };
  for (const Planted& one : planted) {
    Disk disk = used();
    one.plant(disk);
    complains(disk, one.complaint);
  }
}

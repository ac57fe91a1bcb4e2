// The tables of the reference, written out, and the model held against each entry.
#include "tests/model/lock_model.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/model/lock_model_words.h"

namespace model {
namespace {

int number(Mode mode) {
  return static_cast<int>(mode);
}

// 2.1. A row is the mode that is held, a column the one that is asked for.
const char* const kCompatible[6] = {
    "111111",  // NL
    "111110",  // CR
    "111000",  // CW
    "110100",  // PR
    "110000",  // PW
    "100000",  // EX
};

// 2.3
const char* const kQueueConvertible[6] = {
    "011111",  // NL
    "001111",  // CR
    "000111",  // CW
    "001011",  // PR
    "000001",  // PW
    "000000",  // EX
};

// 2.6: read, write or nothing; the last column is the unlock.
const char* const kTransfer[6] = {
    "rrrrrr-",  // NL
    "-rrrrr-",  // CR
    "--rrrr-",  // CW
    "---rrr-",  // PR
    "wwwwwrw",  // PW
    "wwwwwww",  // EX
};

bool goes(Mode one, Mode other) {
  return kCompatible[number(one)][number(other)] == '1';
}

TEST_CASE("a mode is granted beside another exactly where the table says so") {
  for (Mode held : kModes) {
    for (Mode asked : kModes) {
      CAPTURE(word(held));
      CAPTURE(word(asked));
      const bool together = kCompatible[number(held)][number(asked)] == '1';
      CHECK(compatible(held, asked) == together);
      Stage tries;
      CHECK(told(tries.ask(1, held)) == "1=ok/" + word(held));
      CHECK(told(tries.ask(2, asked, kNoqueue)) ==
            (together ? "2=ok/" + word(asked) : "2=EAGAIN/none"));
      Stage waits;
      waits.ask(1, held);
      CHECK(told(waits.ask(2, asked)) == (together ? "2=ok/" + word(asked) : "1!" + word(asked)));
      CHECK(told(waits.unlock(1, 1)) ==
            (together ? "1=EUNLOCK/none" : "1=EUNLOCK/none 2=ok/" + word(asked)));
    }
  }
}

TEST_CASE("every conversion succeeds alone") {
  for (Mode from : kModes) {
    for (Mode to : kModes) {
      CAPTURE(word(from));
      CAPTURE(word(to));
      Stage stage;
      stage.ask(1, from);
      CHECK(told(stage.convert(1, 1, to)) == "1=ok/" + word(to));
    }
  }
}

TEST_CASE(
    "beside another holder a conversion is granted at once exactly where the modes go together") {
  for (Mode other : kModes) {
    for (Mode from : kModes) {
      if (!goes(other, from)) continue;
      for (Mode to : kModes) {
        CAPTURE(word(other));
        CAPTURE(word(from));
        CAPTURE(word(to));
        const std::string granted = "2=ok/" + word(to);
        Stage tries;
        tries.ask(1, other);
        tries.ask(2, from);
        CHECK(told(tries.convert(2, 2, to, kNoqueue)) ==
              (goes(other, to) ? granted : "2=EAGAIN/" + word(from)));
        Stage waits;
        waits.ask(1, other);
        waits.ask(2, from);
        CHECK(told(waits.convert(2, 2, to)) == (goes(other, to) ? granted : "1!" + word(to)));
        if (!goes(other, to)) {
          CHECK(told(waits.convert(2, 2, to)) == "EBUSY");
          CHECK(told(waits.unlock(1, 1)) == "1=EUNLOCK/none " + granted);
        }
      }
    }
  }
}

TEST_CASE("QUECVT is legal for the conversions of its table") {
  for (Mode from : kModes) {
    for (Mode to : kModes) {
      CAPTURE(word(from));
      CAPTURE(word(to));
      const bool legal = kQueueConvertible[number(from)][number(to)] == '1';
      CHECK(queue_convertible(from, to) == legal);
      Stage stage;
      stage.ask(1, from);
      CHECK(told(stage.convert(1, 1, to, kQuecvt)) == (legal ? "1=ok/" + word(to) : "EINVAL"));
    }
  }
}

TEST_CASE("of all sets of the flags that exclude each other exactly the legal ones are taken") {
  const Flags flags[] = {kNoqueue, kCancel, kConvert, kQuecvt, kConvdeadlk, kExpedite};
  for (unsigned set = 0; set < 64; ++set) {
    for (Mode mode : kModes) {
      Flags all = 0;
      for (unsigned bit = 0; bit < 6; ++bit) {
        if ((set >> bit & 1) != 0) all |= flags[bit];
      }
      const bool noqueue = (set & 1) != 0;
      const bool cancel = (set & 2) != 0;
      const bool convert = (set & 4) != 0;
      const bool quecvt = (set & 8) != 0;
      const bool convdeadlk = (set & 16) != 0;
      const bool expedite = (set & 32) != 0;
      // 2.4, word by word; and 2.3 for QUECVT from NL.
      bool legal = !cancel;
      if ((quecvt || convdeadlk) && !convert) legal = false;
      if (convdeadlk && noqueue) legal = false;
      if (expedite && (convert || quecvt || noqueue || mode != Mode::nl)) legal = false;
      if (quecvt && mode == Mode::nl) legal = false;
      CAPTURE(all);
      CAPTURE(word(mode));
      Stage stage;
      stage.ask(1, Mode::nl);
      const Outcome outcome = convert ? stage.convert(1, 1, mode, all) : stage.ask(1, mode, all);
      CHECK((outcome.status == Status::ok) == legal);
      CHECK((outcome.status == Status::einval) == !legal);
    }
  }
}

TEST_CASE("flags without rules of their own are taken by lock calls, and unlock takes four") {
  for (unsigned bit = 0; bit < 19; ++bit) {
    const Flags flag = Flags{1} << bit;
    CAPTURE(flag);
    if (flag != kCancel && flag != kConvert && flag != kQuecvt && flag != kConvdeadlk &&
        flag != kOrphan) {
      Stage asks;
      CHECK(told(asks.ask(1, Mode::nl, flag)) == "1=ok/nl");
    }
    Stage stage;
    stage.ask(1, Mode::ex);
    const bool ends = flag == kValblk || flag == kIvvalblk || flag == kForceunlock;
    CHECK(told(stage.unlock(1, 1, flag)) == (ends              ? "1=EUNLOCK/none"
                                             : flag == kCancel ? ""
                                                               : "EINVAL"));
  }
  Stage stage;
  stage.ask(1, Mode::ex);
  CHECK(told(stage.unlock(1, 1, kCancel | kForceunlock)) == "EINVAL");
}

TEST_CASE("what a call lacks is EINVAL, what does not exist is ENOENT") {
  Lockspace space;
  const LockCall good{{1, 1, 1}, "r", 0, Mode::nl, 0, {}};
  LockCall call = good;
  call.flags = kValblk;
  CHECK(told(space.lock(call)) == "EINVAL");
  call = good;
  call.flags = kConvert;
  CHECK(told(space.lock(call)) == "EINVAL");
  call.lock = 7;
  CHECK(told(space.lock(call)) == "ENOENT");
  call = good;
  call.has_completion_function = false;
  CHECK(told(space.lock(call)) == "EINVAL");
  for (int mode : {-1, 6}) {
    call = good;
    call.mode = static_cast<Mode>(mode);
    CHECK(told(space.lock(call)) == "EINVAL");
  }
  call = good;
  call.name = "";
  CHECK(told(space.lock(call)) == "EINVAL");
  call.name = std::string(256, 'x');
  CHECK(told(space.lock(call)) == "EINVAL");
  CHECK(told(space.unlock({1, 0, 0, {}})) == "EINVAL");
  CHECK(told(space.unlock({1, 7, 0, {}})) == "ENOENT");
  CHECK(told(space.lock(good)) == "1=ok/nl");
  CHECK(told(space.unlock({2, 1, 0, {}})) == "ENOENT");
  CHECK(space.resources().size() == 1);
}

TEST_CASE("the value block is read and written as the table of conversions says") {
  for (Mode from : kModes) {
    for (Mode to : kModes) {
      for (Flags flags : {Flags{0}, kValblk, kIvvalblk, kValblk | kIvvalblk}) {
        for (bool invalid : {false, true}) {
          CAPTURE(word(from));
          CAPTURE(word(to));
          CAPTURE(flags);
          CAPTURE(invalid);
          const char moves = kTransfer[number(from)][number(to)];
          const bool valblk = (flags & kValblk) != 0;
          const bool ivvalblk = (flags & kIvvalblk) != 0;
          Stage stage;
          stage.ask(1, Mode::nl);
          stage.ask(2, Mode::ex);
          stage.unlock(2, 2, kValblk, 5);
          if (invalid) {
            stage.ask(2, Mode::ex);
            stage.unlock(2, 3, kIvvalblk);
          }
          const int id = stage.ask(3, from).lock;
          const Outcome outcome = stage.convert(3, id, to, flags, 9);
          REQUIRE(outcome.callbacks.size() == 1);
          const Callback& done = outcome.callbacks.front();

          const bool writes = moves == 'w' && valblk && !ivvalblk;
          const bool invalidates = moves == 'w' && ivvalblk;
          CHECK(stage.resource().value == filled(writes ? 9 : 5));
          CHECK(stage.resource().value_invalid == (invalidates || (invalid && !writes)));
          CHECK(done.value.has_value() == (moves == 'r' && valblk));
          if (done.value) CHECK(*done.value == filled(5));
          const bool marked = invalid && (moves == '-' || (moves == 'r' && valblk));
          CHECK(done.flags == (marked ? kValnotvalid : 0));
        }
      }
    }
  }
}

TEST_CASE("an unlock writes the value block from PW and EX only") {
  for (Mode from : kModes) {
    for (Flags flags : {Flags{0}, kValblk, kIvvalblk, kValblk | kIvvalblk}) {
      CAPTURE(word(from));
      CAPTURE(flags);
      const bool may = kTransfer[number(from)][6] == 'w';
      Stage stage;
      stage.ask(1, Mode::nl);
      stage.ask(2, from);
      stage.unlock(2, 2, flags, 9);
      CHECK(stage.resource().value == filled(may && flags == kValblk ? 9 : 0));
      CHECK(stage.resource().value_invalid == (may && (flags & kIvvalblk) != 0));
    }
  }
}

TEST_CASE("a new request reads the value block in every mode, zeros at first") {
  for (Mode mode : kModes) {
    Stage stage;
    const Outcome first = stage.ask(1, Mode::nl, kValblk, 1, 7);
    REQUIRE(first.callbacks.size() == 1);
    CHECK(first.callbacks.front().value == filled(0));
    const Outcome second = stage.ask(2, mode, kValblk, 1, 7);
    CHECK(second.callbacks.front().value == filled(0));
    CHECK(stage.resource().value == filled(0));
  }
}

TEST_CASE("the value block ends with the last lock") {
  Stage stage;
  stage.ask(1, Mode::ex);
  stage.unlock(1, 1, kValblk, 5);
  CHECK(stage.space.resources().empty());
  CHECK(stage.ask(1, Mode::pr, kValblk).callbacks.front().value == filled(0));
}

}  // namespace
}  // namespace model

// Order of grants, deadlock, cancelling, notifications, deaths: schedules by hand. The text is that
// of told().
#include <doctest/doctest.h>

#include "tests/model/callback_queue.h"
#include "tests/model/lock_model.h"
#include "tests/model/lock_model_words.h"

namespace model {
namespace {

TEST_CASE("waiting requests are granted in their order, and conversions before them") {
  Stage stage;
  stage.ask(1, Mode::pr);
  stage.ask(2, Mode::pr);
  CHECK(told(stage.ask(3, Mode::ex)) == "1!ex 2!ex");
  CHECK(told(stage.ask(4, Mode::pr)) ==
        "");  // It would go with those granted, but waits behind the EX.
  CHECK(told(stage.ask(5, Mode::pr, kNoqueue)) == "5=EAGAIN/none");
  CHECK(told(stage.convert(2, 2, Mode::ex)) == "");  // Lock 1 has been told of EX.
  CHECK(told(stage.unlock(1, 1)) == "1=EUNLOCK/none 2=ok/ex 2!ex");
  CHECK(told(stage.unlock(2, 2)) == "2=EUNLOCK/none 3=ok/ex 3!pr");
  CHECK(told(stage.unlock(3, 3)) == "3=EUNLOCK/none 4=ok/pr");
}

TEST_CASE(
    "a new request waits behind a conversion that is queued, except with NOORDER or EXPEDITE") {
  Stage stage;
  stage.ask(1, Mode::pr);
  stage.ask(2, Mode::pr);
  stage.convert(2, 2, Mode::ex);
  CHECK(told(stage.ask(3, Mode::nl, kNoqueue)) == "3=EAGAIN/none");
  CHECK(told(stage.ask(3, Mode::nl, kExpedite)) == "4=ok/nl");
  CHECK(told(stage.ask(3, Mode::pr, kNoorder)) == "5=ok/pr 5!ex");  // Decision 19.
}

TEST_CASE("HEADQUE goes to the head of its queue") {
  Stage stage;
  stage.ask(1, Mode::ex);
  stage.ask(2, Mode::pw);
  stage.ask(3, Mode::ex, kHeadque);
  CHECK(told(stage.unlock(1, 1)) == "1=EUNLOCK/none 3=ok/ex 3!pw");
  CHECK(told(stage.unlock(3, 3)) == "3=EUNLOCK/none 2=ok/pw");

  Stage conversions;
  conversions.ask(1, Mode::pw);
  conversions.ask(2, Mode::nl);
  conversions.ask(3, Mode::nl);
  conversions.convert(2, 2, Mode::pw);
  conversions.convert(3, 3, Mode::pr, kHeadque);
  CHECK(told(conversions.unlock(1, 1)) == "1=EUNLOCK/none 3=ok/pr 3!pw");
}

TEST_CASE("a HEADQUE request that fits does not wait behind others who wait, only who converts") {
  Stage stage;
  stage.ask(1, Mode::pr);
  stage.ask(2, Mode::ex);
  CHECK(told(stage.ask(3, Mode::pr, kHeadque)) == "3=ok/pr 3!ex");  // Decisions 18 and 19.
  stage.convert(1, 1, Mode::ex);
  CHECK(told(stage.ask(4, Mode::pr, kHeadque)) == "");
}

TEST_CASE("NOORDER is granted out of the middle of a queue") {
  Stage stage;
  stage.ask(1, Mode::ex);
  stage.ask(2, Mode::cr);
  stage.ask(3, Mode::ex);
  stage.ask(4, Mode::cr, kNoorder);
  stage.ask(5, Mode::cr);
  CHECK(told(stage.unlock(1, 1)) == "1=EUNLOCK/none 2=ok/cr 4=ok/cr 2!ex 4!ex");
}

TEST_CASE("a conversion passes the convert queue when it is asked for, and not with QUECVT") {
  Stage stage;
  stage.ask(1, Mode::cr);
  stage.ask(2, Mode::nl);
  stage.ask(3, Mode::nl);
  CHECK(told(stage.convert(2, 2, Mode::ex)) == "1!ex");
  CHECK(told(stage.convert(3, 3, Mode::cr, kQuecvt | kNoqueue)) == "3=EAGAIN/nl");
  CHECK(told(stage.convert(3, 3, Mode::cr)) == "3=ok/cr 3!ex");
}

TEST_CASE("a queued conversion waits for the one before it, but not after a node has died") {
  const auto build = [](Stage& stage) {
    stage.ask(1, Mode::cr);
    stage.ask(9, Mode::pw, 0, 2);
    stage.ask(2, Mode::nl);
    stage.ask(3, Mode::nl);
    stage.convert(2, 3, Mode::ex);
    stage.convert(3, 4, Mode::pr);
  };
  Stage unlocked;
  build(unlocked);
  CHECK(told(unlocked.unlock(9, 2)) == "2=EUNLOCK/none");
  Stage died;
  build(died);
  CHECK(told(died.space.end_node(2)) == "4=ok/pr 4!ex");
}

TEST_CASE("alternative modes are tried when the mode that was asked for is not to be had") {
  Stage stage;
  stage.ask(1, Mode::pr);
  CHECK(told(stage.ask(2, Mode::ex, kAltpr)) == "2=ok/pr+A");
  CHECK(told(stage.ask(3, Mode::ex, kAltcw | kNoqueue)) == "3=EAGAIN/none");
  CHECK(told(stage.ask(4, Mode::ex, kAltpr | kAltcw)) == "4=ok/pr+A");
  CHECK(told(stage.ask(5, Mode::cw, kAltpr)) == "5=ok/pr+A");
  Stage queued;
  queued.ask(1, Mode::ex);
  queued.ask(2, Mode::ex, kAltcw);
  CHECK(told(queued.convert(1, 1, Mode::cw)) == "1=ok/cw 2=ok/cw+A");
}

TEST_CASE("a conversion that blocks a queued one ends with EDEADLK, is demoted, or is left") {
  const auto build = [](Stage& stage) {
    stage.ask(1, Mode::pr);
    stage.ask(2, Mode::pr);
    CHECK(told(stage.convert(1, 1, Mode::ex)) == "2!ex");
  };
  Stage fails;
  build(fails);
  CHECK(told(fails.convert(2, 2, Mode::ex)) == "2=EDEADLK/pr");
  CHECK(told(fails.unlock(2, 2)) == "2=EUNLOCK/none 1=ok/ex");
  Stage demotes;
  build(demotes);
  CHECK(told(demotes.convert(2, 2, Mode::ex, kConvdeadlk)) == "1=ok/ex 1!ex");
  CHECK(told(demotes.convert(1, 1, Mode::nl)) == "1=ok/nl 2=ok/ex+D");
  Stage cancelled;
  build(cancelled);
  cancelled.convert(2, 2, Mode::ex, kConvdeadlk);
  CHECK(told(cancelled.unlock(2, 2, kCancel)) == "2=ECANCEL/nl+D");
  Stage left;
  build(left);
  CHECK(told(left.convert(2, 2, Mode::ex, kNodlckwt)) == "");
  CHECK(told(left.unlock(1, 1, kCancel)) == "1=ECANCEL/pr 1!ex");
  Stage tries;
  build(tries);
  CHECK(told(tries.convert(2, 2, Mode::ex, kNoqueue)) == "2=EAGAIN/pr");
}

TEST_CASE("a conversion that blocks none of the queued ones is no deadlock") {
  Stage stage;
  stage.ask(1, Mode::nl);
  stage.ask(2, Mode::cr);
  stage.ask(3, Mode::pw);
  CHECK(told(stage.convert(1, 1, Mode::pw)) == "3!pw");
  CHECK(told(stage.convert(2, 2, Mode::pr)) == "");
  CHECK(told(stage.unlock(3, 3)) == "3=EUNLOCK/none 1=ok/pw 1!pr");
}

TEST_CASE("a waiting request is not granted while a conversion is queued") {
  Stage stage;
  stage.ask(1, Mode::cr);
  stage.ask(2, Mode::nl);
  stage.ask(3, Mode::pw);
  stage.ask(4, Mode::pr);
  stage.convert(2, 2, Mode::ex);
  CHECK(told(stage.unlock(3, 3)) == "3=EUNLOCK/none");
  CHECK(told(stage.unlock(1, 1)) == "1=EUNLOCK/none 2=ok/ex 2!pr");
}

TEST_CASE("a demotion lets a NOORDER request in, though the demoted lock has to queue") {
  Stage stage;
  stage.ask(1, Mode::cr);
  stage.ask(2, Mode::pw);
  stage.ask(3, Mode::cr);
  stage.convert(1, 1, Mode::ex);
  CHECK(told(stage.ask(4, Mode::pr, kNoorder)) == "");
  CHECK(told(stage.convert(2, 2, Mode::ex, kConvdeadlk)) == "4=ok/pr 4!ex");
}

TEST_CASE("a queued conversion is not demoted for one behind it that it merely blocks") {
  Stage stage;
  stage.ask(1, Mode::pr);
  stage.ask(2, Mode::nl);
  stage.ask(3, Mode::pr);
  stage.ask(4, Mode::nl);
  stage.convert(1, 1, Mode::ex, kConvdeadlk);
  stage.convert(2, 2, Mode::pw);
  CHECK(told(stage.convert(4, 4, Mode::nl)) == "4=ok/nl");
  CHECK(stage.space.locks().at(1).granted == Mode::pr);
}

TEST_CASE("what waits can be cancelled, forced out, or unlocked") {
  Stage stage;
  stage.ask(1, Mode::ex);
  stage.ask(2, Mode::pr);
  stage.ask(3, Mode::pr);
  CHECK(told(stage.unlock(1, 1, kCancel)) == "");
  CHECK(told(stage.unlock(2, 2, kCancel)) == "2=ECANCEL/none");
  CHECK(told(stage.unlock(2, 2, kCancel)) == "ENOENT");
  CHECK(told(stage.unlock(3, 3, kForceunlock)) == "3=EUNLOCK/none");
  CHECK(told(stage.unlock(3, 3, kForceunlock)) == "ENOENT");
  stage.ask(4, Mode::pr);
  CHECK(told(stage.unlock(4, 4)) == "4=EUNLOCK/none");
  CHECK(told(stage.convert(4, 4, Mode::pr)) == "ENOENT");

  Stage head;
  head.ask(1, Mode::pr);
  head.ask(2, Mode::ex);
  head.ask(3, Mode::pr);
  CHECK(told(head.unlock(2, 2, kCancel)) == "2=ECANCEL/none 3=ok/pr");
}

TEST_CASE("a cancelled conversion keeps its mode, a forced unlock gives it up") {
  Stage stage;
  stage.ask(1, Mode::pr);
  stage.ask(2, Mode::pr);
  stage.convert(1, 1, Mode::ex);
  CHECK(told(stage.unlock(1, 1, kCancel)) == "1=ECANCEL/pr");
  CHECK(told(stage.convert(1, 1, Mode::ex)) == "");  // Lock 2 has been told already.
  CHECK(told(stage.space.deadlock_cancel(1, 1)) == "1=EDEADLK/pr");
  stage.convert(1, 1, Mode::ex);
  CHECK(told(stage.unlock(1, 1, kForceunlock)) == "1=EUNLOCK/none");
  CHECK(told(stage.convert(2, 2, Mode::ex)) == "2=ok/ex");
}

TEST_CASE("what is blocked with TIMEOUT ends when its time has come, the earliest first") {
  Stage stage;
  stage.ask(1, Mode::pr);
  stage.now = 2;
  stage.ask(2, Mode::ex, kTimeout);
  stage.ask(3, Mode::pr);
  stage.now = 1;
  stage.convert(1, 1, Mode::pr, kTimeout);  // Granted, so it has no time-out.
  CHECK(told(stage.space.expire(11)) == "");
  CHECK(told(stage.space.expire(12)) == "2=ETIMEDOUT/none 3=ok/pr");
  stage.now = 12;
  stage.convert(1, 1, Mode::ex, kTimeout);
  CHECK(told(stage.space.expire(100)) == "1=ETIMEDOUT/pr");
}

TEST_CASE("only a higher mode causes another notification, and a grant resets the memory") {
  Stage stage;
  stage.ask(1, Mode::ex);
  CHECK(told(stage.ask(2, Mode::cr)) == "1!cr");
  CHECK(told(stage.ask(3, Mode::cr)) == "");
  CHECK(told(stage.ask(4, Mode::pw)) == "1!pw");
  CHECK(told(stage.ask(5, Mode::pr)) == "");
  CHECK(told(stage.convert(1, 1, Mode::pw)) == "1=ok/pw 2=ok/cr 3=ok/cr 1!pw");
}

TEST_CASE("holders of PR and CW are notified of each other's mode until EX was seen") {
  Stage stage;
  stage.ask(1, Mode::pr);
  CHECK(told(stage.ask(2, Mode::cw)) == "1!cw");
  CHECK(told(stage.ask(3, Mode::cw)) == "1!cw");
  CHECK(told(stage.ask(4, Mode::ex)) == "1!ex");
  CHECK(told(stage.ask(5, Mode::cw)) == "");
}

TEST_CASE(
    "a failed NOQUEUE tells nobody, with NOQUEUEBAST the granted and the converting holders") {
  Stage stage;
  stage.ask(1, Mode::cr);
  stage.ask(2, Mode::cr);
  stage.ask(3, Mode::pw);
  stage.convert(2, 2, Mode::pw);
  CHECK(told(stage.ask(4, Mode::ex, kNoqueue)) == "4=EAGAIN/none");
  CHECK(told(stage.ask(4, Mode::ex, kNoqueue | kNoqueuebast)) == "5=EAGAIN/none 3!ex 1!ex 2!ex");
}

TEST_CASE("who has no blocking function is not notified") {
  Stage stage;
  stage.space.lock({{1, 1, 1}, "r", 0, Mode::ex, 0, {}, true, false});
  CHECK(told(stage.ask(2, Mode::ex)) == "");
}

TEST_CASE("a notification is not delivered when the lock has given way or knows as much") {
  CallbackQueue queue;
  const auto completion = [](Mode mode) {
    return Callback{Callback::Kind::completion, 1, 1, mode};
  };
  const auto blocking = [](Mode mode) { return Callback{Callback::Kind::blocking, 1, 1, mode}; };
  queue.add(completion(Mode::ex));
  queue.add(blocking(Mode::pw));
  queue.add(blocking(Mode::pr));
  queue.add(blocking(Mode::pw));
  queue.add(completion(Mode::cr));
  queue.add(blocking(Mode::pr));
  queue.add(blocking(Mode::ex));
  CHECK(queue.deliver()->mode == Mode::ex);
  CHECK(queue.deliver()->mode == Mode::pw);
  CHECK(queue.deliver()->mode == Mode::cr);
  CHECK(queue.deliver()->mode == Mode::ex);
  CHECK(!queue.deliver());
}

TEST_CASE("a dead process gives up its locks, and what it may have written is not valid") {
  for (Mode mode : kModes) {
    Stage stage;
    stage.ask(1, Mode::nl);
    stage.ask(2, mode);
    const bool writer = mode == Mode::pw || mode == Mode::ex;
    CHECK(told(stage.space.end_session(2)) == "");
    CHECK(stage.resource().value_invalid == writer);
    CHECK(told(stage.convert(1, 1, Mode::pr, kValblk)) == (writer ? "1=ok/pr+V" : "1=ok/pr"));
    stage.convert(1, 1, Mode::ex);
    CHECK(told(stage.convert(1, 1, Mode::nl, kValblk)) == "1=ok/nl");
    CHECK(told(stage.convert(1, 1, Mode::pr, kValblk)) == "1=ok/pr");
  }
}

TEST_CASE("a dead node invalidates the value block only of writers with VALBLK") {
  for (Flags flags : {Flags{0}, kValblk, kValblk | kPersistent}) {
    Stage stage;
    stage.ask(1, Mode::nl);
    stage.ask(2, Mode::ex, flags, 2);
    CHECK(told(stage.ask(3, Mode::pr, kValblk)) == "2!pr");
    CHECK(told(stage.space.end_node(2)) == ((flags & kValblk) != 0 ? "3=ok/pr+V" : "3=ok/pr"));
    CHECK(stage.space.locks().size() == 2);
  }
}

TEST_CASE("persistent locks of a dead process block as orphans until adopted or purged") {
  Stage stage;
  stage.ask(1, Mode::ex, kPersistent);
  CHECK(told(stage.space.end_process(1, 1)) == "");
  CHECK(told(stage.ask(2, Mode::pr)) == "");  // An orphan hears nothing.
  CHECK(told(stage.unlock(1, 1)) == "ENOENT");
  CHECK(told(stage.ask(3, Mode::pr, kOrphan)) == "EAGAIN");
  CHECK(told(stage.ask(3, Mode::ex, kOrphan, 2)) == "ENOENT");  // Of another node.
  const Outcome adopted = stage.ask(3, Mode::ex, kOrphan | kPersistent);
  CHECK(adopted.lock == 1);
  CHECK(told(adopted) == "1!pr");  // No completion; but who waits is heard of from now on.
  CHECK(told(stage.ask(3, Mode::ex, kOrphan)) == "ENOENT");
  stage.space.end_session(3);
  CHECK(told(stage.space.purge({4, 4, 1}, 2, 0)) == "");
  CHECK(told(stage.space.purge({4, 4, 1}, 0, 1)) == "");
  CHECK(told(stage.space.purge({4, 4, 1}, 0, 3)) == "2=ok/pr");
  CHECK(stage.resource().value_invalid);
}

TEST_CASE("an orphan keeps its mode but not its conversion, and a waiting one is dropped") {
  Stage stage;
  stage.ask(1, Mode::pr);
  stage.ask(2, Mode::pr);
  stage.convert(1, 1, Mode::ex, kPersistent);
  stage.ask(1, Mode::ex, kPersistent);
  CHECK(told(stage.space.end_session(1)) == "");
  CHECK(stage.space.locks().size() == 2);
  CHECK(stage.space.locks().at(1).granted == Mode::pr);
  CHECK(stage.resource().converting.empty());
  CHECK(stage.resource().waiting.empty());
  stage.unlock(2, 2);
  CHECK(told(stage.space.purge({1, 7, 2}, 1, 0)) == "");
  CHECK(stage.space.resources().empty());
}

TEST_CASE("a purge of one's own drops all own locks in silence, persistent ones too") {
  Stage stage;
  stage.ask(1, Mode::ex, kPersistent);
  stage.ask(2, Mode::pr, kValblk);
  CHECK(told(stage.space.purge({1, 1, 1}, 1, 1)) == "2=ok/pr+V");
  CHECK(stage.space.locks().size() == 1);
}

}  // namespace
}  // namespace model

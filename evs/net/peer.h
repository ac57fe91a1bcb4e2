// What a receiver knows of one sender: the one life of it that has proved to be alive, which of its
// datagrams were accepted, and the challenge that another life would have to answer. It
// authenticates nothing and owns no secret but the key of that life.
//
// A life is proved by an answer to the open challenge. Everything that the life sealed before that
// answer counts as accepted then. So nothing is accepted twice, however often lives follow each
// other: what was accepted of a life before came before the challenge, hence before the answer.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "evs/net/record.h"
#include "evs/net/replay_window.h"
#include "evs/net/secret.h"

namespace evs::net {

class Peer {
 public:
  // An answer counts for so long after the challenge was first made. Longer than a round trip at
  // heavy loss; short, since who holds back an answer brings in a life that ended meanwhile.
  static constexpr base::Duration kChallengeLifetime = std::chrono::seconds(5);

  // Pauses between challenges to a sender, and between answers to its unproved lives: recordings
  // of its old lives must not make us send as much as they are.
  static constexpr base::Duration kHandshakePause = std::chrono::milliseconds(5);

  // Holds every ring message that agrees on a membership; a larger datagram is not kept.
  static constexpr std::size_t kHeldBytesMax = 2048;

  // ---- The proved life ----

  bool proved(const Salt& salt) const { return life_ && life_->salt == salt; }

  // True if this counter of the proved life was certainly not accepted before.
  bool fresh(std::uint64_t counter) const { return life_ && life_->window.fresh(counter); }

  // The key of this datagram of the proved life, if it is at hand; else null.
  const Secret* key(const RecordHeader& header) const;

  // The keys of the cluster have changed: what is at hand may be of one that is gone.
  void forget_key() {
    if (life_) life_->key.reset();
  }

  // Which key the newest datagram of the proved life was sealed with.
  std::optional<KeyId> key_id() const {
    return life_ ? std::optional(life_->key_id) : std::nullopt;
  }

  // A datagram of the proved life was authenticated under `key`.
  void accept(const RecordHeader& header, const Secret& key);

  // ---- The proof ----

  // The number of the challenge that is to be sent now; none if one was just sent.
  std::optional<std::uint64_t> challenge(base::Instant now);

  // True once in kHandshakePause.
  bool may_answer_unproved(base::Instant now);

  // Keeps the text of a datagram of an unproved life until it is proved; the last one only.
  void hold(const RecordHeader& header, base::Bytes text);

  struct Held {
    RecordHeader header;
    base::Buffer text;
  };

  // The life of this authenticated answer has answered challenge `number` of ours. True if that
  // challenge is open: then the life is proved from now on, and the former one over.
  bool answered(std::uint64_t number, const RecordHeader& header, const Secret& key,
                base::Instant now);

  // What was held of the life just proved, once.
  std::optional<Held> take_held();

 private:
  struct Life {
    Salt salt{};
    ReplayWindow window;
    KeyId key_id{};
    std::uint64_t sub_key = 0;
    std::optional<Secret> key;
  };

  struct Challenge {
    std::uint64_t number = 0;
    base::Duration made{};
    base::Duration sent{};
  };

  void begin_life(const RecordHeader& header, const Secret& key);
  bool was_proved_before(const Salt& salt) const;

  std::optional<Life> life_;
  std::optional<Challenge> open_;
  std::uint64_t challenges_ = 0;
  std::optional<base::Duration> answered_unproved_;
  std::optional<Held> held_;

  // The lives proved last. While two processes run under one node's id they are proved in turns,
  // and what was accepted of one must not be held for its return.
  std::array<Salt, 4> former_{};
  std::size_t former_count_ = 0;
};

}  // namespace evs::net

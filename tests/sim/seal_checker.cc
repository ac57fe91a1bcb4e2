#include "tests/sim/seal_checker.h"

#include <algorithm>
#include <cstring>

#include "evs/net/handshake.h"
#include "evs/net/replay_window.h"

namespace sim {
namespace {

using evs::net::Nonce;
using evs::net::Opened;
using evs::net::RecordHeader;
using evs::net::RecordType;
using evs::net::Refusal;
using evs::net::ReplayWindow;
using evs::net::Salt;
using evs::net::Secret;

class Hasher {
 public:
  Hasher& add(base::Bytes bytes) {
    add_word(bytes.size());
    while (bytes.size() >= 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data(), 8);
      add_word(word);
      bytes = bytes.subspan(8);
    }
    std::uint64_t rest = 0;
    if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
    add_word(rest);
    return *this;
  }

  Fingerprint fingerprint() const { return {finish(state_.a), finish(state_.b)}; }

 private:
  void add_word(std::uint64_t word) {
    state_.a = (state_.a ^ word) * 0xd6e8feb86659fd93u;
    state_.a ^= state_.a >> 32;
    state_.b = (state_.b + word) * 0xff51afd7ed558ccdu;
    state_.b ^= state_.b >> 29;
  }

  static std::uint64_t finish(std::uint64_t h) {
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 32);
  }

  Fingerprint state_{0x243f6a8885a308d3u, 0x13198a2e03707344u};
};

static_assert(sizeof(Fingerprint) == evs::net::kTagBytes);

Fingerprint tag_of(const Secret& key, const Nonce& nonce, base::Bytes header,
                   base::Bytes plaintext) {
  return Hasher().add(key.view()).add(nonce).add(header).add(plaintext).fingerprint();
}

Fingerprint fingerprint_of(base::Bytes header, base::Bytes sealed) {
  return Hasher().add(header).add(sealed).fingerprint();
}

// What a header says is fixed by its life and counter, if it is genuine.
Fingerprint identity_of(const RecordHeader& header) {
  base::Buffer encoded;
  encode(header, encoded);
  return Hasher().add(encoded).fingerprint();
}

std::string name_of(const RecordHeader& header) {
  return "datagram " + std::to_string(header.counter) + " of node " +
         base::to_string(header.sender);
}

}  // namespace

Secret SealChecker::FakeAead::derive(const Secret& master, base::Bytes salt, base::Bytes info) {
  Secret key;
  for (std::size_t half = 0; half < 2; ++half) {
    const std::byte which{static_cast<unsigned char>(half)};
    const Fingerprint f =
        Hasher().add(master.view()).add(salt).add(info).add({&which, 1}).fingerprint();
    std::memcpy(key.bytes().data() + 16 * half, &f, sizeof f);
  }
  return key;
}

void SealChecker::FakeAead::seal(const Secret& key, const Nonce& nonce, base::Bytes header,
                                 base::Bytes plaintext, std::span<std::byte> sealed) {
  std::ranges::copy(plaintext, sealed.begin());
  const Fingerprint tag = tag_of(key, nonce, header, plaintext);
  std::memcpy(sealed.data() + plaintext.size(), &tag, sizeof tag);
  checker_.on_sealed(key, nonce, header, sealed);
}

bool SealChecker::FakeAead::open(const Secret& key, const Nonce& nonce, base::Bytes header,
                                 base::Bytes sealed, std::span<std::byte> plaintext) {
  std::ranges::copy(sealed.first(plaintext.size()), plaintext.begin());
  const Fingerprint tag = tag_of(key, nonce, header, plaintext);
  return std::memcmp(sealed.data() + plaintext.size(), &tag, sizeof tag) == 0;
}

void SealChecker::on_sealed(const Secret& key, const Nonce& nonce, base::Bytes header,
                            base::Bytes sealed) {
  ++sealed_count_;
  if (!nonces_.insert(Hasher().add(key.view()).add(nonce).fingerprint()).second) {
    report("a nonce was used twice under one key");
  }
  datagrams_.insert(fingerprint_of(header, sealed));

  base::Buffer whole(header.begin(), header.end());
  whole.insert(whole.end(), sealed.begin(), sealed.end());
  const auto decoded = evs::net::decode_header(whole);
  if (!decoded || decoded->type != RecordType::challenge) return;
  // The fake cipher leaves the text in the clear.
  const auto handshake =
      evs::net::decode_handshake(sealed.first(sealed.size() - evs::net::kTagBytes));
  if (!handshake) return;
  Challenge& last = challenges_[{decoded->salt, handshake->to}];
  if (last.number != handshake->number) last = {handshake->number, sealed_count_};
}

bool SealChecker::alive_at_challenge(const Salt& life, base::NodeId node,
                                     const Salt& challenger) const {
  const auto challenge = challenges_.find({challenger, node});
  if (challenge == challenges_.end()) return false;
  const auto end = ended_.find(life);
  return end == ended_.end() || end->second >= challenge->second.made;
}

void SealChecker::report(std::string what) {
  if (!violation_) violation_ = "sealing: " + std::move(what);
}

base::Result<std::optional<Opened>, Refusal> CheckedOpener::open(base::Instant now,
                                                                 base::Bytes datagram) {
  const auto opened = opener_.open(now, datagram);
  const auto header = evs::net::decode_header(datagram);
  if (!header) {
    if (opened) checker_.report("node " + base::to_string(self_) + " accepted no datagram at all");
    return opened;
  }
  if (opened) {
    on_accepted(*header, datagram);
    if (*opened) on_brought(**opened);
  } else if (opened.error() == Refusal::replayed) {
    on_replayed(fingerprint_of(datagram.first(evs::net::kHeaderBytes),
                               datagram.subspan(evs::net::kHeaderBytes)),
                *header);
  } else if (opened.error() == Refusal::stray) {
    // Authentic, but for somebody else: looked at once, and a replay from then on.
    accepted_.insert(identity_of(*header));
  }
  return opened;
}

void CheckedOpener::on_accepted(const RecordHeader& header, base::Bytes datagram) {
  const std::string who = "node " + base::to_string(self_);
  if (!checker_.genuine(fingerprint_of(datagram.first(evs::net::kHeaderBytes),
                                       datagram.subspan(evs::net::kHeaderBytes)))) {
    checker_.report(who + " accepted a forged " + name_of(header));
  }
  Life& life = lives_[header.sender];
  if (life.salt != header.salt) {
    if (!checker_.alive_at_challenge(header.salt, header.sender, salt_)) {
      checker_.report(who + " accepted " + name_of(header) +
                      " of a life that was over when it was challenged, or never challenged");
    }
    life = {header.salt, header.counter, 0};
  }
  life.highest = std::max(life.highest, header.counter);
  // A ring message is brought, and counted below.
  if (header.type != RecordType::ring && !accepted_.insert(identity_of(header)).second) {
    checker_.report(who + " accepted a replayed " + name_of(header));
  }
}

// It may be an earlier one than the datagram that was opened.
void CheckedOpener::on_brought(const Opened& opened) {
  const std::string who = "node " + base::to_string(self_);
  Life& life = lives_[opened.header.sender];
  if (opened.header.salt != life.salt) {
    checker_.report(who + " brought " + name_of(opened.header) + " of another life");
  }
  life.highest = std::max(life.highest, opened.header.counter);
  if (!accepted_.insert(identity_of(opened.header)).second) {
    checker_.report(who + " accepted a replayed " + name_of(opened.header));
  }
}

// Losing a datagram is no harm, but shutting out a sender for good would be: so within the window
// of the present life, and after its proof, nothing may be called a replay that was never accepted.
void CheckedOpener::on_replayed(const Fingerprint& datagram, const RecordHeader& header) {
  if (!checker_.genuine(datagram) || accepted_.contains(identity_of(header))) return;
  const Life& life = lives_[header.sender];
  if (life.salt == header.salt && header.counter <= life.first) return;
  if (life.salt == header.salt && header.counter + ReplayWindow::kWidth <= life.highest) return;
  checker_.report("node " + base::to_string(self_) + " took the genuine " + name_of(header) +
                  " for a replay");
}

}  // namespace sim

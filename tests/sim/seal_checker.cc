#include "tests/sim/seal_checker.h"

#include <algorithm>
#include <cstring>

#include "evs/net/lives.h"
#include "evs/net/replay_window.h"

namespace sim {
namespace {

using evs::net::Nonce;
using evs::net::RecordHeader;
using evs::net::Refusal;
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
}

void SealChecker::report(std::string what) {
  if (!violation_) violation_ = "sealing: " + std::move(what);
}

base::Result<evs::net::Opened, Refusal> CheckedOpener::open(base::Bytes datagram) {
  const auto opened = opener_.open(datagram);
  const auto header = evs::net::decode_header(datagram);
  if (!header) {
    if (opened) checker_.report("node " + base::to_string(self_) + " accepted no datagram at all");
    return opened;
  }
  const Fingerprint fingerprint = fingerprint_of(datagram.first(evs::net::kHeaderBytes),
                                                 datagram.subspan(evs::net::kHeaderBytes));
  if (opened) {
    on_accepted(fingerprint, *header);
  } else if (opened.error() == Refusal::replayed) {
    on_replayed(fingerprint, *header);
  }
  return opened;
}

void CheckedOpener::on_accepted(const Fingerprint& datagram, const RecordHeader& header) {
  const std::string who = "node " + base::to_string(self_);
  if (!checker_.genuine(datagram)) {
    checker_.report(who + " accepted a forged " + name_of(header));
  }
  if (!accepted_.insert(datagram).second) {
    checker_.report(who + " accepted a replayed " + name_of(header));
  }
  std::uint64_t& highest = highest_[header.sender][header.salt];
  highest = std::max(highest, header.counter);
}

// Losing a datagram is no harm, but shutting out a sender for good would be: so within the window
// nothing may be called a replay that was never accepted. With many lives of a sender heard, the
// window is not promised.
void CheckedOpener::on_replayed(const Fingerprint& datagram, const RecordHeader& header) {
  if (!checker_.genuine(datagram) || accepted_.contains(datagram)) return;
  const auto& lives = highest_[header.sender];
  if (lives.size() > evs::net::Lives::kLivesInUseMax) return;
  const auto life = lives.find(header.salt);
  const std::uint64_t highest = life == lives.end() ? 0 : life->second;
  if (header.counter + evs::net::ReplayWindow::kWidth <= highest) return;
  checker_.report("node " + base::to_string(self_) + " took the genuine " + name_of(header) +
                  " for a replay");
}

}  // namespace sim

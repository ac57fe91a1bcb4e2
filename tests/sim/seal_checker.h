// Watches the sealing of a whole simulated cluster: that no nonce is used twice under a key, that
// nothing forged is accepted, nothing is accepted twice, no life is taken for alive that was over
// when it was challenged, and nothing genuine is shut out. It holds the fake cryptography of the
// simulator; the record layer under it is the real one.
//
// Use one SealChecker for the run, evs::net::Sealer over aead() for each life of a node, and
// CheckedOpener in place of evs::net::Opener. Tell it when a life ends.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "evs/net/aead.h"
#include "evs/net/opener.h"
#include "evs/net/record.h"

namespace sim {

// Two independent hashes of some bytes. Equal bytes have equal ones; unequal bytes have different
// ones but once in 2^128.
struct Fingerprint {
  std::uint64_t a = 0;
  std::uint64_t b = 0;

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

struct FingerprintHash {
  std::size_t operator()(const Fingerprint& f) const { return static_cast<std::size_t>(f.a); }
};

using Fingerprints =
    std::unordered_set<Fingerprint, FingerprintHash>;  // Asked, never walked through.

class SealChecker {
 public:
  SealChecker() : aead_(*this) {}
  SealChecker(const SealChecker&) = delete;
  SealChecker& operator=(const SealChecker&) = delete;

  evs::net::Aead& aead() { return aead_; }

  // The first violation seen.
  const std::optional<std::string>& violation() const { return violation_; }

  std::uint64_t sealed() const { return sealed_count_; }

  // The life with this salt seals nothing any more.
  void life_ended(const evs::net::Salt& salt) { ended_[salt] = sealed_count_; }

 private:
  friend class CheckedOpener;

  // Copies the text in the clear; the tag is a fingerprint of the key and of all that it covers.
  class FakeAead final : public evs::net::Aead {
   public:
    explicit FakeAead(SealChecker& checker) : checker_(checker) {}
    evs::net::Cipher cipher() const override { return evs::net::Cipher::chacha20_poly1305; }
    evs::net::Secret derive(const evs::net::Secret& master, base::Bytes salt,
                            base::Bytes info) override;
    void seal(const evs::net::Secret& key, const evs::net::Nonce& nonce, base::Bytes header,
              base::Bytes plaintext, std::span<std::byte> sealed) override;
    [[nodiscard]] bool open(const evs::net::Secret& key, const evs::net::Nonce& nonce,
                            base::Bytes header, base::Bytes sealed,
                            std::span<std::byte> plaintext) override;

   private:
    SealChecker& checker_;
  };

  void on_sealed(const evs::net::Secret& key, const evs::net::Nonce& nonce, base::Bytes header,
                 base::Bytes sealed);
  bool genuine(const Fingerprint& datagram) const { return datagrams_.contains(datagram); }

  // Whether the life was not over yet when the challenger made its last challenge to that node.
  bool alive_at_challenge(const evs::net::Salt& life, base::NodeId node,
                          const evs::net::Salt& challenger) const;
  void report(std::string what);

  struct Challenge {
    std::uint64_t number = 0;
    std::uint64_t made = 0;
  };

  FakeAead aead_;
  Fingerprints nonces_;     // Of (key, nonce).
  Fingerprints datagrams_;  // Of header and sealed text.

  // Times are counts of what was sealed before.
  std::uint64_t sealed_count_ = 0;
  std::map<evs::net::Salt, std::uint64_t> ended_;
  std::map<std::pair<evs::net::Salt, base::NodeId>, Challenge> challenges_;  // The last ones.
  std::optional<std::string> violation_;
};

// The opener of one life of a node, with the checks around it.
class CheckedOpener {
 public:
  CheckedOpener(SealChecker& checker, const evs::net::ClusterKey& key, base::NodeId self,
                const evs::net::Salt& salt, std::span<const base::NodeId> nodes)
      : checker_(checker),
        self_(self),
        salt_(salt),
        opener_(checker.aead(), key, self, salt, nodes) {}

  base::Result<std::optional<evs::net::Opened>, evs::net::Refusal> open(base::Instant now,
                                                                        base::Bytes datagram);

  const evs::net::Opener& opener() const { return opener_; }

 private:
  // What is known of the life of a sender that was accepted last.
  struct Life {
    evs::net::Salt salt{};
    std::uint64_t first = 0;  // The counter of what was accepted first of it, and so is its proof.
    std::uint64_t highest = 0;  // The highest counter accepted.
  };

  void on_accepted(const evs::net::RecordHeader& header, base::Bytes datagram);
  void on_brought(const evs::net::Opened& opened);
  void on_replayed(const Fingerprint& datagram, const evs::net::RecordHeader& header);

  SealChecker& checker_;
  base::NodeId self_;
  evs::net::Salt salt_;
  evs::net::Opener opener_;
  Fingerprints accepted_;
  std::map<base::NodeId, Life> lives_;
};

}  // namespace sim

// Watches the sealing of a whole simulated cluster: that no nonce is used twice under a key, that
// nothing forged is accepted, nothing is accepted twice, and nothing genuine is shut out. It holds
// the fake cryptography of the simulator; the record layer under it is the real one.
//
// Use one SealChecker for the run, evs::net::Sealer over aead() for each life of a node, and
// CheckedOpener in place of evs::net::Opener.
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

 private:
  friend class CheckedOpener;

  // Copies the text in the clear; the tag is a fingerprint of the key and of all that it covers.
  class FakeAead final : public evs::net::Aead {
   public:
    explicit FakeAead(SealChecker& checker) : checker_(checker) {}
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
  void report(std::string what);

  FakeAead aead_;
  Fingerprints nonces_;     // Of (key, nonce).
  Fingerprints datagrams_;  // Of header and sealed text.
  std::uint64_t sealed_count_ = 0;
  std::optional<std::string> violation_;
};

// The opener of one life of a node, with the checks around it.
class CheckedOpener {
 public:
  CheckedOpener(SealChecker& checker, const evs::net::ClusterKey& key, base::NodeId self,
                std::span<const base::NodeId> nodes)
      : checker_(checker), self_(self), opener_(checker.aead(), key, self, nodes) {}

  base::Result<evs::net::Opened, evs::net::Refusal> open(base::Bytes datagram);

  const evs::net::Opener& opener() const { return opener_; }

 private:
  void on_accepted(const Fingerprint& datagram, const evs::net::RecordHeader& header);
  void on_replayed(const Fingerprint& datagram, const evs::net::RecordHeader& header);

  SealChecker& checker_;
  base::NodeId self_;
  evs::net::Opener opener_;
  Fingerprints accepted_;
  // The highest counter accepted of each life of each sender.
  std::map<base::NodeId, std::map<evs::net::Salt, std::uint64_t>> highest_;
};

}  // namespace sim

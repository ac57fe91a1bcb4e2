// A cipher that hides nothing and whose tag is the nonce's counter: so a fuzzer, which can not
// forge a real tag, comes past the seal.
#pragma once

#include <algorithm>

#include "evs/net/aead.h"

namespace fuzz {

class FakeAead final : public evs::net::Aead {
 public:
  evs::net::Cipher cipher() const override { return evs::net::Cipher::chacha20_poly1305; }

  evs::net::Secret derive(const evs::net::Secret& master, base::Bytes, base::Bytes) override {
    return master;
  }

  void seal(const evs::net::Secret&, const evs::net::Nonce& nonce, base::Bytes,
            base::Bytes plaintext, std::span<std::byte> sealed) override {
    std::copy(plaintext.begin(), plaintext.end(), sealed.begin());
    const auto tag = sealed.last(evs::net::kTagBytes);
    std::fill(tag.begin(), tag.end(), nonce[4]);
  }

  bool open(const evs::net::Secret&, const evs::net::Nonce& nonce, base::Bytes, base::Bytes sealed,
            std::span<std::byte> plaintext) override {
    const base::Bytes tag = sealed.last(evs::net::kTagBytes);
    std::copy_n(sealed.begin(), plaintext.size(), plaintext.begin());
    return std::all_of(tag.begin(), tag.end(), [&](std::byte b) { return b == nonce[4]; });
  }
};

}  // namespace fuzz

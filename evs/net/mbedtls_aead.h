// ChaCha20-Poly1305 and HKDF-SHA256 of mbedTLS. mbedtls_aead.cc is the only file that calls
// mbedTLS; it is written to suit 2.28, which it is tested with, and 3.x, which it is not.
#pragma once

#include "evs/net/aead.h"

namespace evs::net {

class MbedtlsAead final : public Aead {
 public:
  Secret derive(const Secret& master, base::Bytes salt, base::Bytes info) override;
  void seal(const Secret& key, const Nonce& nonce, base::Bytes header, base::Bytes plaintext,
            std::span<std::byte> sealed) override;
  [[nodiscard]] bool open(const Secret& key, const Nonce& nonce, base::Bytes header,
                          base::Bytes sealed, std::span<std::byte> plaintext) override;
};

}  // namespace evs::net

// ChaCha20-Poly1305, AES-256-GCM and HKDF-SHA256 of mbedTLS. mbedtls_aead.cc is the only file that
// calls mbedTLS; it is written to suit 2.28, which it is tested with, and 3.x, which it is not.
#pragma once

#include "evs/net/aead.h"

namespace evs::net {

class MbedtlsAead final : public Aead {
 public:
  explicit MbedtlsAead(Cipher cipher = Cipher::chacha20_poly1305) : cipher_(cipher) {}

  Cipher cipher() const override { return cipher_; }
  Secret derive(const Secret& master, base::Bytes salt, base::Bytes info) override;
  void seal(const Secret& key, const Nonce& nonce, base::Bytes header, base::Bytes plaintext,
            std::span<std::byte> sealed) override;
  [[nodiscard]] bool open(const Secret& key, const Nonce& nonce, base::Bytes header,
                          base::Bytes sealed, std::span<std::byte> plaintext) override;

 private:
  Cipher cipher_;
};

}  // namespace evs::net

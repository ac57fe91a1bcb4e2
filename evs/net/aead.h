// The two cryptographic operations that the record layer stands on, as an interface: mbedTLS is one
// implementation (mbedtls_aead.h), the simulator's recording fake is the other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "evs/net/secret.h"

namespace evs::net {

constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;

using Nonce = std::array<std::byte, kNonceBytes>;

// What a cluster seals with. Both have keys of 32 bytes, and the nonces and tags above.
enum class Cipher : std::uint8_t { chacha20_poly1305 = 0, aes_256_gcm = 1 };

class Aead {
 public:
  virtual ~Aead() = default;

  virtual Cipher cipher() const = 0;

  // HKDF with SHA-256, extract and expand.
  virtual Secret derive(const Secret& master, base::Bytes salt, base::Bytes info) = 0;

  // Writes ciphertext and tag: `sealed` is kTagBytes longer than `plaintext` and does not overlap
  // it. The header is authenticated with it. A nonce must never be used twice with a key.
  virtual void seal(const Secret& key, const Nonce& nonce, base::Bytes header,
                    base::Bytes plaintext, std::span<std::byte> sealed) = 0;

  // The reverse; `plaintext` is kTagBytes shorter than `sealed`, which has at least kTagBytes.
  // False if the tag does not fit: then `plaintext` holds nothing of use.
  [[nodiscard]] virtual bool open(const Secret& key, const Nonce& nonce, base::Bytes header,
                                  base::Bytes sealed, std::span<std::byte> plaintext) = 0;
};

}  // namespace evs::net

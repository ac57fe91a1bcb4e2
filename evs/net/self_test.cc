#include "evs/net/self_test.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/bytes.h"

namespace evs::net {
namespace {

// The example of RFC 8439, section 2.8.2: its tag depends on every byte that goes in.
constexpr std::string_view kPlaintext =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    "sunscreen would be it.";
constexpr std::string_view kHeader = "\x50\x51\x52\x53\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7";
constexpr std::string_view kNonce{"\x07\x00\x00\x00\x40\x41\x42\x43\x44\x45\x46\x47", kNonceBytes};
constexpr std::string_view kTag =
    "\x1a\xe1\x0b\x59\x4f\x09\xe2\x6a\x7e\x90\x2e\xcb\xd0\x60\x06\x91";

}  // namespace

base::Result<void, std::string> self_test(Aead& aead) {
  Secret key;
  for (std::size_t i = 0; i < kKeyBytes; ++i) key.bytes()[i] = static_cast<std::byte>(0x80 + i);
  Nonce nonce;
  std::ranges::copy(base::bytes_of(kNonce), nonce.begin());
  const base::Bytes header = base::bytes_of(kHeader);
  const base::Bytes plaintext = base::bytes_of(kPlaintext);

  base::Buffer sealed(plaintext.size() + kTagBytes);
  aead.seal(key, nonce, header, plaintext, sealed);
  if (!std::ranges::equal(base::Bytes(sealed).last(kTagBytes), base::bytes_of(kTag))) {
    return base::error(std::string("the AEAD does not compute ChaCha20-Poly1305"));
  }

  base::Buffer opened(plaintext.size());
  if (!aead.open(key, nonce, header, sealed, opened) || !std::ranges::equal(opened, plaintext)) {
    return base::error(std::string("the AEAD does not open what it sealed"));
  }
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    sealed[i] ^= std::byte{1};
    if (aead.open(key, nonce, header, sealed, opened)) {
      return base::error(std::string("the AEAD accepts a changed datagram"));
    }
    sealed[i] ^= std::byte{1};
  }

  const Secret derived = aead.derive(key, base::bytes_of("salt"), base::bytes_of("info"));
  for (const Secret& other :
       {aead.derive(key, base::bytes_of("tlas"), base::bytes_of("info")),
        aead.derive(key, base::bytes_of("salt"), base::bytes_of("ofni")), key}) {
    if (std::ranges::equal(derived.view(), other.view())) {
      return base::error(std::string("the key derivation gives one key for two purposes"));
    }
  }
  return {};
}

}  // namespace evs::net

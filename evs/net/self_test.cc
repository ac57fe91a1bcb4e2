#include "evs/net/self_test.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/bytes.h"

namespace evs::net {
namespace {

struct KnownAnswer {
  std::string_view name;
  std::string_view key, nonce, header, plaintext, tag;  // Its tag depends on every byte.
};

// The example of RFC 8439, section 2.8.2.
constexpr KnownAnswer kChaChaPoly{
    "ChaCha20-Poly1305",
    "\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
    "\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f",
    {"\x07\x00\x00\x00\x40\x41\x42\x43\x44\x45\x46\x47", kNonceBytes},
    "\x50\x51\x52\x53\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7",
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    "sunscreen would be it.",
    "\x1a\xe1\x0b\x59\x4f\x09\xe2\x6a\x7e\x90\x2e\xcb\xd0\x60\x06\x91"};

// Test case 16 of the specification of GCM (McGrew and Viega).
constexpr KnownAnswer kGcm{
    "AES-256-GCM",
    "\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08"
    "\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08",
    "\xca\xfe\xba\xbe\xfa\xce\xdb\xad\xde\xca\xf8\x88",
    "\xfe\xed\xfa\xce\xde\xad\xbe\xef\xfe\xed\xfa\xce\xde\xad\xbe\xef\xab\xad\xda\xd2",
    {"\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a"
     "\x86\xa7\xa9\x53\x15\x34\xf7\xda\x2e\x4c\x30\x3d\x8a\x31\x8a\x72"
     "\x1c\x3c\x0c\x95\x95\x68\x09\x53\x2f\xcf\x0e\x24\x49\xa6\xb5\x25"
     "\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39",
     60},
    "\x76\xfc\x6e\xce\x0f\x4e\x17\x68\xcd\xdf\x88\x53\xbb\x2d\x55\x1b"};

}  // namespace

base::Result<void, std::string> self_test(Aead& aead) {
  const KnownAnswer& known = aead.cipher() == Cipher::aes_256_gcm ? kGcm : kChaChaPoly;
  Secret key;
  std::ranges::copy(base::bytes_of(known.key), key.bytes().begin());
  Nonce nonce;
  std::ranges::copy(base::bytes_of(known.nonce), nonce.begin());
  const base::Bytes header = base::bytes_of(known.header);
  const base::Bytes plaintext = base::bytes_of(known.plaintext);

  base::Buffer sealed(plaintext.size() + kTagBytes);
  aead.seal(key, nonce, header, plaintext, sealed);
  if (!std::ranges::equal(base::Bytes(sealed).last(kTagBytes), base::bytes_of(known.tag))) {
    return base::error("the AEAD does not compute " + std::string(known.name));
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

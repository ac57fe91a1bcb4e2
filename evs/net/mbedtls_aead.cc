#include "evs/net/mbedtls_aead.h"

#include <mbedtls/chachapoly.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

#include "base/check.h"

namespace evs::net {
namespace {

const unsigned char* in(base::Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* out(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

// A context holds the key only while one datagram is worked on; freeing it wipes the key.
class ChaChaPoly {
 public:
  explicit ChaChaPoly(const Secret& key) {
    mbedtls_chachapoly_init(&context_);
    CHECK(mbedtls_chachapoly_setkey(&context_, in(key.view())) == 0);
  }
  ~ChaChaPoly() { mbedtls_chachapoly_free(&context_); }
  ChaChaPoly(const ChaChaPoly&) = delete;
  ChaChaPoly& operator=(const ChaChaPoly&) = delete;

  int seal(const Nonce& nonce, base::Bytes header, base::Bytes plaintext,
           std::span<std::byte> sealed) {
    return mbedtls_chachapoly_encrypt_and_tag(&context_, plaintext.size(), in(nonce), in(header),
                                              header.size(), in(plaintext), out(sealed),
                                              out(sealed.subspan(plaintext.size())));
  }
  int open(const Nonce& nonce, base::Bytes header, base::Bytes sealed,
           std::span<std::byte> plaintext) {
    return mbedtls_chachapoly_auth_decrypt(&context_, plaintext.size(), in(nonce), in(header),
                                           header.size(), in(sealed.subspan(plaintext.size())),
                                           in(sealed), out(plaintext));
  }

 private:
  mbedtls_chachapoly_context context_;
};

class Gcm {
 public:
  explicit Gcm(const Secret& key) {
    mbedtls_gcm_init(&context_);
    CHECK(mbedtls_gcm_setkey(&context_, MBEDTLS_CIPHER_ID_AES, in(key.view()), 8 * kKeyBytes) == 0);
  }
  ~Gcm() { mbedtls_gcm_free(&context_); }
  Gcm(const Gcm&) = delete;
  Gcm& operator=(const Gcm&) = delete;

  int seal(const Nonce& nonce, base::Bytes header, base::Bytes plaintext,
           std::span<std::byte> sealed) {
    return mbedtls_gcm_crypt_and_tag(&context_, MBEDTLS_GCM_ENCRYPT, plaintext.size(), in(nonce),
                                     nonce.size(), in(header), header.size(), in(plaintext),
                                     out(sealed), kTagBytes, out(sealed.subspan(plaintext.size())));
  }
  int open(const Nonce& nonce, base::Bytes header, base::Bytes sealed,
           std::span<std::byte> plaintext) {
    return mbedtls_gcm_auth_decrypt(&context_, plaintext.size(), in(nonce), nonce.size(),
                                    in(header), header.size(), in(sealed.subspan(plaintext.size())),
                                    kTagBytes, in(sealed), out(plaintext));
  }

 private:
  mbedtls_gcm_context context_;
};

}  // namespace

void wipe(std::span<std::byte> bytes) {
  mbedtls_platform_zeroize(bytes.data(), bytes.size());
}

Secret MbedtlsAead::derive(const Secret& master, base::Bytes salt, base::Bytes info) {
  const mbedtls_md_info_t* sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
  CHECK(sha256 != nullptr);
  Secret derived;
  CHECK(mbedtls_hkdf(sha256, in(salt), salt.size(), in(master.view()), kKeyBytes, in(info),
                     info.size(), out(derived.bytes()), kKeyBytes) == 0);
  return derived;
}

void MbedtlsAead::seal(const Secret& key, const Nonce& nonce, base::Bytes header,
                       base::Bytes plaintext, std::span<std::byte> sealed) {
  CHECK(sealed.size() == plaintext.size() + kTagBytes);
  const int failed = cipher_ == Cipher::aes_256_gcm
                         ? Gcm(key).seal(nonce, header, plaintext, sealed)
                         : ChaChaPoly(key).seal(nonce, header, plaintext, sealed);
  CHECK(failed == 0);
}

bool MbedtlsAead::open(const Secret& key, const Nonce& nonce, base::Bytes header,
                       base::Bytes sealed, std::span<std::byte> plaintext) {
  CHECK(sealed.size() == plaintext.size() + kTagBytes);
  const int failed = cipher_ == Cipher::aes_256_gcm
                         ? Gcm(key).open(nonce, header, sealed, plaintext)
                         : ChaChaPoly(key).open(nonce, header, sealed, plaintext);
  return failed == 0;
}

}  // namespace evs::net

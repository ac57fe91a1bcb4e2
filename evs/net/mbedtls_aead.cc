#include "evs/net/mbedtls_aead.h"

#include <mbedtls/chachapoly.h>
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

// Holds the key only while one datagram is worked on; mbedtls_chachapoly_free() wipes it.
class Context {
 public:
  explicit Context(const Secret& key) {
    mbedtls_chachapoly_init(&context_);
    CHECK(mbedtls_chachapoly_setkey(&context_, in(key.view())) == 0);
  }
  ~Context() { mbedtls_chachapoly_free(&context_); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  mbedtls_chachapoly_context* get() { return &context_; }

 private:
  mbedtls_chachapoly_context context_;
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
  Context context(key);
  CHECK(mbedtls_chachapoly_encrypt_and_tag(context.get(), plaintext.size(), in(nonce), in(header),
                                           header.size(), in(plaintext), out(sealed),
                                           out(sealed.subspan(plaintext.size()))) == 0);
}

bool MbedtlsAead::open(const Secret& key, const Nonce& nonce, base::Bytes header,
                       base::Bytes sealed, std::span<std::byte> plaintext) {
  CHECK(sealed.size() == plaintext.size() + kTagBytes);
  Context context(key);
  return mbedtls_chachapoly_auth_decrypt(context.get(), plaintext.size(), in(nonce), in(header),
                                         header.size(), in(sealed.subspan(plaintext.size())),
                                         in(sealed), out(plaintext)) == 0;
}

}  // namespace evs::net

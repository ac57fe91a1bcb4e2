#include "evs/net/mbedtls_aead.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "evs/net/self_test.h"

using evs::net::Aead;
using evs::net::Cipher;
using evs::net::MbedtlsAead;
using evs::net::Nonce;
using evs::net::Secret;

namespace {

// An AEAD with one thing wrong.
class Broken final : public Aead {
 public:
  enum class How { wrong_cipher, accepts_all, refuses_all, constant_key };
  Broken(How how, Cipher cipher) : how_(how), aead_(cipher) {}

  Cipher cipher() const override { return aead_.cipher(); }
  Secret derive(const Secret& master, base::Bytes salt, base::Bytes info) override {
    return how_ == How::constant_key ? master : aead_.derive(master, salt, info);
  }
  void seal(const Secret& key, const Nonce& nonce, base::Bytes header, base::Bytes plaintext,
            std::span<std::byte> sealed) override {
    aead_.seal(key, nonce, how_ == How::wrong_cipher ? base::Bytes{} : header, plaintext, sealed);
  }
  bool open(const Secret& key, const Nonce& nonce, base::Bytes header, base::Bytes sealed,
            std::span<std::byte> plaintext) override {
    if (how_ == How::refuses_all) return false;
    if (aead_.open(key, nonce, header, sealed, plaintext)) return true;
    return how_ == How::accepts_all;
  }

 private:
  How how_;
  MbedtlsAead aead_;
};

std::string verdict(Broken::How how, Cipher cipher) {
  Broken broken(how, cipher);
  const auto result = self_test(broken);
  return result ? "" : result.error();
}

}  // namespace

TEST_CASE("mbedTLS passes the self-test with each cipher") {
  for (const Cipher cipher : {Cipher::chacha20_poly1305, Cipher::aes_256_gcm}) {
    MbedtlsAead aead(cipher);
    const auto result = self_test(aead);
    CHECK_MESSAGE(result.has_value(), (result ? "" : result.error()));
  }
}

TEST_CASE("the self-test fails closed on each broken AEAD") {
  for (const Cipher cipher : {Cipher::chacha20_poly1305, Cipher::aes_256_gcm}) {
    const std::string name = cipher == Cipher::aes_256_gcm ? "AES-256-GCM" : "ChaCha20-Poly1305";
    CHECK(verdict(Broken::How::wrong_cipher, cipher) == "the AEAD does not compute " + name);
    CHECK(verdict(Broken::How::accepts_all, cipher) == "the AEAD accepts a changed datagram");
    CHECK(verdict(Broken::How::refuses_all, cipher) == "the AEAD does not open what it sealed");
    CHECK(verdict(Broken::How::constant_key, cipher) ==
          "the key derivation gives one key for two purposes");
  }
}

TEST_CASE("an empty text can be sealed and opened") {
  for (const Cipher cipher : {Cipher::chacha20_poly1305, Cipher::aes_256_gcm}) {
    MbedtlsAead aead(cipher);
    base::Buffer sealed(evs::net::kTagBytes);
    aead.seal({}, {}, {}, {}, sealed);
    CHECK(aead.open({}, {}, {}, sealed, {}));
    sealed[3] ^= std::byte{1};
    CHECK_FALSE(aead.open({}, {}, {}, sealed, {}));
  }
}

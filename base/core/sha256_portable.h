#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace scopenode {

/// SHA-256 (FIPS 180-4) without a library, for hosts that have none: about a fifth of OpenSSL's speed.
class Sha256Portable {
  public:
    void update(std::string_view bytes);
    /// The object must not be used afterwards.
    std::array<unsigned char, 32> digest();

  private:
    void take_block(const unsigned char* block);

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<unsigned char, 64> pending_{};
    std::uint64_t length_ = 0;
};

}  // namespace scopenode

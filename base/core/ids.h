#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace scopenode {

/// SHA-256 of bytes that arrive in pieces.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;
    void update(std::string_view bytes);
    /// 64 lower-case hex digits; the object must not be used afterwards.
    std::string hex();

  private:
    void* context_;
};
std::string sha256_hex(std::string_view bytes);

/// A random UID of the form 2.25.<128-bit integer> (PS3.5 B.2).
std::string random_uid();
/// The same text always gives the same UID: 2.25. plus the first 128 bits of its SHA-256.
std::string uid_from_text(std::string_view text);
/// 32 random lower-case hex digits.
std::string random_hex();

/// PS3.5 9.1: 1-64 characters, digits and dots, no empty component, no leading zero.
bool is_legal_uid(std::string_view uid);

}  // namespace scopenode

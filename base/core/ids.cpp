#include "base/core/ids.h"

#ifndef SCOPENODE_PORTABLE_SHA256
#include <openssl/evp.h>
#else
#include "base/core/sha256_portable.h"
#endif
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace scopenode {
namespace {

std::string hex_of(std::span<const unsigned char> bytes) {
    static const char digits[] = "0123456789abcdef";
    std::string out;
    for (unsigned char b : bytes) {
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

std::string decimal_of(std::span<const unsigned char, 16> bytes) {
    __extension__ unsigned __int128 value = 0;
    for (unsigned char b : bytes) value = (value << 8) | b;
    std::string out;
    do {
        out += static_cast<char>('0' + static_cast<int>(value % 10));
        value /= 10;
    } while (value != 0);
    std::reverse(out.begin(), out.end());
    return out;
}

std::array<unsigned char, 16> random_16() {
    std::array<unsigned char, 16> bytes{};
    if (getentropy(bytes.data(), bytes.size()) != 0)
        throw std::runtime_error("no random bytes from the system");
    return bytes;
}

}  // namespace

#ifndef SCOPENODE_PORTABLE_SHA256
Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr);
}
Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }
void Sha256::update(std::string_view bytes) {
    EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size());
}
std::string Sha256::hex() {
    std::array<unsigned char, 32> digest{};
    EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest.data(), nullptr);
    return hex_of(digest);
}
#else
Sha256::Sha256() : context_(new Sha256Portable) {}
Sha256::~Sha256() { delete static_cast<Sha256Portable*>(context_); }
void Sha256::update(std::string_view bytes) { static_cast<Sha256Portable*>(context_)->update(bytes); }
std::string Sha256::hex() { return hex_of(static_cast<Sha256Portable*>(context_)->digest()); }
#endif

std::string sha256_hex(std::string_view bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.hex();
}

std::string random_uid() { return "2.25." + decimal_of(random_16()); }
std::string random_hex() { return hex_of(random_16()); }

std::string uid_from_text(std::string_view text) {
    const std::string hex = sha256_hex(text);
    std::array<unsigned char, 16> first{};
    for (std::size_t i = 0; i < first.size(); ++i)
        first[i] = static_cast<unsigned char>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
    return "2.25." + decimal_of(first);
}

bool is_legal_uid(std::string_view uid) {
    if (uid.empty() || uid.size() > 64 || uid.back() == '.') return false;
    std::size_t begin = 0;
    while (begin < uid.size()) {
        const std::size_t end = std::min(uid.find('.', begin), uid.size());
        const std::string_view part = uid.substr(begin, end - begin);
        if (part.empty() || (part.size() > 1 && part.front() == '0')) return false;
        if (!std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
        begin = end + 1;
    }
    return true;
}

}  // namespace scopenode

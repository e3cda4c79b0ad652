#pragma once
#include <cstdint>

namespace scopenode::ml {

/// A small generator whose numbers are the same with every compiler and library (splitmix64).
class Rng {
  public:
    /// `stream` keeps what is drawn for one purpose from shifting what is drawn for another.
    Rng(std::uint64_t seed, std::uint64_t number, std::uint64_t stream) : state_(seed) {
        state_ = next() ^ (number * 0xD1342543DE82EF95ULL);
        state_ = next() ^ (stream * 0xA24BAED4963EE407ULL);
        next();
    }

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    /// [0, 1)
    float uniform() { return static_cast<float>(next() >> 40) * (1.0F / 16777216.0F); }
    float uniform(float low, float high) { return low + (high - low) * uniform(); }
    bool chance(double probability) {
        return static_cast<double>(next() >> 11) * (1.0 / 9007199254740992.0) < probability;
    }
    int below(int limit) { return static_cast<int>((next() >> 33) % static_cast<std::uint64_t>(limit)); }
    float sign() { return (next() >> 63) != 0 ? 1.0F : -1.0F; }
    /// Nearly normal, mean 0 and deviation 1, from the four sixteen-bit parts of one draw.
    float normal() {
        const std::uint64_t z = next();
        const auto sum =
            static_cast<float>((z & 0xFFFF) + ((z >> 16) & 0xFFFF) + ((z >> 32) & 0xFFFF) + (z >> 48));
        return (sum * (1.0F / 65536.0F) - 2.0F) * 1.7320508F;
    }

  private:
    std::uint64_t state_;
};

}  // namespace scopenode::ml

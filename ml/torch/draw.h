#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace scopenode::ml {

/// splitmix64: the same numbers with every library, unlike the standard's distributions.
class Draw {
  public:
    Draw(std::uint64_t seed, std::uint64_t stream) : state_(seed * 0xD1342543DE82EF95ULL + stream) { next(); }
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    double between(double low, double high) {
        return low + (high - low) * (static_cast<double>(next() >> 11) * (1.0 / 9007199254740992.0));
    }
    void shuffle(std::vector<std::size_t>& items) {
        for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[next() % i]);
    }

  private:
    std::uint64_t state_;
};

}  // namespace scopenode::ml

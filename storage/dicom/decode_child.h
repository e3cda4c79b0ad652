#pragma once
#include <cstdint>

#include "base/core/result.h"

namespace scopenode::storage {

struct DecodeLimits {
    /// Enough for the largest image that is read at all (64 million pixels) with what its decoder needs.
    std::uint64_t memory_mib = 1536;
    /// For one image; a real one of 512 x 512 takes some milliseconds.
    std::uint64_t cpu_seconds = 10;
};

/// The life of a decoding process: bounds itself, then answers the requests of a PixelReader (see
/// decode_protocol.h) from one descriptor on the other, until its input closes.
Status serve_decoding(int input, int output, const DecodeLimits& limits);

}  // namespace scopenode::storage

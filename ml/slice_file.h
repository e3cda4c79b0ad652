#pragma once
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/core/result.h"

namespace scopenode::ml {

/// Slices of one size as whole HU (int16, little-endian) behind one another in a file. Read and written with
/// pread and pwrite: what has been read stays in the kernel's cache and never counts as this program's
/// memory. Several threads may read and write different slices.
class SliceFile {
  public:
    SliceFile() = default;
    ~SliceFile();
    SliceFile(SliceFile&& other) noexcept;
    SliceFile& operator=(SliceFile&&) = delete;
    /// An existing file whose slices begin at `offset`.
    static Result<SliceFile> open(const std::filesystem::path& path, int side, std::uint64_t offset);
    /// A new one; its space is reserved, so that a full disk is met now and not while it is filled.
    static Result<SliceFile> create(const std::filesystem::path& path, int side, std::size_t slices);

    /// side * side values.
    Status read(std::size_t index, std::span<std::int16_t> pixels) const;
    Status write(std::size_t index, std::span<const std::int16_t> pixels);
    /// What was written is on stable storage when this returns.
    Status sync();

  private:
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::uint64_t offset_ = 0, stride_ = 0;  ///< bytes
};

}  // namespace scopenode::ml

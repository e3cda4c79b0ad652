#include "ml/slice_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace scopenode::ml {
namespace {

static_assert(std::endian::native == std::endian::little);

tl::unexpected<Error> failure(const char* what, const std::filesystem::path& path, int number) {
    const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return fail(full ? Code::kOutOfResources : Code::kIo, "{} {}: {}", what, path.string(),
                std::strerror(number));
}

}  // namespace

SliceFile::~SliceFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

SliceFile::SliceFile(SliceFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      offset_(other.offset_),
      stride_(other.stride_) {}

Result<SliceFile> SliceFile::open(const std::filesystem::path& path, int side, std::uint64_t offset) {
    SliceFile file;
    file.path_ = path;
    file.offset_ = offset;
    file.stride_ = std::uint64_t(side) * std::uint64_t(side) * sizeof(std::int16_t);
    file.descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file.descriptor_ < 0) return failure("cannot open", path, errno);
    return file;
}

Result<SliceFile> SliceFile::create(const std::filesystem::path& path, int side, std::size_t slices) {
    SliceFile file;
    file.path_ = path;
    file.stride_ = std::uint64_t(side) * std::uint64_t(side) * sizeof(std::int16_t);
    file.descriptor_ = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0640);
    if (file.descriptor_ < 0) return failure("cannot create", path, errno);
    if (const int rc = ::posix_fallocate(file.descriptor_, 0, off_t(file.stride_ * slices)); rc != 0)
        return failure(fmt::format("cannot keep {} slices in", slices).c_str(), path, rc);
    return file;
}

Status SliceFile::read(std::size_t index, std::span<std::int16_t> pixels) const {
    auto* to = reinterpret_cast<char*>(pixels.data());
    std::size_t left = std::min<std::size_t>(pixels.size_bytes(), stride_);
    auto at = off_t(offset_ + index * stride_);
    while (left > 0) {
        const ssize_t n = ::pread(descriptor_, to, left, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failure("cannot read", path_, errno);
        if (n == 0) return fail(Code::kDamagedModel, "{} ends before slice {}", path_.string(), index + 1);
        to += n;
        at += n;
        left -= std::size_t(n);
    }
    return {};
}

Status SliceFile::sync() {
    if (::fdatasync(descriptor_) != 0) return failure("cannot sync", path_, errno);
    return {};
}

Status SliceFile::write(std::size_t index, std::span<const std::int16_t> pixels) {
    const auto* from = reinterpret_cast<const char*>(pixels.data());
    std::size_t left = std::min<std::size_t>(pixels.size_bytes(), stride_);
    auto at = off_t(offset_ + index * stride_);
    while (left > 0) {
        const ssize_t n = ::pwrite(descriptor_, from, left, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failure("cannot write", path_, errno);
        from += n;
        at += n;
        left -= std::size_t(n);
    }
    return {};
}

}  // namespace scopenode::ml

#include "storage/dicom/decode_child.h"

#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <string>

#include "base/core/process_limits.h"
#include "storage/dicom/decode_protocol.h"
#include "storage/dicom/pixels.h"

namespace scopenode::storage {
namespace {

/// False at the end of the input.
bool read_all(int descriptor, std::span<char> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::read(descriptor, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
}

bool write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

/// Keeps the memory of one image for the next: giving it back and touching it anew costs more than decoding.
void keep_memory() {
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

/// read_hu(), where memory is short because of the limit and not for a while.
Result<HuImage> read_within_limits(const std::filesystem::path& path, Rescale rescale) {
    auto image = read_hu(path, rescale);
    if (!image && image.error().code == Code::kOutOfResources)
        return fail(Code::kCannotUnderstand,
                    "{}: decoding it needed more memory than any real image: the file is damaged or hostile",
                    path.filename().string());
    return image;
}

bool answer(int output, const Result<HuImage>& image) {
    if (!image) {
        std::string text = printable_sentence(image.error().message);
        if (text.empty()) text = "the pixels cannot be decoded";
        return write_all(output, answer_head({image.error().code, 0, 0, text.size()})) &&
               write_all(output, text);
    }
    return write_all(output, answer_head({std::nullopt, image->width, image->height, 0})) &&
           write_all(output,
                     {reinterpret_cast<const char*>(image->hu.data()), image->hu.size() * sizeof(float)});
}

}  // namespace

Status serve_decoding(int input, int output, const DecodeLimits& limits) {
    SCOPENODE_TRY(limit_this_process({.memory = limits.memory_mib << 20, .cpu_seconds = 0, .file = 0}));
    keep_memory();
    if (!write_all(output, kHello)) return {};
    std::array<char, kRequestBytes> head{};
    while (read_all(input, head)) {
        SCOPENODE_ASSIGN(const auto request, parse_request(head));
        std::string path(request.path_bytes, '\0');
        if (!read_all(input, path)) break;
        SCOPENODE_TRY(limit_cpu_from_now(limits.cpu_seconds));
        if (!answer(output, read_within_limits(path, request.rescale))) break;
    }
    return {};
}

}  // namespace scopenode::storage

#include "storage/index/deflate.h"

#include <zlib.h>

namespace scopenode::storage {

Result<std::string> deflated(std::string_view bytes) {
    uLongf length = compressBound(static_cast<uLong>(bytes.size()));
    std::string out(length, '\0');
    const int rc =
        compress2(reinterpret_cast<Bytef*>(out.data()), &length, reinterpret_cast<const Bytef*>(bytes.data()),
                  static_cast<uLong>(bytes.size()), Z_BEST_SPEED);
    if (rc != Z_OK)
        return fail(Code::kOutOfResources, "{} bytes cannot be deflated (zlib {})", bytes.size(), rc);
    out.resize(length);
    return out;
}

Result<std::string> inflated(std::string_view bytes, std::size_t plain_size) {
    std::string out(plain_size, '\0');
    uLongf length = static_cast<uLongf>(plain_size);
    const int rc = uncompress(reinterpret_cast<Bytef*>(out.data()), &length,
                              reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uLong>(bytes.size()));
    if (rc != Z_OK || length != plain_size)
        return fail(Code::kDatabase, "the bytes of a result are damaged (zlib {})", rc);
    return out;
}

}  // namespace scopenode::storage

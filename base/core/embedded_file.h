#pragma once
#include <string_view>

namespace scopenode {

/// A file built into the program: its path in the repository and its bytes. Lives as long as the program.
struct EmbeddedFile {
    std::string_view path;
    std::string_view bytes;
};

}  // namespace scopenode

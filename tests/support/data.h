#pragma once
#include <cstdlib>
#include <filesystem>

namespace scopenode::test {

/// The shared test data: SCOPENODE_TEST_DATA, or ../shared/data beside the repository.
inline std::filesystem::path data_folder() {
    if (const char* set = std::getenv("SCOPENODE_TEST_DATA")) return set;
    return std::filesystem::path(SCOPENODE_SOURCE_DIR).parent_path() / "shared" / "data";
}

}  // namespace scopenode::test

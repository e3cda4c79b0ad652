#pragma once
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace scopenode::test {

/// The shared test data: SCOPENODE_TEST_DATA, or ../shared/data beside the repository.
inline std::filesystem::path data_folder() {
    if (const char* set = std::getenv("SCOPENODE_TEST_DATA")) return set;
    return std::filesystem::path(SCOPENODE_SOURCE_DIR).parent_path() / "shared" / "data";
}

/// Files with something in them: an archive keeps empty ones ready for objects to come.
inline std::vector<std::filesystem::path> files_with_content(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> found;
    if (std::filesystem::exists(folder))
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
            if (entry.is_regular_file() && entry.file_size() > 0) found.push_back(entry.path());
    return found;
}

}  // namespace scopenode::test

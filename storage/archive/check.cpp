#include <array>
#include <fstream>
#include <unordered_set>

#include "storage/archive/archive.h"
#include "storage/index/catalog.h"

namespace scopenode::storage {
namespace {

namespace fs = std::filesystem;

Result<std::string> file_sha256(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(Code::kIo, "cannot read {}", path.string());
    Sha256 hash;
    std::vector<char> buffer(1 << 18);
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0)
        hash.update({buffer.data(), static_cast<std::size_t>(in.gcount())});
    return hash.hex();
}

std::string problem_of(const InstanceRow& row, const fs::path& path) {
    std::error_code ec;
    if (!fs::exists(path, ec)) return fmt::format("{}: file {} is missing", row.sop_instance_uid, row.path);
    const auto size = fs::file_size(path, ec);
    if (ec || size != row.bytes)
        return fmt::format("{}: file {} has {} bytes, not {}", row.sop_instance_uid, row.path, size,
                           row.bytes);
    const auto digest = file_sha256(path);
    if (!digest) return fmt::format("{}: {}", row.sop_instance_uid, digest.error().message);
    if (*digest != row.file_sha256)
        return fmt::format("{}: file {} has other content than was received", row.sop_instance_uid, row.path);
    return "";
}

}  // namespace

Result<std::vector<std::string>> Archive::verify() {
    std::vector<InstanceRow> rows;
    SCOPENODE_TRY(index().read([&](Connection& db) -> Status {
        return each_instance(db, [&](const InstanceRow& row) { rows.push_back(row); });
    }));
    std::vector<std::string> problems;
    for (const InstanceRow& row : rows)
        if (std::string problem = problem_of(row, absolute(row.path)); !problem.empty())
            problems.push_back(std::move(problem));
    return problems;
}

Result<int> Archive::sweep() {
    return guard(Code::kIo, [&]() -> Result<int> {
        std::vector<fs::path> old_files;
        for (const auto& entry : fs::recursive_directory_iterator(absolute("objects"))) {
            if (closing()) return 0;
            std::error_code ec;
            if (entry.is_regular_file(ec) && !entry.path().stem().string().ends_with(run()))
                old_files.push_back(entry.path());
        }
        if (old_files.empty()) return 0;
        std::unordered_set<std::string> known;
        SCOPENODE_TRY(index().read([&](Connection& db) -> Status {
            return each_instance(db,
                                 [&](const InstanceRow& row) { known.insert(absolute(row.path).string()); });
        }));
        int removed = 0;
        for (const fs::path& path : old_files) {
            if (closing()) break;
            if (known.contains(path.string())) continue;
            SCOPENODE_TRY(files().remove(path));
            ++removed;
        }
        return removed;
    });
}

}  // namespace scopenode::storage

#include <fstream>
#include <unordered_set>

#include "base/log.h"
#include "storage/archive/archive.h"
#include "storage/dicom/digest.h"
#include "storage/index/catalog.h"

namespace scopenode::storage {
namespace {

namespace fs = std::filesystem;

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
        SCOPENODE_ASSIGN(const auto strays, files_without_row());
        std::vector<QuarantineRow> moved;
        Status swept;  // a fault ends the sweep, but what was moved until then gets its rows
        for (const fs::path& path : strays) {
            if (closing() || !swept) break;
            std::error_code ec;
            if (fs::file_size(path, ec) == 0 && !ec) {
                swept = files().remove(path);
                continue;
            }
            const fs::path place = fs::path("quarantine") / path.filename();
            swept = files().rename(path, absolute(place.string()));
            if (!swept) break;
            moved.push_back({0, index().clock().now(), place.string(), "NOT_IN_INDEX",
                             "found without a row: it came while the program ended, or the index is older than it",
                             "", ""});
        }
        if (!moved.empty()) {
            SCOPENODE_TRY(files().sync_folder(absolute("quarantine")));
            SCOPENODE_TRY(index().write([&](Connection& db) -> Status {
                for (const QuarantineRow& row : moved) SCOPENODE_TRY(add_quarantine(db, row));
                return {};
            }));
        }
        SCOPENODE_TRY(swept);
        return static_cast<int>(moved.size());
    });
}

Result<std::vector<fs::path>> Archive::files_without_row() {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(absolute("objects"))) {
        if (closing()) return std::vector<fs::path>{};
        std::error_code ec;
        if (entry.is_regular_file(ec) && !entry.path().stem().string().ends_with(run()))
            found.push_back(entry.path());
    }
    if (found.empty()) return found;
    std::unordered_set<std::string> known;
    SCOPENODE_TRY(index().read([&](Connection& db) -> Status {
        return each_instance(db, [&](const InstanceRow& row) { known.insert(absolute(row.path).string()); });
    }));
    std::erase_if(found, [&](const fs::path& path) { return known.contains(path.string()); });
    return found;
}

void Archive::sweep_later() {
    sweeper() = std::thread([this] {
        const auto moved = sweep();
        if (!moved) log::warning("archive", "sweep: {}", moved.error().message);
        if (moved && *moved > 0)
            log::warning("archive",
                         "{} without a row in the index moved to quarantine: never acknowledged, or the index "
                         "is older (send them to this node again)",
                         *moved == 1 ? "1 object" : fmt::format("{} objects", *moved));
    });
}

}  // namespace scopenode::storage

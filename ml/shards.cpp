#include "ml/shards.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/core/ids.h"
#include "base/core/progress.h"

namespace scopenode::ml {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kList = "shards.json";
constexpr int kFormat = 1, kLargestSide = 2048;
constexpr std::uint64_t kMostRecord = 4096;  // bytes of a slice's labels

tl::unexpected<Error> damaged(const fs::path& path, const std::string& why) {
    return fail(Code::kDamagedModel, "{} {}: delete it and convert again, which makes only this one",
                path.string(), why);
}

struct ReadShard {
    std::uint32_t side = 0;
    std::uint64_t pixel_bytes = 0;
    std::string labels;
};

Result<std::string> digest_of(std::istream& in, const fs::path& path) {
    Sha256 digest;
    std::string piece(1 << 20, '\0');
    while (in.read(piece.data(), std::streamsize(piece.size())) || in.gcount() > 0)
        digest.update({piece.data(), std::size_t(in.gcount())});
    if (in.bad()) return fail(Code::kIo, "cannot read {}", path.string());
    in.clear();
    return digest.hex();
}

/// Its head and its labels, once it has shown to be what was written; pixels are not kept.
Result<ReadShard> read_shard(const fs::path& path, const std::string& sha256, int per_shard) {
    std::ifstream in(path, std::ios::binary);
    if (!in)
        return fail(Code::kDamagedModel, "{} is missing: convert again, which makes only this one",
                    path.string());
    SCOPENODE_ASSIGN(const std::string digest, digest_of(in, path));
    if (digest != sha256) return damaged(path, "does not have the sha256 that shards.json says");
    ShardHead head;
    std::fill_n(head.magic, sizeof head.magic, '\0');
    std::uint64_t length = 0;
    in.seekg(0, std::ios::end);
    const auto size = std::uint64_t(in.tellg());
    constexpr std::uint64_t kAround = sizeof head + sizeof length;
    if (size < kAround) return damaged(path, "is too short");
    in.seekg(0);
    in.read(reinterpret_cast<char*>(&head), sizeof head);
    if (!in || std::memcmp(head.magic, ShardHead{}.magic, sizeof head.magic) != 0)
        return damaged(path, "is no shard of this version");
    ReadShard shard;
    shard.side = head.side;
    in.seekg(std::streamoff(size - sizeof length));
    in.read(reinterpret_cast<char*>(&length), sizeof length);
    if (length > size - kAround || length > (std::uint64_t(per_shard) + 1) * kMostRecord)
        return damaged(path, "has not a label for each slice");
    shard.pixel_bytes = size - kAround - length;
    shard.labels.resize(length);
    in.seekg(std::streamoff(sizeof head + shard.pixel_bytes));
    in.read(shard.labels.data(), std::streamsize(length));
    if (!in) return damaged(path, "cannot be read");
    return shard;
}

json json_of(const ShardList::File& file) {
    json out{{"file", file.name}, {"sha256", file.sha256}};
    if (!file.skipped.empty()) out["skipped"] = file.skipped;
    return out;
}

}  // namespace

std::vector<std::string> ShardList::all_skipped() const {
    std::vector<std::string> all = skipped;
    for (const File& file : shards) all.insert(all.end(), file.skipped.begin(), file.skipped.end());
    return all;
}

Result<ShardList> read_shard_list(const fs::path& folder) {
    const fs::path path = folder / kList;
    std::error_code ec;
    if (!fs::exists(path, ec)) return fail(Code::kNotFound, "{} is missing", path.string());
    SCOPENODE_ASSIGN(const auto text, read_file(path));
    auto list = guard(Code::kDamagedModel, [&]() -> Result<ShardList> {
        const json from = json::parse(text);
        if (from.at("format") != kFormat)
            return fail(Code::kDamagedModel, "{} is of another version", path.string());
        ShardList out;
        from.at("side").get_to(out.side);
        from.at("per_shard").get_to(out.per_shard);
        from.at("fingerprint").get_to(out.fingerprint);
        from.at("description").get_to(out.description);
        from.at("slices").get_to(out.slices);
        from.at("skipped").get_to(out.skipped);
        from.at("complete").get_to(out.complete);
        for (const json& file : from.at("shards")) {
            out.shards.push_back(
                {file.at("file"), file.at("sha256"), file.value("skipped", std::vector<std::string>())});
            const std::string& name = out.shards.back().name;
            if (!name.starts_with("shard-") || fs::path(name).filename() != name)
                return fail(Code::kDamagedModel, "{} names a file in another folder", path.string());
        }
        if (out.side < 1 || out.side > kLargestSide || out.per_shard < 1)
            return fail(Code::kDamagedModel, "{} has an impossible size", path.string());
        return out;
    });
    if (!list && list.error().message.find(path.string()) == std::string::npos)
        return fail(Code::kDamagedModel, "{} is damaged: {}", path.string(), list.error().message);
    return list;
}

Status write_shard_list(FileSystem& files, const fs::path& folder, const ShardList& list) {
    json shards = json::array();
    for (const auto& file : list.shards) shards.push_back(json_of(file));
    return write_file(files, folder / kList,
                      json{{"format", kFormat},
                           {"side", list.side},
                           {"per_shard", list.per_shard},
                           {"fingerprint", list.fingerprint},
                           {"description", list.description},
                           {"slices", list.slices},
                           {"shards", shards},
                           {"skipped", list.skipped},
                           {"complete", list.complete}}
                              .dump(1, ' ', false, json::error_handler_t::replace) +
                          "\n");
}

Result<std::unique_ptr<ShardSet>> ShardSet::open(const fs::path& folder) {
    SCOPENODE_ASSIGN(const auto list, read_shard_list(folder));
    if (!list.complete)
        return fail(Code::kConflict, "the conversion into {} has not ended: run it again, it goes on",
                    folder.string());
    auto set = std::unique_ptr<ShardSet>(new ShardSet);
    set->side_ = list.side;
    set->description_ = list.description;
    set->skipped_ = list.all_skipped();
    Progress progress("checking shards", list.shards.size());
    for (std::size_t i = 0; i < list.shards.size(); ++i) {
        SCOPENODE_TRY(set->add(folder / list.shards[i].name, list.shards[i].sha256, list.per_shard));
        progress.advance(i + 1);
    }
    if (set->records_.empty()) return fail(Code::kDamagedModel, "{} holds no slices", folder.string());
    return set;
}

Status ShardSet::add(const fs::path& path, const std::string& sha256, int per_shard) {
    SCOPENODE_ASSIGN(const auto shard,
                     guard(Code::kDamagedModel, [&] { return read_shard(path, sha256, per_shard); }));
    if (shard.side != std::uint32_t(side_)) return damaged(path, "has slices of another size");
    shards_.push_back({path, records_.size()});
    const Status read = guard(Code::kDamagedModel, [&] {
        for (const json& record : json::parse(shard.labels)) records_.push_back(record_of(record));
    });
    const auto slices = std::uint64_t(records_.size() - shards_.back().first);
    if (!read || slices * std::uint64_t(side_) * std::uint64_t(side_) * 2 != shard.pixel_bytes)
        return damaged(path, "has not a label for each slice");
    return {};
}

Status ShardSet::read(std::size_t index, std::span<std::int16_t> pixels) const {
    const auto after = std::upper_bound(shards_.begin(), shards_.end(), index,
                                        [](std::size_t i, const Shard& shard) { return i < shard.first; });
    const Shard& shard = *std::prev(after);
    SCOPENODE_ASSIGN(const auto file, SliceFile::open(shard.path, side_, sizeof(ShardHead)));
    return file.read(index - shard.first, pixels);
}

Result<LabelledSlice> ShardSet::load(std::size_t index) const {
    std::vector<std::int16_t> hu(std::size_t(side_) * std::size_t(side_));
    SCOPENODE_TRY(read(index, hu));
    const SliceRecord& known = record(index);
    LabelledSlice slice;
    slice.image = {side_, side_, {hu.begin(), hu.end()}};
    slice.labels = known.labels;
    slice.study = known.study;
    slice.patient = known.patient;
    slice.z_mm = known.z_mm;
    slice.part = known.part;
    slice.rehearsal = known.rehearsal;
    slice.weight = known.weight;
    return slice;
}

}  // namespace scopenode::ml

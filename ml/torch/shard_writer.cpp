#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/core/ids.h"
#include "base/core/progress.h"
#include "ml/shards.h"
#include "ml/torch/slice_loading.h"

namespace scopenode::ml {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Slices that are in memory at once.
constexpr std::size_t kBlock = 64;

/// A shard while it is written: every byte goes into its digest.
class Output {
  public:
    static Result<Output> create(FileSystem& files, const fs::path& path) {
        std::error_code ignored;
        fs::remove(path, ignored);  // of a run that was killed
        SCOPENODE_ASSIGN(auto file, files.create(path));
        return Output(std::move(file));
    }
    Status write(std::string_view bytes) {
        digest_->update(bytes);
        return file_->write(bytes);
    }
    Result<std::string> finish() {
        SCOPENODE_TRY(file_->sync());
        return digest_->hex();
    }

  private:
    explicit Output(std::unique_ptr<OutputFile> file)
        : file_(std::move(file)), digest_(std::make_unique<Sha256>()) {}
    std::unique_ptr<OutputFile> file_;
    std::unique_ptr<Sha256> digest_;
};

template <class T>
std::string_view bytes_of(const T* first, std::size_t count) {
    return {reinterpret_cast<const char*>(first), count * sizeof(T)};
}

class Writer {
  public:
    Writer(const TrainingSet& data, const ShardOptions& options, FileSystem& files)
        : data_(data), options_(options), files_(files), progress_("converting slices", data.size()) {}

    Status go() {
        SCOPENODE_TRY(begin());
        const std::size_t per_shard = std::size_t(options_.per_shard);
        for (std::size_t first = 0; first < data_.size(); first += per_shard) {
            const std::size_t number = first / per_shard, end = std::min(data_.size(), first + per_shard);
            std::error_code ec;
            const bool is_there = number < list_.shards.size() &&
                                  fs::is_regular_file(options_.out / list_.shards[number].name, ec);
            if (!is_there) SCOPENODE_TRY(write_shard(number, first, end));
            progress_.advance(done_ = end);
        }
        SCOPENODE_TRY(remove_parts());
        list_.complete = true;
        return write_shard_list(files_, options_.out, list_);
    }

  private:
    Status begin() {
        std::error_code ec;
        fs::create_directories(options_.out, ec);
        if (ec) return fail(Code::kIo, "cannot make folder {}: {}", options_.out.string(), ec.message());
        list_.side = options_.side;
        list_.per_shard = options_.per_shard;
        list_.description = data_.description();
        list_.slices = data_.size();
        list_.skipped = data_.skipped();
        list_.fingerprint = sha256_hex(
            fmt::format("1|{}|{}|{}|{}", data_.identity(), list_.slices, list_.side, list_.per_shard));
        auto before = read_shard_list(options_.out);
        if (!before && before.error().code != Code::kNotFound) return fail(before.error());
        if (!before) return check_empty();
        if (before->side != list_.side)
            return fail(Code::kConflict, "{} was made with --size {}, asked is {}", options_.out.string(),
                        before->side, list_.side);
        if (before->per_shard != list_.per_shard)
            return fail(Code::kConflict, "{} was made with --per-shard {}, asked is {}",
                        options_.out.string(), before->per_shard, list_.per_shard);
        if (before->fingerprint != list_.fingerprint)
            return fail(Code::kConflict,
                        "{} holds shards of other data ({}), not of {}: choose another folder or delete it",
                        options_.out.string(), before->description, list_.description);
        list_ = std::move(*before);
        return {};
    }

    /// Shards beside anything else would be taken for the folder's data.
    Status check_empty() const {
        return guard(Code::kIo, [&]() -> Status {
            for (const auto& entry : fs::directory_iterator(options_.out))
                if (entry.path().extension() != ".part")
                    return fail(Code::kConflict, "{} is not empty and holds no shards: choose another folder",
                                options_.out.string());
            return {};
        });
    }

    /// What a killed run has left.
    Status remove_parts() const {
        return guard(Code::kIo, [&]() -> Status {
            std::vector<fs::path> parts;
            for (const auto& entry : fs::directory_iterator(options_.out))
                if (entry.path().extension() == ".part") parts.push_back(entry.path());
            for (const fs::path& part : parts) SCOPENODE_TRY(files_.remove(part));
            return {};
        });
    }

    Status write_shard(std::size_t number, std::size_t first, std::size_t end) {
        // Its earlier faults, if it is made again, do not count.
        if (number == list_.shards.size()) list_.shards.emplace_back();
        ShardList::File& file = list_.shards[number];
        file = {fmt::format("shard-{:05}.bin", number), "", {}};
        const fs::path part = options_.out / (file.name + ".part");
        SCOPENODE_ASSIGN(auto out, Output::create(files_, part));
        ShardHead head;
        head.side = std::uint32_t(options_.side);
        SCOPENODE_TRY(out.write(bytes_of(&head, 1)));
        json labels = json::array();
        for (std::size_t at = first; at < end; at += kBlock)
            SCOPENODE_TRY(write_block(at, std::min(end, at + kBlock), out, labels, file));
        const std::string text = labels.dump(-1, ' ', false, json::error_handler_t::replace);
        const std::uint64_t length = text.size();
        SCOPENODE_TRY(out.write(text));
        SCOPENODE_TRY(out.write(bytes_of(&length, 1)));
        SCOPENODE_ASSIGN(file.sha256, out.finish());
        SCOPENODE_TRY(files_.rename(part, options_.out / file.name));
        SCOPENODE_TRY(files_.sync_folder(options_.out));
        return write_shard_list(files_, options_.out, list_);
    }

    Status write_block(std::size_t begin, std::size_t end, Output& out, json& labels, ShardList::File& file) {
        std::vector<ReadySlice> slots(end - begin);
        const std::size_t all = data_.size() + list_.skipped.size(), before = list_.all_skipped().size();
        if (10 * before > all) return too_many_faults(all, list_.all_skipped(), {});
        const SliceLoading loading{begin, end, options_.side, all / 10 - before, true};
        SCOPENODE_ASSIGN(const auto faults,
                         load_slices(data_, loading, [&](std::size_t i, ReadySlice&& slice) -> Status {
                             slots[i - begin] = std::move(slice);
                             return {};
                         }));
        if (faults.size() > loading.most_faults) return too_many_faults(all, list_.all_skipped(), faults);
        for (const auto& [index, fault] : faults) file.skipped.push_back(fault.message);
        for (const ReadySlice& slot : slots) {
            if (slot.hu.empty()) continue;
            SCOPENODE_TRY(out.write(bytes_of(slot.hu.data(), slot.hu.size())));
            labels.push_back(record_json(slot.record));
            progress_.advance(++done_);
        }
        return {};
    }

    const TrainingSet& data_;
    const ShardOptions& options_;
    FileSystem& files_;
    ShardList list_;
    Progress progress_;
    std::size_t done_ = 0;
};

}  // namespace

Status write_shards(const TrainingSet& data, const ShardOptions& options, FileSystem& files) {
    if (options.side < 32 || options.side > 2048)
        return fail(Code::kInvalidArgument, "shards hold slices of 32 to 2048 pixels, not {}", options.side);
    if (options.per_shard < 1) return fail(Code::kInvalidArgument, "a shard holds one slice at least");
    return guard(Code::kInternal, [&] { return Writer(data, options, files).go(); });
}

}  // namespace scopenode::ml

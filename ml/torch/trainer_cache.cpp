#include "ml/torch/trainer_cache.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/progress.h"
#include "ml/slice_file.h"
#include "ml/torch/slice_loading.h"

namespace scopenode::ml {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kPixels = "slices.cache";
constexpr const char* kIndex = "slices.json";

std::string fingerprint(const TrainingSet& data, int size) {
    return sha256_hex(fmt::format("1|{}|{}|{}", data.description(), data.size(), size));
}

/// What both kinds share: `read` gives the whole HU of a slice.
torch::Tensor stack(const std::vector<std::size_t>& indices, int size,
                    const std::function<Status(std::size_t, std::span<std::int16_t>)>& read) {
    const auto side = static_cast<std::int64_t>(size);
    auto out = torch::empty({static_cast<std::int64_t>(indices.size()), 1, side, side}, torch::kFloat32);
    std::vector<std::int16_t> pixels(static_cast<std::size_t>(side * side));
    auto* to = out.data_ptr<float>();
    for (const std::size_t index : indices) {
        if (const Status done = read(index, pixels); !done) throw std::runtime_error(done.error().message);
        for (const std::int16_t hu : pixels) *to++ = hu;
    }
    return out;
}

/// The set's own files.
class StoredCache final : public SliceCache {
  public:
    StoredCache(const StoredSlices& slices, std::size_t count, std::vector<std::string> skipped)
        : slices_(slices), skipped_(std::move(skipped)) {
        records_.reserve(count);
        for (std::size_t i = 0; i < count; ++i) records_.push_back(slices.record(i));
    }
    const std::vector<SliceRecord>& records() const override { return records_; }
    const std::vector<std::string>& skipped() const override { return skipped_; }
    torch::Tensor batch(const std::vector<std::size_t>& indices) const override {
        return stack(indices, slices_.side(),
                     [this](std::size_t i, std::span<std::int16_t> to) { return slices_.read(i, to); });
    }

  private:
    const StoredSlices& slices_;
    std::vector<SliceRecord> records_;
    std::vector<std::string> skipped_;
};

/// A file of the trainer's.
class FileCache final : public SliceCache {
  public:
    FileCache(std::size_t count, int size) : records_(count), size_(size) {}

    Status use(const fs::path& pixels) {
        auto file = SliceFile::open(pixels, size_, 0);
        if (!file) return fail(file.error());
        file_.emplace(std::move(*file));
        return {};
    }

    bool read_index(const fs::path& path, const std::string& print) {
        const auto text = read_file(path);
        if (!text) return false;
        const json j = json::parse(*text, nullptr, false);
        if (j.is_discarded() || j.value("fingerprint", "") != print) return false;
        const auto read = guard(Code::kInternal, [&] {
            for (std::size_t i = 0; i < records_.size(); ++i) records_[i] = record_of(j.at("slices").at(i));
            skipped_ = j.value("skipped", std::vector<std::string>());
        });
        return read.has_value();
    }
    Status write_index(const fs::path& path, const std::string& print) const {
        json slices = json::array();
        for (const auto& record : records_) slices.push_back(record_json(record));
        return write_file(real_files(), path,
                          json{{"fingerprint", print}, {"slices", slices}, {"skipped", skipped_}}.dump(
                              -1, ' ', false, json::error_handler_t::replace));
    }

    Status fill(const TrainingSet& data, const fs::path& pixels) {
        auto file = SliceFile::create(pixels, size_, records_.size());
        if (!file) return fail(file.error());
        file_.emplace(std::move(*file));
        skipped_ = data.skipped();
        const std::size_t all = records_.size() + skipped_.size();
        if (10 * skipped_.size() > all) return too_many_faults(all, skipped_, {});
        Progress progress("reading slices", records_.size());
        std::size_t done = 0;
        const SliceLoading loading{0, records_.size(), size_, all / 10 - skipped_.size()};
        SCOPENODE_ASSIGN(const auto faults,
                         load_slices(data, loading, [&](std::size_t i, ReadySlice&& slice) {
                             records_[i] = std::move(slice.record);
                             progress.advance(++done);
                             return file_->write(i, slice.hu);
                         }));
        if (faults.size() > loading.most_faults) {
            progress.finish();
            return too_many_faults(all, skipped_, faults);
        }
        for (const auto& [index, fault] : faults) skipped_.push_back(fault.message);
        return file_->sync();  // the index is written next: what it lists is there
    }

    const std::vector<std::string>& skipped() const override { return skipped_; }
    const std::vector<SliceRecord>& records() const override { return records_; }
    torch::Tensor batch(const std::vector<std::size_t>& indices) const override {
        return stack(indices, size_,
                     [this](std::size_t i, std::span<std::int16_t> to) { return file_->read(i, to); });
    }

  private:
    std::vector<SliceRecord> records_;
    std::vector<std::string> skipped_;
    int size_;
    std::optional<SliceFile> file_;
};

}  // namespace

Result<std::unique_ptr<SliceCache>> SliceCache::open(const fs::path& folder, const TrainingSet& data,
                                                     int size) {
    if (const auto* stored = data.stored(); stored && stored->side() == size)
        return std::make_unique<StoredCache>(*stored, data.size(), data.skipped());
    auto cache = std::make_unique<FileCache>(data.size(), size);
    const std::string print = fingerprint(data, size);
    const fs::path pixels = folder / kPixels, index = folder / kIndex;
    std::error_code ec;
    const auto bytes = data.size() * static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 2;
    if (fs::file_size(pixels, ec) == bytes && !ec && cache->read_index(index, print)) {
        SCOPENODE_TRY(cache->use(pixels));
        return cache;
    }
    remove(folder);
    SCOPENODE_TRY(cache->fill(data, pixels));
    SCOPENODE_TRY(cache->write_index(index, print));
    return cache;
}

void SliceCache::remove(const fs::path& folder) {
    std::error_code ignored;
    fs::remove(folder / kIndex, ignored);
    fs::remove(folder / kPixels, ignored);
}

}  // namespace scopenode::ml

#include "ml/torch/trainer_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/progress.h"
#include "ml/torch/scopeformer.h"

namespace scopenode::ml {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kPixels = "slices.cache";
constexpr const char* kIndex = "slices.json";

json to_json(const SliceRecord& record) {
    json labels = json::array();
    for (const auto& label : record.labels) labels.push_back(label ? json(*label ? 1 : 0) : json(nullptr));
    json all{record.study, record.patient, record.z_mm, labels};
    if (record.part || record.rehearsal || record.weight != 1)
        all.push_back({{"part", record.part ? json(int(*record.part)) : json()},
                       {"rehearsal", record.rehearsal},
                       {"weight", record.weight}});
    return all;
}

SliceRecord record_of(const json& j) {
    SliceRecord record{{}, j.at(0), j.at(1), j.at(2)};
    if (j.size() > 4) {
        const json& more = j.at(4);
        if (!more.at("part").is_null()) record.part = Part(more.at("part").get<int>());
        record.rehearsal = more.at("rehearsal");
        record.weight = more.at("weight");
    }
    for (std::size_t k = 0; k < kLabelCount; ++k)
        if (const auto& label = j.at(3).at(k); !label.is_null()) record.labels[k] = label.get<int>() != 0;
    return record;
}

std::string fingerprint(const TrainingSet& data, int size) {
    return sha256_hex(fmt::format("1|{}|{}|{}", data.description(), data.size(), size));
}

/// A file of a fixed size as memory; space on the disk is reserved first, so that writing cannot fail later.
class MappedFile {
  public:
    MappedFile() = default;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile() {
        if (memory_) ::munmap(memory_, bytes_);
    }
    Status open(const fs::path& path, std::size_t bytes, bool create) {
        const int fd = ::open(path.c_str(), (create ? O_CREAT | O_TRUNC : 0) | O_RDWR | O_CLOEXEC, 0644);
        if (fd < 0) return fail(Code::kIo, "cannot open {}: {}", path.string(), std::strerror(errno));
        int rc = create ? ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)) : 0;
        void* memory = MAP_FAILED;
        if (rc == 0) {
            memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (memory == MAP_FAILED) rc = errno;
        }
        ::close(fd);
        if (rc != 0)
            return fail(Code::kIo, "cannot keep {} bytes of slices in {}: {}", bytes, path.string(),
                        std::strerror(rc));
        memory_ = memory;
        bytes_ = bytes;
        return {};
    }
    std::int16_t* data() const { return static_cast<std::int16_t*>(memory_); }

  private:
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
};

class MappedCache final : public SliceCache {
  public:
    MappedCache(std::size_t count, int size) : records_(count), size_(size) {}

    Status open_file(const fs::path& path, bool create) {
        return file_.open(path, records_.size() * stride() * 2, create);
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
        for (const auto& record : records_) slices.push_back(to_json(record));
        return write_file(real_files(), path,
                          json{{"fingerprint", print}, {"slices", slices}, {"skipped", skipped_}}.dump());
    }

    Status fill(const TrainingSet& data) {
        const auto before = data.skipped();
        const std::size_t all = records_.size() + before.size();
        std::map<std::size_t, Error> faults;
        const auto too_many = [&] { return 10 * (before.size() + faults.size()) > all; };
        std::atomic<std::size_t> next{0};
        std::mutex mutex;
        Progress progress("reading slices", records_.size());
        std::size_t done = 0;
        const auto work = [&] {
            for (std::size_t i = next++; i < records_.size(); i = next++) {
                const Status status = guard(Code::kInternal, [&] { return load_one(data, i); });
                const std::lock_guard lock(mutex);
                if (!status) faults.emplace(i, status.error());
                if (too_many()) return;
                progress.advance(++done);
            }
        };
        std::vector<std::thread> others;
        const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
        for (unsigned t = 1; t < threads; ++t) others.emplace_back(work);
        work();
        for (auto& thread : others) thread.join();
        skipped_ = before;
        for (const auto& [index, fault] : faults) skipped_.push_back(fault.message);
        if (!too_many()) return {};
        progress.finish();
        return fail(faults.empty() ? Code::kIo : faults.begin()->second.code,
                    "more than a tenth of {} slices cannot be read, such as: {}", all, skipped_.front());
    }

    const std::vector<std::string>& skipped() const override { return skipped_; }
    const std::vector<SliceRecord>& records() const override { return records_; }

    torch::Tensor batch(const std::vector<std::size_t>& indices) const override {
        const auto side = static_cast<std::int64_t>(size_);
        auto out = torch::empty({static_cast<std::int64_t>(indices.size()), 1, side, side}, torch::kFloat32);
        auto* to = out.data_ptr<float>();
        for (const std::size_t index : indices) {
            const std::int16_t* from = file_.data() + index * stride();
            for (std::size_t i = 0; i < stride(); ++i) *to++ = from[i];
        }
        return out;
    }

  private:
    std::size_t stride() const { return static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_); }

    Status load_one(const TrainingSet& data, std::size_t index) {
        SCOPENODE_ASSIGN(LabelledSlice slice, data.load(index));
        const torch::NoGradGuard no_grad;
        const auto hu = resize_hu(slice.image, size_).round().to(torch::kInt16).contiguous();
        std::memcpy(file_.data() + index * stride(), hu.data_ptr<std::int16_t>(), stride() * 2);
        records_[index] = {slice.labels,
                           std::move(slice.study),
                           std::move(slice.patient),
                           slice.z_mm,
                           slice.part,
                           slice.rehearsal,
                           slice.weight};
        return {};
    }

    std::vector<SliceRecord> records_;
    std::vector<std::string> skipped_;
    int size_;
    MappedFile file_;
};

}  // namespace

bool SliceRecord::positive() const {
    for (const auto& label : labels)
        if (label.value_or(false)) return true;
    return false;
}

bool SliceRecord::labelled() const {
    for (const auto& label : labels)
        if (label) return true;
    return false;
}

Result<std::unique_ptr<SliceCache>> SliceCache::open(const fs::path& folder, const TrainingSet& data,
                                                     int size) {
    auto cache = std::make_unique<MappedCache>(data.size(), size);
    const std::string print = fingerprint(data, size);
    const fs::path pixels = folder / kPixels, index = folder / kIndex;
    std::error_code ec;
    const auto bytes = data.size() * static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 2;
    if (fs::file_size(pixels, ec) == bytes && !ec && cache->read_index(index, print)) {
        SCOPENODE_TRY(cache->open_file(pixels, false));
        return cache;
    }
    remove(folder);
    SCOPENODE_TRY(cache->open_file(pixels, true));
    SCOPENODE_TRY(cache->fill(data));
    SCOPENODE_TRY(cache->write_index(index, print));
    return cache;
}

void SliceCache::remove(const fs::path& folder) {
    std::error_code ignored;
    fs::remove(folder / kIndex, ignored);
    fs::remove(folder / kPixels, ignored);
}

}  // namespace scopenode::ml

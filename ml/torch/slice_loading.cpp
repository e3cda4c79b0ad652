#include "ml/torch/slice_loading.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>

#include "ml/torch/scopeformer.h"

namespace scopenode::ml {
namespace {

Result<ReadySlice> load_one(const TrainingSet& data, std::size_t index, int side) {
    return guard(Code::kInternal, [&]() -> Result<ReadySlice> {
        SCOPENODE_ASSIGN(LabelledSlice slice, data.load(index));
        const torch::NoGradGuard no_grad;
        const auto hu = resize_hu(slice.image, side).round().to(torch::kInt16).contiguous();
        const auto* first = hu.data_ptr<std::int16_t>();
        return ReadySlice{{slice.labels, std::move(slice.study), std::move(slice.patient), slice.z_mm,
                           slice.part, slice.rehearsal, slice.weight},
                          {first, first + hu.numel()}};
    });
}

}  // namespace

Result<std::map<std::size_t, Error>> load_slices(const TrainingSet& data, const SliceLoading& loading,
                                                 const KeepSlice& keep) {
    std::map<std::size_t, Error> faults;
    Status kept;
    std::atomic<std::size_t> next{loading.begin};
    std::mutex mutex;
    const auto work = [&] {
        for (std::size_t i = next++; i < loading.end; i = next++) {
            auto ready = load_one(data, i, loading.side);
            const std::lock_guard lock(mutex);
            if (!kept || faults.size() > loading.most_faults) return;
            if (!ready && loading.wait_for_machine && ready.error().retryable())
                kept = fail(ready.error());
            else if (!ready)
                faults.emplace(i, ready.error());
            else
                kept = guard(Code::kInternal, [&] { return keep(i, std::move(*ready)); });
        }
    };
    {
        std::vector<std::jthread> others;
        const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
        try {
            for (unsigned t = 1; t < threads; ++t) others.emplace_back(work);
        } catch (const std::system_error&) {
            // No more threads: those that there are do it.
        }
        work();
    }
    SCOPENODE_TRY(kept);
    return faults;
}

tl::unexpected<Error> too_many_faults(std::size_t slices, const std::vector<std::string>& skipped,
                                      const std::map<std::size_t, Error>& faults) {
    return fail(faults.empty() ? Code::kIo : faults.begin()->second.code,
                "more than a tenth of {} slices cannot be read, such as: {}", slices,
                skipped.empty() ? faults.begin()->second.message : skipped.front());
}

}  // namespace scopenode::ml

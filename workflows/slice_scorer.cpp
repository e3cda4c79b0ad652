#include "workflows/slice_scorer.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "storage/dicom/rescale.h"
#include "storage/index/results.h"
#include "workflows/analysis.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr std::int64_t kRestMs = 10'000;

std::vector<std::int64_t> studies_of(std::span<const WantedSlice> slices) {
    std::set<std::int64_t> ids;
    for (const auto& slice : slices) ids.insert(slice.study_id);
    return {ids.begin(), ids.end()};
}

}  // namespace

std::string score_key(const std::string& manifest_sha256, const config::Settings& settings) {
    return manifest_sha256 + (settings.inference.rsna_rescale_quirk ? "+rsna_rescale_quirk" : "");
}

std::string score_key(const ml::Model& model, const config::Settings& settings) {
    return score_key(model.manifest_sha256(), settings);
}

SliceScorer::SliceScorer(Parts parts) : p_(std::move(parts)), key_(score_key(*p_.model, p_.settings)) {}

Result<bool> SliceScorer::turn() {
    if (resting() && p_.clock.steady_ms() < rest_until_) return false;
    const int most = std::max(1, p_.settings.inference.batch);
    SCOPENODE_ASSIGN(const auto slices,
                     p_.index.read([&](Connection& db) { return wanted_slices(db, most); }));
    if (slices.empty()) {
        rest_until_ = 0;
        return false;
    }
    const auto studies = studies_of(slices);
    SCOPENODE_TRY(p_.index.write([&](Connection& db) { return begin_work(db, studies); }));
    Status done = batch_or_singles(slices);
    if (!done && done.error().code == Code::kIo) done = leave_to_jobs(slices);
    SCOPENODE_TRY(p_.index.write([&](Connection& db) { return end_work(db, studies); }));
    rest_until_ = done ? 0 : p_.clock.steady_ms() + kRestMs;
    if (!done) return fail(done.error());
    return true;
}

Status SliceScorer::score(std::span<const WantedSlice> slices, const std::function<Status()>& after_batch) {
    const auto most = static_cast<std::size_t>(std::max(1, p_.settings.inference.batch));
    for (std::size_t begin = 0; begin < slices.size(); begin += most) {
        const Status done = batch_or_singles(slices.subspan(begin, std::min(most, slices.size() - begin)));
        rest_until_ = done ? 0 : p_.clock.steady_ms() + kRestMs;
        SCOPENODE_TRY(done);
        SCOPENODE_TRY(after_batch());
    }
    return {};
}

/// A fault of the model that does not pass is looked for slice by slice: one bad slice must not take its
/// neighbours along.
Status SliceScorer::batch_or_singles(std::span<const WantedSlice> slices) {
    const Status done = batch(slices);
    if (done || done.error().retryable()) return done;
    for (std::size_t i = 0; i < slices.size(); ++i) {
        const Status alone = slices.size() > 1 ? batch(slices.subspan(i, 1)) : done;
        if (alone) continue;
        if (alone.error().retryable()) return alone;
        SCOPENODE_TRY(keep_fault(slices[i], "the model failed on it: " + alone.error().message));
    }
    return {};
}

/// Files that cannot be read now must not hold up all others: the job of their study tries them again.
Status SliceScorer::leave_to_jobs(std::span<const WantedSlice> slices) {
    for (std::size_t i = 0; i < slices.size(); ++i) {
        const Status alone = batch_or_singles(slices.subspan(i, 1));
        if (alone) continue;
        if (alone.error().code != Code::kIo) return alone;
        log::warning("work", "{}", alone.error().message);
        SCOPENODE_TRY(
            p_.index.write([&](Connection& db) { return want_slice(db, slices[i].instance_id, false); }));
    }
    return {};
}

Status SliceScorer::batch(std::span<const WantedSlice> slices) {
    std::vector<std::filesystem::path> files;
    for (const auto& slice : slices) files.push_back(p_.archive.absolute(slice.path));
    const auto keep = [&](const InferredBatch& some) -> Status {
        std::vector<SliceScoreRow> rows;
        for (std::size_t k = 0; k < some.places.size(); ++k) {
            SliceScoreRow& row = rows.emplace_back();
            row.instance_id = slices[some.places[k]].instance_id;
            std::copy(some.scores[k].scores.begin(), some.scores[k].scores.end(), row.scores.begin());
            row.distance = some.scores[k].distance;
            row.look = look_json(some.looks[k]);
        }
        return p_.index.write([&](Connection& db) -> Status {
            SCOPENODE_TRY(put_slice_scores(db, key_, rows));
            for (const auto& row : rows) SCOPENODE_TRY(want_slice(db, row.instance_id, false));
            for (const auto study : studies_of(slices)) SCOPENODE_TRY(forget_kills(db, study));
            return {};
        });
    };
    SCOPENODE_ASSIGN(const auto inferred,
                     infer_files(*p_.model, p_.pixels, files, p_.settings.inference.batch,
                                 rescale_of(p_.settings.inference.rsna_rescale_quirk), keep));
    for (const auto& fault : inferred.faults) SCOPENODE_TRY(keep_fault(slices[fault.place], fault.text));
    return {};
}

Status SliceScorer::keep_fault(const WantedSlice& slice, const std::string& text) {
    log::warning("work", "{} has no score: {}", slice.path, text);
    return p_.index.write([&](Connection& db) -> Status {
        SCOPENODE_TRY(put_slice_fault(db, key_, {slice.instance_id, text}));
        return want_slice(db, slice.instance_id, false);
    });
}

}  // namespace scopenode::workflows

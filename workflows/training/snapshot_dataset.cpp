#include "workflows/training/snapshot_dataset.h"

#include <algorithm>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "ml/phantom/training_set.h"
#include "storage/dicom/pixels.h"

namespace scopenode::workflows {

namespace fs = std::filesystem;

ml::PhantomOptions phantoms_like_training(std::uint64_t seed) {
    ml::PhantomOptions options;
    options.seed = seed;
    return options;
}

Result<HuImage> read_slice(const Snapshot& snapshot, const SnapshotSlice& slice, const fs::path& objects) {
    const fs::path file = objects / slice.path;
    SCOPENODE_ASSIGN(const auto bytes, read_file(file));
    if (sha256_hex(bytes) != slice.sha256)
        return fail(Code::kConflict, "{} is not the object of the snapshot: its sha256 differs", slice.path);
    auto image = storage::read_hu(
        file, snapshot.rsna_rescale_quirk ? storage::Rescale::kRsnaQuirk : storage::Rescale::kAsTold);
    if (!image) return fail(image.error().code, "{}: {}", slice.path, image.error().message);
    return std::move(*image);
}

Result<std::unique_ptr<SnapshotDataset>> SnapshotDataset::open(const fs::path& snapshot,
                                                               const fs::path& objects) {
    auto set = std::unique_ptr<SnapshotDataset>(new SnapshotDataset);
    SCOPENODE_ASSIGN(set->snapshot_, read_snapshot(snapshot));
    set->objects_ = objects;
    std::size_t studies = 0;
    for (std::size_t i = 0; i < set->snapshot_.studies.size(); ++i) {
        const SnapshotStudy& study = set->snapshot_.studies[i];
        if (study.use != Use::kLearn && study.use != Use::kJudge) continue;
        ++studies;
        for (std::size_t s = 0; s < study.slices.size(); ++s) {
            const auto& labels = study.slices[s].labels;
            if (std::any_of(labels.begin(), labels.end(),
                            [](const auto& label) { return label.has_value(); }))
                set->slices_.push_back({i, s});
        }
    }
    if (set->slices_.empty())
        return fail(Code::kInvalidArgument, "{} holds no labelled slice to learn from", snapshot.string());
    if (set->snapshot_.rehearsal_phantoms > 0)
        set->phantoms_ = ml::phantom_training_set(phantoms_like_training(kRehearsalSeed),
                                                  set->snapshot_.rehearsal_phantoms);
    set->description_ = fmt::format(
        "{} labelled slices of {} studies (snapshot {}{})", set->slices_.size(), studies,
        snapshot.stem().string(),
        set->phantoms_ ? fmt::format(", with {} phantoms", set->snapshot_.rehearsal_phantoms) : "");
    return set;
}

Result<ml::LabelledSlice> SnapshotDataset::load(std::size_t index) const {
    if (index >= slices_.size()) {
        SCOPENODE_ASSIGN(auto phantom, phantoms_->load(index - slices_.size()));
        phantom.rehearsal = true;  // a share of them judges too: neither old nor new images alone decide
        return phantom;
    }
    const SnapshotStudy& study = snapshot_.studies[slices_[index].study];
    const SnapshotSlice& slice = study.slices[slices_[index].slice];
    ml::LabelledSlice out;
    SCOPENODE_ASSIGN(out.image, read_slice(snapshot_, slice, objects_));
    out.labels = slice.labels;
    out.study = study.study_uid;
    out.patient = study.patient;
    out.z_mm = slice.z_mm;
    out.part = study.use == Use::kLearn ? ml::Part::kLearn : ml::Part::kJudge;
    out.rehearsal = study.rehearsal;
    out.weight = slice.weight;
    return out;
}

}  // namespace scopenode::workflows

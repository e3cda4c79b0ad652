#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "ml/model.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixel_reader.h"
#include "storage/dicom/rescale.h"
#include "workflows/pixel_look.h"
#include "workflows/study.h"

namespace scopenode::workflows {

/// What became of the slices that a model was given.
struct Inferred {
    std::vector<std::optional<ml::SliceScores>> scores;  ///< in the order of the files; nothing: could not be decoded
    std::vector<std::optional<SliceLook>> looks;    ///< likewise; for judge_looks()
    struct Fault {
        std::size_t place = 0;  ///< in the files
        std::string text;       ///< one sentence
    };
    std::vector<Fault> faults;  ///< of the files that could not be decoded
};
/// One batch: the places of its files in `files`, their scores and what they look like.
struct InferredBatch {
    std::vector<std::size_t> places;
    std::vector<ml::SliceScores> scores;
    std::vector<SliceLook> looks;
};
/// Reads and scores files in batches. `done` is called after each batch; its error ends the work. Faults of the
/// machine (a full disk, a read error) are errors; a file that cannot be decoded is not.
using BatchDone = std::function<Status(const InferredBatch& batch)>;
Result<Inferred> infer_files(const ml::Model& model, storage::PixelReader& pixels,
                             std::span<const std::filesystem::path> files, int batch,
                             storage::Rescale rescale, const BatchDone& done);

/// What has to be said of how a series' values became HU: that the RSNA quirk was undone, or that it seems to
/// be there and was not. Logged with the count. Depends on the headers alone, so that an attempt after a
/// crash says the same.
std::optional<Reason> rescale_reason(const std::string& series_uid,
                                     std::span<const storage::InstanceHeader* const> slices,
                                     storage::Rescale rescale);

/// Fills in what follows from the slices: order, study probabilities, findings, and what the model says of
/// itself. A study that lies outside of the model's training range says so; with `abstain` nothing is determined
/// then.
void conclude(StudyAnalysis& analysis, const ml::Model& model, bool abstain);

/// The slice as the report names it.
AnalysedSlice analysed_slice(const storage::InstanceHeader& header, const ml::SliceScores& scores);

}  // namespace scopenode::workflows

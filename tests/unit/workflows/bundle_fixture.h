#pragma once
#include <map>

#include "ml/model.h"
#include "storage/dicom/pixels.h"
#include "tests/unit/workflows/report_fixture.h"
#include "workflows/analysis.h"
#include "workflows/results/bundle.h"

namespace scopenode::test {

/// The demonstration model of the repository, on one thread.
inline const ml::Model& demonstration() {
    static const auto model = [] {
        const auto files =
            ml::read_model_folder(std::filesystem::path(SCOPENODE_SOURCE_DIR) / "config/models/demo");
        return ml::Model::load(files.value(), {"cpu", 1, 8}).value();
    }();
    return *model;
}

/// A series of files with scores that are made up: a subdural hemorrhage around the middle.
struct FileStudy {
    workflows::StudyAnalysis analysis;
    std::map<std::string, std::filesystem::path> files;

    explicit FileStudy(const std::vector<std::filesystem::path>& paths) {
        for (const auto& path : paths) {
            const auto header = storage::read_header(path);
            if (!header || !header->position_mm) continue;
            analysis.header = *header;
            analysis.slices.push_back(
                workflows::analysed_slice(*header, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F}));
            files[header->sop_instance_uid] = path;
        }
        analysis.series_uid = analysis.header.series_uid;
        workflows::conclude(analysis, demonstration(), false);
        const std::size_t middle = analysis.slices.size() / 2;
        for (std::size_t i = middle - 3; i <= middle + 3; ++i)
            analysis.slices[i].scores = {0.9F, 0.1F, 0.1F, 0.1F, 0.1F, 0.9F};
        analysis.slices[middle].scores[5] = 0.97F;
        analysis.slices[middle + 1].scores[0] = 0.98F;
        workflows::conclude(analysis, demonstration(), false);
    }
    workflows::SliceSource source() const {
        return {[this](const workflows::AnalysedSlice& slice) { return files.at(slice.sop_instance_uid); },
                [](const std::filesystem::path& path) { return storage::read_hu(path); }};
    }
    void nothing_present() {
        for (auto& slice : analysis.slices) slice.scores.fill(0.02F);
        workflows::conclude(analysis, demonstration(), false);
    }
    void undetermined() {
        analysis.determined = false;
        analysis.reasons = {
            {"TOO_FEW_SLICES", "There are too few axial slices. 5 could be decoded, 8 are needed."},
            {"UNDECODABLE", "The pixels could not be decoded. 23 of 28 slices left out."}};
        workflows::conclude(analysis, demonstration(), false);
    }
};

}  // namespace scopenode::test

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <cmath>

#include "storage/dicom/parse.h"
#include "workflows/results/bundle_parts.h"

namespace scopenode::workflows {
namespace {

constexpr std::size_t kMostKeySlices = 5;
constexpr double kApartMm = 10;
constexpr double kOutlineShare = 0.6;

/// Single types by falling probability, then hemorrhage of any type.
std::vector<std::size_t> present_findings(const Verdicts& verdicts) {
    std::vector<std::size_t> present;
    for (std::size_t label = 1; label < ml::kLabelCount; ++label)
        if (verdicts[label].presence == Presence::kPresent) present.push_back(label);
    std::stable_sort(present.begin(), present.end(), [&](std::size_t a, std::size_t b) {
        return verdicts[a].probability.value_or(0) > verdicts[b].probability.value_or(0);
    });
    if (verdicts[0].presence == Presence::kPresent) present.push_back(0);
    return present;
}

/// Slices over the threshold of a present finding, the highest score of such a finding first.
std::vector<std::size_t> candidates(const StudyAnalysis& analysis, const Verdicts& verdicts,
                                    const std::vector<std::size_t>& present) {
    std::vector<float> best(analysis.slices.size(), -1);
    for (const std::size_t label : present)
        for (const std::size_t place : verdicts[label].sources)
            best[place] = std::max(best[place], analysis.slices[place].scores[label]);
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < best.size(); ++i)
        if (best[i] >= 0) places.push_back(i);
    std::stable_sort(places.begin(), places.end(),
                     [&](std::size_t a, std::size_t b) { return best[a] > best[b]; });
    return places;
}

/// The Modality LUT as the header names it, which a presentation state has to repeat.
Status read_rescale(KeySlice& slice, const std::filesystem::path& path) {
    DcmFileFormat file;
    SCOPENODE_TRY(storage::parse_file(file, path, storage::ReadUpTo::kPixelData));
    Float64 slope = 0, intercept = 0;
    if (file.getDataset()->findAndGetFloat64(DCM_RescaleSlope, slope).good() &&
        file.getDataset()->findAndGetFloat64(DCM_RescaleIntercept, intercept).good()) {
        slice.rescale_slope = slope;
        slice.rescale_intercept = intercept;
    }
    return {};
}

/// The side towards which a direction points, its greatest part first, smaller ones only when they matter.
std::string side_of(std::array<double, 3> direction) {
    static constexpr std::array<std::array<char, 2>, 3> kLetters{{{'R', 'L'}, {'A', 'P'}, {'F', 'H'}}};
    std::string letters;
    for (int turn = 0; turn < 2; ++turn) {
        const auto most = std::max_element(direction.begin(), direction.end(),
                                           [](double a, double b) { return std::abs(a) < std::abs(b); });
        if (std::abs(*most) < (turn == 0 ? 1e-6 : 0.26)) break;  // 15 degrees
        letters += kLetters[static_cast<std::size_t>(most - direction.begin())][*most > 0 ? 1 : 0];
        *most = 0;
    }
    return letters;
}

}  // namespace

std::vector<std::size_t> key_slices(const StudyAnalysis& analysis) {
    const Verdicts verdicts = verdicts_of(analysis);
    const auto present = present_findings(verdicts);
    std::vector<std::size_t> chosen;
    const auto add = [&](std::size_t place) {
        const bool known = std::find(chosen.begin(), chosen.end(), place) != chosen.end();
        if (!known && chosen.size() < kMostKeySlices) chosen.push_back(place);
    };
    for (const std::size_t label : present) add(highest_slice(analysis, label));
    for (const std::size_t place : candidates(analysis, verdicts, present)) {
        const bool apart = std::all_of(chosen.begin(), chosen.end(), [&](std::size_t other) {
            return std::abs(analysis.slices[place].z_mm - analysis.slices[other].z_mm) >= kApartMm - 1e-6;
        });
        if (apart) add(place);
    }
    return chosen;
}

Result<KeySlice> read_key_slice(const StudyAnalysis& analysis, std::size_t place, const SliceSource& source) {
    const AnalysedSlice& slice = analysis.slices.at(place);
    const auto path = source.file(slice);
    KeySlice read;
    read.place = place;
    SCOPENODE_ASSIGN(read.header, storage::read_header(path));
    const auto& h = read.header;
    if (h.sop_instance_uid != slice.sop_instance_uid || h.series_uid != analysis.series_uid ||
        h.study_uid != analysis.header.study_uid || h.patient_id != analysis.header.patient_id ||
        h.patient_name != analysis.header.patient_name)
        return fail(Code::kIdentityMismatch, "{} is not slice {} of the patient of the report",
                    path.filename().string(), slice.sop_instance_uid);
    SCOPENODE_TRY(read_rescale(read, path));
    SCOPENODE_ASSIGN(read.image, source.pixels(path));
    return read;
}

Status add_heat(KeySlice& slice, const Verdicts& verdicts, const ml::Model& model) {
    const auto labels = present_findings(verdicts);
    if (labels.empty()) return {};
    SCOPENODE_ASSIGN(const auto maps, model.grad_cam(slice.image, labels));
    slice.heat = ml::joined_heat(maps);
    slice.outline = ml::hottest_outline(slice.image, slice.heat, kOutlineShare);
    return {};
}

std::array<std::string, 4> edge_letters(const storage::InstanceHeader& header) {
    if (!header.orientation) return {};
    const auto& o = *header.orientation;
    const std::array<double, 3> right{o[0], o[1], o[2]}, down{o[3], o[4], o[5]};
    const auto opposite = [](const std::array<double, 3>& d) {
        return std::array<double, 3>{-d[0], -d[1], -d[2]};
    };
    return {side_of(opposite(right)), side_of(right), side_of(opposite(down)), side_of(down)};
}

std::string position_words(const StudyAnalysis& analysis, const KeySlice& slice) {
    std::string words = fmt::format("Slice {} of {} from below, z = {:.1f} mm", slice.place + 1,
                                    analysis.slices.size(), analysis.slices[slice.place].z_mm);
    if (!slice.header.instance_number.empty() && !slice.header.series_number.empty())
        words +=
            fmt::format(" (image {} of series {})", slice.header.instance_number, slice.header.series_number);
    return words;
}

}  // namespace scopenode::workflows

#include "workflows/training/folder_dataset.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <string_view>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/progress.h"
#include "base/log.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixels.h"
#include "storage/dicom/poor_header.h"
#include "workflows/eligibility.h"
#include "workflows/training/label_file.h"

namespace scopenode::workflows {
namespace {

namespace fs = std::filesystem;

/// Labels of a file: by SOP instance UID, else by the name that the RSNA set gives its files.
const SliceLabels* find_labels(const std::map<std::string, SliceLabels>& labels, const fs::path& file,
                               const std::string& uid) {
    for (const std::string& key : {uid, file.stem().string()})
        if (const auto it = labels.find(key); it != labels.end()) return &it->second;
    return nullptr;
}

std::vector<fs::path> dicom_files(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && entry.path().extension() == ".dcm") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

/// By our name, then by Kaggle's.
fs::path labels_in(const fs::path& folder) {
    std::error_code ec;
    for (const char* name : {"labels.csv", "stage_2_train.csv"})
        if (fs::exists(folder / name, ec)) return folder / name;
    return {};
}

std::optional<FolderSlice> slice_of(const fs::path& file, const std::map<std::string, SliceLabels>& labels,
                                    std::vector<std::string>& skipped) {
    const auto header = storage::read_poor_header(file);
    if (!header) skipped.push_back(fmt::format("{}: {}", file.string(), header.error().message));
    if (!header || !is_ct_slice(*header)) return std::nullopt;
    const auto* found = find_labels(labels, file, header->sop_instance_uid);
    if (!found) return std::nullopt;
    if (header->study_uid.empty()) {
        skipped.push_back(file.string() + ": no Study Instance UID: of which study it is cannot be told");
        return std::nullopt;
    }
    FolderSlice slice{file,   header->study_uid,  header->patient_id,    0, 0, 0,
                      *found, header->series_uid, header->has_rsna_quirk};
    if (slice.patient.empty()) slice.patient = header->study_uid;
    slice.z_mm = storage::normal_position_mm(*header).value_or(0);
    if (header->pixel_spacing_mm) slice.pixel_mm = (*header->pixel_spacing_mm)[0];
    slice.slice_mm = header->slice_thickness_mm.value_or(0);
    return slice;
}

/// What the description says of the quirk; the series that have it are logged.
std::string rescale_words(const std::vector<FolderSlice>& slices, storage::Rescale rescale) {
    std::map<std::string, std::size_t> series;
    std::size_t all = 0;
    for (const FolderSlice& slice : slices)
        if (slice.has_rsna_quirk) {
            ++series[slice.series];
            ++all;
        }
    if (rescale == storage::Rescale::kAsTold) {
        if (all > 0)
            log::warning(
                "data",
                "{} slices of {} series have 12 unsigned bits and an intercept above -100: their HU may "
                "be wrong; --rsna-rescale-quirk turns them round",
                all, series.size());
        return "";
    }
    for (const auto& [uid, count] : series)
        log::info("data", "series {}: RSNA rescale quirk undone in {} slices", uid, count);
    return fmt::format("; RSNA rescale quirk undone in {} slices of {} series", all, series.size());
}

}  // namespace

Result<std::map<std::string, SliceLabels>> read_kaggle_labels(const fs::path& csv) {
    SCOPENODE_ASSIGN(const auto file, read_label_file(csv));
    std::map<std::string, SliceLabels> labels;
    for (const FileLabel& label : file.labels) {
        if (label.slice.empty())
            return fail(Code::kInvalidArgument,
                        "{} labels studies: lines `<slice>_<finding>,0 or 1` are needed", csv.string());
        labels[label.slice][label.finding] = label.value;
    }
    return labels;
}

Result<std::unique_ptr<FolderDataset>> FolderDataset::open(const fs::path& folder, storage::Rescale rescale) {
    std::error_code ec;
    if (!fs::is_directory(folder, ec)) return fail(Code::kNotFound, "{} is not a folder", folder.string());
    const fs::path csv = labels_in(folder);
    if (csv.empty())
        return fail(Code::kNotFound, "{} holds neither labels.csv nor stage_2_train.csv", folder.string());
    SCOPENODE_ASSIGN(const auto labels, read_kaggle_labels(csv));
    return guard(Code::kIo, [&]() -> Result<std::unique_ptr<FolderDataset>> {
        auto set = std::unique_ptr<FolderDataset>(new FolderDataset);
        set->rescale_ = rescale;
        const auto files = dicom_files(folder);
        Progress progress("reading headers", files.size());
        std::set<std::string> studies;
        for (std::size_t i = 0; i < files.size(); ++i) {
            if (auto slice = slice_of(files[i], labels, set->skipped_)) {
                studies.insert(slice->study);
                set->slices_.push_back(std::move(*slice));
            }
            progress.advance(i + 1);
        }
        if (set->slices_.empty())
            return fail(
                Code::kNotFound, "{} holds no CT slice that {} has a label for{}", folder.string(),
                csv.string(),
                set->skipped_.empty() ? "" : "; a file that cannot be read: " + set->skipped_.front());
        std::stable_sort(set->slices_.begin(), set->slices_.end(),
                         [](const FolderSlice& a, const FolderSlice& b) {
                             return a.study != b.study ? a.study < b.study : a.z_mm < b.z_mm;
                         });
        Sha256 names;
        for (const FolderSlice& slice : set->slices_)
            names.update(fmt::format("{}|{}\n", slice.file.lexically_relative(folder).string(),
                                     fs::file_size(slice.file)));
        set->files_digest_ = names.hex();
        SCOPENODE_ASSIGN(const auto bytes, read_file(csv));
        set->description_ = fmt::format(
            "{} labelled slices of {} studies ({} sha256 {}{})", set->slices_.size(), studies.size(),
            csv.filename().string(), sha256_hex(bytes).substr(0, 12), rescale_words(set->slices_, rescale));
        return set;
    });
}

Result<ml::LabelledSlice> FolderDataset::load(std::size_t index) const {
    const FolderSlice& from = slices_.at(index);
    // A disk or share that is away is no fault of the slice.
    if (!std::ifstream(from.file)) return fail(Code::kIo, "cannot read {}", from.file.string());
    auto image = storage::read_hu(from.file, rescale_);
    if (!image) return fail(image.error().code, "{}: {}", from.file.string(), image.error().message);
    return ml::LabelledSlice{std::move(*image), from.labels, from.study, from.patient, from.z_mm};
}

}  // namespace scopenode::workflows

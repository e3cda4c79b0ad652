#include "workflows/slice_choice.h"

#include <algorithm>
#include <array>

#include "base/core/progress.h"
#include "storage/dicom/poor_header.h"
#include "workflows/analysis.h"
#include "workflows/offline_studies.h"

namespace scopenode::workflows {
namespace {

namespace fs = std::filesystem;

constexpr int kBatch = 8;

Status check_is_slice(const OfflineObject& object) {
    const auto& h = object.header;
    const std::string file = object.file.string();
    if (is_ct_slice(h)) return {};
    if (!h.has_pixels) return fail(Code::kUnsupported, "{} has no pixels", file);
    if (h.frames > 1)
        return fail(Code::kUnsupported, "{} has {} frames: only CT slices of one frame can be explained",
                    file, h.frames);
    const auto& type = h.image_type;
    if (std::find(type.begin(), type.end(), "LOCALIZER") != type.end())
        return fail(Code::kUnsupported, "{} is a localizer, not an axial slice", file);
    return fail(Code::kUnsupported, "{} is not a CT slice (modality {})", file,
                h.modality.empty() ? "missing" : h.modality);
}

Result<ChosenSlice> read_slice(const OfflineObject& object, const SliceSearch& search, std::string reason) {
    SCOPENODE_TRY(check_is_slice(object));
    SCOPENODE_ASSIGN(auto image, storage::PixelReader(search.decoder).read(object.file, search.rescale));
    const std::array<const storage::InstanceHeader*, 1> header{&object.header};
    if (const auto said = rescale_reason(object.header.series_uid, header, search.rescale))
        reason += "; " + said->text;
    return ChosenSlice{object.file, object.header, std::move(image), std::move(reason)};
}

Result<OfflineObject> read_object(const fs::path& file) {
    auto header = storage::read_poor_header(file);
    if (!header && header.error().retryable()) return fail(header.error());
    if (!header || (header->sop_instance_uid.empty() && !header->has_pixels))
        return fail(Code::kCannotUnderstand, "{} cannot be read as DICOM", file.string());
    return OfflineObject{file, std::move(*header)};
}

Result<ChosenSlice> find_by_uid(const SliceSearch& search) {
    const auto& folder = search.where;
    const std::string& uid = search.wanted;
    SCOPENODE_ASSIGN(const auto files, all_files({folder}));
    for (const fs::path& file : files)
        if (auto object = read_object(file); object && object->header.sop_instance_uid == uid)
            return read_slice(*object, search, "the one asked for");
    return fail(Code::kNotFound, "no slice '{}' in {}: give a SOP instance UID or a file", uid,
                folder.string());
}

std::vector<const OfflineObject*> scored_slices(const std::vector<OfflineStudy>& studies) {
    std::vector<const OfflineObject*> slices;
    for (const auto& study : studies) {
        const auto selection = select_slices(study);
        slices.insert(slices.end(), selection.slices.begin(), selection.slices.end());
    }
    return slices;
}

Result<ChosenSlice> find_highest(const SliceSearch& search) {
    SCOPENODE_ASSIGN(const auto files, all_files({search.where}));
    const auto objects = read_objects(files);
    const auto slices = scored_slices(group_studies(objects, search.minimum_slices));
    if (slices.empty())
        return fail(Code::kNotFound, "no CT slice with pixels in {} ({} files)", search.where.string(),
                    files.size());
    if (slices.size() == 1) return read_slice(*slices.front(), search, "the only slice");
    SCOPENODE_ASSIGN(const auto model, search.load_model());
    std::vector<fs::path> paths;
    for (const auto* slice : slices) paths.push_back(slice->file);
    Progress progress("slices", paths.size());
    const auto count = [&](const InferredBatch& batch) -> Status {
        progress.advance(batch.places.back() + 1);
        return {};
    };
    storage::PixelReader pixels(search.decoder);
    SCOPENODE_ASSIGN(const auto inferred, infer_files(*model, pixels, paths, kBatch, search.rescale, count));
    progress.finish();
    std::size_t best = paths.size();
    for (std::size_t i = 0; i < paths.size(); ++i)
        if (inferred.scores[i] &&
            (best == paths.size() || inferred.scores[i]->scores[0] > inferred.scores[best]->scores[0]))
            best = i;
    if (best == paths.size()) return fail(Code::kUnsupported, "{}", inferred.faults.front().text);
    return read_slice(*slices[best], search,
                      fmt::format("the highest probability of any hemorrhage ({:.3f}) of {} slices",
                                  static_cast<double>(inferred.scores[best]->scores[0]), paths.size()));
}

}  // namespace

std::string ChosenSlice::name() const {
    return header.sop_instance_uid.empty() ? file.filename().string() : header.sop_instance_uid;
}

Result<ChosenSlice> choose_slice(const SliceSearch& search) {
    std::error_code ec;
    if (!fs::exists(search.where, ec))
        return fail(Code::kNotFound, "{} does not exist", search.where.string());
    if (!fs::is_directory(search.where, ec)) {
        SCOPENODE_ASSIGN(const auto object, read_object(search.where));
        if (!search.wanted.empty() && search.wanted != object.header.sop_instance_uid)
            return fail(Code::kNotFound, "{} is one file and not the slice '{}'", search.where.string(),
                        search.wanted);
        return read_slice(object, search, "the file given");
    }
    if (search.wanted.empty()) return find_highest(search);
    for (const fs::path& file : {search.where / search.wanted, fs::path(search.wanted)}) {
        if (!fs::is_regular_file(file, ec)) continue;
        SCOPENODE_ASSIGN(const auto object, read_object(file));
        return read_slice(object, search, "the one asked for");
    }
    return find_by_uid(search);
}

}  // namespace scopenode::workflows

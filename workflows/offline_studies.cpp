#include "workflows/offline_studies.h"

#include <algorithm>
#include <map>

#include "storage/dicom/poor_header.h"

namespace scopenode::workflows {

namespace fs = std::filesystem;
using storage::Judgement;

Result<std::vector<fs::path>> all_files(const std::vector<fs::path>& inputs) {
    return guard(Code::kIo, [&]() -> Result<std::vector<fs::path>> {
        std::vector<fs::path> files;
        for (const fs::path& input : inputs) {
            if (fs::is_directory(input)) {
                std::vector<fs::path> inside;
                for (const auto& entry : fs::recursive_directory_iterator(input))
                    if (entry.is_regular_file()) inside.push_back(entry.path());
                std::sort(inside.begin(), inside.end());
                files.insert(files.end(), inside.begin(), inside.end());
            } else if (fs::exists(input)) {
                files.push_back(input);
            } else {
                return fail(Code::kNotFound, "{} does not exist", input.string());
            }
        }
        return files;
    });
}

std::vector<std::unique_ptr<OfflineObject>> read_objects(const std::vector<fs::path>& files) {
    std::vector<std::unique_ptr<OfflineObject>> objects;
    std::map<std::string, fs::path> seen;
    for (const fs::path& file : files) {
        auto header = storage::read_poor_header(file);
        if (!header) {
            fmt::print(stderr, "scopenode: {} is left out: {}\n", file.string(), header.error().message);
            continue;
        }
        const std::string& uid = header->sop_instance_uid;
        if (uid.empty() && !header->has_pixels) {
            fmt::print(stderr, "scopenode: {} is left out: not a DICOM object\n", file.string());
            continue;
        }
        if (const auto [first, is_new] = seen.try_emplace(uid, file); !is_new && !uid.empty()) {
            fmt::print(stderr, "scopenode: {} is left out: the same object as {}\n", file.string(),
                       first->second.string());
            continue;
        }
        objects.push_back(std::make_unique<OfflineObject>(OfflineObject{file, std::move(*header)}));
    }
    return objects;
}

std::vector<OfflineStudy> group_studies(const std::vector<std::unique_ptr<OfflineObject>>& objects,
                                        int minimum_slices) {
    std::vector<std::string> study_uids;
    std::map<std::string, OfflineStudy> by_uid;
    for (const auto& object : objects) {
        const auto& h = object->header;
        // Without a study UID, what one patient has in one folder is a study.
        const std::string key =
            h.study_uid.empty() ? object->file.parent_path().string() + "/" + h.patient_id : h.study_uid;
        if (!by_uid.contains(key)) study_uids.push_back(key);
        OfflineStudy& study = by_uid[key];
        auto place = std::find_if(study.headers.begin(), study.headers.end(),
                                  [&](const auto& s) { return s.series_uid == h.series_uid; });
        if (place == study.headers.end()) {
            study.series.emplace_back();
            place = study.headers.insert(place, SeriesHeaders{0, h.series_uid, false, {}});
        }
        study.series[static_cast<std::size_t>(place - study.headers.begin())].push_back(object.get());
        place->slices.push_back({0, &h});
    }
    std::vector<OfflineStudy> studies;
    for (const auto& uid : study_uids) {
        studies.push_back(std::move(by_uid[uid]));
        studies.back().judgements = judge_study(studies.back().headers, minimum_slices);
    }
    return studies;
}

Selection select_slices(const OfflineStudy& study) {
    Selection chosen;
    for (std::size_t s = 0; s < study.series.size(); ++s) {
        const Judgement& judgement = study.judgements[s];
        if (!judgement.eligible) {
            const auto& number = study.series[s].front()->header.series_number;
            const std::string name = number.empty() ? study.headers[s].series_uid : number;
            chosen.reasons.push_back(
                {judgement.reason_code, "Series " + name + ": " + judgement.reason_text});
            continue;
        }
        chosen.eligible = true;
        chosen.series_uid = study.headers[s].series_uid;
        std::vector<std::string> codes;
        for (std::size_t i = 0; i < judgement.slices.size(); ++i) {
            codes.push_back(judgement.slices[i].reason_code);
            if (codes.back().empty()) chosen.slices.push_back(study.series[s][i]);
        }
        for (auto& remark : left_out_remarks(codes)) chosen.reasons.push_back(std::move(remark));
    }
    if (chosen.eligible) return chosen;
    std::size_t most = 0;
    for (std::size_t s = 0; s < study.series.size(); ++s) {
        const std::size_t before = chosen.slices.size();
        for (const OfflineObject* object : study.series[s])
            if (is_ct_slice(object->header)) chosen.slices.push_back(object);
        if (s == 0 || chosen.slices.size() - before > most) chosen.series_uid = study.headers[s].series_uid;
        most = std::max(most, chosen.slices.size() - before);
    }
    return chosen;
}

}  // namespace scopenode::workflows

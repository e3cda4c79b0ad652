#include "workflows/training/snapshot.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/core/ids.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixels.h"
#include "storage/index/catalog.h"
#include "storage/index/labels.h"
#include "storage/index/results.h"
#include "workflows/intake.h"
#include "workflows/training/labels.h"
#include "workflows/training/truth.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr double kWitnessWeight = 0.5;
constexpr std::size_t kFewestWitnesses = 2;
constexpr double kWitnessShare = 0.1;
constexpr int kFewestOfAClass = 4;

Use use_named(const std::string& side) {
    return side == "held_out" ? Use::kHeldOut : side == "judge" ? Use::kJudge : Use::kLearn;
}

/// Which slices show a finding that only the study's label tells: those that somebody's key objects mark,
/// else those that the champion scores highest.
void choose_witnesses(SnapshotStudy& study, const std::map<std::string, std::array<double, 6>>& scores,
                      const std::set<std::string>& marked) {
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
        const bool told = std::any_of(study.slices.begin(), study.slices.end(),
                                      [&](const auto& slice) { return slice.labels[k].value_or(false); });
        if (!study.truth[k].value_or(false) || told) continue;
        std::vector<SnapshotSlice*> hinted;
        std::vector<std::pair<double, SnapshotSlice*>> ranked;
        for (SnapshotSlice& slice : study.slices) {
            if (slice.labels[k]) continue;  // what a reader has said stays
            if (marked.contains(slice.sop_instance_uid)) hinted.push_back(&slice);
            if (const auto found = scores.find(slice.sop_instance_uid); found != scores.end())
                ranked.emplace_back(found->second[k], &slice);
        }
        std::sort(ranked.begin(), ranked.end(),
                  [](const auto& a, const auto& b) { return a.first > b.first; });
        const auto most = std::max<std::size_t>(
            kFewestWitnesses, static_cast<std::size_t>(kWitnessShare * double(ranked.size())));
        if (hinted.empty())
            for (std::size_t i = 0; i < std::min(most, ranked.size()); ++i)
                hinted.push_back(ranked[i].second);
        for (SnapshotSlice* slice : hinted) {
            slice->labels[k] = true;
            slice->weight = kWitnessWeight;
        }
    }
}

Status fill_slices(Connection& db, const SnapshotParts& parts, const StudyRow& row, const EligibleSet& set,
                   const StudyTruth& truth, SnapshotStudy& study) {
    std::map<std::int64_t, std::string> uids;
    for (const InstanceRow& instance : set.slices) {
        SnapshotSlice slice{instance.sop_instance_uid, instance.path, instance.file_sha256, 0, {}, 1};
        if (const auto found = truth.slices.find(slice.sop_instance_uid); found != truth.slices.end())
            slice.labels = found->second;
        uids[instance.id] = slice.sop_instance_uid;
        study.slices.push_back(std::move(slice));
    }
    SCOPENODE_ASSIGN(const auto rows, slice_scores_of(db, row.id, parts.champion_scores));
    std::map<std::string, std::array<double, 6>> scores;
    for (const SliceScoreRow& one : rows)
        if (const auto uid = uids.find(one.instance_id); uid != uids.end()) scores[uid->second] = one.scores;
    SCOPENODE_ASSIGN(const auto marks, key_marks_of(db, study.study_uid));
    std::set<std::string> marked;
    for (const KeyMark& mark : marks)
        if (may_label(mark.caller, parts.training)) marked.insert(mark.sop_instance_uid);
    choose_witnesses(study, scores, marked);
    return {};
}

/// Nothing when the study can be of no use, with the reason in `left_out`.
Result<std::optional<SnapshotStudy>> plan_study(Connection& db, const SnapshotParts& parts,
                                                const std::string& uid, Snapshot& out) {
    const auto leave_out = [&](const std::string& why) {
        out.left_out.push_back(fmt::format("study {}: {}", uid, why));
        return std::optional<SnapshotStudy>();
    };
    SCOPENODE_ASSIGN(const auto row, find_study(db, uid));
    if (!row) return std::optional<SnapshotStudy>();
    SCOPENODE_ASSIGN(const auto set, eligible_set(db, row->id));
    if (set.slices.empty()) return leave_out("no series of it is eligible");
    SCOPENODE_ASSIGN(auto rows, labels_of_study(db, uid));
    std::vector<std::string> series_slices;
    for (const InstanceRow& slice : set.slices) series_slices.push_back(slice.sop_instance_uid);
    const StudyTruth truth = resolve_truth(counted_labels(std::move(rows), parts.training), series_slices);
    for (const std::string& conflict : truth.conflicts)
        out.conflicts.push_back(fmt::format("study {}: {}", uid, conflict));
    SnapshotStudy study;
    study.study_uid = uid;
    study.series_uid = set.series_uid;
    study.patient = patient_hash(row->patient_id, row->patient_issuer, uid);
    study.truth = truth.study;
    SCOPENODE_TRY(fill_slices(db, parts, *row, set, truth, study));
    const bool known =
        std::any_of(study.truth.begin(), study.truth.end(), [](const auto& t) { return t.has_value(); });
    const bool slice_known = std::any_of(study.slices.begin(), study.slices.end(), [](const auto& slice) {
        return std::any_of(slice.labels.begin(), slice.labels.end(),
                           [](const auto& t) { return t.has_value(); });
    });
    if (!known && !slice_known) return leave_out("no label counts");
    SCOPENODE_ASSIGN(
        const auto side,
        side_of_patient(db, study.patient, std::string(word(side_by_hash(study.patient, parts.training)))));
    study.use = use_named(side);
    study.rehearsal =
        std::find(parts.learnt_before.begin(), parts.learnt_before.end(), uid) != parts.learnt_before.end();
    return std::optional<SnapshotStudy>(std::move(study));
}

std::string age_band(const InstanceHeader& h) {
    if (h.birth_date.size() < 4 || h.study_date.size() < 4) return "";
    const int age =
        std::atoi(h.study_date.substr(0, 4).c_str()) - std::atoi(h.birth_date.substr(0, 4).c_str());
    if (age < 0 || age > 130) return "";
    return age < 40 ? "under 40" : age < 65 ? "40 to 64" : "65 and over";
}

/// Reads every slice's header; a sentence says why the study cannot be used.
std::string read_study(SnapshotStudy& study, const ObjectPath& object, bool quirk, std::string& pixels) {
    for (SnapshotSlice& slice : study.slices) {
        const auto header = read_header(object(slice.path));
        if (!header) return fmt::format("{} cannot be read: {}", slice.path, header.error().message);
        if (header->sop_instance_uid != slice.sop_instance_uid || header->study_uid != study.study_uid)
            return fmt::format("{} holds another object", slice.path);
        slice.z_mm = normal_position_mm(*header).value_or(0);
        const std::string device = header->manufacturer + " " + header->model_name, age = age_band(*header);
        if (device != " ") study.groups["device"] = device;
        if (!age.empty()) study.groups["age"] = age;
        if (!header->sex.empty()) study.groups["sex"] = header->sex;
    }
    std::sort(study.slices.begin(), study.slices.end(),
              [](const SnapshotSlice& a, const SnapshotSlice& b) { return a.z_mm < b.z_mm; });
    const auto& middle = study.slices[study.slices.size() / 2];
    const auto image = read_hu(object(middle.path), quirk ? Rescale::kRsnaQuirk : Rescale::kAsTold);
    if (!image) return fmt::format("{} cannot be decoded: {}", middle.path, image.error().message);
    pixels = sha256_hex({reinterpret_cast<const char*>(image->hu.data()), image->hu.size() * sizeof(float)});
    return "";
}

}  // namespace

std::string_view word(Use use) {
    constexpr std::array<std::string_view, 4> words{"learn", "judge", "held_out", "golden"};
    return words.at(static_cast<std::size_t>(use));
}

std::string patient_hash(const std::string& patient_id, const std::string& issuer,
                         const std::string& study_uid) {
    const std::string who = patient_id.empty()
                                ? "study|" + study_uid
                                : fmt::format("patient|{}|{}|{}", issuer.size(), issuer, patient_id);
    return sha256_hex("scopenode|" + who).substr(0, 16);
}

Use side_by_hash(const std::string& patient, const config::Settings::Training& training) {
    const auto place = [&](const char* salt) {
        const std::string digits = sha256_hex(salt + patient).substr(0, 12);
        return static_cast<double>(std::stoull(digits, nullptr, 16)) / std::pow(2.0, 48);
    };
    if (place("held out|") < training.held_out_share) return Use::kHeldOut;
    return place("judge|") < training.judge_share ? Use::kJudge : Use::kLearn;
}

Result<Snapshot> plan_snapshot(Connection& db, const SnapshotParts& parts) {
    Snapshot out;
    out.champion = parts.champion;
    out.rsna_rescale_quirk = parts.rsna_rescale_quirk;
    if (parts.demonstration) {
        out.rehearsal_phantoms = parts.training.rehearsal_share > 0 ? parts.training.rehearsal_phantoms : 0;
        out.golden_phantoms = parts.training.golden_phantoms;
    }
    SCOPENODE_ASSIGN(const auto uids, labelled_studies(db));
    SCOPENODE_ASSIGN(const auto sealed, golden_studies(db));
    const std::set<std::string> golden(sealed.begin(), sealed.end());
    for (const std::string& uid : uids) {
        SCOPENODE_ASSIGN(auto study, plan_study(db, parts, uid, out));
        if (!study) continue;
        if (golden.contains(uid)) study->use = Use::kGolden;
        out.studies.push_back(std::move(*study));
    }
    // A sealed study takes its patient with it, whatever side that had.
    std::set<std::string> sealed_patients;
    for (const auto& study : out.studies)
        if (study.use == Use::kGolden) sealed_patients.insert(study.patient);
    for (auto& study : out.studies)
        if (study.use != Use::kGolden && sealed_patients.contains(study.patient)) study.use = Use::kHeldOut;
    return out;
}

Status complete_snapshot(Snapshot& snapshot, const ObjectPath& object) {
    return guard(Code::kIo, [&]() -> Status {
        std::vector<SnapshotStudy> kept;
        std::map<std::string, std::string> seen;  // pixels of the middle slice -> study
        for (SnapshotStudy& study : snapshot.studies) {
            std::string pixels;
            std::string why = read_study(study, object, snapshot.rsna_rescale_quirk, pixels);
            if (why.empty())
                if (const auto [it, is_new] = seen.try_emplace(pixels, study.study_uid); !is_new)
                    why = fmt::format("shows the same pixels as study {}", it->second);
            if (why.empty())
                kept.push_back(std::move(study));
            else
                snapshot.left_out.push_back(fmt::format("study {}: {}", study.study_uid, why));
        }
        snapshot.studies = std::move(kept);
        return {};
    });
}

std::map<Use, ClassCounts> count_classes(const Snapshot& snapshot) {
    std::map<Use, ClassCounts> counts;
    for (const Use use : {Use::kLearn, Use::kJudge, Use::kHeldOut, Use::kGolden}) counts[use];
    for (const SnapshotStudy& study : snapshot.studies) {
        ClassCounts& one = counts[study.use];
        ++one.studies;
        for (std::size_t k = 0; k < ml::kLabelCount; ++k)
            if (study.truth[k]) ++(*study.truth[k] ? one.present : one.absent)[k];
    }
    return counts;
}

std::string counts_table(const Snapshot& snapshot) {
    std::string text = fmt::format("{:<10}{:>8}", "", "studies");
    for (const auto label : ml::kLabels) text += fmt::format("{:>18}", label);
    text += "  (present/absent)";
    for (const auto& [use, counts] : count_classes(snapshot)) {
        text += fmt::format("\n{:<10}{:>8}", word(use), counts.studies);
        for (std::size_t k = 0; k < ml::kLabelCount; ++k)
            text += fmt::format("{:>18}", fmt::format("{}/{}", counts.present[k], counts.absent[k]));
    }
    if (snapshot.golden_phantoms > 0)
        text += fmt::format(
            "\ngolden also: {} phantoms; rehearsal: {} phantoms (the champion is a demonstration)",
            snapshot.golden_phantoms, snapshot.rehearsal_phantoms);
    if (!snapshot.conflicts.empty())
        text += fmt::format("\n{} contradictions are out until decided: `scopenode labels conflicts`",
                            snapshot.conflicts.size());
    if (!snapshot.left_out.empty())
        text += fmt::format("\n{} labelled studies left out; the first: {}", snapshot.left_out.size(),
                            snapshot.left_out.front());
    return text;
}

std::string too_little(const Snapshot& snapshot, int fewest_studies) {
    auto counts = count_classes(snapshot);
    const ClassCounts &learn = counts[Use::kLearn], &judge = counts[Use::kJudge],
                      &held = counts[Use::kHeldOut];
    if (learn.studies < fewest_studies)
        return fmt::format(
            "{} labelled studies to learn from, at least {} are needed (training.fewest_studies)",
            learn.studies, fewest_studies);
    if (learn.present[0] < kFewestOfAClass || learn.absent[0] < kFewestOfAClass)
        return fmt::format(
            "to learn from there are {} studies with any hemorrhage and {} without: at least {} of each"
            " are needed",
            learn.present[0], learn.absent[0], kFewestOfAClass);
    const bool phantoms_judge = snapshot.rehearsal_phantoms > 0;
    if (!phantoms_judge && (judge.present[0] < 1 || judge.absent[0] < 1))
        return fmt::format(
            "for calibration there are {} studies with any hemorrhage and {} without: at least one of"
            " each is needed",
            judge.present[0], judge.absent[0]);
    if (held.studies == 0)
        return "no labelled study is held out: nothing would tell whether the model got better";
    return "";
}

}  // namespace scopenode::workflows

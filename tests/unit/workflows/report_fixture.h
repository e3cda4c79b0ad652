#pragma once
#include <string>

#include "base/core/ids.h"
#include "workflows/results/report.h"

namespace scopenode::test {

/// A study of `count` slices with a subdural hemorrhage in the middle third; every number is different.
inline workflows::StudyAnalysis sample_analysis(int count) {
    using workflows::Presence;
    workflows::StudyAnalysis a;
    auto& h = a.header;
    h.patient_id = "P-4711";
    h.patient_name = "Doe^Jane";
    h.birth_date = "19500102";
    h.sex = "F";
    h.study_uid = uid_from_text("study");
    h.study_date = "20261125";
    h.study_time = "081500";
    h.study_id = "S1";
    h.accession_number = "A123";
    h.study_description = "CT HEAD";
    h.referring_physician = "House^Gregory";
    h.series_uid = a.series_uid = uid_from_text("series");
    for (int i = 0; i < count; ++i) {
        workflows::AnalysedSlice slice;
        slice.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2";
        slice.sop_instance_uid = uid_from_text("slice " + std::to_string(i));
        slice.z_mm = 5.0 * i;
        const bool inside = 3 * i >= count - 1 && 3 * i <= 2 * count;
        slice.scores = {inside ? 0.81f : 0.1234f, 0.01f, 0.02f, 0.03f, 0.04f, inside ? 0.7654f : 0.05f};
        a.slices.push_back(slice);
    }
    a.probabilities = {0.91234f, 0.0123f, 0.1111f, 0.2222f, 0.3333f, 0.87654f};
    a.manifest.name = "Scopeformer test";
    a.manifest.version = "7";
    a.manifest.thresholds = {0.5, 0.41, 0.42, 0.43, 0.44, 0.45};
    a.manifest_sha256 = sha256_hex("manifest");
    a.model_id = a.manifest_sha256.substr(0, 12);
    a.findings = {Presence::kPresent, Presence::kAbsent, Presence::kAbsent,
                  Presence::kAbsent,  Presence::kAbsent, Presence::kPresent};
    return a;
}

inline workflows::StudyAnalysis absent_analysis(int count) {
    workflows::StudyAnalysis a = sample_analysis(count);
    for (auto& slice : a.slices) slice.scores.fill(0.05f);
    a.probabilities = {0.06f, 0.05f, 0.04f, 0.03f, 0.02f, 0.01f};
    a.findings.fill(workflows::Presence::kAbsent);
    return a;
}

inline workflows::StudyAnalysis undetermined_analysis(int count) {
    workflows::StudyAnalysis a = sample_analysis(count);
    a.determined = false;
    a.findings.fill(workflows::Presence::kUndetermined);
    a.reasons = {{"TOO_FEW_SLICES", "The series has fewer slices than an analysis needs."}};
    return a;
}

inline workflows::ReportContext sample_context() {
    workflows::ReportContext c;
    c.node_uid = uid_from_text("node");
    c.program_version = "0.1.0";
    c.settings_revision = "abc123";
    c.station_ae = "SCOPENODE";
    c.time_zone = "Europe/Berlin";
    c.analysis_started = 1795594500123;  // 2026-11-25T08:15:00.123Z
    return c;
}

}  // namespace scopenode::test

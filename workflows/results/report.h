#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "workflows/study.h"

namespace scopenode::workflows {

/// Everything that a report needs besides the analysis. Times come from records, never from the clock.
struct ReportContext {
    std::string node_uid;                 ///< of this installation
    std::string program_version;
    std::string settings_revision;
    std::string station_ae;
    std::string time_zone;                ///< site.time_zone
    bool write_timezone_offset = false;
    int revision = 1;
    std::string predecessor_sop_instance_uid;   ///< of the revision before, or ""
    std::string predecessor_sop_class_uid;
    std::string predecessor_series_uid;         ///< "": the series that this report goes to
    UtcMs analysis_started = 0;           ///< Content Date/Time
};

/// An encoded DICOM object: Part 10 bytes.
struct EncodedObject {
    std::string kind;                     ///< "sr", "sr-basic", "sc-1", "ko", "pr-1"
    std::string sop_class_uid, sop_instance_uid, series_uid;
    std::string bytes;
};

/// The SOP classes that a report can be written in. All but Basic Text hold the same tree.
enum class SrClass { kComprehensive3d, kComprehensive, kEnhanced, kBasicText };

/// TID 1500, as in reference structured-reports section 3; Basic Text: plain sentences. Same input, same bytes.
/// Kinds: "sr", "sr-comprehensive", "sr-enhanced", "sr-basic".
Result<EncodedObject> encode_report(const StudyAnalysis& analysis, const ReportContext& context,
                                    SrClass sr_class = SrClass::kComprehensive3d);
/// "sr-basic"
std::string kind_of(SrClass sr_class);
std::string sop_class_of(SrClass sr_class);

/// 2.25. plus a hash of node UID, study, revision, manifest, kind, SOP class and index (design promise 3).
std::string result_uid(const ReportContext& context, const StudyAnalysis& analysis, const std::string& kind,
                       const std::string& sop_class_uid, int index);

/// A report read back; accepts the synonyms of the codes table.
struct ReadReport {
    std::string study_uid, sop_instance_uid, completion, verification, preliminary;
    std::string predecessor_sop_instance_uid;
    struct Finding {
        std::string label;                ///< "epidural"
        Presence presence = Presence::kUndetermined;
        std::optional<double> probability, threshold;
        std::vector<std::string> source_slices;      ///< SOP instance UIDs
        std::string tracking_identifier, tracking_uid;
    };
    std::vector<Finding> findings;
    std::vector<std::string> evidence;    ///< SOP instance UIDs of (0040,A375)
    std::string patient_id, patient_name, series_description;   ///< UTF-8
    std::vector<std::string> reasons;     ///< why findings are undetermined; remarks where they are not
    std::string conclusion, intended_use, algorithm_name, algorithm_version, manifest_sha256;
};
Result<ReadReport> read_report(const std::filesystem::path& file);
/// The report for a person, as plain text.
std::string report_in_words(const ReadReport& report);

/// The table of codes (config/codes.json), checked: only codes with status "verified" (or private) are sent.
Status check_codes();

}  // namespace scopenode::workflows

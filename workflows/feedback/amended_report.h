#pragma once
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "workflows/results/codes.h"
#include "workflows/results/report_document.h"
#include "workflows/study.h"

namespace scopenode::workflows {

/// A time as a document gives it, and in UTC where it can be understood.
struct GivenTime {
    std::string text;
    std::optional<UtcMs> utc;
};
/// DICOM DT text (or DA and TM in a row). Without an offset of its own `offset` (0008,0201) counts, without
/// that the zone of the site.
std::optional<UtcMs> utc_of(const std::string& text, const std::string& offset, const std::string& zone);

/// What a document says of one of our findings. A finding that it does not mention is not reported, never
/// absent.
struct AnsweredFinding {
    std::optional<Presence> presence;
    CodedEntry code;             ///< of the presence as it stands there
    bool contradictory = false;  ///< said twice and differently: undetermined
    std::optional<double> probability;
    std::string tracking_identifier, tracking_uid;
};

/// Everything that a Structured Report tells about who says what of our findings; nothing is judged yet.
struct AmendedReport {
    std::string sop_class_uid, sop_instance_uid, series_uid, study_uid, patient_id;
    std::string completion, completion_description, verification, preliminary;
    std::string timezone_offset;
    GivenTime content_time, created;
    std::vector<ReferencedDocument> predecessors;  ///< all of them, in the order of the document
    std::vector<std::string> evidence;             ///< SOP instance UIDs of (0040,A375)
    /// Verifying Observer Sequence, Author Observer Sequence, Participant Sequence.
    struct Person {
        std::string kind;  ///< verifier, author, participant
        std::string type;  ///< PSN or DEV where it is given
        std::string name, organization;
        CodedEntry identification;
        GivenTime time;
    };
    std::vector<Person> people;
    /// Observation context of the content tree (TID 1002).
    struct Observer {
        std::string type;  ///< person, device
        std::string name, organization, uid;
        std::vector<CodedEntry> roles;
    };
    std::vector<Observer> observers;
    std::array<AnsweredFinding, ml::kLabelCount> findings;
    /// Every TEXT item, with the finding that it stands under ("" none).
    struct Text {
        std::string finding;
        CodedEntry name;
        std::string text;
    };
    std::vector<Text> texts;
    std::vector<std::string> manifests;    ///< SHA-256 of model manifests that it names
    std::vector<std::string> device_uids;  ///< of the contributing equipment

    std::vector<const Person*> verifiers() const;
    /// A person with a name has observed or verified.
    bool names_a_person() const;
    /// Name and organization of who answers: the last who verified, else the last who observed, else an
    /// author.
    std::pair<std::string, std::string> reader() const;
    /// It holds what only our reports hold: tracking UIDs, a model's manifest, a model's Device UID.
    bool has_our_marks() const;
    bool has_our_equipment() const;
};

/// Reads a report by whatever hand. Nothing but the file and the zone decides: kNotFound, kUnsupported (no
/// SR, too large, too deep), kCannotUnderstand.
Result<AmendedReport> read_amended_report(const std::filesystem::path& file,
                                          const std::string& site_time_zone);
/// What the header of a document that cannot be read whole says of us.
struct HeaderClaims {
    bool has_our_marks = false;
    std::vector<std::string> predecessors;  ///< SOP instance UIDs
};
HeaderClaims header_claims(const std::filesystem::path& file);
/// The whole record as JSON: what is kept in the index.
nlohmann::ordered_json to_json(const AmendedReport& report);

/// A report of ours that could be meant.
struct KnownResult {
    std::int64_t id = 0;
    std::string study_uid, sop_instance_uid, model_sha256;
    std::array<std::optional<Presence>, ml::kLabelCount> findings;
    std::vector<std::string> slices;  ///< SOP instance UIDs that it rests on
};
/// By what a document was matched: "sop instance", "predecessor", "predecessor's predecessor", "tracking
/// UIDs", "evidence and manifest".
struct Answers {
    std::size_t result = 0;  ///< index
    std::string by;
};
/// An earlier feedback document and the result that it answered.
struct KnownAnswer {
    std::string sop_instance_uid;
    std::int64_t result_id = 0;
};
std::optional<Answers> answered_result(const AmendedReport& report, std::span<const KnownResult> results,
                                       std::span<const KnownAnswer> earlier);

/// "complete", or "pending" with the reason. `result` is the one that it answers.
struct Standing {
    std::string state, reason;
};
Standing standing_of(const AmendedReport& report, const KnownResult& result);

/// One of our reports without any person's hand: a copy under another SOP Instance UID.
bool is_own_copy(const AmendedReport& report, bool in_own_series, const KnownResult* result);
/// TEXT items that the answered report (`ours`, may be null) did not hold and that are no formality.
std::vector<AmendedReport::Text> comments_of(const AmendedReport& report, const AmendedReport* ours);

}  // namespace scopenode::workflows

#include "workflows/feedback/amended_report.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>

#include "base/core/ids.h"
#include "workflows/results/report_document.h"
#include "workflows/results/report_parts.h"

namespace scopenode::workflows {
namespace {

// More is no report for a person, and every record has to be kept and shown.
constexpr std::size_t kMostTexts = 5000;
constexpr std::size_t kMostTextBytes = 2u << 20;
constexpr std::size_t kMostNames = 1000;  ///< of predecessors, people, observers

/// Walks a content tree: findings, observers, texts.
class Walker {
  public:
    explicit Walker(AmendedReport& report) : report_(report) {}

    Status walk(const ContentItem& node, std::string finding) {
        if (node.type == "CONTAINER") {
            if (const int label = label_of(node); label >= 0) {
                answer(node, report_.findings.at(static_cast<std::size_t>(label)));
                finding = ml::kLabels.at(static_cast<std::size_t>(label));
            }
        }
        if (node.type == "TEXT") SCOPENODE_TRY(text(node, finding));
        observer(node);
        for (const ContentItem& child : node.children) SCOPENODE_TRY(walk(child, finding));
        return {};
    }

  private:
    Status text(const ContentItem& node, const std::string& finding) {
        static constexpr std::string_view kManifest = "manifest_sha256=";
        bytes_ += node.text.size();
        if (report_.texts.size() >= kMostTexts || bytes_ > kMostTextBytes)
            return fail(Code::kUnsupported, "the report has more than {} texts or {} MB of them", kMostTexts,
                        kMostTextBytes >> 20);
        report_.texts.push_back({finding, node.name, node.text});
        if (codes_.means("manifest", node.name)) add_manifest(node.text);
        if (codes_.means("algorithm_parameters", node.name) && node.text.starts_with(kManifest))
            add_manifest(node.text.substr(kManifest.size()));
        return {};
    }

    void add_manifest(const std::string& sha256) {
        auto& all = report_.manifests;
        if (std::find(all.begin(), all.end(), sha256) == all.end()) all.push_back(sha256);
    }

    /// The items of an observer follow one another; a new type, or a second name, begins the next.
    void observer(const ContentItem& node) {
        auto& all = report_.observers;
        if (codes_.means("observer_type", node.name) && node.type == "CODE") {
            const bool device = codes_.means("device", node.code);
            all.push_back({device ? "device" : "person", "", "", "", {}});
        } else if (codes_.means("person_name", node.name)) {
            if (all.empty() || all.back().type != "person" || !all.back().name.empty())
                all.push_back({"person", "", "", "", {}});
            all.back().name = node.text;
        } else if (!all.empty() && codes_.means("person_organization", node.name)) {
            all.back().organization = node.text;
        } else if (!all.empty() && codes_.means("person_role", node.name)) {
            all.back().roles.push_back(node.code);
        } else if (!all.empty() && codes_.means("device_uid", node.name)) {
            all.back().uid = node.text;
        } else if (!all.empty() && codes_.means("device_name", node.name)) {
            all.back().name = node.text;
        }
    }

    /// By its finding, whatever the group is called; by our tracking UID where the code was translated.
    int label_of(const ContentItem& group) const {
        CodedEntry found, site;
        std::string tracking;
        for (const ContentItem& child : group.children) {
            if (codes_.means("finding", child.name)) found = child.code;
            if (codes_.means("finding_site", child.name)) site = child.code;
            if (codes_.means("tracking_uid", child.name)) tracking = child.text;
        }
        if (const int label = codes_.label_of(found, site.code); label >= 0) return label;
        if (tracking.empty()) return -1;
        for (std::size_t i = 0; i < ml::kLabelCount; ++i)
            if (tracking == tracking_uid(report_.study_uid, i)) return static_cast<int>(i);
        return -1;
    }

    void answer(const ContentItem& group, AnsweredFinding& finding) const {
        for (const ContentItem& child : group.children) {
            if (codes_.means("finding", child.name))
                for (const ContentItem& below : child.children) presence(below, finding);
            presence(child, finding);
            if (codes_.means("tracking_identifier", child.name)) finding.tracking_identifier = child.text;
            if (codes_.means("tracking_uid", child.name)) finding.tracking_uid = child.text;
            if (codes_.means("probability", child.name) && child.number && !is_of_a_slice(child))
                finding.probability = child.unit == "%" ? *child.number / 100 : *child.number;
        }
    }

    static bool is_of_a_slice(const ContentItem& number) {
        return std::any_of(number.children.begin(), number.children.end(),
                           [](const ContentItem& below) { return below.type == "IMAGE"; });
    }

    void presence(const ContentItem& item, AnsweredFinding& finding) const {
        if (item.type != "CODE" || !codes_.means("presence", item.name)) return;
        const Presence said = codes_.means("present", item.code)  ? Presence::kPresent
                              : codes_.means("absent", item.code) ? Presence::kAbsent
                                                                  : Presence::kUndetermined;
        if (finding.presence && *finding.presence != said) finding.contradictory = true;
        finding.presence = finding.contradictory ? Presence::kUndetermined : said;
        finding.code = item.code;
    }

    AmendedReport& report_;
    const CodeTable& codes_ = CodeTable::embedded();
    std::size_t bytes_ = 0;
};

GivenTime given(const std::string& text, const AmendedReport& report, const std::string& zone) {
    return {text, utc_of(text, report.timezone_offset, zone)};
}

void read_people(DcmItem& dataset, AmendedReport& report, const std::string& zone) {
    for (DcmItem* one : items_of(dataset, DCM_VerifyingObserverSequence))
        report.people.push_back({"verifier", "PSN", text_of(*one, DCM_VerifyingObserverName),
                                 text_of(*one, DCM_VerifyingOrganization),
                                 code_of(*one, DCM_VerifyingObserverIdentificationCodeSequence),
                                 given(text_of(*one, DCM_VerificationDateTime), report, zone)});
    const auto others = [&](const DcmTagKey& tag, const char* kind) {
        for (DcmItem* one : items_of(dataset, tag))
            report.people.push_back({kind, text_of(*one, DCM_ObserverType), text_of(*one, DCM_PersonName),
                                     text_of(*one, DCM_InstitutionName),
                                     code_of(*one, DCM_PersonIdentificationCodeSequence),
                                     given(text_of(*one, DCM_ParticipationDateTime), report, zone)});
    };
    others(DCM_AuthorObserverSequence, "author");
    others(DCM_ParticipantSequence, "participant");
}

AmendedReport header_of(DcmItem& dataset, const std::string& zone) {
    AmendedReport report;
    report.sop_class_uid = text_of(dataset, DCM_SOPClassUID);
    report.sop_instance_uid = text_of(dataset, DCM_SOPInstanceUID);
    report.series_uid = text_of(dataset, DCM_SeriesInstanceUID);
    report.study_uid = text_of(dataset, DCM_StudyInstanceUID);
    report.patient_id = text_of(dataset, DCM_PatientID);
    report.completion = text_of(dataset, DCM_CompletionFlag);
    report.completion_description = text_of(dataset, DCM_CompletionFlagDescription);
    report.verification = text_of(dataset, DCM_VerificationFlag);
    report.preliminary = text_of(dataset, DCM_PreliminaryFlag);
    report.timezone_offset = text_of(dataset, DCM_TimezoneOffsetFromUTC);
    const auto time = [&](const DcmTagKey& date, const DcmTagKey& of_day) {
        return given(text_of(dataset, date) + text_of(dataset, of_day), report, zone);
    };
    report.content_time = time(DCM_ContentDate, DCM_ContentTime);
    report.created = time(DCM_InstanceCreationDate, DCM_InstanceCreationTime);
    report.predecessors = referenced_documents(dataset, DCM_PredecessorDocumentsSequence);
    for (const auto& one : referenced_documents(dataset, DCM_CurrentRequestedProcedureEvidenceSequence))
        report.evidence.push_back(one.sop_instance_uid);
    for (DcmItem* equipment : items_of(dataset, DCM_ContributingEquipmentSequence))
        if (text_of(*equipment, DCM_Manufacturer) == kManufacturer)
            report.device_uids.push_back(text_of(*equipment, DCM_DeviceUID));
    read_people(dataset, report, zone);
    return report;
}

}  // namespace

std::vector<const AmendedReport::Person*> AmendedReport::verifiers() const {
    std::vector<const Person*> all;
    for (const Person& one : people)
        if (one.kind == "verifier") all.push_back(&one);
    return all;
}

bool AmendedReport::names_a_person() const {
    const bool observed = std::any_of(observers.begin(), observers.end(), [](const Observer& one) {
        return one.type == "person" && !one.name.empty();
    });
    return observed || std::any_of(people.begin(), people.end(),
                                   [](const Person& one) { return one.type != "DEV" && !one.name.empty(); });
}

std::pair<std::string, std::string> AmendedReport::reader() const {
    const Person* last = nullptr;
    for (const Person* one : verifiers())
        if (!one->name.empty() && (!last || one->time.utc >= last->time.utc)) last = one;
    if (last) return {last->name, last->organization};
    // A revised version keeps the observers of the one before it, and adds its own.
    for (auto one = observers.rbegin(); one != observers.rend(); ++one)
        if (one->type == "person" && !one->name.empty()) return {one->name, one->organization};
    for (const Person& one : people)
        if (one.type != "DEV" && !one.name.empty()) return {one.name, one.organization};
    return {};
}

bool AmendedReport::has_our_equipment() const {
    return std::any_of(device_uids.begin(), device_uids.end(), [](const auto& uid) { return !uid.empty(); });
}

bool AmendedReport::has_our_marks() const {
    if (!manifests.empty() || has_our_equipment()) return true;
    for (std::size_t i = 0; i < findings.size(); ++i)
        if (!findings[i].tracking_uid.empty() && findings[i].tracking_uid == tracking_uid(study_uid, i))
            return true;
    return false;
}

Result<AmendedReport> read_amended_report(const std::filesystem::path& file, const std::string& zone) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<AmendedReport> {
        SCOPENODE_TRY(check_codes());
        SCOPENODE_ASSIGN(const ReportDocument document, ReportDocument::open(file));
        AmendedReport report = header_of(document.dataset(), zone);
        SCOPENODE_ASSIGN(const ContentItem root, document.content());
        SCOPENODE_TRY(Walker(report).walk(root, ""));
        if (std::max({report.predecessors.size(), report.people.size(), report.observers.size()}) >
            kMostNames)
            return fail(Code::kUnsupported, "the report names more than {} predecessors, people or observers",
                        kMostNames);
        return report;
    });
}

HeaderClaims header_claims(const std::filesystem::path& file) {
    auto claims = guard(Code::kCannotUnderstand, [&]() -> Result<HeaderClaims> {
        SCOPENODE_ASSIGN(const ReportDocument document, ReportDocument::open(file));
        DcmItem& dataset = document.dataset();
        const AmendedReport header = header_of(dataset, "UTC");
        HeaderClaims found{header.has_our_equipment(), {}};
        for (DcmItem* scheme : items_of(dataset, DCM_CodingSchemeIdentificationSequence))
            found.has_our_marks |=
                text_of(*scheme, DCM_CodingSchemeDesignator) == CodeTable::embedded().private_designator();
        for (const auto& one : header.predecessors)
            if (found.predecessors.size() < kMostNames) found.predecessors.push_back(one.sop_instance_uid);
        return found;
    });
    return claims.value_or(HeaderClaims{});
}

}  // namespace scopenode::workflows

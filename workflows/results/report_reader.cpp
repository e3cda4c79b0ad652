#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "workflows/results/codes.h"
#include "workflows/results/report.h"
#include "workflows/results/report_document.h"

namespace scopenode::workflows {
namespace {

class Reader {
  public:
    explicit Reader(ReadReport& report) : report_(report) {}

    void walk(const ContentItem& node) {
        if (node.type == "CONTAINER" && codes_.means("group", node.name)) {
            group(node);
            return;
        }
        if (node.type == "TEXT") {
            if (codes_.means("conclusion", node.name)) report_.conclusion = node.text;
            if (codes_.means("intended_use", node.name)) report_.intended_use = node.text;
            if (codes_.means("reason", node.name) || codes_.means("remark", node.name))
                report_.reasons.push_back(node.text);
            if (codes_.means("manifest", node.name)) report_.manifest_sha256 = node.text;
        }
        for (const ContentItem& child : node.children) walk(child);
    }

  private:
    void group(const ContentItem& node) {
        ReadReport::Finding finding;
        CodedEntry found, site;
        for (const ContentItem& child : node.children) {
            if (child.type == "CODE" && codes_.means("finding", child.name)) found = child.code;
            if (child.type == "CODE" && codes_.means("finding_site", child.name)) site = child.code;
            if (child.type == "CODE" && codes_.means("presence", child.name))
                finding.presence = presence(child.code);
            if (child.type == "IMAGE" && codes_.means("source", child.name))
                finding.source_slices.push_back(child.text);
            if (child.type == "NUM" && codes_.means("probability", child.name)) probability(child, finding);
            if (codes_.means("tracking_identifier", child.name)) finding.tracking_identifier = child.text;
            if (codes_.means("tracking_uid", child.name)) finding.tracking_uid = child.text;
            if (codes_.means("algorithm_name", child.name)) report_.algorithm_name = child.text;
            if (codes_.means("algorithm_version", child.name)) report_.algorithm_version = child.text;
        }
        const int label = codes_.label_of(found, site.code);
        if (label < 0) return;
        finding.label = ml::kLabels.at(static_cast<std::size_t>(label));
        report_.findings.push_back(std::move(finding));
    }

    /// Whatever is not clearly present or absent is undetermined, a missing answer above all.
    Presence presence(const CodedEntry& code) const {
        if (codes_.means("present", code)) return Presence::kPresent;
        if (codes_.means("absent", code)) return Presence::kAbsent;
        return Presence::kUndetermined;
    }

    /// A probability that is inferred from an image is that of one slice.
    void probability(const ContentItem& node, ReadReport::Finding& finding) const {
        for (const ContentItem& child : node.children)
            if (child.type == "IMAGE") return;
        const auto in_units = [](const ContentItem& n) {
            return n.unit == "%" && n.number ? std::optional<double>(*n.number / 100) : n.number;
        };
        finding.probability = in_units(node);
        for (const ContentItem& child : node.children)
            if (codes_.means("threshold", child.name)) finding.threshold = in_units(child);
    }

    ReadReport& report_;
    const CodeTable& codes_ = CodeTable::embedded();
};

Result<ReadReport> read(const std::filesystem::path& path) {
    SCOPENODE_TRY(check_codes());
    SCOPENODE_ASSIGN(const ReportDocument document, ReportDocument::open(path));
    DcmItem& dataset = document.dataset();
    ReadReport report;
    report.study_uid = text_of(dataset, DCM_StudyInstanceUID);
    report.sop_instance_uid = text_of(dataset, DCM_SOPInstanceUID);
    report.completion = text_of(dataset, DCM_CompletionFlag);
    report.verification = text_of(dataset, DCM_VerificationFlag);
    report.preliminary = text_of(dataset, DCM_PreliminaryFlag);
    report.patient_id = text_of(dataset, DCM_PatientID);
    report.patient_name = text_of(dataset, DCM_PatientName);
    report.series_description = text_of(dataset, DCM_SeriesDescription);
    const auto before = referenced_documents(dataset, DCM_PredecessorDocumentsSequence);
    if (!before.empty()) report.predecessor_sop_instance_uid = before.front().sop_instance_uid;
    for (const auto& one : referenced_documents(dataset, DCM_CurrentRequestedProcedureEvidenceSequence))
        report.evidence.push_back(one.sop_instance_uid);
    SCOPENODE_ASSIGN(const ContentItem root, document.content());
    Reader(report).walk(root);
    return report;
}

}  // namespace

Result<ReadReport> read_report(const std::filesystem::path& file) {
    return guard(Code::kCannotUnderstand, [&] { return read(file); });
}

}  // namespace scopenode::workflows

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "storage/dicom/parse.h"
#include "workflows/results/codes.h"
#include "workflows/results/report.h"

namespace scopenode::workflows {
namespace {

// A report comes from anywhere: these bound what one file can cost. Ours has about 10 nodes and one slice's
// worth each.
constexpr std::uintmax_t kLargestFile = 64u << 20;
constexpr std::size_t kMostNodes = 200000;
constexpr int kDeepest = 32;

/// One content item, without DCMTK: foreign trees break rules of templates and relationships all the time.
struct Node {
    std::string relationship, type;
    CodedEntry name, code;
    std::string text, unit;
    std::optional<double> number;
    std::vector<Node> children;
};

std::string text_of(DcmItem& item, const DcmTagKey& tag) {
    OFString value;
    if (item.findAndGetOFStringArray(tag, value).bad()) return "";
    std::string text(value.c_str(), value.size());
    while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
    return text;
}

DcmItem* first_item(DcmItem& item, const DcmTagKey& tag) {
    DcmItem* found = nullptr;
    return item.findAndGetSequenceItem(tag, found, 0).good() ? found : nullptr;
}

DcmSequenceOfItems* sequence(DcmItem& item, const DcmTagKey& tag) {
    DcmSequenceOfItems* found = nullptr;
    return item.findAndGetSequence(tag, found).good() ? found : nullptr;
}

CodedEntry code_of(DcmItem& item, const DcmTagKey& tag) {
    DcmItem* entry = first_item(item, tag);
    if (!entry) return {};
    return {text_of(*entry, DCM_CodeValue), text_of(*entry, DCM_CodingSchemeDesignator),
            text_of(*entry, DCM_CodeMeaning)};
}

std::optional<double> decimal(const std::string& text) {
    const std::size_t begin = text.find_first_not_of(" +");
    if (begin == std::string::npos) return std::nullopt;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
    if (error != std::errc() || end == text.data() + begin || !std::isfinite(value)) return std::nullopt;
    return value;
}

void read_value(DcmItem& item, Node& node) {
    if (node.type == "TEXT") {
        node.text = text_of(item, DCM_TextValue);
    } else if (node.type == "UIDREF") {
        node.text = text_of(item, DCM_UID);
    } else if (node.type == "CODE") {
        node.code = code_of(item, DCM_ConceptCodeSequence);
    } else if (node.type == "IMAGE") {
        if (DcmItem* image = first_item(item, DCM_ReferencedSOPSequence))
            node.text = text_of(*image, DCM_ReferencedSOPInstanceUID);
    } else if (node.type == "NUM") {
        if (DcmItem* measured = first_item(item, DCM_MeasuredValueSequence)) {
            node.number = decimal(text_of(*measured, DCM_NumericValue));
            node.unit = code_of(*measured, DCM_MeasurementUnitsCodeSequence).code;
        }
    }
}

Status read_node(DcmItem& item, Node& node, std::size_t& nodes, int depth) {
    if (++nodes > kMostNodes)
        return fail(Code::kUnsupported, "the report has more than {} nodes", kMostNodes);
    if (depth > kDeepest)
        return fail(Code::kUnsupported, "the report is nested deeper than {} levels", kDeepest);
    node.relationship = text_of(item, DCM_RelationshipType);
    node.type = text_of(item, DCM_ValueType);
    node.name = code_of(item, DCM_ConceptNameCodeSequence);
    read_value(item, node);
    DcmSequenceOfItems* content = sequence(item, DCM_ContentSequence);
    if (!content) return {};
    for (DcmObject* child = content->nextInContainer(nullptr); child; child = content->nextInContainer(child))
        SCOPENODE_TRY(
            read_node(*static_cast<DcmItem*>(child), node.children.emplace_back(), nodes, depth + 1));
    return {};
}

class Reader {
  public:
    explicit Reader(ReadReport& report) : report_(report) {}

    void walk(const Node& node) {
        if (node.type == "CONTAINER" && codes_.means("group", node.name)) {
            group(node);
            return;
        }
        if (node.type == "TEXT") {
            if (codes_.means("conclusion", node.name)) report_.conclusion = node.text;
            if (codes_.means("intended_use", node.name)) report_.intended_use = node.text;
            if (codes_.means("reason", node.name)) report_.reasons.push_back(node.text);
            if (codes_.means("manifest", node.name)) report_.manifest_sha256 = node.text;
        }
        for (const Node& child : node.children) walk(child);
    }

  private:
    void group(const Node& node) {
        ReadReport::Finding finding;
        CodedEntry found, site;
        for (const Node& child : node.children) {
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
    void probability(const Node& node, ReadReport::Finding& finding) const {
        for (const Node& child : node.children)
            if (child.type == "IMAGE") return;
        const auto in_units = [](const Node& n) {
            return n.unit == "%" && n.number ? std::optional<double>(*n.number / 100) : n.number;
        };
        finding.probability = in_units(node);
        for (const Node& child : node.children)
            if (codes_.means("threshold", child.name)) finding.threshold = in_units(child);
    }

    ReadReport& report_;
    const CodeTable& codes_ = CodeTable::embedded();
};

/// SOP instance UIDs below a sequence of studies with series.
std::vector<std::string> referenced(DcmItem& dataset, const DcmTagKey& tag) {
    std::vector<std::string> uids;
    const auto each = [](DcmSequenceOfItems* items, auto&& body) {
        if (!items) return;
        for (DcmObject* one = items->nextInContainer(nullptr); one; one = items->nextInContainer(one))
            body(*static_cast<DcmItem*>(one));
    };
    each(sequence(dataset, tag), [&](DcmItem& study) {
        each(sequence(study, DCM_ReferencedSeriesSequence), [&](DcmItem& series) {
            each(sequence(series, DCM_ReferencedSOPSequence),
                 [&](DcmItem& instance) { uids.push_back(text_of(instance, DCM_ReferencedSOPInstanceUID)); });
        });
    });
    return uids;
}

Status load(const std::filesystem::path& path, DcmFileFormat& file) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    if (error) return fail(Code::kNotFound, "cannot read {}: {}", path.string(), error.message());
    if (size > kLargestFile)
        return fail(Code::kUnsupported, "{} has {} MB, a report at most {}", path.string(), size >> 20,
                    kLargestFile >> 20);
    return storage::parse_file(file, path, storage::ReadUpTo::kEnd);
}

Result<ReadReport> read(const std::filesystem::path& path) {
    SCOPENODE_TRY(check_codes());
    DcmFileFormat file;
    SCOPENODE_TRY(load(path, file));
    DcmDataset& dataset = *file.getDataset();
    if (text_of(dataset, DCM_ValueType) != "CONTAINER" || !sequence(dataset, DCM_ContentSequence))
        return fail(Code::kUnsupported, "{} is not a structured report", path.string());
    if (text_of(dataset, DCM_SpecificCharacterSet) != "ISO_IR 192") (void)dataset.convertToUTF8();

    ReadReport report;
    report.study_uid = text_of(dataset, DCM_StudyInstanceUID);
    report.sop_instance_uid = text_of(dataset, DCM_SOPInstanceUID);
    report.completion = text_of(dataset, DCM_CompletionFlag);
    report.verification = text_of(dataset, DCM_VerificationFlag);
    report.preliminary = text_of(dataset, DCM_PreliminaryFlag);
    report.patient_id = text_of(dataset, DCM_PatientID);
    report.patient_name = text_of(dataset, DCM_PatientName);
    report.series_description = text_of(dataset, DCM_SeriesDescription);
    const auto before = referenced(dataset, DCM_PredecessorDocumentsSequence);
    if (!before.empty()) report.predecessor_sop_instance_uid = before.front();
    report.evidence = referenced(dataset, DCM_CurrentRequestedProcedureEvidenceSequence);

    Node root;
    std::size_t nodes = 0;
    SCOPENODE_TRY(read_node(dataset, root, nodes, 0));
    Reader(report).walk(root);
    return report;
}

}  // namespace

Result<ReadReport> read_report(const std::filesystem::path& file) {
    return guard(Code::kCannotUnderstand, [&] { return read(file); });
}

}  // namespace scopenode::workflows

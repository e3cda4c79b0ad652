#include "workflows/results/report_document.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <charconv>
#include <cmath>

#include "storage/dicom/charset.h"
#include "storage/dicom/parse.h"

namespace scopenode::workflows {
namespace {

// A report comes from anywhere: these bound what one file can cost. Ours has about 10 nodes and one slice's
// worth each.
constexpr std::uintmax_t kLargestFile = 64u << 20;
constexpr std::size_t kMostNodes = 200000;
constexpr int kDeepest = 32;

DcmItem* first_item(DcmItem& item, const DcmTagKey& tag) {
    DcmItem* found = nullptr;
    return item.findAndGetSequenceItem(tag, found, 0).good() ? found : nullptr;
}

std::optional<double> decimal(const std::string& text) {
    const std::size_t begin = text.find_first_not_of(" +");
    if (begin == std::string::npos) return std::nullopt;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
    if (error != std::errc() || end == text.data() + begin || !std::isfinite(value)) return std::nullopt;
    return value;
}

void read_value(DcmItem& item, ContentItem& node) {
    if (node.type == "TEXT") {
        node.text = text_of(item, DCM_TextValue);
    } else if (node.type == "PNAME") {
        node.text = text_of(item, DCM_PersonName);
    } else if (node.type == "DATETIME") {
        node.text = text_of(item, DCM_DateTime);
    } else if (node.type == "DATE") {
        node.text = text_of(item, DCM_Date);
    } else if (node.type == "TIME") {
        node.text = text_of(item, DCM_Time);
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

Status read_node(DcmItem& item, ContentItem& node, std::size_t& nodes, int depth) {
    if (++nodes > kMostNodes)
        return fail(Code::kUnsupported, "the report has more than {} nodes", kMostNodes);
    if (depth > kDeepest)
        return fail(Code::kUnsupported, "the report is nested deeper than {} levels", kDeepest);
    node.relationship = text_of(item, DCM_RelationshipType);
    node.type = text_of(item, DCM_ValueType);
    node.name = code_of(item, DCM_ConceptNameCodeSequence);
    read_value(item, node);
    for (DcmItem* child : items_of(item, DCM_ContentSequence))
        SCOPENODE_TRY(read_node(*child, node.children.emplace_back(), nodes, depth + 1));
    return {};
}

std::string lines_to_utf8(const std::string& raw, const std::string& charset) {
    std::string out;
    for (std::size_t at = 0; at <= raw.size();) {
        const std::size_t end = std::min(raw.find('\n', at), raw.size());
        out += storage::to_utf8(raw.substr(at, end - at), charset);
        if (end < raw.size()) out += '\n';
        at = end + 1;
    }
    return out;
}

/// For the character sets that DCMTK cannot convert here: every text on its own.
void make_utf8(DcmItem& item, const std::string& charset) {
    for (unsigned long i = 0; i < item.card(); ++i) {
        DcmElement* element = item.getElement(i);
        if (element->ident() == EVR_SQ) {
            auto* sequence = static_cast<DcmSequenceOfItems*>(element);
            for (unsigned long k = 0; k < sequence->card(); ++k) make_utf8(*sequence->getItem(k), charset);
        } else if (auto* text = dynamic_cast<DcmByteString*>(element);
                   text && text->isAffectedBySpecificCharacterSet()) {
            OFString raw;
            if (element->getOFStringArray(raw).good())
                (void)element->putString(
                    lines_to_utf8(std::string(raw.c_str(), raw.size()), charset).c_str());
        }
    }
}

}  // namespace

std::string text_of(DcmItem& item, const DcmTagKey& tag) {
    OFString value;
    if (item.findAndGetOFStringArray(tag, value).bad()) return "";
    std::string text(value.c_str(), value.size());
    while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
    return text;
}

std::vector<DcmItem*> items_of(DcmItem& item, const DcmTagKey& tag) {
    std::vector<DcmItem*> all;
    DcmSequenceOfItems* found = nullptr;
    if (item.findAndGetSequence(tag, found).bad() || !found) return all;
    for (DcmObject* one = found->nextInContainer(nullptr); one; one = found->nextInContainer(one))
        all.push_back(static_cast<DcmItem*>(one));
    return all;
}

CodedEntry code_of(DcmItem& item, const DcmTagKey& tag) {
    DcmItem* entry = first_item(item, tag);
    if (!entry) return {};
    std::string value = text_of(*entry, DCM_CodeValue);
    if (value.empty()) value = text_of(*entry, DCM_LongCodeValue);
    if (value.empty()) value = text_of(*entry, DCM_URNCodeValue);
    return {std::move(value), text_of(*entry, DCM_CodingSchemeDesignator), text_of(*entry, DCM_CodeMeaning)};
}

ReportDocument::ReportDocument() : file_(std::make_unique<DcmFileFormat>()) {}
ReportDocument::ReportDocument(ReportDocument&&) noexcept = default;
ReportDocument::~ReportDocument() = default;

Result<ReportDocument> ReportDocument::open(const std::filesystem::path& path) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<ReportDocument> {
        std::error_code error;
        const auto size = std::filesystem::file_size(path, error);
        if (error) return fail(Code::kNotFound, "cannot read {}: {}", path.string(), error.message());
        if (size > kLargestFile)
            return fail(Code::kUnsupported, "{} has {} MB, a report at most {}", path.string(), size >> 20,
                        kLargestFile >> 20);
        ReportDocument document;
        SCOPENODE_TRY(storage::parse_file(*document.file_, path, storage::ReadUpTo::kEnd));
        DcmItem& dataset = document.dataset();
        if (text_of(dataset, DCM_ValueType) != "CONTAINER" || !dataset.tagExists(DCM_ContentSequence))
            return fail(Code::kUnsupported, "{} is not a structured report", path.string());
        const std::string charset = text_of(dataset, DCM_SpecificCharacterSet);
        if (charset != "ISO_IR 192" && dataset.convertToUTF8().bad()) make_utf8(dataset, charset);
        return document;
    });
}

DcmItem& ReportDocument::dataset() const {
    return *file_->getDataset();
}

Result<ContentItem> ReportDocument::content() const {
    return guard(Code::kCannotUnderstand, [&]() -> Result<ContentItem> {
        ContentItem root;
        std::size_t nodes = 0;
        SCOPENODE_TRY(read_node(dataset(), root, nodes, 0));
        return root;
    });
}

std::vector<ReferencedDocument> referenced_documents(DcmItem& dataset, const DcmTagKey& tag) {
    std::vector<ReferencedDocument> all;
    for (DcmItem* study : items_of(dataset, tag))
        for (DcmItem* series : items_of(*study, DCM_ReferencedSeriesSequence))
            for (DcmItem* one : items_of(*series, DCM_ReferencedSOPSequence))
                all.push_back({text_of(*study, DCM_StudyInstanceUID), text_of(*series, DCM_SeriesInstanceUID),
                               text_of(*one, DCM_ReferencedSOPClassUID),
                               text_of(*one, DCM_ReferencedSOPInstanceUID)});
    return all;
}

}  // namespace scopenode::workflows

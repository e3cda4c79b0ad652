#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "workflows/results/codes.h"

class DcmFileFormat;
class DcmItem;
class DcmSequenceOfItems;
class DcmTagKey;

/// A report's file as a tree without DCMTK's rules: for the readers of this program only.
namespace scopenode::workflows {

/// One content item: foreign trees break rules of templates and relationships all the time.
struct ContentItem {
    std::string relationship, type;
    CodedEntry name, code;
    std::string text;  ///< of TEXT, PNAME, UIDREF, DATETIME, DATE, TIME; the SOP instance of an IMAGE
    std::string unit;
    std::optional<double> number;
    std::vector<ContentItem> children;
};

/// An SR document in memory, its texts in UTF-8.
class ReportDocument {
  public:
    /// kNotFound, kUnsupported (too large, no SR) or kCannotUnderstand.
    static Result<ReportDocument> open(const std::filesystem::path& file);
    ReportDocument(ReportDocument&&) noexcept;
    ~ReportDocument();

    DcmItem& dataset() const;
    /// The content tree; kUnsupported when it has more nodes or levels than any report.
    Result<ContentItem> content() const;

  private:
    ReportDocument();
    std::unique_ptr<DcmFileFormat> file_;
};

std::string text_of(DcmItem& item, const DcmTagKey& tag);
/// The items of a sequence, none when it is not there.
std::vector<DcmItem*> items_of(DcmItem& item, const DcmTagKey& tag);
/// The first item of a sequence of codes.
CodedEntry code_of(DcmItem& item, const DcmTagKey& tag);

/// Another object that a document names: of its evidence, its predecessors.
struct ReferencedDocument {
    std::string study_uid, series_uid, sop_class_uid, sop_instance_uid;
};
/// Below a sequence of studies with series, in the order of the document.
std::vector<ReferencedDocument> referenced_documents(DcmItem& dataset, const DcmTagKey& tag);

}  // namespace scopenode::workflows

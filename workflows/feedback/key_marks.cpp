#include "workflows/feedback/key_marks.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/core/ids.h"
#include "base/core/result.h"
#include "storage/dicom/parse.h"

namespace scopenode::workflows {
namespace {

constexpr unsigned long kMostItems = 1000;
constexpr std::string_view kObserverType = "121005", kDevice = "121007";
/// Document titles of CID 7010 that say what is wrong with the images.
constexpr std::array<std::string_view, 5> kRejections{"113001", "113010", "113037", "113038", "113039"};

std::string text_of(DcmItem& item, const DcmTagKey& tag) {
    OFString value;
    return item.findAndGetOFString(tag, value).good() ? std::string(value.c_str()) : "";
}

std::string title_of(DcmItem& root) {
    DcmItem* title = nullptr;
    return root.findAndGetSequenceItem(DCM_ConceptNameCodeSequence, title, 0).good()
               ? text_of(*title, DCM_CodeValue)
               : "";
}

/// Only what names a person as its observer, or nobody, may be a person's: TID 2010, row "Observer Type".
bool is_by_a_device(DcmSequenceOfItems& content) {
    for (unsigned long i = 0; i < std::min(content.card(), kMostItems); ++i) {
        DcmItem *name = nullptr, *value = nullptr;
        DcmItem& item = *content.getItem(i);
        if (item.findAndGetSequenceItem(DCM_ConceptNameCodeSequence, name, 0).good() &&
            text_of(*name, DCM_CodeValue) == kObserverType &&
            item.findAndGetSequenceItem(DCM_ConceptCodeSequence, value, 0).good() &&
            text_of(*value, DCM_CodeValue) == kDevice)
            return true;
    }
    return false;
}

Result<std::vector<std::string>> images_in(const std::filesystem::path& file) {
    DcmFileFormat loaded;
    SCOPENODE_TRY(storage::parse_file(loaded, file, storage::ReadUpTo::kEnd));
    std::vector<std::string> images;
    DcmDataset& root = *loaded.getDataset();
    const std::string title = title_of(root);
    DcmSequenceOfItems* content = nullptr;
    if (std::find(kRejections.begin(), kRejections.end(), title) != kRejections.end() ||
        root.findAndGetSequence(DCM_ContentSequence, content).bad() || is_by_a_device(*content))
        return images;
    for (unsigned long i = 0; i < std::min(content->card(), kMostItems); ++i) {
        DcmItem& item = *content->getItem(i);
        DcmItem* reference = nullptr;
        if (text_of(item, DCM_ValueType) != "IMAGE" ||
            item.findAndGetSequenceItem(DCM_ReferencedSOPSequence, reference, 0).bad())
            continue;
        const std::string uid = text_of(*reference, DCM_ReferencedSOPInstanceUID);
        if (is_legal_uid(uid) && std::find(images.begin(), images.end(), uid) == images.end())
            images.push_back(uid);
    }
    return images;
}

}  // namespace

std::vector<std::string> marked_images(const std::filesystem::path& file) {
    return guard(Code::kCannotUnderstand, [&] { return images_in(file); })
        .value_or(std::vector<std::string>());
}

}  // namespace scopenode::workflows

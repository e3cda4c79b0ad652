#include "workflows/feedback/key_marks.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace scopenode::workflows {
namespace {

constexpr unsigned long kMostImages = 1000;
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

}  // namespace

std::vector<std::string> marked_images(const std::filesystem::path& file) {
    DcmFileFormat loaded;
    std::vector<std::string> images;
    if (loaded.loadFile(file.c_str()).bad()) return images;
    DcmDataset& root = *loaded.getDataset();
    const std::string title = title_of(root);
    if (std::find(kRejections.begin(), kRejections.end(), title) != kRejections.end()) return images;
    DcmSequenceOfItems* content = nullptr;
    if (root.findAndGetSequence(DCM_ContentSequence, content).bad()) return images;
    for (unsigned long i = 0; i < std::min(content->card(), kMostImages); ++i) {
        DcmItem& item = *content->getItem(i);
        DcmItem* reference = nullptr;
        if (text_of(item, DCM_ValueType) != "IMAGE" ||
            item.findAndGetSequenceItem(DCM_ReferencedSOPSequence, reference, 0).bad())
            continue;
        const std::string uid = text_of(*reference, DCM_ReferencedSOPInstanceUID);
        if (!uid.empty() && std::find(images.begin(), images.end(), uid) == images.end())
            images.push_back(uid);
    }
    return images;
}

}  // namespace scopenode::workflows

#include "storage/dicom/coerced.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "storage/dicom/parse.h"

namespace scopenode::storage {
namespace {

constexpr std::size_t kMostNames = 8;

/// Document content (0040,Axxx), graphics, pixels and what describes them, and whatever a document refers to.
bool is_body(const DcmTagKey& tag) {
    const Uint16 group = tag.getGroup(), element = tag.getElement();
    if (group == 0x0040) return element >= 0xA000;
    if (group == 0x0028 || group == 0x0070 || group == 0x7FE0) return true;
    return tag == DCM_SOPClassUID || tag == DCM_SOPInstanceUID || tag == DCM_ReferencedSeriesSequence ||
           tag == DCM_SourceImageSequence;
}

/// "PatientName" -> "patient name", "PatientID" -> "patient ID".
std::string words_of(const DcmTagKey& key) {
    const std::string name = DcmTag(key).getTagName();
    std::string words;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const bool upper = std::isupper(static_cast<unsigned char>(name[i])) != 0;
        const auto lower_at = [&](std::size_t k) {
            return k < name.size() && std::islower(static_cast<unsigned char>(name[k])) != 0;
        };
        const bool begins = upper && (i == 0 || lower_at(i - 1) || lower_at(i + 1));
        if (begins && i > 0) words += ' ';
        words += begins && lower_at(i + 1) ? static_cast<char>(std::tolower(name[i])) : name[i];
    }
    return words;
}

Status load(DcmFileFormat& file, const std::filesystem::path& path) {
    SCOPENODE_TRY(parse_file(file, path, ReadUpTo::kEnd));
    DcmDataset& d = *file.getDataset();
    // What cannot be decoded or converted here is compared as it is: different at worst.
    (void)d.chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
    OFString charset;
    (void)d.findAndGetOFStringArray(DCM_SpecificCharacterSet, charset);
    if (charset != "ISO_IR 192") (void)d.convertToUTF8();
    return {};
}

/// Elements of the data set; private ones under one key, group lengths and padding left out.
using Elements = std::map<DcmTagKey, DcmElement*>;
Elements elements_of(DcmDataset& dataset, bool& has_private) {
    Elements all;
    for (unsigned long i = 0; i < dataset.card(); ++i) {
        DcmElement* element = dataset.getElement(i);
        const DcmTagKey tag = element->getTag();
        has_private |= tag.isPrivate();
        const bool is_form =
            tag.getElement() == 0 || tag == DCM_DataSetTrailingPadding || tag == DCM_SpecificCharacterSet;
        if (!tag.isPrivate() && !is_form) all.emplace(tag, element);
    }
    return all;
}

}  // namespace

Result<Coercion> compare_copies(const std::filesystem::path& original, const std::filesystem::path& copy) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<Coercion> {
        DcmFileFormat first, second;
        SCOPENODE_TRY(load(first, original));
        SCOPENODE_TRY(load(second, copy));
        bool private_before = false, private_after = false;
        Elements before = elements_of(*first.getDataset(), private_before);
        const Elements after = elements_of(*second.getDataset(), private_after);
        Coercion coercion;
        for (const auto& [tag, element] : after) {
            const auto was = before.find(tag);
            const bool same = was != before.end() && was->second->compare(*element) == 0;
            if (was != before.end()) before.erase(was);
            if (same) continue;
            coercion.same_body &= !is_body(tag);
            coercion.changed.push_back(words_of(tag));
        }
        for (const auto& [tag, element] : before) {
            coercion.same_body &= !is_body(tag);
            coercion.changed.push_back(words_of(tag) + " removed");
        }
        if (private_before != private_after) coercion.changed.push_back("private elements");
        return coercion;
    });
}

std::string in_words(const Coercion& coercion) {
    if (coercion.changed.empty()) return "own result came back (as it was)";
    std::string names;
    for (std::size_t i = 0; i < std::min(coercion.changed.size(), kMostNames); ++i)
        names += (i ? ", " : "") + coercion.changed[i];
    if (coercion.changed.size() > kMostNames)
        names += fmt::format(" and {} more", coercion.changed.size() - kMostNames);
    return "own result came back (coerced: " + names + ")";
}

}  // namespace scopenode::storage

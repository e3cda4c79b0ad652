#include "storage/dicom/pixels.h"

#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "storage/dicom/parse.h"

namespace scopenode::storage {
namespace {

constexpr float kAir = kLeastHu;

/// How the stored words become HU (PS3.3 C.7.6.3, C.11.1).
struct Storage {
    int bits = 16, high_bit = 15;
    bool is_signed = false;
    bool is_turned = false;  ///< by the RSNA quirk
    double slope = 1, intercept = 0;
    std::optional<int> padding_first, padding_last;
};

int word_value(Uint16 word, const Storage& s) {
    const int shift = s.high_bit + 1 - s.bits;
    const int mask = s.bits >= 16 ? 0xFFFF : (1 << s.bits) - 1;
    int value = (word >> std::max(shift, 0)) & mask;
    if (s.is_signed && (value & (1 << (s.bits - 1)))) value -= mask + 1;
    return value;
}

std::optional<int> padding_of(DcmItem& d, const DcmTagKey& tag, const Storage& s) {
    DcmElement* element = nullptr;
    if (d.findAndGetElement(tag, element).bad() || element == nullptr) return std::nullopt;
    Uint16 u = 0;
    Sint16 i = 0;
    if (element->getSint16(i).good()) return s.is_signed ? i : static_cast<int>(static_cast<Uint16>(i));
    if (element->getUint16(u).good()) return s.is_signed ? static_cast<int>(static_cast<Sint16>(u)) : u;
    return std::nullopt;
}

// DCMTK's getters write 0 when the element is missing.
Uint16 number_or(DcmItem& d, const DcmTagKey& tag, int otherwise) {
    Uint16 value = 0;
    return d.findAndGetUint16(tag, value).good() ? value : static_cast<Uint16>(otherwise);
}

double decimal_or(DcmItem& d, const DcmTagKey& tag, double otherwise) {
    Float64 value = 0;
    return d.findAndGetFloat64(tag, value).good() ? value : otherwise;
}

Result<Storage> storage_of(DcmItem& d, const std::string& where, Rescale rescale) {
    Storage s;
    const Uint16 allocated = number_or(d, DCM_BitsAllocated, 16),
                 samples = number_or(d, DCM_SamplesPerPixel, 1);
    const Uint16 bits = number_or(d, DCM_BitsStored, allocated), high = number_or(d, DCM_HighBit, bits - 1);
    const Uint16 representation = number_or(d, DCM_PixelRepresentation, 0);
    if (samples != 1) return fail(Code::kUnsupported, "{}: {} samples a pixel, not a CT", where, samples);
    if ((allocated != 16 && allocated != 8) || bits < 1 || bits > allocated || high >= allocated ||
        high + 1 < bits)
        return fail(Code::kUnsupported, "{}: {} bits of {} stored at bit {}", where, bits, allocated, high);
    s.bits = bits;
    s.high_bit = high;
    s.is_signed = representation == 1;
    s.slope = decimal_or(d, DCM_RescaleSlope, 1);
    s.intercept = decimal_or(d, DCM_RescaleIntercept, 0);
    if (!std::isfinite(s.slope) || !std::isfinite(s.intercept) || s.slope == 0)
        return fail(Code::kCannotUnderstand, "{}: rescale slope or intercept is no number", where);
    if (rescale == Rescale::kRsnaQuirk && has_rsna_quirk(s.bits, s.is_signed, s.intercept)) {
        s.is_turned = true;
        s.intercept = kQuirkIntercept;
    }
    s.padding_first = padding_of(d, DCM_PixelPaddingValue, s);
    s.padding_last = padding_of(d, DCM_PixelPaddingRangeLimit, s);
    if (!s.padding_last) s.padding_last = s.padding_first;
    return s;
}

bool is_padding(int value, const Storage& s) {
    if (!s.padding_first) return false;
    const auto [low, high] = std::minmax(*s.padding_first, *s.padding_last);
    return value >= low && value <= high;
}

void fill(HuImage& image, const Storage& s, const auto* words) {
    for (std::size_t i = 0; i < image.hu.size(); ++i) {
        const int value = word_value(words[i], s);
        const int told = s.is_turned ? without_rsna_quirk(value) : value;
        const double hu = is_padding(value, s) ? kAir : told * s.slope + s.intercept;
        image.hu[i] = static_cast<float>(std::clamp<double>(hu, kLeastHu, kMostHu));
    }
}

/// What a header says of the image, before anything is decoded: a few bytes can ask for gigabytes.
Result<ImageSize> checked_size(DcmDataset& d, const std::string& where, Rescale rescale) {
    const Uint16 rows = number_or(d, DCM_Rows, 0), columns = number_or(d, DCM_Columns, 0);
    Sint32 frames = 1;
    if (d.findAndGetSint32(DCM_NumberOfFrames, frames).bad()) frames = 1;
    const long count = static_cast<long>(rows) * columns;
    if (count <= 0 || count > kMostPixels)
        return fail(Code::kCannotUnderstand, "{}: {} x {} pixels", where, columns, rows);
    if (frames > 1) return fail(Code::kUnsupported, "{}: {} frames, not one", where, frames);
    SCOPENODE_TRY(storage_of(d, where, rescale));
    return ImageSize{columns, rows};
}

Result<HuImage> decode(DcmDataset& d, const std::string& where, Rescale rescale) {
    const DcmXfer from(d.getOriginalXfer());
    SCOPENODE_ASSIGN(const auto size, checked_size(d, where, rescale));
    if (d.chooseRepresentation(EXS_LittleEndianExplicit, nullptr).bad() ||
        !d.canWriteXfer(EXS_LittleEndianExplicit))
        return fail(Code::kUnsupported, "{}: cannot decode {}", where, from.getXferName());
    // A decoder may have changed how the words are stored.
    SCOPENODE_ASSIGN(const Storage s, storage_of(d, where, rescale));
    const Uint16 allocated = number_or(d, DCM_BitsAllocated, 16);
    HuImage image{
        size.width, size.height,
        std::vector<float>(static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height))};
    unsigned long there = 0;
    if (allocated == 16) {
        const Uint16* words = nullptr;
        if (d.findAndGetUint16Array(DCM_PixelData, words, &there).bad() || words == nullptr ||
            there < image.hu.size())
            return fail(Code::kCannotUnderstand, "{}: pixel data missing or too short", where);
        fill(image, s, words);
    } else {
        const Uint8* bytes = nullptr;
        if (d.findAndGetUint8Array(DCM_PixelData, bytes, &there).bad() || bytes == nullptr ||
            there < image.hu.size())
            return fail(Code::kCannotUnderstand, "{}: pixel data missing or too short", where);
        fill(image, s, bytes);
    }
    return image;
}

}  // namespace

Result<HuImage> read_hu(const std::filesystem::path& path, Rescale rescale) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<HuImage> {
        const std::string where = path.filename().string();
        DcmFileFormat file;
        SCOPENODE_TRY(parse_file(file, path, ReadUpTo::kEnd));
        return decode(*file.getDataset(), where, rescale);
    });
}

Result<HuImage> read_uncompressed_hu(const std::filesystem::path& path, Rescale rescale) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<HuImage> {
        const std::string where = path.filename().string();
        DcmFileFormat file;
        SCOPENODE_TRY(parse_file(file, path, ReadUpTo::kEnd));
        DcmDataset& d = *file.getDataset();
        if (!DcmXfer(d.getOriginalXfer()).isEncapsulated()) return decode(d, where, rescale);
        SCOPENODE_ASSIGN(const auto size, checked_size(d, where, rescale));
        return HuImage{size.width, size.height, {}};
    });
}

}  // namespace scopenode::storage

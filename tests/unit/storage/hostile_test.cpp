#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "storage/dicom/digest.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixels.h"
#include "tests/unit/storage/node.h"

namespace scopenode::storage {
namespace {

void append(std::string& out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

std::string tag(unsigned group, unsigned element, const char* vr = "") {
    std::string out;
    append(out, group, 2);
    append(out, element, 2);
    return out + vr;
}

std::string element(unsigned group, unsigned number, const char* vr, std::string value) {
    if (value.size() % 2 != 0) value += '\0';
    std::string out = tag(group, number, vr);
    append(out, value.size(), 2);
    return out + value;
}

std::string part10(const char* syntax) {
    return std::string(128, '\0') + "DICM" + element(2, 0x10, "UI", syntax);
}

const std::string kUids = element(8, 0x16, "UI", test::kCt) + element(8, 0x18, "UI", "2.25.3");

/// Sequences in sequences, each with an item of undefined length, closed or left open.
std::string nested(int levels, bool closed) {
    std::string open = tag(8, 0x1140, "SQ"), close;
    append(open, 0, 2);
    append(open, 0xFFFFFFFF, 4);
    open += tag(0xFFFE, 0xE000);
    append(open, 0xFFFFFFFF, 4);
    for (const unsigned end : {0xE00DU, 0xE0DDU}) {
        close += tag(0xFFFE, end);
        append(close, 0, 4);
    }
    std::string out;
    for (int i = 0; i < levels; ++i) out += open;
    for (int i = 0; closed && i < levels; ++i) out += close;
    return out;
}

TEST_CASE("sequences nested without end are refused and usual ones are read") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "nested.dcm";
    std::string body;
    bool readable = false;
    SUBCASE("twenty levels") {
        body = nested(20, true);
        readable = true;
    }
    SUBCASE("closed") {
        body = nested(200000, true);
    }
    SUBCASE("left open") {
        body = nested(200000, false);
    }
    const std::string rest = element(0x20, 0xD, "UI", "2.25.1") + element(0x20, 0xE, "UI", "2.25.2");
    REQUIRE(write_file(real_files(), file, part10("1.2.840.10008.1.2.1") + kUids + body + rest));
    const auto header = read_header(file);
    CHECK(header.has_value() == readable);
    CHECK(content_digest(file).has_value() == readable);
    CHECK_FALSE(read_hu(file));
    if (readable) return;
    CHECK(header.error().code == Code::kCannotUnderstand);
    CHECK(header.error().message.find("nested too deeply") != std::string::npos);
    test::Node node;
    CHECK(node.store(*read_file(file), "2.25.3").error().code == Code::kCannotUnderstand);
    CHECK(node.files_under("quarantine") == 1);
}

TEST_CASE("a small deflated file that grows to gigabytes is refused in time") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "deflated.dcm";
    DcmFileFormat bomb;
    DcmDataset& d = *bomb.getDataset();
    d.putAndInsertString(DCM_SOPClassUID, test::kCt);
    d.putAndInsertString(DCM_SOPInstanceUID, "2.25.3");
    d.putAndInsertString(DCM_StudyInstanceUID, "2.25.1");
    d.putAndInsertString(DCM_SeriesInstanceUID, "2.25.2");
    std::size_t megabytes = 1;
    SUBCASE("honest") {}
    SUBCASE("bomb") {
        megabytes = 80;
    }
    const std::vector<Uint8> zeros(megabytes << 20);
    d.putAndInsertUint8Array(DcmTag(0x0042, 0x0011, EVR_OB), zeros.data(), zeros.size());
    REQUIRE(bomb.saveFile(file.c_str(), EXS_DeflatedLittleEndianExplicit).good());
    REQUIRE(std::filesystem::file_size(file) < 1 << 20);
    const auto header = read_header(file);
    CHECK(header.has_value() == (megabytes == 1));
    if (!header) CHECK(header.error().message.find("deflated") != std::string::npos);
}

TEST_CASE("a few bytes of pixels cannot ask for gigabytes") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "large.dcm";
    DcmFileFormat large;
    std::string reason;
    DcmDataset& d = *large.getDataset();
    const auto set = [&](Uint16 rows, Uint16 columns, const char* frames) {
        d.putAndInsertUint16(DCM_Rows, rows);
        d.putAndInsertUint16(DCM_Columns, columns);
        d.putAndInsertString(DCM_NumberOfFrames, frames);
    };
    SUBCASE("rows and columns") {
        set(65535, 65535, "1");
        reason = "65535 x 65535";
    }
    SUBCASE("frames") {
        set(512, 512, "100000");
        reason = "100000 frames";
    }
    d.putAndInsertUint16(DCM_BitsAllocated, 16);
    d.putAndInsertUint16(DCM_BitsStored, 16);
    d.putAndInsertUint16(DCM_HighBit, 15);
    const std::vector<Uint16> words(8);
    d.putAndInsertUint16Array(DCM_PixelData, words.data(), words.size());
    REQUIRE(large.saveFile(file.c_str(), EXS_LittleEndianExplicit).good());
    const auto image = read_hu(file);
    REQUIRE_FALSE(image);
    CHECK(image.error().message.find(reason) != std::string::npos);
}

TEST_CASE("a text of a megabyte is cut and stays different from others") {
    const TemporaryFolder folder;
    const auto name_of = [&](const std::string& name) {
        DcmFileFormat file;
        DcmDataset& d = *file.getDataset();
        d.putAndInsertString(DCM_SOPClassUID, test::kCt);
        d.putAndInsertString(DCM_SOPInstanceUID, "2.25.3");
        d.putAndInsertString(DCM_StudyInstanceUID, "2.25.1");
        d.putAndInsertString(DCM_SeriesInstanceUID, "2.25.2");
        d.putAndInsertString(DCM_SpecificCharacterSet, "ISO_IR 192");
        d.putAndInsertString(DCM_PatientID, name.c_str());
        REQUIRE(file.saveFile((folder.path() / "a.dcm").c_str(), EXS_LittleEndianImplicit).good());
        const auto header = read_header(folder.path() / "a.dcm");
        REQUIRE(header);
        return header->patient_id;
    };
    std::string name;
    while (name.size() < 1 << 20) name += "x\xC3\xA4";
    const std::string one = name_of(name + "1"), two = name_of(name + "2");
    CHECK(one.size() < 1100);
    CHECK(one != two);
    CHECK(one.substr(0, 900) == name.substr(0, 900));
    CHECK(name_of(std::string(1000, 'y')) == std::string(1000, 'y'));
}

}  // namespace
}  // namespace scopenode::storage

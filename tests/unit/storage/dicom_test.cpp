#include <algorithm>
#include <map>

#include "storage/dicom/digest.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixels.h"
#include "storage/dicom/poor_header.h"
#include "tests/support/data.h"
#include "tests/unit/storage/node.h"

namespace scopenode::storage {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const std::string& folder) {
    std::vector<fs::path> files;
    const fs::path root = test::data_folder() / folder;
    if (!fs::exists(root)) {
        MESSAGE("skipped: no " << root.string());
        return files;
    }
    for (const auto& entry : fs::recursive_directory_iterator(root))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

TEST_CASE("real headers: GE and Philips") {
    const Codecs codecs;
    REQUIRE(dictionary_is_loaded());
    const fs::path root = test::data_folder() / "headct";
    if (!fs::exists(root)) {
        MESSAGE("skipped: no " << root.string());
        return;
    }
    const auto ge = read_header(root / "ge_hispeed_ncct" / "01.dcm");
    REQUIRE(ge);
    CHECK(ge->modality == "CT");
    CHECK(ge->rows == 512);
    CHECK(ge->gantry_tilt_degrees.value_or(0) == doctest::Approx(18.5));
    CHECK(normal_position_mm(*ge).has_value());
    const auto philips = read_header(root / "philips_ingenuity_phantom" / "S2010" / "I100");
    REQUIRE(philips);
    CHECK(philips->slice_thickness_mm.value_or(0) == doctest::Approx(5));
    const auto image = read_hu(root / "ge_hispeed_ncct" / "14.dcm");
    REQUIRE(image);
    CHECK(image->hu.size() == 512U * 512U);
    const auto [least, most] = std::minmax_element(image->hu.begin(), image->hu.end());
    CHECK(*least == -1024);
    CHECK(*most > 800);
}

TEST_CASE("what the writer wrote is read back in HU") {
    const Codecs codecs;
    const TemporaryFolder folder;
    const auto file = folder.path() / "a.dcm";
    CtSlice s;
    s.study_uid = "2.25.1";
    s.series_uid = "2.25.2";
    s.sop_instance_uid = "2.25.3";
    s.frame_of_reference_uid = "2.25.4";
    s.rows = 1;
    s.columns = 4;
    std::vector<float> expected;
    std::vector<std::int32_t> raw;
    SUBCASE("signed 16 bits with padding") {
        s.intercept = 0;
        s.padding_raw = -2000;
        raw = {-2000, -1500, 40, 3000};
        expected = {-1024, -1024, 40, 3000};
    }
    SUBCASE("unsigned 12 bits") {
        s.is_signed = false;
        s.bits_stored = 12;
        raw = {0, 1, 1064, 4095};
        expected = {-1024, -1023, 40, 3071};
    }
    SUBCASE("signed 12 bits: the sign is at bit 11") {
        s.bits_stored = 12;
        s.intercept = 0;
        raw = {-1000, -1, 0, 2047};
        expected = {-1000, -1, 0, 2047};
    }
    s.raw = raw;
    REQUIRE(write_ct(file, s));
    const auto image = read_hu(file);
    REQUIRE(image);
    CHECK(image->hu == expected);
}

struct QuirkCase {
    const char* name;
    bool is_signed;
    int bits, intercept;
    std::optional<int> padding;
    std::vector<std::int32_t> raw;
    std::vector<float> as_told, undone;  ///< `undone` empty: no quirk
};

const std::vector<QuirkCase> kQuirkCases{
    {"12 unsigned", false, 12, 0, {}, {0, 40, 3096, 4095}, {0, 40, 3096, 4095}, {0, 40, -1000, -1}},
    {"padding stays air", false, 12, 0, 3000, {3000, 40, 3096}, {-1024, 40, 3096}, {-1024, 40, -1000}},
    {"above -100", false, 12, -99, {}, {0, 40, 3096}, {-99, -59, 2997}, {0, 40, -1000}},
    {"at -100", false, 12, -100, {}, {0, 40, 3096}, {-100, -60, 2996}, {}},
    {"intercept -1024", false, 12, -1024, {}, {0, 40, 3096}, {-1024, -984, 2072}, {}},
    {"16 signed", true, 16, 0, {}, {-1000, 40, 3096}, {-1000, 40, 3096}, {}},
    {"12 signed", true, 12, 0, {}, {-1000, 40, 2047}, {-1000, 40, 2047}, {}},
    {"16 unsigned", false, 16, 0, {}, {0, 40, 3096}, {0, 40, 3096}, {}},
};

TEST_CASE("the RSNA rescale quirk is undone only where it is and only when asked for") {
    CHECK(without_rsna_quirk(0) == 1000);
    CHECK(without_rsna_quirk(3095) == 4095);
    CHECK(without_rsna_quirk(3096) == 0);
    CHECK(without_rsna_quirk(4095) == 999);
    const Codecs codecs;
    const TemporaryFolder folder;
    for (const QuirkCase& one : kQuirkCases) {
        CAPTURE(one.name);
        CtSlice s;
        s.study_uid = "2.25.1";
        s.series_uid = "2.25.2";
        s.sop_instance_uid = "2.25.3";
        s.frame_of_reference_uid = "2.25.4";
        s.rows = 1;
        s.columns = static_cast<int>(one.raw.size());
        s.is_signed = one.is_signed;
        s.bits_stored = one.bits;
        s.intercept = one.intercept;
        s.padding_raw = one.padding;
        s.raw = one.raw;
        const auto file = folder.path() / (std::string(one.name) + ".dcm");
        REQUIRE(write_ct(file, s));
        const auto told = read_hu(file), turned = read_hu(file, Rescale::kRsnaQuirk);
        REQUIRE(told);
        REQUIRE(turned);
        CHECK(told->hu == one.as_told);
        CHECK(turned->hu == (one.undone.empty() ? one.as_told : one.undone));
        CHECK(read_header(file)->has_rsna_quirk == !one.undone.empty());
    }
}

TEST_CASE("pixels of one image in several lossless transfer syntaxes are equal") {
    const Codecs codecs;
    std::map<std::string, HuImage> images;
    std::string unsupported;
    for (const fs::path& file : files_of("zoo/wg04")) {
        const std::string name = file.filename().string();
        if (name.rfind("CT1_", 0) != 0 || name == "CT1_JLSN") continue;
        auto image = read_hu(file);
        if (image) {
            images.emplace(name, std::move(*image));
        } else {
            CHECK_MESSAGE(image.error().code == Code::kUnsupported, name);
            unsupported += name + " ";
        }
    }
    if (images.empty()) return;
    REQUIRE(images.count("CT1_UNC") == 1);
    for (const char* name : {"CT1_RLE", "CT1_JPLL", "CT1_JLSL"}) {
        REQUIRE(images.count(name) == 1);
        CHECK_MESSAGE(images.at(name).hu == images.at("CT1_UNC").hu, name);
    }
    CHECK(unsupported.find("J2K") != std::string::npos);
}

TEST_CASE("names of every character set come out as UTF-8") {
    const std::map<std::string, std::string> expected{{"chrGerm.dcm", "Äneas^Rüdiger"},
                                                      {"chrFren.dcm", "Buc^Jérôme"},
                                                      {"chrGreek.dcm", "Διονυσιος"},
                                                      {"chrX1.dcm", "Wang^XiaoDong=王^小東="},
                                                      {"chrRuss.dcm", "Люкceмбypг"},
                                                      {"chrH31.dcm", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
                                                      {"chrI2.dcm", "Hong^Gildong=洪^吉洞=홍^길동"},
                                                      {"chrH32.dcm", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
                                                      {"chrX2.dcm", "Wang^XiaoDong=王^小东="},
                                                      {"chrJapMulti.dcm", "やまだ^たろう"}};
    for (const fs::path& file : files_of("zoo/pydicom")) {
        const auto found = expected.find(file.filename().string());
        if (found == expected.end()) continue;
        const auto header = read_poor_header(file);
        REQUIRE(header);
        CHECK(header->patient_name == found->second);
    }
}

TEST_CASE("hostile and odd files are answered") {
    const Codecs codecs;
    for (const char* folder : {"fuzz", "zoo", "rsna2019"}) {
        int read = 0, refused = 0;
        for (const fs::path& file : files_of(folder)) {
            const auto header = read_header(file);
            if (!header) CHECK_FALSE(header.error().message.empty());
            const auto image = read_hu(file);
            if (image)
                CHECK(image->hu.size() ==
                      static_cast<std::size_t>(image->width) * static_cast<std::size_t>(image->height));
            (header ? read : refused) += 1;
        }
        MESSAGE(std::string(folder) << ": " << read << " headers read, " << refused << " refused");
    }
}

TEST_CASE("a digest tells content and not encoding") {
    const TemporaryFolder folder;
    test::Ct ct;
    const auto put = [&](const char* name, const std::string& bytes) {
        REQUIRE(write_file(real_files(), folder.path() / name, bytes));
        return *content_digest(folder.path() / name);
    };
    const std::string first = put("a.dcm", ct.bytes());
    CHECK(put("b.dcm", ct.bytes()) == first);
    ct.grey += 1;
    CHECK(put("c.dcm", ct.bytes()) != first);
}

}  // namespace
}  // namespace scopenode::storage

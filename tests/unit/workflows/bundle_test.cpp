#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <set>

#include "base/core/files.h"
#include "ml/figures/colours.h"
#include "ml/figures/slice_picture.h"
#include "tests/support/data.h"
#include "tests/support/programs.h"
#include "tests/unit/workflows/bundle_fixture.h"
#include "workflows/node.h"
#include "workflows/phantoms.h"

using namespace scopenode;
using namespace scopenode::test;
using namespace scopenode::workflows;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> files_of(const fs::path& folder) {
    auto files = files_with_content(folder);
    std::erase_if(files, [](const fs::path& file) {
        return file.filename() == "DIRFILE" || file.extension() == ".csv";
    });
    std::sort(files.begin(), files.end());
    return files;
}

std::vector<fs::path> phantom_files(const TemporaryFolder& folder, int size, int slices = 20) {
    PhantomFolderOptions options;
    options.out = folder.path() / "phantom";
    options.threads = 1;
    options.phantom.slices = slices;
    options.phantom.size = size;
    options.phantom.positive_rate = 1;
    REQUIRE(write_phantoms(options, [](int) {}));
    return files_of(options.out);
}

/// Where pictures go that a person wants to look at: SCOPENODE_PICTURES, or nowhere.
void show(const fs::path& object, const std::string& name) {
    if (const char* folder = std::getenv("SCOPENODE_PICTURES"))
        run({"dcmj2pnm", "+on", "-il", object.string(), (fs::path(folder) / (name + ".png")).string()});
}

void no_errors(const std::vector<std::string>& program) {
    const auto [rc, said] = run(program);
    CAPTURE(program.front());
    CAPTURE(said);
    CHECK(rc == 0);
    CHECK(said.find("Error") == std::string::npos);
    CHECK(("\n" + said).find("\nE: ") == std::string::npos);
}

void taken_by_others(const EncodedObject& object, const fs::path& folder, const std::string& name) {
    CAPTURE(object.kind);
    const fs::path path = folder / (object.kind + ".dcm");
    std::ofstream(path, std::ios::binary) << object.bytes;
    no_errors({"dciodvfy", path.string()});
    if (object.kind.starts_with("sr") || object.kind == "ko") {
        no_errors({"dsrdump", path.string()});
        no_errors({"dsr2html", path.string(), path.string() + ".html"});
    } else if (object.kind.starts_with("sc-")) {
        no_errors({"dcmj2pnm", "+on", path.string(), path.string() + ".png"});
        show(path, name + "-" + object.kind);
    } else {
        no_errors({"dcmdump", path.string()});
    }
}

/// All that can be made of a study, each object taken by the programs of others.
std::vector<EncodedObject> whole_bundle(const FileStudy& study, const fs::path& folder,
                                        const std::string& name) {
    fs::create_directories(folder);
    std::vector<EncodedObject> all;
    for (const auto sr_class :
         {SrClass::kComprehensive3d, SrClass::kComprehensive, SrClass::kEnhanced, SrClass::kBasicText})
        all.push_back(encode_report(study.analysis, sample_context(), sr_class).value());
    const auto made =
        encode_companions(study.analysis, sample_context(), demonstration(), study.source(), true);
    REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
    REQUIRE_MESSAGE(!made->left_out, made->left_out->text);
    all.insert(all.end(), made->objects.begin(), made->objects.end());
    std::set<std::string> uids, series;
    for (const auto& object : all) {
        taken_by_others(object, folder, name);
        CHECK(is_legal_uid(object.sop_instance_uid));
        CHECK(uids.insert(object.sop_instance_uid).second);
        series.insert(object.series_uid);
    }
    return all;
}

int count(const std::vector<EncodedObject>& all, const std::string& start) {
    return static_cast<int>(
        std::count_if(all.begin(), all.end(), [&](const auto& o) { return o.kind.starts_with(start); }));
}

struct Rgb8 {
    int width = 0, height = 0;
    std::vector<Uint8> values;
    const Uint8* at(int x, int y) const { return &values[static_cast<std::size_t>(3 * (y * width + x))]; }
};
Rgb8 pixels_of(const EncodedObject& object) {
    const TemporaryFolder folder;
    std::ofstream(folder.path() / "x.dcm", std::ios::binary) << object.bytes;
    DcmFileFormat file;
    REQUIRE(file.loadFile((folder.path() / "x.dcm").c_str()).good());
    Uint16 rows = 0, columns = 0;
    const Uint8* bytes = nullptr;
    unsigned long length = 0;
    file.getDataset()->findAndGetUint16(DCM_Rows, rows);
    file.getDataset()->findAndGetUint16(DCM_Columns, columns);
    REQUIRE(file.getDataset()->findAndGetUint8Array(DCM_PixelData, bytes, &length).good());
    REQUIRE(length >= 3UL * rows * columns);
    return {columns, rows, {bytes, bytes + 3UL * rows * columns}};
}

const EncodedObject& object_of(const std::vector<EncodedObject>& all, const std::string& kind) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto& o) { return o.kind == kind; });
    REQUIRE(found != all.end());
    return *found;
}

}  // namespace

TEST_CASE("every object of the bundle of a GE study and a Philips study is taken by others") {
    if (!fs::exists(data_folder() / "headct")) {
        MESSAGE("skipped: no test data at " << data_folder().string());
        return;
    }
    const TemporaryFolder folder;
    for (const std::string name : {"ge_hispeed_ncct", "philips_ingenuity_phantom/S2010"}) {
        CAPTURE(name);
        FileStudy study(files_of(data_folder() / "headct" / name));
        REQUIRE(study.analysis.slices.size() == 28);
        const std::string short_name = name.substr(0, name.find('_'));
        const auto all = whole_bundle(study, folder.path() / short_name, short_name);
        CHECK(count(all, "sr") == 4);
        CHECK(count(all, "sc-") >= 3);
        CHECK(count(all, "pr-") == count(all, "sc-"));
        CHECK(count(all, "ko") == 1);
    }
}

TEST_CASE("the bundle of a phantom says present and absent and undetermined and all of it is legal") {
    const TemporaryFolder folder;
    FileStudy study(phantom_files(folder, 256));
    auto all = whole_bundle(study, folder.path() / "present", "present");
    CHECK(count(all, "ko") == 1);
    study.nothing_present();
    all = whole_bundle(study, folder.path() / "absent", "absent");
    CHECK(count(all, "sc-") == 1);
    CHECK(count(all, "ko") == 0);
    CHECK(count(all, "pr-") == 0);
    study.undetermined();
    all = whole_bundle(study, folder.path() / "undetermined", "undetermined");
    CHECK(count(all, "sc-") == 1);
    CHECK(count(all, "ko") == 0);
}

TEST_CASE("key slices are the highest of each present finding and then others 10 mm away") {
    auto analysis = sample_analysis(28);  // slices of 5 mm, sources in the middle third
    for (auto& slice : analysis.slices)
        if (slice.scores[0] > 0.5F) slice.scores[0] = 0.6F;
    analysis.slices[12].scores[5] = 0.95F;  // the highest subdural one
    analysis.slices[15].scores[0] = 0.99F;  // the highest of all
    const auto chosen = key_slices(analysis);
    REQUIRE(chosen.size() >= 2);
    CHECK(chosen.size() <= 5);
    CHECK(chosen[0] == 12);
    CHECK(chosen[1] == 15);
    for (std::size_t i = 2; i < chosen.size(); ++i) {
        CHECK(analysis.slices[chosen[i]].scores[0] > 0.5F);
        for (std::size_t k = 0; k < i; ++k)
            CHECK(std::abs(analysis.slices[chosen[i]].z_mm - analysis.slices[chosen[k]].z_mm) >= 10);
    }
    CHECK(key_slices(absent_analysis(28)).empty());
    CHECK(key_slices(undetermined_analysis(28)).empty());
    CHECK(key_slices(sample_analysis(1)).size() == 1);
    // Present without a slice over the threshold: still its highest one.
    auto faint = absent_analysis(20);
    faint.findings[0] = Presence::kPresent;
    faint.slices[7].scores[0] = 0.2F;
    CHECK(key_slices(faint) == std::vector<std::size_t>{7});
    // Six findings in six places: five are shown.
    auto many = sample_analysis(40);
    many.findings.fill(Presence::kPresent);
    for (std::size_t label = 0; label < ml::kLabelCount; ++label)
        many.slices[6 * label].scores[label] = 0.999F;
    CHECK(key_slices(many).size() == 5);
}

TEST_CASE("outside of the heat an overlay shows the slice as it is and its words are bright on black") {
    const TemporaryFolder folder;
    const FileStudy study(phantom_files(folder, 512));
    const auto places = key_slices(study.analysis);
    const auto made =
        encode_companions(study.analysis, sample_context(), demonstration(), study.source(), false);
    REQUIRE(made);
    const Rgb8 picture = pixels_of(object_of(made->objects, "sc-1"));
    const HuImage slice =
        storage::read_hu(study.files.at(study.analysis.slices[places[0]].sop_instance_uid)).value();
    REQUIRE(slice.width == 512);
    std::vector<std::size_t> labels;
    for (std::size_t label = 0; label < ml::kLabelCount; ++label)
        if (study.analysis.findings[label] == Presence::kPresent) labels.push_back(label);
    const ml::Grid heat = ml::joined_heat(demonstration().grad_cam(slice, labels).value());
    const auto colours = ml::heat_picture(slice, heat, 1, 512, 512, ml::quiet_opacity);
    const auto outline = ml::hottest_outline(slice, heat, 0.6);
    REQUIRE(outline.size() > 10);
    constexpr int kLeft = 26, kTop = 26;
    int hot = 0, plain = 0, wrong = 0, near = 0;
    for (int y = 0; y < 512; ++y)
        for (int x = 0; x < 512; ++x) {
            const bool by_line = std::any_of(outline.begin(), outline.end(), [&](const auto& p) {
                return std::hypot(p.first - x, p.second - y) < 6;
            });
            if (by_line) {
                ++near;
                continue;
            }
            const std::size_t place = static_cast<std::size_t>(512 * y + x);
            const Uint8* shown = picture.at(kLeft + x, kTop + y);
            const double grey = std::clamp(static_cast<double>(slice.hu[place]) / 80, 0.0, 1.0) * 255;
            if ((colours.pixels[place] >> 24) == 0) {
                ++plain;
                if (std::abs(shown[0] - grey) > 1 || shown[0] != shown[1] || shown[1] != shown[2]) ++wrong;
            } else if ((colours.pixels[place] >> 24) > 60) {
                ++hot;
                if (shown[0] <= shown[2]) ++wrong;
            }
        }
    CHECK(wrong == 0);
    CHECK(hot > 1000);
    CHECK(plain > 50000);
    CHECK(near > 100);
    // The legend: mostly black, with much that is bright.
    int black = 0, bright = 0, all = 0;
    for (int y = 0; y < picture.height; ++y)
        for (int x = kLeft + 512 + 30; x < picture.width; ++x) {
            const Uint8* p = picture.at(x, y);
            const int light = std::max({p[0], p[1], p[2]});
            ++all;
            if (light == 0) ++black;
            if (light > 170) ++bright;
        }
    CHECK(black > all / 2);
    CHECK(bright > all / 60);
}

TEST_CASE("the same study gives the same bytes of every object") {
    const TemporaryFolder folder;
    const FileStudy study(phantom_files(folder, 128));
    const auto once =
        encode_companions(study.analysis, sample_context(), demonstration(), study.source(), true);
    const auto again =
        encode_companions(study.analysis, sample_context(), demonstration(), study.source(), true);
    REQUIRE(once);
    REQUIRE(again);
    REQUIRE(once->objects.size() == again->objects.size());
    for (std::size_t i = 0; i < once->objects.size(); ++i)
        CHECK(once->objects[i].bytes == again->objects[i].bytes);
    auto context = sample_context();
    context.revision = 2;
    const auto next = encode_companions(study.analysis, context, demonstration(), study.source(), true);
    REQUIRE(next);
    for (std::size_t i = 0; i < once->objects.size(); ++i) {
        CHECK(next->objects[i].sop_instance_uid != once->objects[i].sop_instance_uid);
        CHECK(next->objects[i].series_uid == once->objects[i].series_uid);
    }
}

TEST_CASE("a picture that cannot be made is a reason and key objects stay") {
    const TemporaryFolder folder;
    const FileStudy study(phantom_files(folder, 128));
    auto source = study.source();
    source.pixels = [](const fs::path&) -> Result<HuImage> { return fail(Code::kUnsupported, "no decoder"); };
    auto made = encode_companions(study.analysis, sample_context(), demonstration(), source, true);
    REQUIRE(made);
    REQUIRE(made->left_out);
    CHECK(made->left_out->code == "OVERLAYS_LEFT_OUT");
    CHECK(made->left_out->text.find("no decoder") != std::string::npos);
    REQUIRE(made->objects.size() == 1);
    CHECK(made->objects[0].kind == "ko");
    source.pixels = [](const fs::path&) -> Result<HuImage> { throw std::bad_alloc(); };
    made = encode_companions(study.analysis, sample_context(), demonstration(), source, true);
    REQUIRE(made);
    CHECK(made->left_out);
    // A file of another patient under the name of a slice.
    source = study.source();
    const TemporaryFolder other;
    source.file = [&](const AnalysedSlice&) {
        const fs::path copy = other.path() / "x.dcm";
        fs::copy_file(study.files.begin()->second, copy, fs::copy_options::overwrite_existing);
        run({"dcmodify", "-nb", "-m", "(0010,0020)=SOMEBODY", copy.string()});
        return copy;
    };
    made = encode_companions(study.analysis, sample_context(), demonstration(), source, true);
    REQUIRE(made);
    REQUIRE(made->left_out);
    CHECK(made->left_out->text.find("is not slice") != std::string::npos);
}

TEST_CASE("auto is the richest report class that a destination is known to take") {
    config::Destination destination;
    const auto chosen = [&](const std::map<std::string, bool>& taken) {
        return with_sr_class(destination, taken).bundle.sr;
    };
    const std::string family = "1.2.840.10008.5.1.4.1.1.88.";
    CHECK(chosen({{family + "34", false}, {family + "11", true}}) == "comprehensive3d");  // not on auto
    destination.bundle.sr = "auto";
    CHECK(chosen({}) == "comprehensive3d");
    CHECK(chosen({{family + "34", false}}) == "comprehensive3d");
    CHECK(chosen({{family + "34", false}, {family + "33", true}, {family + "22", true}}) == "comprehensive");
    CHECK(chosen({{family + "22", true}, {family + "11", true}}) == "enhanced");
    CHECK(chosen({{family + "34", false}, {family + "11", true}}) == "basic_text");
    CHECK(chosen({{family + "34", true}, {family + "11", true}}) == "comprehensive3d");
}

TEST_CASE("a destination gets what its settings say") {
    config::Destination destination;
    const auto gets = [&](std::initializer_list<const char*> kinds) {
        for (const std::string kind :
             {"sr", "sr-comprehensive", "sr-enhanced", "sr-basic", "sc-1", "sc-5", "ko", "pr-1"}) {
            CAPTURE(kind);
            CHECK(wants(destination, kind) == (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()));
        }
    };
    gets({"sr", "sc-1", "sc-5", "ko"});
    destination.bundle.sr = "basic_text";
    destination.bundle.overlays = false;
    gets({"sr-basic", "ko"});
    destination.bundle = {"none", true, false, true};
    gets({"sc-1", "sc-5", "pr-1"});
    destination.bundle = {"enhanced", false, false, false};
    gets({"sr-enhanced"});
    destination.bundle.sr = "comprehensive";
    gets({"sr-comprehensive"});
    CHECK(delivery_rank("sr-basic") == 0);
    CHECK(delivery_rank("sc-3") == 1);
    CHECK(delivery_rank("ko") == 2);
    CHECK(delivery_rank("pr-2") == 3);
}

TEST_CASE("what the bundle of 40 slices costs") {
    const TemporaryFolder folder;
    const FileStudy study(phantom_files(folder, 512, 40));
    REQUIRE(study.analysis.slices.size() == 40);
    const auto ms = [](auto&& body) {
        double best = 1e9;
        for (int i = 0; i < 5; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            body();
            const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
            best = std::min(best, took.count());
        }
        return best;
    };
    std::size_t bytes = 0, objects = 0;
    const double sr = ms([&] { REQUIRE(encode_report(study.analysis, sample_context())); });
    const double rest = ms([&] {
        const auto made =
            encode_companions(study.analysis, sample_context(), demonstration(), study.source(), false);
        REQUIRE(made);
        bytes = 0;
        objects = made->objects.size();
        for (const auto& object : made->objects) bytes += object.bytes.size();
    });
    MESSAGE("40 slices of 512 pixels: report ", sr, " ms; ", objects, " more objects ", rest, " ms, ",
            bytes / 1000, " kB");
    CHECK(rest < 20000);
}

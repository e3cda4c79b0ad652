#include "workflows/slice_choice.h"

#include <fstream>

#include "tests/unit/workflows/loop_fixture.h"

using namespace scopenode;
using test::SmallStudy;
namespace fs = std::filesystem;

namespace {

struct Search {
    TemporaryFolder folder;
    test::FakeModel model;
    SmallStudy study;
    fs::path in = folder.path() / "in";

    void write(int slices) {
        for (int i = 0; i < slices; ++i)
            test::write_bytes(in / ("s" + std::to_string(100 + i) + ".dcm"), study.slice(i).value());
    }
    Result<workflows::ChosenSlice> choose(const fs::path& where, const std::string& wanted = "") {
        return workflows::choose_slice(
            {where, wanted, 8, [&] {
                 return Result<std::shared_ptr<const ml::Model>>(
                     std::shared_ptr<const ml::Model>(&model, [](const ml::Model*) {}));
             }});
    }
};

}  // namespace

TEST_CASE("Of a folder the slice with the highest probability is chosen and says why") {
    Search search;
    search.write(12);
    // Grey values grow by 10 HU a slice: the fake model finds slices 11 on.
    const auto chosen = search.choose(search.in);
    REQUIRE(chosen);
    CHECK(chosen->name() == search.study.sop_instance_uid(11));
    CHECK(chosen->reason == "the highest probability of any hemorrhage (0.900) of 12 slices");
    CHECK(chosen->image.width == 64);
    CHECK(search.model.slices_seen == 12);
}

TEST_CASE("A slice is found by its UID and by its file without scoring") {
    Search search;
    search.write(3);
    const std::string uid = search.study.sop_instance_uid(1);
    for (const std::string& wanted : {uid, std::string("s101.dcm"), (search.in / "s101.dcm").string()}) {
        const auto chosen = search.choose(search.in, wanted);
        REQUIRE_MESSAGE(chosen, wanted);
        CHECK(chosen->name() == uid);
    }
    const auto file = search.choose(search.in / "s102.dcm");
    REQUIRE(file);
    CHECK(file->name() == search.study.sop_instance_uid(2));
    CHECK(search.choose(search.in, "2.25.9").error().code == Code::kNotFound);
    CHECK(search.choose(search.in / "s102.dcm", uid).error().code == Code::kNotFound);
    CHECK(search.model.slices_seen == 0);
}

TEST_CASE("What cannot be explained is refused in one sentence") {
    Search search;
    search.write(1);
    CHECK(search.choose(search.in / "absent").error().code == Code::kNotFound);
    test::write_bytes(search.in / "notes.txt", "no DICOM at all, only words");
    const auto text = search.choose(search.in / "notes.txt");
    CHECK(text.error().code == Code::kCannotUnderstand);
    CHECK(text.error().message.find("cannot be read as DICOM") != std::string::npos);
    fs::create_directories(search.folder.path() / "empty");
    const auto empty = search.choose(search.folder.path() / "empty");
    CHECK(empty.error().code == Code::kNotFound);
    CHECK(empty.error().message.find("no CT slice") != std::string::npos);
    // Cut off before its pixels.
    const std::string whole = search.study.slice(0).value();
    test::write_bytes(search.in / "cut.dcm", whole.substr(0, whole.size() - 64 * 64));
    CHECK(!search.choose(search.in / "cut.dcm"));
    search.model.failing = true;
    search.write(2);
    CHECK(search.choose(search.in).error().code == Code::kOutOfResources);
}

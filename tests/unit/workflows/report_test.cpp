#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "tests/support/data.h"
#include "tests/support/programs.h"
#include "tests/unit/workflows/report_fixture.h"

using namespace scopenode;
using namespace scopenode::test;
using namespace scopenode::workflows;
namespace fs = std::filesystem;

namespace {

/// Encodes and writes to a file; the programs of others must take it.
fs::path written(const TemporaryFolder& folder, const StudyAnalysis& analysis, const ReportContext& context) {
    const auto object = encode_report(analysis, context);
    INFO((object ? "" : object.error().message));
    REQUIRE(object);
    const fs::path path = folder.path() / "report.dcm";
    std::ofstream(path, std::ios::binary) << object->bytes;
    return path;
}

void taken_by_others(const fs::path& path) {
    const auto [status, verdict] = run({"dciodvfy", path.string()});
    CAPTURE(verdict);
    CHECK(status == 0);
    CHECK(verdict.find("Error") == std::string::npos);
    const auto [dumped, dump] = run({"dsrdump", path.string()});
    CAPTURE(dump);
    CHECK(dumped == 0);
    CHECK(dump.find("E: ") == std::string::npos);
    CHECK(run({"dsr2html", path.string(), path.string() + ".html"}).rc == 0);
}

std::string dump_of(const fs::path& path) {
    return run({"dcmdump", "+L", path.string()}).output;
}

}  // namespace

TEST_CASE("a report is read back as it was meant") {
    const TemporaryFolder folder;
    const auto analysis = sample_analysis(28);
    const auto path = written(folder, analysis, sample_context());
    taken_by_others(path);
    const auto report = read_report(path);
    REQUIRE(report);
    CHECK(report->study_uid == analysis.header.study_uid);
    CHECK(report->patient_id == "P-4711");
    CHECK(report->completion == "COMPLETE");
    CHECK(report->verification == "UNVERIFIED");
    CHECK(report->preliminary == "PRELIMINARY");
    CHECK(report->algorithm_name == "Scopeformer test");
    CHECK(report->algorithm_version == "7");
    CHECK(report->manifest_sha256 == analysis.manifest_sha256);
    CHECK(report->predecessor_sop_instance_uid.empty());
    REQUIRE(report->findings.size() == ml::kLabelCount);
    for (std::size_t i = 0; i < ml::kLabelCount; ++i) {
        const auto& finding = report->findings[i];
        CHECK(finding.label == ml::kLabels[i]);
        CHECK(finding.presence == analysis.findings[i]);
        CHECK(std::abs(finding.probability.value() - double(analysis.probabilities[i])) <= 0.00005001);
        CHECK(finding.threshold.value() == doctest::Approx(analysis.manifest.thresholds[i]));
        CHECK(finding.tracking_identifier.find(std::string(word(finding.presence))) != std::string::npos);
    }
    std::vector<std::string> over, all;
    for (const auto& slice : analysis.slices) {
        all.push_back(slice.sop_instance_uid);
        if (slice.scores[5] >= 0.45f) over.push_back(slice.sop_instance_uid);
    }
    CHECK(over.size() > 5);
    CHECK(report->findings[0].source_slices == over);
    CHECK(report->findings[5].source_slices == over);
    CHECK(report->findings[1].source_slices.empty());
    CHECK(report->evidence == all);
    CHECK(report->conclusion.find("Suspected: intracranial hemorrhage (probability 0.9123") !=
          std::string::npos);
    CHECK(report->conclusion.find("DEMONSTRATION") == std::string::npos);
    CHECK(report->intended_use.find("not a diagnosis") != std::string::npos);
    CHECK(report_in_words(*report).find("0.8765") != std::string::npos);
}

TEST_CASE("the header of a report holds identity and times from records") {
    const TemporaryFolder folder;
    ReportContext context = sample_context();
    const auto analysis = sample_analysis(9);
    const std::string dump = dump_of(written(folder, analysis, context));
    const auto holds = [&](const std::string& text) {
        CAPTURE(text);
        CHECK(dump.find(text) != std::string::npos);
    };
    for (const char* text :
         {"(0010,0010) PN [Doe^Jane]", "(0010,0020) LO [P-4711]", "(0008,0050) SH [A123]",
          "(0020,0010) SH [S1]", "(0008,0020) DA [20261125]", "(0008,0030) TM [081500]",
          "(0010,0030) DA [19500102]", "(0010,0040) CS [F]", "(0008,0090) PN [House^Gregory]",
          "(0008,1030) LO [CT HEAD]", "(0020,0011) IS [9001]", "(0008,0005) CS [ISO_IR 192]",
          "(0008,0023) DA [20261125]", "(0008,0033) TM [091500.123000]",
          "(0008,103e) LO [ScopeNode ICH findings]", "(0008,0102) SH [99SCOPENODE]", "[109102]"})
        holds(text);
    CHECK(dump.find("(0008,0201)") == std::string::npos);
    holds("(0018,1002) UI [" + uid_from_text("scopenode model|" + analysis.manifest_sha256));

    context.write_timezone_offset = true;
    CHECK(dump_of(written(folder, analysis, context)).find("(0008,0201) SH [+0100]") != std::string::npos);
    auto abroad = analysis;
    abroad.header.timezone_offset = "-0530";
    const std::string other = dump_of(written(folder, abroad, context));
    CHECK(other.find("(0008,0201) SH [-0530]") != std::string::npos);
    CHECK(other.find("(0008,0033) TM [024500.123000]") != std::string::npos);
}

TEST_CASE("a hemorrhage of which no type reaches its threshold is said to be open") {
    const TemporaryFolder folder;
    auto analysis = sample_analysis(28);
    auto report = read_report(written(folder, analysis, sample_context()));
    REQUIRE(report);
    CHECK(report->conclusion.find("the type is open") == std::string::npos);
    analysis.findings.fill(Presence::kAbsent);
    analysis.findings[0] = Presence::kPresent;
    analysis.probabilities[5] = 0.01f;
    report = read_report(written(folder, analysis, sample_context()));
    REQUIRE(report);
    CHECK(report->conclusion.find("the type is open") != std::string::npos);
}

TEST_CASE("absent and undetermined are said and never mixed up") {
    const TemporaryFolder folder;
    auto path = written(folder, absent_analysis(28), sample_context());
    taken_by_others(path);
    auto report = read_report(path);
    REQUIRE(report);
    REQUIRE(report->findings.size() == ml::kLabelCount);
    for (const auto& finding : report->findings) {
        CHECK(finding.presence == Presence::kAbsent);
        CHECK(finding.probability.has_value());
        CHECK(finding.tracking_identifier.find("absent") != std::string::npos);
    }
    CHECK(report->conclusion.find("No finding reached its threshold") != std::string::npos);

    auto with_remark = absent_analysis(28);
    with_remark.reasons = {
        {"DUPLICATE_POSITION", "Another lies there. 2 of 30 images of the series left out."}};
    path = written(folder, with_remark, sample_context());
    taken_by_others(path);
    report = read_report(path);
    REQUIRE(report);
    CHECK(report->reasons == std::vector<std::string>{"DUPLICATE_POSITION: " + with_remark.reasons[0].text});
    CHECK(report->findings[0].presence == Presence::kAbsent);

    path = written(folder, undetermined_analysis(4), sample_context());
    taken_by_others(path);
    report = read_report(path);
    REQUIRE(report);
    REQUIRE(report->findings.size() == ml::kLabelCount);
    for (const auto& finding : report->findings) {
        CHECK(finding.presence == Presence::kUndetermined);
        CHECK_FALSE(finding.probability.has_value());
        CHECK(finding.source_slices.empty());
    }
    CHECK(report->evidence.size() == 4);
    REQUIRE(report->reasons.size() == 1);
    CHECK(report->reasons[0].rfind("TOO_FEW_SLICES", 0) == 0);
    CHECK(report->conclusion.find("all six findings are undetermined") != std::string::npos);
}

TEST_CASE("a probability that is not a number is undetermined and never 0") {
    const TemporaryFolder folder;
    auto analysis = absent_analysis(9);
    analysis.probabilities[2] = std::numeric_limits<float>::quiet_NaN();
    analysis.slices[3].scores[0] = std::numeric_limits<float>::quiet_NaN();
    const auto path = written(folder, analysis, sample_context());
    taken_by_others(path);
    const auto report = read_report(path);
    REQUIRE(report);
    CHECK(report->findings[2].presence == Presence::kUndetermined);
    CHECK_FALSE(report->findings[2].probability.has_value());
    CHECK(report->findings[1].presence == Presence::kAbsent);
    CHECK(dump_of(path).find("[114000]") != std::string::npos);
}

TEST_CASE("revision 2 names revision 1 and keeps its tracking UIDs") {
    const TemporaryFolder folder;
    auto context = sample_context();
    const auto first = encode_report(sample_analysis(9), context);
    REQUIRE(first);
    const auto before = read_report(written(folder, sample_analysis(9), context));
    context.revision = 2;
    context.predecessor_sop_instance_uid = first->sop_instance_uid;
    context.predecessor_sop_class_uid = first->sop_class_uid;
    const auto path = written(folder, sample_analysis(12), context);
    taken_by_others(path);
    const auto report = read_report(path);
    REQUIRE(report);
    REQUIRE(before);
    CHECK(report->predecessor_sop_instance_uid == first->sop_instance_uid);
    CHECK(report->sop_instance_uid != first->sop_instance_uid);
    for (std::size_t i = 0; i < ml::kLabelCount; ++i)
        CHECK(report->findings[i].tracking_uid == before->findings[i].tracking_uid);
}

TEST_CASE("the demonstration model says so") {
    const TemporaryFolder folder;
    auto analysis = sample_analysis(9);
    analysis.manifest.demonstration = true;
    const auto path = written(folder, analysis, sample_context());
    taken_by_others(path);
    const auto report = read_report(path);
    REQUIRE(report);
    CHECK(report->series_description == "DEMONSTRATION ScopeNode ICH findings - not for patients");
    CHECK(report->conclusion.rfind("DEMONSTRATION, not for patients", 0) == 0);
}

TEST_CASE("one slice and 300 slices and names and texts of every kind") {
    const TemporaryFolder folder;
    for (const int count : {1, 300}) {
        const auto path = written(folder, sample_analysis(count), sample_context());
        taken_by_others(path);
        const auto report = read_report(path);
        REQUIRE(report);
        CHECK(report->evidence.size() == static_cast<std::size_t>(count));
    }
    for (const std::string name : {"Müller^Jörg", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", ""}) {
        auto analysis = sample_analysis(9);
        analysis.header.patient_name = name;
        const auto path = written(folder, analysis, sample_context());
        taken_by_others(path);
        const auto report = read_report(path);
        REQUIRE(report);
        CHECK(report->patient_name == name);
    }
    auto analysis = sample_analysis(9);
    for (int i = 0; i < 100; ++i) analysis.header.study_description += "ü\\";
    analysis.manifest.name = std::string(200, 'M');
    analysis.header.birth_date = "1950.01.02";
    analysis.header.study_time = "08:15";
    analysis.header.sex = "?";
    taken_by_others(written(folder, analysis, sample_context()));
}

TEST_CASE("the same input gives the same bytes whenever it is encoded") {
    const auto first = encode_report(sample_analysis(28), sample_context());
    REQUIRE(first);
    const auto start = std::chrono::system_clock::now();
    // Nothing may hang on the second of the clock.
    const auto second_of = [](auto time) { return std::chrono::floor<std::chrono::seconds>(time); };
    Result<EncodedObject> again = encode_report(sample_analysis(28), sample_context());
    while (second_of(std::chrono::system_clock::now()) == second_of(start)) {
        again = encode_report(sample_analysis(28), sample_context());
        REQUIRE(again);
    }
    again = encode_report(sample_analysis(28), sample_context());
    REQUIRE(again);
    CHECK(first->bytes == again->bytes);

    auto other = sample_context();
    other.node_uid = uid_from_text("another node");
    CHECK(encode_report(sample_analysis(28), other)->sop_instance_uid != first->sop_instance_uid);
    auto model = sample_analysis(28);
    model.manifest_sha256 = sha256_hex("another model");
    CHECK(encode_report(model, sample_context())->sop_instance_uid != first->sop_instance_uid);
    CHECK(is_legal_uid(first->sop_instance_uid));
}

TEST_CASE("encoding costs little") {
    const auto analysis = sample_analysis(40);
    REQUIRE(encode_report(analysis, sample_context()));
    constexpr int kRounds = 20;
    double best_ms = 1e9;
    std::size_t bytes = 0;
    for (int i = 0; i < kRounds; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const auto object = encode_report(analysis, sample_context());
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        REQUIRE(object);
        bytes = object->bytes.size();
        best_ms = std::min(best_ms, took.count());
    }
    MESSAGE("report of 40 slices: ", best_ms, " ms, ", bytes, " bytes");
    // Generous: sanitizers and a busy machine.
    CHECK(best_ms < 500);
}

TEST_CASE("a report of the wrong study is refused") {
    auto analysis = sample_analysis(9);
    analysis.header.series_uid = uid_from_text("another series");
    CHECK(encode_report(analysis, sample_context()).error().code == Code::kIdentityMismatch);
    analysis = sample_analysis(9);
    analysis.header.study_uid = "1.02";
    CHECK(encode_report(analysis, sample_context()).error().code == Code::kInvalidArgument);
    analysis = sample_analysis(9);
    analysis.slices.clear();
    CHECK(encode_report(analysis, sample_context()).error().code == Code::kInvalidArgument);
    // Without slices it has to say why, and name an image.
    analysis = undetermined_analysis(9);
    analysis.slices.clear();
    CHECK(encode_report(analysis, sample_context()).error().message.find("illegal UID") != std::string::npos);
    analysis.header.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2";
    analysis.header.sop_instance_uid = uid_from_text("image");
    CHECK(encode_report(analysis, sample_context()));
    analysis.reasons.clear();
    CHECK(encode_report(analysis, sample_context()).error().code == Code::kInvalidArgument);
}

TEST_CASE("foreign files are read or refused in peace") {
    const TemporaryFolder folder;
    CHECK(read_report(folder.path() / "none.dcm").error().code == Code::kNotFound);
    std::ofstream(folder.path() / "text.dcm") << "this is no DICOM file at all";
    CHECK_FALSE(read_report(folder.path() / "text.dcm"));
    const fs::path zoo = data_folder() / "zoo";
    if (!fs::exists(zoo)) return;
    int reports = 0;
    for (const auto& file : fs::recursive_directory_iterator(zoo)) {
        const std::string name = file.path().filename().string();
        if (name.find("SR") == std::string::npos && name.find("sr") == std::string::npos &&
            name.find("reportsi") == std::string::npos)
            continue;
        if (!file.is_regular_file() || file.path().extension() != ".dcm") continue;
        const auto report = read_report(file.path());
        if (!report) continue;
        ++reports;
        CHECK_FALSE(report_in_words(*report).empty());
    }
    CHECK(reports > 0);
}

TEST_CASE("a tree deeper than any report is refused") {
    const TemporaryFolder folder;
    const auto object = encode_report(sample_analysis(1), sample_context());
    REQUIRE(object);
    // A content sequence of undefined length in another and another: 60 levels appended to a bare report.
    std::string deep;
    const auto text = [](const auto& bytes) { return std::string(bytes, sizeof bytes - 1); };
    for (int i = 0; i < 60; ++i)
        deep += text("\x40\x00\x30\xa7SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff");
    for (int i = 0; i < 60; ++i)
        deep += text("\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00");
    const std::size_t content = object->bytes.find(text("\x40\x00\x30\xa7SQ"));
    REQUIRE(content != std::string::npos);
    std::ofstream(folder.path() / "deep.dcm", std::ios::binary) << object->bytes.substr(0, content) << deep;
    const auto report = read_report(folder.path() / "deep.dcm");
    REQUIRE_FALSE(report);
    CHECK(report.error().message.find("nested deeper") != std::string::npos);
}

TEST_CASE("the data dictionary is there") {
    CHECK(storage::dictionary_is_loaded());
}

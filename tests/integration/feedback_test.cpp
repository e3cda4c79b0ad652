#include <doctest/doctest.h>

#include "base/core/files.h"
#include "tests/support/node.h"
#include "tests/support/orthanc.h"
#include "tests/support/workstation.h"
#include "workflows/results/report.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// A node with its PACS and one study that has been reported.
struct Reported {
    TemporaryFolder folder;
    Orthanc pacs{folder.path() / "pacs"};
    Node node{folder.path() / "node", 300, pacs.as_destination()};
    std::string study_uid;
    fs::path report;
    std::string report_uid;

    Reported() {
        node.start();
        const auto phantom = make_phantoms(folder.path() / "phantom", 1, 12, 21).at(0);
        study_uid = phantom.study_uid;
        node.receive(phantom.slices);
        REQUIRE(node.command({"studies", "complete", study_uid}).rc == 0);
        const bool came = eventually(
            [&] { return pacs.reports(study_uid).size() == 1 && node.state_of(study_uid) == "done"; });
        REQUIRE_MESSAGE(came, node.log());
        report = pacs.fetch_reports(folder.path() / "fetched", study_uid).at(0);
        report_uid = sop_of(report).second;
    }
    fs::path file(const char* name) const { return folder.path() / name; }
    void send(const fs::path& path) const { REQUIRE(node.storescu({path}, {"-R"}).rc == 0); }
    json feedback() const { return node.ask({"feedback", "list"}).at("feedback"); }
    /// Waits for the number of records.
    json records(std::size_t count) const {
        const bool there = eventually([&] { return feedback().size() == count; });
        REQUIRE_MESSAGE(there, node.log());
        return feedback();
    }
    std::vector<std::string> own_remarks() const {
        std::vector<std::string> texts;
        const json why = node.ask({"studies", "why", study_uid});
        for (const auto& one : why["remarks"])
            if (one["kind"] == "OWN_RESULT") texts.push_back(one["text"]);
        return texts;
    }
    /// What must not change by whatever comes back.
    json standing() const {
        json shown = node.ask({"studies", "show", study_uid});
        const json why = node.ask({"studies", "why", study_uid});
        return {shown["state"],        shown["revision"],  shown["findings"], shown["deliveries"].size(),
                why["results"].size(), why["jobs"].size(), why["due"]};
    }
};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    REQUIRE(text.find(from) != std::string::npos);
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
}

std::string between(const std::string& text, const std::string& before, const std::string& after) {
    const std::size_t begin = text.find(before) + before.size();
    return text.substr(begin, text.find(after, begin) - begin);
}

}  // namespace

TEST_CASE("a report from the PACS that is amended and sent back by storescu is a feedback record") {
    REQUIRE(Orthanc::installed());
    Reported at;
    const json before = at.standing();
    Reading reading;
    reading.observer = reading.verifier = "Reader^Rita";
    reading.organization = reading.verifying_organization = "City Hospital";
    reading.verified_at = "20261125101112";
    const json was = at.node.ask({"studies", "show", at.study_uid})["findings"];
    reading.presence[5] = was["subdural"] == "present" ? kAbsent : kPresent;
    reading.comment = "seen on three slices";
    reading.comment_at = 5;
    const std::string uid = read_at_workstation(at.report, at.file("amended.dcm"), reading);
    at.send(at.file("amended.dcm"));
    const json record = at.records(1)[0];
    CHECK(record["state"] == "complete");
    CHECK(record["kind"] == "correction");
    CHECK(record["sop_instance_uid"] == uid);
    CHECK(record["answers"]["sop_instance_uid"] == at.report_uid);
    CHECK(record["findings"]["subdural"]["was"] == was["subdural"]);
    CHECK(record["findings"]["subdural"]["answer"] == "changed");
    CHECK(record["comments"][0]["text"] == reading.comment);

    // The same again, a restart, and the commands for people.
    at.send(at.file("amended.dcm"));
    CHECK(at.node.stop() == 0);
    at.node.start();
    CHECK(at.feedback().size() == 1);
    CHECK(at.feedback()[0] == record);
    const auto shown = at.node.command({"feedback", "show", uid});
    CHECK(shown.rc == 0);
    CHECK(shown.output.find("Reader^Rita") != std::string::npos);
    CHECK(shown.output.find("seen on three slices") != std::string::npos);
    CHECK(at.node.ask({"feedback", "show", "1"})["document"]["evidence"].size() == 12);
    CHECK(at.node.ask({"feedback", "list", "--state", "pending"})["feedback"].empty());
    CHECK(at.node.ask({"feedback", "list", "--study", at.study_uid})["feedback"].size() == 1);
    CHECK(at.node.command({"feedback", "list"}).output.find("correction") != std::string::npos);
    CHECK(at.node.command({"feedback", "show", "77"}).rc == 1);
    CHECK(at.node.command({"feedback", "list", "--state", "lost"}).rc == 2);
    CHECK(at.standing() == before);
    CHECK(at.node.stop() == 0);
}

TEST_CASE("a report that is edited as XML by dsr2xml and xml2dsr is understood") {
    REQUIRE(Orthanc::installed());
    Reported at;
    REQUIRE(run({"dsr2xml", at.report.string(), at.file("report.xml").string()}).rc == 0);
    std::string xml = read_file(at.file("report.xml")).value();
    const std::string instance = "<instance uid=\"" + at.report_uid + "\">\n<number>";
    const std::string series = between(xml, "<series uid=\"", "\">\n<number>");
    const std::string series_uid = series.substr(series.rfind('"') + 1);
    replace_all(xml, instance, "<instance uid=\"2.25.7788\">\n<number>");
    // A radiologist who finds every finding undetermined.
    replace_all(xml, "<value>272519000</value>", "<value>373068000</value>");
    replace_all(xml, "<verification flag=\"UNVERIFIED\">\n</verification>",
                "<verification flag=\"VERIFIED\"><observer pos=\"1\"><datetime>2026-11-25T10:11:12</datetime>"
                "<name><first>Jörg</first><last>Müller</last></name><code><value>R-17</value>"
                "<scheme><designator>99HOSPITAL</designator></scheme><meaning>Radiologist</meaning></code>"
                "<organization>City Hospital</organization></observer></verification>"
                "<predecessor><study uid=\"" +
                    at.study_uid + "\"><series uid=\"" + series_uid +
                    "\"><value><sopclass uid=\"1.2.840.10008.5.1.4.1.1.88.34\"/><instance uid=\"" +
                    at.report_uid + "\"/></value></series></study></predecessor>");
    REQUIRE(write_file(real_files(), at.file("edited.xml"), xml));
    const auto made = run({"xml2dsr", at.file("edited.xml").string(), at.file("edited.dcm").string()});
    REQUIRE_MESSAGE(made.rc == 0, made.output);
    at.send(at.file("edited.dcm"));
    const json record = at.records(1)[0];
    CHECK(record["state"] == "complete");
    CHECK(record["reader"] == "Müller^Jörg");
    CHECK(record["read_at"] == "2026-11-25T10:11:12.000Z");
    CHECK(record["answers"]["found_by"] == "predecessor");
    const json was = at.node.ask({"studies", "show", at.study_uid})["findings"];
    for (const auto& [label, one] : record["findings"].items()) {
        INFO(label);
        CHECK(one["was"] == was[label]);
        CHECK(one["presence"] == (was[label] == "absent" ? json("undetermined") : was[label]));
    }
    CHECK(record["comments"].empty());
    CHECK(at.node.ask({"feedback", "show", "2.25.7788"})["document"]["people"][0]["identification"]["code"] ==
          "R-17");
    CHECK(at.node.stop() == 0);
}

TEST_CASE("own reports that come back from the PACS change nothing but the remark") {
    REQUIRE(Orthanc::installed());
    Reported at;
    const json before = at.standing();
    at.pacs.send_instance(at.pacs.reports(at.study_uid).at(0), at.node.dimse_port());
    REQUIRE(eventually([&] { return at.own_remarks().size() == 1; }));
    CHECK(at.own_remarks()[0] == "own result came back (as it was)");

    fs::copy_file(at.report, at.file("coerced.dcm"));
    REQUIRE(run({"dcmodify", "-nb", "-m", "PatientName=DOE^JANET", "-m", "PatientID=COERCED-1", "-i",
                 "(0009,0010)=ANOTHER PACS", at.file("coerced.dcm").string()})
                .rc == 0);
    at.send(at.file("coerced.dcm"));
    REQUIRE(eventually([&] { return at.own_remarks().size() == 2; }));
    CHECK(at.own_remarks()[1] ==
          "own result came back (coerced: patient name, patient ID, private elements)");

    fs::copy_file(at.report, at.file("renamed.dcm"));
    REQUIRE(run({"dcmodify", "-nb", "-gin", at.file("renamed.dcm").string()}).rc == 0);
    at.send(at.file("renamed.dcm"));
    REQUIRE(eventually([&] { return at.own_remarks().size() == 3; }));
    CHECK(at.own_remarks()[2] == "own result came back under another SOP Instance UID");

    CHECK(at.standing() == before);
    CHECK(at.feedback().empty());
    CHECK(at.node.http("/metrics").second.find("scopenode_objects_total{outcome=\"conflict\"} 0") !=
          std::string::npos);
    CHECK(at.pacs.reports(at.study_uid).size() == 1);
    CHECK(at.node.command({"studies", "why", at.study_uid}).output.find("own result came back") !=
          std::string::npos);
    CHECK(at.node.command({"archive", "verify"}).rc == 0);
    CHECK(at.node.stop() == 0);
}

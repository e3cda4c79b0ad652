#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "tests/support/workstation.h"
#include "tests/unit/workflows/loop_fixture.h"
#include "workflows/feedback/feedback.h"

namespace scopenode::test {

/// A node that has reported on a study with a bleeding, and people who answer.
struct Hospital : Loop {
    SmallStudy study;
    std::filesystem::path report;  ///< the node's own file
    std::string report_uid;

    explicit Hospital(bool with_report = true) {
        if (with_report) make_report();
    }
    void make_report() {
        receive(study, 0, 12);
        quiet();
        REQUIRE(work_once());
        report = folder.path() / show(study.study_uid)["files"]["sr"].get<std::string>();
        report_uid = sop_of(report).second;
    }
    std::filesystem::path file(const std::string& name) const { return folder.path() / (name + ".dcm"); }
    std::string read_as(const std::string& name, const Reading& reading, const std::filesystem::path& from) {
        return read_at_workstation(from, file(name), reading);
    }
    std::string read_as(const std::string& name, const Reading& reading) {
        return read_as(name, reading, report);
    }
    /// C-STORE without its network, and what intake makes of it.
    storage::StoreOutcome send(const std::filesystem::path& path) {
        const auto bytes = read_file(path);
        REQUIRE(bytes);
        const auto [sop_class, instance] = sop_of(path);
        auto staged = archive->stage();
        REQUIRE(staged);
        REQUIRE(staged->append(*bytes));
        const auto stored = archive->store(
            std::move(*staged), {"WORKSTATION", "127.0.0.1", sop_class, instance, "1.2.840.10008.1.2.1", ""});
        REQUIRE_MESSAGE(stored, (stored ? "" : stored.error().message));
        pass();
        return *stored;
    }
    storage::StoreOutcome send(const char* name) { return send(file(name)); }
    nlohmann::json feedback() {
        const auto text = workflows::feedback_list(*index, {}, true);
        REQUIRE_MESSAGE(text, (text ? "" : text.error().message));
        return nlohmann::json::parse(*text).at("feedback");
    }
    /// The record of one document with everything that was read.
    nlohmann::json shown(const std::string& sop_instance_uid) {
        const auto text = workflows::feedback_show(*index, sop_instance_uid, true);
        REQUIRE_MESSAGE(text, (text ? "" : text.error().message));
        return nlohmann::json::parse(*text);
    }
    /// Texts of the study's remarks of a kind.
    std::vector<std::string> remarks(const std::string& kind) {
        std::vector<std::string> texts;
        const nlohmann::json story = why(study.study_uid);
        for (const auto& one : story["remarks"])
            if (one["kind"] == kind) texts.push_back(one["text"]);
        return texts;
    }
    /// A copy of a file with changes to its data set.
    template <class F>
    std::filesystem::path changed(const std::filesystem::path& from, const std::string& name, F&& change,
                                  E_TransferSyntax syntax = EXS_LittleEndianExplicit) {
        DcmFileFormat copy;
        REQUIRE(copy.loadFile(from.c_str()).good());
        change(*copy.getDataset());
        REQUIRE(copy.saveFile(file(name).c_str(), syntax, EET_ExplicitLength, EGL_recalcGL, EPD_noChange, 0,
                              0, EWM_fileformat)
                    .good());
        return file(name);
    }
};

/// Every value `from` of a text element anywhere becomes `to`.
inline void replace_everywhere(DcmItem& item, const DcmTagKey& tag, const std::string& from,
                               const std::string& to) {
    for (unsigned long i = 0; i < item.card(); ++i) {
        DcmElement* element = item.getElement(i);
        OFString value;
        if (element->ident() == EVR_SQ) {
            auto* sequence = static_cast<DcmSequenceOfItems*>(element);
            for (unsigned long k = 0; k < sequence->card(); ++k)
                replace_everywhere(*sequence->getItem(k), tag, from, to);
        } else if (element->getTag() == tag && element->getOFString(value, 0).good() &&
                   value == from.c_str()) {
            REQUIRE(element->putString(to.c_str()).good());
        }
    }
}

inline Reading verified_by(const std::string& name, std::map<std::size_t, std::string> presence = {}) {
    Reading reading;
    reading.presence = std::move(presence);
    reading.observer = reading.verifier = name;
    reading.organization = reading.verifying_organization = "City Hospital";
    reading.verified_at = "20261125101112.500+0100";
    return reading;
}

}  // namespace scopenode::test

#include "tests/support/workstation.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmsr/dsrdoc.h>

#include <stdexcept>

namespace scopenode::test {
namespace {

using T = DSRTypes;

void must(const OFCondition& condition, const char* what) {
    if (condition.bad()) throw std::runtime_error(std::string(what) + ": " + condition.text());
}
void must(std::size_t node, const char* what) {
    if (node == 0) throw std::runtime_error(std::string(what) + " is not allowed there");
}

void name(DSRDocumentTree& tree, const char* code, const char* meaning) {
    must(tree.getCurrentContentItem().setConceptName(DSRCodedEntryValue(code, "DCM", meaning)), meaning);
}

/// The presences of a report of ours stand in the order of the labels.
void edit_findings(DSRDocumentTree& tree, const Reading& reading) {
    const DSRCodedEntryValue presence("705057003", "SCT", "Presence");
    std::size_t label = 0;
    std::vector<std::size_t> groups;
    for (std::size_t node = tree.gotoNamedNode(presence); node > 0; node = tree.gotoNextNamedNode(presence)) {
        if (const auto said = reading.presence.find(label); said != reading.presence.end())
            must(tree.getCurrentContentItem().setCodeValue(
                     DSRCodedEntryValue(said->second.c_str(), "SCT", "as read")),
                 "presence");
        if (!reading.comment.empty() && label == reading.comment_at) {
            must(tree.addContentItem(T::RT_contains, T::VT_Text, T::AM_afterCurrent), "comment");
            name(tree, "121106", "Comment");
            must(tree.getCurrentContentItem().setStringValue(reading.comment.c_str()), "comment");
        }
        if (reading.removed.count(label) > 0) {
            groups.push_back(tree.goUp());
            must(tree.gotoNode(node), "presence");
        }
        ++label;
    }
    for (const std::size_t group : groups) {
        must(tree.gotoNode(group), "group");
        tree.removeSubTree();
    }
}

void add_observer(DSRDocumentTree& tree, const Reading& reading) {
    if (reading.observer.empty()) return;
    const auto add = [&](T::E_ValueType type, const char* code, const char* meaning) {
        tree.gotoRoot();
        must(tree.addContentItem(T::RT_hasObsContext, type, T::AM_belowCurrent), meaning);
        name(tree, code, meaning);
    };
    add(T::VT_Code, "121005", "Observer Type");
    must(tree.getCurrentContentItem().setCodeValue(DSRCodedEntryValue("121006", "DCM", "Person")), "Person");
    add(T::VT_PName, "121008", "Person Observer Name");
    must(tree.getCurrentContentItem().setStringValue(reading.observer.c_str()), "name");
    if (reading.organization.empty()) return;
    add(T::VT_Text, "121009", "Person Observer's Organization Name");
    must(tree.getCurrentContentItem().setStringValue(reading.organization.c_str()), "organization");
}

}  // namespace

std::string read_at_workstation(const std::filesystem::path& report, const std::filesystem::path& out,
                                const Reading& reading) {
    DcmFileFormat file;
    must(file.loadFile(report.c_str()), "load");
    DSRDocument document;
    must(document.read(*file.getDataset()), "read");
    must(document.createRevisedVersion(reading.keep_predecessors ? OFFalse : OFTrue), "revise");
    edit_findings(document.getTree(), reading);
    add_observer(document.getTree(), reading);
    if (reading.forget_predecessors) document.getPredecessorDocuments().clear();
    if (reading.complete) must(document.completeDocument(), "complete");
    if (!reading.verifier.empty()) {
        const DSRCodedEntryValue code(reading.verifier_code.empty() ? "" : reading.verifier_code.c_str(),
                                      "99HOSPITAL", "Radiologist");
        must(reading.verifier_code.empty()
                 ? document.verifyDocument(reading.verifier.c_str(), reading.verifying_organization.c_str(),
                                           reading.verified_at.c_str())
                 : document.verifyDocument(reading.verifier.c_str(), code,
                                           reading.verifying_organization.c_str(),
                                           reading.verified_at.c_str()),
             "verify");
    }
    DcmFileFormat written;
    must(document.write(*written.getDataset()), "write");
    must(written.saveFile(out.c_str(), EXS_LittleEndianExplicit), "save");
    OFString uid;
    must(document.getSOPInstanceUID(uid), "uid");
    return uid.c_str();
}

std::pair<std::string, std::string> sop_of(const std::filesystem::path& path) {
    DcmFileFormat file;
    must(file.loadFile(path.c_str()), "load");
    OFString sop_class, instance;
    must(file.getDataset()->findAndGetOFString(DCM_SOPClassUID, sop_class), "SOP class");
    must(file.getDataset()->findAndGetOFString(DCM_SOPInstanceUID, instance), "SOP instance");
    return {sop_class.c_str(), instance.c_str()};
}

}  // namespace scopenode::test

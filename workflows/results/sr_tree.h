#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmsr/dsrdoctr.h>

#include <cmath>
#include <string>

#include "workflows/results/codes.h"
#include "workflows/results/report_parts.h"

/// Content trees of structured documents, for the files of results/ only.
namespace scopenode::workflows {

inline DSRCodedEntryValue dsr(const CodedEntry& e) {
    return DSRCodedEntryValue(e.code.c_str(), e.scheme.c_str(), e.meaning.c_str(), DSRTypes::CVT_auto,
                              OFFalse);
}

/// Adds content items below the current one; remembers the first fault, after which it does nothing.
class Tree {
  public:
    using T = DSRTypes;

    /// `template_id` "": none.
    Tree(T::E_DocumentType type, const char* title, const char* template_id)
        : tree_(type), codes_(CodeTable::embedded()) {
        note(tree_.addContentItem(T::RT_isRoot, T::VT_Container, T::AM_belowCurrent) > 0, "root");
        name(title);
        if (*template_id) check(item().setTemplateIdentification(template_id, "DCMR"), template_id);
    }

    void open(T::E_RelationshipType relation, T::E_ValueType type, const char* concept_name) {
        const bool added = tree_.addContentItem(relation, type, T::AM_belowCurrent) > 0;
        note(added, concept_name);
        if (added) name(concept_name);
    }
    void open_group() {
        open(T::RT_contains, T::VT_Container, "group");
        check(item().setTemplateIdentification("1501", "DCMR"), "template 1501");
    }
    void close() { tree_.goUp(); }

    void text(T::E_RelationshipType relation, const char* concept_name, const std::string& value) {
        if (value.empty()) return;
        open_text(relation, concept_name, value);
        close();
    }
    /// Left open for what it is inferred from.
    void open_text(T::E_RelationshipType relation, const char* concept_name, const std::string& value) {
        open(relation, T::VT_Text, concept_name);
        check(item().setStringValue(value.c_str(), OFFalse), concept_name);
    }
    void uid(T::E_RelationshipType relation, const char* concept_name, const std::string& value) {
        open(relation, T::VT_UIDRef, concept_name);
        check(item().setStringValue(value.c_str()), concept_name);
        close();
    }
    void code(T::E_RelationshipType relation, const char* concept_name, const CodedEntry& value) {
        open(relation, T::VT_Code, concept_name);
        check(item().setCodeValue(dsr(value), OFFalse), concept_name);
        close();
    }
    void code(T::E_RelationshipType relation, const char* concept_name, const char* value) {
        code(relation, concept_name, codes_.concept_of(value));
    }
    /// Leaves the number open for what it is inferred from; a number that is none is said to be none.
    void open_number(T::E_RelationshipType relation, const char* concept_name, double value) {
        open(relation, T::VT_Num, concept_name);
        if (std::isfinite(value)) {
            const DSRNumericMeasurementValue number(fmt::format("{:.4f}", value).c_str(),
                                                    dsr(codes_.concept_of("no_units")), OFFalse);
            check(item().setNumericValue(number), concept_name);
        } else {
            const DSRNumericMeasurementValue none(dsr(codes_.concept_of("not_a_number")), OFFalse);
            check(item().setNumericValue(none), concept_name);
        }
    }
    void number(T::E_RelationshipType relation, const char* concept_name, double value) {
        open_number(relation, concept_name, value);
        close();
    }
    /// `concept_name` nullptr: an image without a name, as key objects have it.
    void image(T::E_RelationshipType relation, const AnalysedSlice& slice,
               const char* concept_name = "source") {
        note(tree_.addContentItem(relation, T::VT_Image, T::AM_belowCurrent) > 0, "image");
        if (concept_name) name(concept_name);
        const DSRImageReferenceValue reference(slice.sop_class_uid.c_str(), slice.sop_instance_uid.c_str(),
                                               OFFalse);
        check(item().setImageReference(reference), "image");
        close();
    }
    const CodeTable& codes() const { return codes_; }

    Status write(DcmItem& dataset) {
        if (!fault_.empty()) return fail(Code::kInternal, "the report cannot be built: {}", fault_);
        check(tree_.write(dataset), "writing");
        if (!fault_.empty()) return fail(Code::kInternal, "the report cannot be written: {}", fault_);
        return {};
    }

  private:
    DSRContentItem& item() { return tree_.getCurrentContentItem(); }
    void name(const char* concept_name) {
        check(item().setConceptName(dsr(codes_.concept_of(concept_name)), OFFalse), concept_name);
    }
    void note(bool good, const char* what) {
        if (!good && fault_.empty()) fault_ = std::string(what) + " is not allowed here";
    }
    void check(const OFCondition& condition, const char* what) {
        if (condition.bad() && fault_.empty()) fault_ = std::string(what) + ": " + condition.text();
    }

    DSRDocumentTree tree_;
    const CodeTable& codes_;
    std::string fault_;
};

/// Why findings are undetermined, or what has to be said although they are not.
void put_reasons(Tree& tree, const StudyAnalysis& analysis);
/// Language and the node as the observer; what every document of ours starts with.
void put_observer(Tree& tree, const StudyAnalysis& analysis, const ReportContext& context);

}  // namespace scopenode::workflows

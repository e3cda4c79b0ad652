#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmsr/dsrdoctr.h>

#include <cmath>

#include "base/core/ids.h"
#include "ml/aggregate.h"
#include "workflows/results/codes.h"
#include "workflows/results/report_parts.h"

namespace scopenode::workflows {
namespace {

DSRCodedEntryValue dsr(const CodedEntry& e) {
    return DSRCodedEntryValue(e.code.c_str(), e.scheme.c_str(), e.meaning.c_str(), DSRTypes::CVT_auto, OFFalse);
}

/// Adds content items below the current one; remembers the first fault, after which it does nothing.
class Tree {
  public:
    using T = DSRTypes;

    Tree() : tree_(T::DT_Comprehensive3DSR), codes_(CodeTable::embedded()) {
        note(tree_.addContentItem(T::RT_isRoot, T::VT_Container, T::AM_belowCurrent) > 0, "root");
        name("report");
        check(tree_.getCurrentContentItem().setTemplateIdentification("1500", "DCMR"), "template 1500");
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
        open(relation, T::VT_Text, concept_name);
        check(item().setStringValue(value.c_str(), OFFalse), concept_name);
        close();
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
    void image(T::E_RelationshipType relation, const AnalysedSlice& slice) {
        open(relation, T::VT_Image, "source");
        const DSRImageReferenceValue reference(slice.sop_class_uid.c_str(), slice.sop_instance_uid.c_str(),
                                               OFFalse);
        check(item().setImageReference(reference), "source");
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

using T = DSRTypes;

void observer(Tree& tree, const StudyAnalysis& analysis, const ReportContext& context) {
    tree.code(T::RT_hasConceptMod, "language", "english");
    tree.code(T::RT_hasObsContext, "observer_type", "device");
    tree.uid(T::RT_hasObsContext, "device_uid",
             is_legal_uid(context.node_uid) ? context.node_uid
                                            : uid_from_text("scopenode node|" + context.node_uid));
    tree.text(T::RT_hasObsContext, "device_name", "ScopeNode " + context.program_version);
    tree.text(T::RT_hasObsContext, "device_manufacturer", std::string(kManufacturer));
    tree.text(T::RT_hasObsContext, "device_model", analysis.manifest.name);
    tree.text(T::RT_hasObsContext, "station_ae", context.station_ae);
    tree.code(T::RT_hasConceptMod, "procedure_reported", "head_ct");
}

std::string calibration_words(const ml::Manifest& manifest, std::size_t label) {
    const auto& c = manifest.calibration;
    if (c.method == "none") return "none: probabilities are the model's own";
    return fmt::format("{}, scale {:.4f}, offset {:.4f}, fitted on {}", c.method, c.scale[label],
                       c.offset[label], c.data.empty() ? "data not named" : c.data);
}

void algorithm(Tree& tree, const StudyAnalysis& analysis, std::size_t label) {
    tree.text(T::RT_hasConceptMod, "algorithm_name", analysis.manifest.name);
    tree.text(T::RT_hasConceptMod, "algorithm_version", analysis.manifest.version);
    tree.text(T::RT_hasConceptMod, "algorithm_parameters", "manifest_sha256=" + analysis.manifest_sha256);
    tree.text(T::RT_hasConceptMod, "algorithm_parameters",
              "calibration=" + calibration_words(analysis.manifest, label));
    tree.text(T::RT_hasConceptMod, "algorithm_parameters",
              "study_probability=" + std::string(ml::aggregation_method()));
    tree.text(
        T::RT_hasConceptMod, "algorithm_parameters",
        "slice_values=not calibrated; source slices are those whose calibrated value reaches the threshold");
}

void study_probability(Tree& tree, const StudyAnalysis& analysis, const Verdict& verdict, std::size_t label) {
    if (!verdict.probability && !verdict.not_a_number) return;
    tree.open_number(T::RT_contains, "probability", verdict.probability.value_or(std::nan("")));
    tree.code(T::RT_hasConceptMod, "derivation", "maximum");
    tree.number(T::RT_inferredFrom, "threshold", analysis.manifest.thresholds[label]);
    tree.close();
}

/// Every slice of the first finding, of the others only those over the threshold.
void slice_probabilities(Tree& tree, const StudyAnalysis& analysis, const Verdict& verdict,
                         std::size_t label) {
    const auto one = [&](const AnalysedSlice& slice) {
        tree.open_number(T::RT_contains, "probability", static_cast<double>(slice.scores[label]));
        tree.image(T::RT_inferredFrom, slice);
        tree.close();
    };
    if (label == 0) {
        for (const AnalysedSlice& slice : analysis.slices) one(slice);
    } else {
        for (const std::size_t i : verdict.sources) one(analysis.slices[i]);
    }
}

void group(Tree& tree, const StudyAnalysis& analysis, const Verdict& verdict, std::size_t label) {
    static constexpr std::array<const char*, 3> kPresence{"present", "absent", "undetermined"};
    const CodeTable::Finding& finding = tree.codes().finding(label);
    tree.open_group();
    tree.text(T::RT_hasObsContext, "tracking_identifier", tracking_identifier(label, verdict.presence));
    tree.uid(T::RT_hasObsContext, "tracking_uid", tracking_uid(analysis.header.study_uid, label));
    tree.code(T::RT_contains, "finding", finding.sent);
    tree.code(T::RT_hasConceptMod, "finding_site", finding.site);
    algorithm(tree, analysis, label);
    tree.code(T::RT_contains, "presence", kPresence.at(static_cast<std::size_t>(verdict.presence)));
    study_probability(tree, analysis, verdict, label);
    for (const std::size_t i : verdict.sources) tree.image(T::RT_contains, analysis.slices[i]);
    // Without a finding, numbers of single slices would be read as one.
    if (analysis.determined) slice_probabilities(tree, analysis, verdict, label);
    tree.close();
}

void qualitative(Tree& tree, const StudyAnalysis& analysis, const Verdicts& verdicts) {
    tree.open(T::RT_contains, T::VT_Container, "qualitative");
    tree.text(T::RT_contains, "conclusion", conclusion_words(analysis, verdicts));
    if (!analysis.determined) {
        for (const Reason& reason : analysis.reasons)
            tree.text(T::RT_contains, "reason", reason.code + ": " + reason.text);
    }
    std::string use(kIntendedUse);
    if (analysis.manifest.demonstration) use = "DEMONSTRATION model, never for patients. " + use;
    tree.text(T::RT_contains, "intended_use", use);
    tree.text(T::RT_contains, "manifest", analysis.manifest_sha256);
    const auto& calibration = analysis.manifest.calibration;
    tree.text(T::RT_contains, "calibration",
              calibration.method + (calibration.data.empty() ? "" : ", fitted on " + calibration.data));
    tree.close();
}

}  // namespace

Status write_tree(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                  const Verdicts& verdicts) {
    return guard(Code::kInternal, [&]() -> Status {
        Tree tree;
        observer(tree, analysis, context);
        tree.open(T::RT_contains, T::VT_Container, "measurements");
        for (std::size_t label = 0; label < ml::kLabelCount; ++label)
            group(tree, analysis, verdicts.at(label), label);
        tree.close();
        qualitative(tree, analysis, verdicts);
        return tree.write(dataset);
    });
}

}  // namespace scopenode::workflows

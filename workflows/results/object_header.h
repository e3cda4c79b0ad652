#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <span>
#include <string>

#include "workflows/results/codes.h"
#include "workflows/results/report_parts.h"

/// What all result objects have in common, for the files of results/ only.
namespace scopenode::workflows {

/// Puts attributes into items; remembers the first fault.
class Header {
  public:
    void put(DcmItem& item, const DcmTagKey& tag, const std::string& value) {
        check(item.putAndInsertString(tag, value.c_str()), tag);
    }
    void put_if(DcmItem& item, const DcmTagKey& tag, const std::string& value) {
        if (!value.empty()) put(item, tag, value);
    }
    void put_number(DcmItem& item, const DcmTagKey& tag, std::size_t value) {
        check(item.putAndInsertUint16(tag, static_cast<Uint16>(value)), tag);
    }
    void empty_sequence(DcmItem& item, const DcmTagKey& tag) { check(item.insertEmptyElement(tag), tag); }
    DcmItem& item(DcmItem& parent, const DcmTagKey& tag) {
        DcmItem* made = nullptr;
        check(parent.findOrCreateSequenceItem(tag, made, -2), tag);
        return made ? *made : spare_;
    }
    void code(DcmItem& parent, const DcmTagKey& tag, const CodedEntry& entry) {
        DcmItem& made = item(parent, tag);
        put(made, DCM_CodeValue, entry.code);
        put(made, DCM_CodingSchemeDesignator, entry.scheme);
        put(made, DCM_CodeMeaning, entry.meaning);
    }
    void image(DcmItem& parent, const DcmTagKey& tag, const AnalysedSlice& slice) {
        DcmItem& one = item(parent, tag);
        put(one, DCM_ReferencedSOPClassUID, slice.sop_class_uid);
        put(one, DCM_ReferencedSOPInstanceUID, slice.sop_instance_uid);
    }
    void check(const OFCondition& condition, const DcmTagKey& tag) {
        if (condition.bad() && fault_.empty())
            fault_ = std::string(tag.toString().c_str()) + " " + condition.text();
    }
    Status status() const {
        if (!fault_.empty())
            return fail(Code::kInternal, "the header of a result cannot be written: {}", fault_);
        return {};
    }

  private:
    DcmItem spare_;
    std::string fault_;
};

/// The series that a kind of objects stands in; one series a kind, because they differ in modality.
struct SeriesWords {
    std::string name;  ///< part of the UID: "sr", "sc", "ko", "pr"
    std::string modality, number, description;
};
/// A hash of all that the series and equipment attributes are made of: within one series they never differ.
std::string series_uid_of(const ReportContext& context, const StudyAnalysis& analysis,
                          const std::string& name);
/// The description with the warning of a demonstration model.
std::string with_warning(const StudyAnalysis& analysis, const std::string& description);

/// Character set, SOP common, patient, study, series, equipment and the times of the analysis.
void put_common(Header& to, DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                const EncodedObject& object, const SeriesWords& series);
/// (0040,A375) or any other sequence of a study with one series and these of its images.
void put_evidence(Header& to, DcmItem& d, const DcmTagKey& tag, const StudyAnalysis& analysis,
                  std::span<const AnalysedSlice> images);
/// The time of the analysis as the study's own zone tells it.
DicomTime time_of(const StudyAnalysis& analysis, const ReportContext& context);

/// At most `most` bytes, cut between characters of UTF-8, and one value: for texts that are ours to shorten,
/// never for identity. The standard counts characters, but many receivers (dciodvfy too) count bytes.
std::string clipped(std::string text, std::size_t most);

/// Part 10 bytes in Explicit VR Little Endian.
Result<std::string> part10_bytes(DcmFileFormat& file);
/// An object with its UIDs, still without bytes.
EncodedObject named_object(const StudyAnalysis& analysis, const ReportContext& context,
                           const std::string& kind, std::string_view sop_class_uid,
                           const std::string& series_name, int index);

}  // namespace scopenode::workflows

#include "dicom_node/dimse/notices.h"

#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcsequen.h>
#include <dcmtk/dcmnet/dimse.h>

#include <algorithm>
#include <optional>

#include "base/core/ids.h"

namespace scopenode::dicom_node {
namespace {

using storage::CommitmentInstance;
using storage::CommitmentNotice;

constexpr std::size_t kMostReferences = 100'000;

tl::unexpected<ServiceFault> fault(std::uint16_t status, std::string comment) {
    return tl::unexpected<ServiceFault>(ServiceFault{status, std::move(comment), 0});
}

std::string text_of(DcmItem& item, const DcmTagKey& tag) {
    OFString value;
    item.findAndGetOFStringArray(tag, value);
    std::string text(value.c_str());
    while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
    return text;
}

/// The items of a sequence; none when it is absent or empty.
std::vector<DcmItem*> items_of(DcmItem& item, const DcmTagKey& tag) {
    std::vector<DcmItem*> items;
    DcmSequenceOfItems* sequence = nullptr;
    if (item.findAndGetSequence(tag, sequence).bad() || !sequence) return items;
    for (DcmObject* one = nullptr; (one = sequence->nextInContainer(one)) != nullptr;)
        items.push_back(static_cast<DcmItem*>(one));
    return items;
}

/// Adds the references of a sequence; false when one has no legal UIDs.
bool add_references(DcmItem& item, const DcmTagKey& tag, std::optional<int> failure,
                    std::vector<CommitmentInstance>& into) {
    for (DcmItem* one : items_of(item, tag)) {
        CommitmentInstance reference{text_of(*one, DCM_ReferencedSOPClassUID),
                                     text_of(*one, DCM_ReferencedSOPInstanceUID), failure, 0};
        if (!is_legal_uid(reference.sop_class_uid) || !is_legal_uid(reference.sop_instance_uid)) return false;
        if (tag == DCM_FailedSOPSequence) {
            Uint16 reason = storage::failure_reason::kProcessing;
            one->findAndGetUint16(DCM_FailureReason, reason);
            reference.failure = reason == 0 ? storage::failure_reason::kProcessing : reason;
        }
        into.push_back(std::move(reference));
    }
    return true;
}

void put_references(const std::vector<CommitmentInstance>& instances, bool failed, const DcmTagKey& tag,
                    DcmItem& into) {
    for (const CommitmentInstance& one : instances) {
        if ((one.failure.value_or(0) != 0) != failed) continue;
        DcmItem* item = nullptr;
        if (into.findOrCreateSequenceItem(tag, item, -2).bad()) continue;
        item->putAndInsertString(DCM_ReferencedSOPClassUID, one.sop_class_uid.c_str());
        item->putAndInsertString(DCM_ReferencedSOPInstanceUID, one.sop_instance_uid.c_str());
        if (failed) item->putAndInsertUint16(DCM_FailureReason, static_cast<Uint16>(*one.failure));
    }
}

Decoded<std::vector<storage::PerformedSeries>> performed_series(DcmItem& data_set) {
    std::vector<storage::PerformedSeries> all;
    std::size_t count = 0;
    for (DcmItem* item : items_of(data_set, DCM_PerformedSeriesSequence)) {
        storage::PerformedSeries series;
        series.series_uid = text_of(*item, DCM_SeriesInstanceUID);
        for (const DcmTagKey& tag :
             {DCM_ReferencedImageSequence, DCM_ReferencedNonImageCompositeSOPInstanceSequence})
            for (DcmItem* image : items_of(*item, tag)) {
                std::string uid = text_of(*image, DCM_ReferencedSOPInstanceUID);
                if (!is_legal_uid(uid) || ++count > kMostReferences)
                    return fault(STATUS_N_InvalidAttributeValue, "Referenced SOP Instance UID is not legal");
                series.images.push_back(std::move(uid));
            }
        all.push_back(std::move(series));
    }
    return all;
}

}  // namespace

Decoded<CommitmentNotice> decode_commitment_request(DcmItem& data_set) {
    CommitmentNotice notice;
    notice.transaction_uid = text_of(data_set, DCM_TransactionUID);
    if (!is_legal_uid(notice.transaction_uid))
        return fault(STATUS_N_InvalidArgumentValue, "Transaction UID is missing or not legal");
    if (!add_references(data_set, DCM_ReferencedSOPSequence, std::nullopt, notice.instances) ||
        notice.instances.empty() || notice.instances.size() > kMostReferences)
        return fault(STATUS_N_InvalidArgumentValue, "Referenced SOP Sequence is missing or not legal");
    return notice;
}

void encode_commitment_request(const CommitmentNotice& question, DcmItem& into) {
    into.putAndInsertString(DCM_TransactionUID, question.transaction_uid.c_str());
    put_references(question.instances, false, DCM_ReferencedSOPSequence, into);
}

Decoded<CommitmentNotice> decode_commitment_report(DcmItem& data_set) {
    CommitmentNotice notice;
    notice.transaction_uid = text_of(data_set, DCM_TransactionUID);
    if (!is_legal_uid(notice.transaction_uid))
        return fault(STATUS_N_InvalidArgumentValue, "Transaction UID is missing or not legal");
    if (!add_references(data_set, DCM_ReferencedSOPSequence, 0, notice.instances) ||
        !add_references(data_set, DCM_FailedSOPSequence, std::nullopt, notice.instances) ||
        notice.instances.size() > kMostReferences)
        return fault(STATUS_N_InvalidArgumentValue, "a referenced SOP class or instance UID is not legal");
    return notice;
}

void encode_commitment_report(const CommitmentNotice& report, DcmItem& into) {
    into.putAndInsertString(DCM_TransactionUID, report.transaction_uid.c_str());
    put_references(report.instances, false, DCM_ReferencedSOPSequence, into);
    put_references(report.instances, true, DCM_FailedSOPSequence, into);
}

std::uint16_t event_type_of(const CommitmentNotice& report) {
    const bool all = std::ranges::all_of(report.instances, [](const auto& one) { return one.failure == 0; });
    return all ? 1 : 2;
}

Decoded<CreatedStep> decode_mpps_create(DcmItem& data_set) {
    CreatedStep step;
    step.row.state = text_of(data_set, DCM_PerformedProcedureStepStatus);
    if (step.row.state.empty())
        return fault(STATUS_N_MissingAttribute, "Performed Procedure Step Status is missing");
    if (step.row.state != "IN PROGRESS")
        return fault(STATUS_N_InvalidAttributeValue, "a new step must be IN PROGRESS");
    for (DcmItem* item : items_of(data_set, DCM_ScheduledStepAttributesSequence)) {
        const std::string study = text_of(*item, DCM_StudyInstanceUID);
        if (!is_legal_uid(study))
            return fault(STATUS_N_InvalidAttributeValue, "Study Instance UID is missing or not legal");
        auto& all = step.row.study_uids;
        if (std::ranges::find(all, study) == all.end()) all.push_back(study);
    }
    if (step.row.study_uids.empty())
        return fault(STATUS_N_MissingAttribute, "Scheduled Step Attributes Sequence is missing");
    step.row.station_ae = text_of(data_set, DCM_PerformedStationAETitle);
    auto series = performed_series(data_set);
    if (!series) return tl::unexpected(series.error());
    step.series = std::move(*series);
    return step;
}

Decoded<storage::MppsChange> decode_mpps_set(DcmItem& data_set) {
    storage::MppsChange change;
    change.state = text_of(data_set, DCM_PerformedProcedureStepStatus);
    if (!change.state.empty() && change.state != "IN PROGRESS" && change.state != "COMPLETED" &&
        change.state != "DISCONTINUED")
        return fault(STATUS_N_InvalidAttributeValue,
                     "the status must be IN PROGRESS, COMPLETED or DISCONTINUED");
    auto series = performed_series(data_set);
    if (!series) return tl::unexpected(series.error());
    if (!series->empty()) change.series = std::move(*series);
    for (DcmItem* item : items_of(data_set, DCM_PerformedProcedureStepDiscontinuationReasonCodeSequence))
        change.discontinuation_reason = text_of(*item, DCM_CodeMeaning).substr(0, 64);
    return change;
}

}  // namespace scopenode::dicom_node

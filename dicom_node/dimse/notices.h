#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "storage/index/commitments.h"
#include "storage/index/mpps.h"

namespace scopenode::dicom_node {

/// Why a DIMSE-N request is refused: status, Error Comment and Error ID (0: none) of its response (PS3.7 C).
struct ServiceFault {
    std::uint16_t status = 0;
    std::string comment;
    std::uint16_t error_id = 0;
};
template <class T>
using Decoded = tl::expected<T, ServiceFault>;

/// Action Information of a Storage Commitment request (PS3.4 J.3.2): every instance without `failure`.
Decoded<storage::CommitmentNotice> decode_commitment_request(DcmItem& data_set);
void encode_commitment_request(const storage::CommitmentNotice& question, DcmItem& into);

/// Event Information of a Storage Commitment result (PS3.4 J.3.3): every instance with `failure`.
Decoded<storage::CommitmentNotice> decode_commitment_report(DcmItem& data_set);
void encode_commitment_report(const storage::CommitmentNotice& report, DcmItem& into);
/// 1: all are safe; 2: some are not.
std::uint16_t event_type_of(const storage::CommitmentNotice& report);

/// Attributes of N-CREATE and N-SET of a Modality Performed Procedure Step (PS3.4 F.7.2).
struct CreatedStep {
    storage::MppsRow row;
    std::vector<storage::PerformedSeries> series;
};
Decoded<CreatedStep> decode_mpps_create(DcmItem& data_set);
Decoded<storage::MppsChange> decode_mpps_set(DcmItem& data_set);

}  // namespace scopenode::dicom_node

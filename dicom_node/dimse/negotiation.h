#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>

#include <optional>
#include <string>

#include "dicom_node/dimse/server.h"

namespace scopenode::dicom_node {

/// Why an association is refused, in words and in the fields of A-ASSOCIATE-RJ.
struct Refusal {
    std::string reason;
    T_ASC_RejectParameters parameters{};
};
/// Application context, called and calling AE title.
std::optional<Refusal> check_request(T_ASC_Parameters* parameters, const DimseOptions& options);
Refusal local_limit_exceeded();

/// Accepts Verification, the storage classes that the node keeps, Modality Performed Procedure Step and, with
/// `commitment`, Storage Commitment in the roles that the peer proposes. Of the proposed transfer syntaxes the
/// sender's first one that the node can read, so that the sender need not convert.
OFCondition accept_contexts(T_ASC_Parameters* parameters, bool commitment);

bool is_storage_class(const std::string& sop_class_uid);
std::string calling_ae(T_ASC_Parameters* parameters);
std::string peer_address(T_ASC_Parameters* parameters);

}  // namespace scopenode::dicom_node

#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include <functional>
#include <string_view>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// Hands the fragments of a data set on as they come, to its end; a bad condition means that the association
/// is lost.
OFCondition read_fragments(T_ASC_Association* association, T_ASC_PresentationContextID context,
                           int timeout_seconds, const std::function<void(std::string_view)>& take);

/// The data set of a DIMSE-N message, within the bounds of storage::parse_data_set and of a length. It is
/// read to its end in any case; `read` tells whether it could be understood.
OFCondition receive_message_data(T_ASC_Association* association, T_ASC_PresentationContextID context,
                                 int timeout_seconds, DcmDataset& into, Status& read);

}  // namespace scopenode::dicom_node

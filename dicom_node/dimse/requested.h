#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"
#include "dicom_node/dimse/transport.h"

class DcmDataset;

namespace scopenode::dicom_node {

/// SOP class and the transfer syntaxes offered for it in one presentation context.
struct Offer {
    std::string sop_class_uid;
    std::vector<std::string> transfer_syntaxes;
};

/// An association that we asked for; released by the destructor. Not thread-safe.
class RequestedAssociation {
  public:
    /// At most 128 offers. Errors: kPeerUnavailable and kTimeout may pass, kPeerRefused stays.
    static Result<std::unique_ptr<RequestedAssociation>> open(const std::string& calling_ae,
                                                              const config::Destination& peer,
                                                              const std::vector<Offer>& offers,
                                                              int timeout_seconds);
    ~RequestedAssociation();

    /// C-STORE of a data set, decompressed when the peer takes it in no other way.
    Status store(const std::string& sop_class_uid, const std::string& sop_instance_uid, DcmDataset& data_set);
    /// After the peer broke off nothing more can be sent.
    bool usable() const { return usable_; }

  private:
    RequestedAssociation(config::Destination peer, int timeout_seconds);
    Status connect(const std::string& calling_ae, const std::vector<Offer>& offers);
    Status explain(const OFCondition& condition) const;
    Result<T_ASC_PresentationContextID> context_for(const std::string& sop_class_uid, DcmDataset& data_set);

    const config::Destination peer_;
    const int timeout_seconds_;
    QuickLayer layer_;
    T_ASC_Network* network_ = nullptr;
    T_ASC_Association* association_ = nullptr;
    bool usable_ = false;
};

}  // namespace scopenode::dicom_node

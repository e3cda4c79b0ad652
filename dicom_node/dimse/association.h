#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include <functional>
#include <optional>
#include <string>

#include "dicom_node/dimse/server.h"

namespace scopenode::dicom_node {

/// The commands of one accepted association, in order, until it is released, aborted or silent too long. Used
/// by one thread; the association outlives it.
class AssociationCommands {
  public:
    struct Shared {
        const DimseOptions& options;
        storage::Archive& archive;
        DimseServer::Counters& counters;
        const std::function<void()>& on_stored;
    };
    AssociationCommands(T_ASC_Association* association, const Shared& shared);
    /// Serves and closes the association in the way that fits its end.
    void run();

  private:
    OFCondition one_command();
    OFCondition echo(T_ASC_PresentationContextID context, const T_DIMSE_C_EchoRQ& request);
    OFCondition store(T_ASC_PresentationContextID context, const T_DIMSE_C_StoreRQ& request);
    OFCondition answer_store(T_ASC_PresentationContextID context, const T_DIMSE_C_StoreRQ& request,
                             const Status& outcome);
    /// What speaks against the command before any byte of its data set.
    Status check_command(const T_ASC_PresentationContext& context, const storage::StoreContext& about) const;
    /// Reads the data set to its end in any case; a bad condition means that the association is lost.
    OFCondition receive_data_set(T_ASC_PresentationContextID context, storage::StagedObject* object,
                                 Status& outcome);
    OFCondition next_fragment(DUL_PDV& fragment);
    Status keep(storage::StagedObject object, const storage::StoreContext& about);

    T_ASC_Association* association_;
    Shared shared_;
    std::string calling_ae_, peer_address_;
};

}  // namespace scopenode::dicom_node

#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dicom_node/dimse/notices.h"
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
        const DimseServices& services;
    };
    AssociationCommands(T_ASC_Association* association, const Shared& shared);
    /// Serves and closes the association in the way that fits its end.
    void run();

  private:
    /// The commands until the end; how it came: "released", "aborted", "broken off".
    std::string serve();
    OFCondition one_command();
    OFCondition dispatch(T_ASC_PresentationContextID context, T_DIMSE_Message& message);
    OFCondition echo(T_ASC_PresentationContextID context, const T_DIMSE_C_EchoRQ& request);
    OFCondition store(T_ASC_PresentationContextID context, const T_DIMSE_C_StoreRQ& request);
    OFCondition answer_store(T_ASC_PresentationContextID context, const T_DIMSE_C_StoreRQ& request,
                             const Status& outcome);
    /// What speaks against the command before any byte of its data set.
    Status check_command(const T_ASC_PresentationContext& context, const storage::StoreContext& about) const;
    /// Reads the data set to its end in any case; a bad condition means that the association is lost.
    OFCondition receive_object(T_ASC_PresentationContextID context, storage::StagedObject* object,
                               Status& outcome);
    Status keep(storage::StagedObject object, const storage::StoreContext& about);

    // association_services.cpp: DIMSE-N
    using Served = Decoded<std::string>;  ///< the UID of the instance, or why not
    OFCondition create(T_ASC_PresentationContextID context, const T_DIMSE_N_CreateRQ& request);
    OFCondition set(T_ASC_PresentationContextID context, const T_DIMSE_N_SetRQ& request);
    OFCondition action(T_ASC_PresentationContextID context, const T_DIMSE_N_ActionRQ& request);
    OFCondition event_report(T_ASC_PresentationContextID context, const T_DIMSE_N_EventReportRQ& request);
    OFCondition event_answered(T_ASC_PresentationContextID context, const T_DIMSE_N_EventReportRSP& response);
    Served created(const T_DIMSE_N_CreateRQ& request, DcmDataset& attributes);
    Served changed(const T_DIMSE_N_SetRQ& request, DcmDataset& attributes);
    Served asked(T_ASC_PresentationContextID context, const T_DIMSE_N_ActionRQ& request,
                 DcmDataset& information);
    Served told(DcmDataset& information);
    /// Reads the attributes of a message; the outcome says what is wrong with them.
    OFCondition receive_attributes(T_ASC_PresentationContextID context, T_DIMSE_DataSetType type,
                                   DcmDataset& into, std::optional<ServiceFault>& outcome);
    /// Whether the message came over a context of the class that it is of.
    std::optional<ServiceFault> wrong_class(T_ASC_PresentationContextID context, const char* named,
                                            const char* served) const;
    OFCondition answer(T_ASC_PresentationContextID context, T_DIMSE_Message& response, std::uint16_t& status,
                       const Served& outcome, const char* what);
    /// The reports that we owe over this association, once the peer says nothing more of its own.
    OFCondition report_owed();
    void pass_on_reports();
    void changed_something() const;

    T_ASC_Association* association_;
    Shared shared_;
    std::string calling_ae_, peer_address_;
    std::int64_t number_ = 0;  ///< with Associations
    std::vector<std::pair<std::int64_t, T_ASC_PresentationContextID>> owed_;  ///< commitment requests
    std::map<DIC_US, std::int64_t> told_;  ///< by message ID, no answer yet
};

}  // namespace scopenode::dicom_node

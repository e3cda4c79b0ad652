#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

class DcmDataset;

namespace scopenode::test {

/// An association of a modality with a node, at DCMTK's DIMSE level. Throws what goes wrong below DIMSE.
class ModalityAssociation {
  public:
    struct Class {
        std::string uid;
        bool as_scp = false;  ///< proposes the role of SCP
    };
    ModalityAssociation(int port, const std::string& calling_ae, const std::vector<Class>& classes,
                        const std::string& called_ae = "SCOPENODE");
    ~ModalityAssociation();
    ModalityAssociation(const ModalityAssociation&) = delete;
    ModalityAssociation& operator=(const ModalityAssociation&) = delete;

    /// Whether the class was accepted, and in which role: "", "default", "scp".
    std::string accepted(const std::string& uid) const;
    /// N-CREATE, N-SET, N-ACTION, N-EVENT-REPORT: the status. `data_set` null: none.
    int n_create(const std::string& sop_class, const std::string& instance, DcmDataset* data_set);
    int n_set(const std::string& sop_class, const std::string& instance, DcmDataset* data_set);
    int n_action(const std::string& sop_class, const std::string& instance, int type, DcmDataset* data_set);
    int n_event_report(const std::string& sop_class, const std::string& instance, int type,
                       DcmDataset* data_set);
    /// Waits for an N-EVENT-REPORT of the node and answers it: its event type, 0 when none comes in time.
    int hear(int seconds, DcmDataset& information, int answer_status = 0);
    int echo();
    void release();
    void abort();

    /// Of the last response: Affected SOP Instance UID, Error Comment, Error ID.
    std::string instance, comment;
    int error_id = 0;
    /// Sends a C-ECHO behind the next request without waiting for its response.
    bool echo_behind = false;

  private:
    struct State;
    int exchange(void* message, const std::string& sop_class, DcmDataset* data_set);
    std::unique_ptr<State> state_;
};

/// A modality that reports its performed procedure steps, each message over an association of its own. The
/// functions give the status of the response.
class MppsSender {
  public:
    explicit MppsSender(int port, std::string calling_ae = "CT1") : port_(port), ae_(std::move(calling_ae)) {}
    /// Without `mpps_uid` the node names the step: see last_uid.
    int create(const std::string& study_uid, const std::string& mpps_uid = "");
    int create(const std::vector<std::string>& study_uids, const std::string& mpps_uid,
               const std::string& status = "IN PROGRESS");
    /// Images by series.
    using Images = std::map<std::string, std::vector<std::string>>;
    int complete(const std::string& mpps_uid, const Images& images) {
        return set(mpps_uid, "COMPLETED", images);
    }
    int discontinue(const std::string& mpps_uid, const std::string& reason = "Patient died");
    int set(const std::string& mpps_uid, const std::string& status, const Images& images,
            const std::string& reason = "");

    std::string last_uid, last_comment;
    int last_error_id = 0;

  private:
    int port_;
    std::string ae_;
};

}  // namespace scopenode::test

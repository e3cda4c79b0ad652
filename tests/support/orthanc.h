#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/programs.h"

namespace scopenode::test {

/// Orthanc as the PACS: own folder, free ports, ended with the object. AE title PACS.
class Orthanc {
  public:
    explicit Orthanc(std::filesystem::path folder);
    static bool installed() { return have_program("Orthanc"); }
    /// On the same ports and folder every time.
    void start();
    void stop();
    /// Makes a peer known, to whom it then reports Storage Commitment; also after a restart.
    void know(const std::string& ae_title, int port);

    int dicom_port() const { return dicom_port_; }
    /// "--destination PACS=PACS@127.0.0.1:PORT" for init.
    std::vector<std::string> as_destination() const;
    nlohmann::json get(const std::string& path) const;
    /// Orthanc's ids of the SR instances, of one study or of all.
    std::vector<std::string> reports(const std::string& study_uid = "") const;
    /// SOP instance UIDs of all that it holds of a study, each as often as it is there.
    std::vector<std::string> sop_instance_uids(const std::string& study_uid) const;
    /// The files of these reports, fetched into `folder`.
    std::vector<std::filesystem::path> fetch_reports(const std::filesystem::path& folder,
                                                     const std::string& study_uid = "") const;
    /// Orthanc sends an instance of its own to the node at `port` by C-STORE; throws when it fails.
    void send_instance(const std::string& id, int port) const;
    std::string log() const;

  private:
    std::filesystem::path folder_;
    Child child_;
    int dicom_port_ = 0, http_port_ = 0;
    nlohmann::json modalities_ = nlohmann::json::object();
};

}  // namespace scopenode::test

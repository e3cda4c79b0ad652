#include "tests/support/orthanc.h"

#include <signal.h>

#include <stdexcept>

#include "base/core/files.h"
#include "tests/support/node.h"

namespace scopenode::test {

namespace fs = std::filesystem;
using nlohmann::json;

Orthanc::Orthanc(fs::path folder) : folder_(std::move(folder)) {
    fs::create_directories(folder_);
    start();
}

void Orthanc::start() {
    // Another program may take a free port before Orthanc does: then the next pair, unless the node knows it.
    const bool known = dicom_port_ != 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        if (!known) dicom_port_ = free_port();
        http_port_ = free_port();
        const json settings = {{"Name", "PACS"},
                               {"StorageDirectory", (folder_ / "db").string()},
                               {"IndexDirectory", (folder_ / "db").string()},
                               {"DicomAet", "PACS"},
                               {"DicomPort", dicom_port_},
                               {"HttpPort", http_port_},
                               {"RemoteAccessAllowed", false},
                               {"AuthenticationEnabled", false},
                               {"DicomModalities", modalities_},
                               {"Plugins", json::array()}};
        if (!write_file(real_files(), folder_ / "orthanc.json", settings.dump(2)))
            throw std::runtime_error("cannot write orthanc.json");
        child_ = Child({"Orthanc", (folder_ / "orthanc.json").string()}, folder_ / "log");
        const bool up =
            eventually([&] { return !child_.alive() || http_request(http_port_, "/system").first == 200; });
        if (up && child_.alive()) return;
    }
    throw std::runtime_error("Orthanc does not start:\n" + log());
}

void Orthanc::stop() {
    child_.send(SIGTERM);
    child_.wait();
}

void Orthanc::know(const std::string& ae_title, int port) {
    modalities_[ae_title] = {ae_title, "127.0.0.1", port};
    const json modality = {{"AET", ae_title}, {"Host", "127.0.0.1"}, {"Port", port}};
    const auto put =
        run({"curl", "--silent", "--fail", "--noproxy", "*", "--request", "PUT", "--data", modality.dump(),
             "http://127.0.0.1:" + std::to_string(http_port_) + "/modalities/" + ae_title});
    if (put.rc != 0) throw std::runtime_error("Orthanc: modality " + ae_title + ": " + put.output);
}

std::vector<std::string> Orthanc::as_destination() const {
    return {"--destination", "PACS=PACS@127.0.0.1:" + std::to_string(dicom_port_)};
}

json Orthanc::get(const std::string& path) const {
    const auto [status, body] = http_request(http_port_, path);
    if (status != 200) throw std::runtime_error("Orthanc: " + path + " gave " + std::to_string(status));
    return json::parse(body);
}

std::vector<std::string> Orthanc::reports(const std::string& study_uid) const {
    json query = {{"Modality", "SR"}};
    if (!study_uid.empty()) query["StudyInstanceUID"] = study_uid;
    const json find = {{"Level", "Instance"}, {"Query", query}};
    const auto [status, body] = http_request(http_port_, "/tools/find", find.dump());
    if (status != 200) throw std::runtime_error("Orthanc: find gave " + std::to_string(status) + body);
    return json::parse(body).get<std::vector<std::string>>();
}

std::vector<std::string> Orthanc::sop_instance_uids(const std::string& study_uid) const {
    const json find = {{"Level", "Instance"}, {"Expand", true}, {"Query", {{"StudyInstanceUID", study_uid}}}};
    const auto [status, body] = http_request(http_port_, "/tools/find", find.dump());
    if (status != 200) throw std::runtime_error("Orthanc: find gave " + std::to_string(status) + body);
    std::vector<std::string> uids;
    for (const auto& one : json::parse(body)) uids.push_back(one.at("MainDicomTags").at("SOPInstanceUID"));
    return uids;
}

std::vector<fs::path> Orthanc::fetch_reports(const fs::path& folder, const std::string& study_uid) const {
    std::vector<fs::path> files;
    fs::create_directories(folder);
    for (const std::string& id : reports(study_uid)) {
        const fs::path file = folder / (id + ".dcm");
        const auto got =
            run({"curl", "--silent", "--fail", "--noproxy", "*", "--output", file.string(),
                 "http://127.0.0.1:" + std::to_string(http_port_) + "/instances/" + id + "/file"});
        if (got.rc != 0) throw std::runtime_error("Orthanc: cannot fetch " + id);
        files.push_back(file);
    }
    return files;
}

void Orthanc::send_instance(const std::string& id, int port) const {
    const json peer = json::array({"SCOPENODE", "127.0.0.1", port});
    const auto put =
        run({"curl", "--silent", "--fail", "--noproxy", "*", "--request", "PUT", "--data", peer.dump(),
             "http://127.0.0.1:" + std::to_string(http_port_) + "/modalities/node"});
    const auto [status, body] = http_request(http_port_, "/modalities/node/store", id);
    if (put.rc != 0 || status != 200) throw std::runtime_error("Orthanc: cannot send " + id + ": " + body);
}

std::string Orthanc::log() const {
    return read_file(folder_ / "log").value_or("");
}

}  // namespace scopenode::test

#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/core/files.h"
#include "dicom_node/dimse/sender.h"
#include "dicom_node/dimse/server.h"
#include "storage/index/catalog.h"
#include "storage/index/queue.h"
#include "tests/support/ct_files.h"
#include "tests/support/mpps.h"
#include "tests/support/programs.h"
#include "workflows/commitment.h"

namespace scopenode::test {

using namespace dicom_node;
using storage::CommitmentNotice;
using storage::Connection;

inline const std::string kMpps = UID_ModalityPerformedProcedureStepSOPClass;
inline const std::string kCommitment = UID_StorageCommitmentPushModelSOPClass;
inline const std::string kCommitmentInstance = UID_StorageCommitmentPushModelSOPInstance;
inline const std::string kCt = UID_CTImageStorage;

struct HandClock final : Clock {
    UtcMs now() const override { return time; }
    std::atomic<UtcMs> time{1'790'000'000'000};
};

/// An archive with a server before it that answers commitment.
struct Services {
    explicit Services(DimseOptions options = {}) : options_(std::move(options)) {
        index = storage::Index::open(folder.path() / "index.sqlite", clock).value();
        archive = storage::Archive::open(folder.path(), *index, real_files(), 0).value();
        commitment = std::make_unique<workflows::CommitmentService>(workflows::CommitmentService::Parts{
            settings, *archive,
            [](const config::Destination& peer, const CommitmentNotice& notice) {
                return report_commitment("SCOPENODE", peer, notice);
            },
            clock, [this] { ++woken; }});
        server = DimseServer::start(options_, *archive, {{}, {}, nullptr, commitment.get()}).value();
    }
    ~Services() { server->stop(0); }
    void know(const std::string& ae_title, int port) {
        settings.peers.push_back({ae_title, ae_title, "127.0.0.1", port});
    }
    void store(int slice) {
        auto object = archive->stage().value();
        const SmallStudy study;
        REQUIRE(object.append(study.slice(slice).value()));
        REQUIRE(archive->store(std::move(object), {"CT1", "", kCt, study.sop_instance_uid(slice), "", ""}));
    }
    template <class F>
    auto read(F&& what) {
        auto rows = index->read(what);
        REQUIRE(rows);
        return *rows;
    }
    std::vector<storage::EventRow> events() {
        return read([](Connection& db) { return storage::pending_events(db, 100); });
    }
    storage::CommitmentRequestRow request(std::int64_t id = 1) {
        return read([&](Connection& db) { return storage::find_commitment_request(db, id); }).value();
    }
    bool answered(std::int64_t id = 1) {
        return eventually([&] { return request(id).state == "answered"; });
    }

    DimseOptions options_;
    TemporaryFolder folder;
    HandClock clock;
    config::Settings settings;
    std::atomic<int> woken{0};
    std::unique_ptr<storage::Index> index;
    std::unique_ptr<storage::Archive> archive;
    std::unique_ptr<workflows::CommitmentService> commitment;
    std::unique_ptr<DimseServer> server;
};

inline std::string slice_uid(int i) {
    return SmallStudy{}.sop_instance_uid(i);
}

}  // namespace scopenode::test

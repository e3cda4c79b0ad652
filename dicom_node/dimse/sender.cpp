#include "dicom_node/dimse/sender.h"

#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmdata/dcxfer.h>

#include <algorithm>
#include <set>

#include "dicom_node/dimse/requested.h"
#include "storage/dicom/parse.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;
constexpr int kSendSeconds = 30;
constexpr std::size_t kMostContexts = 128;

const std::vector<std::string> kPlain = {UID_LittleEndianExplicitTransferSyntax,
                                         UID_LittleEndianImplicitTransferSyntax};

/// What is needed to offer a file before the association is opened.
struct Candidate {
    fs::path path;
    std::string sop_class_uid, sop_instance_uid, transfer_syntax_uid;
};

Result<Candidate> look_at(const fs::path& path) {
    DcmFileFormat file;
    if (const Status read = storage::parse_file(file, path, storage::ReadUpTo::kPixelData); !read)
        return fail(Code::kCannotUnderstand, "not a DICOM file ({})", read.error().message);
    OFString sop_class, instance;
    file.getDataset()->findAndGetOFString(DCM_SOPClassUID, sop_class);
    file.getDataset()->findAndGetOFString(DCM_SOPInstanceUID, instance);
    if (sop_class.empty() || instance.empty())
        return fail(Code::kCannotUnderstand, "not a DICOM object: SOP class or instance UID is missing");
    const DcmXfer syntax(file.getDataset()->getOriginalXfer());
    return Candidate{path, sop_class.c_str(), instance.c_str(), syntax.getXferID()};
}

/// One plain context a class, one more for each compressed syntax of its files.
class Offers {
  public:
    /// False when a further association is needed.
    bool add(const Candidate& file) {
        std::set<std::pair<std::string, std::string>> with = wanted_;
        with.insert({file.sop_class_uid, ""});
        if (std::ranges::find(kPlain, file.transfer_syntax_uid) == kPlain.end())
            with.insert({file.sop_class_uid, file.transfer_syntax_uid});
        if (with.size() > kMostContexts) return false;
        wanted_ = std::move(with);
        return true;
    }
    std::vector<Offer> list() const {
        std::vector<Offer> offers;
        for (const auto& [sop_class, syntax] : wanted_)
            offers.push_back({sop_class, syntax.empty() ? kPlain : std::vector<std::string>{syntax}});
        return offers;
    }

  private:
    std::set<std::pair<std::string, std::string>> wanted_;
};

Status send_one(RequestedAssociation& association, const Candidate& candidate) {
    DcmFileFormat file;
    SCOPENODE_TRY(storage::parse_file(file, candidate.path, storage::ReadUpTo::kEnd));
    return association.store(candidate.sop_class_uid, candidate.sop_instance_uid, *file.getDataset());
}

std::string line(const fs::path& path, const Error& error) {
    return path.string() + ": " + error.message;
}

struct Sending {
    const config::Destination& peer;
    const SendOptions& options;
    SendReport& report;
    std::size_t total;
    std::size_t done = 0;

    void tick() {
        ++done;
        if (options.on_progress) options.on_progress(done, total);
    }
    Status batch(const std::vector<Candidate>& files, const Offers& offers);
};

Status Sending::batch(const std::vector<Candidate>& files, const Offers& offers) {
    std::unique_ptr<RequestedAssociation> association;
    for (const auto& file : files) {
        if (!association || !association->usable()) {
            association.reset();
            auto opened =
                RequestedAssociation::open(options.calling_ae, peer, offers.list(), options.timeout_seconds);
            if (!opened)
                return fail(opened.error().code, "{}; {} of {} files sent before", opened.error().message,
                            report.sent, total);
            association = std::move(*opened);
        }
        if (const Status sent = send_one(*association, file); sent)
            ++report.sent;
        else
            report.failures.push_back(line(file.path, sent.error()));
        tick();
    }
    return {};
}

Result<std::unique_ptr<DcmFileFormat>> read_bytes(const std::string& bytes) {
    DcmInputBufferStream stream;
    stream.setBuffer(bytes.data(), static_cast<offile_off_t>(bytes.size()));
    stream.setEos();
    auto file = std::make_unique<DcmFileFormat>();
    file->transferInit();
    const OFCondition loaded = file->read(stream);
    file->transferEnd();
    if (loaded.bad()) return fail(Code::kCannotUnderstand, "the object cannot be read: {}", loaded.text());
    return file;
}

class Destination final : public workflows::PeerAssociation {
  public:
    explicit Destination(std::unique_ptr<RequestedAssociation> open) : open_(std::move(open)) {}

    bool takes(const std::string& sop_class_uid) const override { return open_->accepts(sop_class_uid); }
    Result<workflows::StoreAnswer> store(const workflows::SendItem& item) override {
        return guard(Code::kInternal, [&]() -> Result<workflows::StoreAnswer> {
            SCOPENODE_ASSIGN(const auto file, read_bytes(item.bytes));
            return open_->send(item.sop_class_uid, item.sop_instance_uid, *file->getDataset());
        });
    }
    Result<workflows::StoreAnswer> ask_commitment(const storage::CommitmentNotice& question) override {
        return open_->ask_commitment(question);
    }
    Result<std::optional<storage::CommitmentNotice>> next_report(std::chrono::milliseconds wait) override {
        return open_->next_report(wait);
    }
    bool usable() const override { return open_->usable(); }

  private:
    std::unique_ptr<RequestedAssociation> open_;
};

}  // namespace

Result<std::unique_ptr<workflows::PeerAssociation>> connect_peer(
    const std::string& calling_ae, const config::Destination& peer,
    const std::vector<std::string>& sop_classes) {
    using Opened = Result<std::unique_ptr<workflows::PeerAssociation>>;
    return guard(Code::kInternal, [&]() -> Opened {
        std::vector<Offer> offers;
        for (const std::string& one : sop_classes) offers.push_back({one, kPlain});
        SCOPENODE_ASSIGN(auto open, RequestedAssociation::open(calling_ae, peer, offers, kSendSeconds, true));
        return std::make_unique<Destination>(std::move(open));
    });
}

Status report_commitment(const std::string& calling_ae, const config::Destination& peer,
                         const storage::CommitmentNotice& report) {
    return guard(Code::kInternal, [&]() -> Status {
        const Offer offer{UID_StorageCommitmentPushModelSOPClass, kPlain, ASC_SC_ROLE_SCP};
        SCOPENODE_ASSIGN(const auto open,
                         RequestedAssociation::open(calling_ae, peer, {offer}, kSendSeconds));
        return open->report_commitment(report);
    });
}

Result<SendReport> send_files(const config::Destination& peer, const std::vector<fs::path>& files,
                              const SendOptions& options) {
    return guard(Code::kInternal, [&]() -> Result<SendReport> {
        SendReport report;
        Sending sending{peer, options, report, files.size()};
        std::vector<Candidate> batch;
        Offers offers;
        for (const auto& path : files) {
            auto candidate = look_at(path);
            if (!candidate) {
                if (options.found.contains(path))
                    ++report.passed_over;
                else
                    report.failures.push_back(line(path, candidate.error()));
                sending.tick();
                continue;
            }
            if (!offers.add(*candidate)) {
                SCOPENODE_TRY(sending.batch(batch, offers));
                batch.clear();
                offers = {};
                offers.add(*candidate);
            }
            batch.push_back(std::move(*candidate));
        }
        SCOPENODE_TRY(sending.batch(batch, offers));
        return report;
    });
}

}  // namespace scopenode::dicom_node

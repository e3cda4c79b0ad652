#include <arpa/inet.h>
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dicom_node/dimse/requested.h"
#include "dicom_node/dimse/sender.h"
#include "dicom_node/dimse/server.h"
#include "storage/dicom/header.h"
#include "tests/support/ct_files.h"
#include "tests/support/data.h"
#include "tests/support/programs.h"

namespace fs = std::filesystem;
using namespace scopenode;
using namespace scopenode::dicom_node;

namespace {

const storage::Codecs codecs;

/// An archive with a server before it.
struct Scp {
    explicit Scp(DimseOptions options = {}) {
        auto opened = storage::Index::open(folder.path() / "index.sqlite", clock);
        REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message));
        index = std::move(*opened);
        auto made = storage::Archive::open(folder.path(), *index, real_files(), 0);
        REQUIRE(made);
        archive = std::move(*made);
        auto started = DimseServer::start(options, *archive, {});
        REQUIRE(started);
        server = std::move(*started);
    }
    config::Destination peer(const std::string& ae = "SCOPENODE") const {
        config::Destination to;
        to.name = "TEST";
        to.ae_title = ae;
        to.host = "127.0.0.1";
        to.port = server->port();
        return to;
    }
    std::string port() const { return std::to_string(server->port()); }
    std::vector<fs::path> objects() const { return test::files_with_content(folder.path() / "objects"); }

    TemporaryFolder folder;
    SystemClock clock;
    std::unique_ptr<storage::Index> index;
    std::unique_ptr<storage::Archive> archive;
    std::unique_ptr<DimseServer> server;
};

const std::string kCt = UID_CTImageStorage;
const std::vector<std::string> kExplicit = {UID_LittleEndianExplicitTransferSyntax};

std::string slice_bytes(int i) {
    const auto bytes = test::SmallStudy{}.slice(i);
    REQUIRE(bytes);
    return *bytes;
}
std::unique_ptr<DcmFileFormat> load(const fs::path& path) {
    auto file = std::make_unique<DcmFileFormat>();
    REQUIRE(file->loadFile(path.c_str()).good());
    file->loadAllDataIntoMemory();
    return file;
}
/// What follows the file meta information.
std::string data_set_of(const std::string& file) {
    REQUIRE(file.size() > 144);
    const auto at = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(file[i]));
    };
    const std::uint32_t length = at(140) | at(141) << 8 | at(142) << 16 | at(143) << 24;
    return file.substr(144 + length);
}
std::string bytes_of(const fs::path& path) {
    const auto bytes = read_file(path);
    REQUIRE(bytes);
    return *bytes;
}
int plain_connection(int port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    return socket;
}
void put(std::string& out, std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}
void put_element(std::string& out, std::uint32_t element, std::string value) {
    if (value.size() % 2 != 0) value += '\0';
    put(out, 0, 2);
    put(out, element, 2);
    put(out, static_cast<std::uint32_t>(value.size()), 4);
    out += value;
}
std::string number(std::uint32_t value, int bytes = 2) {
    std::string out;
    put(out, value, bytes);
    return out;
}
/// C-STORE-RQ of a CT as it goes over the wire: Implicit VR Little Endian.
std::string store_command(const std::string& instance) {
    std::string rest, all;
    put_element(rest, 0x0002, kCt);
    put_element(rest, 0x0100, number(0x0001));
    put_element(rest, 0x0110, number(1));
    put_element(rest, 0x0700, number(0));
    put_element(rest, 0x0800, number(1));
    put_element(rest, 0x1000, instance);
    put_element(all, 0x0000, number(static_cast<std::uint32_t>(rest.size()), 4));
    return all + rest;
}
void send_fragment(T_ASC_Association* association, std::string& bytes, DUL_DATAPDV type, OFBool last) {
    DUL_PDV fragment{};
    fragment.fragmentLength = bytes.size();
    fragment.presentationContextID = 1;
    fragment.pdvType = type;
    fragment.lastPDV = last;
    fragment.data = bytes.data();
    DUL_PDVLIST list{};
    list.count = 1;
    list.pdv = &fragment;
    REQUIRE(DUL_WritePDVs(&association->DULassociation, &list).good());
}
int answered_status(T_ASC_Association* association) {
    T_DIMSE_Message message{};
    T_ASC_PresentationContextID id = 0;
    REQUIRE(DIMSE_receiveCommand(association, DIMSE_NONBLOCKING, 30, &id, &message, nullptr).good());
    REQUIRE(message.CommandField == DIMSE_C_STORE_RSP);
    return message.msg.CStoreRSP.DimseStatus;
}
/// An association on which a test writes what it likes: CT in Explicit VR Little Endian, context 1.
struct Raw {
    explicit Raw(const std::string& port) {
        prepare_network();
        T_ASC_Parameters* parameters = nullptr;
        REQUIRE(ASC_initializeNetwork(NET_REQUESTOR, 0, 10, &network).good());
        REQUIRE(ASC_createAssociationParameters(&parameters, kMaxPdu).good());
        ASC_setAPTitles(parameters, "TESTER", "SCOPENODE", nullptr);
        ASC_setPresentationAddresses(parameters, "localhost", ("127.0.0.1:" + port).c_str());
        const char* syntaxes[] = {UID_LittleEndianExplicitTransferSyntax};
        REQUIRE(ASC_addPresentationContext(parameters, 1, UID_CTImageStorage, syntaxes, 1).good());
        REQUIRE(ASC_requestAssociation(network, parameters, &association).good());
    }
    ~Raw() {
        ASC_abortAssociation(association);
        ASC_destroyAssociation(&association);
        ASC_dropNetwork(&network);
    }
    T_ASC_Network* network = nullptr;
    T_ASC_Association* association = nullptr;
};

Result<std::unique_ptr<RequestedAssociation>> associate(const Scp& scp) {
    return RequestedAssociation::open("TESTER", scp.peer(), {{kCt, kExplicit}}, 10);
}

}  // namespace

TEST_CASE("storescu and echoscu: stored byte by byte and answered - another called AE is rejected") {
    const Scp scp;
    const auto slice = scp.folder.path() / "in" / "slice.dcm";
    test::write_bytes(slice, slice_bytes(0));
    CHECK(test::run({"echoscu", "-aec", "SCOPENODE", "127.0.0.1", scp.port()}).rc == 0);
    const auto sent = test::run({"storescu", "-aec", "SCOPENODE", "127.0.0.1", scp.port(), slice.string()});
    CHECK_MESSAGE(sent.rc == 0, sent.output);
    REQUIRE(scp.objects().size() == 1);
    CHECK(data_set_of(bytes_of(scp.objects()[0])) == data_set_of(bytes_of(slice)));
    CHECK(scp.server->counters().stored == 1);

    const auto wrong = test::run({"echoscu", "-aec", "OTHER", "127.0.0.1", scp.port()});
    CHECK(wrong.rc != 0);
    CHECK(wrong.output.find("Called AE Title Not Recognized") != std::string::npos);
    CHECK(scp.server->counters().rejected == 1);
}

TEST_CASE("only allowed callers are let in when there is a list") {
    DimseOptions options;
    options.allowed_callers = {"MODALITY"};
    const Scp scp(options);
    CHECK(test::run({"echoscu", "-aet", "MODALITY", "-aec", "SCOPENODE", "127.0.0.1", scp.port()}).rc == 0);
    const auto wrong = test::run({"echoscu", "-aet", "OTHER", "-aec", "SCOPENODE", "127.0.0.1", scp.port()});
    CHECK(wrong.rc != 0);
    CHECK(wrong.output.find("Calling AE Title Not Recognized") != std::string::npos);
}

TEST_CASE("over the cap: transient local limit which is a passing error for our own sender") {
    DimseOptions options;
    options.max_associations = 2;
    const Scp scp(options);
    auto first = associate(scp), second = associate(scp);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(test::eventually([&] { return scp.server->associations() == 2; }));
    const auto third = test::run({"echoscu", "-aec", "SCOPENODE", "127.0.0.1", scp.port()});
    CHECK(third.rc != 0);
    CHECK(third.output.find("Local Limit Exceeded") != std::string::npos);
    const auto ours = associate(scp);
    REQUIRE(!ours);
    CHECK(ours.error().code == Code::kPeerUnavailable);
    first->reset();
    CHECK(test::eventually([&] { return scp.server->associations() == 1; }));
    CHECK(test::run({"echoscu", "-aec", "SCOPENODE", "127.0.0.1", scp.port()}).rc == 0);
}

TEST_CASE("two associations at once - other UIDs than the command's give A900 and the association goes on") {
    const Scp scp;
    const auto path = scp.folder.path() / "in" / "slice.dcm";
    test::write_bytes(path, slice_bytes(0));
    auto first = associate(scp), second = associate(scp);
    REQUIRE(first);
    REQUIRE(second);
    const auto file = load(path);
    const auto wrong = (*first)->store(kCt, "2.25.99", *file->getDataset());
    REQUIRE(!wrong);
    CHECK(wrong.error().code == Code::kPeerRefused);
    CHECK(wrong.error().message.find("A900") != std::string::npos);
    CHECK((*second)->store(kCt, test::SmallStudy{}.sop_instance_uid(0), *file->getDataset()));
    CHECK((*first)->store(kCt, test::SmallStudy{}.sop_instance_uid(0), *file->getDataset()));
    CHECK(scp.server->counters().refused == 1);
    CHECK(scp.server->counters().stored == 1);
    CHECK(scp.server->counters().duplicates == 1);
    CHECK(scp.objects().size() == 1);
}

TEST_CASE("half an object and then nothing: the silent peer is let go and nothing is kept") {
    DimseOptions options;
    options.timeout_seconds = 3;
    const Scp scp(options);
    const int silent = plain_connection(scp.server->port());
    char byte = 0;
    CHECK(::recv(silent, &byte, 1, 0) <= 0);  // closed by the server
    ::close(silent);

    const Raw raw(scp.port());
    // The command, then a first fragment, then silence.
    std::string command = store_command("2.25.1");
    std::string half = data_set_of(slice_bytes(0)).substr(0, 2000);
    send_fragment(raw.association, command, DUL_COMMANDPDV, OFTrue);
    CHECK(test::eventually([&] { return scp.server->counters().accepted == 1; }));
    send_fragment(raw.association, half, DUL_DATASETPDV, OFFalse);
    CHECK(test::eventually([&] { return scp.server->associations() == 0; }));
    CHECK(scp.objects().empty());
    CHECK(scp.server->counters().stored == 0);
}

TEST_CASE("a data set that ends in the middle gives C000 and the association goes on") {
    const Scp scp;
    const Raw raw(scp.port());
    std::string command = store_command("2.25.1");
    std::string half = data_set_of(slice_bytes(0)).substr(0, 300);
    send_fragment(raw.association, command, DUL_COMMANDPDV, OFTrue);
    send_fragment(raw.association, half, DUL_DATASETPDV, OFTrue);
    CHECK(answered_status(raw.association) == 0xC000);
    std::string whole = data_set_of(slice_bytes(0));
    command = store_command(test::SmallStudy{}.sop_instance_uid(0));
    send_fragment(raw.association, command, DUL_COMMANDPDV, OFTrue);
    send_fragment(raw.association, whole, DUL_DATASETPDV, OFTrue);
    CHECK(answered_status(raw.association) == 0x0000);
    CHECK(scp.server->counters().stored == 1);
}

TEST_CASE("files in every transfer syntax that is taken arrive as they were sent") {
    const Scp scp;
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(test::data_folder() / "zoo")) {
        if (!entry.is_regular_file()) continue;
        const auto header = storage::read_header(entry.path());
        if (!header || header->sop_class_uid != kCt || !is_legal_uid(header->sop_instance_uid)) continue;
        files.push_back(entry.path());
    }
    REQUIRE(!files.empty());
    SendOptions options;
    const auto report = send_files(scp.peer(), files, options);
    REQUIRE(report);
    MESSAGE(report->sent << " of " << files.size() << " sent");
    CHECK(report->sent > 0);
    CHECK(report->sent + static_cast<int>(report->failures.size()) == static_cast<int>(files.size()));
    const auto& counters = scp.server->counters();
    // What is not taken (JPEG 2000, lossy JPEG) is named and costs no association.
    for (const std::string& failure : report->failures)
        CHECK_MESSAGE(failure.find("cannot be reached") == std::string::npos, failure);
    CHECK(counters.accepted == 1);
    CHECK(counters.stored + counters.duplicates + counters.conflicts ==
          static_cast<std::uint64_t>(report->sent));
    CHECK(scp.objects().size() == counters.stored + counters.conflicts);
}

TEST_CASE(
    "files that nobody named are passed over when they are no DICOM and a lost peer is told with the count") {
    const Scp scp;
    const TemporaryFolder folder;
    const fs::path table = folder.path() / "labels.csv", slice = folder.path() / "slice.dcm";
    REQUIRE(write_file(real_files(), table, "ID,Label\n"));
    REQUIRE(write_file(real_files(), slice, slice_bytes(0)));
    SendOptions options;
    const auto named = send_files(scp.peer(), {table, slice}, options);
    REQUIRE(named);
    CHECK(named->failures.size() == 1);
    options.found = {table, slice};
    const auto found = send_files(scp.peer(), {table, slice}, options);
    REQUIRE(found);
    CHECK(found->sent == 1);
    CHECK(found->passed_over == 1);
    CHECK(found->failures.empty());
    auto nobody = scp.peer();
    nobody.port = test::free_port();
    const auto lost = send_files(nobody, {slice}, {});
    REQUIRE_FALSE(lost);
    CHECK(lost.error().message.find("0 of 1 files sent before") != std::string::npos);
}

TEST_CASE("an association to a destination tells what is taken and permanent refusals from passing ones") {
    const Scp scp;
    const std::string sop_class = kCt, other = UID_RTPlanStorage;
    const workflows::SendItem item{kCt, test::SmallStudy{}.sop_instance_uid(0), slice_bytes(0)};
    auto open = connect_peer("TESTER", scp.peer(), {sop_class, other});
    REQUIRE(open);
    CHECK((*open)->takes(sop_class));
    CHECK_FALSE((*open)->takes(other));
    CHECK_FALSE((*open)->takes("1.2.3"));
    const auto answer = (*open)->store(item);
    REQUIRE(answer);
    CHECK(answer->status == 0);
    const auto mismatch = (*open)->store({kCt, "2.25.99", item.bytes});
    REQUIRE(mismatch);
    CHECK(mismatch->status == 0xA900);
    CHECK(!mismatch->comment.empty());
    for (const auto& wrong :
         {workflows::SendItem{other, "2.25.1", item.bytes}, {kCt, "2.25.1", "no dicom"}}) {
        const auto not_sent = (*open)->store(wrong);
        REQUIRE(!not_sent);
        CHECK_FALSE(not_sent.error().retryable());
        CHECK((*open)->usable());
    }
    const auto none = connect_peer("TESTER", scp.peer(), {other});
    REQUIRE(none);
    CHECK_FALSE((*none)->takes(other));
    const auto rejected = connect_peer("TESTER", scp.peer("OTHER"), {sop_class});
    REQUIRE(!rejected);
    CHECK(rejected.error().code == Code::kPeerRefused);
    auto nobody = scp.peer();
    nobody.port = test::free_port();
    const auto closed = connect_peer("TESTER", nobody, {sop_class});
    REQUIRE(!closed);
    CHECK(closed.error().retryable());
    scp.server->stop(0);
    const auto lost = (*open)->store(item);
    REQUIRE(!lost);
    CHECK(lost.error().retryable());
    CHECK_FALSE((*open)->usable());
}

TEST_CASE("a port in use is named") {
    const Scp scp;
    DimseOptions options;
    options.port = scp.server->port();
    const auto second = DimseServer::start(options, *scp.archive, {});
    REQUIRE(!second);
    CHECK(second.error().code == Code::kInUse);
    CHECK(second.error().message.find(scp.port()) != std::string::npos);
}

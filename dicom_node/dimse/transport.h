#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dcmlayer.h>

#include <chrono>
#include <string>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// DCMTK's process-wide network settings; every way into this folder calls it first. Thread-safe.
void prepare_network();

/// A socket that listens on an IPv4 address or host name; port 0 means any. kInUse names the port.
struct Listener {
    int descriptor = -1;
    int port = 0;
};
Result<Listener> open_listener(const std::string& bind, int port);

/// Connections that acknowledge at once what they have read, so that a peer with Nagle's algorithm on never
/// waits for the delayed acknowledgement, and that read in large pieces.
class QuickLayer final : public DcmTransportLayer {
  public:
    explicit QuickLayer(int timeout_seconds) : timeout_seconds_(timeout_seconds) {}
    DcmTransportConnection* createConnection(DcmNativeSocketType socket, OFBool secure) override;

  private:
    const int timeout_seconds_;
};

/// An association requested on a socket that was accepted elsewhere: DCMTK takes such a socket only through a
/// process-wide variable, which is guarded here until the connection owns the socket. The socket belongs to
/// DCMTK once `network` has it; it is closed on failure. `layer` must outlive the association.
OFCondition receive_association(int socket, QuickLayer& layer, int timeout_seconds, T_ASC_Network** network,
                                T_ASC_Association** association);

/// Whether the peer has said something within `wait`, to which DCMTK's own question gives whole seconds only.
bool data_waiting(T_ASC_Association* association, std::chrono::milliseconds wait);

constexpr long kMaxPdu = 131072;
/// Of this program, in associations and file meta information.
const std::string& implementation_class_uid();
constexpr const char* kImplementationVersion = "SCOPENODE_0_1";
void name_implementation(T_ASC_Parameters* parameters);

}  // namespace scopenode::dicom_node

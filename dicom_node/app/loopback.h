#pragma once

namespace scopenode::dicom_node {

/// Whether somebody listens on this TCP port of the loopback.
bool port_accepts(int port);
/// A TCP port of the loopback that nobody listens on now.
int free_port();

}  // namespace scopenode::dicom_node

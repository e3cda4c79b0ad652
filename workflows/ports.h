#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"

namespace scopenode::workflows {

/// What the outside gives to the workflows.
struct SendItem {
    std::string sop_class_uid, sop_instance_uid;
    std::string bytes;                    ///< whole Part 10 file
};
/// Stores one object at a peer by C-STORE. Errors: kPeerUnavailable/kTimeout/kOutOfResources may pass; kPeerRefused
/// is permanent. Success only on 0x0000 (warnings 0xB0xx are success with a remark in the log). Thread-safe.
using SendObject = std::function<Status(const config::Destination&, const SendItem&)>;

}  // namespace scopenode::workflows

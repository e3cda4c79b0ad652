#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/workflows/loop_fixture.h"
#include "workflows/delivery.h"

namespace scopenode::test {

using namespace workflows;
using storage::CommitmentNotice;

/// Peers that answer as they are told and remember what they got.
struct Peers {
    struct Peer {
        std::optional<Code> connects_with;            ///< the error of every association
        std::map<std::string, std::uint16_t> status;  ///< of C-STORE, by instance; "" all
        std::optional<Code> breaks;                   ///< the error of every C-STORE
        std::set<std::string> not_taken{kStorageCommitment};
        std::uint16_t action_status = 0;
        bool action_breaks = false;
        std::optional<int> reports;  ///< failure reason; nothing: no report here
        int connections = 0;
        std::vector<std::string> stored;
        std::vector<CommitmentNotice> asked;
        std::set<std::string> offered;
    };
    std::map<std::string, Peer> all;
    std::vector<std::string> order;  ///< instances, whoever got them

    struct Association final : PeerAssociation {
        Association(Peers& o, Peer& p, std::vector<std::string> c)
            : owner(o), peer(p), classes(std::move(c)) {}
        bool takes(const std::string& uid) const override {
            return std::ranges::find(classes, uid) != classes.end() && !peer.not_taken.contains(uid);
        }
        Result<StoreAnswer> store(const SendItem& item) override {
            if (peer.breaks) {
                open = false;
                return fail(*peer.breaks, "broke off");
            }
            CHECK(item.bytes.size() > 0);
            for (const std::string& key : {item.sop_instance_uid, std::string()})
                if (const auto found = peer.status.find(key); found != peer.status.end())
                    return StoreAnswer{found->second, "says so"};
            peer.stored.push_back(item.sop_instance_uid);
            owner.order.push_back(item.sop_instance_uid);
            return StoreAnswer{};
        }
        Result<StoreAnswer> ask_commitment(const CommitmentNotice& question) override {
            if (peer.action_breaks) {
                open = false;
                return fail(Code::kTimeout, "no answer");
            }
            peer.asked.push_back(question);
            return StoreAnswer{peer.action_status, ""};
        }
        Result<std::optional<CommitmentNotice>> next_report(std::chrono::milliseconds) override {
            if (!peer.reports) {
                open = false;
                return fail(Code::kPeerUnavailable, "went away");
            }
            CommitmentNotice report = peer.asked.back();
            for (auto& one : report.instances) one.failure = *peer.reports;
            return std::optional<CommitmentNotice>(report);
        }
        bool usable() const override { return open; }
        Peers& owner;
        Peer& peer;
        std::vector<std::string> classes;
        bool open = true;
    };
    ConnectPeer port() {
        return [this](const config::Destination& to,
                      const std::vector<std::string>& classes) -> Result<std::unique_ptr<PeerAssociation>> {
            Peer& peer = all[to.name];
            ++peer.connections;
            peer.offered.insert(classes.begin(), classes.end());
            if (peer.connects_with) return fail(*peer.connects_with, "{} says no", to.name);
            return std::make_unique<Association>(*this, peer, classes);
        };
    }
};

inline void make_results(Loop& loop, int count) {
    for (auto& one : loop.settings.destinations) one.bundle = {"comprehensive3d", false, false, false};
    for (int n = 0; n < count; ++n) {
        SmallStudy study;
        study.study_uid = "2.25.200" + std::to_string(n);
        study.series_uid = "2.25.300" + std::to_string(n);
        loop.receive(study, 0, 8);
    }
    loop.quiet();
    while (loop.work_once()) continue;
}

inline nlohmann::json first(Loop& loop) {
    return loop.show("2.25.2000")["deliveries"][0];
}

}  // namespace scopenode::test

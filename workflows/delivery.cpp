#include "workflows/delivery.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "workflows/results/bundle.h"
#include "workflows/retry.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
using namespace delivery_reasons;

constexpr const char* kRoom = "delivery";
/// Offered at every association, so that it is known what a destination takes before something is made for
/// it.
constexpr const char* kResultClasses[] = {
    "1.2.840.10008.5.1.4.1.1.88.34",  // Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.33",  // Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.22",  // Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.11",  // Basic Text SR
    "1.2.840.10008.5.1.4.1.1.7",      // Secondary Capture
    "1.2.840.10008.5.1.4.1.1.88.59",  // Key Object Selection
    "1.2.840.10008.5.1.4.1.1.11.1",   // Grayscale Softcopy Presentation State
};

std::string status_text(const StoreAnswer& answer) {
    return fmt::format("status {:04X}{}{}", answer.status, answer.comment.empty() ? "" : ": ",
                       answer.comment);
}

}  // namespace

Delivery::Delivery(const config::Settings& settings, Index& index, ConnectPeer connect, const Clock& clock)
    : settings_(settings), index_(index), connect_(std::move(connect)), clock_(clock) {
    for (const auto& destination : settings.destinations) standing_[destination.name];
}

Result<bool> Delivery::pass(const std::atomic<bool>& stopping) {
    SCOPENODE_ASSIGN(bool moved, end_orphans());
    std::vector<const config::Destination*> order;
    for (const auto& destination : settings_.destinations) order.push_back(&destination);
    std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
        return standing_.at(a->name).failures < standing_.at(b->name).failures;
    });
    for (const auto* destination : order) {
        if (stopping) return false;
        SCOPENODE_ASSIGN(const bool one, pass_to(*destination, stopping));
        moved = moved || one;
    }
    return moved;
}

Result<bool> Delivery::end_orphans() {
    SCOPENODE_ASSIGN(const auto waiting, index_.read(waiting_destinations));
    bool moved = false;
    for (const std::string& name : waiting) {
        if (standing_.contains(name)) continue;
        const auto error = fmt::format("node.json names no destination '{}' any more", name);
        SCOPENODE_TRY(index_.write([&](Connection& db) -> Status {
            SCOPENODE_TRY(refuse_waiting(db, name, error, kDestinationRemoved));
            return {};
        }));
        log::warning(kRoom, "{}: what waited for it is refused", error);
        moved = true;
    }
    return moved;
}

Result<bool> Delivery::pass_to(const config::Destination& destination, const std::atomic<bool>& stopping) {
    Run run{destination, stopping, standing_.at(destination.name), nullptr, {}, false, false};
    if (clock_.now() < run.standing.not_before) return false;
    SCOPENODE_TRY(learn_first(run));
    while (!stopping && !run.broken) {
        // Read again for each object: a result may have got a successor while others were sent.
        const UtcMs now = clock_.now();
        SCOPENODE_ASSIGN(const auto row, index_.read([&](Connection& db) {
            return next_delivery(db, destination.name, now);
        }));
        if (!row) break;
        SCOPENODE_ASSIGN(const bool ready, ready_for(run, *row));
        if (ready) SCOPENODE_TRY(deliver(run, *row));
    }
    if (!stopping && !run.broken) SCOPENODE_TRY(commit(run));
    return run.moved;
}

// The first association of all only asks what the destination takes: results are made by that.
Status Delivery::learn_first(Run& run) {
    Standing& standing = run.standing;
    if (!standing.profile_read) {
        SCOPENODE_ASSIGN(standing.profile,
                         index_.read([&](Connection& db) { return profile_of(db, run.destination.name); }));
        standing.profile_read = true;
    }
    if (!standing.profile.empty()) return {};
    SCOPENODE_ASSIGN(const auto classes,
                     index_.read([&](Connection& db) { return waiting_classes(db, run.destination.name); }));
    if (!classes.empty()) return {};
    const Status connected = connect(run, {});
    if (connected) return {};
    log::info(kRoom, "destination {}: {}", run.destination.name, connected.error().message);
    pause(run);
    run.broken = true;
    return {};
}

Status Delivery::connect(Run& run, const std::vector<std::string>& classes) {
    std::vector<std::string> offered(std::begin(kResultClasses), std::end(kResultClasses));
    for (const std::string& one : classes)
        if (std::ranges::find(offered, one) == offered.end()) offered.push_back(one);
    if (run.destination.storage_commitment != "never") offered.push_back(kStorageCommitment);
    run.association.reset();
    SCOPENODE_ASSIGN(run.association, connect_(run.destination, offered));
    run.offered = std::move(offered);
    run.standing.failures = 0;
    run.standing.not_before = 0;
    return learn(run);
}

Status Delivery::learn(Run& run) {
    std::map<std::string, bool> changed;
    for (const std::string& one : run.offered) {
        const bool takes = run.association->takes(one);
        const auto known = run.standing.profile.find(one);
        if (known == run.standing.profile.end() || known->second != takes) changed[one] = takes;
    }
    if (changed.empty()) return {};
    const UtcMs now = clock_.now();
    SCOPENODE_TRY(
        index_.write([&](Connection& db) { return learn_profile(db, run.destination.name, changed, now); }));
    for (const auto& [one, takes] : changed) run.standing.profile[one] = takes;
    return {};
}

// An association that offers the row's class; false when there is none, which then is in the outbox.
Result<bool> Delivery::ready_for(Run& run, const OutboxRow& row) {
    if (run.association && run.association->usable() &&
        std::ranges::find(run.offered, row.sop_class_uid) != run.offered.end())
        return true;
    SCOPENODE_ASSIGN(const auto classes,
                     index_.read([&](Connection& db) { return waiting_classes(db, run.destination.name); }));
    const Status connected = connect(run, classes);
    if (connected) return true;
    const Error& error = connected.error();
    // A fault of our own index is no fault of the peer's.
    if (error.code == Code::kDatabase || error.code == Code::kOutOfResources) return fail(error);
    run.broken = true;
    if (error.retryable()) {
        pause(run);
        SCOPENODE_TRY(wait_on(run, row, error.message, row.next));
        return false;
    }
    int count = 0;
    SCOPENODE_TRY(index_.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(count,
                         refuse_waiting(db, run.destination.name, error.message, kAssociationRejected));
        return {};
    }));
    log::error(kRoom, "destination {}: {}; {} deliveries are not tried again", run.destination.name,
               error.message, count);
    run.moved = true;
    return false;
}

// A report that is stored is never written in another form; the next ones are.
std::string Delivery::not_taken(const Run& run, const OutboxRow& row) const {
    std::string text = fmt::format("the peer takes no objects of class {}", row.sop_class_uid);
    const auto next = with_sr_class(run.destination, run.standing.profile);
    const auto wanted = sr_class_of(next);
    if (run.destination.bundle.sr != "auto" || row.rank != delivery_rank("sr") || !wanted ||
        !run.association->takes(sop_class_of(*wanted)))
        return text;
    return text + fmt::format(
                      "; it takes {}, which later reports are sent as: `scopenode studies reprocess {} "
                      "--force` makes this one so",
                      next.bundle.sr, row.study_uid);
}

Status Delivery::deliver(Run& run, const OutboxRow& row) {
    if (!run.association->takes(row.sop_class_uid))
        return refuse(run, row, not_taken(run, row), kSopClassNotTaken);
    SCOPENODE_ASSIGN(auto bytes,
                     index_.read([&](Connection& db) { return result_bytes(db, row.sop_instance_uid); }));
    if (!bytes)
        return refuse(run, row, fmt::format("the bytes of {} are gone", row.sop_instance_uid), kNotSendable);
    const auto answer = run.association->store({row.sop_class_uid, row.sop_instance_uid, std::move(*bytes)});
    if (answer) return answered(run, row, *answer);
    if (!answer.error().retryable()) return refuse(run, row, answer.error().message, kNotSendable);
    // The object waits by itself too: one that makes the peer break off must not hold up all others.
    pause(run);
    run.broken = true;
    return wait_on(run, row, answer.error().message,
                   clock_.now() + pause_before(row.attempts + 1, settings_));
}

Status Delivery::answered(Run& run, const OutboxRow& row, const StoreAnswer& answer) {
    const UtcMs now = clock_.now();
    const std::string said = status_text(answer);
    const bool warning = (answer.status & 0xF000) == 0xB000;
    if (answer.status == 0 || (warning && run.destination.warnings_are_success)) {
        const bool asks = wants_commitment(run);
        SCOPENODE_TRY(index_.write([&](Connection& db) {
            return delivery_sent(db, row.id, now, asks, warning ? "stored with a warning, " + said : "");
        }));
        log::info(kRoom, "{} is at {}{}", row.sop_instance_uid, row.destination, warning ? ", " + said : "");
        run.moved = true;
        return {};
    }
    if ((answer.status & 0xFF00) == 0xA700) {
        pause(run);
        run.broken = true;
        return wait_on(run, row, "the peer is out of resources, " + said, row.next);
    }
    if (answer.status == 0x0110)
        return wait_on(run, row, "the peer could not process it, " + said,
                       now + pause_before(row.attempts + 1, settings_));
    return refuse(run, row, "the peer refused it, " + said, kRefusedByPeer);
}

bool Delivery::wants_commitment(const Run& run) const {
    const std::string& wanted = run.destination.storage_commitment;
    return wanted == "always" || (wanted == "auto" && run.association->takes(kStorageCommitment));
}

Status Delivery::refuse(Run& run, const OutboxRow& row, const std::string& error, const char* reason) {
    log::warning(kRoom, "{} to {}: {}; not tried again", row.sop_instance_uid, row.destination, error);
    run.moved = true;
    return index_.write(
        [&](Connection& db) { return delivery_failed(db, row.id, error, std::nullopt, reason); });
}

Status Delivery::wait_on(Run& run, const OutboxRow& row, const std::string& error, UtcMs next) {
    log::warning(kRoom, "{} to {}: {}", row.sop_instance_uid, run.destination.name, error);
    return index_.write([&](Connection& db) { return delivery_failed(db, row.id, error, next); });
}

void Delivery::pause(Run& run) {
    run.standing.not_before = clock_.now() + pause_before(++run.standing.failures, settings_);
}

}  // namespace scopenode::workflows

#include "workflows/delivery.h"

#include <algorithm>

#include "base/log.h"
#include "workflows/study_work.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr int kDueInAPass = 10000;

const config::Destination* named(const config::Settings& settings, const std::string& name) {
    const auto& all = settings.destinations;
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto& d) { return d.name == name; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace

Delivery::Delivery(const config::Settings& settings, Index& index, SendObject send, const Clock& clock)
    : settings_(settings), index_(index), send_(std::move(send)), clock_(clock) {}

Result<bool> Delivery::pass(const std::atomic<bool>& stopping) {
    const UtcMs now = clock_.now();
    SCOPENODE_ASSIGN(const auto due,
                     index_.read([&](Connection& db) { return deliveries_due(db, now, kDueInAPass); }));
    std::map<std::string, std::vector<const OutboxRow*>> by_destination;
    for (const auto& row : due)
        if (standing_[row.destination].not_before <= now) by_destination[row.destination].push_back(&row);
    std::vector<std::string> order;
    for (const auto& [name, rows] : by_destination) order.push_back(name);
    std::stable_sort(order.begin(), order.end(), [&](const std::string& a, const std::string& b) {
        return standing_[a].failures < standing_[b].failures;
    });
    bool moved = false;
    for (const std::string& name : order) {
        for (const OutboxRow* row : by_destination[name]) {
            if (stopping) return false;
            SCOPENODE_ASSIGN(const Sent sent, deliver(*row));
            if (sent == Sent::kLater) break;
            moved = true;
        }
    }
    return moved;
}

Status Delivery::send_one(const config::Destination& destination, const OutboxRow& row) {
    SCOPENODE_ASSIGN(auto bytes,
                     index_.read([&](Connection& db) { return result_bytes(db, row.sop_instance_uid); }));
    if (!bytes) return fail(Code::kNotFound, "the bytes of {} are gone", row.sop_instance_uid);
    return send_(destination, {row.sop_class_uid, row.sop_instance_uid, std::move(*bytes)});
}

Result<Delivery::Sent> Delivery::deliver(const OutboxRow& row) {
    const auto* destination = named(settings_, row.destination);
    const Status sent =
        destination ? send_one(*destination, row)
                    : fail(Code::kNotFound, "node.json names no destination '{}' any more", row.destination);
    const UtcMs now = clock_.now();
    Standing& standing = standing_[row.destination];
    if (sent) {
        standing = {};
        SCOPENODE_TRY(index_.write([&](Connection& db) { return delivery_sent(db, row.id, now); }));
        log::info("delivery", "{} is at {}", row.sop_instance_uid, row.destination);
        return Sent::kYes;
    }
    const Error& error = sent.error();
    std::optional<UtcMs> next;
    if (error.retryable()) {
        const auto& pauses = settings_.delivery;
        const auto pause = [&](int attempts) {
            return pause_after(attempts, UtcMs{1000} * pauses.first_retry_seconds,
                               UtcMs{1000} * pauses.longest_retry_seconds);
        };
        next = now + pause(row.attempts + 1);
        standing.not_before = now + pause(++standing.failures);
    }
    log::warning("delivery", "{} to {}: {}{}", row.sop_instance_uid, row.destination, error.message,
                 next ? "" : "; not tried again");
    SCOPENODE_TRY(
        index_.write([&](Connection& db) { return delivery_failed(db, row.id, error.message, next); }));
    return next ? Sent::kLater : Sent::kRefused;
}

}  // namespace scopenode::workflows

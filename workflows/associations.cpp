#include "workflows/associations.h"

#include <fmt/core.h>

#include <algorithm>

#include "storage/index/catalog.h"

namespace scopenode::workflows {

std::int64_t Associations::opened(const std::string& calling_ae) {
    const std::lock_guard lock(mutex_);
    open_[next_] = {calling_ae, clock_.now(), 0};
    return next_++;
}

void Associations::stored(std::int64_t id) {
    const std::lock_guard lock(mutex_);
    if (const auto found = open_.find(id); found != open_.end()) ++found->second.objects;
}

Status Associations::closed(std::int64_t id, const std::string& how) {
    One one;
    {
        const std::lock_guard lock(mutex_);
        const auto found = open_.find(id);
        if (found == open_.end()) return {};
        one = found->second;
        open_.erase(found);
    }
    if (one.objects == 0) return {};
    const std::string detail = fmt::format("of {}, {} after {} object{}", one.calling_ae, how, one.objects,
                                           one.objects == 1 ? "" : "s");
    return index_.write([&](storage::Connection& db) {
        return storage::note_association_end(db, one.calling_ae, one.opened, {clock_.now(), "", detail});
    });
}

bool Associations::open_from(const std::string& calling_ae) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(open_.begin(), open_.end(), [&](const auto& entry) {
        return entry.second.calling_ae == calling_ae && entry.second.objects > 0;
    });
}

}  // namespace scopenode::workflows

#include "storage/archive/staged.h"

namespace scopenode::storage {
namespace {

/// Enough for a CT slice; what an association keeps in memory of an object.
constexpr std::size_t kMostUnhashed = 1 << 20;

}  // namespace

StagedObject::StagedObject() = default;
StagedObject::~StagedObject() = default;
StagedObject::StagedObject(StagedObject&&) noexcept = default;

Status StagedObject::append(std::string_view bytes) {
    SCOPENODE_TRY(state_->file->write(bytes));
    std::string& unhashed = state_->unhashed;
    if (unhashed.size() + bytes.size() > kMostUnhashed) {
        state_->hash->update(unhashed);
        unhashed.clear();
    }
    if (bytes.size() > kMostUnhashed) {
        state_->hash->update(bytes);
    } else {
        if (unhashed.capacity() < kMostUnhashed) unhashed.reserve(kMostUnhashed);
        unhashed.append(bytes);
    }
    state_->bytes += bytes.size();
    return {};
}

}  // namespace scopenode::storage

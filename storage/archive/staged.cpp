#include "storage/archive/staged.h"

namespace scopenode::storage {

StagedObject::StagedObject() = default;
StagedObject::~StagedObject() = default;
StagedObject::StagedObject(StagedObject&&) noexcept = default;

Status StagedObject::append(std::string_view bytes) {
    SCOPENODE_TRY(state_->file->write(bytes));
    state_->hash->update(bytes);
    state_->bytes += bytes.size();
    return {};
}

}  // namespace scopenode::storage

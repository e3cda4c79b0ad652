#include "storage/archive/object_files.h"

#include "base/core/ids.h"

namespace scopenode::storage {
namespace {

constexpr int kLot = 16;

}  // namespace

ObjectFiles::ObjectFiles(std::filesystem::path node, FileSystem& files)
    : node_(std::move(node)), files_(files), run_(random_hex().substr(0, 8)) {}

ObjectFiles::~ObjectFiles() {
    for (Empty& spare : spare_) {
        spare.file.reset();
        (void)files_.remove(node_ / spare.path);
    }
}

Status ObjectFiles::make_lot() {
    const auto folder = std::filesystem::path("objects") / random_hex().substr(0, 2);
    const auto fill = [&]() -> Status {
        for (int i = 0; i < kLot; ++i) {
            const std::string name = folder.filename().string() + random_hex().substr(0, 22) + run_;
            Empty empty{folder / (name + ".dcm"), nullptr};
            SCOPENODE_ASSIGN(empty.file, files_.create(node_ / empty.path));
            spare_.push_back(std::move(empty));
        }
        return files_.sync_folder(node_ / folder);
    };
    Status made = guard(Code::kInternal, fill);
    if (made) return made;
    // Names that may not survive a power cut are of no use.
    for (Empty& spare : spare_) (void)files_.remove(node_ / spare.path);
    spare_.clear();
    return made;
}

Result<ObjectFiles::Empty> ObjectFiles::take() {
    std::lock_guard lock(mutex_);
    if (spare_.empty()) SCOPENODE_TRY(make_lot());
    Empty taken = std::move(spare_.back());
    spare_.pop_back();
    return taken;
}

}  // namespace scopenode::storage

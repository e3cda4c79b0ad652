#pragma once
#include "storage/archive/archive.h"

namespace scopenode::storage {

struct StagedObject::State {
    State() = default;
    State(State&& other) noexcept { *this = std::move(other); }
    State& operator=(State&& other) noexcept {
        std::swap(files, other.files);
        std::swap(file, other.file);
        std::swap(hash, other.hash);
        std::swap(path, other.path);
        std::swap(absolute, other.absolute);
        std::swap(sha256, other.sha256);
        std::swap(bytes, other.bytes);
        std::swap(kept, other.kept);
        std::swap(synced, other.synced);
        return *this;
    }
    ~State() {
        file.reset();
        if (files != nullptr && !kept && !absolute.empty()) (void)files->remove(absolute);
    }

    /// File and folder are on stable storage; the digest is final.
    Status sync() {
        SCOPENODE_TRY(file->sync());
        SCOPENODE_TRY(files->sync_folder(absolute.parent_path()));
        file.reset();
        sha256 = hash->hex();
        synced = true;
        return {};
    }
    void keep() { kept = true; }

    FileSystem* files = nullptr;
    std::unique_ptr<OutputFile> file;
    std::unique_ptr<Sha256> hash;
    std::filesystem::path path, absolute;  ///< relative to the node folder; on disk
    std::string sha256;
    std::uint64_t bytes = 0;
    bool kept = false, synced = false;
};

}  // namespace scopenode::storage

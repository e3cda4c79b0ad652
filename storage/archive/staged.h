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
        return *this;
    }
    ~State() {
        file.reset();
        if (files != nullptr && !kept && !absolute.empty()) (void)files->remove(absolute);
    }

    /// No more bytes will come: the digest is final, the disk has begun.
    void end() {
        file->begin_writeback();
        sha256 = hash->hex();
    }
    void keep() { kept = true; }

    FileSystem* files = nullptr;
    std::unique_ptr<OutputFile> file;
    std::unique_ptr<Sha256> hash;
    std::filesystem::path path, absolute;  ///< relative to the node folder; on disk
    std::string sha256;
    std::uint64_t bytes = 0;
    bool kept = false;
};

}  // namespace scopenode::storage

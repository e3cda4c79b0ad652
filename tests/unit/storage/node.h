#pragma once
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/archive/archive.h"
#include "storage/dicom/ct_writer.h"
#include "storage/index/catalog.h"
#include "storage/index/database.h"
#include "tests/support/data.h"

namespace scopenode::test {

inline constexpr const char* kCt = "1.2.840.10008.5.1.4.1.1.2";

/// A small CT object; `grey` tells contents apart.
struct Ct {
    std::string patient_id = "P1", study_uid = "2.25.1", series_uid = "2.25.2", sop_instance_uid = "2.25.3";
    int grey = 40;

    std::string bytes() const {
        storage::CtSlice s;
        s.patient_id = patient_id;
        s.patient_name = "DOE^JANE";
        s.study_uid = study_uid;
        s.series_uid = series_uid;
        s.sop_instance_uid = sop_instance_uid;
        s.frame_of_reference_uid = "2.25.4";
        s.rows = s.columns = 16;
        const std::vector<std::int32_t> raw(256, 1024 + grey);
        s.raw = raw;
        auto encoded = storage::encode_ct(s);
        return encoded ? *encoded : "";
    }
};

/// An archive with its index in a folder of its own.
struct Node {
    TemporaryFolder folder;
    SystemClock clock;
    std::unique_ptr<storage::Index> index;
    std::unique_ptr<storage::Archive> archive;

    explicit Node(FileSystem& files = real_files()) {
        auto opened = storage::Index::open(folder.path() / "index.sqlite", clock);
        REQUIRE(opened);
        index = std::move(*opened);
        auto objects = storage::Archive::open(folder.path(), *index, files, 0);
        REQUIRE(objects);
        archive = std::move(*objects);
    }

    Result<storage::StoreOutcome> store(const std::string& bytes, const std::string& uid,
                                        const std::string& issuer = "", const std::string& sop_class = kCt) {
        SCOPENODE_ASSIGN(auto object, archive->stage());
        SCOPENODE_TRY(object.append(bytes));
        storage::StoreContext context;
        context.calling_ae = "TEST";
        context.sop_class_uid = sop_class;
        context.sop_instance_uid = uid;
        context.default_issuer = issuer;
        return archive->store(std::move(object), context);
    }
    Result<storage::StoreOutcome> store(const Ct& ct, const std::string& issuer = "") {
        return store(ct.bytes(), ct.sop_instance_uid, issuer);
    }

    std::int64_t count(const char* sql) {
        auto n = index->read([&](storage::Connection& db) { return count_on(db, sql); });
        REQUIRE(n);
        return *n;
    }
    int files_under(const char* name) const {
        return static_cast<int>(files_with_content(folder.path() / name).size());
    }

  private:
    static Result<std::int64_t> count_on(storage::Connection& db, const char* sql);
};

}  // namespace scopenode::test

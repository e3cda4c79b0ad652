#include "ml/slice_record.h"

#include <nlohmann/json.hpp>

namespace scopenode::ml {

using nlohmann::json;

bool SliceRecord::positive() const {
    for (const auto& label : labels)
        if (label.value_or(false)) return true;
    return false;
}

bool SliceRecord::labelled() const {
    for (const auto& label : labels)
        if (label) return true;
    return false;
}

json record_json(const SliceRecord& record) {
    json labels = json::array();
    for (const auto& label : record.labels) labels.push_back(label ? json(*label ? 1 : 0) : json(nullptr));
    json all{record.study, record.patient, record.z_mm, labels};
    if (record.part || record.rehearsal || record.weight != 1)
        all.push_back({{"part", record.part ? json(int(*record.part)) : json()},
                       {"rehearsal", record.rehearsal},
                       {"weight", record.weight}});
    return all;
}

SliceRecord record_of(const json& j) {
    SliceRecord record{{}, j.at(0), j.at(1), j.at(2)};
    if (j.size() > 4) {
        const json& more = j.at(4);
        if (!more.at("part").is_null()) record.part = Part(more.at("part").get<int>());
        record.rehearsal = more.at("rehearsal");
        record.weight = more.at("weight");
    }
    for (std::size_t k = 0; k < kLabelCount; ++k)
        if (const auto& label = j.at(3).at(k); !label.is_null()) record.labels[k] = label.get<int>() != 0;
    return record;
}

}  // namespace scopenode::ml

#include "ml/torch/trainer_split.h"

#include <cmath>
#include <map>

#include "base/core/ids.h"
#include "ml/torch/draw.h"

namespace scopenode::ml {
namespace {

constexpr std::size_t kNegativesLeftOut = 3;  ///< one of so many is taken
constexpr std::uint64_t kRehearsalStream = 1U << 20;

const std::string& patient_of(const SliceRecord& record) {
    return record.patient.empty() ? record.study : record.patient;
}

Part part_by_hash(const std::string& patient, double validation_share) {
    const std::string hash = sha256_hex("split|" + patient).substr(0, 12);
    const double place = static_cast<double>(std::stoull(hash, nullptr, 16)) / std::pow(2.0, 48);
    return place < validation_share ? Part::kJudge : Part::kLearn;
}

/// Where the set puts patients.
Result<std::map<std::string, Part>> told_parts(const std::vector<SliceRecord>& records) {
    std::map<std::string, Part> parts;
    for (const SliceRecord& record : records) {
        if (!(record.weight > 0 && record.weight <= 1))
            return fail(Code::kInvalidArgument, "study {}: a slice weighs {}, not above 0 and at most 1",
                        record.study, record.weight);
        if (!record.part) continue;
        const std::string& patient = patient_of(record);
        if (parts.emplace(patient, *record.part).first->second != *record.part)
            return fail(
                Code::kInvalidArgument,
                "patient {} has slices to learn from and slices to judge by: a patient is on one side",
                patient);
    }
    return parts;
}

/// Every positive slice and a third of the others, the others last; all where `natural`.
std::vector<std::size_t> thinned(const std::vector<SliceRecord>& records,
                                 const std::vector<std::size_t>& from, bool natural, Draw& draw) {
    std::vector<std::size_t> order, negatives;
    for (const std::size_t index : from) (records[index].positive() ? order : negatives).push_back(index);
    const std::size_t kept = (negatives.size() + kNegativesLeftOut - 1) / kNegativesLeftOut;
    const std::size_t count = order.size() + kept;
    draw.shuffle(negatives);
    if (natural) {
        order = from;
    } else {
        order.insert(order.end(), negatives.begin(), negatives.begin() + static_cast<std::ptrdiff_t>(kept));
    }
    draw.shuffle(order);
    order.resize(count);
    return order;
}

}  // namespace

Result<Split> split_by_patient(const std::vector<SliceRecord>& records, double validation_share) {
    SCOPENODE_ASSIGN(const auto told, told_parts(records));
    Split split;
    for (std::size_t i = 0; i < records.size(); ++i) {
        if (!records[i].labelled()) continue;
        const std::string& patient = patient_of(records[i]);
        const auto found = told.find(patient);
        const Part part = found != told.end() ? found->second : part_by_hash(patient, validation_share);
        auto& list = part == Part::kJudge ? split.validation
                                          : (records[i].rehearsal ? split.rehearsal : split.training);
        list.push_back(i);
    }
    if (split.training.empty()) split.training.swap(split.rehearsal);
    return split;
}

std::vector<std::size_t> epoch_order(const std::vector<SliceRecord>& records, const Split& split,
                                     const EpochDraw& draw) {
    const auto stream = static_cast<std::uint64_t>(draw.epoch) + 1;
    Draw fresh(draw.seed, stream);
    auto order = thinned(records, split.training, draw.natural, fresh);
    if (split.rehearsal.empty() || draw.rehearsal_share <= 0) return order;
    const double ratio = draw.rehearsal_share / (1 - draw.rehearsal_share);
    const auto wanted = static_cast<std::size_t>(std::llround(ratio * static_cast<double>(order.size())));
    const std::size_t end = order.size() + wanted;
    Draw earlier(draw.seed, kRehearsalStream + stream);
    while (order.size() < end) {
        const auto more = thinned(records, split.rehearsal, draw.natural, earlier);
        const std::size_t taken = std::min(more.size(), end - order.size());
        order.insert(order.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    fresh.shuffle(order);
    return order;
}

}  // namespace scopenode::ml

#include "ml/torch/trainer_state.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "ml/torch/layers.h"
#include "ml/torch/trainer_depth.h"
#include "ml/torch/trainer_report.h"

namespace scopenode::ml {
namespace {

using nlohmann::json;
using torch::optim::AdamW;
using torch::optim::AdamWOptions;

constexpr std::string_view kMagic = "scopenode checkpoint 1\n";

/// Weight decay pulls at matrices and kernels, not at offsets, norms, positions and head mixing.
bool decays(const std::string& name, const torch::Tensor& parameter) {
    if (parameter.dim() < 2) return false;
    for (const char* part : {"positions", "class_token", "mix"})
        if (name.find(part) != std::string::npos) return false;
    return true;
}

std::string optimizer_bytes(const torch::optim::Optimizer& optimizer) {
    torch::serialize::OutputArchive archive;
    optimizer.save(archive);
    std::ostringstream out;
    archive.save_to(out);
    return std::move(out).str();
}

/// The blobs of a checkpoint behind a JSON head that tells their sizes and digest.
std::string pack(json head, const std::vector<std::string>& blobs) {
    std::string body;
    head["sizes"] = json::array();
    for (const auto& blob : blobs) {
        head["sizes"].push_back(blob.size());
        body += blob;
    }
    head["sha256"] = sha256_hex(body);
    head["head_sha256"] = sha256_hex(head.dump());
    return std::string(kMagic) + head.dump() + "\n" + body;
}

Result<std::pair<json, std::vector<std::string>>> unpack(const std::string& bytes, const std::string& where) {
    const auto damaged = [&] {
        return fail(Code::kDamagedModel, "{} is damaged: delete it to start again", where);
    };
    if (bytes.rfind(kMagic, 0) != 0) return damaged();
    const auto end = bytes.find('\n', kMagic.size());
    if (end == std::string::npos) return damaged();
    json head = json::parse(bytes.begin() + std::ptrdiff_t(kMagic.size()),
                            bytes.begin() + std::ptrdiff_t(end), nullptr, false);
    if (head.is_discarded() ||
        head.value("sha256", "") != sha256_hex(std::string_view(bytes).substr(end + 1)))
        return damaged();
    // Checkpoints from before there was one have no digest of their head.
    if (head.contains("head_sha256")) {
        const json digest = head["head_sha256"];
        head.erase("head_sha256");
        if (digest != sha256_hex(head.dump())) return damaged();
    }
    std::vector<std::string> blobs;
    std::size_t at = end + 1;
    for (const std::size_t size : head.at("sizes").get<std::vector<std::size_t>>()) {
        blobs.push_back(bytes.substr(at, size));
        at += size;
    }
    if (blobs.size() < 3 || blobs.size() > 4 || at != bytes.size()) return damaged();
    return std::pair{std::move(head), std::move(blobs)};
}

/// Running mean and variance of every batch norm inside that learns; frozen ones keep theirs.
std::vector<torch::Tensor> statistics_of(const torch::nn::Module& module) {
    std::vector<torch::Tensor> out;
    for (const auto& inner : module.modules()) {
        const auto* norm = dynamic_cast<const BatchNorm*>(inner.get());
        if (!norm || !norm->is_training()) continue;
        out.push_back(norm->running_mean);
        out.push_back(norm->running_var);
    }
    return out;
}

std::vector<torch::Tensor> copies(const std::vector<torch::Tensor>& tensors) {
    std::vector<torch::Tensor> out;
    for (const auto& tensor : tensors) out.push_back(tensor.clone());
    return out;
}

void fill(std::vector<torch::Tensor>& tensors, double value) {
    for (auto& tensor : tensors) tensor.fill_(value);
}

}  // namespace

void TrainingState::set_learning_rate(double rate) {
    auto& groups = optimizer->param_groups();
    for (std::size_t i = 0; i < groups.size(); ++i)
        static_cast<AdamWOptions&>(groups[i].options()).lr(rate * rate_factors[i]);
}

void TrainingState::update_average() {
    const torch::NoGradGuard no_grad;
    const double decay = std::min(0.995, (1.0 + double(updates)) / (10.0 + double(updates)));
    ++updates;
    const auto pull = [&](const std::vector<torch::Tensor>& from, const std::vector<torch::Tensor>& to) {
        for (std::size_t i = 0; i < from.size(); ++i) torch::Tensor(to[i]).lerp_(from[i], 1 - decay);
    };
    pull(network->parameters(), average->parameters());
    pull(network->buffers(), average->buffers());
}

void TrainingState::refresh_statistics(std::size_t batches,
                                       const std::function<torch::Tensor(std::size_t)>& batch) {
    const torch::NoGradGuard no_grad;
    train_above(*average, depth);
    auto live = statistics_of(*average);
    if (live.empty()) return average->eval();
    // From zero, one pass leaves momentum times the batch's statistics; from one, 1 - momentum more. Their
    // difference gives the momentum of each norm without knowing its class.
    torch::manual_seed(1);
    fill(live, 0);
    average->forward(batch(0));
    const auto from_zero = copies(live);
    torch::manual_seed(1);
    fill(live, 1);
    average->forward(batch(0));
    std::vector<torch::Tensor> momentum, sum;
    for (std::size_t i = 0; i < live.size(); ++i) {
        momentum.push_back((1 - (live[i] - from_zero[i]).mean()).clamp_min(1e-4));
        sum.push_back(from_zero[i] / momentum[i]);
    }
    for (std::size_t b = 1; b < batches; ++b) {
        fill(live, 0);
        average->forward(batch(b));
        for (std::size_t i = 0; i < live.size(); ++i) sum[i] += live[i] / momentum[i];
    }
    for (std::size_t i = 0; i < live.size(); ++i) live[i].copy_(sum[i] / double(batches));
    average->eval();
}

Status TrainingState::save(const std::filesystem::path& path, const std::string& fingerprint) const {
    json head{
        {"fingerprint", fingerprint}, {"epoch", epoch}, {"updates", updates}, {"history", json::array()}};
    for (const auto& report : history) head["history"].push_back(report_json(report));
    std::vector<std::string> blobs{save_weights(*network), save_weights(*average),
                                   optimizer_bytes(*optimizer)};
    if (!best.empty()) blobs.push_back(best);
    return write_file(real_files(), path, pack(std::move(head), blobs));
}

Status TrainingState::restore(const std::filesystem::path& path, const std::string& fingerprint) {
    SCOPENODE_ASSIGN(const auto bytes, read_file(path));
    return guard(Code::kDamagedModel, [&]() -> Status {
        SCOPENODE_ASSIGN(const auto parts, unpack(bytes, path.string()));
        const auto& [head, blobs] = parts;
        if (head.value("fingerprint", "") != fingerprint)
            return fail(Code::kConflict,
                        "{} is of a run with other options or data: use the same, or another --out",
                        path.string());
        SCOPENODE_TRY(load_weights(*network, blobs[0], path.string()));
        SCOPENODE_TRY(load_weights(*average, blobs[1], path.string()));
        std::istringstream in(blobs[2]);
        torch::serialize::InputArchive archive;
        archive.load_from(in);
        optimizer->load(archive);
        best = blobs.size() > 3 ? blobs[3] : "";
        epoch = head.at("epoch");
        updates = head.at("updates");
        history.clear();
        for (const auto& report : head.at("history")) history.push_back(report_of(report));
        return {};
    });
}

int best_epoch(const std::vector<EpochReport>& history) {
    int best = -1;
    for (std::size_t i = 0; i < history.size(); ++i)
        if (best < 0 || history[i].validation_loss < history[std::size_t(best)].validation_loss)
            best = int(i);
    return best;
}

namespace {

/// Matrices and kernels apart from what has no decay; the CNNs apart from the rest where their rate differs.
void make_optimizer(const TrainOptions& options, TrainingState& state) {
    std::array<std::vector<torch::Tensor>, 4> lists;
    for (const auto& item : state.network->named_parameters()) {
        if (!item.value().requires_grad()) continue;
        const std::size_t slow = options.cnn_rate != 1 && is_of_cnn(item.key()) ? 2 : 0;
        lists[slow + (decays(item.key(), item.value()) ? 0 : 1)].push_back(item.value());
    }
    std::vector<torch::optim::OptimizerParamGroup> groups;
    for (std::size_t i = 0; i < lists.size(); ++i) {
        if (lists[i].empty() && i >= 2) continue;
        const double factor = i >= 2 ? options.cnn_rate : 1, decay = i % 2 == 0 ? options.weight_decay : 0;
        groups.emplace_back(
            std::move(lists[i]),
            std::make_unique<AdamWOptions>(AdamWOptions(options.learning_rate * factor).weight_decay(decay)));
        state.rate_factors.push_back(factor);
    }
    state.optimizer = std::make_unique<AdamW>(std::move(groups), AdamWOptions(options.learning_rate));
}

}  // namespace

Result<std::unique_ptr<TrainingState>> make_training_state(const TrainOptions& options,
                                                           torch::Device device) {
    auto state = std::make_unique<TrainingState>();
    state->depth = options.depth;
    SCOPENODE_ASSIGN(state->network, make_scopeformer(options.preset));
    SCOPENODE_ASSIGN(state->average, make_scopeformer(options.preset));
    if (options.from)
        SCOPENODE_TRY(load_weights(*state->network, options.from->weights, options.from->where));
    SCOPENODE_TRY(load_weights(*state->average, save_weights(*state->network), "moving average"));
    state->network->to(device);
    state->average->to(device);
    freeze_below(*state->network, options.depth);
    if (options.depth != Depth::kCalibration) make_optimizer(options, *state);
    return state;
}

}  // namespace scopenode::ml

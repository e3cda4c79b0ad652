#include "ml/torch/trainer_state.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "ml/torch/layers.h"

namespace scopenode::ml {
namespace {

using nlohmann::json;
using torch::optim::AdamW;
using torch::optim::AdamWOptions;

constexpr std::string_view kMagic = "scopenode checkpoint 1\n";

json to_json(const EpochReport& report) {
    return {{"epoch", report.epoch},
            {"train_loss", report.train_loss},
            {"validation_loss", report.validation_loss},
            {"validation_auroc", report.validation_auroc},
            {"slices_per_second", report.slices_per_second}};
}

EpochReport report_of(const json& j) {
    EpochReport report;
    report.epoch = j.at("epoch");
    report.train_loss = j.at("train_loss");
    report.validation_loss = j.at("validation_loss");
    report.slices_per_second = j.at("slices_per_second");
    for (std::size_t k = 0; k < kLabelCount; ++k) {
        const json& value = j.at("validation_auroc").at(k);
        report.validation_auroc[k] = value.is_null() ? std::nan("") : value.get<double>();
    }
    return report;
}

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
    std::vector<std::string> blobs;
    std::size_t at = end + 1;
    for (const std::size_t size : head.at("sizes").get<std::vector<std::size_t>>()) {
        blobs.push_back(bytes.substr(at, size));
        at += size;
    }
    if (blobs.size() != 3 || at != bytes.size()) return damaged();
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
    for (auto& group : optimizer->param_groups()) static_cast<AdamWOptions&>(group.options()).lr(rate);
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
    average->train();
    auto live = statistics_of(*average);
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
    for (const auto& report : history) head["history"].push_back(to_json(report));
    return write_file(
        real_files(), path,
        pack(std::move(head), {save_weights(*network), save_weights(*average), optimizer_bytes(*optimizer)}));
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
        epoch = head.at("epoch");
        updates = head.at("updates");
        history.clear();
        for (const auto& report : head.at("history")) history.push_back(report_of(report));
        return {};
    });
}

Result<std::unique_ptr<TrainingState>> make_training_state(const TrainOptions& options,
                                                           torch::Device device) {
    auto state = std::make_unique<TrainingState>();
    SCOPENODE_ASSIGN(state->network, make_scopeformer(options.preset));
    SCOPENODE_ASSIGN(state->average, make_scopeformer(options.preset));
    if (options.from)
        SCOPENODE_TRY(load_weights(*state->network, options.from->weights, options.from->where));
    SCOPENODE_TRY(load_weights(*state->average, save_weights(*state->network), "moving average"));
    state->network->to(device);
    state->average->to(device);
    std::vector<torch::Tensor> pulled, free;
    for (const auto& item : state->network->named_parameters())
        if (item.value().requires_grad())
            (decays(item.key(), item.value()) ? pulled : free).push_back(item.value());
    const auto rates = [&](double decay) {
        return std::make_unique<AdamWOptions>(AdamWOptions(options.learning_rate).weight_decay(decay));
    };
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(std::move(pulled), rates(options.weight_decay));
    groups.emplace_back(std::move(free), rates(0));
    state->optimizer = std::make_unique<AdamW>(std::move(groups), AdamWOptions(options.learning_rate));
    return state;
}

namespace {

json slice_figures(const MultiLabelFigures& f) {
    return {{"weighted_log_loss", f.weighted_log_loss},
            {"paper_eq3", f.paper_eq3},
            {"weighted_accuracy", f.weighted_accuracy},
            {"mean_brier", f.mean_brier}};
}

}  // namespace

std::string metrics_json(const TrainOptions& options, const std::vector<EpochReport>& history,
                         const RunFigures& figures) {
    json epochs = json::array(), auroc = json::object();
    for (const auto& report : history) epochs.push_back(to_json(report));
    for (std::size_t k = 0; k < kLabelCount; ++k)
        auroc[std::string(kLabels[k])] = figures.validation_auroc[k];
    return json{{"options",
                 {{"preset", options.preset.name},
                  {"epochs", options.epochs},
                  {"batch", options.batch},
                  {"learning_rate", options.learning_rate},
                  {"weight_decay", options.weight_decay},
                  {"seed", options.seed},
                  {"loss", word(options.loss)},
                  {"validation_share", options.validation_share}}},
                {"training", {{"slices", figures.training_slices}}},
                {"validation",
                 {{"slices", figures.validation_slices},
                  {"studies", figures.validation_studies},
                  {"study_auroc", auroc},
                  {"slice_figures", slice_figures(figures.validation)},
                  {"of_all_negative", slice_figures(figures.baselines.all_negative)},
                  {"of_prevalence", slice_figures(figures.baselines.constant_prevalence)}}},
                {"epochs", epochs}}
               .dump(2) +
           "\n";
}

std::string plain_card(const TrainOptions& options, const Manifest& manifest, const RunFigures& figures) {
    std::string text = fmt::format(
        "# {}\n\n{}Preset `{}`, trained on {} slices of: {}.\n\n"
        "{} epochs, batch {}, learning rate {}, weight decay {}, seed {}, loss {}.\n\n"
        "| finding | study AUC on {} validation studies | threshold |\n|---|---|---|\n",
        manifest.name, manifest.demonstration ? "**A demonstration: never for patients.**\n\n" : "",
        options.preset.name, figures.training_slices, manifest.data_snapshot, options.epochs, options.batch,
        options.learning_rate, options.weight_decay, options.seed, word(options.loss),
        figures.validation_studies);
    for (std::size_t k = 0; k < kLabelCount; ++k)
        text += fmt::format("| {} | {:.3f} | {:.3f} |\n", kLabels[k], figures.validation_auroc[k],
                            manifest.thresholds[k]);
    const double loss = figures.validation.weighted_log_loss,
                 guess = figures.baselines.constant_prevalence.weighted_log_loss;
    if (figures.validation_slices > 0)
        text += fmt::format(
            "\nWeighted log loss over {} validation slices {:.4f}; of their prevalence alone {:.4f}{}.\n",
            figures.validation_slices, loss, guess, loss < guess ? "" : ": the model is NO BETTER than that");
    text += "\nThresholds and calibration were fitted on these same validation studies.\n";
    return text;
}

}  // namespace scopenode::ml

#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "ml/grid.h"
#include "ml/labels.h"
#include "ml/manifest.h"

namespace scopenode::ml {

/// Numbers of the CNNs' arithmetic; the encoder is always in 32-bit floats.
enum class Precision { kFloat32, kBfloat16 };

/// "fp32" or "bf16"; anything else is fp32.
inline Precision precision_named(const std::string& name) {
    return name == "bf16" ? Precision::kBfloat16 : Precision::kFloat32;
}

struct ModelOptions {
    std::string device = "auto";  ///< auto, cpu, cuda:N; auto takes a GPU where there is one
    int threads = 0;  ///< LibTorch's CPU threads for the process; 0: as many as cores; narrow presets: one
    int batch = 8;    ///< slices a forward pass
    Precision precision = Precision::kFloat32;
};

/// What a model says of one slice.
struct SliceScores {
    Scores scores{};                 ///< raw (uncalibrated) probabilities
    std::optional<double> distance{};  ///< from its training data (distance_from); nothing: no range is known
};

/// A loaded model that only infers. Immutable; infer() may be called from several threads, one runs at a
/// time.
class Model {
  public:
    virtual ~Model() = default;
    /// kDamagedModel names the file and the fault; weights must fill every tensor exactly once.
    static Result<std::shared_ptr<const Model>> load(const ModelFiles& files, const ModelOptions& options);

    virtual const Manifest& manifest() const = 0;
    virtual const std::string& id() const = 0;  ///< 12 hex digits
    virtual const std::string& manifest_sha256() const = 0;
    virtual std::string device() const = 0;  ///< "cpu" or "cuda:0"
    /// In the order of `slices`; any size, resized inside.
    virtual Result<std::vector<SliceScores>> infer(std::span<const HuImage> slices) const = 0;
    /// Where the model saw evidence in a slice: one map for each of `labels` (places in kLabels), Grad-CAM
    /// over the last feature maps of all CNNs together, S/32 x S/32, >= 0. Waits for an infer() that runs,
    /// but only for one pass. kUnsupported from a model that has none.
    virtual Result<std::vector<Grid>> grad_cam(const HuImage& slice,
                                               std::span<const std::size_t> labels) const {
        return fail(Code::kUnsupported, "model {} gives no heat maps ({} x {} pixels, {} findings)", id(),
                    slice.width, slice.height, labels.size());
    }
};

}  // namespace scopenode::ml

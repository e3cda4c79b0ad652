#pragma once
#include <ATen/autocast_mode.h>
#include <torch/torch.h>
#include <torch/version.h>

namespace scopenode::ml {

/// While it lives, this thread's convolutions and matrix products are in bfloat16 and what needs more stays
/// in 32-bit floats; weights, gradients and the optimizer are 32-bit floats all the time. bfloat16 has the
/// range of a float: nothing has to be scaled.
class Autocast {
  public:
    Autocast(torch::Device device, bool wanted) : device_(device.type()), on_(wanted) {
        if (on_) set(true);
    }
    ~Autocast() {
        if (!on_) return;
        set(false);
        at::autocast::clear_cache();
    }
    Autocast(const Autocast&) = delete;
    Autocast& operator=(const Autocast&) = delete;

  private:
    void set(bool enabled) const {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
        at::autocast::set_autocast_dtype(device_, at::kBFloat16);
        at::autocast::set_autocast_enabled(device_, enabled);
#else
        if (device_ == at::kCPU) {
            at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
            at::autocast::set_cpu_enabled(enabled);
        } else {
            at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
            at::autocast::set_enabled(enabled);
        }
#endif
    }

    at::DeviceType device_;
    bool on_;
};

}  // namespace scopenode::ml

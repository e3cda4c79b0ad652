#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "storage/dicom/pixels.h"

namespace scopenode::storage {

/// Reads slices as HU. Compressed pixels are decoded in one long-lived process of its own, because decoders
/// meet what anybody sent: it has limits (decode_child.h), and when an image crashes it or takes too long,
/// that image is an error and the next one gets a new process. A process that dies once is given the image
/// again, for somebody else may have ended it. Thread-safe; one image is decoded at a time.
class PixelReader {
  public:
    /// `longest` is for a decoder that hangs: what computes without end meets its limit of processor time
    /// long before, and a machine that is merely busy must not cost a slice. `child`: program and arguments
    /// of a process that calls serve_decoding(0, 1); empty: decode in this one.
    explicit PixelReader(std::vector<std::string> child = {},
                         std::chrono::seconds longest = std::chrono::seconds(300));

    /// As read_hu(); kCannotUnderstand too when decoding crashes or exceeds its limits, kOutOfResources when
    /// no process can be started.
    Result<HuImage> read(const std::filesystem::path& file, Rescale rescale = Rescale::kAsTold);

    /// Of the decoding process; -1 when none runs.
    pid_t child_pid() const;
    /// How many were started so far.
    int starts() const;

  private:
    enum class Fate { kAnswered, kEnded, kTooLate, kNonsense };
    struct Reply {
        Fate fate = Fate::kEnded;
        Result<HuImage> image;
    };

    Result<HuImage> decode(const std::filesystem::path& file, Rescale rescale, ImageSize expected);
    Status start();
    Reply ask(const std::filesystem::path& file, Rescale rescale, ImageSize expected);
    Reply hear(ImageSize expected, ChildProcess::Deadline deadline);

    const std::vector<std::string> command_;
    const std::chrono::seconds longest_;
    mutable std::mutex mutex_;
    std::unique_ptr<ChildProcess> child_;
    int starts_ = 0;
};

}  // namespace scopenode::storage

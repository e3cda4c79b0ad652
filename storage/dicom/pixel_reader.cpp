#include "storage/dicom/pixel_reader.h"

#include <signal.h>

#include <array>

#include "storage/dicom/decode_protocol.h"

namespace scopenode::storage {
namespace {

// A cold start loads the program's libraries from a disk.
constexpr auto kLongestStart = std::chrono::seconds(300);
constexpr int kTries = 2;

}  // namespace

PixelReader::PixelReader(std::vector<std::string> child, std::chrono::seconds longest)
    : command_(std::move(child)), longest_(longest) {}

pid_t PixelReader::child_pid() const {
    const std::lock_guard lock(mutex_);
    return child_ ? child_->pid() : -1;
}

int PixelReader::starts() const {
    const std::lock_guard lock(mutex_);
    return starts_;
}

Result<HuImage> PixelReader::read(const std::filesystem::path& file, Rescale rescale) {
    if (command_.empty()) return read_hu(file, rescale);
    SCOPENODE_ASSIGN(auto image, read_uncompressed_hu(file, rescale));
    if (!image.hu.empty()) return image;
    return guard(Code::kOutOfResources, [&]() -> Result<HuImage> {
        const std::lock_guard lock(mutex_);
        return decode(file, rescale, {image.width, image.height});
    });
}

Result<HuImage> PixelReader::decode(const std::filesystem::path& file, Rescale rescale, ImageSize expected) {
    const std::string name = file.filename().string();
    for (int tries = 1;; ++tries) {
        if (!child_) SCOPENODE_TRY(start());
        Reply reply = ask(file, rescale, expected);
        if (reply.fate == Fate::kAnswered) return std::move(reply.image);
        if (reply.fate == Fate::kNonsense || reply.fate == Fate::kTooLate) {
            child_->kill();
            child_.reset();
            if (reply.fate == Fate::kNonsense)
                return fail(Code::kCannotUnderstand,
                            "{}: its decoder was upset and gave no image: the file is damaged or hostile",
                            name);
            return fail(
                Code::kCannotUnderstand,
                "{}: decoding it took longer than {} s and was stopped: the file is damaged or hostile", name,
                longest_.count());
        }
        const int rc = child_->kill();
        child_.reset();
        if (rc == 128 + SIGXCPU)
            return fail(Code::kCannotUnderstand,
                        "{}: decoding it needed more processor time than any real image: the file is damaged "
                        "or hostile",
                        name);
        if (tries == kTries)
            return fail(
                Code::kCannotUnderstand,
                "{}: decoding it crashed ({} {}), in a process of its own: the file is damaged or hostile",
                name, rc > 128 ? "signal" : "exit status", rc > 128 ? rc - 128 : rc);
    }
}

Status PixelReader::start() {
    SCOPENODE_ASSIGN(auto child, ChildProcess::start(command_, {}, "/dev/null", ChildProcess::Talks::kToUs));
    ++starts_;
    std::array<char, kHello.size()> hello{};
    const auto heard = child.receive(hello, std::chrono::steady_clock::now() + kLongestStart);
    if (heard != ChildProcess::Heard::kAll || std::string_view(hello.data(), hello.size()) != kHello) {
        const int rc = child.kill();
        return fail(Code::kOutOfResources, "the decoding process {} does not start (exit status {})",
                    command_.front(), rc);
    }
    child_ = std::make_unique<ChildProcess>(std::move(child));
    return {};
}

PixelReader::Reply PixelReader::ask(const std::filesystem::path& file, Rescale rescale, ImageSize expected) {
    const auto deadline = std::chrono::steady_clock::now() + longest_;
    const std::string path = std::filesystem::absolute(file).string();
    switch (child_->send(request_head({rescale, path.size()}) + path, deadline)) {
        case ChildProcess::Heard::kEnded:
            return {Fate::kEnded, {}};
        case ChildProcess::Heard::kTooLate:
            return {Fate::kTooLate, {}};
        default:
            return hear(expected, deadline);
    }
}

PixelReader::Reply PixelReader::hear(ImageSize expected, ChildProcess::Deadline deadline) {
    const auto fate_of = [](ChildProcess::Heard heard) {
        return heard == ChildProcess::Heard::kTooLate ? Fate::kTooLate : Fate::kEnded;
    };
    std::array<char, kAnswerBytes> head{};
    if (const auto heard = child_->receive(head, deadline); heard != ChildProcess::Heard::kAll)
        return {fate_of(heard), {}};
    const auto answer = parse_answer(head);
    if (!answer) return {Fate::kNonsense, {}};
    if (answer->failed) {
        std::string text(answer->text_bytes, '\0');
        if (const auto heard = child_->receive(text, deadline); heard != ChildProcess::Heard::kAll)
            return {fate_of(heard), {}};
        return {Fate::kAnswered, fail(Error{*answer->failed, printable_sentence(text)})};
    }
    if (answer->width != expected.width || answer->height != expected.height) return {Fate::kNonsense, {}};
    HuImage image{answer->width, answer->height,
                  std::vector<float>(static_cast<std::size_t>(answer->width) *
                                     static_cast<std::size_t>(answer->height))};
    const std::span bytes(reinterpret_cast<char*>(image.hu.data()), image.hu.size() * sizeof(float));
    if (const auto heard = child_->receive(bytes, deadline); heard != ChildProcess::Heard::kAll)
        return {fate_of(heard), {}};
    for (const float hu : image.hu)
        if (!(hu >= kLeastHu && hu <= kMostHu)) return {Fate::kNonsense, {}};
    return {Fate::kAnswered, std::move(image)};
}

}  // namespace scopenode::storage

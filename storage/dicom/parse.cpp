#include "storage/dicom/parse.h"

#include <dcmtk/dcmdata/dcistrmf.h>
#include <dcmtk/dcmdata/dcistrmz.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace scopenode::storage {
namespace {

constexpr Uint32 kLongestValueInMemory = 4096;
// Some hundred levels of sequences; writing and destroying them needs a stack of the same order.
constexpr std::uintptr_t kMostStack = 512U << 10;
constexpr offile_off_t kMostInflated = 64 << 20;

/// Hands bytes on while the parser's recursion and the inflated size stay within bounds.
class BoundedProducer final : public DcmProducer {
  public:
    BoundedProducer(const OFFilename& name, std::uintptr_t stack_at_start)
        : file_(name, 0), stack_(stack_at_start) {}

    OFBool good() const override { return status().good(); }
    OFCondition status() const override { return refused_.bad() ? refused_ : source_->status(); }
    const OFCondition& refused() const { return refused_; }
    OFBool eos() override { return source_->eos(); }
    offile_off_t avail() override { return refused_.bad() ? 0 : source_->avail(); }
    offile_off_t read(void* buffer, offile_off_t length) override {
        return within_bounds() ? counted(source_->read(buffer, at_most(length))) : 0;
    }
    offile_off_t skip(offile_off_t length) override {
        return within_bounds() ? counted(source_->skip(at_most(length))) : 0;
    }
    void putback(offile_off_t count) override {
        source_->putback(count);
        given_ -= count;
    }

    void inflate() {
        inflater_ = std::make_unique<DcmZLibInputFilter>();
        inflater_->append(file_);
        (void)inflater_->skip(0);  // makes it fetch its first bytes
        source_ = inflater_.get();
    }

  private:
    bool within_bounds() {
        if (refused_.bad()) return false;
        const char here = 0;
        const auto at = reinterpret_cast<std::uintptr_t>(&here);
        if (stack_ > at && stack_ - at > kMostStack)
            refused_ = makeOFCondition(0, 1, OF_error, "sequences are nested too deeply");
        return refused_.good();
    }
    offile_off_t at_most(offile_off_t length) const {
        return inflater_ ? std::min(length, kMostInflated + 1 - given_) : length;
    }
    offile_off_t counted(offile_off_t length) {
        given_ += length;
        if (inflater_ && given_ > kMostInflated)
            refused_ = makeOFCondition(0, 2, OF_error, "the deflated data set is longer than 64 MB");
        return length;
    }

    DcmFileProducer file_;
    std::unique_ptr<DcmZLibInputFilter> inflater_;
    DcmProducer* source_ = &file_;
    const std::uintptr_t stack_;
    offile_off_t given_ = 0;
    OFCondition refused_;
};

class BoundedStream final : public DcmInputStream {
  public:
    BoundedStream(const OFFilename& name, std::uintptr_t stack_at_start)
        : DcmInputStream(&producer_), producer_(name, stack_at_start), name_(name) {}

    const OFCondition& refused() const { return producer_.refused(); }

    OFCondition installCompressionFilter(E_StreamCompression type) override {
        if (type != ESC_zlib) return EC_UnsupportedEncoding;
        producer_.inflate();
        inflating_ = true;
        return EC_Normal;
    }
    // Lets a value stay on disk until it is asked for; there is no way back into an inflated stream.
    DcmInputStreamFactory* newFactory() const override {
        return inflating_ ? nullptr : new DcmInputFileStreamFactory(name_, tell());
    }

  private:
    BoundedProducer producer_;
    OFFilename name_;
    bool inflating_ = false;
};

}  // namespace

Status parse_file(DcmFileFormat& file, const std::filesystem::path& path, ReadUpTo end) {
    const char here = 0;
    BoundedStream stream(OFFilename(path.c_str()), reinterpret_cast<std::uintptr_t>(&here));
    OFCondition read = stream.status();
    if (read.good()) {
        file.transferInit();
        read = end == ReadUpTo::kEnd ? file.read(stream, EXS_Unknown, EGL_noChange, kLongestValueInMemory)
                                     : file.readUntilTag(stream, EXS_Unknown, EGL_noChange,
                                                         kLongestValueInMemory, DcmTagKey(0x7fe0, 0x0011));
        file.transferEnd();
    }
    if (stream.refused().bad()) read = stream.refused();
    if (read.bad())
        return fail(Code::kCannotUnderstand, "{}: not readable as DICOM: {}", path.filename().string(),
                    read.text());
    return {};
}

}  // namespace scopenode::storage

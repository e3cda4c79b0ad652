#include "storage/dicom/parse.h"

#include <dcmtk/dcmdata/dcistrmb.h>
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
    BoundedProducer(DcmProducer& from, std::uintptr_t stack_at_start)
        : from_(from), source_(&from), stack_(stack_at_start) {}

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
        inflater_->append(from_);
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

    DcmProducer& from_;
    std::unique_ptr<DcmZLibInputFilter> inflater_;
    DcmProducer* source_;
    const std::uintptr_t stack_;
    offile_off_t given_ = 0;
    OFCondition refused_;
};

class BoundedStream final : public DcmInputStream {
  public:
    BoundedStream(const OFFilename& name, std::uintptr_t stack_at_start)
        : DcmInputStream(&producer_), file_(name, 0), producer_(file_, stack_at_start), name_(name) {}

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
    DcmFileProducer file_;
    BoundedProducer producer_;
    OFFilename name_;
    bool inflating_ = false;
};

/// The same over bytes in memory.
class BoundedBuffer final : public DcmInputStream {
  public:
    BoundedBuffer(std::string_view bytes, std::uintptr_t stack_at_start)
        : DcmInputStream(&producer_), producer_(buffer_, stack_at_start) {
        buffer_.setBuffer(bytes.data(), static_cast<offile_off_t>(bytes.size()));
        buffer_.setEos();
    }

    const OFCondition& refused() const { return producer_.refused(); }
    OFCondition installCompressionFilter(E_StreamCompression) override { return EC_UnsupportedEncoding; }
    DcmInputStreamFactory* newFactory() const override { return nullptr; }

  private:
    DcmBufferProducer buffer_;
    BoundedProducer producer_;
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

Status parse_data_set(DcmDataset& data_set, std::string_view bytes, const std::string& transfer_syntax_uid) {
    const DcmXfer syntax(transfer_syntax_uid.c_str());
    if (syntax.getXfer() == EXS_Unknown || syntax.isEncapsulated())
        return fail(Code::kUnsupported, "transfer syntax {} is not for this", transfer_syntax_uid);
    const char here = 0;
    BoundedBuffer stream(bytes, reinterpret_cast<std::uintptr_t>(&here));
    data_set.transferInit();
    OFCondition read = data_set.read(stream, syntax.getXfer(), EGL_noChange, kLongestValueInMemory);
    data_set.transferEnd();
    if (stream.refused().bad()) read = stream.refused();
    if (read.bad())
        return fail(Code::kCannotUnderstand, "the data set is not readable as DICOM: {}", read.text());
    return {};
}

}  // namespace scopenode::storage

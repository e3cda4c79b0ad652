#include "storage/dicom/digest.h"

#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcwcache.h>

#include <fstream>
#include <vector>

#include "base/core/ids.h"
#include "storage/dicom/parse.h"

namespace scopenode::storage {

Result<std::string> content_digest(const std::filesystem::path& path) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<std::string> {
        const std::string where = path.filename().string();
        DcmFileFormat file;
        SCOPENODE_TRY(parse_file(file, path, ReadUpTo::kEnd));
        DcmDataset& d = *file.getDataset();
        // What cannot be decoded here is compared in its own syntax: never equal to another one by mistake.
        // Implicit: the VR of a private element is lost where a sender used implicit VR, its value is not.
        E_TransferSyntax syntax = EXS_LittleEndianImplicit;
        if (d.chooseRepresentation(syntax, nullptr).bad() || !d.canWriteXfer(syntax))
            syntax = d.getOriginalXfer();
        (void)d.findAndDeleteElement(DCM_DataSetTrailingPadding);
        Sha256 hash;
        hash.update(syntax == EXS_LittleEndianImplicit ? "" : DcmXfer(syntax).getXferID());
        std::vector<char> buffer(1 << 18);
        DcmOutputBufferStream out(buffer.data(), static_cast<offile_off_t>(buffer.size()));
        DcmWriteCache cache;
        d.transferInit();
        OFCondition written;
        do {
            written = d.write(out, syntax, EET_ExplicitLength, &cache, EGL_withoutGL, EPD_withoutPadding);
            void* bytes = nullptr;
            offile_off_t length = 0;
            out.flushBuffer(bytes, length);
            hash.update({static_cast<const char*>(bytes), static_cast<std::size_t>(length)});
        } while (written == EC_StreamNotifyClient);
        d.transferEnd();
        if (written.bad())
            return fail(Code::kCannotUnderstand, "{}: cannot be compared: {}", where, written.text());
        return hash.hex();
    });
}

Result<std::string> file_sha256(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(Code::kIo, "cannot read {}", path.string());
    Sha256 hash;
    std::vector<char> buffer(1 << 18);
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0)
        hash.update({buffer.data(), static_cast<std::size_t>(in.gcount())});
    return hash.hex();
}

}  // namespace scopenode::storage

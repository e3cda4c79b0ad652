#include "dicom_node/dimse/file_meta.h"

#include <cstdint>

#include "dicom_node/dimse/transport.h"

namespace scopenode::dicom_node {
namespace {

constexpr std::size_t kPreamble = 128;

void put16(std::string& out, std::uint32_t value) {
    out += static_cast<char>(value & 0xff);
    out += static_cast<char>(value >> 8 & 0xff);
}
void put32(std::string& out, std::uint32_t value) {
    put16(out, value & 0xffff);
    put16(out, value >> 16);
}

void put_text(std::string& out, std::uint32_t element, const char* vr, std::string text, char padding) {
    if (text.size() % 2 != 0) text += padding;
    put16(out, 0x0002);
    put16(out, element);
    out += vr;
    put16(out, static_cast<std::uint32_t>(text.size()));
    out += text;
}

}  // namespace

std::string encode_file_meta(const FileMeta& meta) {
    std::string group;
    put16(group, 0x0002);
    put16(group, 0x0001);
    group += "OB";
    put16(group, 0);
    put32(group, 2);
    put16(group, 0x0100);  // version 00 01
    put_text(group, 0x0002, "UI", meta.sop_class_uid, '\0');
    put_text(group, 0x0003, "UI", meta.sop_instance_uid, '\0');
    put_text(group, 0x0010, "UI", meta.transfer_syntax_uid, '\0');
    put_text(group, 0x0012, "UI", implementation_class_uid(), '\0');
    put_text(group, 0x0013, "SH", kImplementationVersion, ' ');
    if (!meta.source_ae.empty()) put_text(group, 0x0016, "AE", meta.source_ae, ' ');

    std::string out(kPreamble, '\0');
    out += "DICM";
    put16(out, 0x0002);
    put16(out, 0x0000);
    out += "UL";
    put16(out, 4);
    put32(out, static_cast<std::uint32_t>(group.size()));
    return out + group;
}

}  // namespace scopenode::dicom_node

#pragma once
#include <string>

namespace scopenode::dicom_node {

/// Preamble and file meta information (PS3.10 7.1) of an object that arrives, as bytes.
struct FileMeta {
    std::string sop_class_uid, sop_instance_uid, transfer_syntax_uid, source_ae;
};
std::string encode_file_meta(const FileMeta& meta);

}  // namespace scopenode::dicom_node

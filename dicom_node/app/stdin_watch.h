#pragma once

namespace scopenode::dicom_node {

/// Ends the process with status 1 and a line on stderr as soon as standard input closes: then whoever started
/// it is gone. What comes in is thrown away. Runs until the process ends.
void end_with_stdin();

}  // namespace scopenode::dicom_node

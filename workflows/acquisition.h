#pragma once
#include "storage/dicom/header.h"

namespace scopenode::workflows {

/// Is the convolution kernel (0018,1210) one for bone or lung? By the makers' names: Siemens'
/// letters and number from 55 on (H60s, Hr60f, J70h), General Electric's BONE, LUNG, EDGE, ULTRA, Philips' D,
/// E, F, L, YC, YD, YE, Toshiba's and Canon's FC30 to 39, FC50 to 59 and FC80 to 89. Unknown and missing
/// names are soft.
bool has_sharp_kernel(const storage::InstanceHeader& header);

/// Contrast/Bolus Agent (0018,0010) is filled with anything but a word for none.
bool has_contrast_agent(const storage::InstanceHeader& header);

}  // namespace scopenode::workflows

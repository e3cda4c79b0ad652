#include "workflows/training/training_page.h"

#include <fmt/format.h>

#include "workflows/training/page_markup.h"
#include "workflows/training/page_sections.h"
#include "workflows/training/page_style.h"

namespace scopenode::workflows {

std::string training_page(const TrainingPage& page) {
    const SetNumbers newest = numbers_of("newest", page.gate.newest, page.gate);
    const SetNumbers golden = numbers_of("golden", page.gate.golden, page.gate);
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta "
        "charset=\"utf-8\"/>\n"
        "<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>Retraining job {}: {}</title>\n"
        "<style>{}</style>\n</head>\n<body>\n",
        escaped(page.job), page.verdict.passed ? "passed the gate" : "did not pass the gate", kPageStyle);
    out += head_section(page) + verdict_section(page) + facts_section(page) + data_section(page) +
           epochs_section(page);
    out += curves_section(newest) + curves_section(golden);
    const std::string groups = subgroup_section(newest) + subgroup_section(golden);
    out +=
        "<h2>Subgroups</h2>\n" + (groups.empty() ? "<p>No groups are known of these studies.</p>\n" : groups);
    out += checks_section(page.verdict) + notes_section(page);
    if (page.demonstration) out += "<p class=\"warning\">NOT FOR PATIENTS: demonstration.</p>\n";
    return out + "</body>\n</html>\n";
}

}  // namespace scopenode::workflows

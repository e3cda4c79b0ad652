#include "base/core/progress.h"
#include "dicom_node/app/commands.h"
#include "workflows/phantoms.h"

namespace scopenode::dicom_node {
namespace {

struct Options {
    std::string out;
    workflows::PhantomFolderOptions folder;
    bool list = false;
};

int list_scanners() {
    for (const auto& s : ml::phantom_scanners())
        fmt::print("{:14} {}, {}: {}-bit {}, intercept {}, {}, {:.3f} mm pixels at 512, {:.1f} mm slices{}\n",
                   s.name, s.manufacturer, s.model, s.bits_stored, s.is_signed ? "signed" : "unsigned",
                   s.intercept, s.has_padding ? fmt::format("padding {}", s.padding_raw) : "no padding",
                   s.pixel_mm, s.slice_mm, s.in_mix ? "" : "; only when named");
    return 0;
}

int make(Options& o) {
    if (o.list) return list_scanners();
    if (o.out.empty())
        return report(
            {Code::kInvalidArgument, "phantom needs OUT, a new folder; see `scopenode phantom --help`"});
    o.folder.out = o.out;
    Progress progress("making studies", static_cast<std::uint64_t>(std::max(o.folder.studies, 0)));
    const Status written = workflows::write_phantoms(
        o.folder, [&](int done) { progress.advance(static_cast<std::uint64_t>(done)); });
    return written ? 0 : report(written.error());
}

}  // namespace

void add_phantom_command(CLI::App& app, int& exit_code) {
    CLI::App* command = app.add_subcommand("phantom", "Labelled synthetic head CT studies");
    auto o = std::make_shared<Options>();
    command->add_option("OUT", o->out, "New folder: <study>/<nnnn>.dcm, labels.csv, studies.csv");
    auto* studies = command->add_option("--studies", o->folder.studies, "How many studies, one patient each");
    command->add_option("--slices", o->folder.phantom.slices, "Slices of a study")->capture_default_str();
    command->add_option("--seed", o->folder.phantom.seed, "The same seed gives the same bytes")
        ->capture_default_str();
    command->add_option("--positive-rate", o->folder.phantom.positive_rate, "Share of studies with blood")
        ->capture_default_str();
    command->add_option("--size", o->folder.phantom.size, "Pixels of a side")->capture_default_str();
    command->add_option("--scanner", o->folder.phantom.scanner, "One make of scanner instead of all mixed");
    auto* list = command->add_flag("--list-scanners", o->list, "Names the scanners");
    command->callback([o, studies, list, &exit_code] {
        if (!*list && !*studies)
            exit_code =
                report({Code::kInvalidArgument, "phantom needs --studies N; see `scopenode phantom --help`"});
        else
            exit_code = make(*o);
    });
}

}  // namespace scopenode::dicom_node

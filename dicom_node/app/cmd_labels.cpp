#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/training/labels.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string node, file, reader, study, slice, out;
    std::vector<std::string> findings;
    storage::LabelFilter filter;
    bool adjudicate = false, slices = false, json = false;
};

using Reader = std::function<Result<std::string>(storage::Index&, const config::Settings&)>;

Result<std::string> read(const std::string& node, const Reader& reader) {
    const SystemClock clock;
    SCOPENODE_ASSIGN(const auto settings, config::load_settings(node_folder(node)));
    SCOPENODE_ASSIGN(const auto index, open_reader(node_folder(node), clock));
    return reader(*index, settings);
}

Result<std::string> import_file(const Options& o) {
    std::error_code ec;
    std::vector<std::string> words{"labels", "import", fs::absolute(o.file, ec).string()};
    if (!o.reader.empty()) words.insert(words.end(), {"--reader", o.reader});
    return run_writing(node_folder(o.node), words);
}

Result<std::string> add(const Options& o) {
    std::vector<std::string> words{"labels", "add", o.study, "--reader", o.reader};
    if (!o.slice.empty()) words.insert(words.end(), {"--slice", o.slice});
    if (o.adjudicate) words.push_back("--adjudicate");
    words.insert(words.end(), o.findings.begin(), o.findings.end());
    return run_writing(node_folder(o.node), words);
}

Result<std::string> export_file(const Options& o) {
    SCOPENODE_ASSIGN(auto text, read(o.node, [&](auto& index, const auto& settings) {
                         return workflows::labels_export(index, settings, o.slices);
                     }));
    if (o.out.empty()) return text;
    SCOPENODE_TRY(write_file(real_files(), o.out, text));
    return "labels in " + o.out;
}

void add_writers(CLI::App& group, const std::shared_ptr<Options>& o, int& exit_code) {
    CLI::App* in = group.add_subcommand("import", "Labels of a file: all of it or nothing");
    in->add_option("FILE", o->file, "CSV: `ID,Label` as Kaggle's RSNA set, or `study_uid,any,epidural,...`")
        ->required();
    in->add_option("--reader", o->reader, "Who read the images (default: the name of the file)");
    add_node_option(*in, o->node);
    in->callback([o, &exit_code] { exit_code = print(import_file(*o)); });

    CLI::App* one = group.add_subcommand("add", "What a reader says of a study or of one slice");
    one->add_option("STUDY", o->study, "Study Instance UID")->required();
    one->add_option("FINDING", o->findings, "FINDING=present, =absent or =unknown, as any=present")
        ->required();
    one->add_option("--reader", o->reader, "Who says so")->required();
    one->add_option("--slice", o->slice, "SOP Instance UID: of this slice alone");
    one->add_flag("--adjudicate", o->adjudicate, "Decides where readers contradict each other");
    add_node_option(*one, o->node);
    one->callback([o, &exit_code] { exit_code = print(add(*o)); });
}

}  // namespace

void add_labels_command(CLI::App& app, int& exit_code) {
    CLI::App* group =
        app.add_subcommand("labels", "What people know of studies and slices")->require_subcommand(1);
    auto o = std::make_shared<Options>();
    add_writers(*group, o, exit_code);

    CLI::App* list = group->add_subcommand("list", "Labels, newest first");
    list->add_option("--study", o->filter.study_uid, "Only those of this Study Instance UID");
    list->add_option("--reader", o->filter.reader, "Only those of this reader");
    list->add_option("--source", o->filter.source, "Only these")
        ->check(CLI::IsMember({"report", "csv", "command", "adjudication"}));
    list->add_flag("--waiting", o->filter.pending, "Only those whose study or slice is not here yet");
    list->add_option("--limit", o->filter.limit, "Most lines")->check(CLI::Range(1, 100000000));
    list->add_flag("--json", o->json, "As JSON");
    add_node_option(*list, o->node);
    list->callback([o, &exit_code] {
        exit_code = print(read(o->node, [&](auto& index, const auto& settings) {
            return workflows::labels_list(index, settings, o->filter, o->json);
        }));
    });

    CLI::App* conflicts = group->add_subcommand("conflicts", "Where people, or slices and study, contradict");
    conflicts->add_flag("--json", o->json, "As JSON");
    add_node_option(*conflicts, o->node);
    conflicts->callback([o, &exit_code] {
        exit_code = print(read(o->node, [&](auto& index, const auto& settings) {
            return workflows::labels_conflicts(index, settings, o->json);
        }));
    });

    CLI::App* give = group->add_subcommand("export", "What counts as true of the studies here, as CSV");
    give->add_option("--out", o->out, "Into this file");
    give->add_flag("--slices", o->slices, "A line for each slice and finding, as Kaggle's RSNA set");
    add_node_option(*give, o->node);
    give->callback([o, &exit_code] { exit_code = print(export_file(*o)); });
}

}  // namespace scopenode::dicom_node

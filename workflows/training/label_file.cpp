#include "workflows/training/label_file.h"

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "base/core/files.h"
#include "base/core/ids.h"

namespace scopenode::workflows {
namespace {

constexpr std::size_t kMostFaultsShown = 50;

std::optional<std::size_t> finding_named(std::string_view name) {
    for (std::size_t k = 0; k < ml::kLabelCount; ++k)
        if (name == ml::kLabels[k]) return k;
    return std::nullopt;
}

/// For messages: whatever was taken for text must not drive a terminal.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text) out += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
    return out;
}

std::vector<std::string_view> cells_of(std::string_view line) {
    std::vector<std::string_view> cells;
    while (true) {
        const auto comma = line.find(',');
        cells.push_back(line.substr(0, comma));
        if (comma == std::string_view::npos) return cells;
        line.remove_prefix(comma + 1);
    }
}

/// Takes lines one by one and keeps what is wrong with them.
class Reader {
  public:
    void line(std::string_view text) {
        ++number_;
        if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
        if (text.empty()) return;
        if (number_ == 1 && head(text)) return;
        if (no_form_) return;
        columns_.empty() ? slice_line(text) : study_line(text);
    }

    Result<LabelFile> finish(const std::string& where) {
        if (fault_count_ > 0)
            return fail(Code::kInvalidArgument, "{}: {} faulty line{}, nothing taken{}{}", where,
                        fault_count_, fault_count_ == 1 ? "" : "s", faults_,
                        fault_count_ > kMostFaultsShown ? "\n..." : "");
        if (file_.labels.empty())
            return fail(
                Code::kInvalidArgument,
                "{} holds no label: it needs lines `<slice>_<finding>,0 or 1`, or a head `study_uid,any,"
                "...`",
                where);
        return std::move(file_);
    }

  private:
    bool head(std::string_view text) {
        if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
        if (text == "ID,Label") return true;
        const auto cells = cells_of(text);
        if (cells.front() == "study_uid") return study_head(cells);
        if (text.find('_') != std::string_view::npos && cells.size() == 2 && text[0] != '"') return false;
        no_form_ = true;
        fault(fmt::format(
            "'{}' is the head of neither form: `ID,Label` or `study_uid,any,...`, commas, no quotes",
            printable(text.substr(0, 80))));
        return true;
    }

    bool study_head(const std::vector<std::string_view>& cells) {
        for (const auto cell : cells) {
            columns_.emplace_back(cell);
            // The last two stand in what `scopenode phantom` writes.
            const bool known = cell == "study_uid" || cell == "reader" || cell == "volume_ml" ||
                               cell == "contrast_hu" || finding_named(cell);
            if (!known) fault(fmt::format("there is no finding '{}'", printable(cell.substr(0, 40))));
        }
        return true;
    }

    void slice_line(std::string_view text) {
        const auto cells = cells_of(text);
        const auto end = cells[0].rfind('_');
        const auto finding = end == std::string_view::npos || end == 0
                                 ? std::nullopt
                                 : finding_named(cells[0].substr(end + 1));
        if (cells.size() != 2 || !finding || (cells[1] != "0" && cells[1] != "1"))
            return fault(fmt::format("'{}' is not <slice>_<finding>,0 or 1", printable(text.substr(0, 120))));
        add({"", std::string(cells[0].substr(0, end)), *finding, cells[1] == "1", ""});
    }

    void study_line(std::string_view text) {
        const auto cells = cells_of(text);
        if (cells.size() != columns_.size())
            return fault(fmt::format("has {} cells where the head has {}", cells.size(), columns_.size()));
        if (!is_legal_uid(std::string(cells[0])))
            return fault(fmt::format("'{}' is not a Study Instance UID", printable(cells[0].substr(0, 80))));
        std::string reader;
        for (std::size_t i = 1; i < cells.size(); ++i)
            if (columns_[i] == "reader") reader = std::string(cells[i]);
        if (contradicts(cells)) return fault("says that there is no hemorrhage and names one");
        for (std::size_t i = 1; i < cells.size(); ++i) {
            const auto finding = finding_named(columns_[i]);
            if (!finding || cells[i].empty()) continue;
            if (cells[i] != "0" && cells[i] != "1")
                return fault(fmt::format("'{}' under {} is not 0, 1 or nothing",
                                         printable(cells[i].substr(0, 40)), columns_[i]));
            add({std::string(cells[0]), "", *finding, cells[i] == "1", reader});
        }
    }

    /// `any` is 0 and a subtype 1.
    bool contradicts(const std::vector<std::string_view>& cells) const {
        bool none = false, one = false;
        for (std::size_t i = 1; i < cells.size(); ++i) {
            none = none || (columns_[i] == "any" && cells[i] == "0");
            one = one || (columns_[i] != "any" && finding_named(columns_[i]) && cells[i] == "1");
        }
        return none && one;
    }

    void add(FileLabel label) {
        const auto [it, is_new] =
            seen_.try_emplace(std::tuple{label.study_uid + "|" + label.slice, label.finding, label.reader},
                              label.value, number_);
        if (is_new) {
            file_.labels.push_back(std::move(label));
        } else if (it->second.first == label.value) {
            ++file_.duplicates;
        } else {
            fault(fmt::format("{}{} {} has two labels: line {} says {}", label.study_uid, label.slice,
                              ml::kLabels[label.finding], it->second.second, it->second.first ? 1 : 0));
        }
    }

    void fault(const std::string& text) {
        if (++fault_count_ <= kMostFaultsShown) faults_ += fmt::format("\nline {}: {}", number_, text);
    }

    LabelFile file_;
    std::vector<std::string> columns_;  ///< of a per-study file
    std::map<std::tuple<std::string, std::size_t, std::string>, std::pair<bool, std::size_t>> seen_;
    std::size_t number_ = 0, fault_count_ = 0;
    bool no_form_ = false;  ///< one fault says it, not one a line
    std::string faults_;
};

}  // namespace

Result<LabelFile> read_label_file(const std::filesystem::path& csv) {
    SCOPENODE_ASSIGN(const auto text, read_file(csv));
    Reader reader;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        reader.line(std::string_view(text).substr(at, end - at));
        at = end + 1;
    }
    SCOPENODE_ASSIGN(auto file, reader.finish(csv.string()));
    file.sha256 = sha256_hex(text);
    return file;
}

}  // namespace scopenode::workflows

#pragma once
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "workflows/training/gate.h"

namespace scopenode::workflows {

struct PageModel {
    std::string id, name;
    std::string note;  ///< a sentence about it; may be empty
};

struct PageEpoch {
    int epoch = 0;
    double train_loss = 0, validation_loss = 0;
    std::array<double, ml::kLabelCount> auroc{};  ///< of the validation studies; NaN where there is none
};

/// What a set of the data held: "learnt from", "validation", "golden", "newest".
struct PageCounts {
    std::string name;
    long patients = 0, studies = 0, slices = 0;
    std::array<long, ml::kLabelCount> positives{}, negatives{}, unknown{};  ///< studies
};

struct PageLeftOut {
    std::string what;
    long count = 0;
    std::string why;
};

/// All that a hospital's committee is shown of a retraining job. Texts are shown as they are, never as
/// markup.
struct TrainingPage {
    std::string job, asked_by;
    std::string started, finished;  ///< as people write them, with the time zone
    PageModel champion, candidate;
    std::vector<std::pair<std::string, std::string>> facts;  ///< preset, epochs, snapshot, ...
    std::vector<PageCounts> data;
    std::vector<PageLeftOut> left_out;
    std::vector<PageEpoch> epochs;
    int kept_epoch = -1;  ///< the one whose weights the candidate has; -1: not known
    GateInput gate;
    Verdict verdict;
    bool demonstration = false;  ///< one of the models or the data is: the page says "not for patients"
    std::vector<std::string> notes;
};

/// One self-contained XHTML-like file: no script, no network. Pure; thread-safe. Empty sets and figures that
/// do not exist (NaN) are said as such. Numbers have data-key="JSON pointer" into training_page_json.
std::string training_page(const TrainingPage& page);
/// The same as numbers, curves among them; NaN is null. What is no UTF-8 is replaced.
std::string training_page_json(const TrainingPage& page);

}  // namespace scopenode::workflows

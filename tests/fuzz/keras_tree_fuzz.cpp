// A made-up HDF5 tree: lines "group|attribute|text|text...". Our own reading of Keras' lists and the mapping
// of what they name run on it in this process.
#include <cstdlib>
#include <map>
#include <sstream>

#include "ml/safetensors.h"
#include "ml/weights/import.h"
#include "ml/weights/keras_tree.h"
#include "tests/fuzz/weights_seeds.h"

using namespace scopenode;

namespace {

using Texts = std::optional<std::vector<std::string>>;

class TextTree final : public ml::H5Tree {
  public:
    explicit TextTree(const std::string& text) {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words(line);
            std::string group, attribute;
            std::getline(words, group, '|');
            auto& lists = groups_[group];
            if (!std::getline(words, attribute, '|')) continue;
            auto& list = lists[attribute];
            for (std::string word; std::getline(words, word, '|');) list.push_back(word);
        }
    }
    bool has_group(const std::string& path) override { return groups_.count(path) > 0; }
    Result<Texts> texts(const std::string& group, const std::string& attribute) override {
        if (attribute == "damaged") return fail(Code::kDamagedModel, "damaged");
        const auto found = groups_[group].find(attribute);
        return found == groups_[group].end() ? Texts() : Texts(found->second);
    }

  private:
    std::map<std::string, std::map<std::string, std::vector<std::string>>> groups_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kNetworks = test::cut_networks();
    if (size == 0) return 0;
    TextTree tree(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
    const auto entries = ml::keras_entries(tree);
    if (!entries) return 0;
    // Each named tensor gets a shape out of the input, so that the mapping goes on.
    const std::string zeros(4096, '\0');
    std::vector<ml::TensorBytes> tensors;
    std::size_t at = 1;
    for (const auto& entry : *entries) {
        std::vector<std::int64_t> shape;
        std::size_t count = 1;
        for (int axes = data[at % size] % 5; axes > 0; --axes) {
            shape.push_back(std::int64_t(data[++at % size] % 8));
            count *= std::size_t(shape.back());
        }
        if (count * sizeof(float) > zeros.size()) return 0;
        tensors.push_back(
            {entry.name, "F32", shape, std::string_view(zeros).substr(0, count * sizeof(float))});
    }
    const auto& network = kNetworks[data[0] % 4];
    const auto mapped = ml::map_weights(ml::build_safetensors(tensors), ml::WeightsFormat::kH5, "input",
                                        network.backbone, network.targets);
    if (!mapped && mapped.error().message.empty()) std::abort();
    return 0;
}

#include "ml/weights/keras_h5.h"

#include <cstdlib>
#include <map>

#include <doctest/doctest.h>

#include "base/core/files.h"
#include "ml/safetensors.h"
#include "ml/weights/keras_tree.h"
#include "tests/support/weights/weight_files.h"

using namespace scopenode;
using namespace scopenode::ml;
using namespace scopenode::test;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

/// An HDF5 file that is none.
class MadeUpTree final : public H5Tree {
  public:
    bool has_group(const std::string& path) override { return groups.count(path) > 0; }
    Result<std::optional<std::vector<std::string>>> texts(const std::string& group,
                                                          const std::string& attribute) override {
        using Texts = std::optional<std::vector<std::string>>;
        if (endless) return Texts(attribute.back() == 's' ? std::nullopt : Texts({"a"}));
        const auto& lists = groups[group];
        const auto found = lists.find(attribute);
        return found == lists.end() ? Texts() : Texts(found->second);
    }

    std::map<std::string, std::map<std::string, std::vector<std::string>>> groups;
    bool endless = false;
};

std::string fault(MadeUpTree& tree) {
    const auto entries = keras_entries(tree);
    REQUIRE_FALSE(entries);
    return entries.error().message;
}

}  // namespace

TEST_CASE("Keras' lists of layers and weights are followed") {
    MadeUpTree tree;
    tree.groups["/model_weights"]["layer_names0"] = {"conv1/conv", "empty"};
    tree.groups["/model_weights"]["layer_names1"] = {"inner"};
    tree.groups["/model_weights/conv1/conv"]["weight_names"] = {"conv1/conv/kernel:0"};
    tree.groups["/model_weights/empty"]["weight_names"] = {};
    tree.groups["/model_weights/inner"]["weight_names0"] = {"a/kernel:0", "a/bias:0"};
    tree.groups["/model_weights/inner"]["weight_names1"] = {"b/c/gamma:0"};
    const auto entries = keras_entries(tree);
    REQUIRE(entries);
    REQUIRE(entries->size() == 4);
    CHECK((*entries)[0].path == "/model_weights/conv1/conv/conv1/conv/kernel:0");
    CHECK((*entries)[0].name == "conv1/conv/kernel");
    CHECK((*entries)[1].name == "a/kernel");
    CHECK((*entries)[3].name == "b/c/gamma");
    tree.groups["/model_weights/inner"]["weight_names1"] = {"b/c/gamma:0", "a/kernel:0"};
    CHECK(has(fault(tree), "holds 'a/kernel' twice"));
}

TEST_CASE("Trees that are not Keras' are refused") {
    MadeUpTree tree;
    CHECK(has(fault(tree), "not Keras' weights"));
    tree.groups["/layers"];
    CHECK(has(fault(tree), "Keras 3's .weights.h5"));
    tree.groups[""]["layer_names"] = {"a"};
    CHECK(has(fault(tree), "'a' is listed but not there"));
    tree.groups["/a"];
    CHECK(has(fault(tree), "has no list of weights"));
    tree.groups["/a"]["weight_names"] = {};
    CHECK(has(fault(tree), "lists no weights"));
    tree.groups["/a"]["weight_names"] = {"a/\n:0"};
    CHECK(has(fault(tree), "impossible name"));
    tree.groups["/a"]["weight_names"] = std::vector<std::string>(20'001, "w:0");
    CHECK(has(fault(tree), "more than 20000 names"));
    tree.endless = true;
    CHECK(has(fault(tree), "pieces"));
}

#ifdef SCOPENODE_WITH_HDF5

namespace {

void check_same(const std::string& flat, const std::vector<H5Layer>& layers) {
    const std::string expected = flat_file(layers);
    CHECK(flat.size() == expected.size());
    CHECK((flat == expected));
}

std::string fault_of(const std::filesystem::path& file) {
    const auto flat = flatten_h5(file);
    REQUIRE_FALSE(flat);
    CHECK_FALSE(has(flat.error().message, "\n"));
    return flat.error().message;
}

}  // namespace

TEST_CASE("An HDF5 file of every network becomes flat in every form that Keras writes") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "a.h5";
    const H5Options forms[] = {{},
                               {.chunk = 7},
                               {.variable_texts = true},
                               {.top = "/model_weights", .chunk = 3, .variable_texts = true}};
    for (const char* backbone : {"xception", "efficientnet_b5", "resnet152v2", "densenet201"}) {
        CAPTURE(backbone);
        const auto layers = keras_layers(backbone, 16, distinct_value);
        for (const H5Options& form : forms) {
            write_h5(file, layers, form);
            const auto flat = flatten_h5(file);
            INFO((flat ? "" : flat.error().message));
            REQUIRE(flat);
            check_same(*flat, layers);
        }
    }
}

TEST_CASE("Damaged and foreign HDF5 files are refused") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "a.h5";
    const std::vector<H5Layer> layers{{"a", {{"a/kernel:0", {2}, {1, 2}}}}};
    write_h5(file, layers);
    const std::string good = read_file(file).value();
    REQUIRE(write_file(real_files(), file, good.substr(0, good.size() - 8)));
    CHECK(has(fault_of(file), "truncated?"));
    REQUIRE(write_file(real_files(), file, "no HDF5 at all"));
    CHECK(has(fault_of(file), "not a whole HDF5 file"));
    write_h5(file, layers, {.with_lists = false});
    CHECK(has(fault_of(file), "not Keras' weights"));
    write_h5(file, {{"layers/a/vars", {{"0", {1}, {1}}}}}, {.with_lists = false});
    CHECK(has(fault_of(file), "Keras 3"));
}

TEST_CASE("A file that h5py wrote reads as one of ours") {
    const TemporaryFolder folder;
    const std::string file = (folder.path() / "a.h5").string();
    const std::string script = R"(/usr/bin/python3 -c "
import h5py, numpy, sys
with h5py.File(sys.argv[1], 'w') as f:
    f.attrs['layer_names'] = [b'conv1/conv', b'none']
    f.create_group('none').attrs['weight_names'] = []
    g = f.create_group('conv1/conv')
    g.attrs['weight_names'] = ['conv1/conv/kernel:0', 'conv1/conv/bias:0']
    g.create_dataset('conv1/conv/kernel:0', data=numpy.arange(4, dtype='f4').reshape(2, 2), compression='gzip')
    g.create_dataset('conv1/conv/bias:0', data=numpy.float16([1.5]))
" )";
    if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        MESSAGE("skipped: python3-h5py is not installed");
        return;
    }
    REQUIRE(std::system((script + file).c_str()) == 0);
    const auto flat = flatten_h5(file);
    REQUIRE(flat);
    check_same(*flat,
               {{"conv1/conv",
                 {{"conv1/conv/kernel:0", {2, 2}, {0, 1, 2, 3}}, {"conv1/conv/bias:0", {1}, {1.5F}}}}});
}

#endif

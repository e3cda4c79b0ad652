#include "config/schema_check.h"

#include <map>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

namespace scopenode::config {
namespace {

using nlohmann::json;

std::string escaped(const std::string& key) {
    std::string out;
    for (const char c : key) {
        if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else
            out += c;
    }
    return out;
}

/// The part of the schema that describes the value under a path of keys and indexes.
const json* schema_at(const json& schema, const std::vector<std::string>& path) {
    const json* at = &schema;
    for (const std::string& step : path) {
        if (at->contains("properties") && at->at("properties").contains(step))
            at = &at->at("properties").at(step);
        else if (at->contains("items"))
            at = &at->at("items");
        else
            return nullptr;
    }
    return at;
}

std::string bounds(const json& schema, const char* low, const char* high, const std::string& unit) {
    const bool has_low = schema.contains(low), has_high = schema.contains(high);
    if (has_low && has_high)
        return fmt::format(" of {} to {}{}", schema[low].dump(), schema[high].dump(), unit);
    if (has_low) return fmt::format(" of at least {}{}", schema[low].dump(), unit);
    if (has_high) return fmt::format(" of at most {}{}", schema[high].dump(), unit);
    return "";
}

/// What a value must be, in words, from its schema.
std::string requirement(const json& schema) {
    const std::string type = schema.value("type", "value");
    std::string text = fmt::format(
        "must be {} {}", type == "array" || type == "object" || type == "integer" ? "an" : "a", type);
    if (type == "integer") text += bounds(schema, "minimum", "maximum", "");
    if (type == "string") text += bounds(schema, "minLength", "maxLength", " characters");
    if (type == "array") text += bounds(schema, "minItems", "maxItems", " items");
    if (schema.contains("description"))
        text += fmt::format(" ({})", schema["description"].get<std::string>());
    return text;
}

void unknown_keys(const json& value, const json& schema, const std::string& pointer,
                  std::map<std::string, std::string>& faults) {
    if (value.is_array() && schema.contains("items")) {
        for (std::size_t i = 0; i < value.size(); ++i)
            unknown_keys(value[i], schema["items"], pointer + "/" + std::to_string(i), faults);
    }
    if (!value.is_object() || !schema.contains("properties")) return;
    for (const auto& [key, below] : value.items()) {
        const std::string here = pointer + "/" + escaped(key);
        if (schema["properties"].contains(key))
            unknown_keys(below, schema["properties"][key], here, faults);
        else
            faults[here] = "is not a known key";
    }
}

/// valijson writes a path as "<root>", "[key]", "[0]".
std::vector<std::string> steps_of(const std::vector<std::string>& context) {
    std::vector<std::string> steps;
    for (const std::string& step : context)
        if (step.size() > 2 && step.front() == '[') steps.push_back(step.substr(1, step.size() - 2));
    return steps;
}

}  // namespace

std::vector<Fault> schema_faults(const json& document, const json& schema) {
    valijson::Schema parsed;
    valijson::SchemaParser(valijson::SchemaParser::kDraft7)
        .populateSchema(valijson::adapters::NlohmannJsonAdapter(schema), parsed);
    valijson::ValidationResults results;
    valijson::adapters::NlohmannJsonAdapter target(document);
    std::map<std::string, std::string> faults;
    // valijson names one unknown key per object only, and repeats every fault at each level above it.
    unknown_keys(document, schema, "", faults);
    valijson::Validator().validate(parsed, target, &results);
    const std::string missing = "Missing required property '";
    for (const auto& error : results) {
        if (error.description.starts_with("Failed to validate") ||
            error.description.starts_with("Object contains"))
            continue;
        const auto steps = steps_of(error.context);
        std::string pointer;
        for (const std::string& step : steps) pointer += "/" + escaped(step);
        if (error.description.starts_with(missing)) {
            const std::string rest = error.description.substr(missing.size());
            faults[pointer + "/" + escaped(rest.substr(0, rest.find('\'')))] = "is missing";
            continue;
        }
        const json* part = schema_at(schema, steps);
        faults[pointer] = part ? requirement(*part) : error.description;
    }
    std::vector<Fault> list;
    for (auto& [pointer, text] : faults) list.push_back({pointer, text});
    return list;
}

}  // namespace scopenode::config

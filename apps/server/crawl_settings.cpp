// SPDX-License-Identifier: MIT
#include "server/crawl_settings.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include <coaio/http/error.hpp>
#include <coaio/http/url.hpp>

#include <nlohmann/json.hpp>

namespace server {
namespace {

using coaio::http::BadRequest;
using nlohmann::json;

constexpr std::size_t most_urls = 100;
constexpr std::size_t longest_url = 2000;
constexpr std::size_t most_globs = 100;
constexpr std::size_t longest_glob = 1000;

/// The fields of a request, each taken once; what is left over at the end is a mistake of the client's.
class Fields {
public:
    explicit Fields(json given) : given_(std::move(given)) {}

    std::int64_t number(const char* name, std::int64_t preset, std::int64_t least, std::int64_t most) {
        const auto value = take(name);
        std::int64_t number = preset;
        if (value) {
            if (!value->is_number_integer()) throw BadRequest(std::string(name) + " is not a whole number");
            const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX;
            if (!huge) number = value->get<std::int64_t>();
            if (huge || number < least || number > most) {
                throw BadRequest(std::string(name) + " is not between " + std::to_string(least) + " and " +
                                 std::to_string(most));
            }
        }
        checked_[name] = number;
        return number;
    }
    void flag(const char* name, bool preset) {
        const auto value = take(name);
        if (value && !value->is_boolean()) throw BadRequest(std::string(name) + " is neither true nor false");
        checked_[name] = value ? value->get<bool>() : preset;
    }
    void globs(const char* name) {
        const auto value = take(name);
        json list = json::array();
        if (value) {
            const std::string wrong = std::string(name) + " is not a list of at most " + std::to_string(most_globs) +
                                      " texts of at most " + std::to_string(longest_glob) + " bytes";
            if (!value->is_array() || value->size() > most_globs) throw BadRequest(wrong);
            for (const json& each : *value) {
                if (!each.is_string() || each.get_ref<const std::string&>().size() > longest_glob)
                    throw BadRequest(wrong);
                if (each.get_ref<const std::string&>().find('\0') != std::string::npos) throw BadRequest(wrong);
            }
            list = *value;
        }
        checked_[name] = std::move(list);
    }
    std::optional<json> take(const char* name) {
        const auto found = given_.find(name);
        if (found == given_.end()) return std::nullopt;
        json value = std::move(*found);
        given_.erase(found);
        return value;
    }
    [[nodiscard]] std::string finish() const {
        if (!given_.empty()) {
            throw BadRequest("there is no setting '" + given_.begin().key().substr(0, longest_glob) +
                             "'; those there are stand in the answers of GET /api/crawls");
        }
        return checked_.dump();
    }

private:
    json given_;
    json checked_ = json::object();
};

std::vector<std::string> read_urls(Fields& fields) {
    const auto one = fields.take("url");
    const auto many = fields.take("urls");
    if (one.has_value() == many.has_value()) throw BadRequest("say where to begin: either url, or urls, a list");
    const json list = one ? json::array({*one}) : *many;
    if (!list.is_array() || list.empty() || list.size() > most_urls) {
        throw BadRequest("urls is not a list of 1 to " + std::to_string(most_urls) + " addresses");
    }
    std::vector<std::string> urls;
    for (const json& each : list) {
        if (!each.is_string()) throw BadRequest("an address is not a text");
        const auto& text = each.get_ref<const std::string&>();
        if (text.size() > longest_url) {
            throw BadRequest("an address is longer than " + std::to_string(longest_url) + " bytes");
        }
        const auto url = coaio::http::Url::try_parse(text);
        if (!url || !url->is_http()) throw BadRequest("not an address of http or https: " + text);
        const std::string normal = url->without_credentials().without_fragment().to_string();
        if (normal.size() > longest_url) {
            throw BadRequest("an address is longer than " + std::to_string(longest_url) + " bytes");
        }
        urls.push_back(normal);
    }
    return urls;
}

}  // namespace

CrawlSettings read_settings(std::string_view body) {
    json given = json::parse(body, nullptr, false);
    if (!given.is_object()) throw BadRequest("the body is not a JSON object");
    Fields fields(std::move(given));
    CrawlSettings settings;
    settings.urls = read_urls(fields);
    fields.number("max_pages", 10'000, 0, 10'000'000);
    fields.number("depth", 0, 0, 10'000);
    fields.number("concurrency", 8, 1, 100);
    fields.number("per_host", 4, 1, 100);
    fields.number("delay_ms", 0, 0, 3'600'000);
    fields.number("timeout_ms", 30'000, 100, 600'000);
    fields.number("max_retries", 2, 0, 10);
    fields.number("max_size", std::int64_t{16} << 20, 1024, std::int64_t{256} << 20);
    fields.globs("include");
    fields.globs("exclude");
    fields.flag("same_site", false);
    fields.flag("check_external", false);
    fields.flag("check_fragments", true);
    fields.flag("ignore_robots", false);
    fields.flag("ignore_nofollow", false);
    fields.flag("sitemaps", true);
    settings.json = fields.finish();
    return settings;
}

}  // namespace server

// SPDX-License-Identifier: MIT
#include "crawler/document.hpp"

#include <atomic>
#include <chrono>
#include <memory>

#include <coaio/core/error.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/to_thread.hpp>

#include "crawler/charset.hpp"
#include "crawler/css.hpp"
#include "crawler/fetcher.hpp"

namespace crawl {
namespace {

// A hostile page of this size costs some ten milliseconds, one of a megabyte minutes.
constexpr std::size_t light = 16 * 1024;
constexpr std::chrono::seconds longest{10};

class Stop {
public:
    Stop() = default;
    Stop(const Stop&) = delete;
    Stop& operator=(const Stop&) = delete;
    ~Stop() { *flag_ = true; }

    [[nodiscard]] std::shared_ptr<const std::atomic<bool>> flag() const { return flag_; }

private:
    std::shared_ptr<std::atomic<bool>> flag_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

Document read_document(std::string_view body, std::string_view content_type, const std::function<bool()>& stop) {
    const bool html = is_html(media_type(content_type));
    const auto kind = html ? TextKind::html : TextKind::other;
    const auto text = to_utf8(body, detect_charset(body, content_type, kind));
    if (html) return parse_html(text, {}, stop);
    Document document;
    find_css_links(text, HtmlLimits().max_links, document.links);
    return document;
}

coaio::Coro<Document> read_document_aside(std::string body, std::string content_type) {
    if (body.size() <= light) co_return read_document(body, content_type);
    const Stop stop;
    auto job = [body = std::move(body), type = std::move(content_type), flag = stop.flag()] {
        return read_document(body, type, [&flag] { return flag->load(); });
    };
    auto reading = coaio::to_thread(std::move(job));
    try {
        auto document = co_await coaio::wait_for(std::move(reading), longest);
        co_return document;
    } catch (const coaio::TimeoutError&) {
        Document document;
        document.state = Document::State::too_complex;
        co_return document;
    }
}

}  // namespace crawl

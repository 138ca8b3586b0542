// SPDX-License-Identifier: MIT
#include "crawler/crawler.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include <coaio/core/loop.hpp>
#include <coaio/core/mask.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/http/status.hpp>

#include "crawler/charset.hpp"
#include "crawler/document.hpp"

namespace crawl {
namespace {

// So many links are worked on before other tasks have their turn.
constexpr std::size_t links_a_turn = 64;

bool is_redirect(int status) { return coaio::http::Status(status).is_redirect(); }

}  // namespace

coaio::Coro<> Crawler::fetch_page(PageId id) {
    const auto& page = frontier_.page(id);
    const auto url = coaio::http::Url::parse(page.url);
    const auto began = loop_now();
    FetchOptions want;
    want.max_size = options_.max_size;
    want.types = &options_.types;
    want.check_only = page.check_only;
    auto tried = co_await attempt(url, want);
    got_on_ = true;
    const auto now = loop_now();
    const auto pause = frontier_.manners().retry(tried.how, page.tries + 1, random_fraction);
    if (pause) {
        frontier_.put_back(id, tried.how, now + *pause, now);
        changed_.set();
        co_return;
    }

    FinishedPage finished;
    finished.id = id;
    finished.page = &page;
    finished.state = tried.how.status == 0 ? PageState::failed : PageState::done;
    finished.result.status = tried.how.status;
    finished.result.error = std::move(tried.error);
    finished.result.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - began);
    finished.result.tries = page.tries + 1;
    if (finished.state == PageState::done) co_await read_answer(url, std::move(tried.answer), finished);
    co_await commit(finished, tried.how);
}

coaio::Coro<> Crawler::read_answer(const coaio::http::Url& url, Answer answer, FinishedPage& finished) {
    auto& result = finished.result;
    const auto type = media_type(answer.content_type);
    result.type = type;
    result.size = answer.size;
    if (is_redirect(answer.status) && !answer.location.empty()) {
        Link link;
        link.target = answer.location;
        link.kind = LinkKind::redirect;
        auto target = url.try_resolve(answer.location);
        if (target) finished.links.push_back({std::move(*target), std::move(link)});
        co_return;
    }
    const bool success = answer.status >= 200 && answer.status < 300;
    if (!success || finished.page->check_only || !(is_html(type) || is_css(type))) co_return;
    // Where the user's types leave HTML out, there is nothing to read.
    if (answer.body.empty() && !answer.complete) co_return;

    auto document = co_await read_document_aside(std::move(answer.body), std::move(answer.content_type));
    for (const auto& tag : answer.robots_tags) {
        const auto directives = read_robots_directives(tag, product_token);
        document.nofollow = document.nofollow || directives.nofollow;
        document.noindex = document.noindex || directives.noindex;
    }
    const bool whole = document.state == Document::State::whole;
    if (!whole) result.error = "too complex to be read: its links were not followed";
    result.title = std::move(document.title);
    if (options_.check_fragments && whole && answer.complete && is_html(type)) {
        result.has_fragments = true;
        result.fragments = std::move(document.fragments);
    }
    finished.lang = std::move(document.lang);
    if (!document.noindex) finished.text = std::move(document.text);
    co_await collect_links(url, std::move(document), finished);
}

coaio::Coro<> Crawler::collect_links(const coaio::http::Url& url, Document document, FinishedPage& finished) {
    const auto base = url.try_resolve(document.base).value_or(url);
    if (!document.canonical.empty()) {
        const auto canonical = base.try_resolve(document.canonical);
        if (canonical) finished.canonical = canonical->without_fragment().to_string();
    }
    if (document.nofollow && !options_.ignore_nofollow) co_return;
    std::size_t count = 0;
    for (auto& link : document.links) {
        if (++count % links_a_turn == 0) co_await coaio::sleep(coaio::Duration::zero());
        if (link.kind == LinkKind::form || (link.nofollow && !options_.ignore_nofollow)) continue;
        auto target = base.try_resolve(link.target);
        if (target && target->is_http()) finished.links.push_back({std::move(*target), std::move(link)});
    }
}

// The page, its links and its new state belong together: neither the store's commit nor what follows from it in memory
// is left half done by a cancellation.
coaio::Coro<> Crawler::commit(FinishedPage& finished, Ended how) {
    bool committed = false;
    const auto body = [&](coaio::Scope&) -> coaio::Coro<> {
        if (store_ != nullptr) co_await store_->commit(finished);
        committed = true;
        co_await enter(finished, how);
    };
    while (!committed) {
        std::exception_ptr failure;
        try {
            co_await coaio::masked(body, {.deadline = commit_deadline});
        } catch (const std::exception&) {
            if (committed) throw;
            failure = std::current_exception();
        }
        if (failure) co_await store_->recover(failure);
    }
}

// In this run links may be found in another order: a page of an earlier one must not lose its place to a new one.
coaio::Coro<> Crawler::reserve_known() {
    const auto ask = [this] { return store_->known(); };
    const auto known = co_await insist(*store_, ask);
    frontier_.reserve(known);
}

// What was committed by an earlier run is entered without a request, so it costs the next one no delay.
coaio::Coro<bool> Crawler::recall(PageId id) {
    FinishedPage finished;
    const auto ask = [&] {
        finished = FinishedPage();
        finished.id = id;
        finished.page = &frontier_.page(id);
        return store_->recall(finished);
    };
    const bool known = co_await insist(*store_, ask);
    if (!known) co_return false;
    const auto body = [&](coaio::Scope&) { return enter(finished, std::nullopt); };
    co_await coaio::masked(body, {.deadline = commit_deadline});
    co_return true;
}

// `how` is what the fetch tells about the host; nothing where there was none.
coaio::Coro<> Crawler::enter(FinishedPage& finished, std::optional<Ended> how) {
    std::size_t count = 0;
    for (const auto& found : finished.links) {
        if (lead_ != nullptr) break;  // it has them from the commit
        if (++count % links_a_turn == 0) co_await coaio::sleep(coaio::Duration::zero());
        const auto id = frontier_.add_link(found.url, found.link, finished.id);
        if (id && found.link.kind == LinkKind::redirect) finished.result.redirect = *id;
    }
    may_lead_on_ = lead_ != nullptr;
    if (finished.state == PageState::disallowed) {
        frontier_.disallow(finished.id);
    } else if (how) {
        frontier_.finish(finished.id, finished.result, *how, loop_now());
    } else {
        frontier_.recall(finished.id, finished.result);
    }
    if (finished_ != nullptr) finished_->put_nowait(finished.id);
    changed_.set();
}

}  // namespace crawl

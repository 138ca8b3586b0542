// SPDX-License-Identifier: MIT
#include "crawler/frontier.hpp"

#include <algorithm>
#include <functional>

namespace crawl {
namespace {

std::uint64_t hash_of(std::string_view fragment) { return std::hash<std::string_view>()(fragment); }

}  // namespace

std::optional<Reach> reach_of(const Page& from, LinkKind kind) {
    Reach reach;
    // What a page is made of lies as deep as the page; what it leads to, one deeper.
    reach.depth = from.depth + (leads_on(kind) ? 1 : 0);
    if (kind == LinkKind::redirect) reach.hops = from.hops + 1;
    if (reach.hops > Frontier::max_redirects) return std::nullopt;
    // Who asks for example.com means the site that it has become.
    reach.start = reach.hops > 0 && from.start;
    return reach;
}

void Frontier::add_to_scope(const coaio::http::Url& url) {
    const auto whole = url.to_string();
    scope_.add_start(view_of(url, whole));
}

PageId Frontier::add_start(const coaio::http::Url& url) {
    add_to_scope(url);
    const auto id = add(url, LinkKind::start, Reach());
    pages_[id].start = true;
    return id;
}

void Frontier::add_known(const KnownAddress& known) {
    const auto url = coaio::http::Url::parse(known.url);
    if (pages_.size() >= no_page - 1 || !ids_.emplace(known.url, static_cast<PageId>(pages_.size())).second) return;
    const auto id = static_cast<PageId>(pages_.size());
    auto& page = pages_.emplace_back();
    page.url = known.url;
    page.host = url.origin();
    page.kind = known.kind;
    page.depth = known.reach.depth;
    page.hops = known.reach.hops;
    page.start = known.reach.start;
    page.tries = known.tries;
    if (page.start) add_to_scope(url);
    page.check_only = !is_inside(url);
    ++accepted_;
    enqueue(id);
}

std::chrono::milliseconds Frontier::rest(TimePoint now) const {
    TimePoint when = now;
    for (const auto& [name, host] : hosts_) when = std::max(when, manners_.may_start(name, now).value_or(now));
    return std::chrono::ceil<std::chrono::milliseconds>(when - now);
}

bool Frontier::is_inside(const coaio::http::Url& url) const {
    const auto whole = url.to_string();
    return scope_.is_inside(view_of(url, whole));
}

std::optional<PageId> Frontier::add_link(const coaio::http::Url& url, const Link& link, PageId from) {
    if (!url.is_http() || url.host().empty()) return std::nullopt;
    Reach reach;
    if (from != no_page) {
        const auto found = reach_of(pages_[from], link.kind);
        if (!found) return std::nullopt;
        reach = *found;
    }
    if (reach.start) add_to_scope(url);
    auto id = add(url, link.kind, reach);
    if (id == no_page) return std::nullopt;
    if (from == no_page) return id;

    Referrer referrer;
    referrer.page = from;
    referrer.kind = link.kind;
    referrer.line = link.line;
    referrer.text = link.text;
    if (url.fragment() && link.kind == LinkKind::anchor) note_fragment(id, *url.fragment(), referrer);
    auto& page = pages_[id];
    page.start = page.start || reach.start;
    ++page.referrer_count;
    bool known = std::any_of(page.referrers.begin(), page.referrers.end(),
                             [&](const Referrer& each) { return each.page == from; });
    if (!known && page.referrers.size() < max_referrers) page.referrers.push_back(std::move(referrer));
    return id;
}

void Frontier::reserve(const std::vector<std::string>& urls) {
    for (const auto& url : urls) {
        if (ids_.count(url) == 0) reserved_.insert(url);
    }
}

bool Frontier::has_place(const std::string& url) const {
    const auto most = scope_.options().max_pages;
    return most == 0 || accepted_ + reserved_.size() < most || reserved_.count(url) != 0;
}

PageId Frontier::add(const coaio::http::Url& url, LinkKind kind, const Reach& reach) {
    auto clean = url.without_fragment().without_credentials();
    auto whole = clean.to_string();
    if (auto found = ids_.find(whole); found != ids_.end()) return found->second;

    auto view = view_of(clean, whole);
    auto refusal = scope_.admit(view, reach.depth, kind);
    // A crawl that meets a trap, or links to everywhere, must not grow by remembering that.
    bool trap =
        refusal == Refusal::too_long || refusal == Refusal::repeating_path || refusal == Refusal::too_many_queries;
    bool full = refusal == Refusal::none && kind != LinkKind::start && !has_place(whole);
    bool enough = refusal != Refusal::none && refused_ >= std::max(least_refused, refused_an_accepted * accepted_);
    if (trap || full || enough || pages_.size() >= no_page - 1) {
        ++dropped_;
        return no_page;
    }

    auto id = static_cast<PageId>(pages_.size());
    auto& page = pages_.emplace_back();
    page.url = whole;
    page.host = clean.origin();
    page.kind = kind;
    page.depth = reach.depth;
    page.hops = reach.hops;
    page.refusal = refusal;
    page.check_only = refusal == Refusal::none && !scope_.is_inside(view);
    if (refusal == Refusal::none) reserved_.erase(whole);
    ids_.emplace(std::move(whole), id);
    if (refusal != Refusal::none) {
        page.state = PageState::refused;
        ++refused_;
        return id;
    }
    ++accepted_;
    enqueue(id);
    return id;
}

void Frontier::enqueue(PageId id) {
    ++queued_;
    const auto& host = pages_[id].host;
    hosts_[host].queue.push_back(id);
    wake(host);
}

// The host is looked at again by the next `take`.
void Frontier::wake(const std::string& name) {
    auto& host = hosts_[name];
    if (host.place == Host::Place::ready || host.queue.empty()) return;
    host.place = Host::Place::ready;
    ready_.push_back(name);
}

void Frontier::wake_due(TimePoint now) {
    while (!retries_.empty() && retries_.top().first <= now) {
        auto id = retries_.top().second;
        retries_.pop();
        hosts_[pages_[id].host].queue.push_front(id);
        wake(pages_[id].host);
    }
    while (!waiting_.empty() && waiting_.top().first <= now) {
        auto name = waiting_.top().second;
        waiting_.pop();
        if (hosts_[name].place == Host::Place::waiting) wake(name);
    }
}

std::optional<PageId> Frontier::take(TimePoint now) {
    wake_due(now);
    while (!ready_.empty()) {
        auto name = std::move(ready_.front());
        ready_.pop_front();
        auto& host = hosts_[name];
        host.place = Host::Place::none;
        if (host.queue.empty()) continue;
        auto when = manners_.may_start(name, now);
        if (!when) continue;  // the end of one of its pages wakes it
        if (*when > now) {
            host.place = Host::Place::waiting;
            waiting_.emplace(*when, name);
            continue;
        }
        auto id = host.queue.front();
        host.queue.pop_front();
        manners_.started(name, now);
        pages_[id].state = PageState::running;
        --queued_;
        ++running_;
        wake(name);
        return id;
    }
    return std::nullopt;
}

std::optional<TimePoint> Frontier::next_time(TimePoint now) {
    std::optional<TimePoint> next;
    if (!ready_.empty()) next = now;
    if (!waiting_.empty()) next = std::min(next.value_or(waiting_.top().first), waiting_.top().first);
    if (!retries_.empty()) next = std::min(next.value_or(retries_.top().first), retries_.top().first);
    return next;
}

void Frontier::leave_running(PageId id, const Ended& how, TimePoint now) {
    --running_;
    manners_.ended(pages_[id].host, how, now);
    wake(pages_[id].host);
}

void Frontier::finish(PageId id, const Fetched& result, const Ended& how, TimePoint now) {
    take_down(id, result);
    leave_running(id, how, now);
}

void Frontier::recall(PageId id, const Fetched& result) {
    take_down(id, result);
    withdraw(id);
}

void Frontier::take_down(PageId id, const Fetched& result) {
    auto& page = pages_[id];
    page.state = result.status == 0 ? PageState::failed : PageState::done;
    page.status = static_cast<std::uint16_t>(result.status);
    page.error = result.error;
    page.type = result.type;
    page.title = result.title;
    page.size = result.size;
    page.elapsed = result.elapsed;
    page.tries = result.tries;
    page.redirect = result.redirect;
    page.has_fragments = result.has_fragments;
    page.fragments.clear();
    page.fragments.reserve(result.fragments.size());
    for (const auto& fragment : result.fragments) page.fragments.push_back(hash_of(fragment));
    std::sort(page.fragments.begin(), page.fragments.end());

    if (auto uses = fragment_uses_.find(id); uses != fragment_uses_.end() && page.has_fragments) {
        std::erase_if(uses->second, [&](const auto& use) { return has_fragment(page, use.first); });
        if (uses->second.empty()) fragment_uses_.erase(uses);
    }
}

void Frontier::put_back(PageId id, const Ended& how, TimePoint when, TimePoint now) {
    auto& page = pages_[id];
    page.state = PageState::queued;
    ++page.tries;
    ++queued_;
    retries_.emplace(when, id);
    leave_running(id, how, now);
}

void Frontier::disallow(PageId id) {
    pages_[id].state = PageState::disallowed;
    withdraw(id);
}

void Frontier::withdraw(PageId id) {
    const auto& host = pages_[id].host;
    --running_;
    manners_.withdrawn(host);
    wake(host);
}

void Frontier::give_back(PageId id, const Ended& how, TimePoint now) {
    auto& page = pages_[id];
    page.state = PageState::queued;
    ++queued_;
    auto& queue = hosts_[page.host].queue;
    queue.insert(std::find_if(queue.begin(), queue.end(), [id](PageId each) { return each > id; }), id);
    leave_running(id, how, now);
}

void Frontier::ended_beside(const std::string& host, const Ended& how, TimePoint now) {
    manners_.ended(host, how, now);
    wake(host);
}

void Frontier::note_fragment(PageId id, std::string_view fragment, Referrer referrer) {
    const auto& page = pages_[id];
    if (page.state == PageState::refused || (page.has_fragments && has_fragment(page, fragment))) return;
    auto& uses = fragment_uses_[id];
    auto found = uses.find(fragment);
    if (found == uses.end()) found = uses.emplace(std::string(fragment), FragmentUse{}).first;
    ++found->second.count;
    if (found->second.referrers.size() < max_referrers) found->second.referrers.push_back(std::move(referrer));
}

// The HTML standard, "find a potential indicated element": as it stands, then percent-decoded; "" and "top" are the
// top of any page. What follows ":~:" is for the browser.
bool Frontier::has_fragment(const Page& page, std::string_view fragment) const {
    fragment = fragment.substr(0, fragment.find(":~:"));
    auto is_there = [&](std::string_view text) {
        return std::binary_search(page.fragments.begin(), page.fragments.end(), hash_of(text));
    };
    if (fragment.empty() || is_there(fragment)) return true;
    auto decoded = coaio::http::percent_decode(fragment);
    if (decoded && is_there(*decoded)) return true;
    return fragment.size() == 3 &&
           std::equal(fragment.begin(), fragment.end(), "top", [](char a, char b) { return a == b || a == b - 32; });
}

}  // namespace crawl

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <exception>
#include <string>
#include <type_traits>
#include <vector>

#include <coaio/core/coro.hpp>
#include <coaio/http/url.hpp>

#include "crawler/link.hpp"
#include "crawler/page.hpp"

namespace crawl {

/// A link of a page, and where it leads to.
struct FoundLink {
    coaio::http::Url url;
    Link link;
};

/// All that one page came to.
struct FinishedPage {
    PageId id = no_page;
    const Page* page = nullptr;  // its address, and how it was seen; its state is still `running`
    PageState state = PageState::done;
    Fetched result;                // `redirect` is not known yet: it is the only link, of kind `redirect`
    std::vector<FoundLink> links;  // those that the crawl follows
    std::string lang;
    std::string canonical;
    std::string text;  // what a reader sees; empty where the page does not want to be searched
};

/// How long a commit may hold up a crawl that is to stop.
inline constexpr std::chrono::seconds commit_deadline{30};

/// Where finished pages are kept beyond the memory of the crawl.
class Store {
public:
    Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    virtual ~Store();

    /// The addresses that `recall` knows, in any order: asked for once, before all pages, where their number is limited.
    ///
    /// Errors: see `recover`.
    [[nodiscard]] virtual coaio::Coro<std::vector<std::string>> known();

    /// Gives what is known of a page from an earlier run of the same crawl, which is then not fetched again; false where
    /// nothing is. `page` comes with its id and address.
    ///
    /// Errors: see `recover`.
    [[nodiscard]] virtual coaio::Coro<bool> recall(FinishedPage& page);

    /// `commit`, `recall` or `known` failed: returns when it is to be called again with the same page, which may have been
    /// committed nevertheless. As it stands it throws the failure, which ends the crawl.
    ///
    /// Cancellation: is not masked.
    [[nodiscard]] virtual coaio::Coro<> recover(std::exception_ptr failure);

    /// Makes the page, its links and its new state durable, all together or not at all. The crawl goes on from the page
    /// only afterwards: one whose commit was not reached is fetched again.
    ///
    /// Called once a page, for several pages at the same time.
    /// Errors: see `recover`. Cancellation: is masked, for at most `commit_deadline`.
    [[nodiscard]] virtual coaio::Coro<> commit(const FinishedPage& page) = 0;
};

/// A store that says what is to be fetched, one share of a crawl after the other: what pages link to is its own affair.
/// Errors of all: see `recover`.
class FrontierStore : public Store {
public:
    /// Addresses to fetch, each given once. None: there are no more for now; it is asked again after each commit.
    [[nodiscard]] virtual coaio::Coro<std::vector<KnownAddress>> next() = 0;

    /// The origins whose sitemaps are to be read.
    [[nodiscard]] virtual coaio::Coro<std::vector<std::string>> unread_sites() = 0;
    /// What the sitemaps of a site name: all of it, in several calls. False: the crawl has no room for more.
    [[nodiscard]] virtual coaio::Coro<bool> add_from_sitemaps(const std::vector<FoundLink>& links) = 0;
    /// The sitemaps of this origin are read.
    [[nodiscard]] virtual coaio::Coro<> site_is_read(const std::string& origin) = 0;
};

/// Asks the store for as long as it recovers from its failures; `ask()` gives the coroutine of one attempt.
template <class Ask>
std::invoke_result_t<const Ask&> insist(Store& store, const Ask& ask) {
    for (;;) {
        std::exception_ptr failure;
        try {
            co_return co_await ask();
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        co_await store.recover(failure);
    }
}

}  // namespace crawl

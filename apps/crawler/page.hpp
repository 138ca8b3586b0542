// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "crawler/link.hpp"
#include "crawler/scope.hpp"

namespace crawl {

/// The number of an address within one crawl, from 0 in the order in which they were seen.
using PageId = std::uint32_t;
constexpr PageId no_page = std::numeric_limits<PageId>::max();

enum class PageState : std::uint8_t {
    queued,
    running,
    done,        // answered, with whatever status
    failed,      // no answer: see `error`
    disallowed,  // by robots.txt
    refused,     // by the scope: never queued
};

[[nodiscard]] constexpr std::string_view name(PageState state) noexcept {
    switch (state) {
    case PageState::queued: return "queued";
    case PageState::running: return "running";
    case PageState::done: return "done";
    case PageState::failed: return "failed";
    case PageState::disallowed: return "disallowed";
    case PageState::refused: return "refused";
    }
    return "?";
}

/// A place from which a page is linked.
struct Referrer {
    PageId page = no_page;
    LinkKind kind = LinkKind::anchor;
    unsigned line = 0;
    std::string text;
};

/// An address and what became of it.
struct Page {
    std::string url;   // normalised, without the fragment
    std::string host;  // for manners: scheme, host and port
    PageState state = PageState::queued;
    LinkKind kind = LinkKind::start;  // how it was seen first
    Refusal refusal = Refusal::none;
    std::uint16_t status = 0;
    unsigned depth = 0;
    unsigned tries = 0;
    unsigned hops = 0;        // redirects on the way here
    bool check_only = false;  // of another host: asked for, not read
    bool start = false;       // given by the user, or where that is redirected to
    std::chrono::milliseconds elapsed{0};
    std::uint64_t size = 0;  // of the body, as far as it was read
    PageId redirect = no_page;
    std::string type;  // media type
    std::string title;
    std::string error;
    std::uint64_t referrer_count = 0;
    std::vector<Referrer> referrers;       // the first few
    std::vector<std::uint64_t> fragments;  // hashes, sorted
    bool has_fragments = false;            // it is HTML, and was read whole
};

/// Where an address lies, seen from the start.
struct Reach {
    unsigned depth = 0;
    unsigned hops = 0;   // redirects on the way
    bool start = false;  // given by the user, or where that is redirected to
};

/// An address to be fetched, as it is kept outside of the memory of the crawl.
struct KnownAddress {
    std::string url;  // normalised, without the fragment
    LinkKind kind = LinkKind::start;
    Reach reach;
    unsigned tries = 0;  // that were made
};

/// What the engine learned by fetching a page.
struct Fetched {
    int status = 0;     // 0: failed
    std::string error;  // of a failure
    std::string type;
    std::string title;
    std::uint64_t size = 0;
    std::chrono::milliseconds elapsed{0};
    unsigned tries = 1;
    PageId redirect = no_page;           // what a 3xx leads to
    std::vector<std::string> fragments;  // of an HTML page that was read whole
    bool has_fragments = false;
};

}  // namespace crawl

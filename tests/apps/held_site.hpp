// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/coro.hpp>
#include <coaio/core/event.hpp>
#include <coaio/http/response.hpp>
#include <coaio/http/router.hpp>

#include <map>
#include <string>

namespace tests {

/// What the last page of a `HeldSite` links to.
enum class LastPage { as_others, links_late };

/// A site on loopback: `/` links to `/page/0` … and to `/gone`, which is not there; each page holds the word `word` and
/// its number, and links home; the last one may link to `/late`, too. It counts what it is asked for, and can hold its
/// answers back.
class HeldSite {
public:
    explicit HeldSite(int pages, LastPage last = LastPage::as_others) : pages_(pages), last_(last) {}
    [[nodiscard]] coaio::Coro<coaio::http::Router> build();

    /// So many answers are given, the next ones wait until `open`.
    void hold_after(int answers) { left_ = answers; }
    /// Set when the first one waits.
    [[nodiscard]] coaio::Event& held() noexcept { return held_; }
    void open();
    /// How often each page was asked for.
    [[nodiscard]] const std::map<std::string, int>& requests() const noexcept { return requests_; }
    void forget_requests() { requests_.clear(); }
    /// How many pages there are, the one that is not there included.
    [[nodiscard]] int size() const noexcept { return pages_ + (last_ == LastPage::links_late ? 3 : 2); }

private:
    coaio::Coro<coaio::http::Response> answer(std::string path, std::string html);

    int pages_;
    LastPage last_;
    int left_ = -1;
    coaio::Event held_;
    coaio::Event gate_;
    std::map<std::string, int> requests_;
};

}  // namespace tests

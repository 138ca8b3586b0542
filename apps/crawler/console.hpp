// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>

#include <coaio/core/loop.hpp>
#include <coaio/core/task.hpp>

// How a program that crawls speaks and listens to whoever started it.
namespace crawl {

/// Where a crawl speaks: its summary goes to `out`, its progress to `log`.
struct Output {
    std::ostream* out = nullptr;
    std::ostream* log = nullptr;
    bool terminal = false;   // `log` is one: its last line may be written over
    std::size_t width = 80;  // of the terminal
};

/// The log, whose last line may be one that is written over again and again.
class Screen {
public:
    explicit Screen(const Output& output) : output_(output) {}

    void line(const std::string& text);
    /// Over the one before; on a terminal only.
    void live(const std::string& text);
    void clear();
    [[nodiscard]] bool is_terminal() const noexcept { return output_.terminal; }
    /// The last column stays free: writing there moves some terminals to the next line.
    [[nodiscard]] std::size_t width() const noexcept { return output_.width > 1 ? output_.width - 1 : 0; }

private:
    Output output_;
    bool live_ = false;
};

/// Listens to signals for as long as it lives: SIGTERM cancels the work, a second one ends the program; SIGUSR1 writes the
/// tree of tasks to the screen. SIGINT is not among them: `run` makes a cancellation of it.
class Signals {
public:
    explicit Signals(Screen& screen);
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    ~Signals();

    void will_end(coaio::Task<> work) { work_ = std::move(work); }
    [[nodiscard]] bool terminated() const noexcept { return terminated_; }

private:
    coaio::Loop* loop_;
    std::optional<coaio::Task<>> work_;
    bool terminated_ = false;
};

}  // namespace crawl

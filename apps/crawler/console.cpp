// SPDX-License-Identifier: MIT
#include "crawler/console.hpp"

#include <csignal>
#include <ostream>

#include <coaio/core/dump.hpp>

namespace crawl {

void Screen::line(const std::string& text) {
    clear();
    *output_.log << text << '\n' << std::flush;
}

void Screen::live(const std::string& text) {
    clear();
    *output_.log << text << std::flush;
    live_ = true;
}

void Screen::clear() {
    if (live_) *output_.log << "\r\x1b[K" << std::flush;
    live_ = false;
}

Signals::Signals(Screen& screen) : loop_(&coaio::get_running_loop()) {
    loop_->add_signal_handler(SIGTERM, [this] {
        terminated_ = true;
        if (work_) work_->cancel();
        loop_->remove_signal_handler(SIGTERM);  // the next one ends the program
    });
    loop_->add_signal_handler(SIGUSR1, [&screen] { screen.line(coaio::dump_tasks(coaio::all_loops)); });
}

Signals::~Signals() {
    loop_->remove_signal_handler(SIGTERM);
    loop_->remove_signal_handler(SIGUSR1);
}

}  // namespace crawl

// SPDX-License-Identifier: MIT
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
using ListenerBase = Catch::EventListenerBase;
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
using ListenerBase = Catch::TestEventListenerBase;
#endif

#include "support/watch.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

int cases_that_leaked = 0;
std::size_t cases_passed = 0;
std::size_t cases_failed = 0;

// Around every test case: a time limit, and a look at the descriptors it left open.
class Watch : public ListenerBase {
public:
    using ListenerBase::ListenerBase;

    void testCaseStarting(const Catch::TestCaseInfo& info) override {
        ListenerBase::testCaseStarting(info);
        before_ = tests::open_descriptors();
        tests::watch_case(info.name);
    }

    void testCaseEnded(const Catch::TestCaseStats& stats) override {
        tests::unwatch_case();
        bool leaked = report_leaks(stats.testInfo);
        if (leaked) ++cases_that_leaked;
        if (leaked || stats.totals.assertions.failed > 0) {
            ++cases_failed;
        } else {
            ++cases_passed;
        }
        ListenerBase::testCaseEnded(stats);
    }

private:
    template <class Info>
    bool report_leaks(const Info& info) const {
        bool leaked = false;
        for (const auto& [fd, target] : tests::open_descriptors()) {
            if (before_.count(fd) != 0) continue;
            leaked = true;
            std::cerr << "LEAK: the test case \"" << name_of(info) << "\" left descriptor " << fd << " open: " << target
                      << '\n';
        }
        return leaked;
    }
    static const std::string& name_of(const Catch::TestCaseInfo& info) { return info.name; }
    template <class Pointer>
    static const std::string& name_of(const Pointer& info) {
        return info->name;
    }

    std::map<int, std::string> before_;
};

CATCH_REGISTER_LISTENER(Watch)

// For `./dev test`, which adds up the cases of all programs.
void write_counts() {
    const char* folder = std::getenv("COAIO_TEST_COUNTS");
    const char* name = std::getenv("COAIO_TEST_NAME");
    if (folder == nullptr || name == nullptr) return;
    std::ofstream(std::string(folder) + "/" + name) << cases_passed << ' ' << cases_failed << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> words(argv, argv + argc);
    if (const char* more = std::getenv("COAIO_TEST_ARGS")) {
        std::istringstream text(more);
        for (std::string word; text >> word;) words.push_back(word);
    }
    std::vector<const char*> pointers;
    pointers.reserve(words.size());
    for (const auto& word : words) pointers.push_back(word.c_str());

    Catch::Session session;
    int bad_call = session.applyCommandLine(static_cast<int>(pointers.size()), pointers.data());
    if (bad_call != 0) return bad_call;
    int failed = session.run();
    write_counts();
    if (failed == 0 && cases_that_leaked > 0) {
        std::cerr << cases_that_leaked << " test case(s) leaked descriptors\n";
        return 1;
    }
    return failed;
}

// SPDX-License-Identifier: MIT
#include "tour.hpp"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace tour {

namespace {

// [factorial-step]
coaio::Coro<long> factorial_of(std::string name, int number, std::ostream& out) {
    long product = 1;
    for (int i = 2; i <= number; ++i) {
        out << "Task " << name << ": Compute factorial(" << number << "), currently i=" << i << "..." << std::endl;
        co_await coaio::sleep(1s);
        product *= i;
    }
    out << "Task " << name << ": factorial(" << number << ") = " << product << std::endl;
    co_return product;
}
// [/factorial-step]

coaio::Coro<int> fail_after(coaio::Duration delay) {
    co_await coaio::sleep(delay);
    throw std::runtime_error("this one failed");
}

coaio::Coro<int> value_after(coaio::Duration delay, int value) {
    co_await coaio::sleep(delay);
    co_return value;
}

coaio::Coro<> save(std::ostream& out) {
    out << "saving" << std::endl;
    co_await coaio::sleep(2s);
    out << "saved" << std::endl;
}

coaio::Coro<> request(coaio::Task<> saving, std::ostream& out) {
    try {
        co_await coaio::shield(saving);
    } catch (const coaio::CancelledError&) {
        out << "the request was cancelled" << std::endl;
        throw;
    }
}

coaio::Coro<> eternity(std::ostream& out) {
    co_await coaio::sleep(1h);
    out << "yay!" << std::endl;
}

// [ticks]
coaio::AsyncGenerator<int> ticks(int count) {
    for (int i = 0; i < count; ++i) {
        co_yield i;
        co_await coaio::sleep(1s);
    }
}
// [/ticks]

}  // namespace

// [factorial]
coaio::Coro<> factorial(std::ostream& out) {
    auto [a, b, c] =
        co_await coaio::gather(factorial_of("A", 2, out), factorial_of("B", 3, out), factorial_of("C", 4, out));
    out << "[" << a << ", " << b << ", " << c << "]" << std::endl;
}
// [/factorial]

// [gather-exceptions]
coaio::Coro<> gather_exceptions(std::ostream& out) {
    auto [good, bad] = co_await coaio::gather(coaio::return_exceptions, value_after(1s, 1), fail_after(1s));
    out << good.value() << std::endl;
    out << coaio::describe_exception(bad.error()) << std::endl;
    try {
        co_await coaio::gather(value_after(2s, 1), fail_after(1s));
    } catch (const std::exception& error) {
        out << "the first failure is thrown: " << error.what() << std::endl;
    }
}
// [/gather-exceptions]

// [shield]
coaio::Coro<> shield(std::ostream& out) {
    auto saving = coaio::create_task(save(out));
    auto caller = coaio::create_task(request(saving, out));
    co_await coaio::sleep(1s);
    caller.cancel();
    const std::vector callers{caller};
    co_await coaio::wait(callers);
    co_await saving;
    out << std::boolalpha << "caller cancelled: " << caller.cancelled() << ", saving cancelled: " << saving.cancelled()
        << std::endl;
}
// [/shield]

// [wait-for]
coaio::Coro<> wait_for(std::ostream& out) {
    try {
        co_await coaio::wait_for(eternity(out), 1s);
    } catch (const coaio::TimeoutError&) {
        out << "timeout!" << std::endl;
    }
}
// [/wait-for]

// [wait]
coaio::Coro<> wait(std::ostream& out) {
    std::vector<coaio::Task<int>> tasks;
    for (int i = 1; i <= 3; ++i) tasks.push_back(coaio::create_task(value_after(i * 1s, i)));
    auto [done, pending] = co_await coaio::wait(tasks, coaio::FIRST_COMPLETED);
    out << done.size() << " done, " << pending.size() << " pending" << std::endl;
    auto rest = co_await coaio::wait(pending);
    for (const auto& task : rest.done) out << task.result() << std::endl;
}
// [/wait]

// [as-completed]
coaio::Coro<> as_completed(std::ostream& out) {
    std::vector<coaio::Coro<int>> coros;
    for (const int i : {3, 1, 2}) coros.push_back(value_after(i * 1s, i));
    for (auto earliest : coaio::as_completed(std::move(coros))) {
        const int value = co_await std::move(earliest);
        out << value << std::endl;
    }
}
// [/as-completed]

// [generator]
coaio::Coro<> generator(std::ostream& out) {
    auto numbers = ticks(3);
    while (auto number = co_await numbers.next()) out << *number << std::endl;
}
// [/generator]

}  // namespace tour

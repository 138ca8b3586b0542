// SPDX-License-Identifier: MIT
// What gather, shield and as_completed leave to others: the values of named handles, requests that come from users' own
// destructors or round a ring, and failures that nobody has seen.
#include <coaio/core/as_completed.hpp>
#include <coaio/core/error.hpp>
#include <coaio/core/executor.hpp>
#include <coaio/core/gather.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/shield.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/wait.hpp>

#include "support/catch.hpp"

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using coaio::Coro;
using coaio::create_task;
using coaio::Future;
using coaio::Task;

namespace {

// Does something whenever one of it is copied or destroyed.
struct Loud {
    explicit Loud(std::function<void()> action) : act(std::move(action)) {}
    Loud(const Loud& other) : act(other.act) { act(); }
    Loud& operator=(const Loud&) = delete;
    ~Loud() { act(); }
    std::function<void()> act;
};

Coro<> nap(coaio::Duration delay) { co_await coaio::sleep(delay); }

Coro<> fail_after(coaio::Duration delay) {
    co_await coaio::sleep(delay);
    throw std::runtime_error("failed");
}

Coro<std::string> word(std::string text) { co_return text; }

Coro<std::string&> reference_to(std::string& text) {
    co_await coaio::sleep(1s);
    co_return text;
}

Coro<> await_later(const std::optional<Task<>>& task) {
    co_await coaio::sleep(0s);
    co_await *task;
}

Coro<std::string> message_of(Task<> task) {
    std::string message = "none";
    try {
        co_await task;
    } catch (const coaio::CancelledError& error) {
        message = error.message().value_or("no message");
    }
    co_return message;
}

// How many failures the body leaves that nobody has seen.
template <class F>
int reports(F body) {
    coaio::testing::TestLoop loop;
    int count = 0;
    loop.loop().set_exception_handler([&count](coaio::Loop&, const coaio::ExceptionContext&) { ++count; });
    loop.run(body());
    return count;
}

const std::string long_text = "a message that is too long to lie in the string itself";

}  // namespace

TEST_CASE("GAT-15: a value's own destructor or copy may cancel the gather that takes it: it is refused") {
    auto main = []() -> Coro<> {
        std::optional<Future<std::tuple<Loud, Loud>>> both;
        int refused = 0;
        const std::function<void()> cancel = [&] {
            if (both && !both->done()) refused += both->cancel() ? 0 : 1;
        };
        const Future<Loud> a;
        const Future<Loud> b;
        both = coaio::gather(a, Future<Loud>(b));
        a.set_result(cancel);
        b.set_result(cancel);
        co_await coaio::sleep(1s);
        REQUIRE(both->done());
        REQUIRE_FALSE(both->cancelled());
        REQUIRE(both->exception() == nullptr);
        REQUIRE(refused > 0);
    };
    coaio::testing::run(main());
}

TEST_CASE("a value's own copy may cancel the shield that takes it: it is refused") {
    auto main = []() -> Coro<> {
        std::optional<Future<Loud>> outer;
        int refused = 0;
        const Future<Loud> inner;
        outer = coaio::shield(inner);
        inner.set_result([&] {
            if (outer && !outer->done()) refused += outer->cancel() ? 0 : 1;
        });
        co_await coaio::sleep(1s);
        REQUIRE(outer->done());
        REQUIRE_FALSE(outer->cancelled());
        REQUIRE(refused > 0);
    };
    coaio::testing::run(main());
}

TEST_CASE("a task that cancelled itself and then awaits a ring back to itself gets one request, with its message") {
    auto self_cancelling = [](Task<> a, Task<> b) -> Coro<> {
        co_await coaio::sleep(0s);
        co_await coaio::sleep(0s);
        coaio::current_task()->cancel(long_text);
        co_await coaio::gather(a, b);
    };
    auto main = [](auto make) -> Coro<> {
        std::optional<Task<>> first;
        auto second = create_task(await_later(first));
        auto third = create_task(nap(1h));
        first = create_task(make(second, third));
        const std::string message = co_await message_of(*first);
        REQUIRE(message == long_text);
        REQUIRE(first->cancelling() == 1);
        std::vector<Task<>> others{second, third};
        static_cast<void>(co_await coaio::wait(others));
        REQUIRE(second.cancelled());
        REQUIRE(third.cancelled());
        REQUIRE(coaio::Clock::now().time_since_epoch() < 1h);
    };
    coaio::testing::run(main(self_cancelling));
}

TEST_CASE("a task that cancelled itself and then awaits a gather of itself ends") {
    auto self_gathering = [](const std::optional<Task<>>& self) -> Coro<> {
        co_await coaio::sleep(0s);
        coaio::current_task()->cancel(long_text);
        co_await coaio::gather(*self);
    };
    auto main = [](auto make) -> Coro<> {
        std::optional<Task<>> self;
        self = create_task(make(self));
        const std::string message = co_await message_of(*self);
        REQUIRE(message == long_text);
        REQUIRE(self->cancelling() == 1);
    };
    coaio::testing::run(main(self_gathering));
}

TEST_CASE("a gather that is reached again as the child of another one is asked once") {
    using Gathered = Future<std::tuple<std::monostate, std::monostate>>;
    auto awaits_outer = [](const std::optional<Gathered>& inner) -> Coro<> {
        co_await coaio::sleep(0s);
        co_await coaio::gather(*inner);
    };
    auto main = [](auto make) -> Coro<> {
        std::optional<Gathered> inner;
        auto ring = create_task(make(inner));
        auto other = create_task(nap(1h));
        inner = coaio::gather(ring, other);
        co_await coaio::sleep(1s);
        REQUIRE(inner->cancel());
        REQUIRE(ring.cancelling() == 1);
        REQUIRE(other.cancelling() == 1);
        std::vector<Task<>> both{ring, other};
        static_cast<void>(co_await coaio::wait(both));
        REQUIRE(ring.cancelled());
        REQUIRE(other.cancelled());
    };
    coaio::testing::run(main(awaits_outer));
}

TEST_CASE("a future whose wait was ended, as it closed a ring, still has its failure reported") {
    auto fails_when_cancelled = [](const std::optional<Task<>>& other) -> Coro<> {
        co_await coaio::sleep(0s);
        try {
            co_await *other;
        } catch (const coaio::CancelledError&) {
            throw std::runtime_error("while cleaning up");
        }
    };
    auto body = [](auto make) -> Coro<> {
        std::optional<Task<>> first;
        std::optional<Task<>> second;
        first = create_task(make(second));
        second = create_task(make(first));
        co_await coaio::sleep(1s);
        first->cancel();
        first.reset();
        second.reset();
        co_await coaio::sleep(1h);
    };
    REQUIRE(reports([&] { return body(fails_when_cancelled); }) == 1);
}

TEST_CASE("CXL-17: of two requests in one turn a task that awaits a gather gets the first one's message") {
    auto waits = [](Future<int> future) -> Coro<> { co_await coaio::gather(future); };
    auto main = [](auto make) -> Coro<> {
        const Future<int> future;
        auto task = create_task(make(future));
        co_await coaio::sleep(0s);
        REQUIRE(task.cancel("m1"));
        REQUIRE(task.cancel("m2"));
        const std::string message = co_await message_of(task);
        REQUIRE(message == "m1");
        REQUIRE(task.cancelling() == 2);
    };
    coaio::testing::run(main(waits));
}

TEST_CASE("a cancelled gather of outcomes has seen its children's failures") {
    REQUIRE(reports([]() -> Coro<> {
                {
                    auto all = coaio::gather(coaio::return_exceptions, fail_after(1s), nap(1h));
                    co_await coaio::sleep(2s);
                    REQUIRE(all.cancel());
                }
                co_await coaio::sleep(1s);
            }) == 0);
}

TEST_CASE("SHD-06: a cancelled shield holds no handle: a failure is reported when the inner task ends") {
    coaio::testing::TestLoop loop;
    int count = 0;
    loop.loop().set_exception_handler([&count](coaio::Loop&, const coaio::ExceptionContext&) { ++count; });
    auto main = [](int& seen) -> Coro<> {
        auto outer = coaio::shield(fail_after(1s));
        outer.cancel();
        co_await coaio::sleep(2s);
        REQUIRE(seen == 1);
    };
    loop.run(main(count));
}

TEST_CASE("SHD-04: a shield of a named task that is done leaves it its value, as one of a pending task does") {
    auto main = []() -> Coro<> {
        auto task = create_task(word(long_text));
        co_await coaio::sleep(0s);
        REQUIRE(task.done());
        REQUIRE(coaio::shield(task).done());
        const std::string awaited = co_await coaio::shield(task);
        const std::string in_time = co_await coaio::wait_for(coaio::shield(task), 1s);
        const auto [gathered] = co_await coaio::gather(coaio::shield(task));
        REQUIRE(awaited == long_text);
        REQUIRE(in_time == long_text);
        REQUIRE(gathered == long_text);
        REQUIRE(task.result() == long_text);
    };
    coaio::testing::run(main());
}

TEST_CASE("as_completed by value leaves named tasks their values") {
    auto main = []() -> Coro<> {
        std::vector<Task<std::string>> tasks{create_task(word("a")), create_task(word("b"))};
        std::string all;
        for (auto next : coaio::as_completed(tasks)) {
            const std::string value = co_await std::move(next);
            all += value;
        }
        REQUIRE(all == "ab");
        REQUIRE(tasks[0].result() == "a");
        REQUIRE(tasks[1].result() == "b");
        std::vector<Task<>> naps{create_task(nap(1s))};
        for (auto next : coaio::as_completed(naps)) co_await std::move(next);
        REQUIRE(naps[0].done());
    };
    coaio::testing::run(main());
}

TEST_CASE("as_completed keeps nothing of the waits that were cancelled") {
    auto main = []() -> Coro<> {
        std::vector<Task<>> tasks{create_task(nap(10h))};
        auto finished = coaio::as_completed(tasks);
        auto heartbeats = [](auto& source, int count) -> Coro<> {
            for (int i = 0; i < count; ++i) {
                try {
                    co_await coaio::wait_for(source.next(), 1s);
                } catch (const coaio::TimeoutError&) {}
            }
        };
        co_await heartbeats(finished, 10);
        const std::size_t before = coaio::get_running_loop().stats().frame_pool_bytes;
        co_await heartbeats(finished, 5000);
        REQUIRE(coaio::get_running_loop().stats().frame_pool_bytes == before);
        auto last = co_await finished.next();
        REQUIRE(last->same_as(tasks[0]));
    };
    coaio::testing::run(main());
}

TEST_CASE("gather copies through the references of its children, a shield hands them on") {
    auto main = []() -> Coro<> {
        std::string text = long_text;
        auto named = create_task(reference_to(text));
        auto [first, second] = co_await coaio::gather(named, reference_to(text));
        static_assert(std::is_same_v<decltype(first), std::string>);
        REQUIRE(first == long_text);
        REQUIRE(second == long_text);
        const auto [outcome] = co_await coaio::gather(coaio::return_exceptions, reference_to(text));
        REQUIRE(outcome.value() == long_text);
        std::vector<Coro<std::string&>> coros;
        coros.push_back(reference_to(text));
        const std::vector<std::string> values = co_await coaio::gather(std::move(coros));
        REQUIRE(values == std::vector<std::string>{long_text});
        std::string& pending = co_await coaio::shield(reference_to(text));
        std::string& done = co_await coaio::shield(named);
        REQUIRE(&pending == &text);
        REQUIRE(&done == &text);
        REQUIRE(text == long_text);
    };
    coaio::testing::run(main());
}

TEST_CASE("EXE-06: what a withdrawn job captured is let go when the request that withdrew it has arrived everywhere",
          "[threads]") {
    std::promise<void> gate;
    coaio::Loop loop;
    loop.set_default_executor(std::make_shared<coaio::ThreadPoolExecutor>(1));
    auto waits = [](Future<> job, Task<> other) -> Coro<> { co_await coaio::gather(job, other); };
    auto main = [](auto make, std::promise<void>& open) -> Coro<> {
        auto& running = coaio::get_running_loop();
        auto first = running.run_in_executor([opened = open.get_future().share()] { opened.wait(); });
        std::optional<Task<>> task;
        auto guard = std::shared_ptr<void>(nullptr, [&task](void*) { task->cancel(); });
        auto job = running.run_in_executor([guard = std::move(guard)] {});
        auto other = create_task(nap(1h));
        task = create_task(make(job, other));
        co_await coaio::sleep(0s);
        co_await coaio::sleep(0s);
        CHECK(task->cancel());
        CHECK(task->cancelling() == 1);
        const std::string message = co_await message_of(*task);
        CHECK(message == "no message");
        CHECK(task->cancelling() == 2);
        open.set_value();
        co_await first;
        std::vector<Task<>> rest{other};
        static_cast<void>(co_await coaio::wait(rest));
    };
    loop.run_until_complete(main(waits, gate));
    loop.run_until_complete(loop.shutdown_default_executor());
}

// SPDX-License-Identifier: MIT
#include <coaio/core/queue.hpp>

#include "queue_support.hpp"

using namespace tests;

TEST_CASE("join waits for as many task_done as there were items, and one too many is a ValueError") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        co_await queue.join();
        queue.put_nowait(1);
        queue.put_nowait(2);
        auto joiner = coaio::create_task(join_and_log(queue, log));
        co_await turn();
        CHECK_THAT(coaio::dump_tasks(), contains("waits for queue (2 items unfinished)"));
        drain(queue);
        queue.task_done();
        co_await turns(2);
        CHECK(log.empty());
        queue.task_done();
        co_await joiner;
        CHECK(log == Log{"joined"});
        CHECK_THROWS_AS(queue.task_done(), coaio::ValueError);
    });
}

TEST_CASE("QUE-19: a new item before join's waiter resumes does not hold it up") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        queue.put_nowait(1);
        auto joiner = coaio::create_task(join_and_log(queue, log));
        co_await turn();
        queue.get_nowait();
        queue.task_done();
        queue.put_nowait(2);
        co_await joiner;
        CHECK(log == Log{"joined"});
    });
}

TEST_CASE("After a shutdown nothing is put, what is there can be got, then get throws") {
    run([]() -> Coro<> {
        Queue<int> queue(2);
        Log log;
        queue.put_nowait(1);
        queue.put_nowait(2);
        auto putter = coaio::create_task(put_and_log(queue, log, 3));
        co_await turn();
        queue.shutdown();
        co_await putter;
        CHECK_THROWS_AS(queue.put_nowait(4), coaio::QueueShutDown);
        co_await put_and_log(queue, log, 5);
        co_await get_and_log(queue, log, "got ");
        CHECK(queue.get_nowait() == 2);
        CHECK_THROWS_AS(queue.get_nowait(), coaio::QueueShutDown);
        co_await get_and_log(queue, log);
        CHECK(log == Log{"refused 3", "refused 5", "got 1", "shut down"});
    });
}

TEST_CASE("A shutdown wakes getters that wait") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log, "a "));
        auto b = coaio::create_task(get_and_log(queue, log, "b "));
        co_await turn();
        queue.shutdown();
        co_await turn();
        CHECK(log == Log{"a shut down", "b shut down"});
        co_await a;
        co_await b;
    });
}

TEST_CASE("QUE-22: immediate drops the items, counts them as done and releases join") {
    run([]() -> Coro<> {
        Queue<Item> queue;
        queue.put_nowait(Item(1));
        queue.put_nowait(Item(2));
        auto joiner = coaio::create_task([](Queue<Item>& mine) -> Coro<> { co_await mine.join(); }(queue));
        co_await turn();
        queue.shutdown(true);
        CHECK(Item::alive() == 0);
        CHECK(queue.empty());
        co_await joiner;
        CHECK_THROWS_AS(queue.task_done(), coaio::ValueError);
    });
}

TEST_CASE("QUE-23: immediate with one item taken and not marked: join waits for that one") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        queue.put_nowait(1);
        queue.put_nowait(2);
        auto joiner = coaio::create_task(join_and_log(queue, log));
        queue.get_nowait();
        co_await turn();
        queue.shutdown(true);
        co_await turns(2);
        CHECK(log.empty());
        queue.task_done();
        co_await joiner;
        CHECK_THROWS_AS(queue.task_done(), coaio::ValueError);
    });
}

TEST_CASE("QUE-24: a blocked putter with room made, then shutdown before it resumes, inserts nothing") {
    run([]() -> Coro<> {
        Queue<int> queue(1);
        Log log;
        queue.put_nowait(1);
        auto putter = coaio::create_task(put_and_log(queue, log, 2));
        co_await turn();
        CHECK(queue.get_nowait() == 1);
        queue.shutdown();
        co_await putter;
        CHECK(log == Log{"refused 2"});
        CHECK(queue.empty());
        CHECK_FALSE(queue.full());
    });
}

TEST_CASE("QUE-25: a getter woken by an item gets it in spite of a shutdown, but not of an immediate one") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log));
        co_await turn();
        queue.put_nowait(1);
        queue.shutdown();
        co_await a;
        Queue<int> other;
        auto b = coaio::create_task(get_and_log(other, log));
        co_await turn();
        other.put_nowait(1);
        other.shutdown(true);
        co_await b;
        CHECK(log == Log{"1", "shut down"});
    });
}

TEST_CASE("QUE-26: a second shutdown has no effect but may escalate") {
    run([]() -> Coro<> {
        Queue<int> queue;
        queue.put_nowait(1);
        queue.shutdown();
        queue.shutdown();
        CHECK(queue.qsize() == 1);
        queue.shutdown(true);
        queue.shutdown();
        queue.shutdown(true);
        CHECK(queue.empty());
        co_await queue.join();
    });
}

TEST_CASE("A queue that goes away tells those who wait for it") {
    run([]() -> Coro<> {
        Log log;
        auto queue = std::make_unique<Queue<int>>(1);
        auto getter = coaio::create_task(get_and_log(*queue, log));
        auto woken = coaio::create_task(get_and_log(*queue, log));
        co_await turn();
        queue->put_nowait(1);
        queue.reset();
        const auto first = co_await outcome(getter);
        CHECK_THAT(first, contains("destroyed"));
        const auto second = co_await outcome(woken);
        CHECK_THAT(second, contains("destroyed"));
        queue = std::make_unique<Queue<int>>(1);
        queue->put_nowait(1);
        auto putter = coaio::create_task(put_and_log(*queue, log, 2));
        auto joiner = coaio::create_task(join_and_log(*queue, log));
        co_await turn();
        queue.reset();
        const auto third = co_await outcome(putter);
        CHECK_THAT(third, contains("destroyed"));
        const auto fourth = co_await outcome(joiner);
        CHECK_THAT(fourth, contains("destroyed"));
        CHECK(log.empty());
    });
}

TEST_CASE("A loop that closes with woken and waiting getters and putters leaves no trace") {
    Log log;
    Queue<int> empty;
    Queue<int> full(1);
    full.put_nowait(0);
    {
        coaio::Loop loop;
        loop.set_exception_handler([](coaio::Loop&, const coaio::ExceptionContext&) {});
        for (int i = 0; i < 3; ++i) {
            loop.create_task(get_and_log(empty, log));
            loop.create_task(put_and_log(full, log, i));
        }
        auto stir = [](Queue<int>& first, Queue<int>& second) -> Coro<> {
            co_await turns(2);
            first.put_nowait(1);
            second.get_nowait();
            coaio::get_running_loop().stop();
        };
        loop.create_task(stir(empty, full));
        loop.run_forever();
    }
    CHECK(empty.qsize() == 1);
    CHECK_FALSE(full.full());
    full.put_nowait(7);
}

TEST_CASE("One producer and one consumer pass everything through a small queue, in order, under any order of tasks") {
    const auto body = []() -> Coro<> {
        Queue<int> queue(3);
        auto producer = coaio::create_task([](Queue<int>& into) -> Coro<> {
            for (int i = 0; i < 100; ++i) co_await into.put(i);
            into.shutdown();
        }(queue));
        int next = 0;
        for (bool open = true; open;) {
            try {
                const int item = co_await queue.get();
                if (item != next++) FAIL("out of order");
            } catch (const coaio::QueueShutDown&) {
                open = false;
            }
        }
        CHECK(next == 100);
        co_await producer;
    };
    coaio::testing::explore(body, {.seeds = 20});
}

TEST_CASE("A queue cut at any turn loses no item and doubles none") {
    struct Shared {
        Queue<Item> queue{2};
        std::vector<int> got;
        int put = 0;
    };
    std::shared_ptr<Shared> shared;
    const auto body = [](std::shared_ptr<Shared> mine) -> Coro<> {
        auto producer = coaio::create_task([](std::shared_ptr<Shared> my) -> Coro<> {
            for (int i = 0; i < 6; ++i) {
                co_await my->queue.put(Item(i));
                ++my->put;
            }
        }(mine));
        auto other = coaio::create_task([](std::shared_ptr<Shared> my) -> Coro<> {
            for (int i = 0; i < 2; ++i) {
                co_await turns(2);
                const auto item = co_await my->queue.get();
                my->got.push_back(item.value());
            }
        }(mine));
        for (int i = 0; i < 4; ++i) {
            const auto item = co_await mine->queue.get();
            mine->got.push_back(item.value());
            co_await turn();
        }
        co_await producer;
        co_await other;
    };
    const auto check = [](std::shared_ptr<Shared> mine) -> Coro<> {
        co_await turns(30);
        while (!mine->queue.empty()) {
            const auto item = co_await mine->queue.get();
            mine->got.push_back(item.value());
            co_await turns(3);
        }
        CHECK(mine->got.size() == static_cast<std::size_t>(mine->put));
        std::vector<int> sorted = mine->got;
        std::sort(sorted.begin(), sorted.end());
        for (int i = 0; i < static_cast<int>(sorted.size()); ++i) CHECK(sorted[static_cast<std::size_t>(i)] == i);
    };
    coaio::testing::cut(
        [&] {
            shared = std::make_shared<Shared>();
            return body(shared);
        },
        [&](std::size_t) { return check(shared); });
    shared.reset();
    CHECK(Item::alive() == 0);
}

TEST_CASE("A put cut at any turn leaves its place to the next, and its item is in or gone") {
    std::shared_ptr<Queue<Item>> queue;
    const auto body = [](std::shared_ptr<Queue<Item>> mine) -> Coro<> {
        for (int i = 0; i < 4; ++i) co_await mine->put(Item(i));
    };
    const auto consume = [](std::shared_ptr<Queue<Item>> mine) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            co_await turns(2);
            const auto item = co_await mine->get();
            CHECK(item.value() == i);
        }
    };
    const auto check = [](std::shared_ptr<Queue<Item>> mine) -> Coro<> {
        for (const auto& task : coaio::all_tasks()) {
            if (task != *coaio::current_task()) task.cancel();
        }
        co_await turns(8);
        CHECK(Item::alive() == static_cast<int>(mine->qsize()));
        while (!mine->full()) mine->put_nowait(Item(9));
        CHECK(mine->qsize() == 1);
    };
    coaio::testing::cut(
        [&] {
            queue = std::make_shared<Queue<Item>>(1);
            coaio::create_task(consume(queue));
            return body(queue);
        },
        [&](std::size_t) { return check(queue); });
}

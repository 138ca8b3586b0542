// SPDX-License-Identifier: MIT
#include <coaio/core/queue.hpp>

#include "queue_support.hpp"

using namespace tests;

TEST_CASE("QUE-01: first in first out, last in first out, smallest first") {
    Queue<int> fifo;
    LifoQueue<int> lifo;
    PriorityQueue<int> smallest;
    PriorityQueue<int, std::greater<int>> largest;
    for (const int item : {1, 3, 2}) {
        fifo.put_nowait(item);
        lifo.put_nowait(item);
        smallest.put_nowait(item);
        largest.put_nowait(item);
    }
    CHECK(fifo.qsize() == 3);
    CHECK(drain(fifo) == std::vector<int>{1, 3, 2});
    CHECK(drain(lifo) == std::vector<int>{2, 3, 1});
    CHECK(drain(smallest) == std::vector<int>{1, 2, 3});
    CHECK(drain(largest) == std::vector<int>{3, 2, 1});
}

TEST_CASE("A queue grows past its first places and keeps its order while it wraps around") {
    Queue<Item> queue;
    int next_in = 0;
    int next_out = 0;
    for (int round = 0; round < 50; ++round) {
        for (int i = 0; i < 7; ++i) queue.put_nowait(Item(next_in++));
        for (int i = 0; i < 5; ++i) {
            if (queue.get_nowait().value() != next_out++) FAIL("out of order");
        }
    }
    CHECK(queue.qsize() == 100);
    CHECK(Item::alive() == 100);
    queue.shutdown(true);
    CHECK(Item::alive() == 0);
}

TEST_CASE("A queue holds what can only be moved, and lets go of it") {
    run([]() -> Coro<> {
        {
            Queue<std::unique_ptr<Item>> queue(2);
            co_await queue.put(std::make_unique<Item>(4));
            co_await queue.put(std::make_unique<Item>(5));
            auto first = co_await queue.get();
            CHECK(first->value() == 4);
        }
        CHECK(Item::alive() == 0);
    });
}

TEST_CASE("A maxsize of 0 or less is no limit") {
    Queue<int> queue(-3);
    for (int i = 0; i < 100; ++i) queue.put_nowait(i);
    CHECK_FALSE(queue.full());
    CHECK(queue.maxsize() == 0);
    CHECK(Queue<int>(7).maxsize() == 7);
}

TEST_CASE("QUE-05: the nowait forms throw QueueEmpty and QueueFull") {
    Queue<int> queue(1);
    CHECK_THROWS_AS(queue.get_nowait(), coaio::QueueEmpty);
    queue.put_nowait(1);
    CHECK(queue.full());
    CHECK_THROWS_AS(queue.put_nowait(2), coaio::QueueFull);
    CHECK(queue.get_nowait() == 1);
}

TEST_CASE("Put with room and get with an item do not suspend") {
    run([]() -> Coro<> {
        Queue<int> queue(1);
        Log log;
        auto other = coaio::create_task(turns(0));
        co_await queue.put(1);
        const int item = co_await queue.get();
        CHECK(item == 1);
        CHECK_FALSE(other.done());
        co_await other;
    });
}

TEST_CASE("QUE-07: with the first getter cancelled a put goes to the second") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log, "a"));
        auto b = coaio::create_task(get_and_log(queue, log, "b"));
        co_await turn();
        a.cancel();
        queue.put_nowait(1);
        co_await b;
        CHECK(log == Log{"b1"});
        CHECK(a.cancelled());
    });
}

TEST_CASE("QUE-08: a getter woken by a put and cancelled before it resumes loses nothing") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log, "a"));
        co_await turn();
        queue.put_nowait(1);
        a.cancel();
        const auto how = co_await outcome(a);
        CHECK(how == "cancelled");
        CHECK(queue.qsize() == 1);

        auto b = coaio::create_task(get_and_log(queue, log, "b"));
        auto c = coaio::create_task(get_and_log(queue, log, "c"));
        auto d = coaio::create_task(get_and_log(queue, log, "d"));
        co_await turn();
        CHECK(log == Log{"b1"});
        queue.put_nowait(2);
        c.cancel();
        co_await d;
        CHECK(log == Log{"b1", "d2"});
        co_await b;
    });
}

TEST_CASE("QUE-09: three getters, two items, one getter cancelled: the other two get both") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log, "a"));
        auto b = coaio::create_task(get_and_log(queue, log, "b"));
        auto c = coaio::create_task(get_and_log(queue, log, "c"));
        co_await turn();
        queue.put_nowait(1);
        queue.put_nowait(2);
        a.cancel();
        co_await b;
        co_await c;
        CHECK(log == Log{"b1", "c2"});
        CHECK(a.cancelled());
    });
}

TEST_CASE("QUE-10: a putter woken by a get and cancelled inserts nothing, and its item goes with it") {
    run([]() -> Coro<> {
        Queue<Item> queue(1);
        queue.put_nowait(Item(1));
        auto putter = coaio::create_task([](Queue<Item>& mine) -> Coro<> { co_await mine.put(Item(2)); }(queue));
        co_await turn();
        const Item first = queue.get_nowait();
        CHECK(first.value() == 1);
        putter.cancel();
        const auto how = co_await outcome(putter);
        CHECK(how == "cancelled");
        CHECK(queue.empty());
        CHECK_FALSE(queue.full());
        CHECK(Item::alive() == 1);
        queue.put_nowait(Item(3));
        CHECK(queue.get_nowait().value() == 3);
    });
}

TEST_CASE("QUE-11: a putter cancelled in the middle, or the woken one, does not stall the next") {
    run([]() -> Coro<> {
        Queue<int> queue(1);
        Log log;
        queue.put_nowait(0);
        auto a = coaio::create_task(put_and_log(queue, log, 1));
        auto b = coaio::create_task(put_and_log(queue, log, 2));
        auto c = coaio::create_task(put_and_log(queue, log, 3));
        co_await turn();
        b.cancel();
        CHECK(queue.get_nowait() == 0);
        a.cancel();
        co_await c;
        CHECK(log == Log{"put 3"});
        CHECK(drain(queue) == std::vector<int>{3});
        CHECK(a.cancelled());
        CHECK(b.cancelled());
    });
}

TEST_CASE("QUE-12: waiters that were cancelled leave no dead entries") {
    run([]() -> Coro<> {
        Queue<int> queue(1);
        Log log;
        auto getter = coaio::create_task(get_and_log(queue, log));
        co_await turn();
        getter.cancel();
        const auto how = co_await outcome(getter);
        CHECK(how == "cancelled");
        queue.put_nowait(0);
        auto putter = coaio::create_task(put_and_log(queue, log, 1));
        co_await turn();
        putter.cancel();
        queue.shutdown();
        const auto ended = co_await outcome(putter);
        CHECK(ended == "cancelled");
        CHECK(log.empty());
        CHECK(drain(queue) == std::vector<int>{0});
    });
}

TEST_CASE("QUE-14: n puts wake n getters, in order, on the next turn") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log, "a"));
        auto b = coaio::create_task(get_and_log(queue, log, "b"));
        auto c = coaio::create_task(get_and_log(queue, log, "c"));
        co_await turn();
        queue.put_nowait(1);
        queue.put_nowait(2);
        co_await turn();
        CHECK(log == Log{"a1", "b2"});
        CHECK_FALSE(c.done());
        queue.put_nowait(3);
        co_await c;
        co_await b;
        co_await a;
    });
}

TEST_CASE("An item is nobody's until a getter resumes: get_nowait may take it, and the getter keeps its place") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log, "a"));
        auto b = coaio::create_task(get_and_log(queue, log, "b"));
        co_await turn();
        queue.put_nowait(1);
        CHECK(queue.get_nowait() == 1);
        co_await turns(2);
        CHECK(log.empty());
        CHECK_THAT(coaio::dump_tasks(), contains("waits for queue (empty, 2 waiting for an item)"));
        queue.put_nowait(2);
        queue.put_nowait(3);
        co_await b;
        co_await a;
        CHECK(log == Log{"a2", "b3"});
    });
}

TEST_CASE("A getter whose item was taken can still be cancelled") {
    run([]() -> Coro<> {
        Queue<int> queue;
        Log log;
        auto a = coaio::create_task(get_and_log(queue, log, "a"));
        co_await turn();
        queue.put_nowait(1);
        CHECK(queue.get_nowait() == 1);
        co_await turns(2);
        a.cancel();
        const auto how = co_await outcome(a);
        CHECK(how == "cancelled");
        queue.put_nowait(2);
        CHECK(queue.get_nowait() == 2);
    });
}

TEST_CASE("QUE-15: the place of a woken putter is its own, newcomers see the queue full") {
    run([]() -> Coro<> {
        Queue<int> queue(1);
        Log log;
        queue.put_nowait(0);
        auto a = coaio::create_task(put_and_log(queue, log, 1));
        auto b = coaio::create_task(put_and_log(queue, log, 2));
        co_await turn();
        CHECK(queue.get_nowait() == 0);
        CHECK(queue.empty());
        CHECK(queue.full());
        CHECK_THROWS_AS(queue.put_nowait(9), coaio::QueueFull);
        co_await turn();
        CHECK(log == Log{"put 1"});
        CHECK(queue.get_nowait() == 1);
        co_await b;
        CHECK(queue.get_nowait() == 2);
        co_await a;
    });
}

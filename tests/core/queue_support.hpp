// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/queue.hpp>

#include <coaio/core/dump.hpp>

#include "sync_support.hpp"

#include <algorithm>
#include <functional>
#include <memory>

namespace tests {

using coaio::Coro;
using coaio::LifoQueue;
using coaio::PriorityQueue;
using coaio::Queue;

template <class Q>
Coro<> get_and_log(Q& queue, Log& log, std::string name = "") {
    std::string text;
    try {
        auto item = co_await queue.get();
        text = std::to_string(item);
    } catch (const coaio::QueueShutDown&) {
        text = "shut down";
    }
    log.push_back(name + text);
}

inline Coro<> put_and_log(Queue<int>& queue, Log& log, int item) {
    std::string text = "put ";
    try {
        co_await queue.put(item);
    } catch (const coaio::QueueShutDown&) {
        text = "refused ";
    }
    log.push_back(text + std::to_string(item));
}

inline Coro<> join_and_log(Queue<int>& queue, Log& log) {
    co_await queue.join();
    log.push_back("joined");
}

template <class Q>
std::vector<int> drain(Q& queue) {
    std::vector<int> items;
    while (!queue.empty()) items.push_back(queue.get_nowait());
    return items;
}

}  // namespace tests

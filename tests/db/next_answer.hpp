// SPDX-License-Identifier: MIT
#pragma once

#include "lane_link.hpp"

#include <utility>

namespace tests {

inline coaio::Coro<coaio::db::detail::LaneLink::Answer> next_answer(coaio::db::detail::LaneLink& lane) {
    auto answer = lane.lane_take();
    for (; !answer; answer = lane.lane_take()) co_await lane.lane_wait();
    co_return std::move(*answer);
}

}  // namespace tests

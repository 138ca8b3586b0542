// SPDX-License-Identifier: MIT
#include <coaio/core/detail/frame_pool.hpp>

#include <coaio/core/coro.hpp>
#include <coaio/core/future.hpp>
#include <coaio/core/loop.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coaio::detail::allocate_frame;
using coaio::detail::deallocate_frame;
using coaio::detail::frame_pool_bytes;

bool pools() {
    deallocate_frame(allocate_frame(64), 64);
    return frame_pool_bytes() != 0;
}

}  // namespace

TEST_CASE("frames that are made in one thread and freed in another come back", "[threads]") {
    if (!pools()) return;  // this build takes each frame from malloc
    constexpr std::array<std::size_t, 3> sizes{64, 176, 1000};
    const std::size_t before = frame_pool_bytes();
    std::size_t made = 0;
    std::size_t others = 0;
    // A thread that only frees what this one makes, round by round: 60 MB in all.
    for (int round = 0; round < 30; ++round) {
        std::vector<std::pair<void*, std::size_t>> blocks;
        for (std::size_t i = 0; i < 5000; ++i) {
            const std::size_t size = sizes[i % sizes.size()];
            blocks.emplace_back(allocate_frame(size), size);
            std::memset(blocks.back().first, round, size);
            made += size;
        }
        std::thread([&] {
            for (const auto& [block, size] : blocks) deallocate_frame(block, size);
            others += frame_pool_bytes();
        }).join();
    }
    REQUIRE(made > 50'000'000);
    CHECK(frame_pool_bytes() - before < 8'000'000);
    CHECK(others == 0);
}

TEST_CASE("a frame that dies after its thread's pool is not lost", "[threads]") {
    if (!pools()) return;
    // Made before the thread's pool, and so destroyed after it.
    struct Late {
        ~Late() {
            if (block != nullptr) deallocate_frame(block, 2000);
        }
        void* block = nullptr;
    };
    const std::size_t before = frame_pool_bytes();
    std::size_t taken = 0;
    for (int i = 0; i < 200; ++i) {
        std::thread([&taken] {
            static thread_local Late late;
            REQUIRE(late.block == nullptr);
            late.block = allocate_frame(2000);
            taken += frame_pool_bytes();
        }).join();
    }
    CHECK(frame_pool_bytes() == before);
    // One thread's memory is the next one's.
    CHECK(taken < 2 * 64 * 1024);
}

TEST_CASE("what is aligned more strictly than the pool's blocks is aligned all the same") {
    struct alignas(64) Wide {
        std::array<std::byte, 64> bytes{};
    };
    auto main = []() -> coaio::Coro<int> {
        int astray = 0;
        std::vector<coaio::Future<Wide>> futures;
        for (int i = 0; i < 16; ++i) {
            futures.emplace_back().set_result(Wide());
            if (reinterpret_cast<std::uintptr_t>(&futures.back().result()) % alignof(Wide) != 0) ++astray;
        }
        co_return astray;
    };
    coaio::Loop loop;
    CHECK(loop.run_until_complete(main()) == 0);
}

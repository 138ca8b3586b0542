// SPDX-License-Identifier: MIT
#include <coaio/db/pool.hpp>

#include <coaio/core/run.hpp>
#include <coaio/core/sleep.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/postgres.hpp"

namespace db = coaio::db;
using coaio::Coro;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t megabyte = 1'000'000;
constexpr std::uint64_t may_grow = 20 * megabyte;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

/// How much memory the process has taken, at most, since this began: for all that is measured one beginning, so that
/// what one part keeps counts for the next.
class Peak {
public:
    Peak() {
        std::ofstream clear("/proc/self/clear_refs");
        clear << 5 << std::flush;  // the peak is what there is now
        if (!clear) fail("the peak of resident memory cannot be set back: /proc/self/clear_refs cannot be written");
        before_ = peak();
    }
    [[nodiscard]] std::uint64_t before() const noexcept { return before_; }
    [[nodiscard]] std::uint64_t growth() const { return peak() - before_; }

private:
    static std::uint64_t peak() {
        std::ifstream status("/proc/self/status");
        for (std::string line; std::getline(status, line);) {
            if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6)) * 1024;
        }
        fail("the kernel does not tell the peak of resident memory");
    }
    std::uint64_t before_ = 0;
};

struct World {
    std::int64_t rows;
    std::uint64_t bytes;
    db::Pool pool;
};

// --- what takes long -----------------------------------------------------------

/// A reader that stops again and again, so that the server could send much more than is taken.
Coro<std::uint64_t> read_slowly(World world) {
    auto rows = world.pool.stream<std::int64_t, std::string>(
        "select i, 'row ' || i from (select generate_series(1, $1::int8) as i) as numbers", world.rows);
    std::int64_t next = 0;
    std::uint64_t bytes = 0;
    while (auto row = co_await rows.next()) {
        const auto& [number, text] = *row;
        if (number != ++next) fail("row " + std::to_string(number) + " came for row " + std::to_string(next));
        bytes += text.size();
        if (next % 1000 == 0) co_await coaio::sleep(1ms);
        if (next % 1'000'000 == 0) co_await coaio::sleep(300ms);
    }
    if (next != world.rows) fail(std::to_string(next) + " rows came");
    co_return bytes;
}

std::string line_of(std::uint64_t number) {
    return std::to_string(number) + "\tthe quick brown fox jumps over the lazy dog, and again, and again, and again\n";
}

Coro<std::uint64_t> copy_in(World world) {
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;
    auto body = [&](db::CopyIn& copy) -> Coro<> {
        while (bytes < world.bytes) {
            const std::string line = line_of(lines++);
            bytes += line.size();
            co_await copy.write(line);
        }
    };
    const auto stored = co_await world.pool.copy_in("copy lines from stdin", body);
    if (stored != lines) fail(std::to_string(stored) + " lines were stored of " + std::to_string(lines));
    co_return bytes;
}

Coro<std::uint64_t> copy_out(World world) {
    auto out = world.pool.copy_out("copy lines to stdout");
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;
    while (auto line = co_await out.next()) {
        if (*line != line_of(lines)) fail("line " + std::to_string(lines) + " came as " + *line);
        bytes += line->size();
        if (++lines % 100'000 == 0) co_await coaio::sleep(20ms);
    }
    if (bytes < world.bytes) fail("only " + std::to_string(bytes) + " bytes came out");
    co_return bytes;
}

// -------------------------------------------------------------------------------

Coro<bool> measure(World world, const Peak& peak, const char* name, Coro<std::uint64_t> (*work)(World)) {
    const auto began = std::chrono::steady_clock::now();
    const std::uint64_t bytes = co_await work(world);
    const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const std::uint64_t growth = peak.growth();
    const bool fine = growth <= may_grow;
    std::cout << (fine ? "" : "WRONG: ") << name << ": " << bytes / megabyte << " MB in " << static_cast<int>(took)
              << " s; resident " << peak.before() / megabyte << " MB at the start, since then at most "
              << static_cast<double>(growth) / megabyte << " MB more" << std::endl;
    co_return fine;
}

Coro<bool> run(std::string url, std::int64_t rows, std::uint64_t bytes) {
    db::Pool pool(url, db::PoolOptions().max_size(2));
    World world{rows, bytes, pool};
    // What is loaded and allocated once is no part of it.
    World little{1000, megabyte / 10, pool};
    co_await pool.execute("create unlogged table lines (n bigint, line text)");
    co_await read_slowly(little);
    co_await copy_in(little);
    co_await copy_out(little);
    co_await pool.execute("truncate lines");
    const Peak peak;
    bool fine = co_await measure(world, peak, "rows, read slowly", read_slowly);
    fine = co_await measure(world, peak, "COPY in", copy_in) && fine;
    fine = co_await measure(world, peak, "COPY out", copy_out) && fine;
    co_await pool.close();
    co_return fine;
}

}  // namespace

// coaio-flat [ROWS [MEGABYTES]]
int main(int argc, char** argv) {
    const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 10'000'000;
    const std::uint64_t megabytes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000;
    std::cout << "coaio-flat " << rows << ' ' << megabytes << std::endl;
    try {
        tests::Postgres server;
        const bool fine = coaio::run(run(server.conninfo(), rows, megabytes * megabyte));
        std::cout << (fine ? "all is well\n" : "FAILED\n");
        return fine ? 0 : 1;
    } catch (const std::exception& error) {
        std::cout << "FAILED: " << error.what() << '\n';
        return 1;
    }
}

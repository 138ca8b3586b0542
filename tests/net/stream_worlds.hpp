// SPDX-License-Identifier: MIT
#pragma once

// A stream that is written to and read from in all ways, whose writer or reader is cut: what comes out is what was put in,
// up to where it was cut, and then both ends know of it.
#include "core/world.hpp"
#include "net/streams.hpp"

#include <coaio/net/error.hpp>
#include <coaio/net/testing.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tests {

/// One direction of a stream: each byte is known by its place, so that none can be lost, doubled or moved.
class Flow {
public:
    /// How the reader found it to end: as the writer said, or by an error.
    enum class End : unsigned char { open, whole, told };

    /// The next bytes to be written, which may arrive from now on.
    [[nodiscard]] std::string offer(std::size_t size) {
        std::string text;
        text.reserve(size);
        for (std::size_t i = 0; i < size; ++i) text += letter(offered_++);
        return text;
    }
    /// The last bytes that were offered are not written after all.
    void take_back(std::size_t size) { offered_ -= size; }
    void arrive(std::string_view text) {
        for (const char each : text) expect(each == letter(arrived_++), "what was read is not what was written");
        expect(arrived_ <= offered_, "more was read than was written");
    }
    /// A line of it, with its separator, is as long as this at most.
    static constexpr std::size_t longest_line = 40;

    [[nodiscard]] bool all_arrived() const noexcept { return arrived_ == offered_; }
    End end = End::open;

private:
    static char letter(std::size_t place) {
        if (place % longest_line == longest_line - 1) return '\n';
        return static_cast<char>('a' + (place * 7 + place / longest_line) % 26);
    }

    std::size_t offered_ = 0;
    std::size_t arrived_ = 0;
};

/// Which of the two who use a stream is cancelled at any turn, and while the connection is made; the other one is struck
/// now and then.
enum class Cut : unsigned char { writer, reader };

template <Kind kind, Cut victims>
class StreamWorld final : public World {
public:
    Coro<> victim() override {
        {
            const Crowd::Member here(beginning_);
            network_seed = coaio::get_running_loop().random();
            begun_ = true;
            Ends ends = co_await make_ends(kind, capacity);
            ends_.emplace(std::move(ends));
        }
        beside(write_all(ends_->b, back_));
        beside(read_all(ends_->a, back_, Crowd::Member(hearing_)));
        auto writing = write(ends_->a, forth_, Crowd::Member(writing_));
        auto reading = read_all(ends_->b, forth_, Crowd::Member(reading_));
        beside(finish_writing());
        beside(finish_reading());
        if constexpr (victims == Cut::writer) {
            fragile(std::move(reading));
            co_await std::move(writing);
        } else {
            fragile(std::move(writing));
            co_await std::move(reading);
        }
    }

    Coro<> settle() override {
        co_await beginning_.gone();
        co_await all_over();
        if (ends_) {
            expect(back_.end == Flow::End::whole && back_.all_arrived(), "a cut in one direction harmed the other");
            expect(forth_.end == (broken_ ? Flow::End::told : Flow::End::whole),
                   "the peer takes a torso for the whole");
            expect(broken_ || forth_.all_arrived(), "what was written did not arrive");
            ends_.reset();
        }
        co_await coaio::sleep(std::chrono::minutes(1));
        if (begun_ && is_simulated(kind)) {
            expect(coaio::net::testing::Network::current().sockets() == 0, "a socket is left");
        }
        expect(coaio::all_tasks().size() == 1, "a task is left");
    }

private:
    /// Less than a piece now and then, so that a writer has to wait.
    static constexpr std::size_t capacity = 700;
    using Stream = coaio::net::Stream;

    static Coro<> write_piece(Stream& to, Flow& flow) {
        const std::string text = flow.offer(1 + draw(2 * capacity));
        const std::size_t at_once = draw(3) == 0 ? to.try_write(text) : 0;
        const std::string_view rest = std::string_view(text).substr(at_once);
        if (rest.empty()) co_return;
        try {
            if (draw(2) == 0) {
                co_await to.write(rest);
            } else {
                const std::size_t half = rest.size() / 2;
                co_await to.write(rest.substr(0, half), rest.substr(half));
            }
        } catch (const coaio::CancelledError&) {
            if (!to.is_broken()) {
                expect(at_once == 0, "the rest of a piece was cut off, and the stream is as it was");
                flow.take_back(text.size());
            }
            throw;
        }
    }
    static Coro<> write(Stream& to, Flow& flow, [[maybe_unused]] Crowd::Member member) {
        for (int i = 0; i < 3; ++i) {
            co_await linger();
            co_await write_piece(to, flow);
        }
    }
    static Coro<> write_all(Stream& to, Flow& flow) {
        co_await write_piece(to, flow);
        co_await linger();
        co_await write_piece(to, flow);
        co_await to.shutdown_write();
    }

    static Coro<> read_some(Stream& from, Flow& flow) {
        std::array<char, capacity> room{};
        const std::size_t count = co_await from.read_some(std::span(room).first(1 + draw(room.size())));
        if (count == 0) flow.end = Flow::End::whole;
        // A parser that has read too far.
        const std::size_t kept = draw(3) == 0 ? draw(count + 1) : count;
        flow.arrive({room.data(), kept});
        from.unread(std::as_bytes(std::span(room).first(count).subspan(kept)));
    }
    static Coro<> read_piece(Stream& from, Flow& flow) {
        switch (draw(3)) {
        case 0: {
            const std::string text = co_await from.read_exactly(draw(capacity));
            flow.arrive(text);
            break;
        }
        case 1: {
            const std::string text = co_await from.read_until("\n", Flow::longest_line);
            flow.arrive(text);
            break;
        }
        default: co_await read_some(from, flow);
        }
    }
    static Coro<> read_all(Stream& from, Flow& flow, [[maybe_unused]] Crowd::Member member) {
        while (flow.end == Flow::End::open) {
            try {
                co_await read_piece(from, flow);
            } catch (const coaio::net::IncompleteReadError& error) {
                flow.arrive(error.partial());
                flow.end = Flow::End::whole;
            } catch (const coaio::IoError&) {
                flow.end = Flow::End::told;
            }
            const bool rests = draw(4) == 0;
            if (rests) co_await linger();
        }
    }

    // Where the stream is whole it takes more, which follows what is there. Where it is broken it takes nothing.
    Coro<> finish_writing() {
        co_await writing_.gone();
        broken_ = ends_->a.is_broken();
        if (!broken_) {
            co_await write_piece(ends_->a, forth_);
            co_await ends_->a.shutdown_write();
            co_return;
        }
        expect(ends_->a.try_write("more") == 0, "a stream that is broken took something");
        bool refused = false;
        try {
            co_await ends_->a.write("more");
        } catch (const coaio::net::BrokenStreamError&) {
            refused = true;
        }
        expect(refused, "a write was cut in the middle, and the next one went on as if it had not been");
        co_await hearing_.gone();
        ends_->a.close();
    }
    Coro<> finish_reading() {
        co_await reading_.gone();
        co_await read_all(ends_->b, forth_, Crowd::Member(reading_));
    }

    std::optional<Ends> ends_;
    Flow forth_;
    Flow back_;
    Crowd beginning_;
    Crowd writing_;
    Crowd reading_;
    Crowd hearing_;
    bool begun_ = false;
    bool broken_ = false;
};

}  // namespace tests

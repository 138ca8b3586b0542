// SPDX-License-Identifier: MIT
// Listeners and their subscribers over a server that exists only here, under seeds and every cut.
#include "listener_state.hpp"

#include <coaio/db/listener.hpp>

#include <coaio/core/sleep.hpp>
#include <coaio/core/testing.hpp>
#include <coaio/core/timeout.hpp>
#include <coaio/core/wait.hpp>

#include "core/world.hpp"
#include "db/fake_station.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace db = coaio::db;
using coaio::Coro;
using db::Gap;
using db::Listener;
using db::Notification;
using tests::draw;
using tests::expect;
using tests::FakeStation;
using namespace std::chrono_literals;

namespace {

using StationPtr = std::shared_ptr<FakeStation>;

Coro<Listener> listen_to(StationPtr station, db::ListenOptions options = {}) {
    const auto connector = std::make_shared<tests::StationConnector>(station);
    const auto state = std::make_shared<db::detail::ListenerState>(connector, options);
    auto handle = std::make_shared<db::detail::ListenerHandle>(state);
    co_await state->open();
    co_return Listener(std::move(handle));
}

/// One subscriber's view of a channel whose notifications are numbered.
class Reader {
public:
    /// It listens from now on; `sent` is the last one that it may not hear.
    explicit Reader(int sent) : began_at_(sent), last_(sent) {}

    void read(const Notification& heard) {
        if (heard.gap != Gap::none) {
            gap_ = true;
            return;
        }
        const int number = std::stoi(heard.payload);
        // Of what was sent before, an earlier subscriber may have left some and not others.
        expect(number <= std::max(last_, began_at_) + 1 || gap_, "notifications are missing, and no gap was reported");
        expect(!begun_ || number > last_, "a notification came twice, or late");
        last_ = number;
        begun_ = true;
        gap_ = false;
    }

private:
    int began_at_;
    int last_;
    bool begun_ = false;  // before that come some that were sent while it began to listen
    bool gap_ = false;
};

/// Subscribers come and go, and are cancelled, while the server is down, silent, deaf or slow at times.
class ListenWorld final : public tests::World {
public:
    Coro<> victim() override {
        listener_.emplace(co_await listen_to(station_, {.buffer = 4, .check_after = 1s}));
        beside(talk());
        beside(upset());
        for (int i = 0; i < 5; ++i) fragile(subscribe_often());
        for (int i = 0; i < 2; ++i) fragile(listen_and_stop());
        co_await listen_and_stop();
    }

    Coro<> settle() override {
        const auto ends = coaio::create_task(all_over());
        const auto waited = co_await coaio::wait(std::vector(1, ends), coaio::ALL_COMPLETED, 1h);
        expect(waited.pending.empty(), "somebody hangs");
        co_await ends;
        station_->down = station_->silent = station_->refuses = false;
        if (listener_) {
            co_await coaio::wait_for(hear_again(), 1h);
            expect(station_->sessions.size() == 1, "there is more than one session");
            listener_->close();
        }
        listener_.reset();
        co_await coaio::sleep(1s);
        expect(station_->sessions.empty(), "a session is left in the server");
    }

private:
    Coro<> talk() {
        for (int i = 0; i < 30; ++i) {
            co_await tests::linger();
            const std::string channel = draw(2) == 0 ? "a" : "b";
            station_->notify(channel, std::to_string(++sent_[channel]));
        }
    }

    Coro<> upset() {
        for (int i = 0; i < 5; ++i) {
            co_await tests::linger();
            switch (draw(5)) {
            case 0: station_->down = !station_->down; break;
            case 1: station_->silent = !station_->silent; break;
            case 2: station_->refuses = !station_->refuses; break;
            case 3: station_->command_time = 1ms * draw(8); break;
            default: station_->end_sessions();
            }
        }
        station_->down = station_->silent = station_->refuses = false;
    }

    Coro<> subscribe_often() {
        for (int i = 0; i < 4; ++i) {
            co_await tests::linger();
            try {
                co_await subscribe(draw(2) == 0 ? "a" : "b");
            } catch (const db::Error&) {  // the server refuses
            }
        }
    }

    Coro<> subscribe(std::string channel) {
        auto subscription = co_await listener_->subscribe(channel);
        Reader reader(sent_[channel]);
        for (auto times = draw(8); times > 0; --times) {
            try {
                reader.read(co_await coaio::wait_for(subscription.next(), 1ms * (1 + draw(8))));
            } catch (const coaio::TimeoutError&) {}
        }
    }

    // All of one subscriber, on one channel, without regard for each other.
    Coro<> listen_and_stop() {
        for (int i = 0; i < 4; ++i) {
            co_await tests::linger();
            const bool on = draw(3) != 0;
            try {
                if (on) co_await listener_->listen("shared");
                if (!on) co_await listener_->unlisten("shared");
            } catch (const db::Error&) {}
        }
    }

    Coro<> hear_again() {
        auto subscription = co_await listener_->subscribe("a");
        co_await listener_->listen("shared");
        co_await coaio::sleep(1s);  // what nobody wants any more is given up meanwhile
        expect(station_->channels() == std::set<std::string>({"a", "shared"}), "the server listens to something else");
        station_->notify("shared", "1");
        station_->notify("a", "1000");
        Notification heard;
        while (heard.payload != "1") heard = co_await listener_->next();
        while (heard.payload != "1000") {
            heard = co_await subscription.next();
            if (heard.gap == Gap::overflow) station_->notify("a", "1000");  // it may have been one too many
        }
    }

    StationPtr station_ = std::make_shared<FakeStation>();
    std::optional<Listener> listener_;
    std::map<std::string, int> sent_;
};

Coro<> be_patient() {
    const auto station = std::make_shared<FakeStation>();
    auto listener = co_await listen_to(station);
    co_await listener.listen("a");
    co_await coaio::sleep(1h);
    station->down = true;
    station->end_sessions();
    co_await coaio::sleep(10min);
    CHECK(station->attempts < 300);
    CHECK(station->attempts > 100);
    // After one that lasted it is quick again.
    station->down = false;
    co_await coaio::sleep(1min);
    const std::size_t before = station->attempts;
    station->end_sessions();
    co_await coaio::sleep(100ms);
    CHECK(station->attempts == before + 1);
    const Notification gap = co_await listener.next();
    CHECK(gap.gap == Gap::session_lost);
    listener.close();
}

Coro<> ask_for_a_sign_of_life() {
    const auto station = std::make_shared<FakeStation>();
    auto listener = co_await listen_to(station, {.check_after = 1s});
    co_await listener.listen("a");
    co_await coaio::sleep(10500ms);
    CHECK(station->commands == 1 + 10);
    CHECK(listener.statistics().sessions == 1);
    station->silent = true;
    co_await coaio::sleep(2500ms);
    CHECK_FALSE(listener.statistics().connected);
    station->silent = false;
    const Notification gap = co_await listener.next();
    CHECK(gap.gap == Gap::session_lost);
    CHECK(listener.statistics().sessions == 2);
    listener.close();
}

Coro<> begins_to_hear(const FakeStation& station, std::string channel) {
    while (station.channels().count(channel) == 0) co_await coaio::sleep(1ms);
}

// The session after the lost one hears something, and is lost while it is told of another channel.
Coro<> lose_the_next_one_at_once() {
    const auto station = std::make_shared<FakeStation>();
    station->command_time = 10ms;
    auto listener = co_await listen_to(station);
    co_await listener.listen("a");
    station->end_sessions();
    station->notify("a", "missed");
    co_await begins_to_hear(*station, "a");
    station->notify("a", "heard");
    auto other = coaio::create_task(listener.subscribe("b"));
    co_await begins_to_hear(*station, "b");
    station->end_sessions();
    const Notification first = co_await listener.next();
    CHECK(first.gap == Gap::session_lost);
    const Notification second = co_await listener.next();
    CHECK(second.payload == "heard");
    const Notification third = co_await listener.next();
    CHECK(third.gap == Gap::session_lost);
    auto subscription = co_await std::move(other);
    listener.close();
}

// While the server is being told to stop, somebody comes.
Coro<> come_as_the_last_one_goes(coaio::Duration after) {
    const auto station = std::make_shared<FakeStation>();
    station->command_time = 10ms;
    auto listener = co_await listen_to(station);
    auto last = co_await listener.subscribe("a");
    last.close();
    co_await coaio::sleep(after);
    auto next = co_await listener.subscribe("a");
    station->notify("a", "heard");
    const Notification heard = co_await coaio::wait_for(next.next(), 1min);
    CHECK(heard.gap == Gap::none);
    CHECK(heard.payload == "heard");
    listener.close();
}

Coro<> come_while_another_waits_for_the_end() {
    const auto station = std::make_shared<FakeStation>();
    auto listener = co_await listen_to(station);
    co_await listener.listen("a");
    auto leaving = coaio::create_task(listener.unlisten("a"));
    auto coming = coaio::create_task(listener.subscribe("a"));
    co_await coaio::wait_for(leaving, 1min);
    auto subscription = co_await coaio::wait_for(std::move(coming), 1min);
    station->notify("a", "heard");
    const Notification heard = co_await coaio::wait_for(subscription.next(), 1min);
    CHECK(heard.payload == "heard");
    listener.close();
}

Coro<> begin_twice() {
    const auto station = std::make_shared<FakeStation>();
    auto listener = co_await listen_to(station);
    auto first = coaio::create_task(listener.listen("a"));
    auto second = coaio::create_task(listener.listen("a"));
    for (auto turns = draw(8); turns > 0; --turns) co_await coaio::sleep(turns % 2 == 0 ? 1ms : 0ms);
    first.cancel();
    co_await coaio::wait_for(second, 1min);
    co_await coaio::sleep(1s);
    station->notify("a", "heard");
    const Notification heard = co_await coaio::wait_for(listener.next(), 1min);
    CHECK(heard.payload == "heard");
    static_cast<void>(co_await tests::throws<coaio::CancelledError>(first));
    listener.close();
}

Coro<> go_while_one_begins() {
    const auto station = std::make_shared<FakeStation>();
    std::optional<Listener> listener(co_await listen_to(station));
    auto other = co_await listener->subscribe("b");
    station->down = true;
    station->end_sessions();
    co_await coaio::sleep(1s);
    auto beginning = coaio::create_task(listener->listen("a"));
    co_await coaio::sleep(1s);
    listener.reset();
    const bool told = co_await tests::throws<db::UsageError>(coaio::wait_for(beginning, 1min));
    CHECK(told);
    other.close();
}

}  // namespace

TEST_CASE("LIS-01 LIS-03 LIS-04 LIS-06: subscribers under 200 seeds and every cut miss nothing without word of a gap") {
    tests::prove<ListenWorld>({.seeds = 200});
}

TEST_CASE("LIS-03: a server that is away for long is asked less and less often") { coaio::testing::run(be_patient()); }

TEST_CASE("LIS-03: a session that gives no sign of life is left, and not before") {
    coaio::testing::run(ask_for_a_sign_of_life());
}

TEST_CASE("LIS-03: what a session heard comes behind the gap that was in front of it, also when it is lost soon") {
    coaio::testing::run(lose_the_next_one_at_once());
}

TEST_CASE("LIS-01 LIS-06: who comes as the last subscriber goes hears all that is sent from then on") {
    for (const auto after : {0ms, 3ms, 8ms, 30ms}) {
        CAPTURE(after.count());
        coaio::testing::run(come_as_the_last_one_goes(after));
    }
}

TEST_CASE("LIS-06: an unlisten ends when another subscriber wants the channel after all") {
    coaio::testing::run(come_while_another_waits_for_the_end());
}

TEST_CASE("LIS-01: of two tasks that begin to listen for one listener, one may be cancelled") {
    coaio::testing::explore(begin_twice);
}

TEST_CASE("a task that begins to listen is told when its listener goes") { coaio::testing::run(go_while_one_begins()); }

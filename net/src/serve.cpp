// SPDX-License-Identifier: MIT
#include <coaio/net/listen.hpp>

#include <coaio/core/event.hpp>
#include <coaio/core/loop.hpp>
#include <coaio/core/sleep.hpp>
#include <coaio/core/task.hpp>
#include <coaio/core/timeout.hpp>

#include <cerrno>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace coaio::net::detail {

namespace {

// Until somebody has given a descriptor back.
constexpr Duration pause_without_resources = std::chrono::milliseconds(100);

/// The connections of one `serve`.
struct Serving {
    Handler handler;
    std::optional<TlsContext> tls;
    ServeOptions options;
    std::map<std::uint64_t, Task<>> connections;
    std::uint64_t next = 0;
    Event fewer;

    void cancel_all() const {
        for (const auto& [number, task] : connections) task.cancel();
    }
};

/// Goes with a connection's coroutine, wherever that ends, unstarted even.
class Place {
public:
    Place(std::shared_ptr<Serving> serving, std::uint64_t number) noexcept
        : serving_(std::move(serving)), number_(number) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
        if (serving_ == nullptr) return;
        serving_->connections.erase(number_);
        serving_->fewer.set();
    }
    Serving* operator->() const noexcept { return serving_.get(); }

private:
    std::shared_ptr<Serving> serving_;
    std::uint64_t number_;
};

bool out_of_resources(const IoError& error) {
    switch (error.code().value()) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC: return true;
    default: return false;
    }
}

void report(std::string message) {
    ExceptionContext context;
    context.message = std::move(message);
    context.exception = std::current_exception();
    get_running_loop().call_exception_handler(context);
}

// A connection that is lost, or a peer that ends early, is the daily business of a server and nobody's fault here.
Coro<> run_connection(Place place, Stream stream) {
    bool begun = false;
    try {
        if (place->tls) {
            auto handshake = accept_tls(std::move(stream), *place->tls);
            stream = co_await wait_for(std::move(handshake), place->options.handshake_timeout);
        }
        begun = true;
        co_await place->handler(stream);
    } catch (const IoError&) {
    } catch (const TlsError&) {
    } catch (const IncompleteReadError&) {
    } catch (const TimeoutError&) {
        if (begun) report("Exception in the handler of a connection");
    } catch (const std::exception&) {
        report("Exception in the handler of a connection");
    }
}

Coro<> accept_all(Listener& listener, const std::shared_ptr<Serving>& serving) {
    bool told = false;
    for (;;) {
        const std::size_t limit = serving->options.max_connections;
        while (limit != 0 && serving->connections.size() >= limit) {
            serving->fewer.clear();
            co_await serving->fewer.wait();
        }
        bool pause = false;
        Stream stream;
        try {
            stream = co_await listener.accept();
            told = false;
        } catch (const IoError& error) {
            if (!out_of_resources(error)) throw;
            pause = true;
            if (!std::exchange(told, true)) report("No connection can be accepted for now");
        }
        if (pause) {
            co_await sleep(pause_without_resources);
            continue;
        }
        const std::uint64_t number = serving->next++;
        auto connection = run_connection(Place(serving, number), std::move(stream));
        serving->connections.emplace(number,
                                     create_task(std::move(connection), {.name = "connection", .eager_start = false}));
    }
}

// Ends when the last connection has. Whoever cancels it again means now.
Coro<> await_connections(std::shared_ptr<Serving> serving, Duration grace) {
    bool cancelled = grace <= Duration::zero();
    while (!serving->connections.empty()) {
        if (cancelled) serving->cancel_all();
        serving->fewer.clear();
        try {
            if (cancelled) {
                co_await serving->fewer.wait();
            } else {
                const TimePoint deadline = Clock::now() + grace;
                co_await wait_for(serving->fewer.wait(), grace);
                grace = deadline - Clock::now();
            }
        } catch (const TimeoutError&) {
            cancelled = true;
        } catch (const CancelledError&) {
            cancelled = true;
        }
    }
}

Coro<> run_server(Listener& listener, std::shared_ptr<Serving> serving, bool own_listener) {
    std::exception_ptr end;
    try {
        co_await accept_all(listener, serving);
    } catch (...) {
        end = std::current_exception();
    }
    // Who comes while the last ones finish is refused, or goes to a successor.
    if (own_listener) listener.close();
    co_await await_connections(serving, serving->options.grace);
    std::rethrow_exception(end);
}

Coro<> run_own_server(Listener listener, std::shared_ptr<Serving> serving) {
    co_await run_server(listener, std::move(serving), true);
}

std::shared_ptr<Serving> make_serving(Handler handler, const ServeOptions& options) {
    auto serving = std::make_shared<Serving>();
    serving->handler = std::move(handler);
    if (options.tls != nullptr) serving->tls = *options.tls;
    serving->options = options;
    return serving;
}

}  // namespace

Coro<> serve(Listener& listener, Handler handler, ServeOptions options) {
    return run_server(listener, make_serving(std::move(handler), options), false);
}

Coro<> serve(Listener&& listener, Handler handler, ServeOptions options) {
    return run_own_server(std::move(listener), make_serving(std::move(handler), options));
}

}  // namespace coaio::net::detail

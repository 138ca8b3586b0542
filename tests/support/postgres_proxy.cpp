// SPDX-License-Identifier: MIT
#include "support/postgres_proxy.hpp"

#include "support/kept_port.hpp"
#include "support/own_time.hpp"
#include "support/postgres_proxy_pipe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tests {

using proxy::Head;
using proxy::Pipe;
using proxy::Time;

namespace {

[[noreturn]] void fail(const char* call) { throw std::runtime_error(std::string(call) + ": " + std::strerror(errno)); }

int connect_to_port(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
    ::close(fd);
    return -1;
}

void close_with_reset(int fd) {
    const linger hard{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    ::close(fd);
}

std::string printable(Way way, char type) {
    static constexpr std::array<const char*, 6> names = {"?", "startup", "ssl?", "cancel", "ssl!", "gss?"};
    const auto index = static_cast<std::size_t>(static_cast<unsigned char>(type));
    const std::string name = index < names.size() ? names[index] : std::string(1, type);
    return (way == Way::to_server ? " >" : " <") + name;
}

}  // namespace

Fault Fault::delay(std::chrono::milliseconds time) {
    Fault made(Kind::delay);
    made.time_ = time;
    return made;
}

Fault Fault::inject(std::string bytes) {
    Fault made(Kind::inject);
    made.bytes_ = std::move(bytes);
    return made;
}

Fault Fault::replace(std::string bytes) {
    Fault made(Kind::replace);
    made.bytes_ = std::move(bytes);
    return made;
}

class PostgresProxy::Impl {
public:
    Impl(const Postgres& server, std::uint64_t seed) : random_(seed) {
        lead_to(server);
        set_listening(Listen::normal);
        wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        thread_ = std::thread([this] { run(); });
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        perform([this] { stopping_ = true; });
        thread_.join();
        for (Link& link : links_) {
            ::close(link.client);
            ::close(link.server);
        }
        for (const int fd : drained_) ::close(fd);
        if (listener_ >= 0) ::close(listener_);
        ::close(wake_);
    }

    [[nodiscard]] int port() const noexcept { return kept_.number(); }
    /// By the network, where it listens there: there is no TLS on a socket in a folder.
    void lead_to(const Postgres& server) {
        target_ = server.socket_folder() + "/.s.PGSQL." + std::to_string(server.port());
        target_port_ = server.has_network() ? server.port() : 0;
    }

    /// Runs it in the proxy's thread.
    void perform(std::function<void()> step) {
        const OwnTime own;
        std::unique_lock lock(mutex_);
        commands_.push_back(std::move(step));
        const std::uint64_t mine = ++asked_;
        const std::uint64_t one = 1;
        if (::write(wake_, &one, sizeof(one)) < 0) fail("eventfd");
        applied_.wait(lock, [&] { return done_ >= mine; });
    }

    [[nodiscard]] bool await(std::chrono::milliseconds limit, const std::function<bool()>& what) {
        std::unique_lock lock(mutex_);
        return applied_.wait_for(lock, limit, what);
    }

    template <class F>
    [[nodiscard]] auto look(F what) const {
        const OwnTime own;
        const std::scoped_lock lock(mutex_);
        return what();
    }

    struct Rule {
        Spot spot;
        Fault fault;
        int id;
        std::size_t fired = 0;
    };
    struct Link {
        Link(int its_client, int its_server, std::size_t its_number)
            : client(its_client),
              server(its_server),
              number(its_number),
              up(Way::to_server, client, server),
              down(Way::to_client, server, client) {
            up.untyped = true;
            down.untyped = false;
        }
        int client;
        int server;
        std::size_t number;
        Pipe up;
        Pipe down;
        std::map<int, int> counts;  // of a rule's messages
        std::string trace;
        bool session = false;  // it has sent its startup packet
        bool gone = false;
    };

    std::vector<Rule> rules_;
    int last_rule_ = 0;
    Weather weather_;
    std::list<Link> links_;
    std::map<std::pair<Way, char>, std::size_t> seen_;
    std::size_t fired_ = 0;
    std::size_t accepted_ = 0;
    std::size_t most_open_ = 0;
    std::size_t most_sessions_ = 0;
    std::string old_traces_;

    void set_listening(Listen how) {
        how_ = how;
        if (how == Listen::refuse) {
            if (listener_ >= 0) ::close(std::exchange(listener_, -1));
        } else if (listener_ < 0) {
            listener_ = bound_socket(port());
            if (::listen(listener_, 256) != 0) fail("listen");
        }
    }
    void cut(Link& link, bool reset = false);

private:
    void run();
    void apply_commands();
    void bury();
    void poll_once();
    void take_connections();
    [[nodiscard]] int connect_to_server() const;
    void read(Link& link, Pipe& pipe);
    void judge(Link& link, Pipe& pipe);
    void begin_message(Link& link, Pipe& pipe, const Head& head);
    void count_sessions();
    void apply(Link& link, Pipe& pipe, const Fault& fault);
    [[nodiscard]] const Fault* rule_for(Link& link, Way way, const Head& head);
    void pass_end(Pipe& pipe);
    void drain(int fd);

    std::string target_;
    int target_port_ = 0;
    std::mt19937_64 random_;
    KeptPort kept_;  // while nobody listens
    int listener_ = -1;
    int wake_ = -1;
    Listen how_ = Listen::normal;
    std::vector<int> drained_;  // the server's ends of cut connections, until it has seen so

    mutable std::mutex mutex_;
    std::condition_variable applied_;
    std::vector<std::function<void()>> commands_;
    std::uint64_t asked_ = 0;
    std::uint64_t done_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

void PostgresProxy::Impl::run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        poll_once();
        apply_commands();
        applied_.notify_all();
    }
}

void PostgresProxy::Impl::bury() {
    links_.remove_if([this](const Link& link) {
        if (link.gone) old_traces_ = (link.trace + "\n" + old_traces_).substr(0, 4000);
        return link.gone;
    });
}

void PostgresProxy::Impl::apply_commands() {
    if (commands_.empty()) return;
    for (auto& step : commands_) step();
    bury();
    commands_.clear();
    done_ = asked_;
}

void PostgresProxy::Impl::poll_once() {
    std::vector<pollfd> fds;
    const auto watch = [&fds](int fd, bool reading, bool writing) {
        const int events = (reading ? POLLIN : 0) | (writing ? POLLOUT : 0);
        fds.push_back({events != 0 ? fd : -1, static_cast<short>(events), 0});
    };
    Time now = std::chrono::steady_clock::now();
    Time next = now + std::chrono::hours(1);
    watch(wake_, true, false);
    watch(listener_, listener_ >= 0, false);
    for (Link& link : links_) {
        watch(link.client, link.up.wants_to_read(), link.down.wants_to_write(now));
        watch(link.server, link.down.wants_to_read(), link.up.wants_to_write(now));
        for (const Pipe* pipe : {&link.up, &link.down}) {
            if (const auto alarm = pipe->alarm(now)) next = std::min(next, std::max(now, *alarm));
        }
    }
    const std::size_t first_drained = fds.size();
    for (const int fd : drained_) watch(fd, true, false);

    const auto wait = std::chrono::ceil<std::chrono::microseconds>(next - now).count();
    const timespec timeout{wait / 1'000'000, wait % 1'000'000 * 1000};
    mutex_.unlock();
    const int ready = ::ppoll(fds.data(), fds.size(), &timeout, nullptr);
    mutex_.lock();
    if (ready < 0) return;

    std::uint64_t ignored = 0;
    if (fds[0].revents != 0 && ::read(wake_, &ignored, sizeof(ignored)) < 0) return;
    now = std::chrono::steady_clock::now();
    std::size_t at = 2;
    for (Link& link : links_) {
        const short client = fds[at++].revents;
        const short server = fds[at++].revents;
        if ((client & ~POLLOUT) != 0) read(link, link.up);
        if ((server & ~POLLOUT) != 0) read(link, link.down);
        for (Pipe* pipe : {&link.up, &link.down}) {
            if (!link.gone) judge(link, *pipe);
            if (!link.gone && !pipe->write(now, weather_)) cut(link);
            if (!link.gone) pass_end(*pipe);
        }
        if (!link.gone && link.up.shut && link.down.shut) cut(link);
    }
    const std::vector<int> drained = std::exchange(drained_, {});
    for (std::size_t i = 0; i < drained.size(); ++i) {
        if (i + first_drained < fds.size() && fds[i + first_drained].revents != 0) {
            drain(drained[i]);
        } else {
            drained_.push_back(drained[i]);
        }
    }
    bury();
    if (fds[1].revents != 0) take_connections();
}

void PostgresProxy::Impl::take_connections() {
    for (;;) {
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0) return;
        ++accepted_;
        const int on = 1;
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (how_ == Listen::reset) {
            close_with_reset(client);
            continue;
        }
        const int server = how_ == Listen::hang ? ::dup(wake_) : connect_to_server();
        if (server < 0) {
            ::close(client);
            continue;
        }
        links_.emplace_back(client, server, accepted_);
        links_.back().up.frozen = links_.back().down.frozen = how_ == Listen::hang;
        most_open_ = std::max(most_open_, links_.size());
    }
}

int PostgresProxy::Impl::connect_to_server() const {
    if (target_port_ != 0) return connect_to_port(target_port_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (target_.size() >= sizeof(address.sun_path)) fail("the path of the server's socket is too long");
    std::memcpy(address.sun_path, target_.c_str(), target_.size() + 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
    ::close(fd);
    return -1;
}

void PostgresProxy::Impl::read(Link& link, Pipe& pipe) {
    if (link.gone || pipe.ended) return;
    std::array<char, 1U << 16U> buffer{};
    const auto count = ::recv(pipe.from, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) {
        pipe.in.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
        pipe.ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        cut(link, pipe.way == Way::to_client);
    }
}

void PostgresProxy::Impl::judge(Link& link, Pipe& pipe) {
    while (!link.gone && !pipe.in.empty() && !pipe.frozen && !pipe.held(std::chrono::steady_clock::now())) {
        if (!pipe.plain && pipe.left == 0) {
            pipe.put(std::exchange(pipe.in, {}), weather_, random_);
        } else if (pipe.left > 0) {
            const std::size_t size = std::min<std::uint64_t>(pipe.left, pipe.in.size());
            if (!pipe.swallowing) pipe.put(pipe.in.substr(0, size), weather_, random_);
            pipe.in.erase(0, size);
            pipe.left -= size;
            if (pipe.left == 0 && pipe.afterwards) apply(link, pipe, *std::exchange(pipe.afterwards, std::nullopt));
        } else {
            const auto head = pipe.head();
            if (!head) {
                if (pipe.ended) pipe.in.clear();
                return;
            }
            begin_message(link, pipe, *head);
        }
    }
}

void PostgresProxy::Impl::begin_message(Link& link, Pipe& pipe, const Head& head) {
    ++seen_[{pipe.way, head.type}];
    link.trace += printable(pipe.way, head.type);
    if (link.trace.size() > 2000) link.trace.erase(0, 1000);
    pipe.swallowing = false;
    pipe.left = head.size;
    const Fault* fault = rule_for(link, pipe.way, head);
    if (head.type == message::startup) {
        link.session = true;
        count_sessions();
    }
    if (head.type == message::ssl_request || head.type == message::gss_request) {
        link.down.untyped = true;
    } else if (head.type == message::ssl_answer) {
        pipe.untyped = false;
        if (head.begins == "S" || head.begins == "G") link.up.plain = pipe.plain = false;
    } else if (pipe.way == Way::to_server) {
        pipe.untyped = false;
    }
    if (fault != nullptr) apply(link, pipe, *fault);
}

// By what the clients have done until now, also where it was not read yet, or never will be.
void PostgresProxy::Impl::count_sessions() {
    std::size_t count = 0;
    for (const Link& link : links_) {
        pollfd client{link.client, POLLRDHUP, 0};
        if (link.session && !link.gone && ::poll(&client, 1, 0) == 0) ++count;
    }
    most_sessions_ = std::max(most_sessions_, count);
}

const Fault* PostgresProxy::Impl::rule_for(Link& link, Way way, const Head& head) {
    const Fault* found = nullptr;
    for (Rule& rule : rules_) {
        const Spot& spot = rule.spot;
        if (spot.way_ != way || (spot.type_ != message::any && spot.type_ != head.type)) continue;
        if (spot.connection_ != 0 && spot.connection_ != link.number) continue;
        if (!spot.containing_.empty() && head.begins.find(spot.containing_) == std::string::npos) continue;
        const int count = ++link.counts[rule.id];
        if (found != nullptr || (spot.nth_ != 0 && spot.nth_ != count)) continue;
        if (spot.times_ != 0 && rule.fired >= spot.times_) continue;
        if (spot.chance_ < 1 && std::uniform_real_distribution<>(0, 1)(random_) >= spot.chance_) continue;
        ++rule.fired;
        ++fired_;
        link.trace += '*';
        found = &rule.fault;
    }
    return found;
}

void PostgresProxy::Impl::apply(Link& link, Pipe& pipe, const Fault& fault) {
    if (fault.told_) fault.told_();
    switch (fault.kind_) {
    case Fault::Kind::none: break;
    case Fault::Kind::cut_before: cut(link); break;
    case Fault::Kind::reset_before: cut(link, true); break;
    case Fault::Kind::cut_after: pipe.afterwards = Fault::cut_before(); break;
    case Fault::Kind::reset_after: pipe.afterwards = Fault::reset_before(); break;
    case Fault::Kind::swallow: pipe.swallowing = true; break;
    case Fault::Kind::delay: pipe.held_until = std::chrono::steady_clock::now() + fault.time_; break;
    case Fault::Kind::freeze: link.up.frozen = link.down.frozen = true; break;
    case Fault::Kind::freeze_way: pipe.frozen = true; break;
    case Fault::Kind::half_close:
        pipe.write_all();
        ::shutdown(pipe.to, SHUT_WR);
        pipe.muted = pipe.shut = true;
        break;
    case Fault::Kind::inject: pipe.put(fault.bytes_, weather_, random_); break;
    case Fault::Kind::replace:
        pipe.put(fault.bytes_, weather_, random_);
        pipe.swallowing = true;
        break;
    }
}

void PostgresProxy::Impl::pass_end(Pipe& pipe) {
    if (!pipe.ended || pipe.shut || pipe.frozen || !pipe.empty()) return;
    ::shutdown(pipe.to, SHUT_WR);
    pipe.shut = true;
}

void PostgresProxy::Impl::cut(Link& link, bool reset) {
    if (std::exchange(link.gone, true)) return;
    if (!link.up.frozen) link.up.write_all();
    if (!link.down.frozen) link.down.write_all();
    if (reset) {
        close_with_reset(link.client);
    } else {
        ::close(link.client);
    }
    // Were it closed with something unread, the server could lose what it has not read itself.
    ::shutdown(link.server, SHUT_WR);
    drained_.push_back(link.server);
}

void PostgresProxy::Impl::drain(int fd) {
    std::array<char, 1U << 14U> buffer{};
    const auto count = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0 || (count < 0 && errno == EAGAIN)) {
        drained_.push_back(fd);
    } else {
        ::close(fd);
    }
}

PostgresProxy::PostgresProxy(const Postgres& server, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(server, seed)) {}

PostgresProxy::~PostgresProxy() = default;

int PostgresProxy::port() const noexcept { return impl_->port(); }

std::string PostgresProxy::conninfo(const std::string& database) const {
    return "host=127.0.0.1 port=" + std::to_string(port()) + " user=postgres dbname=" + database + " sslmode=disable";
}

void PostgresProxy::lead_to(const Postgres& server) {
    impl_->perform([&] { impl_->lead_to(server); });
}

void PostgresProxy::on(Spot spot, Fault fault) {
    impl_->perform([&] { impl_->rules_.push_back({std::move(spot), std::move(fault), ++impl_->last_rule_, 0}); });
}

void PostgresProxy::clear() {
    impl_->perform([&] { impl_->rules_.clear(); });
}

void PostgresProxy::weather(Weather value) {
    impl_->perform([&] { impl_->weather_ = value; });
}

void PostgresProxy::listen(Listen how) {
    impl_->perform([&] { impl_->set_listening(how); });
}

void PostgresProxy::cut_all() {
    impl_->perform([&] {
        for (auto& link : impl_->links_) impl_->cut(link);
    });
}

void PostgresProxy::freeze_all() {
    impl_->perform([&] {
        for (auto& link : impl_->links_) link.up.frozen = link.down.frozen = true;
    });
}

void PostgresProxy::thaw_all() {
    impl_->perform([&] {
        for (auto& link : impl_->links_) link.up.frozen = link.down.frozen = false;
    });
}

std::size_t PostgresProxy::seen(Way way, char type) const {
    return impl_->look([&] {
        const auto found = impl_->seen_.find({way, type});
        return found == impl_->seen_.end() ? 0 : found->second;
    });
}

bool PostgresProxy::await_seen(Way way, char type, std::size_t count, std::chrono::milliseconds limit) const {
    return impl_->await(limit, [&] { return impl_->seen_[{way, type}] >= count; });
}

std::size_t PostgresProxy::fired() const {
    return impl_->look([&] { return impl_->fired_; });
}

std::size_t PostgresProxy::accepted() const {
    return impl_->look([&] { return impl_->accepted_; });
}

std::size_t PostgresProxy::open() const {
    return impl_->look([&] { return impl_->links_.size(); });
}

std::size_t PostgresProxy::most_open() const {
    return impl_->look([&] { return impl_->most_open_; });
}

std::size_t PostgresProxy::most_sessions() const {
    return impl_->look([&] { return impl_->most_sessions_; });
}

std::string PostgresProxy::trace() const {
    return impl_->look([&] {
        std::string text;
        for (const auto& link : impl_->links_) text += link.trace + "\n";
        return text + impl_->old_traces_;
    });
}

void PostgresProxy::forget_counts() {
    impl_->perform([&] {
        impl_->seen_.clear();
        impl_->fired_ = impl_->accepted_ = 0;
        impl_->most_open_ = impl_->links_.size();
        impl_->most_sessions_ = 0;
    });
}

}  // namespace tests

// SPDX-License-Identifier: MIT
#include "poller_epoll.hpp"

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/error.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace coaio::detail {

namespace {

class EpollPoller final : public Poller {
public:
    explicit EpollPoller(LoopCore&) {
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        wakeup_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET;
        event.data.ptr = nullptr;
        if (epoll_ < 0 || wakeup_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event) != 0) {
            const std::error_code code(errno, std::system_category());
            if (wakeup_ >= 0) ::close(wakeup_);
            if (epoll_ >= 0) ::close(epoll_);
            throw IoError(code, "epoll_create1", "of a new event loop");
        }
    }
    ~EpollPoller() override {
        ::close(wakeup_);
        ::close(epoll_);
    }

    void poll(std::int64_t timeout) override {
        std::array<epoll_event, 128> events;
        timespec limit{};
        limit.tv_sec = timeout / 1'000'000'000;
        limit.tv_nsec = timeout % 1'000'000'000;
        const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()),
                                         timeout < 0 ? nullptr : &limit, nullptr);
        static_cast<void>(count);
    }

    void wake() noexcept override {
        const std::uint64_t one = 1;
        static_cast<void>(::write(wakeup_, &one, sizeof one));
    }

    [[nodiscard]] std::size_t outstanding() const noexcept override { return 0; }

private:
    int epoll_ = -1;
    int wakeup_ = -1;
};

}  // namespace

std::unique_ptr<Poller> make_epoll_poller(LoopCore& core) { return std::make_unique<EpollPoller>(core); }

}  // namespace coaio::detail

// SPDX-License-Identifier: MIT
#include <coaio/net/stream.hpp>

#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/detail/port.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

namespace coaio::net {

namespace {

/// Bytes on their way in one direction: a ring of fixed size.
class Ring {
public:
    explicit Ring(std::size_t capacity)
        : bytes_(std::make_unique_for_overwrite<std::byte[]>(capacity)), capacity_(capacity) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool full() const noexcept { return size_ == capacity_; }

    std::size_t put(const std::byte* from, std::size_t count) noexcept {
        count = std::min(count, capacity_ - size_);
        const std::size_t tail = (head_ + size_) % capacity_;
        const std::size_t first = std::min(count, capacity_ - tail);
        if (first != 0) std::memcpy(bytes_.get() + tail, from, first);
        if (count != first) std::memcpy(bytes_.get(), from + first, count - first);
        size_ += count;
        return count;
    }
    std::size_t take(std::byte* to, std::size_t count) noexcept {
        count = std::min(count, size_);
        const std::size_t first = std::min(count, capacity_ - head_);
        if (first != 0) std::memcpy(to, bytes_.get() + head_, first);
        if (count != first) std::memcpy(to + first, bytes_.get(), count - first);
        head_ = (head_ + count) % capacity_;
        size_ -= count;
        return count;
    }

private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

class MemoryPort final : public coaio::detail::Port {
public:
    MemoryPort(coaio::detail::LoopCore& core, std::size_t capacity) : Port(core, nullptr), incoming_(capacity) {}
    ~MemoryPort() override {
        close_sides();
        if (peer_ == nullptr) return;
        peer_->peer_ = nullptr;
        // As with a socket: what was sent can still be read, unread bytes of the other side are lost.
        peer_->ended_ = true;
        peer_->reset_ = spoilt_;
        peer_->in.signal();
        peer_->out.signal();
    }
    void join(MemoryPort& peer) noexcept {
        peer_ = &peer;
        peer.peer_ = this;
    }

    [[nodiscard]] long read(std::span<std::byte> buffer) noexcept override {
        if (reset_) return -ECONNRESET;
        if (incoming_.size() == 0) return ended_ ? 0 : -EAGAIN;
        const std::size_t count = incoming_.take(buffer.data(), buffer.size());
        if (peer_ != nullptr) peer_->out.signal();
        return static_cast<long>(count);
    }
    [[nodiscard]] long write(std::span<const Buffer> buffers) noexcept override {
        if (shut_ || peer_ == nullptr) return -EPIPE;
        std::size_t total = 0;
        bool empty = true;
        for (const Buffer& each : buffers) {
            if (each.size != 0) empty = false;
            total += peer_->incoming_.put(static_cast<const std::byte*>(each.data), each.size);
            if (peer_->incoming_.full()) break;
        }
        if (total == 0 && !empty) return -EAGAIN;
        peer_->in.signal();
        return static_cast<long>(total);
    }
    [[nodiscard]] long shutdown_write() noexcept override {
        shut_ = true;
        if (peer_ == nullptr) return 0;
        peer_->ended_ = true;
        peer_->in.signal();
        return 0;
    }
    void spoil() noexcept override { spoilt_ = true; }
    [[nodiscard]] std::string describe() const override { return "a memory stream"; }

private:
    MemoryPort* peer_ = nullptr;
    Ring incoming_;
    bool ended_ = false;  // the peer writes no more
    bool shut_ = false;   // we write no more
    bool spoilt_ = false;
    bool reset_ = false;  // the peer was
};

}  // namespace

std::pair<Stream, Stream> memory_pipe(std::size_t capacity) {
    coaio::detail::LoopCore& core = coaio::detail::require_core();
    capacity = std::max<std::size_t>(capacity, 1);
    auto one = std::make_unique<MemoryPort>(core, capacity);
    auto other = std::make_unique<MemoryPort>(core, capacity);
    one->join(*other);
    return {Stream(io::Descriptor(std::move(one))), Stream(io::Descriptor(std::move(other)))};
}

}  // namespace coaio::net

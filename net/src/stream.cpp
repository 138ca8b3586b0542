// SPDX-License-Identifier: MIT
#include <coaio/net/stream.hpp>

#include "socket.hpp"
#include "stream_impl.hpp"
#include "tls_layer.hpp"

#include <coaio/core/detail/loop_core.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace coaio::net {

using coaio::detail::Port;

Stream::Stream() noexcept = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&& other) noexcept {
    if (this != &other) {
        close();
        impl_ = std::move(other.impl_);
    }
    return *this;
}
Stream::~Stream() { close(); }
Stream::Stream(io::Descriptor descriptor, Address peer) : impl_(new Impl(std::move(descriptor), peer)) {}
Stream::Stream(coaio::detail::Ref<Impl> impl) noexcept : impl_(std::move(impl)) {}

const coaio::detail::Ref<Stream::Impl>& Stream::open() const {
    if (!impl_) throw ClosedError("this stream is closed");
    return impl_;
}

Coro<std::size_t> Stream::read_some(std::span<std::byte> into) { return Impl::read_some(open(), into); }
Coro<> Stream::read_exactly(std::span<std::byte> into) { return Impl::read_exactly(open(), into); }
Coro<std::string> Stream::read_exactly(std::size_t count) { return Impl::read_count(open(), count); }
Coro<std::string> Stream::read_until(std::string_view separator, std::size_t limit) {
    return Impl::read_until(open(), std::string(separator), limit);
}
Coro<std::string> Stream::read_to_end(std::size_t limit) { return Impl::read_to_end(open(), limit); }
void Stream::unread(std::span<const std::byte> bytes) {
    if (open()->reading) throw BusyError("a task is reading from " + impl_->subject() + ": nothing can be given back");
    impl_->input.put_back(bytes);
}
Coro<> Stream::write(std::string&& text) { return Impl::write_text(open(), std::move(text)); }
Coro<> Stream::write(std::span<const Buffer> buffers) { return Impl::write(open(), buffers); }
Coro<> Stream::write_few(std::array<Buffer, few> buffers, std::size_t count) {
    return Impl::write_few(open(), buffers, count);
}
std::size_t Stream::try_write(std::string_view text) noexcept { return impl_ ? impl_->try_write(buffer(text)) : 0; }
Coro<> Stream::shutdown_write() { return Impl::shutdown_write(open()); }

void Stream::close() noexcept {
    if (!impl_) return;
    const coaio::detail::Ref<Impl> last = std::move(impl_);
    last->close();
}

bool Stream::is_broken() const noexcept { return impl_ && impl_->broken; }
std::size_t Stream::buffered() const noexcept {
    if (!impl_) return 0;
    return impl_->input.size() + (impl_->tls != nullptr ? impl_->tls->buffered() : 0);
}
int Stream::descriptor() const noexcept {
    if (!impl_) return -1;
    return impl_->tls != nullptr ? impl_->tls->below().descriptor() : impl_->descriptor.number();
}
Address Stream::local_address() const {
    if (!impl_) return {};
    return impl_->tls != nullptr ? impl_->tls->below().local_address() : name_of(impl_->descriptor, Port::End::own);
}
Address Stream::peer_address() const {
    if (!impl_) return {};
    if (impl_->tls != nullptr) return impl_->tls->below().peer_address();
    if (impl_->peer.family() == Address::Family::none) impl_->peer = name_of(impl_->descriptor, Port::End::peer);
    return impl_->peer;
}
const TlsInfo* Stream::tls() const noexcept { return impl_ && impl_->tls != nullptr ? &impl_->tls->info() : nullptr; }

// --- what is behind it ------------------------------------------------------------

/// One task a direction.
class Stream::Impl::Direction {
public:
    Direction(const Impl& impl, bool& taken, const char* words) : taken_(&taken) {
        if (taken) throw BusyError(std::string("another task is already ") + words + " " + impl.subject());
        taken = true;
    }
    Direction(const Direction&) = delete;
    Direction& operator=(const Direction&) = delete;
    ~Direction() { *taken_ = false; }

private:
    bool* taken_;
};

/// Marks the stream as broken when a write ends between its first byte, which `try_write` may have taken, and its last.
class Stream::Impl::Cut {
public:
    Cut(Impl& impl, std::size_t total) noexcept : impl_(&impl), total_(total), left_(total) {}
    Cut(const Cut&) = delete;
    Cut& operator=(const Cut&) = delete;
    ~Cut() {
        if (left_ != 0 && impl_->begun) impl_->broken = true;
    }
    void took(std::size_t count) noexcept {
        left_ -= count;
        if (count != 0) impl_->begun = left_ != 0;
    }
    [[nodiscard]] std::size_t left() const noexcept { return left_; }
    [[nodiscard]] std::size_t done() const noexcept { return total_ - left_; }

private:
    Impl* impl_;
    std::size_t total_;
    std::size_t left_;
};

/// What a read that does not come to its end had got goes back.
class Stream::Impl::PutBack {
public:
    PutBack(Impl& impl, std::span<std::byte> into) noexcept : impl_(&impl), into_(into) {}
    PutBack(const PutBack&) = delete;
    PutBack& operator=(const PutBack&) = delete;
    ~PutBack() { impl_->input.put_back(into_.first(done)); }
    [[nodiscard]] std::span<std::byte> rest() const noexcept { return into_.subspan(done); }

private:
    Impl* impl_;
    std::span<std::byte> into_;

public:
    std::size_t done = 0;
};

Stream::Impl::Impl(io::Descriptor below, Address peer_address) noexcept
    : descriptor(std::move(below)), peer(peer_address) {}
Stream::Impl::Impl(std::unique_ptr<TlsLayer> layer) noexcept : tls(std::move(layer)) {}
Stream::Impl::~Impl() = default;

void Stream::Impl::close() noexcept {
    closed = true;
    if (tls != nullptr) {
        tls->close(!broken && !begun);
        return;
    }
    if ((broken || begun) && descriptor.is_open()) descriptor.port().spoil();
    descriptor.close();
}

std::string Stream::Impl::subject() const {
    if (tls != nullptr) return tls->below().impl() ? tls->below().impl()->subject() : "a closed stream";
    Address address = peer;
    if (address.family() == Address::Family::none) address = name_of(descriptor, Port::End::peer);
    if (address.family() != Address::Family::none) return address.text();
    if (!descriptor.is_open()) return "a closed stream";
    return descriptor.number() >= 0 ? "a nameless peer" : "a memory stream";
}

void Stream::Impl::throw_error(int error, const char* operation, std::size_t done) const {
    throw IoError(std::error_code(error, std::system_category()), operation, subject(), done);
}

void Stream::Impl::require_writable() const {
    if (broken) {
        throw BrokenStreamError("an earlier write to " + subject() +
                                " was cut in the middle: nothing can be written any more");
    }
    if (shut) throw ClosedError("the writing half of this stream was ended by shutdown_write");
    if (closed) throw ClosedError("this stream is closed");
}

Coro<std::size_t> Stream::Impl::receive(Impl& impl, std::span<std::byte> into) {
    if (impl.tls != nullptr) {
        const std::size_t count = co_await impl.tls->read(into);
        co_return count;
    }
    const io::Transfer got = co_await impl.descriptor.read(into);
    if (!got.ok()) impl.throw_error(got.error, "read", 0);
    co_return got.count;
}

Coro<std::size_t> Stream::Impl::read_some(Ref impl, std::span<std::byte> into) {
    if (into.empty()) throw ValueError("a read needs room for one byte at least");
    const Direction guard(*impl, impl->reading, "reading from");
    if (impl->input.size() != 0) co_return impl->input.take(into);
    if (impl->tls != nullptr) {
        const std::size_t count = co_await impl->tls->read(into);
        co_return count;
    }
    const io::Transfer got = co_await impl->descriptor.read(into);
    if (!got.ok()) impl->throw_error(got.error, "read", 0);
    co_return got.count;
}

Coro<> Stream::Impl::read_exactly(Ref impl, std::span<std::byte> into) {
    const Direction guard(*impl, impl->reading, "reading from");
    PutBack progress(*impl, into);
    progress.done = impl->input.take(into);
    while (progress.done < into.size()) {
        const std::size_t count = co_await receive(*impl, progress.rest());
        if (count == 0) {
            std::string partial(reinterpret_cast<const char*>(into.data()), std::exchange(progress.done, 0));
            throw IncompleteReadError(std::move(partial), into.size(), impl->subject());
        }
        progress.done += count;
    }
    progress.done = 0;
}

Coro<std::string> Stream::Impl::read_count(Ref impl, std::size_t count) {
    std::string text(count, '\0');
    co_await read_exactly(std::move(impl), std::as_writable_bytes(std::span(text)));
    co_return text;
}

Coro<std::size_t> Stream::Impl::fill(Impl& impl, std::size_t at_most) {
    constexpr std::size_t chunk = 16 * 1024;
    const std::span<std::byte> room = impl.input.prepare(std::min(chunk, at_most));
    const std::size_t count = co_await receive(impl, room.first(std::min(room.size(), at_most)));
    impl.input.commit(count);
    co_return count;
}

Coro<std::string> Stream::Impl::read_until(Ref impl, std::string separator, std::size_t limit) {
    if (separator.empty()) throw ValueError("a separator has one byte at least");
    const Direction guard(*impl, impl->reading, "reading from");
    std::size_t searched = 0;
    for (;;) {
        const std::string_view there = impl->input.view().substr(0, limit);
        const std::size_t found = there.find(separator, searched);
        if (found != std::string_view::npos) co_return impl->input.take(found + separator.size());
        if (there.size() >= limit) throw LimitOverrunError(limit, impl->subject());
        if (there.size() >= separator.size()) searched = there.size() - separator.size() + 1;
        const std::size_t count = co_await fill(*impl, limit - there.size());
        if (count == 0) {
            throw IncompleteReadError(impl->input.take(impl->input.size()), std::nullopt, impl->subject());
        }
    }
}

Coro<std::string> Stream::Impl::read_to_end(Ref impl, std::size_t limit) {
    const Direction guard(*impl, impl->reading, "reading from");
    for (;;) {
        if (impl->input.size() > limit) throw LimitOverrunError(limit, impl->subject());
        const std::size_t count = co_await fill(*impl, limit - impl->input.size() + 1);
        if (count == 0) co_return impl->input.take(impl->input.size());
    }
}

Coro<> Stream::Impl::write_parts(Impl& impl, std::span<const Buffer> buffers) {
    const Direction guard(impl, impl.writing, "writing to");
    impl.require_writable();
    std::size_t total = 0;
    for (const Buffer& each : buffers) total += each.size;
    Cut progress(impl, total);
    std::size_t offset = 0;  // into the first buffer
    while (progress.left() != 0) {
        while (buffers.front().size == offset) {
            buffers = buffers.subspan(1);
            offset = 0;
        }
        std::size_t count = 0;
        if (impl.tls != nullptr) {
            Buffer rest = buffers.front();
            rest = {static_cast<const std::byte*>(rest.data) + offset, rest.size - offset};
            count = co_await impl.tls->write(rest);
        } else {
            std::array<Buffer, 16> parts;
            const std::size_t number = std::min(parts.size(), buffers.size());
            std::copy_n(buffers.begin(), number, parts.begin());
            parts[0] = {static_cast<const std::byte*>(parts[0].data) + offset, parts[0].size - offset};
            const io::Transfer sent = co_await impl.descriptor.write(std::span(parts.data(), number));
            if (!sent.ok()) impl.throw_error(sent.error, "write", progress.done());
            count = sent.count;
        }
        progress.took(count);
        while (count >= buffers.front().size - offset) {
            count -= buffers.front().size - offset;
            offset = 0;
            buffers = buffers.subspan(1);
            if (buffers.empty()) break;
        }
        offset += count;
    }
    // Encrypted bytes are all in the layer now; the kernel has them when this returns.
    if (impl.tls != nullptr && impl.tls->must_flush()) {
        Cut flushing(impl, 2);
        flushing.took(1);
        co_await impl.tls->flush();
        flushing.took(1);
    }
}

Coro<> Stream::Impl::write(Ref impl, std::span<const Buffer> buffers) { co_await write_parts(*impl, buffers); }

Coro<> Stream::Impl::write_few(Ref impl, std::array<Buffer, few> buffers, std::size_t count) {
    co_await write_parts(*impl, std::span(buffers.data(), count));
}

Coro<> Stream::Impl::write_text(Ref impl, std::string text) {
    const std::array<Buffer, 1> only{buffer(text)};
    co_await write_parts(*impl, only);
}

Coro<std::size_t> Stream::Impl::send_some(Ref impl, Buffer bytes) {
    const Direction guard(*impl, impl->writing, "writing to");
    impl->require_writable();
    if (impl->tls != nullptr) {
        const std::size_t count = co_await impl->tls->write(bytes);
        co_await impl->tls->flush();
        co_return count;
    }
    const std::array<Buffer, 1> only{bytes};
    const io::Transfer sent = co_await impl->descriptor.write(only);
    if (!sent.ok()) impl->throw_error(sent.error, "write", 0);
    co_return sent.count;
}

bool Stream::Impl::may_send() const noexcept {
    return tls == nullptr && descriptor.is_open() && !writing && !broken && !shut;
}

long Stream::Impl::try_send(Buffer bytes) noexcept {
    if (!may_send()) return -EAGAIN;
    const std::array<Buffer, 1> only{bytes};
    return descriptor.port().write(only);
}

std::size_t Stream::Impl::try_write(Buffer bytes) noexcept {
    if (!may_send()) return 0;
    coaio::detail::PortSide& out = descriptor.port().out;
    std::uint32_t& budget = descriptor.port().core().io_budget;
    if (!out.ready() || out.waiter() != nullptr || budget == 0) return 0;
    --budget;
    const long result = try_send(bytes);
    if (result == -EAGAIN) out.exhausted();
    const std::size_t sent = result > 0 ? static_cast<std::size_t>(result) : 0;
    if (sent != 0) begun = sent != bytes.size;
    return sent;
}

Coro<> Stream::Impl::shutdown_write(Ref impl) {
    const Direction guard(*impl, impl->writing, "writing to");
    if (impl->begun) impl->broken = true;  // the peer would take the part for the whole
    impl->require_writable();
    impl->shut = true;
    if (impl->tls != nullptr) {
        co_await impl->tls->goodbye();
        co_return;
    }
    const std::error_code error = impl->descriptor.shutdown_write();
    if (error) impl->throw_error(error.value(), "shutdown", 0);
}

}  // namespace coaio::net

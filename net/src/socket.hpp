// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/io.hpp>
#include <coaio/net/address.hpp>

#include <memory>
#include <span>
#include <string_view>

namespace coaio::net {

/// Throws the `IoError` of a result that is -errno.
[[noreturn]] void throw_socket_error(long result, std::string_view operation, const Address& address);

/// Sends small writes at once. Not for Unix sockets; a failure is of no consequence.
void set_no_delay(const io::Descriptor& descriptor) noexcept;

/// The address of one end; empty where there is none.
[[nodiscard]] Address name_of(const io::Descriptor& descriptor, coaio::detail::Port::End end) noexcept;

/// A socket of the running loop that is being set up; closed by its destructor until it is given away.
class Socket {
public:
    enum class Type { stream, datagram };
    /// For `address`, of its family. Throws `IoError`; `ValueError` for an empty address.
    explicit Socket(const Address& address, Type type = Type::stream);

    /// Each gives 0 or -errno.
    [[nodiscard]] long bind(const Address& address) noexcept { return port_->bind(address.bytes()); }
    [[nodiscard]] long listen(int backlog) noexcept { return port_->listen(backlog); }
    [[nodiscard]] long connect(const Address& address) noexcept { return port_->connect(address.bytes()); }
    /// Throws the `IoError` that names the option.
    template <class T>
    void set_option(int level, int option, const T& value, std::string_view name, const Address& address) {
        const long result = port_->set_option(level, option, std::as_bytes(std::span(&value, 1)));
        if (result < 0) throw_socket_error(result, name, address);
    }
    /// The port that the system chose, for port 0; `asked` when it does not say.
    [[nodiscard]] Address bound_address(const Address& asked) const noexcept;
    /// To the loop, which watches it from now on. Throws `IoError`.
    [[nodiscard]] io::Descriptor give();

private:
    std::unique_ptr<coaio::detail::Port> port_;
};

}  // namespace coaio::net

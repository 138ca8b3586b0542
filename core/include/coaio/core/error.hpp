// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

/// Every error of coaio's core, on one page, cut by whose fault it was.
///
/// What stops a task (`CancelledError`, `KeyboardInterrupt`, `SystemExit`) derives from `BaseException`, which is not
/// a `std::exception`: `catch (const std::exception&)` lets a cancellation pass, `catch (...)` stops it, as a bare
/// `except:` does. Every other error derives from `Error`, a `std::runtime_error`.
namespace coaio {

/// The root of what is not an ordinary error. Deliberately not a `std::exception`.
class BaseException {
public:
    virtual ~BaseException();
    BaseException(const BaseException&) = default;
    BaseException& operator=(const BaseException&) = default;

    [[nodiscard]] virtual const char* what() const noexcept = 0;

protected:
    BaseException() = default;
};

/// This task, or the future it awaits, is being cancelled. Clean up and let it pass; a `catch` block cannot `co_await`, so
/// clean-up that awaits goes into `finally` or `masked`.
class CancelledError : public BaseException {
public:
    explicit CancelledError(std::optional<std::string> message = std::nullopt);
    ~CancelledError() override;

    [[nodiscard]] const char* what() const noexcept override;
    /// The text given to `cancel()`, if any.
    [[nodiscard]] const std::optional<std::string>& message() const noexcept { return message_; }

private:
    std::optional<std::string> message_;
};

/// The user asked the program to stop (SIGINT).
class KeyboardInterrupt : public BaseException {
public:
    ~KeyboardInterrupt() override;
    [[nodiscard]] const char* what() const noexcept override;
};

/// The program asks to end with `code`. Leaves the loop from wherever it is thrown.
class SystemExit : public BaseException {
public:
    explicit SystemExit(int code = 0);
    ~SystemExit() override;
    [[nodiscard]] const char* what() const noexcept override;
    [[nodiscard]] int code() const noexcept { return code_; }

private:
    int code_;
};

/// The root of every ordinary error of coaio.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    ~Error() override;
};

/// Misuse seen at run time: no running loop, a closed loop, a task awaiting itself, … (asyncio's RuntimeError).
class RuntimeError : public Error {
public:
    using Error::Error;
    ~RuntimeError() override;
};

/// An argument out of its range (asyncio's ValueError).
class ValueError : public Error {
public:
    using Error::Error;
    ~ValueError() override;
};

/// A future is not in the state that the operation needs.
class InvalidStateError : public Error {
public:
    using Error::Error;
    ~InvalidStateError() override;
};

/// A deadline of yours passed.
class TimeoutError : public Error {
public:
    explicit TimeoutError(const std::string& what = "the deadline passed");
    ~TimeoutError() override;
};

/// `get_nowait` on an empty queue.
class QueueEmpty : public Error {
public:
    QueueEmpty();
    ~QueueEmpty() override;
};

/// `put_nowait` on a full queue.
class QueueFull : public Error {
public:
    QueueFull();
    ~QueueFull() override;
};

/// `put`, or `get` from an empty queue, after `shutdown()`.
class QueueShutDown : public Error {
public:
    QueueShutDown();
    ~QueueShutDown() override;
};

/// The barrier was aborted, or reset while this task waited in it.
class BrokenBarrierError : public Error {
public:
    using Error::Error;
    ~BrokenBarrierError() override;
};

/// You closed it: the object was closed before or while the operation ran.
class ClosedError : public Error {
public:
    using Error::Error;
    ~ClosedError() override;
};

/// Two of your tasks use one direction of one object at the same time.
class BusyError : public Error {
public:
    using Error::Error;
    ~BusyError() override;
};

/// The world broke it: a system call failed. Carries the code, the operation, the address or path, and the bytes done.
class IoError : public Error {
public:
    IoError(std::error_code code, std::string_view operation, std::string_view subject = {}, std::size_t done = 0);
    ~IoError() override;

    [[nodiscard]] const std::error_code& code() const noexcept { return code_; }
    [[nodiscard]] const std::string& operation() const noexcept { return operation_; }
    /// The address, path or descriptor concerned; may be empty.
    [[nodiscard]] const std::string& subject() const noexcept { return subject_; }
    /// Bytes transferred before it broke.
    [[nodiscard]] std::size_t done() const noexcept { return done_; }

private:
    std::error_code code_;
    std::string operation_;
    std::string subject_;
    std::size_t done_;
};

/// A run on the virtual clock in which nothing can ever happen again; `what()` holds the task tree.
class DeadlockError : public Error {
public:
    using Error::Error;
    ~DeadlockError() override;
};

/// Several failures at once, in the order in which they happened; thrown by `task_group`.
/// Every member derives from `std::exception`; otherwise a `BaseExceptionGroup` is thrown.
class ExceptionGroup : public Error {
public:
    ExceptionGroup(std::string message, std::vector<std::exception_ptr> exceptions);
    ~ExceptionGroup() override;

    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    [[nodiscard]] const std::vector<std::exception_ptr>& exceptions() const noexcept { return exceptions_; }

    /// The members that are an `E`, as asyncio's `except*` would pick them. Nested groups are searched too.
    template <class E>
    [[nodiscard]] std::vector<std::exception_ptr> matching() const;

private:
    std::string message_;
    std::vector<std::exception_ptr> exceptions_;
};

/// A group that holds at least one member which is not a `std::exception`.
class BaseExceptionGroup : public BaseException {
public:
    BaseExceptionGroup(std::string message, std::vector<std::exception_ptr> exceptions);
    ~BaseExceptionGroup() override;

    [[nodiscard]] const char* what() const noexcept override;
    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    [[nodiscard]] const std::vector<std::exception_ptr>& exceptions() const noexcept { return exceptions_; }

private:
    std::string message_;
    std::vector<std::exception_ptr> exceptions_;
    std::string what_;
};

/// The type and text of an exception, for reports: `coaio::TimeoutError: the deadline passed`.
[[nodiscard]] std::string describe_exception(const std::exception_ptr& error) noexcept;

// ---------------------------------------------------------------------------------------------------------------

namespace detail {

template <class E>
[[nodiscard]] bool is_an(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const E&) {
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace detail

template <class E>
std::vector<std::exception_ptr> ExceptionGroup::matching() const {
    std::vector<std::exception_ptr> found;
    for (const auto& each : exceptions_) {
        if (!detail::is_an<ExceptionGroup>(each)) {
            if (detail::is_an<E>(each)) found.push_back(each);
            continue;
        }
        try {
            std::rethrow_exception(each);
        } catch (const ExceptionGroup& group) {
            for (auto& inner : group.matching<E>()) found.push_back(inner);
        }
    }
    return found;
}

}  // namespace coaio

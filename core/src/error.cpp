// SPDX-License-Identifier: MIT
#include <coaio/core/error.hpp>

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>
#include <utility>

namespace coaio {

BaseException::~BaseException() = default;
CancelledError::~CancelledError() = default;
KeyboardInterrupt::~KeyboardInterrupt() = default;
SystemExit::~SystemExit() = default;
Error::~Error() = default;
RuntimeError::~RuntimeError() = default;
ValueError::~ValueError() = default;
InvalidStateError::~InvalidStateError() = default;
TimeoutError::~TimeoutError() = default;
QueueEmpty::~QueueEmpty() = default;
QueueFull::~QueueFull() = default;
QueueShutDown::~QueueShutDown() = default;
BrokenBarrierError::~BrokenBarrierError() = default;
ClosedError::~ClosedError() = default;
BusyError::~BusyError() = default;
IoError::~IoError() = default;
DeadlockError::~DeadlockError() = default;
ExceptionGroup::~ExceptionGroup() = default;
BaseExceptionGroup::~BaseExceptionGroup() = default;

CancelledError::CancelledError(std::optional<std::string> message) : message_(std::move(message)) {}

const char* CancelledError::what() const noexcept { return message_ ? message_->c_str() : "cancelled"; }

const char* KeyboardInterrupt::what() const noexcept { return "interrupted"; }

SystemExit::SystemExit(int code) : code_(code) {}

const char* SystemExit::what() const noexcept { return "exit requested"; }

TimeoutError::TimeoutError(const std::string& what) : Error(what) {}

QueueEmpty::QueueEmpty() : Error("the queue is empty") {}

QueueFull::QueueFull() : Error("the queue is full") {}

QueueShutDown::QueueShutDown() : Error("the queue was shut down") {}

namespace {

std::string io_message(const std::error_code& code, std::string_view operation, std::string_view subject,
                       std::size_t done) {
    std::string text(operation);
    if (!subject.empty()) text.append(" ").append(subject);
    text.append(": ").append(code.message());
    if (done != 0) text.append(" (after ").append(std::to_string(done)).append(" bytes)");
    return text;
}

std::string group_message(const std::string& message, const std::vector<std::exception_ptr>& members) {
    std::string text = message + " (" + std::to_string(members.size()) +
                       (members.size() == 1 ? " sub-exception)" : " sub-exceptions)");
    for (const auto& each : members) text.append("\n  - ").append(describe_exception(each));
    return text;
}

std::string demangled(const std::type_info& type) {
    int status = 0;
    std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                     &std::free);
    return status == 0 ? name.get() : type.name();
}

}  // namespace

IoError::IoError(std::error_code code, std::string_view operation, std::string_view subject, std::size_t done)
    : Error(io_message(code, operation, subject, done)),
      code_(code),
      operation_(operation),
      subject_(subject),
      done_(done) {}

ExceptionGroup::ExceptionGroup(std::string message, std::vector<std::exception_ptr> exceptions)
    : Error(group_message(message, exceptions)), message_(std::move(message)), exceptions_(std::move(exceptions)) {}

BaseExceptionGroup::BaseExceptionGroup(std::string message, std::vector<std::exception_ptr> exceptions)
    : message_(std::move(message)), exceptions_(std::move(exceptions)), what_(group_message(message_, exceptions_)) {}

const char* BaseExceptionGroup::what() const noexcept { return what_.c_str(); }

std::string describe_exception(const std::exception_ptr& error) noexcept {
    if (!error) return "no exception";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& each) {
        return demangled(typeid(each)) + ": " + each.what();
    } catch (const BaseException& each) {
        return demangled(typeid(each)) + ": " + each.what();
    } catch (...) {
        const std::type_info* type = abi::__cxa_current_exception_type();
        return type != nullptr ? demangled(*type) : std::string("an exception of unknown type");
    }
}

}  // namespace coaio

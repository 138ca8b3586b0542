// SPDX-License-Identifier: MIT
#include <coaio/core/detail/location.hpp>

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace coaio::detail {

namespace {

std::string demangle(const std::string& symbol) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> name(
        abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
    return status == 0 ? std::string(name.get()) : symbol;
}

// From `coaio::Coro<int> Worker::run(std::vector<int>) [T = int]` to `Worker::run`.
std::string_view bare_name(std::string_view signature) {
    if (const auto with = signature.find(" [with "); with != std::string_view::npos)
        signature = signature.substr(0, with);
    int depth = 0;
    std::size_t end = signature.size();
    for (std::size_t i = 0; i < signature.size(); ++i) {
        const char c = signature[i];
        if (c == '(' && depth == 0) {
            // `(anonymous namespace)::f` and `(lambda at …)` are part of the name.
            const auto rest = signature.substr(i);
            if (rest.starts_with("(anonymous") || rest.starts_with("(lambda")) {
                i += rest.find(')');
                continue;
            }
            end = i;
            break;
        }
        if (c == '<') ++depth;
        if (c == '>' && depth > 0) --depth;
    }
    signature = signature.substr(0, end);
    depth = 0;
    for (std::size_t i = signature.size(); i > 0; --i) {
        const char c = signature[i - 1];
        if (c == '>' || c == ')') ++depth;
        if (c == '<' || c == '(') --depth;
        if (c == ' ' && depth == 0) return signature.substr(i);
    }
    return signature;
}

}  // namespace

namespace {

std::string without_anonymous(std::string name) {
    for (const std::string_view part : {"(anonymous namespace)::", "{anonymous}::"}) {
        for (auto at = name.find(part); at != std::string::npos; at = name.find(part)) name.erase(at, part.size());
    }
    return name;
}

}  // namespace

std::string function_name(const std::source_location& location) {
    std::string_view name = location.function_name();
    // gcc names a coroutine's body `void f(f()::_Z1fv.Frame*)`: the mangled name before `.Frame` is the function's own.
    if (const auto frame = name.find(".Frame*)"); frame != std::string_view::npos) {
        if (const auto symbol = name.rfind("_Z", frame); symbol != std::string_view::npos) {
            const std::string whole = demangle(std::string(name.substr(symbol, frame - symbol)));
            return without_anonymous(std::string(bare_name(whole)));
        }
    }
    return without_anonymous(std::string(bare_name(name)));
}

std::string describe_location(const std::source_location& location) {
    return function_name(location) + " at " + location.file_name() + ":" + std::to_string(location.line());
}

std::string describe_place(const Place& place) {
    const std::source_location definition = place.definition();
    return function_name(definition) + " at " + definition.file_name() + ":" + std::to_string(place.line());
}

}  // namespace coaio::detail

// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

namespace crawl {

/// Calls a function when it goes.
template <class F>
class AtEnd {
public:
    explicit AtEnd(F function) : function_(std::move(function)) {}
    AtEnd(const AtEnd&) = delete;
    AtEnd& operator=(const AtEnd&) = delete;
    ~AtEnd() { function_(); }

private:
    F function_;
};

}  // namespace crawl

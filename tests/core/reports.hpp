// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/loop.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tests {

/// What a loop reports to its exception handler from here on, also after this object is gone.
class Reports {
public:
    explicit Reports(coaio::Loop& loop = coaio::get_running_loop()) {
        loop.set_exception_handler([lines = lines_](coaio::Loop&, const coaio::ExceptionContext& context) {
            lines->push_back(context.message);
        });
    }
    [[nodiscard]] const std::vector<std::string>& messages() const noexcept { return *lines_; }
    /// In debug mode other steps may be slow too, where the machine is busy.
    [[nodiscard]] bool any_has(const std::string& part) const {
        return std::ranges::any_of(*lines_,
                                   [&part](const std::string& each) { return each.find(part) != std::string::npos; });
    }
    void expect_none() const {
        if (!lines_->empty()) throw std::logic_error("reported: " + lines_->front());
    }

private:
    std::shared_ptr<std::vector<std::string>> lines_ = std::make_shared<std::vector<std::string>>();
};

}  // namespace tests

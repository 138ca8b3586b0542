// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include <coaio/http/router.hpp>

namespace server {

/// A file of dashboard/, as it was when the program was built.
struct DashboardFile {
    std::string_view name;
    std::string_view text;
};
[[nodiscard]] const std::vector<DashboardFile>& dashboard_files();

/// The page at `/`, and what it needs.
void add_dashboard_routes(coaio::http::Router& app);

}  // namespace server

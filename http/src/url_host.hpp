// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coaio::http::detail {

/// A host in normal form: lower case, percent-decoded, an address of numbers written in the usual way. Throws `UrlError`.
[[nodiscard]] std::string normal_host(std::string_view host);

}  // namespace coaio::http::detail

// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::http {

/// The value of a Content-Type header (RFC 9110 section 8.3.1): `text/html; charset=utf-8`.
class MediaType {
public:
    /// Nothing where there is no `type/subtype`. Broken parameters are passed over; of two of one name the first counts.
    [[nodiscard]] static std::optional<MediaType> parse(std::string_view text);

    /// In lower case.
    [[nodiscard]] const std::string& type() const noexcept { return type_; }
    [[nodiscard]] const std::string& subtype() const noexcept { return subtype_; }
    /// `type/subtype`
    [[nodiscard]] std::string essence() const { return type_ + "/" + subtype_; }
    [[nodiscard]] bool is(std::string_view essence) const noexcept;
    [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const noexcept;
    /// The charset in lower case; nothing if it is not said.
    [[nodiscard]] std::optional<std::string> charset() const;

private:
    std::string type_, subtype_;
    std::vector<std::pair<std::string, std::string>> parameters_;
};

/// The best of `offers` for a header such as Accept-Encoding or Accept-Language, by its quality values (RFC 9110
/// section 12.4.2); of equals, the first offer. Nothing if none will do. `*` stands for whatever is not named.
[[nodiscard]] std::optional<std::string_view> negotiate(std::string_view header,
                                                        const std::vector<std::string_view>& offers);

}  // namespace coaio::http

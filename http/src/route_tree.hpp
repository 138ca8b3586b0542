// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/request.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coaio::http::detail {

/// Which route a method and a path belong to: a tree of path segments. At each segment plain text goes before `{name}`,
/// and that before `{name...}`, which takes the rest, even an empty one; where the better way leads to nothing, the
/// other is tried. A search visits each node at most once.
///
/// Segments are compared and handed out percent-decoded; a %2F does not separate. `{name}` takes no empty segment.
/// No value is a way out of a folder: a segment `..`, or a NUL, in a value is a bad path, as is a broken percent-encoding.
class RouteTree {
public:
    enum class Outcome : std::uint8_t { found, no_path, no_method, bad_path };

    struct Match {
        Outcome outcome = Outcome::no_path;
        std::size_t route = 0;
        bool head_as_get = false;
    };

    RouteTree();
    RouteTree(RouteTree&&) noexcept;
    RouteTree& operator=(RouteTree&&) noexcept;
    ~RouteTree();

    /// The index of the new route. `method` "*" is any. Throws `ValueError` for a broken pattern or a route that is
    /// there already.
    std::size_t add(std::string_view method, std::string_view pattern);

    [[nodiscard]] Match find(std::string_view method, std::string_view path, PathParams& params) const;
    /// The methods that this path has, as the value of an Allow header; empty where no route has the path.
    [[nodiscard]] std::string allowed(std::string_view path, PathParams& scratch) const;

    [[nodiscard]] std::string_view pattern(std::size_t route) const noexcept { return routes_[route]->pattern; }

private:
    struct Node;
    struct Route {
        std::string pattern;
        std::vector<std::string> names;
    };
    struct Search;

    std::unique_ptr<Node> root_;
    std::vector<std::unique_ptr<Route>> routes_;  // each stays where it is: requests hold views of the names
};

}  // namespace coaio::http::detail

// SPDX-License-Identifier: MIT
#include "route_tree.hpp"

#include "text.hpp"

#include <coaio/core/error.hpp>

#include <algorithm>
#include <map>

namespace coaio::http::detail {

namespace {

using Methods = std::vector<std::pair<std::string, std::size_t>>;

// Splits a path at its slashes, decoded; false for a broken percent-encoding. "/a//b" has the segments a, "", b.
bool split_path(std::string_view path, PathParams& params) {
    params.segments.clear();
    std::string_view text = path;
    if (path.find('%') != path.npos) {
        params.decoded.clear();
        params.decoded.reserve(path.size());
        for (std::size_t i = 0; i < path.size(); ++i) {
            if (path[i] != '%') {
                params.decoded += path[i];
                continue;
            }
            int high = i + 2 < path.size() ? hex_digit(path[i + 1]) : -1;
            int low = i + 2 < path.size() ? hex_digit(path[i + 2]) : -1;
            if (high < 0 || low < 0) return false;
            params.decoded += static_cast<char>(high * 16 + low);
            i += 2;
        }
        text = params.decoded;
    }
    // Two walks side by side: slashes separate in the raw path only.
    std::size_t start = 1, at = 1;
    for (std::size_t raw = 1; raw < path.size(); ++raw, ++at) {
        if (path[raw] == '%') {
            raw += 2;
        } else if (path[raw] == '/') {
            params.segments.push_back(text.substr(start, at - start));
            start = at + 1;
        }
    }
    params.segments.push_back(text.substr(start, at - start));
    return true;
}

bool is_safe(std::string_view value) {
    if (value.find('\0') != value.npos) return false;
    for (std::size_t start = 0; start <= value.size();) {
        auto end = std::min(value.find_first_of("/\\", start), value.size());
        if (value.substr(start, end - start) == "..") return false;
        start = end + 1;
    }
    return true;
}

// "{name}" and "{name...}"
struct Part {
    std::string_view name;
    bool param = false;
    bool tail = false;
};

Part read_part(std::string_view segment, std::string_view pattern) {
    auto refuse = [&](const char* why) { throw ValueError("the pattern \"" + std::string(pattern) + "\" " + why); };
    bool braces = segment.find_first_of("{}") != segment.npos;
    if (!braces) return {segment};
    if (segment.size() < 3 || segment.front() != '{' || segment.back() != '}') {
        refuse("has braces that are not a whole segment: /{name}/");
    }
    Part part{segment.substr(1, segment.size() - 2), true, false};
    if (part.name.size() > 3 && part.name.substr(part.name.size() - 3) == "...") {
        part.name.remove_suffix(3);
        part.tail = true;
    }
    for (char c : part.name) {
        if (!is_alnum(c) && c != '_') refuse("has a name that is not of letters, digits and underscores");
    }
    return part;
}

const std::size_t* route_of(const Methods& methods, std::string_view method) {
    for (const auto& [name, route] : methods) {
        if (name == method) return &route;
    }
    return nullptr;
}

}  // namespace

struct RouteTree::Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children;
    std::unique_ptr<Node> param;
    Methods methods;  // of paths that end here
    Methods tail;     // of paths that go on
};

RouteTree::RouteTree() : root_(std::make_unique<Node>()) {}
RouteTree::RouteTree(RouteTree&&) noexcept = default;
RouteTree& RouteTree::operator=(RouteTree&&) noexcept = default;
RouteTree::~RouteTree() = default;

std::size_t RouteTree::add(std::string_view method, std::string_view pattern) {
    if (pattern.empty() || pattern[0] != '/') {
        throw ValueError("the pattern \"" + std::string(pattern) + "\" does not start with a slash");
    }
    if (method != "*" && !is_token(method)) throw ValueError("\"" + shown(method) + "\" is no method");
    auto route = std::make_unique<Route>();
    route->pattern = pattern;
    Node* node = root_.get();
    Methods* methods = nullptr;
    for (auto rest = pattern.substr(1);;) {
        auto end = rest.find('/');
        auto part = read_part(rest.substr(0, end), pattern);
        if (part.param) {
            if (std::find(route->names.begin(), route->names.end(), part.name) != route->names.end()) {
                throw ValueError("the pattern \"" + std::string(pattern) + "\" has {" + std::string(part.name) +
                                 "} twice");
            }
            route->names.emplace_back(part.name);
        }
        if (part.tail) {
            if (end != rest.npos) {
                throw ValueError("the pattern \"" + std::string(pattern) + "\" goes on behind its {name...}");
            }
            methods = &node->tail;
            break;
        }
        auto& next = part.param ? node->param : node->children[std::string(part.name)];
        if (next == nullptr) next = std::make_unique<Node>();
        node = next.get();
        if (end == rest.npos) {
            methods = &node->methods;
            break;
        }
        rest.remove_prefix(end + 1);
    }
    if (route_of(*methods, method) != nullptr) {
        throw ValueError("there is a route for " + std::string(method) + " " + std::string(pattern) + " already");
    }
    methods->emplace_back(std::string(method), routes_.size());
    routes_.push_back(std::move(route));
    return routes_.size() - 1;
}

struct RouteTree::Search {
    std::string_view method;
    const std::vector<std::string_view>& segments;
    std::vector<std::pair<std::string_view, std::string_view>>&
        taken;  // values; the names follow once the route is known
    std::string allow = {};
    bool only_allow = false;
    bool head_as_get = false;

    bool ends(const Methods& methods, std::size_t& route) {
        if (only_allow) {
            for (const auto& each : methods) note(each.first);
            return false;
        }
        const std::size_t* at = route_of(methods, method);
        if (at == nullptr && method == "HEAD") {
            at = route_of(methods, "GET");
            head_as_get = at != nullptr;
        }
        if (at == nullptr) at = route_of(methods, "*");
        if (at == nullptr) {
            for (const auto& each : methods) note(each.first);
            return false;
        }
        route = *at;
        return true;
    }

    void note(std::string_view name) {
        auto one = [&](std::string_view word) {
            if (list_has(allow, word)) return;
            if (!allow.empty()) allow += ", ";
            allow += word;
        };
        if (name == "*") {
            for (auto word : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}) one(word);
            return;
        }
        one(name);
        if (name == "GET") one("HEAD");
    }

    bool walk(const Node& node, std::size_t depth, std::size_t& route) {
        if (depth == segments.size()) return ends(node.methods, route);
        auto segment = segments[depth];
        auto child = node.children.find(segment);
        if (child != node.children.end() && walk(*child->second, depth + 1, route)) return true;
        if (node.param != nullptr && !segment.empty()) {
            taken.emplace_back(std::string_view{}, segment);
            if (walk(*node.param, depth + 1, route)) return true;
            taken.pop_back();
        }
        if (node.tail.empty()) return false;
        auto last = segments.back();
        const char* const begin = segment.data();
        const std::string_view rest(begin, static_cast<std::size_t>(last.data() + last.size() - begin));
        taken.emplace_back(std::string_view{}, rest);
        if (ends(node.tail, route)) return true;
        taken.pop_back();
        return false;
    }
};

RouteTree::Match RouteTree::find(std::string_view method, std::string_view path, PathParams& params) const {
    params.items.clear();
    Match match;
    if (path.empty() || path[0] != '/') return match;
    if (!split_path(path, params)) {
        match.outcome = Outcome::bad_path;
        return match;
    }
    Search search{method, params.segments, params.items};
    if (!search.walk(*root_, 0, match.route)) {
        match.outcome = search.allow.empty() ? Outcome::no_path : Outcome::no_method;
        return match;
    }
    match.outcome = Outcome::found;
    match.head_as_get = search.head_as_get;
    const auto& names = routes_[match.route]->names;
    for (std::size_t i = 0; i < params.items.size(); ++i) {
        params.items[i].first = names[i];
        if (!is_safe(params.items[i].second)) match.outcome = Outcome::bad_path;
    }
    return match;
}

std::string RouteTree::allowed(std::string_view path, PathParams& scratch) const {
    scratch.items.clear();
    if (path.empty() || path[0] != '/' || !split_path(path, scratch)) return {};
    Search search{{}, scratch.segments, scratch.items};
    search.only_allow = true;
    std::size_t route = 0;
    search.walk(*root_, 0, route);
    scratch.items.clear();
    if (!search.allow.empty() && !list_has(search.allow, "OPTIONS")) search.allow += ", OPTIONS";
    return std::move(search.allow);
}

}  // namespace coaio::http::detail

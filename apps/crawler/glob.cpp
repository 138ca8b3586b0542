// SPDX-License-Identifier: MIT
#include "crawler/glob.hpp"

#include <cstring>

namespace crawl {
namespace {

// std::string_view::find is quadratic on hostile input; memmem is not.
std::size_t find_from(std::string_view text, std::string_view piece, std::size_t from) {
    if (piece.empty()) return from;
    if (from >= text.size()) return std::string_view::npos;
    const void* found = memmem(text.data() + from, text.size() - from, piece.data(), piece.size());
    if (found == nullptr) return std::string_view::npos;
    return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace

Glob::Glob(std::string_view pattern, End end) : open_end_(end == End::anywhere) {
    std::string piece;
    bool star_before = false;
    for (char c : pattern) {
        if (c != '*') {
            piece += c;
            star_before = false;
            continue;
        }
        if (!star_before) pieces_.push_back(std::move(piece));
        piece.clear();
        star_before = true;
    }
    pieces_.push_back(std::move(piece));
    for (const auto& each : pieces_) literal_size_ += each.size();
}

bool Glob::matches(std::string_view text) const {
    if (text.size() < literal_size_ || text.substr(0, pieces_.front().size()) != pieces_.front()) return false;
    std::size_t at = pieces_.front().size();
    if (pieces_.size() == 1) return open_end_ || at == text.size();
    for (std::size_t i = 1; i + 1 < pieces_.size(); ++i) {
        at = find_from(text, pieces_[i], at);
        if (at == std::string_view::npos) return false;
        at += pieces_[i].size();
    }
    const auto& last = pieces_.back();
    if (open_end_) return find_from(text, last, at) != std::string_view::npos;
    return text.size() - at >= last.size() && text.substr(text.size() - last.size()) == last;
}

}  // namespace crawl

// SPDX-License-Identifier: MIT
#include <coaio/http/headers.hpp>

#include "header_store.hpp"
#include "recycle.hpp"
#include "text.hpp"

#include <coaio/http/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace coaio::http {

using detail::HeaderStore;

namespace detail {
namespace {

using Stores = Recycler<std::unique_ptr<HeaderStore>, 64>;

}  // namespace

HeaderStore* HeaderStore::take() {
    auto store = Stores::take();
    return store != nullptr ? store.release() : new HeaderStore;
}

void HeaderStore::give(HeaderStore* store) noexcept {
    std::unique_ptr<HeaderStore> owned(store);
    if (!owned->worth_keeping()) return;
    owned->clear();
    if (!Stores::give(std::move(owned))) owned.reset();
}

std::string_view HeaderStore::keep(std::string_view text) {
    if (text.empty()) return {};
    std::vector<Chunk> retired;  // `text` may be in one of them
    char* at = room(text.size(), retired);
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
}

void HeaderStore::push(std::string_view name, std::string_view value) {
    std::vector<Chunk> retired;
    char* at = room(name.size() + value.size(), retired);
    std::memcpy(at, name.data(), name.size());
    if (!value.empty()) std::memcpy(at + name.size(), value.data(), value.size());
    fields.push_back(Header{{at, name.size()}, {at + name.size(), value.size()}});
}

char* HeaderStore::room(std::size_t bytes, std::vector<Chunk>& retired) {
    auto full = [&] { return chunks_.empty() || chunks_.back().size - chunks_.back().used < bytes; };
    if (full() && garbage > first_text && garbage > owned() / 2) compact(retired);
    if (full()) {
        std::size_t size = std::max(chunks_.empty() ? first_text : chunks_.back().size * 2, bytes);
        chunks_.push_back(Chunk{std::make_unique<char[]>(size), size, 0});
    }
    Chunk& last = chunks_.back();
    char* at = last.text.get() + last.used;
    last.used += bytes;
    return at;
}

// All that is still shown moves into one new chunk, so that a header set again and again does not grow for ever.
void HeaderStore::compact(std::vector<Chunk>& retired) {
    std::size_t live = 0;
    for (const auto& field : fields) live += field.name.size() + field.value.size();
    Chunk fresh{std::make_unique<char[]>(live * 2 + first_text), live * 2 + first_text, 0};
    auto move = [&](std::string_view text) -> std::string_view {
        char* at = fresh.text.get() + fresh.used;
        if (!text.empty()) std::memcpy(at, text.data(), text.size());
        fresh.used += text.size();
        return {at, text.size()};
    };
    for (auto& field : fields) {
        auto name = move(field.name);
        field = Header{name, move(field.value)};
    }
    retired.swap(chunks_);
    chunks_.push_back(std::move(fresh));
    garbage = 0;
}

std::size_t HeaderStore::owned() const noexcept {
    std::size_t sum = 0;
    for (const auto& chunk : chunks_) sum += chunk.used;
    return sum;
}

bool HeaderStore::worth_keeping() const noexcept {
    std::size_t sum = 0;
    for (const auto& chunk : chunks_) sum += chunk.size;
    return sum <= kept_text && fields.capacity() <= kept_fields;
}

void HeaderStore::clear() noexcept {
    fields.clear();
    garbage = 0;
    if (chunks_.size() > 1) {  // the largest is the last
        std::swap(chunks_.front(), chunks_.back());
        chunks_.resize(1);
    }
    if (!chunks_.empty()) chunks_.front().used = 0;
}

std::vector<Header>& HeaderViews::room(Headers& headers, std::size_t count) {
    auto& fields = headers.store().fields;
    fields.reserve(fields.size() + count);
    return fields;
}

void HeaderViews::add(Headers& headers, std::string_view name, std::string_view value) {
    headers.store().fields.push_back(Header{name, value});
}

void HeaderViews::reset(Headers& headers) noexcept {
    if (headers.store_ != nullptr) headers.store_->clear();
}

namespace {

constexpr auto token_chars = [] {
    std::array<bool, 256> is{};
    for (std::size_t i = 0; i < is.size(); ++i) is[i] = is_token_char(static_cast<char>(i));
    return is;
}();

bool is_name(std::string_view name) noexcept {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return token_chars[byte(c)]; });
}

}  // namespace

void check_header(std::string_view name, std::string_view value) {
    if (!is_name(name)) {
        throw HeaderError("the header name \"" + shown(name) +
                          "\" is not a token: letters, digits and !#$%&'*+-.^_`|~ only");
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (is_value_char(value[i])) continue;
        std::string what = value[i] == '\r' || value[i] == '\n' ? "a line break"
                           : value[i] == '\0'                   ? "a NUL byte"
                                                                : "a control character";
        throw HeaderError("the value of the header " + std::string(name) + " has " + what + " at byte " +
                          std::to_string(i) + "; it would change the message");
    }
}

}  // namespace detail

Headers::Headers(std::initializer_list<Header> headers) {
    try {
        for (const auto& header : headers) add(header.name, header.value);
    } catch (...) {
        HeaderStore::give(store_);
        throw;
    }
}

Headers::Headers(const Headers& other) {
    if (other.empty()) return;
    store_ = HeaderStore::take();
    try {
        for (const auto& header : other) store_->push(header.name, header.value);
    } catch (...) {
        HeaderStore::give(store_);
        throw;
    }
}

Headers& Headers::operator=(const Headers& other) {
    if (this != &other) *this = Headers(other);
    return *this;
}

Headers& Headers::operator=(Headers&& other) noexcept {
    if (this != &other) {
        if (store_ != nullptr) HeaderStore::give(store_);
        store_ = std::exchange(other.store_, nullptr);
    }
    return *this;
}

Headers::~Headers() {
    if (store_ != nullptr) HeaderStore::give(store_);
}

HeaderStore& Headers::store() {
    if (store_ == nullptr) store_ = HeaderStore::take();
    return *store_;
}

Headers& Headers::add(std::string_view name, std::string_view value) {
    value = detail::trim(value);
    detail::check_header(name, value);
    store().push(name, value);
    return *this;
}

Headers& Headers::set(std::string_view name, std::string_view value) {
    value = detail::trim(value);
    detail::check_header(name, value);
    auto& fields = store().fields;
    auto same = [&](const Header& header) { return detail::iequals(header.name, name); };
    auto first = std::find_if(fields.begin(), fields.end(), same);
    if (first == fields.end()) return add(name, value);
    // The value may be a view of the very text that is being replaced, so it is kept before anything is given up.
    auto index = static_cast<std::size_t>(first - fields.begin());
    auto kept = store_->keep(value);
    store_->garbage += fields[index].value.size();
    fields[index].value = kept;
    auto rest = std::remove_if(fields.begin() + static_cast<std::ptrdiff_t>(index) + 1, fields.end(), same);
    for (auto gone = rest; gone != fields.end(); ++gone) store_->garbage += gone->name.size() + gone->value.size();
    fields.erase(rest, fields.end());
    return *this;
}

std::size_t Headers::remove(std::string_view name) noexcept {
    if (store_ == nullptr) return 0;
    auto& fields = store_->fields;
    std::size_t before = fields.size();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < before; ++i) {
        if (detail::iequals(fields[i].name, name)) {
            store_->garbage += fields[i].name.size() + fields[i].value.size();
        } else {
            fields[kept++] = fields[i];
        }
    }
    fields.resize(kept);
    return before - kept;
}

void Headers::clear() noexcept {
    if (store_ != nullptr) store_->clear();
}

std::optional<std::string_view> Headers::get(std::string_view name) const noexcept {
    for (const auto& header : *this) {
        if (detail::iequals(header.name, name)) return header.value;
    }
    return std::nullopt;
}

std::string_view Headers::get_or(std::string_view name, std::string_view otherwise) const noexcept {
    return get(name).value_or(otherwise);
}

std::vector<std::string_view> Headers::get_all(std::string_view name) const {
    std::vector<std::string_view> found;
    for (const auto& header : *this) {
        if (detail::iequals(header.name, name)) found.push_back(header.value);
    }
    return found;
}

std::string Headers::joined(std::string_view name) const {
    std::string out;
    bool first = true;
    for (const auto& header : *this) {
        if (!detail::iequals(header.name, name)) continue;
        if (!first) out += ", ";
        first = false;
        out += header.value;
    }
    return out;
}

bool Headers::has_word(std::string_view name, std::string_view word) const noexcept {
    for (const auto& header : *this) {
        if (detail::iequals(header.name, name) && detail::list_has(header.value, word)) return true;
    }
    return false;
}

std::size_t Headers::size() const noexcept { return store_ == nullptr ? 0 : store_->fields.size(); }

Headers::const_iterator Headers::begin() const noexcept { return store_ == nullptr ? nullptr : store_->fields.data(); }

bool Headers::equal(const Headers& a, const Headers& b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Header& x, const Header& y) {
        return detail::iequals(x.name, y.name) && x.value == y.value;
    });
}

}  // namespace coaio::http

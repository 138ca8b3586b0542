// SPDX-License-Identifier: MIT
#include <coaio/db/array.hpp>

#include "text.hpp"

#include <coaio/db/detail/user_types.hpp>

#include <algorithm>

namespace coaio::db::detail {
namespace {

constexpr std::int32_t most_dimensions = 6;
constexpr std::size_t most_digits = 100'000'000;

// A numeric of ten bytes has up to 131 072 digits.
void limit_digits(const ArrayParts& numerics) {
    std::size_t digits = 0;
    for (const auto& each : numerics.items) {
        if (each) digits += numeric_text_size(*each);
        if (digits > most_digits) throw ValueError("an array of numerics of more than 100 million digits together");
    }
}

ArrayParts parse_binary(std::string_view bytes) {
    Decoder in(bytes);
    ArrayParts parts;
    std::int32_t dimensions = in.get_int32();
    if (dimensions < 0 || dimensions > most_dimensions) throw ValueError("an array with a bad number of dimensions");
    (void)in.get_int32();
    parts.element = static_cast<Oid>(in.get_int32());
    std::size_t count = dimensions == 0 ? 0 : 1;
    for (std::int32_t i = 0; i < dimensions; ++i) {
        std::int32_t length = in.get_int32();
        (void)in.get_int32();
        // Each element takes at least its four bytes of length: a count beyond that is a lie, found out before any
        // memory is asked for.
        if (length < 0 || (count != 0 && static_cast<std::size_t>(length) > in.remaining() / 4 / count)) {
            throw ValueError("an array with more elements than bytes");
        }
        count *= static_cast<std::size_t>(length);
        parts.lengths.push_back(static_cast<std::size_t>(length));
    }
    if (count == 0) parts.lengths.clear();
    parts.items.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        std::int32_t length = in.get_int32();
        if (length == -1) {
            parts.items.emplace_back(std::nullopt);
        } else if (length < 0) {
            throw ValueError("an array element of negative length");
        } else {
            parts.items.emplace_back(in.get_bytes(static_cast<std::size_t>(length)));
        }
    }
    in.expect_end();
    return parts;
}

/// The literal form, `[0:1]={{a,"b \"c\""},{NULL,d}}`.
class Literal {
public:
    /// NUL is a delimiter that nobody knows: a comma, most likely, and then no other is seen.
    Literal(std::string_view text, char delimiter) : text_(text), sure_(delimiter != '\0') {
        if (sure_) delimiter_ = delimiter;
        parts_.format = Format::text;
    }

    ArrayParts parse() {
        if (!text_.empty() && text_[0] == '[') {
            std::size_t equals = text_.find('=');
            if (equals == std::string_view::npos) bad();
            at_ = equals + 1;
        }
        row(0);
        if (at_ != text_.size()) bad();
        if (parts_.items.empty()) parts_.lengths.clear();
        return std::move(parts_);
    }

private:
    [[noreturn]] static void bad() { throw ValueError("not a well-formed array"); }
    [[noreturn]] static void unsure() { throw ValueError("an array of a type whose delimiter is not known"); }
    [[nodiscard]] char peek() const {
        if (at_ >= text_.size()) bad();
        return text_[at_];
    }

    void row(std::size_t level) {
        if (level >= static_cast<std::size_t>(most_dimensions) || peek() != '{') bad();
        ++at_;
        if (parts_.lengths.size() == level) {
            if (leaf_level_) bad();
            parts_.lengths.push_back(unknown);
        }
        std::size_t count = 0;
        while (peek() != '}') {
            if (count++ > 0) {
                if (peek() != delimiter_) bad();
                ++at_;
            }
            if (peek() == '{') {
                if (leaf_level_ == level) bad();
                row(level + 1);
            } else {
                if (leaf_level_.value_or(level) != level) bad();
                leaf_level_ = level;
                item();
            }
        }
        ++at_;
        if (parts_.lengths[level] != unknown && parts_.lengths[level] != count) bad();
        parts_.lengths[level] = count;
    }

    void item() {
        if (peek() == '"') return quoted();
        std::size_t start = at_;
        while (peek() != delimiter_ && peek() != '}') {
            if (peek() == '"' || peek() == '\\' || peek() == '{') bad();
            if (!sure_ && (peek() == ';' || peek() == ':')) unsure();
            ++at_;
        }
        std::string_view word = text_.substr(start, at_ - start);
        if (word.empty()) bad();
        if (word == "NULL") {
            parts_.items.emplace_back(std::nullopt);
        } else {
            parts_.items.emplace_back(word);
        }
    }

    void quoted() {
        std::string plain;
        for (++at_; peek() != '"'; ++at_) {
            if (peek() == '\\') ++at_;
            plain.push_back(peek());
        }
        ++at_;
        parts_.unescaped.push_back(std::move(plain));
        parts_.items.emplace_back(parts_.unescaped.back());
    }

    static constexpr std::size_t unknown = static_cast<std::size_t>(-1);
    std::string_view text_;
    bool sure_;
    char delimiter_ = ',';
    std::size_t at_ = 0;
    std::optional<std::size_t> leaf_level_;
    ArrayParts parts_;
};

}  // namespace

ArrayParts parse_array(const Encoded& value) {
    if (value.format == Format::binary) {
        ArrayParts parts = parse_binary(value.bytes);
        Oid element = element_of(value.type, value.types);
        if (element != Oid::unspecified && !parts.lengths.empty() && parts.element != element) {
            throw ValueError("an array of " + type_name(parts.element, value.types) + " inside");
        }
        if (base_type(parts.element, value.types) == Oid::numeric) limit_digits(parts);
        parts.types = value.types;
        return parts;
    }
    ArrayParts parts = Literal(value.bytes, delimiter_of(value.type, value.types)).parse();
    parts.element = element_of(value.type, value.types);
    parts.types = value.types;
    return parts;
}

bool accepts_array(Oid type, Format format, const UserTypes* types,
                   bool (*accepts_element)(Oid, Format, const UserTypes*)) {
    const Oid element = element_of(type, types);
    if (element != Oid::unspecified) return accepts_element(element, format, types);
    const bool nobody_knows = kind_of(type, types) == UserKind::unknown && !known_in_binary(type);
    return format == Format::text && nobody_knows && accepts_element(type, format, types);
}

ArrayWriter::ArrayWriter(Encoder& out, Oid element, Format format, const std::vector<std::size_t>& lengths, bool nulls)
    : out_(&out), format_(format), empty_(std::find(lengths.begin(), lengths.end(), 0U) != lengths.end()) {
    if (format_ == Format::text) {
        if (empty_) out_->put_bytes("{}");
        return;
    }
    out_->put_int32(empty_ ? 0 : static_cast<std::int32_t>(lengths.size()));
    out_->put_int32(nulls ? 1 : 0);
    out_->put_int32(static_cast<std::int32_t>(element));
    if (empty_) return;
    for (std::size_t length : lengths) {
        if (!std::in_range<std::int32_t>(length)) throw ValueError("an array of too many elements");
        out_->put_int32(static_cast<std::int32_t>(length));
        out_->put_int32(1);
    }
}

void ArrayWriter::open() {
    if (format_ == Format::binary || empty_) return;
    separate();
    out_->put_bytes("{");
    first_ = true;
}

void ArrayWriter::close() {
    if (format_ == Format::binary || empty_) return;
    out_->put_bytes("}");
    first_ = false;
}

void ArrayWriter::put_null() {
    if (format_ == Format::binary) return out_->put_int32(-1);
    separate();
    out_->put_bytes("NULL");
}

std::size_t ArrayWriter::begin_binary() {
    std::size_t at = out_->size();
    out_->put_int32(0);
    return at;
}

void ArrayWriter::end_binary(std::size_t at) {
    std::size_t length = out_->size() - at - 4;
    if (!std::in_range<std::int32_t>(length)) throw ValueError("an array element too long to be sent");
    out_->patch_int32(at, static_cast<std::int32_t>(length));
}

void ArrayWriter::put_literal() {
    separate();
    std::string quoted = "\"";
    for (char c : scratch_) {
        if (c == '"' || c == '\\') quoted.push_back('\\');
        quoted.push_back(c);
    }
    quoted.push_back('"');
    out_->put_bytes(quoted);
}

void ArrayWriter::separate() {
    if (!first_) out_->put_bytes(",");
    first_ = false;
}

}  // namespace coaio::db::detail

// SPDX-License-Identifier: MIT
#include <coaio/db/composite.hpp>

#include "literal.hpp"

#include <coaio/db/detail/user_types.hpp>

#include <utility>

namespace coaio::db::detail {

bool accepts_composite(Oid type, Format format, const UserTypes* types, const FieldWanted* wanted, std::size_t count) {
    const UserKind kind = kind_of(type, types);
    // What nobody has looked up comes as text; how many fields it has is seen then.
    if (kind == UserKind::unknown) return format == Format::text && (is_user_made(type) || type == Oid::record);
    if (kind != UserKind::composite) return false;
    const auto& fields = types->find(type)->fields;
    if (fields.size() != count) return false;
    for (std::size_t i = 0; i < count; ++i) {
        if (!wanted[i].name.empty() && wanted[i].name != fields[i].name) return false;
        if (!wanted[i].accepts(fields[i].type, format, types)) return false;
    }
    return true;
}

CompositeReader::CompositeReader(const Encoded& value, std::size_t fields) : whole_(value), rest_(value.bytes) {
    const UserKind kind = kind_of(whole_.type, whole_.types);
    if (kind != UserKind::composite) whole_.type = Oid::unspecified;
    if (whole_.format == Format::text) return;
    Decoder in(rest_);
    const std::int32_t count = in.get_int32();
    if (count < 0 || static_cast<std::size_t>(count) != fields) {
        throw ValueError("a composite of " + std::to_string(count) + " fields, not " + std::to_string(fields));
    }
    rest_ = in.get_bytes(in.remaining());
}

std::optional<Encoded> CompositeReader::next() {
    ++read_;
    return whole_.format == Format::text ? next_text() : next_binary();
}

std::optional<Encoded> CompositeReader::next_binary() {
    Decoder in(rest_);
    Encoded field = whole_;
    field.type = static_cast<Oid>(in.get_int32());
    const std::int32_t length = in.get_int32();
    if (length < -1) throw ValueError(this->field({}) + " is of negative length");
    if (length >= 0) field.bytes = in.get_bytes(static_cast<std::size_t>(length));
    rest_ = in.get_bytes(in.remaining());
    return length < 0 ? std::nullopt : std::optional<Encoded>(field);
}

std::optional<Encoded> CompositeReader::next_text() {
    LiteralReader in(rest_, "composite");
    if (in.take() != (read_ == 1 ? '(' : ',')) throw ValueError("a composite of other than the fields wanted");
    std::optional<std::string> part = in.part(",)");
    rest_ = in.rest();
    if (!part) return std::nullopt;
    plain_ = std::move(*part);
    Encoded field = whole_;
    field.type = Oid::unspecified;
    if (whole_.type != Oid::unspecified) {
        const auto& fields = whole_.types->find(whole_.type)->fields;
        if (read_ <= fields.size()) field.type = fields[read_ - 1].type;
    }
    field.bytes = plain_;
    return field;
}

void CompositeReader::expect_end() const {
    const bool at_end = whole_.format == Format::text ? rest_ == ")" : rest_.empty();
    if (!at_end) throw ValueError("a composite that does not end after " + std::to_string(read_) + " fields");
}

std::string CompositeReader::field(std::string_view name) const {
    if (name.empty()) return "field " + std::to_string(read_);
    return "field \"" + std::string(name) + "\"";
}

void CompositeReader::wrong_type(const Encoded& sent, std::string_view name, std::string_view cpp_type) const {
    throw ValueError(field(name) + " is of type " + type_name(sent.type, sent.types) + " and cannot be read as " +
                     std::string(cpp_type));
}

void CompositeWriter::separate() {
    out_->put_bytes(first_ ? "(" : ",");
    first_ = false;
}

void CompositeWriter::put_encoded(Oid type, Format format) {
    separate();
    put_part(format == Format::text ? encoded_ : text_of(type, encoded_), *out_);
}

void CompositeWriter::end() {
    if (first_) separate();
    out_->put_bytes(")");
}

}  // namespace coaio::db::detail

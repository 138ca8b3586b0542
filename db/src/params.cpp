// SPDX-License-Identifier: MIT
#include <coaio/db/params.hpp>

namespace coaio::db {

Params::Slot Params::begin(Oid type, Format format) const {
    if (slots_.size() == most) {
        throw ParameterError(0, "more than 65535 parameters: send an array, or use COPY for many rows");
    }
    Slot slot;
    slot.type = type;
    slot.format = format;
    slot.offset = static_cast<std::uint32_t>(bytes_.size());
    return slot;
}

Params& Params::end(Slot slot) {
    slot.length = static_cast<std::uint32_t>(bytes_.size() - slot.offset);
    if (bytes_.size() > Encoder::most_bytes) undo(slot, "the parameters together would be larger than 1 GB");
    if (slot.format == Format::text) bytes_.push_back('\0');
    slots_.push_back(slot);
    return *this;
}

Params& Params::add_null(Oid type) {
    Slot slot = begin(type, Format::text);
    slot.null = true;
    slots_.push_back(slot);
    return *this;
}

std::vector<Oid> Params::types() const {
    std::vector<Oid> types;
    types.reserve(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) types.push_back(slot(i).type);
    return types;
}

void Params::undo(const Slot& slot, const std::string& problem) {
    bytes_.resize(slot.offset);
    refuse(problem);
}

void Params::refuse(const std::string& problem) const { throw ParameterError(slots_.size() + 1, problem); }

}  // namespace coaio::db

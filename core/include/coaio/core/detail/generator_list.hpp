// SPDX-License-Identifier: MIT
#pragma once

namespace coaio::detail {

struct GeneratorBase;

/// The generators of a loop that were started and not finished, newest first. Its end cuts them loose.
class GeneratorList {
public:
    GeneratorList() noexcept = default;
    GeneratorList(const GeneratorList&) = delete;
    GeneratorList& operator=(const GeneratorList&) = delete;
    ~GeneratorList();

    void add(GeneratorBase& generator) noexcept;
    [[nodiscard]] GeneratorBase* first() const noexcept { return first_; }

    /// The loop closes its generators: one that is started now will not be closed by it any more.
    bool closing = false;

private:
    GeneratorBase* first_ = nullptr;
};

}  // namespace coaio::detail

// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/params.hpp>

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace coaio::db::detail {

/// A statement that the server keeps for one session.
struct Prepared {
    std::string key;
    std::string name;
    Format results = Format::binary;
    bool user_types = false;  // among the columns
};

/// The statements that a session has prepared, by text and types of parameters; the least recently used go first.
/// Names are never used twice, so an answer that was lost cannot make two statements of one name (STM-03).
class Statements {
public:
    explicit Statements(std::size_t most) noexcept : most_(most) {}

    /// Longer texts are not worth their room in the server.
    static constexpr std::size_t longest_sql = 16 * 1024;

    /// Nor are those that end with the comment of a trace, since no other will have their text.
    [[nodiscard]] bool wants(const std::string& sql) const noexcept {
        return most_ > 0 && sql.size() <= longest_sql && !sql.ends_with("'*/");
    }
    [[nodiscard]] static std::string key(const std::string& sql, const Params& params);

    /// Counts as a use.
    [[nodiscard]] const Prepared* find(const std::string& key);
    [[nodiscard]] const Prepared* find(const std::string& sql, const Params& params);
    [[nodiscard]] std::string next_name() { return "coaio_" + std::to_string(++named_); }
    void keep(Prepared prepared);
    /// It is gone or stale; the server is told where it may still have it.
    void forget(const std::string& key);
    /// The same of all with columns of types that users made: what is known of these is to be had anew.
    void forget_user_types();

    [[nodiscard]] bool has_dropped() const noexcept { return !dropped_.empty() || !evicted_.empty(); }
    /// Names that the server may drop; they are given once. `sure`: those only that it has, since a name that it does not
    /// have would fail a transaction.
    [[nodiscard]] std::vector<std::string> take_dropped(bool sure = false);
    /// Again, since they could not be dropped, or perhaps were.
    void drop_later(std::vector<std::string> names);
    /// The server has dropped all of them.
    void all_gone() noexcept;
    /// Somebody else drops some: of none is it sure any more.
    void doubt_all() { drop_later(std::exchange(evicted_, {})); }
    [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

private:
    std::size_t most_;
    std::uint64_t named_ = 0;
    std::list<Prepared> order_;  // most recently used first
    std::unordered_map<std::string_view, std::list<Prepared>::iterator> by_key_;
    std::vector<std::string> evicted_;  // which the server has
    std::vector<std::string> dropped_;  // which it may have
};

/// Names that the server may know, unless all goes well.
class NamesInDoubt {
public:
    NamesInDoubt(Statements& statements, std::vector<std::string> names) noexcept
        : statements_(&statements), names_(std::move(names)) {}
    NamesInDoubt(const NamesInDoubt&) = delete;
    NamesInDoubt& operator=(const NamesInDoubt&) = delete;
    ~NamesInDoubt() {
        try {
            if (!names_.empty()) statements_->drop_later(std::move(names_));
        } catch (...) {  // without memory they stay in the server, to the session's end
        }
    }
    void add(const std::string& name) { names_.push_back(name); }
    void clear() noexcept { names_.clear(); }

private:
    Statements* statements_;
    std::vector<std::string> names_;
};

}  // namespace coaio::db::detail

// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/migrations.hpp>

#include <coaio/db/connection.hpp>
#include <coaio/db/transaction.hpp>

#include <coaio/core/mask.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace coaio::db::detail {

/// One look at a database's migrations, or one run of them, in one session.
class MigrationRun {
public:
    [[nodiscard]] static Coro<std::vector<MigrationStep>> apply(MigrationPlan plan, Pool pool);
    [[nodiscard]] static Coro<std::vector<MigrationStep>> plan(MigrationPlan plan, Pool pool);
    [[nodiscard]] static Coro<std::vector<MigrationStep>> status(MigrationPlan plan, Pool pool);
    [[nodiscard]] static Coro<> resolve(MigrationPlan plan, Pool pool, std::int64_t version,
                                        Migrations::Resolution resolution);

private:
    struct Entry {
        std::string name;
        std::string checksum;
        std::string begun_at;
        std::string applied_at;
        std::string error;
    };

    MigrationRun(MigrationPlan plan, Connection session);

    Coro<> locked(Pool pool, std::function<Coro<>(Scope&)> body);
    Coro<> hold();
    Coro<bool> let_go();
    Coro<std::string> describe_holder();
    Coro<> make_book();
    Coro<bool> find_book();
    Coro<> read_book();
    Coro<> apply_pending(std::vector<MigrationStep>& applied);
    Coro<> apply(const MigrationText& step, const std::string& checksum);
    Coro<> apply_in_transaction(const MigrationText& step, const std::string& checksum);
    Coro<> apply_alone(const MigrationText& step, const std::string& checksum);
    Coro<> write_error(std::int64_t version, std::string error);
    Coro<> settle(std::int64_t version, Migrations::Resolution resolution);

    [[nodiscard]] std::vector<MigrationStep> steps() const;
    void refuse_trouble() const;
    [[nodiscard]] std::string describe(const MigrationStep& step) const;
    [[nodiscard]] std::string title(std::int64_t version, const std::string& name) const;
    [[nodiscard]] std::vector<MigrationStep> pending() const;

    MigrationPlan plan_;
    Connection session_;
    std::string book_;  // the table's name, quoted
    std::string search_path_;
    std::vector<std::string> checksums_;
    std::map<std::int64_t, Entry> entries_;
    bool may_hold_ = false;
};

}  // namespace coaio::db::detail

// SPDX-License-Identifier: MIT
#include "statements.hpp"

#include <cstring>
#include <iterator>
#include <utility>

namespace coaio::db::detail {

std::string Statements::key(const std::string& sql, const Params& params) {
    std::string key;
    key.reserve(sql.size() + 1 + params.size() * sizeof(Oid));
    key.append(sql).push_back('\0');
    for (std::size_t i = 0; i < params.size(); ++i) {
        const Oid type = params.slot(i).type;
        key.append(reinterpret_cast<const char*>(&type), sizeof(type));
    }
    return key;
}

namespace {

bool is_key_of(std::string_view key, const std::string& sql, const Params& params) {
    if (key.size() != sql.size() + 1 + params.size() * sizeof(Oid)) return false;
    if (!key.starts_with(sql) || key[sql.size()] != '\0') return false;
    for (std::size_t i = 0; i < params.size(); ++i) {
        const Oid type = params.slot(i).type;
        if (std::memcmp(key.data() + sql.size() + 1 + i * sizeof(type), &type, sizeof(type)) != 0) return false;
    }
    return true;
}

}  // namespace

const Prepared* Statements::find(const std::string& sql, const Params& params) {
    if (!order_.empty() && is_key_of(order_.front().key, sql, params)) return &order_.front();  // as the last one
    return find(key(sql, params));
}

const Prepared* Statements::find(const std::string& key) {
    auto at = by_key_.find(key);
    if (at == by_key_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return &*at->second;
}

void Statements::keep(Prepared prepared) {
    forget(prepared.key);
    order_.push_front(std::move(prepared));
    by_key_.emplace(order_.front().key, order_.begin());
    while (order_.size() > most_) {
        by_key_.erase(order_.back().key);
        evicted_.push_back(std::move(order_.back().name));
        order_.pop_back();
    }
}

void Statements::forget(const std::string& key) {
    auto at = by_key_.find(key);
    if (at == by_key_.end()) return;
    auto place = at->second;
    by_key_.erase(at);
    dropped_.push_back(std::move(place->name));
    order_.erase(place);
}

void Statements::forget_user_types() {
    for (auto at = order_.begin(); at != order_.end();) {
        const auto each = at++;
        if (each->user_types) forget(each->key);
    }
}

std::vector<std::string> Statements::take_dropped(bool sure) {
    std::vector<std::string> taken = std::exchange(evicted_, {});
    if (sure) return taken;
    taken.insert(taken.end(), std::make_move_iterator(dropped_.begin()), std::make_move_iterator(dropped_.end()));
    dropped_.clear();
    return taken;
}

void Statements::all_gone() noexcept {
    by_key_.clear();
    order_.clear();
    evicted_.clear();
    dropped_.clear();
}

void Statements::drop_later(std::vector<std::string> names) {
    dropped_.insert(dropped_.end(), std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
}

}  // namespace coaio::db::detail

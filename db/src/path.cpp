// SPDX-License-Identifier: MIT
#include "path.hpp"

#include <utility>

namespace coaio::db::detail {
namespace {

PqLink& over_libpq(Link& link) {
    PqLink* const found = link.libpq();
    if (found == nullptr) throw UsageError("this connection cannot do that");
    return *found;
}

}  // namespace

std::shared_ptr<Path> Path::again() const {
    if (use_) return std::make_shared<Path>(use_, scope_);
    return std::make_shared<Path>(pool_, keeper_);
}

Coro<> Path::open(std::shared_ptr<Path> self) {
    if (self->pool_ && !self->lease_) self->lease_ = co_await self->pool_->acquire();
    (void)self->link();
}

PqLink& Path::link() const {
    if (use_) return over_libpq(use_->link(scope_));
    if (!lease_) throw UsageError("it has ended");
    return over_libpq(lease_.link());
}

PqLink* Path::raw() const noexcept {
    Link* const link = use_ ? use_->raw() : lease_ ? &lease_.link() : nullptr;
    return link != nullptr ? link->libpq() : nullptr;
}

void Path::close() noexcept {
    lease_.give_back();
    if (use_) use_->step_done();
}

}  // namespace coaio::db::detail

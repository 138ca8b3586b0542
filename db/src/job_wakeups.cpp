// SPDX-License-Identifier: MIT
#include "job_wakeups.hpp"

#include <algorithm>
#include <map>

namespace coaio::db::detail {
namespace {

struct Known {
    std::mutex mutex;
    std::map<std::pair<std::string, std::string>, std::shared_ptr<JobWakeups>> all;
};

Known& known() {
    static Known instance;
    return instance;
}

}  // namespace

std::shared_ptr<JobWakeups> JobWakeups::of(const std::string& target, const std::string& queue) {
    Known& them = known();
    const std::scoped_lock lock(them.mutex);
    std::erase_if(them.all, [](const auto& each) { return each.second.use_count() == 1 && each.second->over(); });
    auto& found = them.all[{target, queue}];
    if (!found) found = std::make_shared<JobWakeups>();
    return found;
}

bool JobWakeups::begin() {
    const std::scoped_lock lock(mutex_);
    return !std::exchange(under_way_, true);
}

// Clocks of simulated loops have nothing to do with each other.
Duration JobWakeups::left(Duration interval) const {
    const std::scoped_lock lock(mutex_);
    return told_ ? std::clamp(coaio::detail::later(*told_, interval) - Clock::now(), Duration::zero(), interval)
                 : Duration::zero();
}

void JobWakeups::tell(Duration interval) {
    const std::scoped_lock lock(mutex_);
    under_way_ = false;
    told_ = Clock::now();
    kept_until_ = std::max(kept_until_, coaio::detail::later(*told_, interval));
}

void JobWakeups::give_up() noexcept {
    const std::scoped_lock lock(mutex_);
    under_way_ = false;
}

bool JobWakeups::over() const {
    const std::scoped_lock lock(mutex_);
    return !told_ || kept_until_ <= Clock::now();
}

}  // namespace coaio::db::detail

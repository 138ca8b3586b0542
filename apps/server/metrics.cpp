// SPDX-License-Identifier: MIT
#include "server/metrics.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace server {
namespace {

constexpr double nanoseconds_a_second = 1e9;
constexpr int status_classes = 5;

std::uint64_t count_of(coaio::Duration time) noexcept {
    return static_cast<std::uint64_t>(std::max<coaio::Duration::rep>(0, time.count()));
}

double seconds_of(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / nanoseconds_a_second; }

struct Closure {
    std::string_view reason;
    std::uint64_t coaio::db::PoolClosures::* count;
};
constexpr std::array<Closure, 7> closures = {{
    {"lost", &coaio::db::PoolClosures::lost},
    {"unclean", &coaio::db::PoolClosures::unclean},
    {"idle", &coaio::db::PoolClosures::idle},
    {"lifetime", &coaio::db::PoolClosures::lifetime},
    {"expired", &coaio::db::PoolClosures::expired},
    {"misplaced", &coaio::db::PoolClosures::misplaced},
    {"shut", &coaio::db::PoolClosures::shut},
}};

// As a label's value.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
    return out;
}

std::uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

class Text {
public:
    Text() { out_.precision(9); }
    void family(std::string_view name, std::string_view type, std::string_view help) {
        out_ << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
    }
    template <class T>
    void sample(std::string_view name, std::string_view labels, T value) {
        out_ << name;
        if (!labels.empty()) out_ << '{' << labels << '}';
        out_ << ' ' << value << '\n';
    }
    template <class T>
    void one(std::string_view name, std::string_view type, std::string_view help, T value) {
        family(name, type, help);
        sample(name, "", value);
    }
    [[nodiscard]] std::string text() const { return out_.str(); }

private:
    std::ostringstream out_;
};

}  // namespace

void WorkerMetrics::ended(int status, coaio::Duration took) noexcept {
    running_.fetch_sub(1, std::memory_order_relaxed);
    const int digit = status / 100;
    add(by_class_[static_cast<std::size_t>(digit >= 1 && digit <= status_classes ? digit - 1 : status_classes)], 1);
    const double seconds = std::chrono::duration<double>(took).count();
    const auto bound = std::lower_bound(bounds.begin(), bounds.end(), seconds);
    add(by_duration_[static_cast<std::size_t>(bound - bounds.begin())], 1);
    add(nanoseconds_, count_of(took));
}

void WorkerMetrics::note(const coaio::db::PoolStats& pool, const coaio::LoopStats& loop) noexcept {
    pool_size_ = pool.size;
    pool_idle_ = pool.idle;
    pool_in_use_ = pool.in_use;
    pool_waiting_ = pool.waiting;
    pool_acquires_ = pool.acquires;
    pool_waits_ = pool.waits;
    pool_timeouts_ = pool.timeouts;
    pool_opened_ = pool.opened;
    pool_cleaning_ = pool.cleaning;
    for (std::size_t i = 0; i < closures.size(); ++i) pool_closed_[i] = pool.closed_by.*closures[i].count;
    pool_connect_errors_ = pool.connect_errors;
    pool_waited_ = count_of(pool.waited);
    loop_turns_ = loop.turns;
    loop_tasks_ = loop.tasks;
    loop_timers_ = loop.timers;
    loop_longest_step_ = count_of(loop.longest_step);
}

std::shared_ptr<WorkerMetrics> Metrics::add_worker() {
    const std::lock_guard lock(mutex_);
    return workers_.emplace_back(std::make_shared<WorkerMetrics>());
}

void Metrics::note_jobs(std::map<std::string, coaio::db::JobCounts> jobs) {
    const std::lock_guard lock(mutex_);
    jobs_ = std::move(jobs);
}

std::string Metrics::text() const {
    const std::lock_guard lock(mutex_);
    const auto sum = [this](auto member) {
        std::uint64_t total = 0;
        for (const auto& worker : workers_) total += ((*worker).*member).load(std::memory_order_relaxed);
        return total;
    };
    Text out;

    out.family("coaio_http_requests_total", "counter", "Requests answered, by class of the status.");
    for (std::size_t i = 0; i <= status_classes; ++i) {
        std::uint64_t count = 0;
        for (const auto& worker : workers_) count += worker->by_class_[i];
        const std::string label = i < status_classes ? std::to_string(i + 1) + "xx" : "other";
        out.sample("coaio_http_requests_total", "status=\"" + label + "\"", count);
    }
    out.one("coaio_http_requests_running", "gauge", "Requests that are with a handler.", sum(&WorkerMetrics::running_));

    const std::string histogram = "coaio_http_request_duration_seconds";
    out.family(histogram, "histogram", "Time from a request's head to its answer's, streamed bodies left out.");
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= WorkerMetrics::bounds.size(); ++i) {
        for (const auto& worker : workers_) below += worker->by_duration_[i];
        std::ostringstream bound;
        if (i < WorkerMetrics::bounds.size()) {
            bound << WorkerMetrics::bounds[i];
        } else {
            bound << "+Inf";
        }
        out.sample(histogram + "_bucket", "le=\"" + bound.str() + "\"", below);
    }
    out.sample(histogram + "_sum", "", seconds_of(sum(&WorkerMetrics::nanoseconds_)));
    out.sample(histogram + "_count", "", below);

    using W = WorkerMetrics;
    out.one("coaio_db_pool_sessions", "gauge", "Sessions with the database.", sum(&W::pool_size_));
    out.one("coaio_db_pool_idle", "gauge", "Sessions that nobody uses.", sum(&W::pool_idle_));
    out.one("coaio_db_pool_in_use", "gauge", "Sessions that a task holds.", sum(&W::pool_in_use_));
    out.one("coaio_db_pool_waiting", "gauge", "Tasks that wait for a session.", sum(&W::pool_waiting_));
    out.one("coaio_db_pool_acquires_total", "counter", "Sessions handed out.", sum(&W::pool_acquires_));
    out.one("coaio_db_pool_waits_total", "counter", "Of these, after a wait.", sum(&W::pool_waits_));
    out.one("coaio_db_pool_wait_seconds_total", "counter", "Time spent in these waits.",
            seconds_of(sum(&W::pool_waited_)));
    out.one("coaio_db_pool_timeouts_total", "counter", "Waits given up.", sum(&W::pool_timeouts_));
    out.one("coaio_db_pool_opened_total", "counter", "Sessions opened.", sum(&W::pool_opened_));
    out.family("coaio_db_pool_closed_total", "counter", "Sessions closed, by the reason for it.");
    for (std::size_t i = 0; i < closures.size(); ++i) {
        std::uint64_t count = 0;
        for (const auto& worker : workers_) count += worker->pool_closed_[i];
        out.sample("coaio_db_pool_closed_total", "reason=\"" + std::string(closures[i].reason) + "\"", count);
    }
    out.one("coaio_db_pool_cleaning", "gauge", "Sessions that came back in a transaction, which is rolled back.",
            sum(&W::pool_cleaning_));
    out.one("coaio_db_pool_connect_errors_total", "counter", "Sessions that could not be opened.",
            sum(&W::pool_connect_errors_));

    if (!jobs_.empty()) {
        const auto by_state = [&out](const std::string& queue, std::string_view state, std::uint64_t count) {
            out.sample("coaio_jobs", "queue=\"" + queue + "\",state=\"" + std::string(state) + "\"", count);
        };
        out.family("coaio_jobs", "gauge", "Jobs in the database's queues.");
        for (const auto& [name, jobs] : jobs_) {
            const std::string queue = escaped(name);
            by_state(queue, "ready", jobs.ready);
            by_state(queue, "delayed", jobs.delayed);
            by_state(queue, "running", jobs.running);
            by_state(queue, "dead", jobs.dead);
        }
        out.family("coaio_jobs_oldest_seconds", "gauge", "How long the job that is ready for longest has waited.");
        for (const auto& [name, jobs] : jobs_) {
            out.sample("coaio_jobs_oldest_seconds", "queue=\"" + escaped(name) + "\"",
                       seconds_of(count_of(jobs.oldest)));
        }
    }

    const auto by_worker = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
        out.family(name, type, help);
        for (std::size_t i = 0; i < workers_.size(); ++i) {
            out.sample(name, "worker=\"" + std::to_string(i) + "\"", value(*workers_[i]));
        }
    };
    by_worker("coaio_loop_turns_total", "counter", "Turns of the loop.",
              [](const W& worker) { return worker.loop_turns_.load(); });
    by_worker("coaio_loop_tasks", "gauge", "Live tasks.", [](const W& worker) { return worker.loop_tasks_.load(); });
    by_worker("coaio_loop_timers", "gauge", "Armed timers.",
              [](const W& worker) { return worker.loop_timers_.load(); });
    by_worker("coaio_loop_longest_step_seconds", "gauge", "The longest that something kept the loop from going on.",
              [](const W& worker) { return seconds_of(worker.loop_longest_step_.load()); });

    out.one("coaio_crawls_running", "gauge", "Crawls that this process runs.", crawls_running_.load());
    out.one("coaio_crawl_pages_total", "counter", "Pages committed by this process.", pages_.load());
    out.one("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    return out.text();
}

}  // namespace server

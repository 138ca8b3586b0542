// SPDX-License-Identifier: MIT
#include "dump_walk.hpp"

#include <coaio/core/detail/location.hpp>
#include <coaio/core/detail/loop_core.hpp>
#include <coaio/core/loop.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <source_location>
#include <string_view>
#include <utility>

namespace coaio::detail {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// Not by printf, whose decimal point is the locale's.
std::string decimal(double number, int digits) {
    if (!std::isfinite(number)) return "0";
    std::array<char, 400> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed, digits);
    return std::string(text.data(), end.ptr);
}

const char* state_of(const TaskBase& task) {
    if (thread_state.task == &task) return "running";
    if (!task.started()) return "not started";
    return task.leaf() != nullptr ? "waiting" : "ready";
}

std::string address(const void* object) {
    std::array<char, 2 * sizeof object> digits{};
    auto* const end = digits.data() + digits.size();
    return "0x" +
           std::string(digits.data(), std::to_chars(digits.data(), end, std::bit_cast<std::uintptr_t>(object), 16).ptr);
}

std::vector<const PromiseBase*> stack_of(const TaskBase& task) {
    std::vector<const PromiseBase*> stack;
    for (const PromiseBase* frame = task.leaf_frame(); frame != nullptr; frame = frame->parent.coroutine_if_any())
        stack.push_back(frame);
    std::reverse(stack.begin(), stack.end());
    return stack;
}

// ------------------------------------------------------------------------------------------------------------ lines

// How many bytes at the front are one character of UTF-8 (RFC 3629); 0: none.
std::size_t character_size(std::string_view text) {
    const auto at = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto follows = [&at](std::size_t i, unsigned least = 0x80, unsigned most = 0xBF) {
        return at(i) >= least && at(i) <= most;
    };
    const unsigned first = at(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const bool second = follows(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
        return second && follows(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool second = follows(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
        return second && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

class TextWriter final : public DumpWriter {
public:
    explicit TextWriter(std::int64_t now) noexcept : now_(now) {}

    void node(const DumpNode& node) override {
        indent_.clear();
        for (std::size_t i = 0; i + 1 < node.depth; ++i) indent_ += "|  ";
        start_ = node.depth == 0 ? "" : indent_ + "|- ";
        if (node.depth != 0) indent_ += "|  ";
        indent_ += "|  ";
        if (node.kind == DumpNode::Kind::group) {
            line(start_ + node.group.what + place_of(node));
        } else if (node.place != DumpNode::Place::here) {
            line(start_ + node.task->name() + place_of(node));
        } else {
            task(node);
        }
    }

    std::string finish(std::size_t omitted) override {
        if (omitted != 0) line("(" + std::to_string(omitted) + " more tasks)");
        return std::move(text_);
    }

private:
    static const char* place_of(const DumpNode& node) {
        if (node.place == DumpNode::Place::here) return "";
        return node.place == DumpNode::Place::above ? " (shown above)" : " (shown below)";
    }

    void task(const DumpNode& node) {
        const TaskBase& task = *node.task;
        std::string head = start_ + task.name() + " " + state_of(task);
        if (task.bottom_requests() != 0) head += ", being cancelled";
        line(head + ", age " + past(task.created()) + ", created at " + task.spawn_site().file_name() + ":" +
             std::to_string(task.spawn_site().line()));
        for (const PromiseBase* const frame : stack_of(task)) line(indent_ + describe_place(frame->place));
        for (const WaitInfo& doing : node.doing) line(indent_ + "in " + doing.what);
        if (!node.wait) return;
        std::string wait = indent_ + "waits for " + node.wait->what;
        if (node.wait->object != nullptr) wait += " at " + address(node.wait->object);
        if (node.wait->until) wait += ", " + seconds(node.wait->until->time_since_epoch().count() - now_) + " to go";
        line(wait + ", for " + past(task.since()));
    }

    static std::string seconds(std::int64_t nanoseconds) {
        return decimal(static_cast<double>(std::max<std::int64_t>(nanoseconds, 0)) / 1e9, 1) + " s";
    }
    [[nodiscard]] std::string past(std::int64_t when) const { return seconds(now_ - when); }

    // Names come from outside: none may start a line of its own or speak to a terminal, not in the two-byte controls
    // either, and all of it is UTF-8.
    void line(std::string_view content) {
        while (!content.empty()) {
            const auto byte = static_cast<unsigned char>(content[0]);
            const std::size_t size = character_size(content);
            const bool control = byte < 0x20 || byte == 0x7F ||
                                 (byte == 0xC2 && size == 2 && static_cast<unsigned char>(content[1]) < 0xA0);
            if (size != 0 && !control) {
                text_ += content.substr(0, size);
                content.remove_prefix(size);
                continue;
            }
            text_ += "\\x";
            text_ += hex_digits[byte >> 4];
            text_ += hex_digits[byte & 15];
            content.remove_prefix(1);
        }
        text_ += '\n';
    }

    std::int64_t now_;
    std::string indent_;
    std::string start_;
    std::string text_;
};

// ------------------------------------------------------------------------------------------------------------- JSON

class JsonWriter final : public DumpWriter {
public:
    explicit JsonWriter(std::int64_t now) noexcept : now_(now), text_("\"tasks\":[") {}

    void node(const DumpNode& node) override {
        while (parents_.size() > node.depth) close();
        if (parents_.empty()) {
            if (text_.back() == '}') text_ += ',';
        } else if (parents_.back()) {
            text_ += ',';
        } else {
            parents_.back() = true;
            text_ += ",\"children\":[";
        }
        parents_.push_back(false);
        text_ += '{';
        if (node.kind == DumpNode::Kind::group) {
            key("kind", true);
            string("group");
            described(node.group);
        } else {
            task(node);
        }
        if (node.place != DumpNode::Place::here) {
            key("elsewhere");
            text_ += "true";
        }
    }

    std::string finish(std::size_t omitted) override {
        while (!parents_.empty()) close();
        text_ += ']';
        if (omitted != 0) {
            key("omitted");
            text_ += std::to_string(omitted);
        }
        return std::move(text_);
    }

private:
    void close() {
        text_ += parents_.back() ? "]}" : "}";
        parents_.pop_back();
    }

    void task(const DumpNode& node) {
        const TaskBase& task = *node.task;
        key("kind", true);
        string("task");
        key("id");
        text_ += std::to_string(task.id());
        key("name");
        string(task.name());
        if (node.place != DumpNode::Place::here) return;
        key("state");
        string(state_of(task));
        if (task.bottom_requests() != 0) {
            key("cancelling");
            text_ += "true";
        }
        key("age");
        seconds(now_ - task.created());
        key("spawned");
        location(task.spawn_site(), task.spawn_site().line());
        key("stack");
        char before = '[';
        for (const PromiseBase* const frame : stack_of(task)) {
            text_ += std::exchange(before, ',');
            location(frame->place.definition(), frame->place.line());
        }
        if (before == '[') text_ += '[';
        text_ += ']';
        doing(node.doing);
        if (node.wait) wait(*node.wait, task.since());
    }

    void doing(const std::vector<WaitInfo>& infos) {
        if (infos.empty()) return;
        key("doing");
        char before = '[';
        for (const WaitInfo& each : infos) {
            text_ += std::exchange(before, ',');
            text_ += '{';
            described(each, true);
            text_ += '}';
        }
        text_ += ']';
    }

    void wait(const WaitInfo& info, std::int64_t since) {
        key("wait");
        text_ += '{';
        described(info, true);
        key("since");
        seconds(now_ - since);
        if (info.until) {
            key("until");
            seconds(info.until->time_since_epoch().count() - now_);
        }
        text_ += '}';
    }

    void described(const WaitInfo& info, bool first = false) {
        key("what", first);
        string(info.what);
        if (info.object != nullptr) {
            key("object");
            string(address(info.object));
        }
        key("detail");
        text_ += '{';
        bool begins = true;
        for (const WaitFact& fact : info.facts) {
            key(fact.name, std::exchange(begins, false));
            if (const auto* const number = std::get_if<std::int64_t>(&fact.value)) {
                text_ += std::to_string(*number);
            } else if (const auto* const real = std::get_if<double>(&fact.value)) {
                text_ += decimal(*real, 6);
            } else {
                string(std::get<std::string>(fact.value));
            }
        }
        text_ += '}';
    }

    void location(const std::source_location& where, std::uint64_t line) {
        text_ += '{';
        key("function", true);
        string(function_name(where));
        key("file");
        string(where.file_name());
        key("line");
        text_ += std::to_string(line);
        text_ += '}';
    }

    void seconds(std::int64_t nanoseconds) { text_ += decimal(static_cast<double>(nanoseconds) / 1e9, 6); }

    void key(std::string_view name, bool first = false) {
        if (!first) text_ += ',';
        string(name);
        text_ += ':';
    }

    // RFC 8259, section 7. What is no UTF-8 becomes the replacement character.
    void string(std::string_view content) {
        text_ += '"';
        while (!content.empty()) {
            const std::size_t size = character_size(content);
            const char c = content.front();
            if (size == 0) {
                text_ += "\xEF\xBF\xBD";
            } else if (c == '"' || c == '\\') {
                text_ += '\\';
                text_ += c;
            } else if (static_cast<unsigned char>(c) < 0x20) {
                text_ += "\\u00";
                text_ += hex_digits[static_cast<unsigned char>(c) >> 4];
                text_ += hex_digits[static_cast<unsigned char>(c) & 15];
            } else {
                text_ += content.substr(0, size);
            }
            content.remove_prefix(std::max<std::size_t>(size, 1));
        }
        text_ += '"';
    }

    std::int64_t now_;
    std::vector<bool> parents_;  // the open nodes: has it children already?
    std::string text_;
};

std::string dump_by(const LoopCore& core, DumpWriter& writer, std::size_t limit) {
    DumpWalk walk(core, writer, limit);
    const std::size_t omitted = walk.run();
    return writer.finish(omitted);
}

}  // namespace

std::string dump_loop(const LoopCore& core, DumpOptions options) {
    const std::int64_t now = core.loop->time().time_since_epoch().count();
    if (options.format == DumpFormat::json) {
        JsonWriter writer(now);
        return dump_by(core, writer, options.limit);
    }
    TextWriter writer(now);
    return dump_by(core, writer, options.limit);
}

}  // namespace coaio::detail

// SPDX-License-Identifier: MIT
#include "http/decode_events.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace tests {

using coaio::http::detail::DecodeLimits;
using coaio::http::detail::Decoder;
using coaio::http::detail::Framing;
using coaio::http::detail::Side;
using coaio::http::detail::TargetForm;

std::string escaped(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (char c : text) {
        auto value = static_cast<unsigned char>(c);
        if (c == '\r')
            out += "\\r";
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (c == '\0')
            out += "\\0";
        else if (c == '\\')
            out += "\\\\";
        else if (value >= 0x20 && value < 0x7f)
            out += c;
        else
            (out += "\\x") += {digits[value >> 4], digits[value & 15]};
    }
    return out;
}

std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        char kind = text[++i];
        if (kind == 'r')
            out += '\r';
        else if (kind == 'n')
            out += '\n';
        else if (kind == 't')
            out += '\t';
        else if (kind == '0')
            out += '\0';
        else if (kind == 'x') {
            std::string hex(text.substr(i + 1, 2));
            out += static_cast<char>(std::strtol(hex.c_str(), nullptr, 16));
            i += 2;
        } else
            out += kind;
    }
    return out;
}

namespace {

std::string head_line(const Decoder& decoder, Side side) {
    const auto& head = decoder.head();
    std::string line = side == Side::request
                           ? std::string(head.method) + " " + escaped(head.target)
                           : std::to_string(head.status) + (head.reason.empty() ? "" : " " + escaped(head.reason));
    line += " HTTP/1." + std::to_string(head.minor);
    if (head.form == TargetForm::absolute) line += " absolute";
    if (head.form == TargetForm::authority) line += " authority";
    if (head.form == TargetForm::asterisk) line += " asterisk";
    if (head.framing == Framing::length) line += " length=" + std::to_string(head.length);
    if (head.framing == Framing::chunked) line += " chunked";
    if (head.framing == Framing::until_close) line += " until-close";
    if (head.expect_continue) line += " expect-continue";
    if (head.upgrade) line += " upgrade";
    line += head.keep_alive ? " keep-alive" : " close";
    return line;
}

std::string field_line(const char* kind, const coaio::http::Header& header) {
    return kind + escaped(header.name) + ":" + (header.value.empty() ? "" : " " + escaped(header.value));
}

// A buffer that has just the bytes that were read, so that a sanitizer sees one look too far; and a new one for every
// read before a head is complete, as a connection's buffer may move then.
class Window {
public:
    void append(std::string_view bytes) {
        auto size = size_ - start_ + bytes.size();
        std::unique_ptr<char[]> fresh(new char[size == 0 ? 1 : size]);
        if (size_ > start_) std::memcpy(fresh.get(), memory_.get() + start_, size_ - start_);
        if (!bytes.empty()) std::memcpy(fresh.get() + (size_ - start_), bytes.data(), bytes.size());
        if (pinned_) kept_.push_back(std::move(memory_));
        memory_ = std::move(fresh);
        size_ = size;
        start_ = 0;
    }
    [[nodiscard]] std::string_view view() const { return {memory_.get() + start_, size_ - start_}; }
    void give_up(std::size_t bytes) { start_ += bytes; }
    void pin() { pinned_ = true; }
    void unpin() {
        pinned_ = false;
        kept_.clear();
    }

private:
    std::unique_ptr<char[]> memory_ = std::unique_ptr<char[]>(new char[1]);
    std::vector<std::unique_ptr<char[]>> kept_;
    std::size_t start_ = 0;
    std::size_t size_ = 0;
    bool pinned_ = false;
};

}  // namespace

std::vector<std::string> decode_events(Side side, std::string_view input, const std::vector<std::size_t>& pieces,
                                       std::string_view method, const DecodeLimits& limits) {
    std::vector<std::string> events;
    std::string body;
    Decoder decoder(side, limits);
    decoder.begin(method);
    Window window;
    auto flush = [&] {
        if (!body.empty()) events.push_back("body " + escaped(body));
        body.clear();
    };

    std::size_t fed = 0;
    for (std::size_t i = 0; i <= pieces.size(); ++i) {
        std::size_t size = i < pieces.size() ? std::min(pieces[i], input.size() - fed) : input.size() - fed;
        window.append(input.substr(fed, size));
        fed += size;
        bool last = i == pieces.size();
        for (bool again = true; again;) {
            auto step = decoder.next(window.view());
            again = step.event != Decoder::Event::more;
            if (!again && last) {
                window.give_up(step.consumed);
                step = decoder.finish();
                if (step.event == Decoder::Event::more) break;
            }
            switch (step.event) {
            case Decoder::Event::more: break;
            case Decoder::Event::head:
                events.push_back(head_line(decoder, side));
                window.pin();
                break;
            case Decoder::Event::body: body += step.data; break;
            case Decoder::Event::end:
                flush();
                // Read only now: they have to be good until the end.
                for (const auto& header : decoder.head().headers) events.push_back(field_line("header ", header));
                for (const auto& header : decoder.trailers()) events.push_back(field_line("trailer ", header));
                events.push_back("end");
                window.give_up(step.consumed);
                window.unpin();
                if (decoder.head().upgrade || !decoder.head().keep_alive) {
                    auto rest = std::string(window.view()) + std::string(input.substr(fed));
                    if (!rest.empty()) events.push_back("rest " + escaped(rest));
                    return events;
                }
                decoder.begin(decoder.head().status >= 100 && decoder.head().status < 200 ? method : "GET");
                continue;
            case Decoder::Event::failed:  // how much of the body came before it depends on the reads
                events.push_back("failed " + std::to_string(decoder.failure().status) + " " + decoder.failure().what);
                return events;
            }
            window.give_up(step.consumed);
        }
    }
    return events;
}

}  // namespace tests

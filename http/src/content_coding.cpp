// SPDX-License-Identifier: MIT
#include <coaio/http/content_coding.hpp>

#include "text.hpp"

#include <coaio/http/error.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include <brotli/decode.h>
#include <zlib.h>

namespace coaio::http {

using namespace detail;

/// One coding. Gives its output to `sink(piece)`, at most `piece_size` bytes at a time.
class ContentDecoder::Stage {
public:
    static constexpr std::size_t piece_size = 16 * 1024;

    Stage() = default;
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    virtual ~Stage() = default;

    /// Decodes from `bytes`, which moves on, into `out`; returns how much. 0 with bytes left means that the coded
    /// data are over.
    virtual std::size_t step(std::string_view& bytes, char* out, std::size_t size) = 0;
    [[nodiscard]] virtual bool complete() const = 0;
    [[nodiscard]] bool started() const { return started_; }
    void start() { started_ = true; }

private:
    bool started_ = false;
};

namespace {

class ZlibStage final : public ContentDecoder::Stage {
public:
    explicit ZlibStage(bool gzip) : gzip_(gzip), undecided_(!gzip) { open(gzip ? 16 + MAX_WBITS : MAX_WBITS); }
    ~ZlibStage() override { inflateEnd(&stream_); }

    std::size_t step(std::string_view& bytes, char* out, std::size_t size) override {
        // "deflate" is zlib's format, and raw deflate from servers that took its name at its word: the first byte
        // tells, since zlib's has 8 as its method and raw data with that start are an odd stored block.
        if (undecided_ && !bytes.empty()) {
            undecided_ = false;
            if ((byte(bytes[0]) & 0x0f) != 8 || (byte(bytes[0]) >> 4) > 7) {
                inflateEnd(&stream_);
                open(-MAX_WBITS);
            }
        }
        if (done_) {
            if (!gzip_ || bytes.empty() || bytes[0] != '\x1f') {
                bytes = {};  // padding behind the data, as browsers ignore it
                return 0;
            }
            inflateReset(&stream_);  // gzip may be several members in a row
            done_ = false;
        }
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        auto given = static_cast<uInt>(std::min<std::size_t>(bytes.size(), 1U << 30));
        stream_.avail_in = given;
        stream_.next_out = reinterpret_cast<Bytef*>(out);
        stream_.avail_out = static_cast<uInt>(size);
        int result = inflate(&stream_, Z_NO_FLUSH);
        bytes.remove_prefix(given - stream_.avail_in);
        if (result == Z_STREAM_END) {
            done_ = true;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            throw ContentCodingError(std::string("a broken ") + (gzip_ ? "gzip" : "deflate") +
                                     " body: " + (stream_.msg != nullptr ? stream_.msg : "zlib gives no reason"));
        }
        return size - stream_.avail_out;
    }
    [[nodiscard]] bool complete() const override { return done_; }

private:
    void open(int window_bits) {
        stream_ = z_stream{};
        if (inflateInit2(&stream_, window_bits) != Z_OK) throw std::bad_alloc();
    }

    z_stream stream_{};
    bool gzip_;
    bool undecided_;
    bool done_ = false;
};

class BrotliStage final : public ContentDecoder::Stage {
public:
    BrotliStage() : decoder_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
        if (decoder_ == nullptr) throw std::bad_alloc();
    }
    ~BrotliStage() override { BrotliDecoderDestroyInstance(decoder_); }

    std::size_t step(std::string_view& bytes, char* out, std::size_t size) override {
        if (complete()) {
            bytes = {};
            return 0;
        }
        std::size_t in_left = bytes.size(), out_left = size;
        const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
        auto* to = reinterpret_cast<std::uint8_t*>(out);
        auto result = BrotliDecoderDecompressStream(decoder_, &in_left, &in, &out_left, &to, nullptr);
        if (result == BROTLI_DECODER_RESULT_ERROR) {
            throw ContentCodingError(std::string("a broken br body: ") +
                                     BrotliDecoderErrorString(BrotliDecoderGetErrorCode(decoder_)));
        }
        bytes.remove_prefix(bytes.size() - in_left);
        return size - out_left;
    }
    [[nodiscard]] bool complete() const override { return BrotliDecoderIsFinished(decoder_) != 0; }

private:
    BrotliDecoderState* decoder_;
};

enum class Coding : std::uint8_t { identity, gzip, deflate, brotli, unknown };

Coding coding_of(std::string_view name) {
    if (iequals(name, "gzip") || iequals(name, "x-gzip")) return Coding::gzip;
    if (iequals(name, "deflate")) return Coding::deflate;
    if (iequals(name, "br")) return Coding::brotli;
    if (iequals(name, "identity")) return Coding::identity;
    return Coding::unknown;
}

constexpr std::size_t most_codings = 4;
constexpr std::uint64_t free_output = 1024 * 1024;
constexpr std::uint64_t most_ratio = 1000;

}  // namespace

struct ContentDecoder::State {
    std::vector<std::unique_ptr<Stage>> stages;  // in the order of decoding
    std::vector<std::array<char, Stage::piece_size>> pieces;
    std::uint64_t max_output = 0;
    std::uint64_t input = 0;
    std::uint64_t output = 0;

    void give(std::string_view bytes, std::string& out) {
        output += bytes.size();
        if (output > max_output) {
            throw ContentCodingError("the decoded body is larger than " + std::to_string(max_output) + " bytes");
        }
        if (output > free_output && output / most_ratio > input) {
            throw ContentCodingError("the body grows more than " + std::to_string(most_ratio) + " times when decoded");
        }
        out.append(bytes);
    }

    void run(std::size_t stage, std::string_view bytes, std::string& out) {
        if (stage == stages.size()) return give(bytes, out);
        if (!bytes.empty()) stages[stage]->start();
        auto& piece = pieces[stage];
        for (;;) {
            std::size_t before = bytes.size();
            std::size_t got = stages[stage]->step(bytes, piece.data(), piece.size());
            if (got > 0) run(stage + 1, {piece.data(), got}, out);
            if (got < piece.size() && (bytes.empty() || (got == 0 && bytes.size() == before))) return;
        }
    }
};

ContentDecoder::ContentDecoder(std::string_view coding, std::uint64_t max_output) : state_(std::make_unique<State>()) {
    state_->max_output = max_output;
    for_each_in_list(coding, [&](std::string_view name) {
        if (state_->stages.size() == most_codings) throw ContentCodingError("the body is coded too many times over");
        switch (coding_of(name)) {
        case Coding::gzip: state_->stages.push_back(std::make_unique<ZlibStage>(true)); break;
        case Coding::deflate: state_->stages.push_back(std::make_unique<ZlibStage>(false)); break;
        case Coding::brotli: state_->stages.push_back(std::make_unique<BrotliStage>()); break;
        case Coding::identity: break;
        case Coding::unknown: throw ContentCodingError("the content coding " + shown(name) + " is not known here");
        }
        return true;
    });
    // The last one named was applied last, and is undone first.
    std::reverse(state_->stages.begin(), state_->stages.end());
    state_->pieces.resize(state_->stages.size());
}

ContentDecoder::ContentDecoder(ContentDecoder&&) noexcept = default;
ContentDecoder& ContentDecoder::operator=(ContentDecoder&&) noexcept = default;
ContentDecoder::~ContentDecoder() = default;

bool ContentDecoder::knows(std::string_view coding) noexcept {
    std::size_t count = 0;
    bool known = true;
    for_each_in_list(coding, [&](std::string_view name) {
        known = known && coding_of(name) != Coding::unknown && ++count <= most_codings;
        return known;
    });
    return known;
}

void ContentDecoder::decode(std::string_view bytes, std::string& out) {
    if (bytes.empty()) return;
    state_->input += bytes.size();
    state_->run(0, bytes, out);
}

void ContentDecoder::finish() {
    for (const auto& stage : state_->stages) {
        if (stage->started() && !stage->complete()) throw ContentCodingError("the coded body ends too early");
    }
}

std::uint64_t ContentDecoder::output() const noexcept { return state_->output; }

}  // namespace coaio::http

// SPDX-License-Identifier: MIT
#include "crawler/sitemap.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include <expat.h>
#include <zlib.h>

#include "crawler/ascii.hpp"

namespace crawl {
namespace {

// Unpacks piece by piece, so that a bomb is met by the limit and not by memory.
class Gunzip {
public:
    explicit Gunzip(std::string_view packed) {
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
        stream_.avail_in = static_cast<uInt>(packed.size());
        constexpr int gzip_only = 16 + MAX_WBITS;
        good_ = inflateInit2(&stream_, gzip_only) == Z_OK;
        open_ = good_;
    }
    ~Gunzip() {
        if (open_) inflateEnd(&stream_);
    }
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;

    // The next piece; empty at the end, or when it breaks.
    std::string_view next() {
        while (good_ && !ended_) {
            stream_.next_out = buffer_.data();
            stream_.avail_out = static_cast<uInt>(buffer_.size());
            int result = inflate(&stream_, Z_NO_FLUSH);
            ended_ = result == Z_STREAM_END;
            good_ = ended_ || result == Z_OK;
            auto size = buffer_.size() - stream_.avail_out;
            if (size > 0) return {reinterpret_cast<const char*>(buffer_.data()), size};
        }
        return {};
    }
    [[nodiscard]] bool good() const { return good_ && ended_; }

private:
    z_stream stream_{};
    std::array<Bytef, 32 * 1024> buffer_{};
    bool open_ = false;
    bool good_ = false;
    bool ended_ = false;
};

std::string_view local_name(std::string_view qualified) {
    auto colon = qualified.rfind(':');
    return colon == std::string_view::npos ? qualified : qualified.substr(colon + 1);
}

// <urlset><url><loc> and <sitemapindex><sitemap><loc>; whatever else stands there is passed over.
class XmlReader {
public:
    XmlReader(Sitemap& sitemap, const SitemapLimits& limits)
        : sitemap_(sitemap), limits_(limits), parser_(XML_ParserCreate(nullptr), XML_ParserFree) {
        if (!parser_) return;
        XML_SetUserData(parser_.get(), this);
        XML_SetElementHandler(parser_.get(), on_start, on_end);
        XML_SetCharacterDataHandler(parser_.get(), on_text);
        XML_SetStartDoctypeDeclHandler(parser_.get(), on_doctype);
    }

    // False: no more is wanted.
    bool feed(std::string_view piece, bool last) {
        if (!parser_) return fail("no memory for an XML parser");
        if (XML_Parse(parser_.get(), piece.data(), static_cast<int>(piece.size()), last ? 1 : 0) != XML_STATUS_ERROR) {
            return true;
        }
        if (!sitemap_.error.empty()) return false;
        return fail("line " + std::to_string(line()) + ": " + XML_ErrorString(XML_GetErrorCode(parser_.get())));
    }

private:
    [[nodiscard]] std::uint64_t line() const {
#if XML_MAJOR_VERSION > 2 || (XML_MAJOR_VERSION == 2 && XML_MINOR_VERSION >= 9)
        return XML_GetCurrentLineNumber64(parser_.get());
#else
        return XML_GetCurrentLineNumber(parser_.get());
#endif
    }
    static XmlReader& self(void* user) { return *static_cast<XmlReader*>(user); }

    std::vector<std::string>* list_for(std::string_view element) {
        if (element == "url") return &sitemap_.pages;
        return element == "sitemap" ? &sitemap_.sitemaps : nullptr;
    }
    bool fail(std::string why) {
        if (sitemap_.error.empty()) sitemap_.error = std::move(why);
        return false;
    }
    void stop(std::string why) {
        fail(std::move(why));
        XML_StopParser(parser_.get(), XML_FALSE);
    }

    static void XMLCALL on_doctype(void* user, const XML_Char*, const XML_Char*, const XML_Char*, int) {
        self(user).stop("it has a document type declaration, which a sitemap must not");
    }
    static void XMLCALL on_start(void* user, const XML_Char* qualified, const XML_Char**) {
        auto& me = self(user);
        auto element = local_name(qualified);
        ++me.depth_;
        if (me.depth_ == 1 && element != "urlset" && element != "sitemapindex") {
            me.stop("its root element is neither urlset nor sitemapindex");
        }
        if (me.depth_ == 2) me.list_ = me.list_for(element);
        me.in_loc_ = me.depth_ == 3 && me.list_ != nullptr && element == "loc";
        me.loc_.clear();
    }
    static void XMLCALL on_text(void* user, const XML_Char* text, int size) {
        auto& me = self(user);
        if (!me.in_loc_ || me.loc_.size() > me.limits_.max_entry_size) return;
        me.loc_.append(text, static_cast<std::size_t>(size));
    }
    static void XMLCALL on_end(void* user, const XML_Char*) {
        auto& me = self(user);
        --me.depth_;
        if (!std::exchange(me.in_loc_, false)) return;
        auto loc = trimmed(me.loc_);
        if (loc.empty() || loc.size() > me.limits_.max_entry_size) return;
        if (me.sitemap_.pages.size() + me.sitemap_.sitemaps.size() >= me.limits_.max_entries) {
            me.stop("more than " + std::to_string(me.limits_.max_entries) + " entries");
            return;
        }
        me.list_->emplace_back(loc);
    }

    Sitemap& sitemap_;
    const SitemapLimits& limits_;
    std::unique_ptr<XML_ParserStruct, void (*)(XML_Parser)> parser_;
    std::vector<std::string>* list_ = nullptr;
    std::string loc_;
    std::size_t depth_ = 0;
    bool in_loc_ = false;
};

class TextReader {
public:
    TextReader(Sitemap& sitemap, const SitemapLimits& limits) : sitemap_(sitemap), limits_(limits) {}

    bool feed(std::string_view piece, bool last) {
        for (char c : piece) {
            if (c != '\n' && c != '\r') {
                if (line_.size() <= limits_.max_entry_size) line_ += c;
            } else if (!end_line()) {
                return false;
            }
        }
        return !last || end_line();
    }

private:
    bool end_line() {
        auto line = trimmed(line_);
        bool address = find_ignoring_case(line.substr(0, 8), "http") == 0 && line.size() <= limits_.max_entry_size;
        if (address) {
            if (sitemap_.pages.size() >= limits_.max_entries) {
                sitemap_.error = "more than " + std::to_string(limits_.max_entries) + " entries";
                return false;
            }
            sitemap_.pages.emplace_back(line);
        }
        line_.clear();
        return true;
    }

    Sitemap& sitemap_;
    const SitemapLimits& limits_;
    std::string line_;
};

// Chooses the reader by the first byte that is not white space or a byte order mark.
class Reader {
public:
    Reader(Sitemap& sitemap, const SitemapLimits& limits)
        : sitemap_(sitemap), limits_(limits), xml_(sitemap, limits), text_(sitemap, limits) {}

    bool feed(std::string_view piece, bool last) {
        seen_ += piece.size();
        if (seen_ > limits_.max_size) {
            sitemap_.error = "more than " + std::to_string(limits_.max_size) + " bytes";
            return false;
        }
        if (!chosen_ && !piece.empty()) {
            if (piece.substr(0, 3) == "\xEF\xBB\xBF") piece.remove_prefix(3);
            while (!piece.empty() && is_space(piece.front())) piece.remove_prefix(1);
            if (piece.empty()) return true;
            is_xml_ = piece.front() == '<';
            chosen_ = true;
        }
        return is_xml_ ? xml_.feed(piece, last) : text_.feed(piece, last);
    }

private:
    Sitemap& sitemap_;
    const SitemapLimits& limits_;
    XmlReader xml_;
    TextReader text_;
    std::size_t seen_ = 0;
    bool chosen_ = false;
    bool is_xml_ = false;
};

}  // namespace

Sitemap parse_sitemap(std::string_view bytes, const SitemapLimits& limits) {
    Sitemap sitemap;
    Reader reader(sitemap, limits);
    if (bytes.size() > limits.max_size) {
        sitemap.error = "more than " + std::to_string(limits.max_size) + " bytes";
        return sitemap;
    }
    if (bytes.substr(0, 2) != "\x1F\x8B") {
        reader.feed(bytes, true);
        return sitemap;
    }
    auto gunzip = std::make_unique<Gunzip>(bytes);
    for (auto piece = gunzip->next(); !piece.empty(); piece = gunzip->next()) {
        if (!reader.feed(piece, false)) return sitemap;
    }
    if (gunzip->good()) {
        reader.feed({}, true);
    } else {
        sitemap.error = "its gzip data is damaged or cut short";
    }
    return sitemap;
}

}  // namespace crawl

// SPDX-License-Identifier: MIT
#include "crawler/html.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "crawler/ascii.hpp"
#include "crawler/charset.hpp"
#include "crawler/css.hpp"
#include "crawler/html_tree.hpp"

namespace crawl {
namespace {

constexpr std::size_t max_link_text = 200;
constexpr std::size_t max_title = 500;

// A word as it stands in an attribute, and the kind of link that is behind it.
struct Source {
    GumboTag tag;
    const char* attribute;
    LinkKind kind;
};

constexpr std::array<Source, 22> sources{{
    {GUMBO_TAG_A, "href", LinkKind::anchor},          {GUMBO_TAG_AREA, "href", LinkKind::anchor},
    {GUMBO_TAG_IFRAME, "src", LinkKind::frame},       {GUMBO_TAG_FRAME, "src", LinkKind::frame},
    {GUMBO_TAG_EMBED, "src", LinkKind::frame},        {GUMBO_TAG_OBJECT, "data", LinkKind::frame},
    {GUMBO_TAG_IMG, "src", LinkKind::image},          {GUMBO_TAG_IMG, "lowsrc", LinkKind::image},
    {GUMBO_TAG_IMAGE, "href", LinkKind::image},       {GUMBO_TAG_IMAGE, "xlink:href", LinkKind::image},
    {GUMBO_TAG_INPUT, "src", LinkKind::image},        {GUMBO_TAG_BODY, "background", LinkKind::image},
    {GUMBO_TAG_TABLE, "background", LinkKind::image}, {GUMBO_TAG_TD, "background", LinkKind::image},
    {GUMBO_TAG_TH, "background", LinkKind::image},    {GUMBO_TAG_SCRIPT, "src", LinkKind::script},
    {GUMBO_TAG_AUDIO, "src", LinkKind::media},        {GUMBO_TAG_VIDEO, "src", LinkKind::media},
    {GUMBO_TAG_VIDEO, "poster", LinkKind::image},     {GUMBO_TAG_SOURCE, "src", LinkKind::media},
    {GUMBO_TAG_TRACK, "src", LinkKind::media},        {GUMBO_TAG_FORM, "action", LinkKind::form},
}};

constexpr std::array<GumboTag, 31> inline_tags{
    GUMBO_TAG_A,     GUMBO_TAG_ABBR, GUMBO_TAG_ACRONYM, GUMBO_TAG_B,    GUMBO_TAG_BDI, GUMBO_TAG_BDO,  GUMBO_TAG_BIG,
    GUMBO_TAG_CITE,  GUMBO_TAG_CODE, GUMBO_TAG_DATA,    GUMBO_TAG_DEL,  GUMBO_TAG_DFN, GUMBO_TAG_EM,   GUMBO_TAG_FONT,
    GUMBO_TAG_I,     GUMBO_TAG_INS,  GUMBO_TAG_KBD,     GUMBO_TAG_MARK, GUMBO_TAG_Q,   GUMBO_TAG_S,    GUMBO_TAG_SAMP,
    GUMBO_TAG_SMALL, GUMBO_TAG_SPAN, GUMBO_TAG_STRONG,  GUMBO_TAG_SUB,  GUMBO_TAG_SUP, GUMBO_TAG_TIME, GUMBO_TAG_TT,
    GUMBO_TAG_U,     GUMBO_TAG_VAR,  GUMBO_TAG_WBR};

bool is_inline(GumboTag tag) { return std::find(inline_tags.begin(), inline_tags.end(), tag) != inline_tags.end(); }

bool has_word(std::string_view words, std::string_view wanted) {
    while (!(words = trimmed(words)).empty()) {
        auto end = std::find_if(words.begin(), words.end(), is_space);
        auto size = static_cast<std::size_t>(end - words.begin());
        if (equal_ignoring_case(words.substr(0, size), wanted)) return true;
        words.remove_prefix(size);
    }
    return false;
}

// White space as HTML collapses it: one space between words, none at the ends.
class Text {
public:
    explicit Text(std::size_t max) : max_(max) {}

    void append(std::string_view text) {
        for (std::size_t i = 0; i < text.size() && out_.size() < max_;) {
            if (is_space(text[i])) {
                gap_ = true;
                ++i;
                continue;
            }
            auto start = i;
            while (i < text.size() && !is_space(text[i])) ++i;
            if (gap_ && !out_.empty()) out_ += ' ';
            gap_ = false;
            out_ += utf8_prefix(text.substr(start, i - start), max_ - std::min(out_.size(), max_));
        }
    }
    void gap() { gap_ = true; }
    [[nodiscard]] std::string take() {
        gap_ = false;
        return std::exchange(out_, {});
    }

private:
    std::string out_;
    std::size_t max_;
    bool gap_ = false;
};

class Reader {
public:
    Reader(const HtmlLimits& limits, const std::function<bool()>& stop)
        : limits_(limits), stop_(stop), text_(limits.max_text) {}

    // Without recursion: a page may nest its elements as deep as it likes.
    Document read(const GumboNode* root) {
        const GumboNode* node = root;
        while (node != nullptr) {
            bool inside = enter(*node);
            const GumboVector* children = inside ? children_of(*node) : nullptr;
            if (children != nullptr && children->length > 0) {
                node = static_cast<const GumboNode*>(children->data[0]);
                continue;
            }
            while (node != nullptr) {
                leave(*node);
                if (node == root) return finish();
                const GumboVector* siblings = children_of(*node->parent);
                auto next = node->index_within_parent + 1;
                if (next < siblings->length) {
                    node = static_cast<const GumboNode*>(siblings->data[next]);
                    break;
                }
                node = node->parent;
            }
        }
        return finish();
    }

private:
    static const GumboVector* children_of(const GumboNode& node) {
        if (node.type == GUMBO_NODE_DOCUMENT) return &node.v.document.children;
        if (node.type == GUMBO_NODE_ELEMENT) return &node.v.element.children;
        return nullptr;
    }

    // False: what is inside is no business of ours. A template is inert, and has a node type of its own.
    bool enter(const GumboNode& node) {
        if (node.type == GUMBO_NODE_TEXT || node.type == GUMBO_NODE_WHITESPACE || node.type == GUMBO_NODE_CDATA) {
            text_.append(node.v.text.text);
            if (in_anchor_) anchor_text_.append(node.v.text.text);
            return false;
        }
        if (node.type == GUMBO_NODE_DOCUMENT) return true;
        if (node.type != GUMBO_NODE_ELEMENT) return false;
        const auto& element = node.v.element;
        if (!is_inline(element.tag)) text_.gap();
        read_attributes(element);
        switch (element.tag) {
        case GUMBO_TAG_STYLE: find_css_links(raw_text(element), limits_.max_links, document_.links); return false;
        case GUMBO_TAG_SCRIPT: return false;
        case GUMBO_TAG_NOSCRIPT: return read_noscript(element);
        case GUMBO_TAG_TITLE: read_title(element); return false;
        default: return true;
        }
    }

    void leave(const GumboNode& node) {
        if (node.type != GUMBO_NODE_ELEMENT) return;
        if (!is_inline(node.v.element.tag)) text_.gap();
        if (node.v.element.tag == GUMBO_TAG_A && in_anchor_) {
            auto text = anchor_text_.take();
            if (anchor_link_ < document_.links.size()) document_.links[anchor_link_].text = std::move(text);
            in_anchor_ = false;
        }
    }

    void read_attributes(const GumboElement& element) {
        if (auto id = attribute(element, "id"); !id.empty()) add_fragment(id);
        if (auto style = attribute(element, "style"); !style.empty()) {
            find_css_links(style, limits_.max_links, document_.links);
        }
        for (const auto& source : sources) {
            if (source.tag == element.tag) add(attribute(element, source.attribute), source.kind, element);
        }
        switch (element.tag) {
        case GUMBO_TAG_HTML: document_.lang = utf8_prefix(trimmed(attribute(element, "lang")), 35); break;
        case GUMBO_TAG_BASE: read_base(element); break;
        case GUMBO_TAG_LINK: read_link(element); break;
        case GUMBO_TAG_META: read_meta(element); break;
        case GUMBO_TAG_A: read_anchor(element); break;
        case GUMBO_TAG_IMG:
        case GUMBO_TAG_SOURCE:
            for (const auto& target : srcset_targets(attribute(element, "srcset"))) {
                add(target, LinkKind::image, element);
            }
            break;
        default: break;
        }
    }

    void read_anchor(const GumboElement& element) {
        if (auto anchor = attribute(element, "name"); !anchor.empty()) add_fragment(anchor);
        in_anchor_ = gumbo_get_attribute(&element.attributes, "href") != nullptr && last_added_;
        anchor_link_ = document_.links.size() - (in_anchor_ ? 1 : 0);
        anchor_text_ = Text(max_link_text);
    }

    void read_base(const GumboElement& element) {
        auto href = trimmed(attribute(element, "href"));
        if (document_.base.empty() && href.size() <= limits_.max_target) document_.base = href;
    }

    void read_link(const GumboElement& element) {
        auto rel = attribute(element, "rel");
        auto href = attribute(element, "href");
        // These name a host to get ready for, not something to fetch.
        if (has_word(rel, "preconnect") || has_word(rel, "dns-prefetch")) return;
        auto kind = LinkKind::link;
        if (has_word(rel, "stylesheet")) {
            kind = LinkKind::stylesheet;
        } else if (has_word(rel, "icon") || has_word(rel, "apple-touch-icon") || has_word(rel, "mask-icon")) {
            kind = LinkKind::icon;
        } else if (has_word(rel, "canonical") && document_.canonical.empty() && href.size() <= limits_.max_target) {
            document_.canonical = trimmed(href);
        }
        add(href, kind, element);
    }

    void read_meta(const GumboElement& element) {
        auto content = attribute(element, "content");
        auto called = attribute(element, "name");
        if (equal_ignoring_case(called, "robots") || equal_ignoring_case(called, "coaio-crawl")) {
            auto directives = read_robots_directives(content, "coaio-crawl");
            document_.nofollow = document_.nofollow || directives.nofollow;
            document_.noindex = document_.noindex || directives.noindex;
        } else if (equal_ignoring_case(attribute(element, "http-equiv"), "refresh")) {
            add(refresh_target(content), LinkKind::refresh, element);
        }
    }

    // gumbo takes the inside of a noscript for text in the head, as a browser that runs scripts does everywhere; this
    // crawler runs none, so what is inside counts.
    bool read_noscript(const GumboElement& element) {
        auto inside = raw_text(element);
        if (inside.find('<') == std::string_view::npos || element.children.length != 1) return true;
        HtmlLimits limits = limits_;
        limits.max_memory = std::min(limits.max_memory, std::size_t{16} << 20);
        if (noscripts_++ > 20) return false;
        auto document = inner_parse_ ? Document{} : parse_inside(inside, limits);
        for (auto& link : document.links) {
            if (document_.links.size() < limits_.max_links) document_.links.push_back(std::move(link));
        }
        return false;
    }

    Document parse_inside(std::string_view html, const HtmlLimits& limits) {
        HtmlTree tree(html, limits.max_memory, stop_);
        if (tree.document() == nullptr) return {};
        Reader reader(limits, stop_);
        reader.inner_parse_ = true;
        return reader.read(tree.document());
    }

    void read_title(const GumboElement& element) {
        if (!document_.title.empty()) return;
        Text title(max_title);
        title.append(raw_text(element));
        document_.title = title.take();
    }

    static std::string_view raw_text(const GumboElement& element) {
        if (element.children.length == 0) return {};
        const auto* child = static_cast<const GumboNode*>(element.children.data[0]);
        bool is_text = child->type == GUMBO_NODE_TEXT || child->type == GUMBO_NODE_WHITESPACE;
        return is_text ? std::string_view(child->v.text.text) : std::string_view();
    }

    void add(std::string_view target, LinkKind kind, const GumboElement& element) {
        last_added_ = false;
        target = trimmed(target);
        bool only_here = target.empty() || (target.front() == '#' && kind != LinkKind::anchor);
        if (only_here || equal_ignoring_case(target.substr(0, 5), "data:") ||
            equal_ignoring_case(target.substr(0, 11), "javascript:")) {
            return;
        }
        if (target.size() > limits_.max_target || document_.links.size() >= limits_.max_links) {
            document_.links_dropped = true;
            return;
        }
        Link link;
        link.target = target;
        link.kind = kind;
        link.line = element.start_pos.line;
        link.nofollow = kind == LinkKind::anchor && has_word(attribute(element, "rel"), "nofollow");
        document_.links.push_back(std::move(link));
        last_added_ = true;
    }

    void add_fragment(std::string_view id) {
        if (document_.fragments.size() < limits_.max_fragments && id.size() <= 1024) {
            document_.fragments.emplace_back(id);
        }
    }

    Document finish() {
        document_.text = text_.take();
        auto& fragments = document_.fragments;
        std::sort(fragments.begin(), fragments.end());
        fragments.erase(std::unique(fragments.begin(), fragments.end()), fragments.end());
        return std::move(document_);
    }

    const HtmlLimits& limits_;
    const std::function<bool()>& stop_;
    Document document_;
    Text text_;
    Text anchor_text_{max_link_text};
    std::size_t anchor_link_ = 0;
    unsigned noscripts_ = 0;
    bool in_anchor_ = false;
    bool last_added_ = false;
    bool inner_parse_ = false;
};

}  // namespace

Document parse_html(std::string_view html, const HtmlLimits& limits, const std::function<bool()>& stop) {
    HtmlTree tree(html, limits.max_memory, stop);
    if (tree.document() == nullptr) {
        Document nothing;
        nothing.state = Document::State::too_complex;
        return nothing;
    }
    return Reader(limits, stop).read(tree.document());
}

}  // namespace crawl

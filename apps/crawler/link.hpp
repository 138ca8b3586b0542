// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crawl {

/// How a document refers to something.
enum class LinkKind : std::uint8_t {
    start,       // given by the user
    anchor,      // a, area
    frame,       // iframe, frame, embed, object
    refresh,     // meta refresh
    link,        // link rel=next, alternate, canonical, …
    stylesheet,  // link rel=stylesheet, @import
    icon,
    image,
    script,
    media,  // audio, video, source, track
    css,    // url() in a style
    sitemap,
    redirect,
    form,  // where a form is sent: never fetched
};

[[nodiscard]] constexpr std::string_view name(LinkKind kind) noexcept {
    switch (kind) {
    case LinkKind::start: return "start";
    case LinkKind::anchor: return "anchor";
    case LinkKind::frame: return "frame";
    case LinkKind::refresh: return "refresh";
    case LinkKind::link: return "link";
    case LinkKind::stylesheet: return "stylesheet";
    case LinkKind::icon: return "icon";
    case LinkKind::image: return "image";
    case LinkKind::script: return "script";
    case LinkKind::media: return "media";
    case LinkKind::css: return "css";
    case LinkKind::sitemap: return "sitemap";
    case LinkKind::redirect: return "redirect";
    case LinkKind::form: return "form";
    }
    return "?";
}

/// Whether it leads to another page, and not to a part of the same one.
[[nodiscard]] constexpr bool leads_on(LinkKind kind) noexcept { return kind <= LinkKind::link; }

/// One reference as it stands in a document: not resolved, white space stripped.
struct Link {
    std::string target;
    LinkKind kind = LinkKind::anchor;
    bool nofollow = false;
    unsigned line = 0;  // from 1; 0 if unknown
    std::string text;   // what the reader clicks on, shortened
};

}  // namespace crawl

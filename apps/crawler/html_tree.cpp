// SPDX-License-Identifier: MIT
#include "crawler/html_tree.hpp"

#include <csetjmp>

namespace crawl {
namespace {

struct Guard {
    Arena& arena;
    const std::function<bool()>& stop;
    std::jmp_buf out;
    unsigned calls = 0;
};

// gumbo has no way to say "no" to it: it expects its allocator never to fail. So a refusal leaves gumbo altogether.
void* allocate(void* user, std::size_t size) {
    auto& guard = *static_cast<Guard*>(user);
    constexpr unsigned calls_between_looks = 32;
    bool look = ++guard.calls % calls_between_looks == 0;
    if (look && guard.stop && guard.stop()) std::longjmp(guard.out, 1);
    void* memory = guard.arena.allocate(size);
    if (memory == nullptr) std::longjmp(guard.out, 1);
    return memory;
}

void deallocate(void*, void*) {}

// Nothing here has a destructor: longjmp passes over none.
const GumboNode* parse(Guard& guard, const char* data, std::size_t size) {
    if (setjmp(guard.out) != 0) return nullptr;
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = allocate;
    options.deallocator = deallocate;
    options.userdata = &guard;
    options.max_errors = 0;
    return gumbo_parse_with_options(&options, data, size)->document;
}

}  // namespace

HtmlTree::HtmlTree(std::string_view html, std::size_t max_memory, const std::function<bool()>& stop)
    : arena_(max_memory) {
    Guard guard{arena_, stop, {}};
    document_ = parse(guard, html.data(), html.size());
}

std::string_view attribute(const GumboElement& element, const char* name) {
    const GumboAttribute* found = gumbo_get_attribute(&element.attributes, name);
    return found == nullptr ? std::string_view() : std::string_view(found->value);
}

}  // namespace crawl

// SPDX-License-Identifier: MIT
#pragma once

// Where nlohmann's JSON is installed it is the default type of templates, without its text being compiled in: include
// <nlohmann/json.hpp> where they are used.
#if __has_include(<nlohmann/json_fwd.hpp>)
#include <nlohmann/json_fwd.hpp>
#define COAIO_HTTP_JSON = nlohmann::json
#else
#define COAIO_HTTP_JSON
#endif

// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/access_log.hpp>
#include <coaio/http/body.hpp>
#include <coaio/http/client.hpp>
#include <coaio/http/content_coding.hpp>
#include <coaio/http/cookie.hpp>
#include <coaio/http/date.hpp>
#include <coaio/http/debug.hpp>
#include <coaio/http/error.hpp>
#include <coaio/http/events.hpp>
#include <coaio/http/headers.hpp>
#include <coaio/http/media_type.hpp>
#include <coaio/http/request.hpp>
#include <coaio/http/response.hpp>
#include <coaio/http/router.hpp>
#include <coaio/http/server.hpp>
#include <coaio/http/status.hpp>
#include <coaio/http/url.hpp>

// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/http/error.hpp>
#include <coaio/http/headers.hpp>
#include <coaio/http/status.hpp>

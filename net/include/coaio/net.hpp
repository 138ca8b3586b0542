// SPDX-License-Identifier: MIT
#pragma once

/// All of coaio's net. It only includes; the headers are the reference.

#include <coaio/net/address.hpp>
#include <coaio/net/connect.hpp>
#include <coaio/net/error.hpp>
#include <coaio/net/listen.hpp>
#include <coaio/net/resolve.hpp>
#include <coaio/net/stream.hpp>
#include <coaio/net/testing.hpp>
#include <coaio/net/tls.hpp>
#include <coaio/net/udp.hpp>

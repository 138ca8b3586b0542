// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/core/version.hpp>

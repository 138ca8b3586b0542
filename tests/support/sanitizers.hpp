// SPDX-License-Identifier: MIT
#pragma once

// Whether this build has a sanitizer that brings an operator new of its own and holds signals back.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COAIO_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COAIO_TEST_SANITIZED 1
#endif
#endif
#ifndef COAIO_TEST_SANITIZED
#define COAIO_TEST_SANITIZED 0
#endif

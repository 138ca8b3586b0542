# SPDX-License-Identifier: MIT
# What can be chosen, and the one target that carries the flags of our own sources.

set(COAIO_MODULES "all" CACHE STRING "Modules to build: all, or a list such as core;net")
option(COAIO_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(COAIO_BUILD_APPS "Build coaio-server, coaio-crawl and coaio-tour" ${PROJECT_IS_TOP_LEVEL})
option(COAIO_BUILD_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(COAIO_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
option(COAIO_WARNINGS "Compile coaio's own sources with many warnings" ${PROJECT_IS_TOP_LEVEL})
option(COAIO_WARNINGS_AS_ERRORS "A warning in coaio's own sources ends the build" OFF)
set(COAIO_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
option(COAIO_COVERAGE "Count which lines run" OFF)
option(COAIO_FUZZ "Build what ./dev fuzz runs, with clang's libFuzzer" OFF)

# Frames of coroutines come from a pool, except where a sanitizer should see each of them.
if(COAIO_SANITIZE STREQUAL "")
    set(coaio_frame_pool_default ON)
else()
    set(coaio_frame_pool_default OFF)
endif()
option(COAIO_FRAME_POOL "Coroutine frames come from a per-thread pool, not from malloc" ${coaio_frame_pool_default})

if(PROJECT_IS_TOP_LEVEL)
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
        set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
    endif()
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
    if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
        find_program(COAIO_CCACHE ccache)
        if(COAIO_CCACHE)
            # One build folder takes what another has compiled: the paths of our sources are absolute, so only the
            # compilation directory in the debug information is another's.
            set(CMAKE_C_COMPILER_LAUNCHER env CCACHE_NOHASHDIR=1 "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" "${COAIO_CCACHE}")
            set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
        endif()
    endif()
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12.3)
    message(STATUS "coaio: g++ before 12.3 silently drops the body of a coroutine that has co_await in a condition; "
                   "see docs/hazards.md")
endif()

add_library(coaio_flags INTERFACE)
if(COAIO_WARNINGS)
    target_compile_options(coaio_flags INTERFACE
        $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Woverloaded-virtual>)
endif()
if(COAIO_WARNINGS_AS_ERRORS)
    # A system update that deprecates a function of a library must not keep anyone from building.
    target_compile_options(coaio_flags INTERFACE
        $<$<COMPILE_LANGUAGE:CXX>:-Werror;-Wno-error=deprecated-declarations>)
endif()
if(NOT COAIO_SANITIZE STREQUAL "")
    target_compile_options(coaio_flags INTERFACE
        -fsanitize=${COAIO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(coaio_flags INTERFACE -fsanitize=${COAIO_SANITIZE})
endif()
if(COAIO_FUZZ)
    target_compile_options(coaio_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(COAIO_COVERAGE)
    target_compile_options(coaio_flags INTERFACE --coverage)
    target_link_options(coaio_flags INTERFACE --coverage)
endif()

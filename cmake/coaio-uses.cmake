# SPDX-License-Identifier: MIT
# How each foreign target that a module uses is found. The build reads this, and so does coaio-config.cmake: a static
# library hands what it uses to the program that links it.

# coaio_find_uses(target…)
macro(coaio_find_uses)
    foreach(_coaio_use ${ARGN})
        if(TARGET ${_coaio_use})
            continue()
        endif()
        if(_coaio_use STREQUAL "Threads::Threads")
            set(THREADS_PREFER_PTHREAD_FLAG ON)
            find_package(Threads REQUIRED)
        elseif(_coaio_use MATCHES "^OpenSSL::")
            find_package(OpenSSL 3.0 REQUIRED)
        elseif(_coaio_use STREQUAL "PostgreSQL::PostgreSQL")
            find_package(PostgreSQL 15 REQUIRED)
        elseif(_coaio_use STREQUAL "ZLIB::ZLIB")
            find_package(ZLIB REQUIRED)
        elseif(_coaio_use STREQUAL "nlohmann_json::nlohmann_json")
            find_package(nlohmann_json 3.11 REQUIRED)
        elseif(_coaio_use MATCHES "^Brotli::(common|dec|enc)$")
            coaio_find_library(${_coaio_use} brotli${CMAKE_MATCH_1} brotli/types.h)
        elseif(_coaio_use STREQUAL "llhttp::llhttp")
            coaio_find_library(llhttp::llhttp llhttp llhttp.h)
        else()
            message(FATAL_ERROR "coaio: coaio-uses.cmake does not say how ${_coaio_use} is found")
        endif()
    endforeach()
endmacro()

# coaio_find_library(target name header): for a library that brings no CMake package.
function(coaio_find_library target name header)
    string(MAKE_C_IDENTIFIER "COAIO_${name}" var)
    find_library(${var}_LIBRARY ${name} REQUIRED)
    find_path(${var}_INCLUDE_DIR ${header} REQUIRED)
    mark_as_advanced(${var}_LIBRARY ${var}_INCLUDE_DIR)
    add_library(${target} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES
        IMPORTED_LOCATION "${${var}_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${${var}_INCLUDE_DIR}")
endfunction()

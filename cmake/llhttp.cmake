# SPDX-License-Identifier: MIT
# llhttp is a library on Debian 13. Debian 12 has its generated C source only, in the package node-llhttp.

# coaio_find_llhttp(uses objects): sets one of these two variables, to be handed to coaio_module's USES and OBJECTS.
function(coaio_find_llhttp uses objects)
    set(${uses} "" PARENT_SCOPE)
    set(${objects} "" PARENT_SCOPE)
    find_library(COAIO_LLHTTP_LIBRARY llhttp)
    find_path(COAIO_LLHTTP_INCLUDE_DIR llhttp.h)
    mark_as_advanced(COAIO_LLHTTP_LIBRARY COAIO_LLHTTP_INCLUDE_DIR)
    if(COAIO_LLHTTP_LIBRARY AND COAIO_LLHTTP_INCLUDE_DIR)
        set(${uses} llhttp::llhttp PARENT_SCOPE)
        return()
    endif()

    find_path(COAIO_LLHTTP_SOURCE_DIR llhttp.c HINTS /usr/share/llhttp NO_DEFAULT_PATH)
    find_path(COAIO_LLHTTP_SOURCE_INCLUDE_DIR llhttp.h HINTS /usr/share/include/llhttp NO_DEFAULT_PATH)
    mark_as_advanced(COAIO_LLHTTP_SOURCE_DIR COAIO_LLHTTP_SOURCE_INCLUDE_DIR)
    if(NOT COAIO_LLHTTP_SOURCE_DIR OR NOT COAIO_LLHTTP_SOURCE_INCLUDE_DIR)
        message(FATAL_ERROR "coaio: llhttp is missing; install libllhttp-dev, or node-llhttp on Debian 12")
    endif()
    if(NOT TARGET coaio_llhttp)
        add_library(coaio_llhttp OBJECT
            ${COAIO_LLHTTP_SOURCE_DIR}/api.c
            ${COAIO_LLHTTP_SOURCE_DIR}/http.c
            ${COAIO_LLHTTP_SOURCE_DIR}/llhttp.c)
        target_include_directories(coaio_llhttp SYSTEM PUBLIC ${COAIO_LLHTTP_SOURCE_INCLUDE_DIR})
        if(BUILD_SHARED_LIBS)
            set_target_properties(coaio_llhttp PROPERTIES POSITION_INDEPENDENT_CODE ON)
        endif()
    endif()
    set(${objects} coaio_llhttp PARENT_SCOPE)
endfunction()

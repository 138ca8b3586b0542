# SPDX-License-Identifier: MIT
# The words in which the lists of this project are written: one call a module, a test suite, an app, a program.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
include(${CMAKE_CURRENT_LIST_DIR}/coaio-uses.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/llhttp.cmake)

set(COAIO_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/coaio")
set(COAIO_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

# coaio_modules(name…): adds the folders of the modules that COAIO_MODULES asks for, in this order.
macro(coaio_modules)
    foreach(coaio_module_name ${ARGN})
        if(COAIO_MODULES STREQUAL "all" OR coaio_module_name IN_LIST COAIO_MODULES)
            add_subdirectory(${coaio_module_name})
        endif()
    endforeach()
endmacro()

# coaio_module(name HEADERS … SOURCES … [NEEDS module…] [USES target…] [OBJECTS target…]):
# the library coaio::name in this folder. HEADERS are files of include/coaio/name/, and include/coaio/name.hpp comes
# with them; SOURCES (private headers too) are files of src/. NEEDS are modules of ours, public. USES are foreign
# targets known to coaio-uses.cmake, private. OBJECTS are object libraries whose code becomes part of this one.
function(coaio_module name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HEADERS;SOURCES;NEEDS;USES;OBJECTS")
    coaio_reject_unknown(coaio_module "${arg_UNPARSED_ARGUMENTS}")
    list(TRANSFORM arg_HEADERS PREPEND include/coaio/${name}/)
    list(TRANSFORM arg_SOURCES PREPEND src/)
    set(target coaio_${name})

    add_library(${target})
    add_library(coaio::${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES
        EXPORT_NAME ${name}
        CXX_EXTENSIONS OFF
        VERIFY_INTERFACE_HEADER_SETS ON)
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_sources(${target}
        PRIVATE ${arg_SOURCES}
        PUBLIC FILE_SET HEADERS BASE_DIRS include FILES include/coaio/${name}.hpp ${arg_HEADERS})
    foreach(object IN LISTS arg_OBJECTS)
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
        target_include_directories(${target} SYSTEM PRIVATE
            $<BUILD_INTERFACE:$<TARGET_PROPERTY:${object},INTERFACE_INCLUDE_DIRECTORIES>>)
    endforeach()
    foreach(need IN LISTS arg_NEEDS)
        if(NOT TARGET coaio_${need})
            message(FATAL_ERROR "coaio: the module ${name} needs ${need}; add it to COAIO_MODULES (${COAIO_MODULES})")
        endif()
        target_link_libraries(${target} PUBLIC coaio_${need})
    endforeach()
    coaio_find_uses(${arg_USES})
    target_link_libraries(${target} PRIVATE ${arg_USES} $<BUILD_INTERFACE:coaio_flags>)

    set_property(GLOBAL APPEND PROPERTY COAIO_BUILT_MODULES ${name})
    set_property(GLOBAL APPEND_STRING PROPERTY COAIO_CONFIG_LINES
        "set(_coaio_needs_${name} \"${arg_NEEDS}\")\nset(_coaio_uses_${name} \"${arg_USES}\")\n")
    if(COAIO_INSTALL)
        install(TARGETS ${target} EXPORT coaio-${name}
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${name}
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${name}
            FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ${name})
        install(EXPORT coaio-${name} NAMESPACE coaio:: FILE coaio-${name}-targets.cmake
            DESTINATION ${COAIO_PACKAGE_DIR} COMPONENT ${name})
    endif()
endfunction()

# coaio_program(name SOURCES … [NEEDS module…] [LINKS target…] [INSIDE module…]): a program in <build>/bin. INSIDE is
# for white-box tests: it lets them include private headers of these modules.
function(coaio_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;NEEDS;LINKS;INSIDE")
    coaio_reject_unknown(coaio_program "${arg_UNPARSED_ARGUMENTS}")
    list(TRANSFORM arg_NEEDS PREPEND coaio::)
    add_executable(${name} ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES
        CXX_EXTENSIONS OFF
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    target_link_libraries(${name} PRIVATE ${arg_NEEDS} ${arg_LINKS} coaio_flags)
    foreach(module IN LISTS arg_INSIDE)
        target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/${module}/src)
    endforeach()
    target_compile_features(${name} PRIVATE cxx_std_20)
endfunction()

# coaio_app_parts(name SOURCES … [NEEDS module…] [LINKS target…]): the library coaio-name-parts, of what is part of more
# than one app.
function(coaio_app_parts name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;NEEDS;LINKS")
    coaio_reject_unknown(coaio_app_parts "${arg_UNPARSED_ARGUMENTS}")
    set(parts coaio-${name}-parts)
    list(TRANSFORM arg_NEEDS PREPEND coaio::)
    add_library(${parts} STATIC ${arg_SOURCES})
    set_target_properties(${parts} PROPERTIES CXX_EXTENSIONS OFF)
    target_compile_features(${parts} PUBLIC cxx_std_20)
    target_include_directories(${parts} PUBLIC ${PROJECT_SOURCE_DIR}/apps)
    target_link_libraries(${parts} PUBLIC ${arg_NEEDS} ${arg_LINKS} PRIVATE coaio_flags)
endfunction()

# coaio_app(name MAIN main.cpp [SOURCES …] [NEEDS module…] [LINKS target…]): the program coaio-name, installed; all of
# it but MAIN is the library coaio-name-parts, so that tests can link the parts. Files of the app are included as
# "folder/file.hpp", with apps/ as the root.
function(coaio_app name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "MAIN" "SOURCES;NEEDS;LINKS")
    coaio_reject_unknown(coaio_app "${arg_UNPARSED_ARGUMENTS}")
    set(parts "")
    if(arg_SOURCES)
        coaio_app_parts(${name} SOURCES ${arg_SOURCES} NEEDS ${arg_NEEDS} LINKS ${arg_LINKS})
        set(parts coaio-${name}-parts)
    endif()
    coaio_program(coaio-${name} SOURCES ${arg_MAIN} NEEDS ${arg_NEEDS} LINKS ${parts} ${arg_LINKS})
    target_include_directories(coaio-${name} PRIVATE ${PROJECT_SOURCE_DIR}/apps)
    if(COAIO_INSTALL)
        install(TARGETS coaio-${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT apps)
    endif()
endfunction()

# coaio_tests(name SOURCES … [NEEDS module…] [LINKS target…] [INSIDE module…] [LABELS label…] [TIMEOUT seconds]
# [APART pattern…]): the Catch2 program coaio-name-tests, one test of ctest, or two that can run side by side: name.apart
# has the cases whose names match a pattern of APART, name the others. Each case has a time limit of its own
# (tests/support/watch.hpp); TIMEOUT is for the whole.
function(coaio_tests name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;NEEDS;LINKS;INSIDE;LABELS;APART")
    coaio_reject_unknown(coaio_tests "${arg_UNPARSED_ARGUMENTS}")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 180)
    endif()
    coaio_program(coaio-${name}-tests SOURCES ${arg_SOURCES} NEEDS ${arg_NEEDS} LINKS ${arg_LINKS} coaio_test_support
        INSIDE ${arg_INSIDE})
    set_target_properties(coaio-${name}-tests PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    set(others "")
    if(arg_APART)
        list(TRANSFORM arg_APART PREPEND "~" OUTPUT_VARIABLE others)
        list(APPEND others "~[.]")  # what is hidden is so only from a call without patterns
        list(JOIN arg_APART "," apart)
        add_test(NAME ${name}.apart COMMAND coaio-${name}-tests "${apart}")
        coaio_test_properties(${name}.apart ${arg_TIMEOUT} "cases;${name};${arg_LABELS}")
    endif()
    add_test(NAME ${name} COMMAND coaio-${name}-tests ${others})
    coaio_test_properties(${name} ${arg_TIMEOUT} "cases;${name};${arg_LABELS}")
    # The longest begin first.
    set_tests_properties(${name} PROPERTIES COST ${arg_TIMEOUT})
endfunction()

# coaio_fuzz(name SOURCES … [NEEDS module…] [LINKS target…] [INSIDE module…] [CORPUS folder]): the program
# coaio-fuzz-name of one LLVMFuzzerTestOneInput. With COAIO_FUZZ it is driven by libFuzzer (`./dev fuzz`); otherwise it
# is a test of ctest, which feeds it the files of CORPUS and some thousand seeded mutations of them.
function(coaio_fuzz name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;NEEDS;LINKS;INSIDE")
    coaio_reject_unknown(coaio_fuzz "${arg_UNPARSED_ARGUMENTS}")
    set(corpus "")
    if(arg_CORPUS)
        cmake_path(ABSOLUTE_PATH arg_CORPUS OUTPUT_VARIABLE corpus)
    endif()
    set(target coaio-fuzz-${name})
    if(NOT COAIO_FUZZ)
        list(APPEND arg_SOURCES ${PROJECT_SOURCE_DIR}/tests/support/fuzz_main.cpp)
    endif()
    coaio_program(${target} SOURCES ${arg_SOURCES} NEEDS ${arg_NEEDS} LINKS ${arg_LINKS} INSIDE ${arg_INSIDE})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
    if(COAIO_FUZZ)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        file(WRITE ${PROJECT_BINARY_DIR}/fuzz/${target}.corpus "${corpus}")
        if(NOT TARGET coaio-fuzzers)
            add_custom_target(coaio-fuzzers)
        endif()
        add_dependencies(coaio-fuzzers ${target})
    else()
        add_test(NAME fuzz.${name} COMMAND ${target} ${corpus})
        coaio_test_properties(fuzz.${name} 60 "fuzz")
    endif()
endfunction()

# coaio_test_properties(test seconds labels): time limit and surroundings, the same for every test.
function(coaio_test_properties test seconds labels)
    set(limit 60)
    if(NOT COAIO_SANITIZE STREQUAL "")
        math(EXPR seconds "${seconds} * 5")
        set(limit 240)
    endif()
    set_tests_properties(${test} PROPERTIES
        TIMEOUT ${seconds}
        LABELS "${labels}"
        ENVIRONMENT "COAIO_BIN_DIR=${PROJECT_BINARY_DIR}/bin;COAIO_SOURCE_DIR=${PROJECT_SOURCE_DIR};\
COAIO_TEST_NAME=${test};COAIO_TEST_LIMIT_DEFAULT=${limit}")
endfunction()

# coaio_install_package(): what find_package(coaio) reads.
function(coaio_install_package)
    if(NOT COAIO_INSTALL)
        return()
    endif()
    get_property(COAIO_BUILT_MODULES GLOBAL PROPERTY COAIO_BUILT_MODULES)
    get_property(COAIO_CONFIG_LINES GLOBAL PROPERTY COAIO_CONFIG_LINES)
    configure_package_config_file(${COAIO_CMAKE_DIR}/coaio-config.cmake.in ${PROJECT_BINARY_DIR}/coaio-config.cmake
        INSTALL_DESTINATION ${COAIO_PACKAGE_DIR} NO_SET_AND_CHECK_MACRO)
    write_basic_package_version_file(${PROJECT_BINARY_DIR}/coaio-config-version.cmake COMPATIBILITY SameMinorVersion)
    install(FILES
        ${PROJECT_BINARY_DIR}/coaio-config.cmake
        ${PROJECT_BINARY_DIR}/coaio-config-version.cmake
        ${COAIO_CMAKE_DIR}/coaio-uses.cmake
        DESTINATION ${COAIO_PACKAGE_DIR} COMPONENT core)
endfunction()

function(coaio_reject_unknown where unknown)
    if(unknown)
        message(FATAL_ERROR "${where}: what is ${unknown}?")
    endif()
endfunction()

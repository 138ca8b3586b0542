# SPDX-License-Identifier: MIT
# Writes files as a C++ source: cmake -DOUTPUT=file.cpp "-DFILES=a|b" -P embed.cmake
# A string literal has a limit that differs from compiler to compiler, so the bytes stand as numbers.
string(REPLACE "|" ";" files "${FILES}")
set(text "// Made by embed.cmake.\n#include \"server/dashboard.hpp\"\n\nnamespace server {\nnamespace {\n\n")
set(list "")
foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME)
    string(MAKE_C_IDENTIFIER "${name}" id)
    file(READ "${file}" bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND text "constexpr unsigned char ${id}[] = {${bytes}};\n")
    string(APPEND list "    {\"${name}\", {reinterpret_cast<const char*>(${id}), sizeof(${id})}},\n")
endforeach()
string(APPEND text "\n}  // namespace\n\nconst std::vector<DashboardFile>& dashboard_files() {\n"
    "    static const std::vector<DashboardFile> files = {\n${list}    };\n    return files;\n}\n\n}  // namespace server\n")
file(WRITE "${OUTPUT}" "${text}")

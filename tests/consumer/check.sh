#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs a build and makes two tiny projects with it, one by find_package, one by add_subdirectory; runs both.
# check.sh SOURCE BUILD COMPILER
set -eu -o pipefail
source=$1 build=$2 compiler=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$build/consumer
rm -rf "$work"
mkdir -p "$work"

try() { # try NAME COMMAND...: quiet unless it fails
    local name=$1
    shift
    printf '%s\n' "$name"
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; printf 'FAILED: %s: %s\n' "$name" "$*"; exit 1; }
}
configure() {
    cmake -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)" "$@"
}

# What is installed must not need the build folder or the source folder.
modules=$(sed -n 's/^set(_coaio_modules "\(.*\)")$/\1/p' "$build/coaio-config.cmake")
for module in ${modules//;/ }; do
    try "install $module" cmake --install "$build" --prefix "$work/prefix" --component "$module"
done
if grep -rlF -e "$source" -e "$build" "$work/prefix" --include='*.cmake'; then
    echo "FAILED: the installed package names folders of the build"
    exit 1
fi

try "configure with find_package" configure -S "$here/package" -B "$work/package" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DMODULES="$modules"
try "build with find_package" cmake --build "$work/package"
try "run with find_package" "$work/package/consumer"

try "configure with add_subdirectory" configure -S "$here/subdirectory" -B "$work/subdirectory" \
    -DCOAIO_SOURCE_DIR="$source"
try "build with add_subdirectory" cmake --build "$work/subdirectory"
try "run with add_subdirectory" "$work/subdirectory/consumer"
if [ -e "$work/subdirectory/coaio/tests" ]; then
    echo "FAILED: a project that adds coaio as a folder gets its tests too"
    exit 1
fi

# A component that is not there is refused with its name.
if configure -S "$here/package" -B "$work/refused" -DCMAKE_PREFIX_PATH="$work/prefix" -DMODULES="core;nonsense" \
    >"$work/log" 2>&1 || ! grep -q "no component nonsense" "$work/log"; then
    cat "$work/log"
    echo "FAILED: find_package(coaio COMPONENTS nonsense) was not refused"
    exit 1
fi
echo "consumers: all is well"

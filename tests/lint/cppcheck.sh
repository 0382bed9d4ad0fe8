#!/bin/bash
# cppcheck.sh ROOT: cppcheck finds nothing in src but what is listed here with its reason.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
root=$(cd "$1" && pwd)
command -v cppcheck > /dev/null || { echo "lint: skipped: cppcheck is not installed"; exit 77; }

suppressions=(
	# cppcheck does not know scope cleanup (CUSTOS_AUTO*): what is freed at the end of its scope looks leaked …
	memleak resourceLeak
	# … and what is emptied because it was handed over looks assigned for nothing. Must-use results of which only the side effect counts are the same.
	unreadVariable
	# const is taken off through a union, with one member written and the other read: -Wcast-qual forbids the cast
	unusedStructMember
	# where a variable is declared is a question of reading, and a local noun may be called what a function of the file is called
	variableScope shadowFunction
	# cppcheck also tries processors that there are not; for those the build is meant to stop
	preprocessorErrorDirective
	# cppcheck believes that a driver's function cannot fail, because it sees one through a pointer only
	knownConditionTrueFalse:src/store/store.c
	# set whenever it is compared; the other side of the || decides otherwise
	legacyUninitvar:src/vault/custody.c
	# two statements under one condition, written as two ifs
	duplicateCondition:src/token/softhsm_files.c
	# the module writes into it, through pointers in a template
	constVariable:src/token/read_back.c
)

# shellcheck disable=SC2054
options=(-j2 -q --enable=warning,style,performance,portability --inline-suppr '--template={file}:{line}: {severity}: {message} [{id}]'
	-DCUSTOS_VERSION="\"0\"" -DCUSTOS_HELPER_DIR="\"/\"" -DCUSTOS_LIBRARY_ARCHITECTURE="\"\"")
for id in "${suppressions[@]}"; do options+=("--suppress=$id"); done

cd "$root"
mapfile -t sources < <(tree_files "$root" src/ | grep '\.c$')
[ ${#sources[@]} -gt 0 ] || violation "no source was found in src"
while IFS= read -r line; do
	case "$line" in
	*:*:*) violation "$line" ;;
	*) printf '%s\n' "$line" ;;
	esac
done < <(cppcheck "${options[@]}" -I include -I src "${sources[@]}" 2>&1 | grep -E '\]$' || true)
verdict "cppcheck over ${#sources[@]} sources, ${#suppressions[@]} kinds suppressed with a reason"

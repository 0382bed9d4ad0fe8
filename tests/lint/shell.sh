#!/bin/bash
# shell.sh ROOT: shellcheck has nothing to say about any shell file.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
root=$(cd "$1" && pwd)
command -v shellcheck > /dev/null || { echo "lint: skipped: shellcheck is not installed"; exit 77; }

# Pieces of scripts that run on a target host: they have no first line because they are composed (src/target/script.c), and they rely on word
# splitting where they take apart what ls prints.
pieces=(src/target/host.sh src/target/arm.sh src/target/inspect.sh)
# Sourced by the scripts of the ESXi stand-in's busybox.
sourced=(tests/it/esxi/root/usr/lib/vmware/alive.sh)

# SC2016: what stands in single quotes here is meant for another shell, awk or perl.
# SC2030, SC2031: every bats test is a subshell, and that is the point.
everywhere=SC2016 in_bats=SC2030,SC2031

is_in() {
	local word=$1 other
	shift
	for other; do [ "$word" != "$other" ] || return 0; done
	return 1
}

count=0
said=$(mktemp)
trap 'rm -f "$said"' EXIT
cd "$root"
while IFS= read -r file; do
	count=$((count + 1))
	options=(--external-sources --source-path=SCRIPTDIR --source-path="$root")
	options+=("--exclude=$everywhere")
	if [[ $file == *.bats ]]; then options+=("--exclude=$in_bats"); fi
	if is_in "$file" "${pieces[@]}"; then options+=(--shell=sh '--exclude=SC2046,SC2086,SC2034,SC2154'); fi
	if is_in "$file" "${sourced[@]}"; then options+=(--shell=sh); fi
	if ! shellcheck --format=gcc "${options[@]}" "$file" > "$said" 2>&1; then
		while IFS= read -r line; do violation "$line"; done < "$said"
	fi
done < <(tree_shell_files "$root")
[ "$count" -gt 0 ] || violation "no shell file was found"
verdict "shellcheck over $count files"

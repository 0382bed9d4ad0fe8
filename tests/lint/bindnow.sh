#!/bin/bash
# bindnow.sh BUILD: every program is position independent, fully bound before main (a lazily bound call spills vector registers, and with them key
# bytes, to the stack), read-only after relocation, without an executable stack; and links no library that its process must not have.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
build=$1

# Libraries a program must not need: the keeper has no PKCS#11 and no SSH, the token process no store, network or SSH, the courier no token and no store.
declare -A never=(
	[custos]='p11-kit ssh2'
	[custos-token]='ssh2 sqlite3'
	[custos-courier]='p11-kit sqlite3'
)

count=0
for name in custos custos-token custos-courier; do
	program=$build/$name
	# absence is only an answer while a program is not part of the build at all
	if [ ! -e "$program" ]; then
		if grep -qs "custos_program($name " "${CUSTOS_SOURCE:-$(dirname -- "$0")/../..}"/src/*/layer.cmake; then violation "$name is part of the build and not in $build"; fi
		continue
	fi
	count=$((count + 1))
	dynamic=$(readelf -dW "$program") segments=$(readelf -lW "$program")
	grep -q 'Type:.*DYN' <(readelf -hW "$program") || violation "$name is not position independent"
	grep -q 'FLAGS_1.*\<PIE\>' <<< "$dynamic" || violation "$name is not a PIE"
	grep -Eq '\(FLAGS\).*BIND_NOW|FLAGS_1.*\<NOW\>' <<< "$dynamic" || violation "$name is bound lazily (no BIND_NOW)"
	grep -q 'GNU_RELRO' <<< "$segments" || violation "$name has no GNU_RELRO segment"
	grep -Eq 'GNU_STACK.* RW ' <<< "$segments" || violation "$name has an executable stack"
	for library in ${never[$name]}; do
		if grep -q "NEEDED.*lib${library}[-.]" <<< "$dynamic"; then violation "$name links lib$library, which its process must never have"; fi
	done
done
[ "$count" -gt 0 ] || violation "no program was found in $build"
verdict "PIE, BIND_NOW, RELRO, stack and libraries of $count programs"

#!/usr/bin/env bats
# Goal: chain and verdict of `cert check --trust` on generated PKIs are those of OpenSSL and of GnuTLS, tried path by path. 60 PKIs of a printed seed, CUSTOS_SEED repeats
# it; CUSTOS_ALL=1 makes it 2,000. What may differ, and why, is tests/it/pki_differential/allowed; a verdict may not.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), openssl, certtool and python3-cryptography.
bats_require_minimum_version 1.5.0

setup() {
	here=$BATS_TEST_DIRNAME/pki_differential
	cd "$BATS_TEST_TMPDIR" || exit
}

compare() { PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -W ignore "$here/compare.py" "$@"; }

@test "the verdict on generated PKIs is that of openssl verify and of certtool --verify" {
	# Goal: no path is missed that both accept, none is called usable that one of them refuses, and it is the shortest.
	seed=${CUSTOS_SEED:-$RANDOM}
	count=60
	[ "${CUSTOS_ALL:-0}" != 1 ] || count=2000
	echo "# seed: $seed (CUSTOS_SEED=$seed repeats it), $count of 2000 PKIs" >&3
	compare "$CUSTOS_BUILD/custos" "$count" "$seed" "$here/allowed"
}

@test "a custos that is wrong is found out" {
	# Goal: the comparison can fail: of a program that calls everything usable, or nothing, or leaves out the intermediates, every kind is noticed; and a verdict cannot be allowed.
	for lie in yes no short; do
		printf '%s\n' '#!/bin/sh' "exec /usr/bin/python3 \"$here/liar.py\" $lie \"$CUSTOS_BUILD/custos\" \"\$@\"" > liar
		chmod +x liar
		run compare ./liar 25 5 "$here/allowed"
		[ "$status" -eq 1 ]
		[[ $output == *"verdict: custos says "* ]] || { echo "$lie: $output"; false; }
	done
	echo "verdict because" > wrong
	run compare "$CUSTOS_BUILD/custos" 1 1 wrong
	[ "$status" -ne 0 ]
	[[ $output == *"cannot be allowed"* ]]
}

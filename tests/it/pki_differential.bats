#!/usr/bin/env bats
# Goal: chain and verdict of `cert check --trust` on generated PKIs are those of OpenSSL and of GnuTLS, tried path by path, and what it writes is taken by clients. All named PKIs (cases.py) and 120
# of a printed seed, CUSTOS_SEED repeats it; CUSTOS_ALL=1 makes it 2,000, and then every rule must have been met on both sides. CUSTOS_PKI=NAME repeats a single one. What may differ,
# and why, is tests/it/pki_differential/allowed; a verdict may not. What goes wrong is kept in pki-failures in the build directory.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), openssl, certtool, gnutls-cli and python3-cryptography.
bats_require_minimum_version 1.5.0

setup() {
	here=$BATS_TEST_DIRNAME/pki_differential
	cd "$BATS_TEST_TMPDIR" || exit
}

compare() { PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -W ignore "$here/compare.py" "$@"; }

@test "the verdict on generated PKIs is that of openssl verify and of certtool --verify" {
	# Goal: no path is missed that a client accepts, none is called usable that one of them refuses, it is the shortest, and the file holds it.
	seed=${CUSTOS_SEED:-$RANDOM}
	count=120
	[ "${CUSTOS_ALL:-0}" != 1 ] || count=2000
	echo "# seed: $seed (CUSTOS_SEED=$seed repeats it), $count of 2000 PKIs" >&3
	compare "$CUSTOS_BUILD/custos" "$count" "$seed" "$here/allowed" "$CUSTOS_BUILD/pki-failures" ${CUSTOS_PKI:+"$CUSTOS_PKI"} > told || { cat told; false; }
	sed 's/^/# /' told >&3
}

@test "a custos that is wrong is found out" {
	# Goal: the comparison can fail: whatever a program lies about is noticed, by its kind; what went wrong is kept and can be repeated; and a verdict cannot be allowed.
	those=("case: DST Root X3: the cross-sign outlives its root, clients have both roots" "case: path length exactly reached" "case: the intermediate is missing")
	for lie in "yes:refuses its chain" "no:both accept one of" "short:refuses its chain" "long:does not hang together" "other:is not the chain that it reports"; do
		printf '%s\n' '#!/bin/sh' "exec /usr/bin/python3 \"$here/liar.py\" ${lie%%:*} \"$CUSTOS_BUILD/custos\" \"\$@\"" > liar
		chmod +x liar
		run compare ./liar 0 0 "$here/allowed" "$PWD/kept-${lie%%:*}" "${those[@]}"
		[ "$status" -eq 1 ]
		[[ $output == *"verdict: "*"${lie#*:}"* ]] || { echo "$lie: $output"; false; }
		[[ $output == *"again: CUSTOS_PKI="* ]]
		kept=("$PWD/kept-${lie%%:*}"/*)
		[ -s "${kept[0]}/bag.pem" ]
		[ -s "${kept[0]}/found.txt" ]
	done
	run compare "$CUSTOS_BUILD/custos" 0 0 "$here/allowed" "$PWD/kept-not" "${those[@]}"
	[ "$status" -eq 0 ]
	[ ! -e kept-not ]
	echo "verdict: because" > wrong
	run compare "$CUSTOS_BUILD/custos" 1 1 wrong kept
	[ "$status" -ne 0 ]
	[[ $output == *"cannot be allowed"* ]]
}

@test "a PKI is the same for the same seed" {
	# Goal: what a seed found is found again by it: certificates differ in nothing but their signatures.
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here /usr/bin/python3 -W ignore -c 'import sys
from generate import generate
for name in "a-1", "a-2", "a-3":
    one, other = generate(name), generate(name)
    same = [c.tbs_certificate_bytes for c in one.bag + one.anchors] == [c.tbs_certificate_bytes for c in other.bag + other.anchors]
    sys.exit(not same) if not same else None
sys.exit(generate("a-1").leaf.tbs_certificate_bytes == generate("a-2").leaf.tbs_certificate_bytes)'
}

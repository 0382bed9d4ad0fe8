#!/usr/bin/env bats
# Goal: four tokens that differ in almost everything, each live: what the doctor finds is what it found before (tests/it/tokens/NAME.verdict), nothing is left
# on them, and each does the whole of the job that its verdict allows.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root, and the packages that the scripts in tests/it/tokens name. On a developer's machine a
# token that is not there is skipped with its reason; with CI=true that is a failure. CUSTOS_ACCEPT=DIR writes the verdicts found into DIR.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup() {
	export TOKEN=$BATS_TEST_TMPDIR/token LAB=$BATS_TEST_TMPDIR/lab
}

teardown() {
	lab_end
}

# need NAME COMMAND…: what has to be there for a token.
need() {
	local name=$1 what
	shift
	for what in "$@"; do
		if [ -n "$(type -P "$what")" ]; then continue; fi
		[ "${CI:-}" != true ] || { echo "$what is missing: nothing may be missing here"; return 1; }
		skip "$name: $what is not installed (.ci/packages test)"
	done
	[ "$(id -u)" = 0 ] || [ "${CI:-}" = true ] || skip "$name: needs root"
}

need_softhsm() { need softhsm softhsm2-util pkcs11-tool; }
need_nss() { need nss certutil; }
need_opencryptoki() { need opencryptoki pkcsslotd pkcsconf; }
need_tpm2() { need tpm2 swtpm tpm2-abrmd tpm2_ptool tpm2_getrandom dbus-daemon; }

# on NAME COMMAND…: COMMAND beside that token. A function of this file is taken along.
on() {
	local name=$1
	shift
	"$here/tokens/$name" "$TOKEN" "$@"
}

# doctor ARG…: the doctor on the token at hand. The module's own remarks on stderr are no part of it.
doctor() { custos --pin-source "file:$TOKEN/pin" token doctor "$TOKEN_URI" "$@"; }
export -f doctor custos_in

# verdict: what the report on stdin says, one line a check; nothing that changes from run to run is in it.
verdict() {
	/usr/bin/python3 -c 'import json, sys
r = json.load(sys.stdin)
for c in r["checks"]: print(c["name"] + ": " + c["verdict"] + ": " + c["seen"])
print("tier: " + r["tier"] + ": " + r["reason"])'
}

# golden NAME: the doctor says what it said, leaves nothing, and is content with what the profile promises.
golden() {
	on "$1" bash -c 'doctor --json' > "$BATS_TEST_TMPDIR/report" 2> "$BATS_TEST_TMPDIR/remarks" || { cat "$BATS_TEST_TMPDIR/remarks"; return 1; }
	verdict < "$BATS_TEST_TMPDIR/report" > "$BATS_TEST_TMPDIR/verdict"
	[ -z "${CUSTOS_ACCEPT:-}" ] || cp "$BATS_TEST_TMPDIR/verdict" "$CUSTOS_ACCEPT/$1.verdict"
	diff -u "$here/tokens/$1.verdict" "$BATS_TEST_TMPDIR/verdict"
	[ "$(lab_json '["profile"]' '["tier"]' < "$BATS_TEST_TMPDIR/report")" = "$1 $(lab_json '["promised"]' < "$BATS_TEST_TMPDIR/report")" ]
	grep -q '^nothing-left: ok: ' "$BATS_TEST_TMPDIR/verdict"
}

@test "SoftHSM: the verdict" {
	need_softhsm
	golden softhsm
}

@test "NSS: the verdict" {
	need_nss
	golden nss
}

@test "openCryptoki: the verdict" {
	need_opencryptoki
	golden opencryptoki
}

@test "TPM 2.0: the verdict" {
	need_tpm2
	golden tpm2
}

@test "below what is asked for the exit code is 3, and the report is there all the same" {
	# Goal: a script that asks for a tier gets no for an answer.
	need_nss
	expect 3 on nss bash -c 'doctor --for hardened --json'
	says "is basic, not hardened"
	[ "$(lab_json '["tier"]' '["asked"]' <<< "$output")" = "basic hardened" ]
	expect 0 on nss bash -c 'doctor --for sign-only'
	[[ $output == *"wrap-format"*"tier"*"basic"* ]]
	expect 2 on nss bash -c 'doctor --for excellent'
}

@test "a wrong PIN is one attempt and no report" {
	need_softhsm
	on softhsm true
	(umask 077 && echo 00000000 > "$BATS_TEST_TMPDIR/wrong")
	expect 4 on softhsm bash -c 'custos --pin-source "file:$BATS_TEST_TMPDIR/wrong" token doctor "$TOKEN_URI"'
	[ -z "$output" ]
}

@test "a profile is written once, and holds what was found" {
	need_softhsm
	expect 0 on softhsm bash -c 'doctor --write-profile "$BATS_TEST_TMPDIR/found.yaml"'
	grep -qx 'tier: hardened' "$BATS_TEST_TMPDIR/found.yaml"
	grep -qx '  mechanism: 0x210a' "$BATS_TEST_TMPDIR/found.yaml"
	grep -qx '  deployable: \[rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521\]' "$BATS_TEST_TMPDIR/found.yaml"
	expect 6 on softhsm bash -c 'doctor --write-profile "$BATS_TEST_TMPDIR/found.yaml"'
}

@test "half-made objects and empty files are counted, removed when asked, and nothing else is" {
	# Goal: what a kill leaves on a SoftHSM token goes; a key that somebody can name stays.
	need_softhsm
	on softhsm bash -c 'softhsm2-util --show-slots > /dev/null'
	on softhsm bash -c 'pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --login --pin "$(cat "$TOKEN/pin")" --token-label lab --keypairgen --key-type EC:prime256v1 --label kept --id 01' > /dev/null 2>&1
	on softhsm bash -c 'pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --login --pin "$(cat "$TOKEN/pin")" --token-label lab --keygen --key-type AES:32' > /dev/null 2>&1
	store=$(find "$TOKEN/tokens" -mindepth 1 -maxdepth 1 -type d)
	: > "$store/00000000-0000-0000-0000-000000000000.object"
	before=$(find "$store" -name '*.object' | wc -l)
	expect 0 on softhsm bash -c 'doctor --json'
	[[ $(verdict <<< "$output") == *"objects: warn: 1 half-made objects, 1 empty files; --clean removes them"* ]]
	[ "$(find "$store" -name '*.object' | wc -l)" -eq "$before" ]
	expect 0 on softhsm bash -c 'doctor --clean --json'
	[[ $(verdict <<< "$output") == *"objects: ok: removed: 1 half-made objects, 1 empty files"* ]]
	[ "$(find "$store" -name '*.object' | wc -l)" -eq $((before - 2)) ]
	on softhsm bash -c 'pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --login --pin "$(cat "$TOKEN/pin")" --token-label lab -O' 2> /dev/null | grep -q 'label: *kept'
}

@test "NSS does the whole job: custody, keys, requests, certificates, a release" {
	# Goal: a second token that wraps is as good as the first, through every function of a custody.
	need_nss
	mkdir -m 700 "$LAB"
	: > "$LAB/hosts"
	on nss env > "$BATS_TEST_TMPDIR/environment"
	while IFS= read -r line; do export "${line?}"; done < <(grep -E '^(CUSTOS_MODULE|NSS_LIB_PARAMS|TOKEN_URI)=' "$BATS_TEST_TMPDIR/environment")
	install -m 600 "$TOKEN/pin" "$LAB/pin"
	export CUSTOS_DIR=$LAB/custody
	lab_ca_new "$LAB/ca"
	expect 0 custos_in init "$CUSTOS_DIR" --token "$TOKEN_URI" --origin custody.example/nss --trust "$(lab_ca_root "$LAB/ca")" --json
	[ "$(lab_json '["token"]["tier"]' '["token"]["profile"]' <<< "$output")" = "basic nss" ]
	lab_quick_profile > "$LAB/esxi-quick.yaml"
	ssh-keygen -q -t ecdsa -b 256 -N '' -C lab -f "$LAB/login"
	for type in rsa-2048 ec-p256 ec-p384 ec-p521; do
		lab_key "host-$type" "$type"
	done
	expect 0 custos_in key generate own --type ec-p256 --class sign-only
	expect 0 custos_in csr create own --subject CN=own.example.com --san dns:own.example.com -o "$LAB/own.csr"
	openssl req -in "$LAB/own.csr" -noout -verify 2>&1 | grep -q 'verify OK'
	lab_host host-rsa-2048
	lab_target host-rsa-2048
	custos_in key allow host-rsa-2048 host-rsa-2048 > /dev/null
	expect 0 custos_in deploy host-rsa-2048 host-rsa-2048 --json
	[ "$(lab_json '[0]["result"]' <<< "$output")" = deployed ]
	[ "$(lab_served host-rsa-2048)" = "$(lab_leaf host-rsa-2048)" ]
	lab_key next rsa-3072 dns:host-rsa-2048.example.com
	custos_in key allow next host-rsa-2048 > /dev/null
	expect 0 custos_in deploy next host-rsa-2048 --json
	[ "$(lab_json '[0]["result"]' <<< "$output")" = deployed ]
	[ "$(lab_served host-rsa-2048)" = "$(lab_leaf next)" ]
	# bound to the logged intent: its hash went into the key that the parcel was wrapped under
	[ "$(custos log show --json | grep -o '"transport": *"ecdh-p256-kdf"' | wc -l)" -eq 2 ]
	expect 0 custos log verify
}

@test "openCryptoki: a custody of keys that stay on the token, its log signed by RSA" {
	# Goal: a token that cannot wrap, and has no curve to sign a log with, does all that needs no container; the rest is refused before it is begun.
	need_opencryptoki
	on opencryptoki "$here/tokens/sign-only-job" "$TOKEN" rsa-2048 ec-p256
}

@test "TPM 2.0: a custody of keys that stay on the token" {
	# Goal: the same on a TPM.
	need_tpm2
	on tpm2 "$here/tokens/sign-only-job" "$TOKEN" ec-p256 rsa-4096
}

@test "SoftHSM: sealed keys, opened by derivation" {
	# Goal: a key that was born in a courier does everything that a deployable one does, and each time it is opened that stands in the log before.
	need_softhsm
	on softhsm "$here/tokens/sealed-job" "$TOKEN" ecdh-p256
}

@test "TPM 2.0: sealed keys, opened by decryption" {
	# Goal: the same on a token that can wrap nothing, for types that it cannot even make.
	need_tpm2
	on tpm2 "$here/tokens/sealed-job" "$TOKEN" rsa-oaep-sha256
}

@test "openCryptoki: sealed keys, opened by decryption" {
	# Goal: the same on a token without curves.
	need_opencryptoki
	on opencryptoki "$here/tokens/sealed-job" "$TOKEN" rsa-oaep-sha256
}

@test "the parameters of a module come from the variable its profile names, or the token is not opened" {
	need_nss
	expect 5 on nss bash -c 'unset NSS_LIB_PARAMS; custos token show "$TOKEN_URI"'
	says NSS_LIB_PARAMS
}

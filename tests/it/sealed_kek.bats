#!/usr/bin/env bats
# Goal: what happens to KEKs is nothing to a sealed key: it is under none. And what no backup of a KEK brings back is said to be left behind.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	softhsm_init_token spare "$LAB/so-pin" "$LAB/pin" > "$LAB/spare"
	export CUSTOS_DIR=$LAB/moving
	custos_in init "$CUSTOS_DIR" --token pkcs11:token=lab --origin custody.example/moving --kek-backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin" > /dev/null
	custos_in key generate wrapped --type ec-p256 > /dev/null
	custos_in key generate sealed --type ec-p521 --class sealed > /dev/null
}

teardown_file() {
	lab_end
}

of_key() { custos key show "$1" --json | lab_json "${@:2}"; }

@test "a rotation moves what is wrapped, and leaves a sealed key as it is" {
	local before
	before=$(of_key sealed '["container_sha256"]')
	custos_in key export sealed -o "$BATS_TEST_TMPDIR/sealed.container" > /dev/null
	custos_in key rewrap --to-new-kek --reason test --kek-backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin" --json > "$BATS_TEST_TMPDIR/rewrap.json"
	[ "$(lab_json '["moved"]' < "$BATS_TEST_TMPDIR/rewrap.json")" = 1 ]
	[ "$(of_key sealed '["container_sha256"]')" = "$before" ]
	[ "$(of_key sealed '["class"]')" = sealed ]
	custos_in key drill --all > /dev/null
	# the KEK that was current when it was exported is no more, and it comes back all the same
	custos_in key destroy sealed --reason test > /dev/null
	custos_in key restore "$BATS_TEST_TMPDIR/sealed.container" > /dev/null
	[ "$(of_key sealed '["container_sha256"]' '["state"]')" = "$before active" ]
}

@test "a request signed by RSASSA-PSS, out of a courier" {
	custos_in key generate pss --type rsa-2048 --class sealed > /dev/null
	custos_in csr create pss --subject CN=pss.example.com --san dns:pss.example.com --signature rsa-pss -o "$BATS_TEST_TMPDIR/pss.csr" > /dev/null
	openssl req -in "$BATS_TEST_TMPDIR/pss.csr" -noout -verify
	openssl req -in "$BATS_TEST_TMPDIR/pss.csr" -noout -text | grep -q 'Signature Algorithm: rsassaPss'
	expect 3 custos_in key generate large --type rsa-8192 --class sealed
	says 'rsa-6144'
}

@test "with another token a sealed key is left behind, and nobody is told anything else" {
	custos_in kek restore --token pkcs11:token=spare --reason "the first one broke" --json > "$BATS_TEST_TMPDIR/restore.json"
	[ "$(lab_json '["left_behind"][0]' '["left_behind"][1]' < "$BATS_TEST_TMPDIR/restore.json")" = "sealed pss" ]
	custos_in key drill wrapped > /dev/null
	expect 3 custos_in key drill sealed
	says 'stayed on token'
	expect 3 custos_in key generate another --type ec-p256 --class sealed
	says 'stayed on token'
	custos_in key generate another --type ec-p256 > /dev/null
	custos log verify > /dev/null
}

#!/usr/bin/env bats
# Goal: kill -9 at any call of any process that takes part in the life of a KEK: the old one or the new one is in use, never none and never two; every key opens; the log verifies; the
# same command again comes to the end; and what is left lying about is no more than docs/ARCHITECTURE.md says.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root, and opensc-pkcs11 (pkcs11-tool). Points are sampled by CUSTOS_SEED.
# shellcheck disable=SC2030,SC2031  # each test is one shell
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/it/kek.bash
. "$BATS_TEST_DIRNAME/kek.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export CUSTOS_SEED
	crash_seed 3>&2
}

setup() {
	export LAB=$BATS_TEST_TMPDIR/lab
	RANDOM=$(((CUSTOS_SEED + BATS_TEST_NUMBER * 1009) % 32768))
	lab_new
	softhsm_new_pin "$LAB/pin2"
	second_token spare
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || echo "killed at ${POINT:-no point} (CUSTOS_SEED=$CUSTOS_SEED)"
}

# killed PROGRAM COUNT COMMAND…: COMMAND is killed at COUNT of the calls of PROGRAM, whichever of its processes makes them, each time on custody and tokens as they were; then after_kill.
killed() {
	local program=$1 count=$2 calls point
	shift 2
	keep
	calls=$(crash_count "$program" "$@")
	[ "$calls" -gt 10 ]
	for point in $(crash_sample "$count" "$calls"); do
		put_back
		POINT="$program, $point of $calls of: $*"
		crash_fault -p "$program" "$point" kill "$@" > /dev/null 2>&1 || true
		after_kill "$@"
	done
	put_back
}

keep() { crash_keep_custody; }
put_back() {
	crash_restore_custody
	rm -f "$LAB"/shares/share-*
}

# again CODE…: the same command once more, which ends with one of these.
again() {
	local code=0 may=$1
	shift
	"$@" > "$LAB/again" 2>&1 || code=$?
	[[ " $may " == *" $code "* ]] || { echo "exit $code of: $*"; cat "$LAB/again"; return 1; }
	return 0
}

@test "a move to a KEK with a backup" {
	for key in a b c; do make_key "$key" ec-p256; done
	custodians 2
	after_kill() {
		expect 0 custos log verify
		expect 0 custos_in key drill --all
		[ "$(custos kek list --json | grep -c '"state": "current"')" = 1 ]
		again "0 3" "$@"
		if grep -q "has not come to its end" "$LAB/again"; then expect 0 custos_in key rewrap --to-new-kek --reason "on with it"; fi
		expect 0 custos_in key drill --all
		expect 0 custos status --check
		expect 0 custos log verify
		[ "$(custos kek list --json | lab_json '[-1]["variant"]' '[-1]["keys"]')" = "backed-up 3" ]
		[ "$(keks_on lab)" = 1 ]
		[ "$(keks_on spare)" -le 2 ]
	}
	to_token=(custos --pin-source "file:$LAB/pin" kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2" --reason "killed")
	killed custos 8 "${to_token[@]}"
	killed custos-token 10 "${to_token[@]}"
}

@test "a move to a KEK in shares" {
	for key in a b; do make_key "$key" ec-p256; done
	custodians 2
	after_kill() {
		expect 0 custos log verify
		expect 0 custos_in key drill --all
		# shares that are out already are not written over: they are of a KEK that is there, or of none
		[ "$(kek_of 2 state)" = current ] || rm -f "$LAB"/shares/share-*
		again "0 3 6" "$@"
		if grep -q "has not come to its end\|is there already" "$LAB/again"; then expect 0 custos_in key rewrap --to-new-kek --reason "on with it" --kek-backup none || expect 0 custos_in key rewrap --to-new-kek --reason "on with it"; fi
		expect 0 custos_in key drill --all
		expect 0 custos status --check
		expect 0 custos log verify
		[ "$(keks_on lab)" = 1 ]
	}
	to_shares=(custos --pin-source "file:$LAB/pin" kek backup shares:2/2 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares" --reason "killed")
	killed custos-courier 4 "${to_shares[@]}"
	killed custos 4 "${to_shares[@]}"
}

@test "a custody that begins with a backup" {
	keep() { rm -rf "$LAB/kept" && mkdir "$LAB/kept" && cp -a "$LAB/softhsm/tokens" "$LAB/kept/tokens"; }
	put_back() { rm -rf "$CUSTOS_DIR" "$LAB/softhsm/tokens" && cp -a "$LAB/kept/tokens" "$LAB/softhsm/tokens"; }
	lab_two
	export CUSTOS_DIR=$LAB/begun
	after_kill() {
		if [ -e "$CUSTOS_DIR/custody.yaml" ]; then
			again 3 "$@"
		else
			again "2 6" custos status
			again "0 3" "$@"
			# what an attempt of before has left in the directory is named, and removed by hand
			[ -e "$CUSTOS_DIR/custody.yaml" ] || { rm -rf "$CUSTOS_DIR" && expect 0 "$@"; }
		fi
		expect 0 custos log verify
		[ "$(kek_of 1 variant)" = backed-up ]
		custos_in key generate a --type ec-p256 > /dev/null
		expect 0 custos_in key drill a
		[ "$(keks_on two)" -le 2 ]
		[ "$(keks_on spare)" -le 2 ]
		expect 0 in_second kek restore --token pkcs11:token=spare --reason "to see"
		expect 0 in_second key drill a
	}
	init=(custos --pin-source "file:$LAB/pin" init "$CUSTOS_DIR" --token pkcs11:token=two --origin custody.example/begun --kek-backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2")
	killed custos 6 "${init[@]}"
	killed custos-token 6 "${init[@]}"
}

# How many log keys are on the token "spare".
log_keys() { pkcs11-tool --module "$(softhsm_module)" --token-label spare --login --pin "$(cat "$LAB/pin2")" -O --type privkey 2> /dev/null | grep -c 'label: *custos-log-' || true; }

restored_after_kill() {
	# to whoever looks it is the custody on the old token, or on the new one, or on its way
	local code=0
	custos log verify > "$LAB/verify" 2>&1 || code=$?
	[ "$code" = 0 ] || { [ -e "$CUSTOS_DIR/custody.yaml.next" ] && grep -q "kek restore" "$LAB/verify"; } || { cat "$LAB/verify"; return 1; }
	again "0 3" "$@"
	[ "$(kek_of 2 variant)" = restored ]
	[ ! -e "$CUSTOS_DIR/custody.yaml.next" ]
	expect 0 custos log verify
	expect 0 in_second key drill --all
	[ "$(lab_events 0 | grep -c kek.restored)" = 1 ]
	[ "$(keks_on spare)" = 1 ]
	[ "$(log_keys)" -le 2 ]
}

@test "a restore from a token" {
	for key in a b; do make_key "$key" ec-p256; done
	custos_in kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2" --reason first > /dev/null
	after_kill() { restored_after_kill "$@"; }
	restore=(custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=spare --reason killed)
	killed custos 12 "${restore[@]}"
	killed custos-token 5 "${restore[@]}"
}

@test "a restore from shares" {
	for key in a b; do make_key "$key" ec-p256; done
	custodians 2
	mkdir "$LAB/kept-shares"
	custos_in kek backup shares:2/2 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/kept-shares" --reason first > /dev/null
	after_kill() { restored_after_kill "$@"; }
	restore=(custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=spare --reason killed --share "$LAB/kept-shares/share-1.txt" --share-key "$LAB/c1.key" --share "$LAB/kept-shares/share-2.txt" --share-key "$LAB/c2.key")
	killed custos-token 8 "${restore[@]}"
	killed custos 5 "${restore[@]}"
	killed custos-courier 4 "${restore[@]}"
}

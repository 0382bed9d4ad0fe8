#!/usr/bin/env bats
# Goal: kill -9 of any of the three processes at any point, and a disk that fails at any point, leave a token that is there, a log that verifies, releases
# that are told, and a host that serves one whole pair.
#
# The points are system calls (tests/crash/fault.c): some of each process, sampled by CUSTOS_SEED, or all of them with CUSTOS_ALL=1. Custody, token and
# host are used on after each fault, as people would. Needs the build directory in CUSTOS_BUILD (ctest sets it), and root.
# shellcheck disable=SC2016,SC2030,SC2031  # $ is for the shell inside; each test is one shell, and says POINT in its teardown
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab CUSTOS_SEED
	lab_new
	lab_host box
	lab_key one rsa-2048 dns:box.example.com
	lab_key two rsa-2048 dns:box.example.com
	lab_target box
	custos_in key allow one box > /dev/null
	custos_in key allow two box > /dev/null
	FACTORY=$(lab_served box) ONE=$(lab_leaf one) TWO=$(lab_leaf two)
	export FACTORY ONE TWO
	crash_seed 3>&2
}

setup() {
	RANDOM=$(((CUSTOS_SEED + BATS_TEST_NUMBER * 1009) % 32768))
	lab_env box
}

teardown() {
	[ -z "${POINT:-}" ] || [ -n "${BATS_TEST_COMPLETED:-}" ] || echo "the fault was: $POINT (CUSTOS_SEED=$CUSTOS_SEED)"
}

teardown_file() {
	lab_end
}

# A deployment of the key that the host does not serve.
next_key() { if [ "$(lab_served box)" = "$ONE" ]; then KEY=two NEW=$TWO; else KEY=one NEW=$ONE; fi; }

# hit_deploy OPTION… -- N ACTION: a deployment that this happens to, and what must hold after it.
hit_deploy() {
	local options=() rc=0
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	next_key
	OLD=$(lab_served box)
	POINT="${options[*]} $2 $3"
	crash_fault "${options[@]}" "$2" "$3" custos --pin-source "file:$LAB/pin" deploy "$KEY" box --confirm-within 10 > "$LAB/out" 2> "$LAB/err" || rc=$?
	POINT="$POINT, hit $(crash_hit), exit $rc: $(cat "$LAB/err")"
	crash_record_is_whole
	crash_await_host box
	# the restart of the proxy by the dead man's switch may still be going on
	lab_until crash_host_is_whole box "$OLD" "$NEW"
	if [ "$rc" = 0 ]; then crash_host_is_whole box "$NEW"; fi
	# it never says that a host was left alone, or put back, which was not; when the result could not be written, nothing was said of it
	if grep -q 'cannot write to standard output' "$LAB/err"; then return 0; fi
	if [ "$rc" != 0 ] && [ "$rc" != 11 ] && [ "$rc" -lt 128 ] && [ "$rc" != 7 ]; then crash_host_is_whole box "$OLD"; fi
}

# kill_each PROGRAM VICTIM COUNT: VICTIM dies at COUNT sampled calls of PROGRAM.
kill_each() {
	local calls n
	next_key
	calls=$(crash_count "$1" custos --pin-source "file:$LAB/pin" deploy "$KEY" box)
	[ "$calls" -gt 10 ]
	for n in $(crash_sample "$3" "$calls"); do hit_deploy -p "$1" -v "$2" -- "$n" kill; done
}

@test "the harness itself: it counts, kills, fails, halves and looks" {
	# Goal: a harness that hits nothing proves nothing.
	crash_fault 0 kill sh -c 'echo a > "$0"; echo b > "$0"' "$LAB/file"
	[ "$(sed -n 's/^counted //p' "$LAB/report")" -ge 4 ]
	[ -z "$(crash_hit)" ]
	expect 137 crash_fault -c write 1 kill sh -c 'echo abcdefgh > "$0"' "$LAB/file"
	[ ! -s "$LAB/file" ]
	[[ $(crash_hit) == "1 "*" write" ]]
	crash_fault -c write 1 short dd if=/dev/zero of="$LAB/file" bs=100 count=1 2> /dev/null
	[ "$(stat -c %s "$LAB/file")" = 100 ] || [ "$(stat -c %s "$LAB/file")" = 50 ]
	[ -n "$(crash_hit)" ]
	for error in eio:Input/output enospc:'No space left' eperm:'not permitted'; do
		run crash_fault -c write 1 "${error%%:*}" dd if=/dev/zero of="$LAB/file" bs=100 count=1
		[ "$status" -ne 0 ]
		[[ $output == *"${error#*:}"* ]]
	done
	printf '#!/bin/sh\necho "$1" >> %s\n' "$LAB/looked" > "$LAB/looker"
	chmod 700 "$LAB/looker"
	crash_fault -x "$LAB/looker" -c write -e 1 1 look sh -c 'echo a; echo b; echo c' > /dev/null
	[ "$(wc -l < "$LAB/looked")" = 3 ]
}

@test "deploy: the keeper is killed" {
	# Goal: the release is found open by the next command; the courier goes back by itself where it can.
	kill_each custos custos 5
}

@test "deploy: the keeper is killed while the courier works" {
	# Goal: a courier whose keeper disappears puts back what it switched, or leaves it to the dead man's switch.
	kill_each custos-courier custos 4
}

@test "deploy: the courier is killed" {
	# Goal: the keeper survives it, says so, records it; the dead man's switch restores the host.
	kill_each custos-courier custos-courier 6
}

@test "deploy: the token process is killed" {
	# Goal: the keeper survives it; what it knows is recorded; the token is repaired when it was torn.
	kill_each custos-token custos-token 4
	kill_each custos-courier custos-token 3
}

@test "a token torn by a kill during login is put back from the safety copy, every time, and that is in the log" {
	# Goal: SoftHSM truncates token.object at each login; no kill may cost the token.
	local calls n rc before
	before=$(lab_log_size)
	calls=$(crash_count custos-token custos --pin-source "file:$LAB/pin" key generate counted)
	for n in $(seq "$calls"); do
		POINT="kill custos-token at its call $n"
		rc=0
		crash_fault -p custos-token "$n" kill custos --pin-source "file:$LAB/pin" key generate "torn$n" > /dev/null 2>&1 || rc=$?
		[ "$rc" -ne 0 ] || [ -z "$(crash_hit)" ]
		custos_in key generate "whole$n" > /dev/null
		crash_record_is_whole
	done
	[ "$(lab_events "$before" | grep -c '^token.repaired$')" -ge 1 ]
	# and the crude way: the file is empty
	: > "$(softhsm_token_dir "$(cat "$LAB/serial")")/token.object"
	before=$(lab_log_size)
	custos_in key generate afterwards > /dev/null
	lab_events "$before" > "$LAB/events"
	[ "$(head -n 1 "$LAB/events")" = token.repaired ]
	grep -qx key.generate "$LAB/events"
	custos log verify
}

# usable KEY: its container is unwrapped and signs.
usable() { custos_in csr create "$1" --subject CN=box.example.com --san dns:box.example.com > /dev/null; }

# hit_key OPTION… -- N ACTION: key generate that this happens to. Acknowledged is there and usable, not acknowledged is all there or not at all.
hit_key() {
	local options=() rc=0 name=k$((++KEYS))
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	POINT="key generate: ${options[*]} $2 $3"
	crash_fault "${options[@]}" "$2" "$3" custos --pin-source "file:$LAB/pin" key generate "$name" --type ec-p256 > "$LAB/out" 2> "$LAB/err" || rc=$?
	POINT="$POINT, hit $(crash_hit), exit $rc: $(cat "$LAB/err")"
	crash_record_is_whole
	if [ "$rc" = 0 ]; then custos key show "$name" > /dev/null; fi
	if custos key show "$name" > /dev/null 2>&1; then usable "$name"; fi
	usable one
}

@test "key generate: killed, and with a disk that fails, at sampled points" {
	# Goal: no acknowledged key is ever lost.
	local program calls n action count
	KEYS=0
	for program in custos custos-token; do
		calls=$(crash_count "$program" custos --pin-source "file:$LAB/pin" key generate "count-$program" --type ec-p256)
		for action in kill eio enospc short; do
			count=3
			for n in $(crash_sample "$count" "$calls"); do hit_key -p "$program" -- "$n" "$action"; done
		done
	done
}

@test "csr create and cert accept: killed at sampled points" {
	# Goal: what is not in the log did not happen, and can be done again.
	local calls n rc
	calls=$(crash_count custos custos --pin-source "file:$LAB/pin" csr create one --subject CN=box.example.com --san dns:box.example.com -o "$LAB/count.csr")
	for n in $(crash_sample 4 "$calls"); do
		POINT="csr create: kill custos at its call $n"
		rm -f "$LAB/again.csr"
		crash_fault -p custos "$n" kill custos --pin-source "file:$LAB/pin" csr create one --subject CN=box.example.com --san dns:box.example.com -o "$LAB/again.csr" > /dev/null 2>&1 || true
		crash_record_is_whole
		# a file is whole or was never acknowledged; either way the same request can be made under another name
		rm -f "$LAB/next.csr"
		custos_in csr create one --subject CN=box.example.com --san dns:box.example.com -o "$LAB/next.csr" > /dev/null
		openssl req -in "$LAB/next.csr" -noout -verify 2> /dev/null
	done
	lab_ca_sign "$LAB/ca" "$LAB/next.csr" "$LAB/renewed"
	cp "$LAB/one.p7b" "$LAB/before.p7b"
	calls=$(crash_count custos custos --pin-source "file:$LAB/pin" cert accept one "$LAB/one.p7b")
	for n in $(crash_sample 4 "$calls"); do
		POINT="cert accept: kill custos at its call $n"
		rc=0
		crash_fault -p custos "$n" kill custos --pin-source "file:$LAB/pin" cert accept one "$LAB/renewed.p7b" > /dev/null 2>&1 || rc=$?
		[ "$rc" -ne 0 ]
		crash_record_is_whole
		[ "$(lab_leaf one)" = "$ONE" ] || [ "$(lab_leaf one)" = "$(openssl x509 -in "$LAB/renewed.leaf.pem" -outform DER | sha256sum | cut -d ' ' -f 1)" ]
		custos_in cert accept one "$LAB/before.p7b" > /dev/null
		[ "$(lab_leaf one)" = "$ONE" ]
	done
}

@test "init: killed at sampled points" {
	# Goal: a custody is there and whole, or it is not there; the token survives, and another custody can be made.
	local program calls n rc dir
	for program in custos custos-token; do
		calls=$(crash_count "$program" custos --pin-source "file:$LAB/pin" init "$LAB/count-$program" --token "pkcs11:serial=$(cat "$LAB/serial")" --origin custody.example/count)
		for n in $(crash_sample 3 "$calls"); do
			dir=$LAB/init-$program-$n rc=0
			POINT="init: kill $program at its call $n"
			crash_fault -p "$program" "$n" kill custos --pin-source "file:$LAB/pin" init "$dir" --token "pkcs11:serial=$(cat "$LAB/serial")" --origin custody.example/init > /dev/null 2>&1 || rc=$?
			[ "$rc" -ne 0 ]
			rc=0
			custos -C "$dir" log verify > /dev/null 2> "$LAB/err" || rc=$?
			case $rc in
			0) custos -C "$dir" --pin-source "file:$LAB/pin" key generate first > /dev/null ;;
			2 | 6) custos_in init "$dir-again" --token "pkcs11:serial=$(cat "$LAB/serial")" --origin custody.example/init > /dev/null ;;
			*) cat "$LAB/err"; return 1 ;;
			esac
			crash_record_is_whole
		done
	done
}

@test "deploy: a disk that fails at sampled points" {
	# Goal: EIO, ENOSPC and short writes: not acknowledged unless done, and the record says what is known.
	local program calls n action
	for program in custos custos-token; do
		next_key
		calls=$(crash_count "$program" custos --pin-source "file:$LAB/pin" deploy "$KEY" box)
		for action in eio enospc short; do
			for n in $(crash_sample 2 "$calls"); do hit_deploy -p "$program" -- "$n" "$action"; done
		done
	done
}

@test "deploy: the disk is full from the middle of the release on" {
	# Goal: an outcome that cannot be written is not lost: exit code, an open release, and a host that is whole.
	# the courier has the key and has begun to switch: the intent is on the disk, nothing after it can be
	hit_deploy -p custos -c pwrite64 -b custos-courier:70 -e 1 -- 1 enospc
	[ -n "$(crash_hit)" ]
	[[ $POINT == *"exit 7"*"release.done could not be recorded: "*"disk is full"*"custos release resolve"* ]]
	grep -q '"event": "release.unknown"' <(custos log show --json)
}

@test "after all of it a deployment still works, and the first key is still what it was" {
	# Goal: nothing that happened above has left something behind that hinders the next one.
	POINT=
	next_key
	custos_in deploy "$KEY" box > /dev/null
	crash_host_is_whole box "$NEW"
	usable one
	usable two
	custos log verify
	custos status --check > /dev/null
}

#!/usr/bin/env bats
# Goal: a release that fails leaves as little as one that succeeds: at every state of it nothing unlocked, at its end nothing at all.
#
# All on locked pages, where the key is found as long as it is there. Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
# shellcheck disable=SC2016  # $ is for the shell at the state
bats_require_minimum_version 1.5.0
# shellcheck source=tests/residue/residue.bash
. "$BATS_TEST_DIRNAME/residue.bash"

setup_file() {
	residue_begin failures
	export LAB=$BATS_FILE_TMPDIR/lab here
	residue_lab rsa-2048
}

setup() {
	BACKEND=mlock
	FORMAT=pkcs8
	# what is left alone puts itself in order soon
	CONFIRM=20
	lab_env box
	OLD=$(lab_served box)
}

teardown() { residue_quiet; }

teardown_file() { residue_end; }

# fails NAME CODE: the last run failed so, clean, and the host serves what it served before.
fails() {
	local name=$1 code=$2
	shift 2
	[ "$CODE" = "$code" ] || { echo "exit $CODE instead of $code"; cat "$LAB/out" "$LAB/err"; return 1; }
	residue_clean "$@"
	serves_old() { [ "$(lab_served box)" = "$OLD" ]; }
	lab_until serves_old
	residue_figures "failure: $name"
}

# caught …: residue_run, again where the courier was gone before it could be looked at: one that fails at once lives for some milliseconds.
caught() {
	local try
	for ((try = 0; try < 10; try++)); do
		if residue_run "$@"; then return 0; fi
	done
	return 1
}

@test "the host is cut off while the key is on its way" {
	# Goal: the key is in the courier, the connection is gone.
	residue_run rsa-2048 --every-state --at "stage key:$(residue_signal_sessions KILL)"
	[ "$CODE" != 0 ]
	fails "cut off while the key is on its way" "$CODE"
}

@test "the host stops reading while the key is on its way" {
	# Goal: a time limit ends it, not the host.
	residue_run rsa-2048 --every-state --at "stage key:$(residue_signal_sessions STOP)"
	[ "$CODE" != 0 ]
	fails "the host stops reading" "$CODE"
}

@test "the host shows another host key than the pinned one" {
	# Goal: no key is on its way at all.
	RESIDUE_PIN="SHA256:$(printf 'A%.0s' {1..43})" residue_target wrong-pin "$LAB/pkcs8.yaml"
	TARGET=wrong-pin caught rsa-2048 --every-state --no-key
	grep -q 'is not the pinned one' "$LAB/err"
	fails "bad host key" 3 no-key
}

@test "the host refuses the login" {
	# Goal: a login key in the courier, no deployed one.
	ssh-keygen -q -t ecdsa -b 256 -N '' -f "$LAB/stranger"
	RESIDUE_LOGIN=$LAB/stranger residue_target stranger "$LAB/pkcs8.yaml"
	TARGET=stranger caught rsa-2048 --every-state --no-key
	fails "wrong login" 4 no-key
}

@test "the host serves something else after the switch, and is rolled back" {
	# Goal: the whole way there and back.
	"$here/esxi/host" "$LAB/box" fault proxy-fails 3>&-
	CONFIRM=60 residue_run rsa-2048 --every-state
	"$here/esxi/host" "$LAB/box" fault proxy-fails off 3>&-
	[[ $(residue_verdict number "$REPORT" states) == *"'roll back'"* ]]
	fails "rollback" 10
}

@test "the keeper is told to end while the key is on its way" {
	# Goal: SIGTERM to the keeper; the courier puts the host in order and ends through its epilogue.
	residue_run rsa-2048 --every-state --at 'stage key:kill -TERM $RESIDUE_KEEPER'
	[ "$CODE" != 0 ]
	fails "SIGTERM to the keeper" "$CODE" orphans
}

@test "the keeper is killed after the switch" {
	# Goal: nobody is left who could tell the courier anything, and it still ends clean.
	residue_run rsa-2048 --every-state --at 'verify:kill -KILL $RESIDUE_KEEPER'
	fails "kill -9 of the keeper" 137 orphans
}

@test "the token process dies before it answers" {
	# Goal: the hosts are ready, and no key comes.
	residue_run rsa-2048 --every-state --no-key --at 'ready:kill -KILL $RESIDUE_TOKEN'
	[ "$CODE" != 0 ]
	fails "custos-token dies" "$CODE" no-key
}

@test "the token hands out another key than it was asked for" {
	# Goal: a key that is not the certificate's is noticed in the courier, goes nowhere, and leaves as little. The key that the host has now is the other one.
	residue_next rsa-2048
	other=rsa-2048-a
	[ "$KEY" != "$other" ] || other=rsa-2048-b
	/usr/bin/python3 - "$CUSTOS_DIR/custody.db" "$(custos key show "$other" --json | lab_json '["container_sha256"]')" "$LAB/container" <<-'END'
		import sqlite3, sys
		row = sqlite3.connect(sys.argv[1]).execute("SELECT data FROM blob WHERE sha256 = ?", (bytes.fromhex(sys.argv[2]),)).fetchone()
		open(sys.argv[3], "wb").write(row[0])
	END
	cp -a "$CUSTOS_DIR/custody.yaml" "$LAB/custody.yaml"
	sed -i "s|^  module: .*|  module: \"$residue_bin/libresidue_other_key.so\"|" "$CUSTOS_DIR/custody.yaml"
	# it is there between two system calls, so instants are taken until one of them has seen it
	for ((try = 0; try < 30; try++)); do
		RESIDUE_CONTAINER=$LAB/container residue_run rsa-2048 --every-state --random 200 --seed $((CUSTOS_SEED += 1))
		residue_clean glimpse
		[ "$(residue_verdict number "$REPORT" courier.locked)" = 0 ] || break
	done
	cp -a "$LAB/custody.yaml" "$CUSTOS_DIR/custody.yaml"
	[ "$CODE" != 0 ]
	grep -q "not the one the certificate was issued for" "$LAB/err"
	fails "another key" "$CODE"
}

@test "the disk of the host is full when the key comes" {
	# Goal: the host takes a part of it.
	residue_run rsa-2048 --every-state --at "stage key:'$here/esxi/host' '$LAB/box' fault full-ramdisk 0 3>&-"
	"$here/esxi/host" "$LAB/box" fault full-ramdisk off 3>&-
	[ "$CODE" != 0 ]
	fails "disk full on the host" "$CODE"
}

@test "the host's own test refuses the pair" {
	# Goal: the key was there, and the host does not want it.
	{ cat "$LAB/pkcs8.yaml"; echo 'test: "/bin/false"'; } > "$LAB/refusing.yaml"
	residue_target refusing "$LAB/refusing.yaml"
	TARGET=refusing residue_run rsa-2048 --every-state
	[ "$CODE" != 0 ]
	fails "the host refuses the pair" "$CODE"
}

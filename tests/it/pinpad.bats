#!/usr/bin/env bats
# Goal: with a token that has a PIN pad of its own no PIN is asked for, read or sent: the person is told where to enter it, and the rest is as with any other PIN.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root. The pad and the person at it are tests/unit/token_shim.c in front of SoftHSM: it writes p for
# a login without a PIN, P for one with a PIN, and types what stands in CUSTOS_SHIM_PIN.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab SOFTHSM2_CONF CUSTOS_SHIM_MODULE CUSTOS_SHIM_PIN
	mkdir -m 700 "$LAB"
	softhsm_setup "$LAB/softhsm"
	softhsm_new_pin "$LAB/so-pin"
	softhsm_new_pin "$LAB/pin"
	softhsm_init_token lab "$LAB/so-pin" "$LAB/pin" > "$LAB/serial"
	lab_ca_new "$LAB/ca"
	# a module is a file of root's that nobody else can write
	install -m 755 "$CUSTOS_BUILD/tests/libtoken_shim.so" "$LAB/shim.so"
	CUSTOS_SHIM_MODULE=$(softhsm_module)
	CUSTOS_SHIM_PIN=$(cat "$LAB/pin")
	export CUSTOS_SHIM=pad CUSTOS_MODULE=$LAB/shim.so CUSTOS_DIR=$LAB/custody CUSTOS_SHIM_REPORT=$LAB/report
	: > "$CUSTOS_SHIM_REPORT"
	away custos init "$CUSTOS_DIR" --token pkcs11:token=lab --origin custody.example/pad --trust "$(lab_ca_root "$LAB/ca")" > "$LAB/init.out" 2> "$LAB/init.err"
	seen p
}

setup() { : > "$CUSTOS_SHIM_REPORT"; }

# away COMMAND…: where there is neither a terminal nor anything to read, so that whoever asks for a PIN fails.
away() { setsid -w "$@" < /dev/null; }

# seen LOGINS: what the pad saw since the test began.
seen() {
	[ "$(cat "$CUSTOS_SHIM_REPORT")" = "$1" ] || { echo "the token saw \"$(cat "$CUSTOS_SHIM_REPORT")\", not \"$1\""; return 1; }
}

told() { grep -qx "custos: enter the PIN of token lab (serial $(cat "$LAB/serial")) on the token's own pad" "$1"; }

@test "the pad is used when no other source is named, and the person is told" {
	told "$LAB/init.err"
	away custos key generate one --type ec-p256 > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/err"
	seen p
	told "$BATS_TEST_TMPDIR/err"
	[ "$(wc -l < "$BATS_TEST_TMPDIR/err")" -eq 1 ]
	# what is read of a custody needs no token, and nobody is sent to its pad
	away custos key list > /dev/null 2> "$BATS_TEST_TMPDIR/err"
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
	seen p
}

@test "named, it is used as well; on a terminal the word goes there and not among the errors" {
	script -qefc "custos --pin-source pinpad key drill --all 2> $BATS_TEST_TMPDIR/err" /dev/null < /dev/null | tr -d '\r' > "$BATS_TEST_TMPDIR/tty"
	seen p
	told "$BATS_TEST_TMPDIR/tty"
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
	sed 's/^pin:.*//' "$CUSTOS_DIR/custody.yaml" > "$BATS_TEST_TMPDIR/kept.yaml"
	echo 'pin: pinpad' >> "$CUSTOS_DIR/custody.yaml"
	away custos key generate named --type ec-p256 > /dev/null 2>&1
	seen pp
	cp "$BATS_TEST_TMPDIR/kept.yaml" "$CUSTOS_DIR/custody.yaml"
}

@test "another source that is named is used instead of the pad" {
	# this pad takes no PIN from outside and says so; the PIN was read and sent because that was asked for
	expect 5 away custos --pin-source "file:$LAB/pin" key generate never
	seen P
}

@test "a wrong PIN at the pad is one attempt, and in the log" {
	before=$(lab_log_size)
	CUSTOS_SHIM_PIN=000wrong000 expect 4 away custos key generate never
	seen p
	told <(echo "$stderr")
	[[ $stderr == *"PIN refused by token"*"one attempt was made"* ]]
	[ "$(lab_events "$before")" = token.login_failed ]
	# nobody is sent to a pad that will not ask
	CUSTOS_SHIM=pad-final-try expect 4 away custos key generate never
	says "no attempt was made"
	CUSTOS_SHIM=pad-cancelled expect 4 away custos key generate never
	[[ $stderr == *"no PIN was entered at the pad"* ]]
	seen pp
	away custos key drill --all > /dev/null 2>&1
	expect 0 custos log verify
}

@test "a token without a pad is refused before any attempt" {
	CUSTOS_SHIM=nothing expect 2 away custos --pin-source pinpad key generate never
	says "has no PIN pad of its own"
	CUSTOS_SHIM=nothing expect 4 away custos key generate never
	says "there is no terminal"
	seen ''
}

@test "nothing else is entered at a pad: not the PINs of a new token, not a pass phrase" {
	expect 2 away custos --pin-source pinpad token init --label new --so-pin-source "file:$LAB/absent"
	says "cannot be set on its own PIN pad"
	expect 2 away custos --pin-source "file:$LAB/pin" token init --label new --so-pin-source pinpad
	says "cannot be entered on a token's own PIN pad"
	seen ''
	[ "$(softhsm_serials)" = "$(cat "$LAB/serial")" ]
}

@test "the doctor comes in by the pad, too" {
	away timeout 300 custos token doctor pkcs11:token=lab --json > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/err"
	seen p
	told "$BATS_TEST_TMPDIR/err"
	[ "$(lab_json '["tier"]' < "$BATS_TEST_TMPDIR/out")" = hardened ]
}

#!/usr/bin/env bats
# Goal: a PKCS#11 module that misbehaves reaches neither the store nor the network nor another process, whatever way it takes; and one that was allowed the
# network gets that and nothing else.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root and opensc (pkcs11-tool).
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	# a module is a file of root's that nobody else can write
	install -m 755 "$CUSTOS_BUILD/tests/prying.so" "$LAB/prying.so"
	/usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(64)
print(s.getsockname()[1], flush=True)
while True: s.accept()' > "$LAB/port" 3>&- &
	echo $! > "$LAB/listener"
	lab_until test -s "$LAB/port"
}

setup() {
	export PRYING_DIR=$CUSTOS_DIR PRYING_REPORT=$BATS_TEST_TMPDIR/report PRYING_PORT
	PRYING_PORT=$(cat "$LAB/port")
}

teardown_file() { kill "$(cat "$LAB/listener")"; }

# with_module MODULE COMMAND…: the custody with another module in its custody.yaml.
with_module() {
	cp "$CUSTOS_DIR/custody.yaml" "$BATS_TEST_TMPDIR/kept.yaml"
	sed -i "s|^  module: .*|  module: \"$1\"|" "$CUSTOS_DIR/custody.yaml"
	shift
	expect 5 "$@"
	cp "$BATS_TEST_TMPDIR/kept.yaml" "$CUSTOS_DIR/custody.yaml"
}

@test "every trial works where nothing is confined" {
	# Goal: a trial that fails everywhere proves nothing. pkcs11-tool loads the module as any program does; a parent of its own stands in for the keeper.
	bash -c 'exec 5< "$PRYING_DIR/custody.yaml"; sleep 0; pkcs11-tool --module "$1" --list-slots; true' bash "$LAB/prying.so" > /dev/null 2>&1
	cat "$PRYING_REPORT"
	[ "$(wc -l < "$PRYING_REPORT")" -eq 18 ]
	run ! grep refused "$PRYING_REPORT"
}

@test "a prying module gets nothing: not the store, not the network, not the keeper" {
	hash=$(cat "$CUSTOS_DIR"/* | sha256sum)
	with_module "$LAB/prying.so" custos_in key generate pried
	says "prying.so"
	cat "$PRYING_REPORT"
	[ "$(wc -l < "$PRYING_REPORT")" -eq 18 ]
	run ! grep worked "$PRYING_REPORT"
	[ "$(cat "$CUSTOS_DIR"/* | sha256sum)" = "$hash" ]
	# the custody is as well as before
	custos_in key generate after > /dev/null
}

@test "a module that may use the network gets the network, and still not the store" {
	with_module "network:$LAB/prying.so" custos_in key generate pried
	grep worked "$PRYING_REPORT"
	for trial in connect datagram; do grep -qx "$trial worked" "$PRYING_REPORT"; done
	for trial in read write list walk make parent-root link mount child mode shorten trace memory signal; do grep -qx "$trial refused" "$PRYING_REPORT"; done
}

@test "without a custody a module has no network either, unless it is said" {
	expect 5 custos token list --module "$LAB/prying.so"
	grep -qx 'connect refused' "$PRYING_REPORT"
	expect 5 custos token list --module "network:$LAB/prying.so"
	grep -qx 'connect worked' "$PRYING_REPORT"
}

@test "what is bound to a module with the network stays bound to it" {
	# Goal: init writes down what was said; every later command says the same.
	softhsm_init_token second "$LAB/so-pin" "$LAB/pin" > "$LAB/serial2"
	expect 0 custos --pin-source "file:$LAB/pin" init "$LAB/second" --token pkcs11:token=second --module network:libsofthsm2.so --trust "$(lab_ca_root "$LAB/ca")"
	grep -q '^  module: "network:/' "$LAB/second/custody.yaml"
	expect 0 custos -C "$LAB/second" --pin-source "file:$LAB/pin" key generate one
	expect 0 custos token list --module network:libsofthsm2.so --json
}

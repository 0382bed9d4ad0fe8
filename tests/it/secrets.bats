#!/usr/bin/env bats
# Goal: a search of every file and of every process during and after a deployment finds no PIN, no password, no PEM and no piece of the key; and the token
# was never asked for what would give the key away.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root, python3 and opensc-pkcs11.
# shellcheck disable=SC2016,SC2086  # $ is for the shell inside; a command is a list of words
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab NEEDLES=$BATS_FILE_TMPDIR/needles TMPDIR=$BATS_FILE_TMPDIR/tmp
	mkdir -m 700 "$NEEDLES" "$TMPDIR"
	lab_new
	# what must not be found; the lab's own files are the sources and lie apart from what is searched
	softhsm_new_pin "$NEEDLES/password.text"
	mv "$LAB/pin" "$NEEDLES/pin.text"
	mv "$LAB/so-pin" "$NEEDLES/so-pin.text"
	ln -s "$NEEDLES/pin.text" "$LAB/pin-link"
	lab_host box --password-file "$NEEDLES/password.text"
	lab_env box
	custos --pin-source "file:$NEEDLES/pin.text" key generate box > /dev/null
	custos --pin-source "file:$NEEDLES/pin.text" csr create box --subject CN=box.example.com --san dns:box.example.com -o "$LAB/box.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/box.csr" "$LAB/box-answer"
	custos --pin-source "file:$NEEDLES/pin.text" cert accept box "$LAB/box-answer.p7b" > /dev/null
	custos --pin-source "file:$NEEDLES/pin.text" target add box --address "$SSH_ADDRESS" --profile "$LAB/esxi-quick.yaml" --hostkey "$HOSTKEY_SHA256" \
		--verify "$HTTPS_ADDRESS" --sni box.example.com --auth "password:file:$NEEDLES/password.text" > /dev/null
	custos --pin-source "file:$NEEDLES/pin.text" key allow box box > /dev/null
	rm "$LAB/login" "$LAB/pin-link"
	printf '%s\n' "$LAB/ca/root.key" "$LAB/ca/intermediate.key" > "$NEEDLES/allowed"
}

setup() { lab_env box; }

teardown() {
	local pid
	[ -e "$BATS_TEST_TMPDIR/pids" ] || return 0
	while read -r pid; do kill "$pid" 2> /dev/null || true; done < "$BATS_TEST_TMPDIR/pids"
}

teardown_file() { lab_end; }

secrets() { /usr/bin/python3 "$BATS_TEST_DIRNAME/../crash/secrets.py" "$@" 3>&-; }

# watched COMMAND…: the command, with every process looked at all the time and at every fourth of its system calls that count.
watched() {
	DUMP=$BATS_TEST_TMPDIR/dump
	/usr/bin/python3 "$BATS_TEST_DIRNAME/../crash/secrets.py" watch "$DUMP" > "$BATS_TEST_TMPDIR/watching" 3>&- &
	echo $! >> "$BATS_TEST_TMPDIR/pids"
	lab_until test -s "$BATS_TEST_TMPDIR/watching"
	printf '#!/bin/sh\nexec /usr/bin/python3 %s once %s "$1"\n' "$BATS_TEST_DIRNAME/../crash/secrets.py" "$DUMP" > "$BATS_TEST_TMPDIR/looker"
	chmod 700 "$BATS_TEST_TMPDIR/looker"
	crash_fault -x "$BATS_TEST_TMPDIR/looker" -e 4 1 look "$@" || return
	kill "$(tail -n 1 "$BATS_TEST_TMPDIR/pids")"
	lab_until grep -q passes "$BATS_TEST_TMPDIR/watching"
}

# take_key: the private key that the host has now, as a needle. The host's own files, and what its boot bank keeps of them, may hold keys.
take_key() {
	local own
	lab_env box
	cp "$ROOT/etc/vmware/ssl/rui.key" "$NEEDLES/deployed.key"
	for own in etc/vmware/ssl/rui.key etc/ssh/ssh_host_ecdsa_key etc/ssh/ssh_host_rsa_key; do
		printf '%s\n' "$ROOT/$own" "$LAB/box/bootbank/state.tgz!local.tgz!$own" >> "$NEEDLES/allowed"
	done
}

# shared_files: what has changed since this began where everybody's files lie. Other tests may run beside this one.
shared_files() {
	find /tmp /var/tmp /dev/shm /run -xdev -type f -newer "$LAB/init.out" -size -2M ! -path "$BATS_RUN_TMPDIR/*" 2> /dev/null || true
}

@test "the search finds what is planted: in files, archives, command lines and environments" {
	# Goal: a search that finds nothing because it cannot find anything proves nothing.
	mkdir "$BATS_TEST_TMPDIR/planted" "$BATS_TEST_TMPDIR/needles"
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$BATS_TEST_TMPDIR/needles/k.key" 2> /dev/null
	cp "$NEEDLES/pin.text" "$BATS_TEST_TMPDIR/needles/p.text"
	openssl pkey -in "$BATS_TEST_TMPDIR/needles/k.key" -outform DER > "$BATS_TEST_TMPDIR/der"
	size=$(stat -c %s "$BATS_TEST_TMPDIR/der")
	openssl pkey -in "$BATS_TEST_TMPDIR/needles/k.key" -pubout > "$BATS_TEST_TMPDIR/planted/public"
	secrets search "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/planted"
	plant() {
		cat > "$BATS_TEST_TMPDIR/planted/$1"
		run secrets search "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/planted"
		[ "$status" = 1 ] || { echo "$1 was not found"; return 1; }
		[[ $output == *"/planted/$1"* ]]
		rm "$BATS_TEST_TMPDIR/planted/$1"
	}
	{ head -c 70000 /dev/urandom; tail -c +$((size - 300)) "$BATS_TEST_TMPDIR/der" | head -c 40; head -c 999 /dev/urandom; } | plant raw
	sed -n '20p' "$BATS_TEST_TMPDIR/needles/k.key" | plant base64-line
	tail -c +$((size - 301)) "$BATS_TEST_TMPDIR/der" | head -c 60 | base64 | plant base64-shifted
	tail -c +$((size - 300)) "$BATS_TEST_TMPDIR/der" | head -c 40 | od -An -v -tx1 | tr -d ' \n' | plant hex
	{ echo some; cat "$NEEDLES/pin.text"; } | plant pin
	printf -- '-----BEGIN ENCRYPTED PRIVATE KEY-----\n%064d\n' 0 | plant pem
	tar -C "$BATS_TEST_TMPDIR" -cz der | plant archive.tgz
	# processes
	PLANTED=$(cat "$NEEDLES/pin.text") sleep 100 3>&- &
	echo $! >> "$BATS_TEST_TMPDIR/pids"
	secrets once "$BATS_TEST_TMPDIR/planted/dump"
	run secrets search "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/planted"
	[ "$status" = 1 ]
	kill "$(cat "$BATS_TEST_TMPDIR/pids")"
	lab_host_run box sh -c 'echo $$ > /tmp/planted; exec sleep 100 '"$(cat "$NEEDLES/pin.text")" 3>&- &
	seen_inside() {
		rm -f "$BATS_TEST_TMPDIR/planted/dump"
		secrets once "$BATS_TEST_TMPDIR/planted/dump"
		! secrets search "$BATS_TEST_TMPDIR/needles" "$BATS_TEST_TMPDIR/planted" > /dev/null 2>&1
	}
	lab_until seen_inside
	lab_host_run box sh -c 'kill $(cat /tmp/planted); rm /tmp/planted'
}

@test "during and after a deployment by password there is no secret in any process list, environment or file" {
	# Goal: PIN, password and key are nowhere but where they belong.
	before=$(lab_served box)
	watched custos --pin-source "file:$NEEDLES/pin.text" deploy box box --reason "looked at"
	[ "$(lab_served box)" = "$(lab_leaf box)" ]
	[ "$(lab_served box)" != "$before" ]
	take_key
	# the pair of before is kept on the host as a copy that the log names
	backup=$(custos target show box --json | lab_json '["deployed"]["backup"]')
	[[ $backup == /vmfs/volumes/datastore1/.custos-box-* ]]
	echo "$LAB/box/datastore1/${backup##*/}/key" >> "$NEEDLES/allowed"
	[ "$(wc -l < "$DUMP")" -gt 20 ]
	secrets search "$NEEDLES" "$DUMP" 3>&-
	secrets search "$NEEDLES" "$CUSTOS_DIR" "$LAB" "$TMPDIR" "$ROOT" /run/lock/custos
	mapfile -t others < <(shared_files)
	secrets among-others "$NEEDLES" "${others[@]}"
	# the same search without the permission finds it exactly where it belongs: it looked there
	mkdir "$BATS_TEST_TMPDIR/strict"
	cp "$NEEDLES"/*.key "$BATS_TEST_TMPDIR/strict"
	run secrets search "$BATS_TEST_TMPDIR/strict" "$ROOT" "$LAB/box"
	[ "$status" = 1 ]
	[ "$(grep -c ': deployed.key$' <<< "$output")" -ge 2 ]
	# the copy of the pair of before is that, and not one of the new key
	[[ $output != *"/key: deployed.key"* ]]
	grep -q 'state.tgz!local.tgz!etc/vmware/ssl/rui.key: deployed.key' <<< "$output"
}

@test "what is printed and logged holds no secret either, also when things fail" {
	# Goal: neither data nor errors nor the log repeat a secret.
	mkdir "$BATS_TEST_TMPDIR/said"
	SAID=0
	said() {
		SAID=$((SAID + 1))
		"$@" > "$BATS_TEST_TMPDIR/said/$SAID.out" 2>&1 || true
	}
	for verb in "status" "key list" "log show" "target list" "target show box" "release list" "token list"; do
		said custos --json $verb
		said custos $verb
	done
	said custos log publish "$BATS_TEST_TMPDIR/said/published"
	said custos --pin-source "file:$NEEDLES/so-pin.text" key generate wrong
	said custos --pin-source "file:$NEEDLES/pin.text" init "$LAB/third" --token "pkcs11:token=lab;pin-value=$(cat "$NEEDLES/pin.text")"
	said custos --pin-source "$(cat "$NEEDLES/pin.text")" key generate wrong
	"$here/esxi/host" "$LAB/box" fault cut-ssh-at-switch 3>&-
	said custos --pin-source "file:$NEEDLES/pin.text" rollback box
	[ "$(find "$BATS_TEST_TMPDIR/said" -type f | wc -l)" -gt 18 ]
	secrets search "$NEEDLES" "$BATS_TEST_TMPDIR/said"
}

@test "the token is never asked to decrypt, to show a value, or to change an attribute" {
	# Goal: the module's own record of a deployment (pkcs11-spy between custos-token and SoftHSM) holds only what the design says.
	sed -i 's|^  module: .*|  module: "pkcs11-spy.so"|' "$CUSTOS_DIR/custody.yaml"
	PKCS11SPY=$(softhsm_module) PKCS11SPY_OUTPUT=$BATS_TEST_TMPDIR/spy
	export PKCS11SPY PKCS11SPY_OUTPUT
	custos --pin-source "file:$NEEDLES/pin.text" key generate spied > /dev/null
	custos --pin-source "file:$NEEDLES/pin.text" csr create spied --subject CN=box.example.com --san dns:box.example.com -o "$LAB/spied.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/spied.csr" "$LAB/spied"
	custos --pin-source "file:$NEEDLES/pin.text" cert accept spied "$LAB/spied.p7b" > /dev/null
	custos --pin-source "file:$NEEDLES/pin.text" key allow spied box > /dev/null
	: > "$PKCS11SPY_OUTPUT"
	custos --pin-source "file:$NEEDLES/pin.text" deploy spied box > /dev/null
	calls=$(sed -n 's/^[0-9]*: \(C_[A-Za-z]*\)$/\1/p' "$PKCS11SPY_OUTPUT" | sort | uniq -c)
	[ "$(awk '$2 == "C_Login" { print $1 }' <<< "$calls")" = 1 ]
	[ "$(awk '$2 == "C_WrapKey" { print $1 }' <<< "$calls")" = 1 ]
	# the KEK's canary and the key
	[ "$(awk '$2 == "C_UnwrapKey" { print $1 }' <<< "$calls")" = 2 ]
	[ "$(awk '$2 == "C_DeriveKey" { print $1 }' <<< "$calls")" = 1 ]
	run ! grep -E '^[0-9]+: C_(Decrypt|Encrypt|SetAttributeValue|CopyObject|CreateObject|Digest|SetPIN|InitPIN|InitToken|GenerateKey$|SignRecover|Verify)' "$PKCS11SPY_OUTPUT"
	run ! grep -E 'CKA_(VALUE|PRIVATE_EXPONENT|PRIME_1|PRIME_2|EXPONENT_1|EXPONENT_2|COEFFICIENT) ' "$PKCS11SPY_OUTPUT"
	# every session object of the release is destroyed again: what was unwrapped, derived and generated
	[ "$(awk '$2 == "C_DestroyObject" { print $1 }' <<< "$calls")" -ge 4 ]
	# SoftHSM has nothing new on the disk but its own housekeeping
	take_key
	secrets search "$NEEDLES" "$LAB/softhsm" "$CUSTOS_DIR"
}

#!/usr/bin/env bats
# Goal: the disaster of somebody who followed contradictory instructions by hand (a PKCS#7 bundle as certificate file, the request as key, the wrong
# order, a proxy that says "started" and is dead, no way back after a reboot) cannot happen here: each mistake is answered in plain words before the host
# is touched, or put right; what goes wrong after the switch is rolled back, and what became of it is told and logged.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

# `prod` is the host that nothing may touch in the first half; faults after the switch get a host of their own.
setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	lab_host prod
	lab_pair prod
}

setup() {
	lab_env prod
	snapshot=$(lab_snapshot prod)
	served=$(lab_served prod)
	visits=$(lab_auth_log prod | grep -c 'Connection from')
	size=$(lab_log_size)
}

teardown_file() {
	lab_end
}

# lab_pair NAME: key and target for a host that is there, allowed.
lab_pair() {
	lab_key "$1"
	lab_target "$1"
	custos_in key allow "$1" "$1" > /dev/null
}

fault() { "$here/esxi/host" "$LAB/$1" fault "${@:2}"; }

# The host is as it was before the test: certificate served, every file, no release in the log.
untouched() {
	[ "$(lab_served prod)" = "$served" ]
	[ "$(lab_snapshot prod)" = "$snapshot" ]
	run ! grep -q '^release' <<< "$(lab_events "$size")"
}

# The same, and nobody even connected.
unvisited() {
	untouched
	[ "$(lab_auth_log prod | grep -c 'Connection from')" -eq "$visits" ]
}

# accept_refused TEXT FILE…: neither check nor accept takes the files for key prod, both say TEXT; the certificate accepted before is still the one.
accept_refused() {
	local text=$1 leaf
	shift
	leaf=$(lab_leaf prod)
	expect 6 custos_in cert accept prod "$@"
	[[ $output$stderr == *"$text"* ]] || { echo "not said: $text"; echo "$output$stderr"; return 1; }
	[[ $output == *"no server could use this"* ]]
	[ "$(lab_leaf prod)" = "$leaf" ]
	[ "$(lab_log_size)" -eq "$size" ]
	unvisited
}

# serves NAME LEAF, and the key on the host belongs to it
serves() {
	[ "$(lab_served "$1")" = "$2" ]
	[ "$(openssl x509 -in "$ROOT/etc/vmware/ssl/rui.crt" -outform DER | sha256sum | cut -d' ' -f1)" = "$2" ]
	[ "$(openssl pkey -in "$ROOT/etc/vmware/ssl/rui.key" -pubout)" = "$(openssl x509 -in "$ROOT/etc/vmware/ssl/rui.crt" -noout -pubkey)" ]
}

# The host of a deployment that failed after the switch: old pair served and stored, modes as before, nothing left behind, also after a power cut.
rolled_back() {
	local name=$1 old=$2 modes=$3
	serves "$name" "$old"
	[ "$(pair_modes)" = "$modes" ]
	[ -z "$(ls -A "$ROOT/tmp")$(ls -A "$LAB/$name/datastore1")" ]
	power_cut "$name"
	serves "$name" "$old"
	[ "$(pair_modes)" = "$modes" ]
}

# power_cut NAME: and boot again; only the boot bank and the datastore are left.
power_cut() {
	"$here/esxi/host" "$LAB/$1" reboot > /dev/null
	lab_env "$1"
}

pair_modes() { (cd "$ROOT/etc/vmware/ssl" && stat -c '%n %a %U:%G' rui.crt rui.key); }

# last_entry PATH…: values out of the last entry of the log
last_entry() { custos log show --from "$(($(lab_log_size) - 1))" --json | lab_json "${@/#/[0]}"; }

# ---- what the CA sent, and what was made of it ----

@test "a PKCS#7 bundle as certificate file is converted, a wrong order is put right" {
	# Goal: whatever the form, the host gets PEM, its own certificate first; said as done, not as an error.
	lab_key bundle
	lab_host bundle
	lab_target bundle
	custos_in key allow bundle bundle > /dev/null
	# PKCS#7 in PEM, in DER, and PKCS#7 that calls itself CERTIFICATE
	{ echo "-----BEGIN CERTIFICATE-----"; grep -v -- ----- "$LAB/bundle.p7b"; echo "-----END CERTIFICATE-----"; } > "$LAB/bundle.crt"
	for file in bundle.p7b bundle.der.p7b bundle.crt; do
		expect 0 custos_in cert accept bundle "$LAB/$file"
		[[ $output == *"fixed: "*"PKCS#7"*"converted"* ]]
		[[ $output == *"fixed: "*"wrong order; fixed"* ]]
		[[ $output == *"fixed: "*"root"*"left out"* ]]
	done
	{ cat "$(lab_ca_intermediate "$LAB/ca")" "$LAB/bundle.leaf.pem"; } > "$LAB/backwards.pem"
	expect 0 custos_in cert accept bundle "$LAB/backwards.pem"
	[[ $output == *"wrong order; fixed"* ]]
	custos_in deploy bundle bundle > /dev/null
	serves bundle "$(lab_leaf bundle)"
	cmp "$ROOT/etc/vmware/ssl/rui.crt" "$LAB/bundle.chain.pem"
}

@test "a request given as certificate or as key is called a request" {
	# Goal: the message says what the file is and where the key is, instead of "no start line".
	accept_refused "this is a certificate request" "$LAB/prod.csr"
	cp "$LAB/prod.csr" "$BATS_TEST_TMPDIR/rui.key"
	expect 6 custos cert check "$BATS_TEST_TMPDIR/rui.key"
	[[ $output == *"this is a certificate request, not a private key; the key never left the token"* ]]
	# beside a good chain the request does no harm, and is still named
	expect 0 custos_in cert accept prod "$LAB/prod.chain.pem" "$LAB/prod.csr"
	[[ $output == *"certificate request"* ]]
	size=$(lab_log_size)
	unvisited
}

@test "a private key in a file is neither read nor stored, and said to be in nobody's custody" {
	# Goal: the bytes of a key that somebody gives by mistake turn up nowhere.
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$BATS_TEST_TMPDIR/rui.key" 2> /dev/null
	accept_refused "private key" "$BATS_TEST_TMPDIR/rui.key"
	line=$(sed -n 5p "$BATS_TEST_TMPDIR/rui.key")
	[ "${#line}" -eq 64 ]
	run ! grep -F "${line:0:40}" <<< "$output$stderr"
	run ! grep -rqF "${line:0:40}" "$CUSTOS_DIR"
	openssl pkcs8 -topk8 -in "$BATS_TEST_TMPDIR/rui.key" -passout pass:x -out "$BATS_TEST_TMPDIR/locked.key"
	accept_refused "private key" "$BATS_TEST_TMPDIR/locked.key"
}

@test "the certificate of another key is refused, whatever its names" {
	# Goal: keys are compared, not file names: the certificate has the right name and belongs to a key made outside.
	openssl req -new -newkey rsa:2048 -nodes -keyout "$BATS_TEST_TMPDIR/k" -subj /CN=prod.example.com -addext subjectAltName=DNS:prod.example.com \
		-out "$BATS_TEST_TMPDIR/r" 2> /dev/null
	lab_ca_sign "$LAB/ca" "$BATS_TEST_TMPDIR/r" "$BATS_TEST_TMPDIR/other"
	accept_refused "belongs to another key" "$BATS_TEST_TMPDIR/other.p7b"
	lab_key neighbour ec-p256 dns:prod.example.com
	size=$(lab_log_size)
	accept_refused "belongs to another key" "$LAB/neighbour.p7b"
	# the right one among them is found
	expect 0 custos_in cert accept prod "$LAB/neighbour.leaf.pem" "$LAB/prod.p7b" "$BATS_TEST_TMPDIR/other.leaf.pem"
}

@test "a missing intermediate, a strange root, an empty file and junk are refused" {
	# Goal: what nginx -t lets pass and clients do not is refused here.
	accept_refused "the issuer's certificate is missing" "$LAB/prod.leaf.pem"
	accept_refused "the issuer's certificate is missing" "$LAB/prod.leaf.pem" "$(lab_ca_root "$LAB/ca")"
	lab_ca_new "$LAB/stranger"
	lab_ca_sign "$LAB/stranger" "$LAB/prod.csr" "$BATS_TEST_TMPDIR/strange"
	accept_refused "root" "$BATS_TEST_TMPDIR/strange.p7b"
	accept_refused "the issuer's certificate is missing" "$LAB/prod.leaf.pem" "$(lab_ca_intermediate "$LAB/stranger")"
	: > "$BATS_TEST_TMPDIR/empty"
	accept_refused "$BATS_TEST_TMPDIR/empty" "$BATS_TEST_TMPDIR/empty"
	head -c 3000 /dev/urandom > "$BATS_TEST_TMPDIR/junk"
	accept_refused "$BATS_TEST_TMPDIR/junk" "$BATS_TEST_TMPDIR/junk"
	head -c 700 "$LAB/prod.leaf.pem" > "$BATS_TEST_TMPDIR/torn"
	accept_refused "$BATS_TEST_TMPDIR/torn" "$BATS_TEST_TMPDIR/torn"
	# names that were asked for and are not there
	openssl x509 -req -in "$LAB/prod.csr" -CA "$LAB/ca/intermediate.pem" -CAkey "$LAB/ca/intermediate.key" -days 30 -out "$BATS_TEST_TMPDIR/nameless" 2> /dev/null
	accept_refused "lacks names" "$BATS_TEST_TMPDIR/nameless" "$(lab_ca_intermediate "$LAB/ca")"
}

# ---- refused before anybody connects ----

@test "a target the key is not allowed for" {
	# Goal: exit 3, the way to allow it, and no connection.
	lab_key loose rsa-2048 dns:prod.example.com
	size=$(lab_log_size)
	expect 3 custos_in deploy loose prod
	says "key loose is not allowed to go to prod"
	says "custos key allow loose prod"
	expect 3 custos_in deploy loose prod --dry-run
	unvisited
}

@test "an EC key for ESXi" {
	# Goal: the profile knows what the host cannot serve, at the request and at the latest at deploy.
	expect 0 custos_in key generate curve --type ec-p256
	expect 6 custos_in csr create curve --profile esxi --subject CN=prod.example.com --san dns:prod.example.com
	[[ $stderr == *"ESXi"* ]]
	lab_key curve2 ec-p256 dns:prod.example.com
	custos_in key allow curve2 prod > /dev/null
	size=$(lab_log_size)
	expect 3 custos_in deploy curve2 prod
	says "profile esxi does not take ec-p256 keys: ESXi serves RSA keys only"
	unvisited
}

@test "a certificate that does not cover the target's name, or none at all" {
	# Goal: clients would refuse it; so it does not go there.
	lab_key misnamed rsa-2048 dns:other.example.com
	custos_in key allow misnamed prod > /dev/null
	expect 3 custos_in deploy misnamed prod
	says "the certificate does not cover prod.example.com"
	custos_in key generate bare > /dev/null
	custos_in key allow bare prod > /dev/null
	expect 3 custos_in deploy bare prod
	says "has no certificate yet"
	unvisited
}

@test "another release from the same custody is under way" {
	# Goal: one release at a time; the second does not wait in silence.
	expect 3 flock "$CUSTOS_DIR/release.lock" custos --pin-source "file:$LAB/pin" deploy prod prod
	says "another release from this custody is under way"
	unvisited
}

@test "a store that was edited releases nothing" {
	# Goal: what the log names is what is used: a changed entry, a swapped container, a profile with another path are tampering.
	profile=$(custos target show prod --json | lab_json '["profile_sha256"]')
	container=$(custos key show prod --json | lab_json '["container_sha256"]')
	tampered() {
		rm -rf "$BATS_TEST_TMPDIR/c"
		cp -r "$CUSTOS_DIR" "$BATS_TEST_TMPDIR/c"
		/usr/bin/python3 -c 'import sqlite3,sys; db = sqlite3.connect(sys.argv[1]); assert db.execute(sys.argv[2]).rowcount == 1; db.commit()' \
			"$BATS_TEST_TMPDIR/c/custody.db" "$1"
		expect 13 custos -C "$BATS_TEST_TMPDIR/c" --pin-source "file:$LAB/pin" deploy prod prod
		unvisited
	}
	tampered "update blob set data = cast(replace(cast(data as text), 'rui.key', 'rui.kez') as blob) where hex(sha256) = upper('$profile')"
	tampered "update blob set data = (select data from blob where kind = 'container' and hex(sha256) != upper('$container') limit 1) where hex(sha256) = upper('$container')"
	tampered "update entry set leaf = cast(replace(cast(leaf as text), 'prod.example.com', 'evil.example.com') as blob) where cast(leaf as text) like '%target.add%\"prod\"%' and idx < 10"
	tampered "delete from entry where idx = 2"
	tampered "delete from entry where idx = (select max(idx) from entry)"
	tampered "delete from blob where hex(sha256) = upper('$container')"
}

# ---- refused by the host's state, before anything is switched ----

@test "another host key than the pinned one: no login is attempted" {
	# Goal: exit 3, both fingerprints told, and the host saw no authentication.
	pin=SHA256:$(printf 'another' | openssl dgst -sha256 -binary | base64 | tr -d =)
	lab_env prod
	custos_in target add moved --address "$SSH_ADDRESS" --profile "$LAB/esxi-quick.yaml" --hostkey "$pin" --verify "$HTTPS_ADDRESS" --sni prod.example.com \
		--auth "key:$LAB/login" > /dev/null
	custos_in key allow prod moved > /dev/null
	before=$(lab_auth_log prod | wc -l)
	expect 3 custos_in deploy prod moved
	says "$HOSTKEY_SHA256"
	says "$pin"
	run ! grep -E 'Accepted|Failed|Postponed|authenticating' <<< "$(lab_auth_log prod | tail -n "+$((before + 1))")"
	untouched
}

@test "a full RAM disk" {
	# Goal: room is proven by taking it; exit 9, and not a byte of the key travelled: there was no intent.
	fault prod full-ramdisk
	snapshot=$(lab_snapshot prod)
	expect 9 custos_in deploy prod prod
	says "prod: "
	[[ $stderr == *"no room"* || $stderr == *"full or read-only"* ]]
	untouched
	# so little that not even the lock can be written
	fault prod full-ramdisk off
	fault prod full-ramdisk 0
	expect 9 custos_in deploy prod prod
	says "full or read-only"
	untouched
	fault prod full-ramdisk off
}

@test "a read-only rui.key" {
	# Goal: found before the switch, so certificate and key never come apart.
	fault prod readonly-key
	snapshot=$(lab_snapshot prod)
	expect 9 custos_in deploy prod prod
	says "/etc/vmware/ssl/rui.key cannot be written"
	untouched
	fault prod readonly-key off
}

@test "a host that a vCenter manages" {
	# Goal: vpxa running, or a configuration that names a vCenter: exit 3 with the remedy, because vCenter would replace the certificate again.
	fault prod managed
	snapshot=$(lab_snapshot prod)
	expect 3 custos_in deploy prod prod
	says "managed by vCenter"
	says "replace the certificate in vCenter"
	untouched
	fault prod managed off
	mkdir "$ROOT/etc/vmware/vpxa"
	echo '<config><vpxa><serverIp>192.0.2.10</serverIp></vpxa></config>' > "$ROOT/etc/vmware/vpxa/vpxa.cfg"
	snapshot=$(lab_snapshot prod)
	expect 3 custos_in deploy prod prod
	says "belongs to a vCenter"
	untouched
	rm -r "$ROOT/etc/vmware/vpxa"
}

@test "a host locked by another deployer, and a lock that was left behind" {
	# Goal: a lock of somebody else is respected and left alone; one that is past its time gives way.
	fault prod locked
	snapshot=$(lab_snapshot prod)
	expect 3 custos_in deploy prod prod
	says "another deployment holds the lock /tmp/.custos.lock"
	untouched
	[ -d "$ROOT/tmp/.custos.lock" ]
	echo $(($(date +%s) + 900)) > "$ROOT/tmp/.custos.lock/until"
	expect 3 custos_in deploy prod prod
	echo $(($(date +%s) - 1)) > "$ROOT/tmp/.custos.lock/until"
	expect 0 custos_in deploy prod prod --dry-run
	[ -d "$ROOT/tmp/.custos.lock" ]
	lab_host stale
	lab_pair stale
	mkdir -m 700 "$ROOT/tmp/.custos.lock"
	echo $(($(date +%s) - 1)) > "$ROOT/tmp/.custos.lock/until"
	expect 0 custos_in deploy stale stale
	[ ! -e "$ROOT/tmp/.custos.lock" ]
	lab_env prod
	rm -r "$ROOT/tmp/.custos.lock"
}

@test "a host without SSH, and one that goes away" {
	# Goal: exit 8 in one line; nothing is in the log but what happened.
	fault prod no-ssh
	snapshot=$(lab_snapshot prod)
	expect 8 custos_in deploy prod prod
	says "cannot connect"
	expect 8 custos deploy prod prod --dry-run
	untouched
	fault prod no-ssh off
}

# ---- after the switch ----

@test "the proxy dies with the new certificate: rolled back, exit 10, and the log tells all of it" {
	# Goal: the forum's disaster with the net that was missing: init script "started", exit 0, and nothing is served.
	lab_host dies
	lab_pair dies
	old=$(lab_served dies)
	modes=$(pair_modes)
	fault dies proxy-fails
	size=$(lab_log_size)
	expect 10 custos_in deploy dies dies --json --reason "a bad day"
	says "dies: the new certificate was not served"
	[ "$(lab_json '[0]["result"]' '[0]["category"]' '[0]["log_index"]' <<< "$output")" = "rolled_back rolled_back $((size + 1))" ]
	[ "$(lab_json '[0]["served_spki_sha256"]' <<< "$output")" = "$(openssl x509 -in "$ROOT/etc/vmware/ssl/rui.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)" ]
	[ "$(lab_events "$size" | tr '\n' ' ')" = "release.intent release.rolled_back " ]
	[ "$(last_entry '["intent"]' '["target"]' '["result"]' '["served_leaf_sha256"]')" = "$size dies rolled_back $old" ]
	[ "$(custos log show --from "$size" --json | lab_json '[0]["reason"]')" = "a bad day" ]
	rolled_back dies "$old" "$modes"
	expect 0 custos log verify
	expect 0 custos status --check
	[ "$(custos release list --json | lab_json '')" = '[]' ]
	[ "$(custos target show dies --json | lab_json '["deployed"]')" = null ]
	expect 3 custos_in rollback dies
	# once the host is well, the same deployment goes through
	fault dies proxy-fails off
	expect 0 custos_in deploy dies dies
	serves dies "$(lab_leaf dies)"
}

@test "a reload that does nothing: the ladder goes on to the restart and succeeds" {
	# Goal: exit 0 of the reload is not believed; only the served certificate is.
	lab_host noop
	lab_pair noop
	watchdog=$(cat "$ROOT/var/run/vmware/watchdog-rhttpproxy.PID")
	fault noop reload-noop
	expect 0 custos_in deploy noop noop
	serves noop "$(lab_leaf noop)"
	[ "$(cat "$ROOT/var/run/vmware/watchdog-rhttpproxy.PID")" != "$watchdog" ]
	power_cut noop
	serves noop "$(lab_leaf noop)"
}

@test "state that cannot be saved, or is only said to be saved, is no success" {
	# Goal: a deployment that the next power cut would undo half is rolled back: exit 10, old pair served and stored.
	lab_host unsaved
	lab_pair unsaved
	old=$(lab_served unsaved)
	modes=$(pair_modes)
	fault unsaved no-auto-backup
	expect 10 custos_in deploy unsaved unsaved
	says "the command that saves the host's state failed"
	fault unsaved no-auto-backup off
	rolled_back unsaved "$old" "$modes"
	fault unsaved auto-backup-noop
	expect 10 custos_in deploy unsaved unsaved
	says "/bootbank/state.tgz did not change"
	rolled_back unsaved "$old" "$modes"
}

@test "the connection dies at the switch: a second one rolls back" {
	# Goal: nobody knows how far the switch came, so it goes back, in the same release.
	lab_host cut
	lab_pair cut
	old=$(lab_served cut)
	modes=$(pair_modes)
	fault cut cut-ssh-at-switch
	expect 10 custos_in deploy cut cut --json
	[ "$(lab_json '[0]["result"]' <<< "$output")" = rolled_back ]
	rolled_back cut "$old" "$modes"
}

@test "no connection can be had any more: exit 11 with the way back, and the host's own switch takes it" {
	# Goal: not rolled back is said so, with commands for the console; the dead man's switch on the host needs nobody.
	lab_host lost
	lab_pair lost
	old=$(lab_served lost)
	modes=$(pair_modes)
	fault lost lose-ssh-at-switch
	size=$(lab_log_size)
	expect 11 custos_in deploy lost lost --json --confirm-within 10
	[[ $stderr == *"custos: hint: on the host run: cat /vmfs/volumes/datastore1/.custos-lost-"*"/certificate > /etc/vmware/ssl/rui.crt"* ]]
	[ "$(lab_json '[0]["result"]' <<< "$output")" = not_rolled_back ]
	[ "$(lab_events "$size" | tr '\n' ' ')" = "release.intent release.not_rolled_back " ]
	back() { [ "$(lab_served lost)" = "$old" ] && [ -z "$(ls -A "$ROOT/tmp")" ]; }
	lab_until back
	serves lost "$old"
	[ "$(pair_modes)" = "$modes" ]
	fault lost no-ssh off
	expect 0 custos_in deploy lost lost
	serves lost "$(lab_leaf lost)"
}

@test "several hosts: what was not rolled back decides, and is told first" {
	# Goal: 11 before 12 before 10; every host has its own line and its own entry.
	lab_key trio rsa-2048 dns:well.example.com dns:ill.example.com dns:away.example.com
	for name in well ill away; do
		lab_host $name
		lab_target $name
		custos_in key allow trio $name > /dev/null
	done
	fault ill auto-backup-noop
	expect 12 custos_in deploy trio well ill --json
	/usr/bin/python3 -c 'import json,sys; r={x["target"]: x["result"] for x in json.load(sys.stdin)}; assert r == {"well": "deployed", "ill": "rolled_back"}, r' <<< "$output"
	fault away lose-ssh-at-switch
	expect 11 custos_in deploy trio ill away --json --confirm-within 10
	says "away: "
	/usr/bin/python3 -c 'import json,sys; r={x["target"]: x["result"] for x in json.load(sys.stdin)}; assert r == {"ill": "rolled_back", "away": "not_rolled_back"}, r' <<< "$output"
}

#!/usr/bin/env bats
# Goal: custos target probe looks at a host as a deployment would, tells everything that would stop one with its remedy and the exit code that a deployment would have,
# and leaves nothing behind: no file, no time stamp, no lock, no entry in the log.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root and nginx.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/it/web.bash
. "$BATS_TEST_DIRNAME/web.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	lab_host box
	lab_key box
	lab_target box
	custos_in key allow box box > /dev/null
}

setup() {
	lab_env box
	snapshot=$(lab_snapshot box strict)
	size=$(lab_log_size)
}

teardown() {
	[ ! -s "$BATS_TEST_TMPDIR/pid" ] || kill "$(cat "$BATS_TEST_TMPDIR/pid")" 2> /dev/null || true
	[ ! -d "$LAB/web" ] || web_end
}

teardown_file() { lab_end; }

fault() { "$here/esxi/host" "$LAB/$1" fault "${@:2}"; }

# probe CODE NAME …: without a PIN and without a terminal to ask for one; then the log has grown by nothing.
probe() {
	local code=$1
	shift
	expect "$code" setsid custos target probe "$@" < /dev/null
	[ "$(lab_log_size)" -eq "$size" ]
}

# found PATH…: values out of the last probe's JSON.
found() { lab_json "$@" <<< "$output"; }

# Nothing on the host is newer, gone or there that was not; nobody holds a lock.
unmoved() {
	[ "$(lab_snapshot "${1:-box}" strict)" = "$snapshot" ]
	[ ! -e "$ROOT/tmp/.custos.lock" ]
}

@test "a host in order: what it is, and what would be done there" {
	probe 0 box --json
	[ "$(found '["target"]' '["version"]' '["ready"]' '["login_offered"][0]')" = "box VMware ESXi 8.0.2 build-22380479 true publickey" ]
	[ "$(found '["files"][0]["path"]' '["files"][0]["mode"]' '["files"][1]["path"]' '["files"][1]["owner"]')" = "/etc/vmware/ssl/rui.crt 1644 /etc/vmware/ssl/rui.key 0:0" ]
	[ "$(found '["files"][0]["sha256"]')" = "$(sha256sum < "$ROOT/etc/vmware/ssl/rui.crt" | cut -d' ' -f1)" ]
	run ! grep -q "$(sha256sum < "$ROOT/etc/vmware/ssl/rui.key" | cut -d' ' -f1)" <<< "$output"
	probe 0 box --json
	[ "$(found '["served_leaf_sha256"]' '["serves_what_was_deployed"]')" = "$(lab_served box) null" ]
	[ "$(found '["obstacles"]')" = '[]' ]
	[ "$(found '["room"][0]["directory"]' '["room"][1]["directory"]')" = "/tmp /etc/vmware/ssl" ]
	[ "$(found '["room"][0]["free_kib"]')" -gt "$(found '["room"][0]["needed_kib"]')" ]
	# the plan is that of the deployment, word for word
	plan=$(found '["plan"]')
	expect 0 custos deploy box box --dry-run --json
	[ "$plan" = "$(lab_json '[0]["plan"]' <<< "$output")" ]
	unmoved
	probe 0 box
	[[ $output == *"Nothing was found that would stop a deployment."*"What \`custos deploy\` would do there:"*"1. take the lock in /tmp"*"/sbin/auto-backup.sh"* ]]
	unmoved
	expect 2 custos target probe
	expect 6 custos target probe nobody
	expect 0 custos log verify
}

@test "what would stop a deployment is told, all of it, with remedies; exit as a deployment's" {
	# Goal: each fault alone has the same exit code as the deployment that meets it; all at once are all told.
	same_as_deploy() {
		local code=$1 text=$2
		snapshot=$(lab_snapshot box strict)
		probe "$code" box --json
		says "box: "
		says "$text"
		[[ $stderr == *"custos: hint: "* ]]
		[ "$(found '["ready"]')" = false ]
		unmoved
		expect "$code" custos_in deploy box box
		[[ $stderr == *"custos: hint: "* ]]
	}
	fault box managed
	same_as_deploy 3 "managed by vCenter"
	probe 3 box --json
	[ "$(found '["report"][1]["name"]' '["report"][1]["says"]')" = "managed by vCenter yes" ]
	fault box managed off
	fault box full-ramdisk
	same_as_deploy 9 "no room in /tmp"
	fault box full-ramdisk off
	fault box readonly-key
	same_as_deploy 9 "/etc/vmware/ssl/rui.key cannot be written"
	fault box readonly-key off
	fault box locked
	snapshot=$(lab_snapshot box strict)
	probe 3 box
	says "another deployment holds the lock /tmp/.custos.lock"
	says "wait until it has ended"
	[ "$(lab_snapshot box strict)" = "$snapshot" ]
	fault box locked off

	fault box managed
	fault box full-ramdisk
	fault box readonly-key
	probe 3 box
	[[ $output == *"managed by vCenter"*"replace the certificate in vCenter"*"rui.key cannot be written"*"no room in /tmp"*"make room there"*"What \`custos deploy\` would do there"* ]]
	says "managed by vCenter"
	for name in managed full-ramdisk readonly-key; do fault box $name off; done
	probe 0 box
	# a program that the profile needs
	sed 's/^require: \[/&no-such-program, /' "$LAB/esxi-quick.yaml" > "$LAB/needy.yaml"
	custos_in target add needy --address "$SSH_ADDRESS" --profile "$LAB/needy.yaml" --hostkey "$HOSTKEY_SHA256" --verify "$HTTPS_ADDRESS" --auth "key:$LAB/login" > /dev/null
	size=$(lab_log_size)
	probe 9 needy
	says "the program no-such-program is not on the host"
}

@test "a host that cannot be reached, another host key, a login that is refused, lockdown" {
	# Goal: the exit codes of a deployment; the plan is told all the same; no attempt is made at a host with another key, and one where it is refused.
	fault box no-ssh
	probe 8 box --json
	says "cannot connect"
	[ "$(found '["plan"][0]["step"]' '["version"]' '["ready"]' '["obstacles"][0]["category"]')" = "lock null false network" ]
	fault box no-ssh off
	pin=SHA256:$(printf 'another' | openssl dgst -sha256 -binary | base64 | tr -d =)
	custos_in target add moved --address "$SSH_ADDRESS" --profile "$LAB/esxi-quick.yaml" --hostkey "$pin" --verify "$HTTPS_ADDRESS" --auth "key:$LAB/login" > /dev/null
	size=$(lab_log_size)
	before=$(lab_auth_log box | wc -l)
	probe 3 moved
	says "$HOSTKEY_SHA256"
	says "$pin"
	run ! grep -E 'Accepted|Failed|Postponed|authenticating' <<< "$(lab_auth_log box | tail -n "+$((before + 1))")"
	# what lockdown mode looks like from outside: the port is open and nobody gets in
	"$here/esxi/host" "$LAB/box" exec /bin/sh -c 'mv /etc/ssh/keys-root/authorized_keys /etc/ssh/keys-root/locked'
	before=$(lab_auth_log box | wc -l)
	probe 4 box
	says "refused the login of root"
	says "lockdown mode"
	[ "$(lab_auth_log box | tail -n "+$((before + 1))" | grep -c 'Connection from')" -eq 1 ]
	"$here/esxi/host" "$LAB/box" exec /bin/sh -c 'mv /etc/ssh/keys-root/locked /etc/ssh/keys-root/authorized_keys'
	probe 0 box
}

@test "what a host says never moves the cursor, and is never taken for a fact of ours" {
	# Goal: escape sequences, key material and forged marks in the version and in reports; a host that never ends.
	mv "$ROOT/bin/vmware" "$ROOT/bin/vmware.real"
	printf '%s\n' '#!/bin/sh' 'printf "\033]0;owned\007\033[2J evil \302\233 \377 why=x"' > "$ROOT/bin/vmware"
	chmod 755 "$ROOT/bin/vmware"
	for form in "" --json; do
		# shellcheck disable=SC2086
		probe 0 box $form
		run ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2\x9b|\xff' <<< "$output$stderr"
	done
	probe 0 box --json
	[[ $(found '["version"]') == *"evil"* ]]
	# the mark of the answers is not known to whoever writes the command
	printf '%s\n' '#!/bin/sh' 'echo one' 'echo "@@0123456789abcdef why=forged"' 'echo "@@$N refused=yes"; echo "@@$N why=a lie"' > "$ROOT/bin/vmware"
	probe 0 box --json
	[ "$(found '["version"]' '["obstacles"]')" = 'one []' ]
	# a base64 text as long as a key is masked
	printf '%s\n' '#!/bin/sh' 'head -c 180 /dev/zero | base64 | tr -d "\n"' > "$ROOT/bin/vmware"
	probe 0 box --json
	run ! grep -q AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA <<< "$output"
	# more than anybody wants to read
	printf '%s\n' '#!/bin/sh' 'dd if=/dev/zero bs=1024 count=4096 2> /dev/null | tr "\000" "x"' > "$ROOT/bin/vmware"
	probe 0 box --json
	[ "${#output}" -lt 100000 ]
	mv "$ROOT/bin/vmware.real" "$ROOT/bin/vmware"
}

@test "login by an agent: one signature, nothing in the log" {
	custos_in target remove box > /dev/null
	lab_target box --auth agent
	custos_in key allow box box > /dev/null
	size=$(lab_log_size)
	probe 4 box
	says "there is no SSH agent"
	ssh-agent -D -a "$BATS_TEST_TMPDIR/agent" > /dev/null 3>&- &
	echo $! > "$BATS_TEST_TMPDIR/pid"
	export SSH_AUTH_SOCK=$BATS_TEST_TMPDIR/agent
	lab_until test -S "$SSH_AUTH_SOCK"
	ssh-add -q "$LAB/login"
	accepted=$(lab_auth_log box | grep -c 'Accepted publickey') failed=$(lab_auth_log box | grep -c Failed || true)
	probe 0 box
	[ "$(lab_auth_log box | grep -c 'Accepted publickey')" -eq "$((accepted + 1))" ]
	[ "$(lab_auth_log box | grep -c Failed || true)" -eq "$failed" ]
	unmoved
}

@test "a host that serves what custos deployed says so, and one that does not" {
	lab_host deployed
	lab_key deployed
	lab_target deployed
	custos_in key allow deployed deployed > /dev/null
	custos_in deploy deployed deployed > /dev/null
	size=$(lab_log_size)
	snapshot=$(lab_snapshot deployed strict)
	probe 0 deployed --json
	[ "$(found '["served_leaf_sha256"]' '["serves_what_was_deployed"]')" = "$(lab_leaf deployed) true" ]
	unmoved deployed
	"$here/esxi/host" "$LAB/deployed" exec /bin/sh -c '/sbin/generate-certificates; /etc/init.d/rhttpproxy restart' > /dev/null
	others() { [ "$(lab_served deployed)" != "$(lab_leaf deployed)" ] && [ "$(lab_served deployed)" != none ]; }
	lab_until others
	probe 0 deployed --json
	[ "$(found '["serves_what_was_deployed"]')" = false ]
}

@test "another kind of server: nginx by its profile" {
	# Goal: files that are replaced by name, a test of the server's own, a report; an obstacle of its profile; nothing is written.
	web_start pair
	{ web_profile pair; printf 'report:\n  - {name: the master process, run: "test -s %s/nginx.pid && echo there"}\n' "$LAB/web"; } > "$LAB/web.yaml"
	lab_key web ec-p256
	web_target web "$LAB/web.yaml"
	size=$(lab_log_size)
	listing() { find "$LAB/web/tls" "$LAB/web/stage" "$LAB/web/backup" -printf '%p %m %T@ %i\n' | sort; }
	before=$(listing)
	probe 0 web --json
	[[ $(found '["version"]') == "nginx version:"* ]]
	[ "$(found '["files"][1]["kind"]' '["files"][1]["present"]')" = "key true" ]
	/usr/bin/python3 -c 'import json,sys; s=[x["step"] for x in json.load(sys.stdin)["plan"]]; assert "test" in s and "reload" in s and "persist" not in s, s' <<< "$output"
	touch "$LAB/web/managed"
	probe 3 web
	says "somebody else manages this server"
	rm "$LAB/web/managed"
	[ "$(listing)" = "$before" ]
}

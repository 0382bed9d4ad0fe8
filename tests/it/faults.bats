#!/usr/bin/env bats
# Goal: what people, files, disks and networks do wrong ends in one clear error with the right exit code, and nothing is half done.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root, expect and opensc-pkcs11 (its pkcs11-spy shows what the token was asked).
# shellcheck disable=SC2016,SC2086  # $ is for the shell inside; a command is a list of words
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	lab_host box
	lab_key one rsa-2048 dns:box.example.com
	lab_key two rsa-2048 dns:box.example.com
	lab_target box
	custos_in key allow one box > /dev/null
	custos_in key allow two box > /dev/null
	crash_keep_custody
}

# Every test begins with the same custody and token; the host goes on.
setup() {
	YAML=$CUSTOS_DIR/custody.yaml
	crash_restore_custody
	lab_env box
}

teardown() {
	local pid
	[ -e "$BATS_TEST_TMPDIR/pids" ] || return 0
	while read -r pid; do kill "$pid" 2> /dev/null || true; done < "$BATS_TEST_TMPDIR/pids"
}

teardown_file() {
	lab_end
}

# secret_file NAME TEXT: a file that only root can read.
secret_file() { (umask 077 && printf '%s\n' "$2" > "$LAB/$1"); }

# other_key: of the two keys the one that the host does not serve.
other_key() { if [ "$(lab_served box)" = "$(lab_leaf one)" ]; then echo two; else echo one; fi; }

# --- PIN and token ---

@test "a wrong PIN is tried once, the token's flags are told, the attempt is in the log" {
	# Goal: nobody's token is locked by a tool that tries again, and no attempt goes unrecorded. The module's own record says what it was asked.
	sed -i 's|^  module: .*|  module: "pkcs11-spy.so"|' "$YAML"
	PKCS11SPY=$(softhsm_module) PKCS11SPY_OUTPUT=$BATS_TEST_TMPDIR/spy
	export PKCS11SPY PKCS11SPY_OUTPUT
	secret_file wrong 000000000000
	before=$(lab_log_size)
	expect 4 custos --pin-source "file:$LAB/wrong" key generate never
	says "flags now: user PIN count low"
	[ "$(grep -c ': C_Login$' "$PKCS11SPY_OUTPUT")" = 1 ]
	grep -A 12 ': C_Login$' "$PKCS11SPY_OUTPUT" | grep -q CKR_PIN_INCORRECT
	# once with the flags of before, once with those of after
	[ "$(grep -c 'CKF_USER_PIN_COUNT_LOW' "$PKCS11SPY_OUTPUT")" -ge 1 ]
	[ "$(lab_events "$before")" = token.login_failed ]
	[ "$(custos log show --json --from "$before" | lab_json '[0]["pin_count_low"]')" = true ]
	custos log verify
	# the right one is taken after that, and the entry is signed with the next checkpoint
	custos_in key generate later > /dev/null
	custos log verify --json | lab_json '["size"]' | grep -qx "$(custos log checkpoint --json | lab_json '["entries"]')"
}

@test "PIN sources: a file of others, a symbolic link, an empty and an endless line, a descriptor, a program" {
	# Goal: a PIN comes from where it was said and from nowhere else; what cannot be a PIN is never shown to the token.
	before=$(lab_log_size)
	secret_file bare "$(cat "$LAB/pin")"
	chmod 640 "$LAB/bare"
	expect 3 custos --pin-source "file:$LAB/bare" key generate never
	says "can be read by others"
	chmod 600 "$LAB/bare"
	chown 65534 "$LAB/bare"
	expect 3 custos --pin-source "file:$LAB/bare" key generate never
	ln -s pin "$LAB/link"
	expect 4 custos --pin-source "file:$LAB/link" key generate never
	expect 4 custos --pin-source "file:$LAB/absent" key generate never
	secret_file empty ''
	expect 6 custos --pin-source "file:$LAB/empty" key generate never
	says "is empty"
	secret_file endless "$(head -c 100000 /dev/zero | tr '\0' 1)"
	expect 6 custos --pin-source "file:$LAB/endless" key generate never
	says "is longer than"
	expect 2 custos --pin-source fd:x key generate never
	expect 2 custos --pin-source nonsense key generate never
	expect 9 custos --pin-source fd:77 key generate never
	expect 4 custos --pin-source exec:false key generate never
	says "the program for the PIN of token lab"
	[ "$(lab_log_size)" = "$before" ]
	custos --pin-source fd:9 key generate by-descriptor 9< "$LAB/pin" > /dev/null
	custos --pin-source "exec:cat $LAB/pin" key generate by-program > /dev/null
	[ "$(lab_events "$before")" = $'key.generate\nkey.generate' ]
}

@test "without a terminal nothing waits; on a terminal the PIN is not echoed, and an interrupted prompt leaves the echo on" {
	# Goal: a job without a terminal fails at once; at a terminal a fast typist's PIN is on no screen and in no scroll-back.
	expect 4 setsid -w timeout 10 custos key generate never < /dev/null
	says "there is no terminal"
	cat > "$BATS_TEST_TMPDIR/type" <<-'END'
		set timeout 20
		set f [open $env(LAB)/pin]; set pin [gets $f]; close $f
		spawn bash -c {trap : INT; custos key generate typed-$TYPED; echo "exit $?"; stty -a}
		expect "PIN of token"
		if {$env(TYPED) == "pin"} { send "$pin\r" } else { send "\003" }
		expect eof
	END
	TYPED=pin command expect "$BATS_TEST_TMPDIR/type" > "$BATS_TEST_TMPDIR/screen"
	grep -q 'exit 0' "$BATS_TEST_TMPDIR/screen"
	run ! grep -q "$(cat "$LAB/pin")" "$BATS_TEST_TMPDIR/screen"
	custos key show typed-pin > /dev/null
	TYPED=interrupt command expect "$BATS_TEST_TMPDIR/type" > "$BATS_TEST_TMPDIR/screen"
	grep -q 'exit 130' "$BATS_TEST_TMPDIR/screen"
	grep -q '[^-]echo ' "$BATS_TEST_TMPDIR/screen"
}

@test "an unknown token, two that match, a PIN in the URI: no custody is made" {
	# Goal: custos works on the token that was meant or on none, and a PIN is refused where it would be seen.
	expect 5 custos_in init "$LAB/new" --token pkcs11:token=nosuch
	says "no such token; there is"
	softhsm_init_token lab "$LAB/so-pin" "$LAB/pin" > "$LAB/twin"
	before=$(softhsm_count_objects "$(cat "$LAB/serial")")
	expect 5 custos_in init "$LAB/new" --token pkcs11:token=lab
	says "two tokens match"
	[[ $stderr == *"$(cat "$LAB/serial")"*"$(cat "$LAB/twin")"* || $stderr == *"$(cat "$LAB/twin")"*"$(cat "$LAB/serial")"* ]]
	for uri in "pkcs11:token=lab;pin-value=123456789012" "pkcs11:token=lab?pin-value=123456789012" "pkcs11:token=lab?pin-source=file:$LAB/pin"; do
		expect 6 custos_in init "$LAB/new" --token "$uri"
		says "holds a PIN"
		[[ $stderr != *123456789012* ]]
		expect 6 custos token show "$uri"
	done
	[ ! -e "$LAB/new" ]
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" = "$before" ]
	# the custody knows its token by serial number, so a twin does not confuse it
	custos_in key generate sure > /dev/null
	rm -r "$(softhsm_token_dir "$(cat "$LAB/serial")")"
	expect 5 custos_in key generate never
	says "no such token"
}

# --- custody.yaml and the directory ---

@test "a damaged custody.yaml is refused with file, line and reason" {
	# Goal: a file that is not exactly what custos wrote is not half understood.
	total=$(wc -l < "$YAML")
	sed -i 's/^origin:/orgin:/' "$YAML"
	expect 6 custos key list
	says "$YAML:3: \"orgin\" is not known here"
	crash_restore_custody
	head -c 200 "$YAML" > "$LAB/cut" && cat "$LAB/cut" > "$YAML"
	expect 6 custos key list
	says "$YAML:"
	crash_restore_custody
	printf -- '---\ncustos: 1\n' >> "$YAML"
	expect 6 custos key list
	says "$YAML:$((total + 1)): a second document is not allowed"
	crash_restore_custody
	printf 'pin: "a\0b"\n' >> "$YAML"
	expect 6 custos key list
	says "control characters are not allowed"
	crash_restore_custody
	printf 'origin: "custody.example/other"\n' >> "$YAML"
	expect 6 custos key list
	says "$YAML:$((total + 1)): \"origin\" stands here twice"
	crash_restore_custody
	printf 'pin: exec:id\n' >> "$YAML"
	expect 6 custos key list
	says "may only come from the command line"
	crash_restore_custody
	head -c 71680 /dev/zero | tr '\0' '#' >> "$YAML"
	expect 6 custos key list
	says "larger than 64 KiB"
	: > "$YAML"
	expect 6 custos key list
	says "$YAML:1: the file is empty"
}

@test "a custody of others, or one that others may write, is refused; so are links, pipes and directories" {
	# Goal: whoever can change the binding could choose the module, so nothing is read that others may have written.
	chown 65534 "$YAML"
	expect 3 custos key list
	says "belongs to user 65534"
	chown 0 "$YAML" && chmod 660 "$YAML"
	expect 3 custos key list
	says "can be written by others"
	chmod 600 "$YAML" && chown 65534 "$CUSTOS_DIR"
	expect 3 custos key list
	says "belongs to user 65534"
	chown 0 "$CUSTOS_DIR" && chmod 770 "$CUSTOS_DIR"
	expect 3 custos key list
	says "can be written by others"
	chmod 700 "$CUSTOS_DIR"
	chmod 666 "$CUSTOS_DIR/custody.db"
	expect 7 custos key list
	says "can be written by other users"
	chmod 600 "$CUSTOS_DIR/custody.db"
	custos key list > /dev/null
	mv "$YAML" "$LAB/elsewhere.yaml"
	ln -s "$LAB/elsewhere.yaml" "$YAML"
	expect 6 custos key list
	says "custody.yaml"
	rm "$YAML" && mkfifo "$YAML"
	expect 6 timeout 10 custos key list
	says "is not a regular file"
	rm "$YAML" && mkdir "$YAML"
	expect 6 custos key list
	rmdir "$YAML"
	expect 6 custos key list
	says "has no custody.yaml"
	expect 2 custos -C "$LAB/absent" key list
	expect 2 env -u CUSTOS_DIR custos key list
	says "no custody directory was named"
}

@test "a module that others may write is not loaded" {
	# Goal: custody.yaml may name a path, but the code behind it must be root's.
	mkdir "$LAB/modules"
	cp "$(softhsm_module)" "$LAB/modules/mine.so"
	sed -i "s|^  module: .*|  module: \"$LAB/modules/mine.so\"|" "$YAML"
	chown 65534 "$LAB/modules/mine.so"
	expect 5 custos_in key generate never
	says "is not safe to load"
	chown 0 "$LAB/modules/mine.so" && chmod 777 "$LAB/modules"
	expect 5 custos_in key generate never
	says "is not safe to load"
	sed -i "s|^  module: .*|  module: \"../modules/mine.so\"|" "$YAML"
	expect 6 custos_in key generate never
	[ "$(lab_events | grep -c never)" = 0 ]
}

# --- the store ---

@test "a store on a read-only file system: every changing command ends with exit 7, the token is not touched, the host is not connected" {
	# Goal: log not writable, nothing is done.
	before=$(lab_log_size) objects=$(softhsm_count_objects "$(cat "$LAB/serial")") logins=$(lab_auth_log box | wc -l) key=$(other_key)
	export -f lab_auth_log lab_env custos_in
	expect 0 unshare -m bash -c '
		mount --bind "$CUSTOS_DIR" "$CUSTOS_DIR" && mount -o remount,bind,ro "$CUSTOS_DIR" || exit 99
		for command in "key generate never" "csr create one --subject CN=box.example.com --san dns:box.example.com" "deploy '"$key"' box" "key allow one box" "target remove box"; do
			custos_in $command; [ $? = 7 ] || { echo "exit $?: $command" >&2; exit 1; }
		done
		for command in "key list" "log verify" "status" "release list"; do
			custos $command; rc=$?
			case $rc in 0 | 7) ;; *) echo "exit $rc: $command" >&2; exit 1 ;; esac
		done'
	[[ $stderr == *"so must the file system"* ]]
	[ "$(lab_log_size)" = "$before" ]
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" = "$objects" ]
	[ "$(lab_auth_log box | wc -l)" = "$logins" ]
	custos log verify
}

@test "a full disk: exit 7 says so, and with room again everything that was acknowledged is there and verifies" {
	# Goal: a key is acknowledged when it is on the disk, not before.
	export -f custos_in
	expect 0 unshare -m bash -c '
		mkdir "$LAB/small" && mount -t tmpfs -o size=512k,mode=700 tmpfs "$LAB/small" && cp -a "$CUSTOS_DIR" "$LAB/small/custody" || exit 99
		export CUSTOS_DIR=$LAB/small/custody
		dd if=/dev/zero of="$LAB/small/filler" bs=1k 2> /dev/null
		custos key list 2> "$LAB/said"; [ $? = 7 ] && grep -q "free space" "$LAB/said" || { cat "$LAB/said" >&2; exit 1; }
		for room in 40 64 80; do
			truncate -s $((($(stat -c %s "$LAB/small/filler") / 1024 + $(df -k --output=avail "$LAB/small" | tail -1) - room) * 1024)) "$LAB/small/filler"
			dd if=/dev/zero of="$LAB/small/filler" bs=1k count=$(($(df -k --output=avail "$LAB/small" | tail -1) - room)) conv=notrunc oflag=append 2> /dev/null
			for i in $(seq 40); do
				custos_in key generate "k$room-$i" > /dev/null 2> "$LAB/said"; rc=$?
				[ $rc = 0 ] || break
				echo "k$room-$i" >> "$LAB/acknowledged"
			done
			[ $rc = 7 ] || { echo "exit $rc with $room KiB" >&2; cat "$LAB/said" >&2; exit 1; }
			grep -q "free space" "$LAB/said" || { cat "$LAB/said" >&2; exit 1; }
		done
		rm "$LAB/small/filler"
		custos log verify || exit 2
		custos key list --json > "$LAB/keys" || exit 3
		for name in $(cat "$LAB/acknowledged"); do grep -q "\"$name\"" "$LAB/keys" || { echo "$name was acknowledged and is lost" >&2; exit 4; }; done
		custos_in csr create "$(tail -n 1 "$LAB/acknowledged")" --subject CN=x.example.com --san dns:x.example.com > /dev/null || exit 5
		custos_in key generate after > /dev/null || exit 6
		custos log verify'
	[ -s "$LAB/acknowledged" ]
}

# sql STATEMENT: changes the store behind custos's back.
sql() { /usr/bin/python3 -c 'import sqlite3,sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$CUSTOS_DIR/custody.db" "$1"; }

@test "a container that was changed, exchanged or deleted never becomes a release" {
	# Goal: rows are a cache of the log; a row that differs is tampering, and it is found before a host is connected.
	key=$(other_key) logins=$(lab_auth_log box | wc -l) before=$(lab_log_size)
	hash=$(custos key show "$key" --json | lab_json '["container_sha256"]')
	other=$(custos key show "$([ "$key" = one ] && echo two || echo one)" --json | lab_json '["container_sha256"]')
	sql "UPDATE blob SET data = zeroblob(length(data)) WHERE sha256 = x'$hash'"
	expect 13 custos_in deploy "$key" box
	says "is not what the log says"
	crash_restore_custody
	sql "UPDATE blob SET data = (SELECT data FROM blob WHERE sha256 = x'$other') WHERE sha256 = x'$hash'"
	expect 13 custos_in deploy "$key" box
	crash_restore_custody
	sql "DELETE FROM blob WHERE sha256 = x'$hash'"
	expect 13 custos_in deploy "$key" box
	says "is missing from the store"
	expect 13 custos_in csr create "$key" --subject CN=box.example.com --san dns:box.example.com
	[ "$(lab_log_size)" = "$before" ]
	[ "$(lab_auth_log box | wc -l)" = "$logins" ]
}

@test "every other thing that can be done to the store is tampering, and refused by every command" {
	# Goal: an administrator of the database who edits, deletes, cuts or exchanges is found out, without a token.
	size=$(lab_log_size)
	while read -r name statement; do
		crash_restore_custody
		sql "$statement"
		for command in "key list" "log verify" "status" "release list"; do
			expect 13 custos $command || { echo "$name: $command"; return 1; }
		done
		expect 13 custos_in deploy one box || { echo "$name: deploy"; return 1; }
	done <<-END
		leaf-changed UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), 'box', 'bax') AS BLOB) WHERE idx = $((size - 1))
		first-leaf-changed UPDATE entry SET leaf = CAST(leaf || ' ' AS BLOB) WHERE idx = 0
		entry-deleted DELETE FROM entry WHERE idx = 3
		end-cut DELETE FROM entry WHERE idx = $((size - 1))
		all-deleted DELETE FROM entry
		entries-swapped UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = 4) WHERE idx = 3
		checkpoints-deleted DELETE FROM checkpoint
		checkpoint-changed UPDATE checkpoint SET note = zeroblob(200) WHERE size = $size
		checkpoint-emptied UPDATE checkpoint SET note = zeroblob(0) WHERE size = $size
		table-added CREATE TABLE more (a)
		table-lost DROP TABLE blob
		trigger-added CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM blob; END
	END
}

@test "a log that was put back is whole for itself, and caught by whoever kept a checkpoint" {
	# Goal: a rollback of the whole store can be seen only from outside; log verify --since is that outside.
	custos log checkpoint > "$LAB/early"
	cp -a "$CUSTOS_DIR" "$LAB/earlier"
	size=$(lab_log_size)
	custos_in key generate gone > /dev/null
	custos log checkpoint > "$LAB/remembered"
	custos log verify --since "$LAB/early"
	sql "DELETE FROM entry WHERE idx >= $size"
	sql "DELETE FROM checkpoint WHERE size > $size"
	custos log verify
	custos log verify --since "$LAB/early"
	expect 13 custos log verify --since "$LAB/remembered"
	says "put back to an older state"
	# and what is then written in its place is a fork
	custos_in key generate instead > /dev/null
	custos log verify
	expect 13 custos log verify --since "$LAB/remembered"
	says "fork"
	printf 'nonsense\n' > "$LAB/nonsense"
	run custos log verify --since "$LAB/nonsense"
	[ "$status" -ne 0 ]
}

@test "another custody's database, another program's, and no database at all" {
	# Goal: the binding names the log by its key; nothing else passes for it.
	custos_in init "$LAB/other" --token "pkcs11:serial=$(cat "$LAB/serial")" --origin custody.example/lab > /dev/null
	cp "$LAB/other/custody.db" "$CUSTOS_DIR/custody.db"
	expect 13 custos key list
	expect 13 custos_in key generate never
	/usr/bin/python3 -c 'import sqlite3,sys; c = sqlite3.connect(sys.argv[1]); c.execute("CREATE TABLE t (a)"); c.commit()' "$LAB/plain.db"
	cp "$LAB/plain.db" "$CUSTOS_DIR/custody.db"
	expect 7 custos key list
	says "not one of custos"
	head -c 100000 /dev/urandom > "$CUSTOS_DIR/custody.db"
	expect 7 custos key list
	: > "$CUSTOS_DIR/custody.db"
	expect 7 custos key list
	rm "$CUSTOS_DIR/custody.db"
	expect 7 custos key list
	[ ! -e "$CUSTOS_DIR/custody.db" ]
}

# --- the network ---

# peer MODE: somebody on loopback who does not behave; its address is in $PEER.
peer() {
	/usr/bin/python3 "$BATS_TEST_DIRNAME/../crash/peer.py" "$1" > "$BATS_TEST_TMPDIR/$1" 3>&- &
	echo $! >> "$BATS_TEST_TMPDIR/pids"
	lab_until test -s "$BATS_TEST_TMPDIR/$1"
	PEER=$(cat "$BATS_TEST_TMPDIR/$1")
}

# aim NAME SSH_ADDRESS [VERIFY_ADDRESS]: a target that key one may go to.
aim() {
	custos_in target add "$1" --address "$2" --profile "$LAB/esxi-quick.yaml" --hostkey "${4:-SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}" \
		--verify "${3:-$2}" --sni box.example.com --auth "key:$LAB/login" > /dev/null
	custos_in key allow one "$1" > /dev/null
}

# unreachable NAME TEXT: a deployment there ends with exit 8 in less than 30 s, touches nothing and releases nothing.
unreachable() {
	local start=$SECONDS before
	before=$(lab_log_size)
	expect 8 timeout 60 custos --pin-source "file:$LAB/pin" deploy one "$1"
	says "$2"
	[ $((SECONDS - start)) -lt 30 ] || { echo "$1: $((SECONDS - start)) s"; return 1; }
	[ "$(lab_log_size)" = "$before" ] || { echo "$1: something was logged"; return 1; }
	custos status --check > /dev/null
}

@test "hosts that cannot be reached, or do not speak SSH: exit 8, nothing released" {
	# Goal: before a host has shown its key and taken the login there is no intent, let alone a key.
	aim nameless nohost.invalid:22
	unreachable nameless "cannot resolve nohost.invalid"
	aim closed "127.0.0.1:$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
	unreachable closed "Connection refused"
	for mode in garbage hangup banner-garbage; do
		peer "$mode"
		aim "$mode" "$PEER"
		unreachable "$mode" "SSH handshake failed"
	done
}

@test "a host that accepts and says nothing, or one byte now and then, is given up within 30 seconds" {
	# Goal: nobody waits for ever; both silent hosts are tried at once.
	for mode in silent drip; do
		peer "$mode"
		aim "$mode" "$PEER"
	done
	unreachable silent "did not answer in time" &
	waiting=$!
	# a custody allows one release at a time; the second one looks without
	expect 8 timeout 60 custos target scan "$PEER" || { wait "$waiting"; return 1; }
	wait "$waiting"
}

@test "SSH is cut at the switch and can be had again: rolled back, exit 10" {
	# Goal: the outcome is recorded and the host serves what it served before.
	key=$(other_key) old=$(lab_served box) before=$(lab_log_size)
	"$here/esxi/host" "$LAB/box" fault cut-ssh-at-switch 3>&-
	expect 10 custos_in deploy "$key" box --json --confirm-within 10
	[ "$(lab_json '[0]["result"]' <<< "$output")" = rolled_back ]
	[ "$(lab_events "$before")" = $'release.intent\nrelease.rolled_back' ]
	[ "$(lab_served box)" = "$old" ]
	crash_await_host box
	crash_host_is_whole box "$old"
	custos status --check > /dev/null
	custos log verify
}

@test "SSH is cut at the switch for good: exit 11 with the way back by hand, and the host goes back by itself" {
	# Goal: a person is told exactly what to do, and the dead man's switch does it when nobody does.
	key=$(other_key) old=$(lab_served box) before=$(lab_log_size)
	"$here/esxi/host" "$LAB/box" fault lose-ssh-at-switch 3>&-
	expect 11 custos_in deploy "$key" box --json --confirm-within 10
	[ "$(lab_json '[0]["result"]' <<< "$output")" = not_rolled_back ]
	[ "$(lab_events "$before")" = $'release.intent\nrelease.not_rolled_back' ]
	# what is printed is complete and can be pasted: run it, and look
	way=$(sed -n 's/^custos: hint: on the host run: \(.*\); [^;]* lists the files. modes and owners$/\1/p' <<< "$stderr")
	[ -n "$way" ] || { echo "no way back: $stderr"; return 1; }
	lab_host_run box sh -c "$way" > /dev/null
	crash_host_is_whole box "$old"
	# and again without a person
	lab_host_run box /etc/init.d/SSH start > /dev/null
	crash_await_host box
	lab_until crash_host_is_whole box "$old"
	"$here/esxi/host" "$LAB/box" fault lose-ssh-at-switch 3>&-
	expect 11 custos_in deploy "$key" box --confirm-within 10
	says "the dead man's switch puts the previous pair back within 10 s"
	crash_await_host box
	lab_until crash_host_is_whole box "$old"
	lab_host_run box /etc/init.d/SSH start > /dev/null
	custos log verify
	custos_in deploy "$key" box > /dev/null
	[ "$(lab_served box)" = "$(lab_leaf "$key")" ]
}

#!/usr/bin/env bats
# Goal: a custody of many entries is opened from a snapshot of its state, and nobody notices but by the clock: keys, deployments, the record and strangers who
# verify it are as before. The commit that writes one may be killed anywhere. A snapshot that was tampered with never becomes another state.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), and root (the fault harness, the stand-ins).
# shellcheck disable=SC2016,SC2030,SC2031  # $ is for the shell inside; each test is one shell, and says POINT in its teardown
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

DUE=250 # as many entries since the last one, and the next commit makes one

# One custody for all tests, at the brink.
setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab CUSTOS_SEED
	lab_new
	crash_seed 3>&2
	lab_key esx1 rsa-2048 dns:esx1.example.com
	{
		printf 'defaults: { type: ec-p256 }\nkeys:\n'
		for i in $(seq 120); do echo "  - { name: many-$i, subject: \"CN=many-$i.example.com\", san: \"dns:many-$i.example.com\" }"; done
	} > "$LAB/many.yaml"
	custos_in enroll "$LAB/many.yaml" --out "$LAB/requests" > /dev/null
	while [ "$(lab_log_size)" -lt "$DUE" ]; do custos_in key drill many-1 > /dev/null; done
	crash_keep_custody
}

setup() {
	RANDOM=$(((CUSTOS_SEED + BATS_TEST_NUMBER * 1009) % 32768))
	cd "$BATS_TEST_TMPDIR" || return
	crash_restore_custody
	[ "$(lab_log_size)" = "$DUE" ]
	[ "$(snapshots)" = 0 ]
}

teardown() {
	lab_end
	[ -z "${POINT:-}" ] || [ -n "${BATS_TEST_COMPLETED:-}" ] || echo "the fault was: $POINT (CUSTOS_SEED=$CUSTOS_SEED)"
}

snapshots() { lab_events | grep -cx state.snapshot || :; }
sql() { /usr/bin/python3 -c 'import sqlite3,sys; c = sqlite3.connect(sys.argv[1]); assert c.execute(sys.argv[2]).rowcount > 0; c.commit()' "$CUSTOS_DIR/custody.db" "$1"; }
# said: what the custody says of its keys, sorted, so that two of them can be compared.
said() { custos key list --json | /usr/bin/python3 -c 'import json,sys; print(json.dumps(json.load(sys.stdin), sort_keys=True))'; }

@test "with the commit that is due comes the snapshot, and nothing looks different" {
	# Goal: one transaction, one checkpoint; keys in their order; the whole record verifies, here and published.
	said > before
	checkpoint=$(custos log checkpoint)
	expect 0 custos_in target add none --address 192.0.2.1 --user root --profile esxi --hostkey "SHA256:$(head -c 32 /dev/zero | base64 | tr -d =)" \
		--verify 192.0.2.1:443 --auth "key:$LAB/login"
	[ "$(lab_events $DUE | tr '\n' ' ')" = "target.add state.snapshot " ]
	[ "$(custos log checkpoint | sed -n 2p)" = $((DUE + 2)) ]
	said > after
	cmp before after
	printf '%s\n' "$checkpoint" > remembered
	expect 0 custos log verify --since remembered
	expect 0 custos log publish published
	expect 0 env -u CUSTOS_DIR custos log verify --dir published --vkey "$(custos log checkpoint --json | lab_json '["vkey"]')" --since remembered
	# and it goes on: what is asked for is found, what is there cannot be made again
	expect 0 custos_in key drill many-77
	expect 3 custos_in key generate many-78
	expect 6 custos_in key drill nobody
	expect 0 custos_in key generate many-121 --type ec-p256
	expect 0 custos log verify
	[ "$(snapshots)" = 1 ]
}

@test "a key is deployed out of a custody that was opened from a snapshot" {
	# Goal: the permit's proof is made of what the snapshot says of the entries before it, and custos-token takes it.
	lab_host esx1
	lab_target esx1
	[ "$(snapshots)" = 1 ]
	expect 0 custos_in key allow esx1 esx1
	expect 0 custos_in deploy esx1 esx1 --reason snapshot
	[ "$(lab_served esx1)" = "$(lab_leaf esx1)" ]
	[ "$(custos key show esx1 --json | lab_json '["deployed"][0]')" = esx1 ]
	expect 0 custos log verify
}

@test "killed at sampled points of the commit that makes one: there with what made it due, or not at all" {
	# Goal: no state in between, at any system call; what is there verifies, and the next commit goes through.
	calls=$(crash_count custos custos --pin-source "file:$LAB/pin" key drill many-1)
	[ "$calls" -gt 20 ]
	crash_restore_custody
	said > before
	for n in $(crash_sample 12 "$calls"); do
		crash_restore_custody
		rc=0
		crash_fault -p custos "$n" kill custos --pin-source "file:$LAB/pin" key drill many-1 > out 2> err || rc=$?
		POINT="custos $n of $calls, hit $(crash_hit), exit $rc: $(cat err)"
		expect 0 custos log verify
		case $(lab_log_size):$(snapshots) in
		"$DUE:0") said | cmp - before ;;
		"$((DUE + 2)):1") [ "$(lab_events $DUE | tr '\n' ' ')" = "key.drilled state.snapshot " ] ;;
		*) echo "the log has $(lab_log_size) entries and $(snapshots) snapshots" && return 1 ;;
		esac
		expect 0 custos_in key drill many-1
		[ "$(snapshots)" = 1 ]
		expect 0 custos log verify
	done
}

@test "pages altered or gone: exit 13 for whoever needs one, and nobody is told that there is no such key" {
	# Goal: never another state. What does not rest on a page goes on.
	lab_host esx1
	lab_target esx1
	custos_in key allow esx1 esx1
	[ "$(snapshots)" = 1 ]
	cp -a "$CUSTOS_DIR" kept
	before=$(lab_snapshot esx1)
	for how in "UPDATE blob SET data = CAST('{}' AS BLOB)" "DELETE FROM blob"; do
		rm -rf "$CUSTOS_DIR"
		cp -a kept "$CUSTOS_DIR"
		# pages of keys: lines that begin with a name
		sql "$how WHERE kind = 'state' AND instr(data, CAST('container_sha256' AS BLOB)) > 0 AND instr(data, CAST('\"format\":' AS BLOB)) = 0"
		size=$(custos log checkpoint | sed -n 2p)
		for command in "key list" "key show many-5" "status" "log verify" "target show esx1"; do
			# shellcheck disable=SC2086  # words
			expect 13 custos $command
			says "state's snapshot"
		done
		for command in "key drill many-5" "key generate another" "csr create many-6 --subject CN=x.example.com --san dns:x.example.com" "deploy esx1 esx1"; do
			# shellcheck disable=SC2086
			expect 13 custos_in $command
		done
		[ "$(custos log checkpoint | sed -n 2p)" = "$size" ]
		[ "$(lab_snapshot esx1)" = "$before" ]
	done
	# the index, without which nothing is known
	rm -rf "$CUSTOS_DIR"
	cp -a kept "$CUSTOS_DIR"
	sql "DELETE FROM blob WHERE kind = 'state' AND instr(data, CAST('\"format\":' AS BLOB)) > 0"
	expect 13 custos status
	says "does not fit the log, which is whole"
}

#!/usr/bin/env bats
# Goal: what somebody can do from outside while custos decides: change the custody under a waiting process, put the store back, kill the keeper, lie.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
}

teardown_file() {
	lab_end
}

setup() {
	gate=$BATS_TEST_TMPDIR/gate
	mkfifo "$gate"
}

# For the background, where $! has to be custos itself: one that goes on, and one that stands at its PIN until something is written to the gate.
custos_aside() { exec custos --pin-source "file:$LAB/pin" "$@"; }
custos_at_gate() { exec custos --pin-source "exec:read x < $gate; cat $LAB/pin" "$@"; }

has_child() { pgrep -P "$1" > /dev/null; }
ended() { # PID CODE
	local status=0
	wait "$1" || status=$?
	[ "$status" -eq "$2" ] || { echo "exit $status instead of $2"; cat "$BATS_TEST_TMPDIR/said"; return 1; }
}
stands_at_gate() { pgrep -P "$1" -x sh > /dev/null; }
has_event() { lab_events 0 | grep -qx "$1"; }
index_of() { custos log show --json | /usr/bin/python3 -c 'import json,sys; print([e["index"] for e in json.load(sys.stdin) if e["event"] == sys.argv[1]][-1])' "$1"; }

# A target nobody connects to.
target_on_paper() { custos_in target add "$1" --address "$2" --profile esxi --hostkey "SHA256:$(printf 'A%.0s' {1..43})" > /dev/null; }

@test "a permission is for the host that was looked at, not for one that gets its name meanwhile" {
	# Goal: key allow has read the log and waits for the token while somebody else removes the target.
	custos_in key generate permit > /dev/null
	target_on_paper paper paper.example.com
	custos_at_gate target remove paper > /dev/null 3>&- &
	remover=$!
	lab_until stands_at_gate "$remover"
	custos_aside key allow permit paper > /dev/null 2> "$BATS_TEST_TMPDIR/said" 3>&- &
	allower=$!
	lab_until has_child "$allower"
	echo > "$gate"
	wait "$remover"
	ended "$allower" 3
	grep -q "removed or replaced meanwhile" "$BATS_TEST_TMPDIR/said"
	target_on_paper paper other.example.com
	[ "$(custos target show paper --json | lab_json '["allowed_keys"]')" = "[]" ]
	expect 0 custos log verify
}

@test "a store that is put back under a waiting process is noticed, and nothing is signed on top of it" {
	# Goal: older rows are a valid log by themselves; whoever has seen the newer one does not go on with them.
	custos_in key generate before > /dev/null
	size=$(lab_log_size)
	cp "$CUSTOS_DIR/custody.db" "$BATS_TEST_TMPDIR/db"
	custos_at_gate key generate onto > /dev/null 2> "$BATS_TEST_TMPDIR/said" 3>&- &
	waiting=$!
	lab_until stands_at_gate "$waiting"
	/usr/bin/python3 - "$CUSTOS_DIR/custody.db" "$size" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		size = int(sys.argv[2])
		db.execute("DELETE FROM entry WHERE idx >= ?", (size - 1,))
		db.execute("DELETE FROM checkpoint WHERE size >= ?", (size,))
		db.commit()
	END
	[ "$(lab_log_size)" -eq $((size - 1)) ]
	echo > "$gate"
	ended "$waiting" 13
	grep -q "not the one that was read a moment ago" "$BATS_TEST_TMPDIR/said"
	[ "$(lab_log_size)" -eq $((size - 1)) ]
}

@test "a release that is under way is nobody's to resolve" {
	# Goal: a person's word on a release counts when no process stands behind it any more.
	lab_key busy
	lab_host busy
	lab_target busy
	custos_in key allow busy busy > /dev/null
	custos_aside deploy busy busy > /dev/null 3>&- &
	deployment=$!
	lab_until has_event release.intent
	expect 3 custos_in release resolve "$(index_of release.intent)" --as "done" --note "I think so"
	says "is under way"
	wait "$deployment"
	[ "$(lab_events 0 | tail -n 1)" = release.done ]
}

@test "a keeper that is killed while a copy is put back leaves a log that verifies, and an open release" {
	# Goal: what is said of a roll-back nobody finished follows the rules of the log, for us and for whoever has a published copy.
	custos_aside rollback busy > /dev/null 2>&1 3>&- &
	keeper=$!
	lab_until has_event rollback.intent
	kill -9 "$keeper"
	ended "$keeper" 137
	# the courier ends by itself; the release lock went with the keeper
	expect 0 custos release list --json
	[ "$(lab_json '[0]["event"]' '[0]["state"]' <<< "$output")" = "rollback.intent unknown" ]
	index=$(lab_json '[0]["index"]' <<< "$output")
	expect 0 custos log verify --json
	[ "$(lab_json '["open_releases"]' <<< "$output")" = "[$index]" ]
	expect 0 custos_in release resolve "$index" --as failed --note "looked at it"
	expect 0 custos log verify --json
	[ "$(lab_json '["open_releases"]' <<< "$output")" = "[]" ]
	expect 0 custos log publish "$BATS_TEST_TMPDIR/published"
	expect 0 custos log verify --dir "$BATS_TEST_TMPDIR/published" --vkey "$(custos log checkpoint --json | lab_json '["vkey"]')"
}

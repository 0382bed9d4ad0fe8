#!/usr/bin/env bats
# Goal: several custos processes on one token at the same time break nothing: every command succeeds, every key that was acknowledged signs, nothing half-made is left,
# and a sign-only key is on the disk before anybody is told that it is made. SoftHSM breaks keys when two processes use it; custos's lock is what prevents that.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root (mount namespaces, the fault harness). 20 seconds of work; CUSTOS_ALL=1 makes it minutes.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export CUSTOS_SEED SECONDS_EACH=7
	[ "${CUSTOS_ALL:-0}" != 1 ] || SECONDS_EACH=90
	crash_seed 3>&2
}

# A custody and a token for each test: some of them are spoilt.
setup() {
	export LAB=$BATS_TEST_TMPDIR/lab
	lab_new
	SERIAL=$(cat "$LAB/serial")
}

teardown() {
	local pid
	for pid in ${WORKERS:-} ${HOLDER:-}; do kill "$pid" 2> /dev/null || true; done
	lab_end
}

second_custody() { custos_in init "$LAB/second" --token "pkcs11:serial=$SERIAL" --origin custody.example/second > /dev/null; }

# worker NAME CUSTODY SECONDS [COMMAND…]: starts one in the background, its journal goes to $LAB/NAME.journal. COMMAND stands before it.
worker() {
	local name=$1 custody=$2 seconds=$3
	shift 3
	"$@" /usr/bin/python3 "$BATS_TEST_DIRNAME/../crash/soak.py" "$custody" "$LAB/pin" "$name" "$seconds" "$CUSTOS_SEED" > "$LAB/$name.journal" 3>&- &
	WORKERS="${WORKERS:-} $!"
}

await_workers() {
	local pid rc=0
	for pid in $WORKERS; do wait "$pid" || rc=$?; done
	WORKERS=
	return "$rc"
}

# without_lock COMMAND…: in a mount namespace where the directory of the locks is another one.
# shellcheck disable=SC2016  # $ is for the shell inside
without_lock() { unshare -m sh -c 'mount -t tmpfs tmpfs /run/lock/custos && exec "$@"' sh "$@"; }

# told WHAT NAME…: figures from the journals.
told() {
	local what=$1 name
	shift
	for name in "$@"; do cat "$LAB/$name.journal"; done | /usr/bin/python3 -c '
import collections, json, sys
done, keys, killed, failures = collections.Counter(), 0, 0, 0
for line in sys.stdin:
    j = json.loads(line)
    done.update(j["done"])
    keys, killed, failures = keys + len(j["keys"]), killed + len(j["killed"]), failures + len(j["failures"])
    for f in j["failures"]:
        print("# %s: %s: exit %s: %s" % (sys.argv[1], f["command"], f["exit"], f["said"].split("\n")[0]))
print("# %s: %d commands (%s); %d keys acknowledged, %d of them under kill -9; %d commands failed" % (
    sys.argv[1], sum(done.values()), ", ".join("%s %d" % x for x in sorted(done.items())), keys, killed, failures))' "$what" >&3
}

# all_succeeded NAME…: no command of these workers failed, and each has done something.
all_succeeded() {
	local name
	for name in "$@"; do cat "$LAB/$name.journal"; done | /usr/bin/python3 -c '
import json, sys
for line in sys.stdin:
    j = json.loads(line)
    for f in j["failures"]:
        print("%(command)s: exit %(exit)s: %(said)s" % f)
    if j["failures"] or not j["keys"]:
        sys.exit("%s: %d commands failed, %d keys acknowledged" % (j["name"], len(j["failures"]), len(j["keys"])))'
}

# acknowledged_is_there CUSTODY NAME…: what the workers were told is what the custody has, no more and no less; every key signs; the log verifies.
acknowledged_is_there() {
	local custody=$1 name
	shift
	custos -C "$custody" log verify > "$LAB/verify.out" || { echo "log verify: exit $?"; return 1; }
	custos -C "$custody" key list --json > "$LAB/keys.json" || { echo "key list: exit $?"; return 1; }
	for name in "$@"; do cat "$LAB/$name.journal"; done | /usr/bin/python3 -c '
import json, sys
want = {}
for line in sys.stdin:
    j = json.loads(line)
    want.update({k: (c, "destroyed" if k in j["destroyed"] else "active") for k, c in j["keys"].items()})
have = {k["name"]: (k["class"], k["state"]) for k in json.load(open(sys.argv[1]))}
wrong = ["%s: acknowledged as %s, is %s" % (k, want.get(k), have.get(k)) for k in sorted(want.keys() | have.keys()) if want.get(k) != have.get(k)]
sys.exit("\n".join(wrong) or 0)' "$LAB/keys.json" || return 1
	custos -C "$custody" --pin-source "file:$LAB/pin" key drill --all > "$LAB/drill.out" 2>&1 || { cat "$LAB/drill.out"; return 1; }
}

# nothing_is_left CUSTODIES NAME…: the token holds five objects a custody (the KEK, both halves of the log key and of the sealing key), two a living sign-only key, and nothing half-made.
nothing_is_left() {
	local custodies=$1 name living
	shift
	living=$(for name in "$@"; do cat "$LAB/$name.journal"; done | /usr/bin/python3 -c '
import json, sys
print(sum(c == "sign-only" and k not in j["destroyed"] for line in sys.stdin for j in [json.loads(line)] for k, c in j["keys"].items()))')
	[ "$(softhsm_count_objects "$SERIAL")" = $((5 * custodies + 2 * living)) ] || { echo "$(softhsm_count_objects "$SERIAL") objects for $living keys"; return 1; }
	custos_in token doctor "pkcs11:serial=$SERIAL" --json > "$LAB/doctor.json" || { echo "token doctor: exit $?"; return 1; }
	/usr/bin/python3 -c '
import json, sys
found = [c for c in json.load(open(sys.argv[1]))["checks"] if c["name"] == "objects"]
sys.exit(0 if [c["verdict"] for c in found] == ["ok"] else "token doctor: %s" % found)' "$LAB/doctor.json"
}

@test "two processes on one custody: all succeeds, all that was acknowledged signs, nothing is left" {
	# Goal: keys made, requested for, drilled and destroyed at the same time; some sign-only keys under kill -9 the moment they are acknowledged.
	worker one "$CUSTOS_DIR" "$SECONDS_EACH"
	worker two "$CUSTOS_DIR" "$SECONDS_EACH"
	await_workers
	told "two on one custody" one two
	all_succeeded one two
	acknowledged_is_there "$CUSTOS_DIR" one two
	nothing_is_left 1 one two
}

@test "two custodies on one token, three processes: the same" {
	# Goal: what does not share a store shares the token's lock.
	second_custody
	worker one "$CUSTOS_DIR" "$SECONDS_EACH"
	worker two "$LAB/second" "$SECONDS_EACH"
	worker three "$LAB/second" "$SECONDS_EACH"
	await_workers
	told "three on two custodies" one two three
	all_succeeded one two three
	acknowledged_is_there "$CUSTOS_DIR" one
	acknowledged_is_there "$LAB/second" two three
	nothing_is_left 2 one two three
}

@test "without the lock: the same work, what became of it, and the lock is really gone there" {
	# Goal: what the runs above are protected by. Whether keys break is a race, so the test says how it went and asks only that the lock was out of the way.
	second_custody
	/usr/bin/python3 -c 'import fcntl, signal, sys
f = open(sys.argv[1], "r+"); fcntl.flock(f, fcntl.LOCK_EX); print("held", flush=True); signal.pause()' "/run/lock/custos/$SERIAL" > "$LAB/held" 3>&- &
	HOLDER=$!
	lab_until grep -q held "$LAB/held"
	custos_in key generate waits --class sign-only --type ec-p256 > "$LAB/waits" 2>&1 3>&- &
	waiting=$!
	expect 0 without_lock custos -C "$LAB/second" --pin-source "file:$LAB/pin" key generate passes --class sign-only --type ec-p256
	kill -0 "$waiting"
	kill "$HOLDER"
	HOLDER=
	wait "$waiting"
	custos key show waits > /dev/null
	custos -C "$LAB/second" key show passes > /dev/null
	worker one "$CUSTOS_DIR" $((SECONDS_EACH / 2 + 1)) without_lock
	worker two "$LAB/second" $((SECONDS_EACH / 2 + 1)) without_lock
	await_workers
	told "without the lock" one two
	local dir name
	for name in one two; do
		dir=$([ "$name" = one ] && echo "$CUSTOS_DIR" || echo "$LAB/second")
		if custos_in -C "$dir" key drill --all > "$LAB/drill.out" 2>&1; then
			echo "# without the lock: the keys of custody $name sign all the same" >&3
		else
			echo "# without the lock: custody $name: $(grep -c ' failed ' "$LAB/drill.out" || true) keys do not sign any more; $(tail -n 1 "$LAB/drill.out")" >&3
		fi
	done
}

@test "the checks of this file notice what they are there for" {
	# Goal: a key that does not sign, one that is gone, one that nobody was told of, a file half made, a command that failed: each is a failure of its check.
	worker one "$CUSTOS_DIR" 2
	await_workers
	custos_in key generate one-kept-sure --class sign-only --type ec-p256 > /dev/null
	sed -i 's/"keys": {/&"one-kept-sure": "sign-only", /' "$LAB/one.journal"
	all_succeeded one
	acknowledged_is_there "$CUSTOS_DIR" one
	nothing_is_left 1 one
	cp "$LAB/one.journal" "$LAB/kept.journal"
	sed -i 's/"failures": \[/&{"command": "x", "exit": 5, "said": "y"}/' "$LAB/one.journal"
	run ! all_succeeded one
	sed 's/"keys": {/&"one-own-lost": "deployable", /' "$LAB/kept.journal" > "$LAB/one.journal"
	run ! acknowledged_is_there "$CUSTOS_DIR" one
	sed 's/"one-kept-sure": "sign-only", //' "$LAB/kept.journal" > "$LAB/one.journal"
	run ! acknowledged_is_there "$CUSTOS_DIR" one
	run ! nothing_is_left 1 one
	cp "$LAB/kept.journal" "$LAB/one.journal"
	crash_keep_custody
	: > "$(softhsm_token_dir "$SERIAL")/00000000-0000-0000-0000-000000000000.object"
	run ! nothing_is_left 1 one
	crash_restore_custody
	# a key's file is there, and half of it: the drill tells, the doctor does not (the half with the label is the one that is left)
	newest=$(find "$(softhsm_token_dir "$SERIAL")" -name '*.object' ! -name token.object -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
	truncate -s $(($(stat -c %s "$newest") / 2)) "$newest"
	run ! acknowledged_is_there "$CUSTOS_DIR" one
	crash_restore_custody
	acknowledged_is_there "$CUSTOS_DIR" one
}

# in_order PROGRAM:CALL…: the last of each of these calls in $LAB/report comes after the last of the one before it.
in_order() {
	local want at last=0
	for want in "$@"; do
		at=$(grep -n "^call [0-9]* ${want%%:*} [0-9]* ${want##*:}$" "$LAB/report" | tail -n 1 | cut -d : -f 1)
		[ "${at:-0}" -gt "$last" ] || { echo "the last $want is line ${at:-none}, not after $last"; return 1; }
		last=$at
	done
}

@test "a sign-only key is synced to the disk before the log says so, and the log before anybody is told" {
	# Goal: SoftHSM never syncs; custos does, after the module's last write, and a sync that fails is no key and leaves none.
	local before
	crash_fault -l 0 kill custos --pin-source "file:$LAB/pin" key generate a --class sign-only --type ec-p256 > /dev/null
	in_order custos-token:write custos-token:syncfs custos:fdatasync custos:write
	# a deployable key has nothing on the token to be synced: the order is not there, and the check says so
	crash_fault -l 0 kill custos --pin-source "file:$LAB/pin" key generate b --type ec-p256 > /dev/null
	run ! in_order custos-token:write custos-token:syncfs custos:fdatasync custos:write
	before=$(lab_log_size)
	expect 5 crash_fault -p custos-token -c syncfs 1 eio custos --pin-source "file:$LAB/pin" key generate c --class sign-only --type ec-p256
	[[ $stderr == *"cannot sync SoftHSM's token directory"* ]]
	[ -n "$(crash_hit)" ]
	[ "$(lab_log_size)" = "$before" ]
	[ "$(softhsm_count_objects "$SERIAL")" = 7 ]
	custos_in key generate c --class sign-only --type ec-p256 > /dev/null
	custos_in key drill c > /dev/null
}

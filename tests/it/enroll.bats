#!/usr/bin/env bats
# Goal: a list of keys becomes keys and requests, whatever happens on the way: one bad entry, a file in the way, kill -9 at any point. What is there is
# left alone, what is missing is made, and nothing is made twice. Looked at with openssl.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), and root (the fault harness, a read-only mount).
# shellcheck disable=SC2016,SC2030,SC2031  # $ is for the shell inside; each test is one shell, and says POINT in its teardown
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab CUSTOS_SEED
	lab_new
	crash_seed 3>&2
}

setup() {
	RANDOM=$(((CUSTOS_SEED + BATS_TEST_NUMBER * 1009) % 32768))
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	[ -z "${POINT:-}" ] || [ -n "${BATS_TEST_COMPLETED:-}" ] || echo "the fault was: $POINT (CUSTOS_SEED=$CUSTOS_SEED)"
}

# entry NAME [MEMBERS]: a line of a list.
entry() { echo "  - { name: $1, subject: \"CN=$1.example.com,O=Example\", san: [\"dns:$1.example.com\", \"ip:192.0.2.7\"]${2:+, $2} }"; }

# list TYPE NAME…: a list of such keys.
list() {
	printf 'defaults: { type: %s }\nkeys:\n' "$1"
	shift
	for name in "$@"; do entry "$name"; done
}

# results: how often each result is in the report on stdin, e.g. "enrolled:3 failed:1".
results() {
	/usr/bin/python3 -c 'import collections,json,sys
print(*["%s:%d" % x for x in sorted(collections.Counter(e["result"] for e in json.load(sys.stdin)).items())])'
}

# good_request DIR NAME: by openssl it is signed, asks for NAME, and is for the key of that name in the custody.
good_request() {
	openssl req -in "$1/$2.csr" -noout -verify 2>&1 | grep -q "verify OK" || { echo "$2.csr does not verify"; return 1; }
	openssl req -in "$1/$2.csr" -noout -text | grep -q "DNS:$2.example.com, IP Address:192.0.2.7" || { echo "$2.csr asks for something else"; return 1; }
	[ "$(openssl req -in "$1/$2.csr" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)" = "$(custos key show "$2" --json | lab_json '["spki_sha256"]')" ] ||
		{ echo "$2.csr is for another key"; return 1; }
}

# numbered PREFIX COUNT: PREFIX-1 …, one a line.
numbered() { seq -f "$1-%g" "$2"; }

checkpoints() { /usr/bin/python3 -c 'import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute("select count(*) from checkpoint").fetchone()[0])' "$CUSTOS_DIR/custody.db"; }

# ---- the job ----

@test "twenty keys: requests that a CA takes, containers that open, few checkpoints, nothing left on the token" {
	# Goal: what is acknowledged is there; a group is one checkpoint; nothing is printed but the report.
	mapfile -t names < <(numbered twenty 18)
	list ec-p256 "${names[@]}" > keys.yaml
	entry twenty-rsa 'type: rsa-2048, profile: esxi' >> keys.yaml
	entry twenty-384 'type: ec-p384' >> keys.yaml
	objects=$(softhsm_count_objects "$(cat "$LAB/serial")") size=$(lab_log_size) before=$(checkpoints)
	expect 0 custos_in enroll keys.yaml --out csr --json
	[ -z "$stderr" ]
	[ "$(results <<< "$output")" = "enrolled:20" ]
	[ "$(lab_json '[0]["name"]' '[0]["file"]' '[18]["type"]' <<< "$output")" = "twenty-1 csr/twenty-1.csr rsa-2048" ]
	[ "$(find csr -mindepth 1 | wc -l)" = 20 ]
	for name in "${names[@]}" twenty-rsa twenty-384; do good_request csr "$name"; done
	[ "$(lab_log_size)" = $((size + 40)) ]
	[ "$(checkpoints)" -le $((before + 3)) ]
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" = "$objects" ]
	expect 0 custos log verify
	# each of them once more, out of its container
	expect 0 custos_in key drill --all --json
	[ "$(/usr/bin/python3 -c 'import json,sys; print(sum(r["result"] == "passed" for r in json.load(sys.stdin)))' <<< "$output")" -ge 20 ]
	# and a CA's answer to one is accepted
	lab_ca_sign "$LAB/ca" csr/twenty-7.csr twenty-7
	expect 0 custos_in cert accept twenty-7 twenty-7.p7b
}

@test "again: nothing is made, nothing is asked for" {
	# Goal: a second run changes neither log nor files and needs no PIN; a request that is missing comes from the store, the same bytes.
	list ec-p256 again-1 again-2 again-3 > keys.yaml
	expect 0 custos_in enroll keys.yaml --out csr --json
	size=$(lab_log_size) files=$(sha256sum csr/*)
	expect 0 custos --pin-source file:/nonexistent enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "unchanged:3" ]
	rm csr/again-2.csr
	expect 0 custos --pin-source file:/nonexistent enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "unchanged:2 written:1" ]
	[ "$(sha256sum csr/*)" = "$files" ]
	[ "$(lab_log_size)" = "$size" ]
	# what a power cut has left of one is completed
	head -c 100 csr/again-1.csr > torn && mv torn csr/again-1.csr
	: > csr/again-3.csr
	expect 0 custos --pin-source file:/nonexistent enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "unchanged:1 written:2" ]
	[ "$(sha256sum csr/*)" = "$files" ]
	# also into another directory
	expect 0 custos --pin-source file:/nonexistent enroll keys.yaml --out elsewhere --json
	[ "$(results <<< "$output")" = "written:3" ]
	cmp csr/again-1.csr elsewhere/again-1.csr
	# and a list that grew makes what is new
	entry again-4 >> keys.yaml
	expect 0 custos_in enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "enrolled:1 unchanged:3" ]
	[ "$(lab_log_size)" = $((size + 2)) ]
}

@test "a key that was there gets its request; another request is made when the list asks for another" {
	# Goal: the key stays the same; a file of an older request is never replaced.
	custos_in key generate older --type ec-p256 > /dev/null
	spki=$(custos key show older --json | lab_json '["spki_sha256"]')
	list ec-p256 older > keys.yaml
	expect 0 custos_in enroll keys.yaml --out csr --json
	[ "$(lab_json '[0]["result"]' '[0]["spki_sha256"]' <<< "$output")" = "requested $spki" ]
	good_request csr older
	before=$(sha256sum csr/older.csr) size=$(lab_log_size)
	sed -i 's/O=Example/O=Changed/' keys.yaml
	expect 6 custos_in enroll keys.yaml --out csr
	says "it is not what the list asks for"
	[ "$(sha256sum csr/older.csr)" = "$before" ]
	[ "$(lab_log_size)" = "$size" ]
	expect 0 custos_in enroll keys.yaml --out changed --json
	[ "$(lab_json '[0]["result"]' '[0]["spki_sha256"]' <<< "$output")" = "requested $spki" ]
	openssl req -in changed/older.csr -noout -subject | grep -q Changed
}

@test "sign-only keys stay on the token" {
	# Goal: Ed25519 too; made one at a time, on the disk before they are told of.
	list ed25519 stays-1 stays-2 | sed 's/type: ed25519/type: ed25519, class: sign-only/' > keys.yaml
	objects=$(softhsm_count_objects "$(cat "$LAB/serial")")
	expect 0 custos_in enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "enrolled:2" ]
	good_request csr stays-1
	[ "$(custos key show stays-2 --json | lab_json '["class"]')" = sign-only ]
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" = $((objects + 4)) ]
	expect 0 custos_in key drill stays-1
}

@test "sessions at work together make good keys" {
	# Goal: threads inside the token's process do not spoil each other's keys: RSA and EC mixed, each request verified, each container opened.
	mapfile -t names < <(numbered many 150)
	{
		list ec-p256 "${names[@]}"
		for i in $(seq 6); do entry "many-rsa-$i" 'type: rsa-2048'; done
	} > keys.yaml
	expect 0 custos_in enroll keys.yaml --out csr --jobs 8 --json
	[ "$(results <<< "$output")" = "enrolled:156" ]
	for i in $(seq 1 15 150); do good_request csr "many-$i"; done
	for i in $(seq 6); do good_request csr "many-rsa-$i"; done
	[ "$(for f in csr/*.csr; do openssl req -in "$f" -noout -pubkey; done | grep -c BEGIN)" = 156 ]
	[ "$(for f in csr/*.csr; do openssl req -in "$f" -noout -pubkey | sha256sum; done | sort -u | wc -l)" = 156 ]
	expect 0 custos_in key drill --all
	expect 0 custos log verify
}

@test "a progress line on a terminal, and nowhere else" {
	# Goal: scripts see the report alone.
	list ec-p256 shown-1 shown-2 > keys.yaml
	script -qefc "custos --pin-source file:$LAB/pin enroll keys.yaml --out csr" /dev/null > seen
	grep -q "custos: enroll: 2 of 2" seen
	list ec-p256 shown-3 > keys.yaml
	script -qefc "custos --quiet --pin-source file:$LAB/pin enroll keys.yaml --out csr" /dev/null > seen
	run ! grep -q "custos: enroll" seen
}

# ---- what goes wrong ----

@test "a list that is none makes nothing" {
	# Goal: a name given twice, an unknown word, a directory that cannot be: refused with file and line before the token is touched.
	list ec-p256 twice other twice > keys.yaml
	size=$(lab_log_size)
	expect 6 custos_in enroll keys.yaml --out csr
	says "keys.yaml:5: key twice is in the list twice; the first time in line 3"
	list ec-p256 word | sed 's/name: word/nmae: word/' > keys.yaml
	expect 6 custos_in enroll keys.yaml --out csr
	says "keys.yaml:3: \"nmae\" is not known here"
	list ec-p256 word > keys.yaml
	expect 6 custos_in enroll keys.yaml --out no/such/place
	expect 6 custos_in enroll missing.yaml --out csr
	expect 2 custos_in enroll keys.yaml
	expect 2 custos_in enroll keys.yaml --out csr --jobs 0
	expect 2 custos_in enroll keys.yaml --out csr --jobs 17
	expect 2 custos_in enroll keys.yaml --out csr --jobs many
	[ "$(lab_log_size)" = "$size" ]
	expect 6 custos key show word
}

@test "a directory that cannot be written to: no key is made" {
	# Goal: told before anything is generated, not after.
	list ec-p256 nowhere > keys.yaml
	mkdir csr
	size=$(lab_log_size)
	expect 6 unshare -m sh -c 'mount -t tmpfs -o ro none csr && exec custos --pin-source "$0" enroll keys.yaml --out csr' "file:$LAB/pin"
	says "nothing can be written to the directory csr"
	[ "$(lab_log_size)" = "$size" ]
	expect 6 custos key show nowhere
}

@test "a disk that is full: the key is there, the next run writes its request" {
	# Goal: an entry whose file cannot be written is a failure, and no work is lost.
	mapfile -t names < <(numbered full 30)
	list ec-p256 "${names[@]}" > keys.yaml
	mkdir csr
	expect 12 unshare -m sh -c 'mount -t tmpfs -o size=64k none csr && exec custos --json --pin-source "$0" enroll keys.yaml --out csr' "file:$LAB/pin"
	says "No space left on device"
	[[ $(results <<< "$output") =~ ^enrolled:[0-9]+\ failed:[0-9]+$ ]]
	size=$(lab_log_size)
	expect 0 custos --pin-source file:/nonexistent enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "written:30" ]
	[ "$(lab_log_size)" = "$size" ]
	good_request csr full-30
}

@test "one bad entry stops no other" {
	# Goal: a name no CA takes, a class the token cannot do, a name that is another key's, a file in the way: each fails alone, says why, leaves nothing.
	custos_in key generate taken --type rsa-2048 > /dev/null
	mkdir csr
	echo mine > csr/in-the-way.csr
	{
		list ec-p256 bad-1
		echo '  - { name: bad-san, san: ["dns:not a name"] }'
		echo '  - { name: bad-cn, subject: CN=other.example.com, san: ["dns:bad-cn.example.com"] }'
		entry bad-type 'type: ed25519'
		entry taken
		entry in-the-way
		entry bad-2
	} > keys.yaml
	size=$(lab_log_size)
	expect 12 custos_in enroll keys.yaml --out csr --json
	says "5 of 7 keys were not enrolled; the first, bad-san: "
	[ "$(results <<< "$output")" = "enrolled:2 failed:5" ]
	/usr/bin/python3 -c 'import json,sys
failed = {e["name"]: e["error"] for e in json.load(sys.stdin) if e["result"] == "failed"}
assert list(failed) == ["bad-san", "bad-cn", "bad-type", "taken", "in-the-way"], failed
assert "other.example.com" in failed["bad-cn"], failed
assert "ed25519" in failed["bad-type"], failed
assert "already, rsa-2048 and deployable" in failed["taken"], failed
assert "there is no key of that name" in failed["in-the-way"], failed' <<< "$output"
	[ "$(lab_log_size)" = $((size + 4)) ]
	good_request csr bad-1
	good_request csr bad-2
	[ "$(cat csr/in-the-way.csr)" = mine ]
	[ "$(find csr -mindepth 1 | wc -l)" = 3 ]
	for name in bad-san bad-cn bad-type in-the-way; do expect 6 custos key show "$name"; done
	# alone, the failure's own code
	list ec-p256 taken > alone.yaml
	expect 3 custos_in enroll alone.yaml --out csr
	# mended, the rest is made and nothing else
	sed -i -e 's/dns:not a name/dns:bad-san.example.com/' -e '/bad-cn\|bad-type\|taken/d' keys.yaml
	rm csr/in-the-way.csr
	expect 0 custos_in enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "enrolled:2 unchanged:2" ]
}

@test "a request of somebody else under the right name is not believed" {
	# Goal: what stands in the directory is compared, not counted.
	list ec-p256 swapped-1 swapped-2 > keys.yaml
	expect 0 custos_in enroll keys.yaml --out csr --json
	cp csr/swapped-1.csr csr/swapped-2.csr
	expect 12 custos_in enroll keys.yaml --out csr --json
	says "it is not the request that was made for this key"
	[ "$(results <<< "$output")" = "failed:1 unchanged:1" ]
}

@test "a wrong PIN makes nothing and is in the log" {
	# Goal: one attempt, told, logged.
	(umask 077 && echo 000000 > wrong)
	list ec-p256 never > keys.yaml
	size=$(lab_log_size)
	expect 4 custos --pin-source file:wrong enroll keys.yaml --out csr --json
	[ "$(results <<< "$output")" = "not_tried:1" ]
	[ "$(lab_events "$size")" = token.login_failed ]
	[ -z "$(ls -A csr)" ]
}

# hit_enroll PROGRAM N: kill -9 at the N-th call of PROGRAM while a list of its own is enrolled; what must hold then, and after the next run.
hit_enroll() {
	local rc=0 dir=hit-$1-$2 name
	mapfile -t names < <(numbered "$dir" 40)
	list ec-p256 "${names[@]}" > "$dir.yaml"
	POINT="$1 $2"
	crash_fault -p "$1" "$2" kill custos --pin-source "file:$LAB/pin" enroll "$dir.yaml" --out "$dir" > out 2> err || rc=$?
	POINT="$1 $2, hit $(crash_hit), exit $rc: $(cat err)"
	custos log verify > /dev/null || { echo "log verify: exit $?"; return 1; }
	# a key that is acknowledged has its request, and a request that is there is whole and acknowledged
	custos key list --json | /usr/bin/python3 -c 'import json,sys
for k in json.load(sys.stdin):
    if k["name"].startswith(sys.argv[1] + "-"):
        assert "csr" in k, k' "$dir"
	for name in "${names[@]}"; do if [ -e "$dir/$name.csr" ]; then good_request "$dir" "$name"; fi; done
	expect 0 custos_in enroll "$dir.yaml" --out "$dir" --json
	[ "$(/usr/bin/python3 -c 'import json,sys; print(sum(e["result"] in ("enrolled", "written", "unchanged") for e in json.load(sys.stdin)))' <<< "$output")" = 40 ]
	for name in "$dir-1" "$dir-20" "$dir-40"; do good_request "$dir" "$name"; done
	[ "$(find "$dir" -name '*.csr' ! -name '.*' | wc -l)" = 40 ]
	expect 0 custos --pin-source file:/nonexistent enroll "$dir.yaml" --out "$dir" --json
	[ "$(results <<< "$output")" = "unchanged:40" ]
	# once each
	[ "$(custos log show --json | /usr/bin/python3 -c 'import json,sys; print(sum(e["event"] == "key.generate" and e["key"].startswith(sys.argv[1] + "-") for e in json.load(sys.stdin)))' "$dir")" = 40 ]
}

@test "kill -9 of the keeper, then again" {
	# Goal: at whatever point: what is acknowledged is whole, the rest is made by the next run, nothing twice.
	mapfile -t names < <(numbered count 40)
	list ec-p256 "${names[@]}" > count.yaml
	calls=$(crash_count custos custos --pin-source "file:$LAB/pin" enroll count.yaml --out count)
	[ "$calls" -gt 100 ]
	for n in $(crash_sample 6 "$calls"); do hit_enroll custos "$n"; done
}

@test "kill -9 of custos-token, then again" {
	# Goal: the same; the keeper tells, and the token is still there.
	mapfile -t names < <(numbered tcount 40)
	list ec-p256 "${names[@]}" > count.yaml
	calls=$(crash_count custos-token custos --pin-source "file:$LAB/pin" enroll count.yaml --out count)
	[ "$calls" -gt 80 ]
	for n in $(crash_sample 4 "$calls"); do hit_enroll custos-token "$n"; done
}

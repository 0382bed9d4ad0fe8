# shellcheck shell=bash
# Faults at sampled points, and what must hold after each of them. Sourced after tests/it/lab.bash; needs the build directory in CUSTOS_BUILD.
#
#   crash_sample COUNT OF        COUNT different numbers of 1…OF, one a line; all of them with CUSTOS_ALL=1
#   crash_count PROGRAM COMMAND… how many calls of PROGRAM a run of COMMAND would have that nothing happens to (it is run)
#   crash_fault [OPTION…] N ACTION COMMAND…   fault (fault.c) with its report in $LAB/report; exit code of COMMAND
#   crash_hit                    what was hit: "N PROGRAM CALL", empty when the run ended before
#   crash_await_host NAME        until neither custos nor its dead man's switch works on the host any more
#   crash_host_is_whole NAME LEAF…   key and certificate on the host belong together, are served, and the leaf is one of LEAF…
#   crash_open_intents           indices of the intents that have no outcome in the log, one a line
#   crash_keep_custody           remembers custody and token; crash_restore_custody puts them back as they were
#   lab_host_run NAME COMMAND…   a command inside the host
#   crash_record_is_whole        the log verifies, the token is there, an open release is reported and can be resolved; nothing else is open
#
# The sample depends on CUSTOS_SEED, which every test prints; with the same seed the same points are hit.

CUSTOS_SEED=${CUSTOS_SEED:-$RANDOM}

crash_seed() {
	RANDOM=$((CUSTOS_SEED % 32768))
	echo "# seed: $CUSTOS_SEED (CUSTOS_SEED=$CUSTOS_SEED repeats it)" >&3
}

crash_sample() {
	if [ "${CUSTOS_ALL:-0}" = 1 ] || [ "$1" -ge "$2" ]; then
		seq "$2"
		return
	fi
	awk -v seed=$((RANDOM * 32768 + RANDOM)) -v count="$1" -v of="$2" 'BEGIN {
		srand(seed)
		# one from each of COUNT stretches of equal length, so that no part of the run is left out
		for (i = 0; i < count; i++) { from = int(i * of / count); to = int((i + 1) * of / count); print from + 1 + int(rand() * (to - from)) }
	}'
}

crash_keep_custody() {
	rm -rf "$LAB/kept"
	mkdir "$LAB/kept"
	cp -a "$CUSTOS_DIR" "$LAB/kept/custody"
	cp -a "$LAB/softhsm/tokens" "$LAB/kept/tokens"
}

crash_restore_custody() {
	rm -rf "$CUSTOS_DIR" "$LAB/softhsm/tokens"
	cp -a "$LAB/kept/custody" "$CUSTOS_DIR"
	cp -a "$LAB/kept/tokens" "$LAB/softhsm/tokens"
}

crash_fault() { timeout 120 "$CUSTOS_BUILD/crash/fault" -o "$LAB/report" "$@" 3>&-; }

crash_hit() { sed -n 's/^hit //p' "$LAB/report"; }

crash_count() {
	local program=$1
	shift
	crash_fault 0 kill "$@" > "$LAB/count.out" || return
	sed -n "s/^program $program //p" "$LAB/report"
}

# shellcheck disable=SC2016  # for the shell inside
crash_host_is_busy() { lab_host_run "$1" sh -c 'for f in /tmp/.custos-*/armed /tmp/.custos-*/fired; do [ ! -e "$f" ] || exit 0; done; exit 1'; }

lab_host_run() {
	local name=$1
	shift
	# shellcheck disable=SC2154  # lab.bash sets it
	"$here/esxi/host" "$LAB/$name" exec "$@" 3>&-
}

crash_await_host() {
	local deadline=$((SECONDS + 40))
	while crash_host_is_busy "$1"; do
		[ "$SECONDS" -lt "$deadline" ] || { echo "the dead man's switch of $1 is still at work after 40 s"; return 1; }
		sleep 0.1
	done
	# what was locked before the switch was armed stays locked for a quarter of an hour, and nobody would wait for that here
	lab_host_run "$1" sh -c 'rm -rf /tmp/.custos.lock /tmp/.custos-*' || true
}

crash_public_key() { openssl "$@" -pubout -outform DER 2> /dev/null | sha256sum; }

crash_host_is_whole() {
	local name=$1 leaf served
	shift
	lab_env "$name"
	served=$(lab_served "$name")
	leaf=$(openssl x509 -in "$ROOT/etc/vmware/ssl/rui.crt" -outform DER | sha256sum | cut -d ' ' -f 1)
	[ "$served" = "$leaf" ] || { echo "$name serves $served, its rui.crt is $leaf"; return 1; }
	[ "$(openssl x509 -in "$ROOT/etc/vmware/ssl/rui.crt" -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum)" = \
		"$(openssl pkey -in "$ROOT/etc/vmware/ssl/rui.key" -pubout -outform DER | sha256sum)" ] || { echo "$name: rui.crt and rui.key do not belong together"; return 1; }
	case " $* " in *" $leaf "*) return 0 ;; esac
	echo "$name serves $leaf, which is none of: $*"
	return 1
}

crash_open_intents() {
	custos log show --json | /usr/bin/python3 -c '
import json, sys
open_hosts = {}
for e in json.load(sys.stdin):
    if e["event"] in ("release.intent", "rollback.intent"):
        open_hosts[e["index"]] = {h["name"] for h in e["hosts"]}
    elif e["event"] == "release.resolved":
        open_hosts.pop(e["intent"], None)
    elif e["event"].split(".")[0] in ("release", "rollback") and e["event"] != "release.unknown":
        hosts = open_hosts.get(e["intent"], set())
        hosts.discard(e["target"])
        if not hosts:
            open_hosts.pop(e["intent"], None)
for i in sorted(open_hosts):
    print(i)'
}

crash_record_is_whole() {
	local listed open index rc
	listed=$(custos release list --json) || { echo "release list: exit $?"; return 1; }
	custos log verify > "$LAB/verify.out" || { echo "log verify: exit $?"; return 1; }
	custos token list --json | grep -q "\"$(cat "$LAB/serial")\"" || { echo "the token is gone"; return 1; }
	open=$(crash_open_intents)
	[ "$(lab_json_indices <<< "$listed")" = "$open" ] || { echo "open are: $open; listed are: $listed"; return 1; }
	for index in $open; do
		custos log show --json --from "$index" | grep -q '"event": "release.unknown"' || { echo "release $index is open and was not recorded as unknown"; return 1; }
		rc=0
		custos status --check > /dev/null 2>&1 || rc=$?
		[ "$rc" = 3 ] || { echo "status --check does not mind that release $index is open"; return 1; }
		custos_in release resolve "$index" --as failed --note "found out by the test" > /dev/null || { echo "release $index cannot be resolved: $?"; return 1; }
	done
	custos status --check > /dev/null || { echo "status --check: exit $? after everything was resolved"; return 1; }
	custos log verify > "$LAB/verify.out" || { echo "log verify after resolving: exit $?"; return 1; }
}

lab_json_indices() { /usr/bin/python3 -c 'import json,sys; print("\n".join(str(r["index"]) for r in json.load(sys.stdin)))'; }

#!/usr/bin/env bats
# Goal: what the three processes have given up while a release is under way, as the kernel tells it from outside.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
# shellcheck disable=SC2016  # $ is for the shell inside
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	lab_host box
	lab_target box
	lab_key a rsa-2048 dns:box.example.com
	lab_key b rsa-2048 dns:box.example.com
	custos_in key allow a box > /dev/null
	custos_in key allow b box > /dev/null
}

setup() { lab_env box; }
teardown_file() { lab_end; }

# watch_children PID DIR: until PID has ended, the status, limits and descriptors of its helpers; the newest picture of each stays in DIR.
watch_children() {
	local pid name
	while [ -e "/proc/$1" ]; do
		for pid in $(cat "/proc/$1/task/$1/children" 2> /dev/null) "$1"; do
			name=$(cat "/proc/$pid/comm" 2> /dev/null) || continue
			cat "/proc/$pid/status" "/proc/$pid/limits" > "$2/next" 2> /dev/null || continue
			find "/proc/$pid/fd" -mindepth 1 -printf 'descriptor %f %l\n' >> "$2/next" 2> /dev/null || continue
			{ tr '\0' '\n' < "/proc/$pid/environ"; } 2> /dev/null | sed 's/^/environment /' >> "$2/next" || continue
			# one that is just ending shows nothing
			grep -q '^VmRSS' "$2/next" && mv "$2/next" "$2/$name"
		done
	done
}

# pictures KEY [COMMAND…]: of a deployment of KEY.
pictures() {
	rm -rf "$BATS_TEST_TMPDIR/seen"
	mkdir "$BATS_TEST_TMPDIR/seen"
	"${@:2}" custos --pin-source "file:$LAB/pin" deploy "$1" box > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$!
	watch_children "$pid" "$BATS_TEST_TMPDIR/seen"
	wait "$pid" || { cat "$BATS_TEST_TMPDIR/out"; return 1; }
	cd "$BATS_TEST_TMPDIR/seen" || return
	ls
}

field() { awk -v f="$2:" '$1 == f { $1 = ""; sub(/^ +/, ""); print; exit }' "$1"; }

@test "the courier has no root, no capability, no call but its few, no file, no child" {
	pictures a
	[ "$(field custos-courier Uid | tr -s '\t ' ' ')" = "65534 65534 65534 65534" ]
	[ "$(field custos-courier Gid | tr -s '\t ' ' ')" = "65534 65534 65534 65534" ]
	[ "$(field custos-courier Groups)" = "" ]
	for set in CapInh CapPrm CapEff CapAmb; do [ "$(field custos-courier $set)" = 0000000000000000 ]; done
	[ "$(field custos-courier NoNewPrivs)" = 1 ]
	[ "$(field custos-courier Seccomp)" = 2 ]
	[ "$(field custos-courier Seccomp_filters)" = 1 ]
	[ "$(field custos-courier Threads)" = 1 ]
	[ "$(awk '/^Max processes/ { print $3, $4 }' custos-courier)" = "0 0" ]
	[ "$(awk '/^Max file size/ { print $4, $5 }' custos-courier)" = "0 0" ]
	[ "$(awk '/^Max core file size/ { print $5, $6 }' custos-courier)" = "0 0" ]
	# 0 and 1 are nothing, 2 is the keeper's, 3 the channel; the others are sockets that came through it, or the login key
	grep '^descriptor' custos-courier > descriptors
	run ! grep -vE '^descriptor ([01] /dev/null|2 .*|[0-9]+ socket:.*|[0-9]+ '"$LAB"'/login)$' descriptors
	[ "$(grep '^environment' custos-courier)" = "environment TZ=UTC0" ]
	# every signal is blocked but those that end it through its epilogue: ABRT ALRM BUS FPE ILL SEGV, and KILL and STOP, which nobody blocks
	blocked=$(field custos-courier SigBlk)
	for number in 1 2 3 5 10 12 13 15 17; do ((0x$blocked >> (number - 1) & 1)); done
	for number in 4 6 7 8 11 14; do ((!(0x$blocked >> (number - 1) & 1))); done
}

@test "custos-token has no network, the keeper no new privileges" {
	pictures b
	[ "$(field custos-token NoNewPrivs)" = 1 ]
	[ "$(field custos-token Seccomp)" = 2 ]
	run ! grep -E "^descriptor [0-9]+ $CUSTOS_DIR" custos-token
	[ "$(field custos NoNewPrivs)" = 1 ]
	for name in custos custos-token; do [ "$(awk '/^Max core file size/ { print $5, $6 }' $name)" = "0 0" ]; done
	# non-dumpable: what belongs to the process belongs to root, whoever runs it
	run ! grep -q '^descriptor.*custody.db' custos-courier
}

# hold: a deployment that waits for its host, which does not answer; its processes are in $keeper, $courier, $token. go_on: it answers.
hold() {
	"$here/esxi/host" "$LAB/box" exec sh -c 'kill -STOP $(cat /var/run/sshd.pid)' 3>&-
	if [ "$(lab_served box)" = "$(lab_leaf a)" ]; then held=b; else held=a; fi
	custos --pin-source "file:$LAB/pin" deploy $held box > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	keeper=$!
	# PREPARE is out, and so the keeper is confined: only then the courier speaks to the host, and waits
	lab_until is_waiting
	token=$(pgrep -P "$keeper" custos-token)
}

is_waiting() {
	courier=$(pgrep -P "$keeper" custos-courier) && [ "$(grep -c . "/proc/$courier/net/tcp")" -gt 0 ] &&
		[ "$(awk '{ print $1 }' "/proc/$courier/syscall")" = 7 ] && [ "$(find "/proc/$courier/fd" -lname 'socket:*' | wc -l)" -ge 2 ]
}

go_on() {
	"$here/esxi/host" "$LAB/box" exec sh -c 'kill -CONT $(cat /var/run/sshd.pid)' 3>&-
	CODE=0
	wait "$keeper" || CODE=$?
}

in_process() { "$CUSTOS_BUILD/tests/inject" "$@"; }

@test "a keeper that is taken over while hosts are heard reaches its custody and the system's files, nothing else" {
	[ "$(uname -m)" = x86_64 ] || skip "the injector is for x86-64"
	hold
	[ "$(in_process "$keeper" open /etc/hosts)" = ok ]
	[ "$(in_process "$keeper" open "$CUSTOS_DIR/custody.yaml")" = ok ]
	[ "$(in_process "$keeper" open /etc/hosts write)" = EACCES ]
	[ "$(in_process "$keeper" open "$LAB/pin")" = EACCES ]
	[ "$(in_process "$keeper" open "$LAB/login")" = EACCES ]
	[ "$(in_process "$keeper" open "$LAB/new" write)" = EACCES ]
	[ "$(in_process "$keeper" open "$LAB/softhsm/softhsm2.conf")" = EACCES ]
	# custos-token, at the same time: its own files, not the store, not the network
	[ "$(in_process "$token" open "$LAB/softhsm/softhsm2.conf")" = ok ]
	[ "$(in_process "$token" open "$CUSTOS_DIR/custody.yaml")" = EACCES ]
	[ "$(in_process "$token" connect)" = EACCES ]
	# none of it did any harm: the release goes on
	go_on
	cat "$BATS_TEST_TMPDIR/out"
	[ "$CODE" = 0 ]
	[ "$(lab_served box)" = "$(lab_leaf $held)" ]
}

@test "a courier that is taken over dies of the first thing it tries" {
	[ "$(uname -m)" = x86_64 ] || skip "the injector is for x86-64"
	before=$(lab_served box)
	for trial in "open /etc/hosts" "open $LAB/login" connect; do
		hold
		# shellcheck disable=SC2086  # a list of words
		[ "$(in_process "$courier" $trial)" = dead ]
		go_on
		[ "$CODE" -ne 0 ]
		grep -q 'custos-courier has ended' "$BATS_TEST_TMPDIR/out"
		[ "$(lab_served box)" = "$before" ]
	done
	# no release was begun, and the next one finds everything in order
	[ "$(custos release list --json | tr -d '[:space:]')" = '[]' ]
	custos_in deploy $held box > /dev/null
}

@test "a user who is not root has the same courier, without a capability that he had" {
	# Goal: giving up is not only for root. A scan needs no custody.
	# a host that takes its time before it hangs up: long enough for a look
	/usr/bin/python3 -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
print(s.getsockname()[1], flush=True)
c = s.accept(); time.sleep(2)' > "$BATS_TEST_TMPDIR/port" 3>&- &
	lab_until test -s "$BATS_TEST_TMPDIR/port"
	mkdir "$BATS_TEST_TMPDIR/seen"
	# with the one that lets him into directories that are not his, so that there is one to lose (and the build may lie anywhere)
	setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search custos target scan "127.0.0.1:$(cat "$BATS_TEST_TMPDIR/port")" 2> "$BATS_TEST_TMPDIR/out" 3>&- &
	pid=$!
	watch_children "$pid" "$BATS_TEST_TMPDIR/seen"
	run wait "$pid"
	grep -q 'handshake' "$BATS_TEST_TMPDIR/out"
	cd "$BATS_TEST_TMPDIR/seen" || return
	[ "$(field custos-courier Seccomp)" = 2 ]
	[ "$(field custos-courier Uid | tr -s '\t ' ' ')" = "65534 65534 65534 65534" ]
	[ "$(field custos CapPrm)" = 0000000000000004 ]
	for set in CapInh CapPrm CapEff CapAmb; do [ "$(field custos-courier $set)" = 0000000000000000 ]; done
}

@test "what reads the files of a CA can write to none, start nothing and, without a host to ask, reach nobody" {
	# Goal: the parsers of certificates, archives and PKCS#12 are not written here; whoever takes them over is alone with what he sent.
	[ "$(uname -m)" = x86_64 ] || skip "the injector is for x86-64"
	check() { # ARGUMENT…: custos cert check -, which waits for its input
		rm -f "$BATS_TEST_TMPDIR/in"
		mkfifo "$BATS_TEST_TMPDIR/in"
		custos cert check - "$@" < "$BATS_TEST_TMPDIR/in" > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
		checker=$!
		exec 8> "$BATS_TEST_TMPDIR/in"
		lab_until reads_input
	}
	# it sleeps in a read of its standard input
	reads_input() { [ "$(cut -d ' ' -f 1,2 "/proc/$checker/syscall")" = "0 0x0" ]; }
	check
	[ "$(in_process "$checker" open /etc/hosts)" = ok ]
	[ "$(in_process "$checker" open "$LAB/new" write)" = EACCES ]
	[ "$(in_process "$checker" open "$LAB/pin" write)" = EACCES ]
	[ "$(in_process "$checker" connect)" = EACCES ]
	[ "$(field "/proc/$checker/status" Seccomp)" = 2 ]
	# and still does its work
	cat "$LAB/a.chain.pem" >&8
	exec 8>&-
	wait "$checker"
	grep -q "a server can use this" "$BATS_TEST_TMPDIR/out"
	# the chain goes where it was asked for, and into no other directory
	mkdir "$BATS_TEST_TMPDIR/chain"
	check -o "$BATS_TEST_TMPDIR/chain/pem"
	[ "$(in_process "$checker" open "$LAB/new" write)" = EACCES ]
	cat "$LAB/a.chain.pem" >&8
	exec 8>&-
	wait "$checker"
	openssl x509 -in "$BATS_TEST_TMPDIR/chain/pem" -noout
	# nothing is left of a file that does not come to be
	expect 6 custos cert check /etc/hosts -o "$BATS_TEST_TMPDIR/chain/none"
	[ ! -e "$BATS_TEST_TMPDIR/chain/none" ]
	[ ! -e "$LAB/new" ]
}

#!/usr/bin/env bats
# Goal: what docs/HARDENING.md asks of an operator can be done and checked as it stands there: the doctor, the systemd unit, the AppArmor profile.
# The unit is booted, by a systemd that is PID 1 of its own namespaces; what the profile would refuse is worked out from what is really opened.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root, systemd, apparmor and strace.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

docs=$BATS_TEST_DIRNAME/../../docs
unit=$docs/systemd/custos@.service
profile=$docs/apparmor/usr.bin.custos

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab ROOT=$BATS_FILE_TMPDIR/root
	mkdir -m 700 "$LAB"
	boot
}

teardown_file() {
	[ ! -e "$LAB/box" ] || "$here/esxi/host" "$LAB/box" stop || true
	kill -KILL "$(cat "$LAB/machine")" 2> /dev/null || true
}

# ---- the machine ----

boot() {
	local machine
	setsid "$here/booted" "$ROOT" "$CUSTOS_BUILD" 3>&- &
	machine=$!
	disown
	echo "$machine" > "$LAB/machine"
	lab_until pgrep -x -P "$machine" systemd > /dev/null
	pgrep -x -P "$machine" systemd > "$LAB/init"
	if ! lab_until is_up; then cat "$ROOT.console"; return 1; fi
	make_custody
}

is_up() { inside systemctl is-system-running --wait > "$LAB/state" 2>&1 || grep -q degraded "$LAB/state"; }

# inside COMMAND…: as root on that machine; as_custos: as the user custos.
inside() { nsenter -t "$(cat "$LAB/init")" -m -p -n -u -i -C -r -w -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@" 3>&-; }
as_custos() {
	inside setpriv --reuid custos --regid custos --init-groups --no-new-privs env HOME=/var/lib/custos SOFTHSM2_CONF=/var/lib/custos/softhsm/softhsm2.conf \
		CUSTOS_MODULE=libsofthsm2.so "$@"
}
custos_there() { as_custos custos -C /var/lib/custos/lab --pin-source file:/var/lib/custos/pin "$@"; }

# give NAME FILE: a file for the user custos, in the place of custodies.
give() { install -m 600 -o "$(stat -c %u "$ROOT/var/lib/custos")" -g "$(stat -c %g "$ROOT/var/lib/custos")" "$2" "$ROOT/var/lib/custos/$1"; }

# As an operator would: token, custody, the PIN where only root can read it.
make_custody() {
	softhsm_new_pin "$LAB/pin"
	give pin "$LAB/pin"
	as_custos mkdir -p -m 700 /var/lib/custos/softhsm/tokens
	printf 'directories.tokendir = /var/lib/custos/softhsm/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' > "$LAB/softhsm2.conf"
	give softhsm/softhsm2.conf "$LAB/softhsm2.conf"
	lab_ca_new "$LAB/ca"
	give root.pem "$(lab_ca_root "$LAB/ca")"
	as_custos custos token init --label lab --so-pin-source file:/var/lib/custos/pin --pin-source file:/var/lib/custos/pin > /dev/null
	as_custos custos init /var/lib/custos/lab --token pkcs11:token=lab --origin custody.example/lab --trust /var/lib/custos/root.pem \
		--pin-source file:/var/lib/custos/pin > /dev/null
	mkdir -m 755 "$ROOT/etc/custos"
	install -m 600 "$LAB/pin" "$ROOT/etc/custos/lab.pin"
}

# make_host: a host on that machine's network, and a key with its certificate that may go there; once.
make_host() {
	[ ! -e "$LAB/box" ] || return 0
	ssh-keygen -q -t ecdsa -b 256 -N '' -C lab -f "$LAB/login"
	nsenter -t "$(cat "$LAB/init")" -n "$here/esxi/host" "$LAB/box" start --authorized-key "$LAB/login.pub" --watchdog 6:2 > /dev/null 3>&-
	give login "$LAB/login"
	lab_quick_profile > "$LAB/esxi-quick.yaml"
	give esxi-quick.yaml "$LAB/esxi-quick.yaml"
}

# box NAME: a setting of the host; its own ROOT is not ours.
box() { sed -n "s/^$1=//p" "$LAB/box/env"; }

served() {
	nsenter -t "$(cat "$LAB/init")" -n timeout 10 openssl s_client -connect "$(box HTTPS_ADDRESS)" < /dev/null 2> /dev/null |
		openssl x509 -outform DER | sha256sum | cut -d' ' -f1
}

# as the unit would have it: what DIR/…/NAME.conf holds is on stdin
drop_in() {
	mkdir -p "$ROOT/etc/systemd/system/custos@lab.service.d"
	cat > "$ROOT/etc/systemd/system/custos@lab.service.d/test.conf"
	inside systemctl daemon-reload
	inside systemctl reset-failed custos@lab.service 2> /dev/null || true
}

softhsm_drop_in() {
	printf '[Service]\nEnvironment=SOFTHSM2_CONF=/var/lib/custos/softhsm/softhsm2.conf\nReadWritePaths=/var/lib/custos/softhsm\nLoadCredential=pin:/etc/custos/lab.pin\nExecStart=\n'
}

# run_unit: starts it and waits; what it printed is in $output. Exit code of the last command in $code.
run_unit() {
	local since
	since=$(inside date +%s.%N)
	run inside systemctl start custos@lab.service
	started=$status
	inside journalctl --sync
	output=$(inside journalctl -o cat --since "@$since" -u custos@lab.service 2>&1)
	code=$(inside systemctl show -P ExecMainStatus custos@lab.service)
}

# ---- the doctor ----

# verdict CHECK: its verdict in the JSON on stdin.
verdict() { /usr/bin/python3 -c 'import json,sys; print([c["verdict"] for c in json.load(sys.stdin)["checks"] if c["name"] == sys.argv[1]][0])' "$1"; }

# Somebody without rights, on the machine where custos is installed.
nobody() { inside setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- "$@"; }

@test "the doctor's checks stand in HARDENING.md, and the manual" {
	# Goal: a remedy leads to a section that exists, each check can be looked up by its name, and no name leads nowhere.
	run --separate-stderr custos doctor --json
	[ "$status" -eq 0 ] || [ "$status" -eq 9 ]
	echo "$output" > "$BATS_TEST_TMPDIR/report"
	/usr/bin/python3 -c '
import json, re, sys
report, page, manual = json.load(open(sys.argv[1])), open(sys.argv[2]).read(), open(sys.argv[3]).read()
sections = re.findall(r"^## (.*)$", page, re.M)
names = [c["name"] for c in report["checks"]]
assert len(names) >= 15 and len(set(names)) == len(names), names
for c in report["checks"]:
    if c["remedy"] is not None:
        section = re.search(r" \(HARDENING\.md, (.*)\)$", c["remedy"]).group(1)
        assert section in sections, (c["name"], section)
for name in names:
    assert "`doctor: %s`" % name in page, "HARDENING.md does not mention " + name
    assert re.search(r"^\.It Cm %s$" % re.escape(name), manual, re.M), "the manual does not mention " + name
for name in re.findall(r"`doctor: ([^`]*)`", page):
    assert name in names, "there is no check " + name
assert report["fails"] == len([c for c in report["checks"] if c["verdict"] == "fail"])
' "$BATS_TEST_TMPDIR/report" "$docs/HARDENING.md" "$docs/man/custos-doctor.1"
	# the text says the same
	run --separate-stderr custos doctor
	while read -r name verdict; do
		grep -Eq "^$name +$verdict  " <<< "$output"
	done < <(/usr/bin/python3 -c 'import json,sys; [print(c["name"], c["verdict"]) for c in json.load(open(sys.argv[1]))["checks"]]' "$BATS_TEST_TMPDIR/report")
}

@test "the doctor needs nothing and runs where other commands refuse" {
	# Goal: without locked memory, and under a tracer, custos does nothing but say so; the remedy is named and the exit code is 9.
	(ulimit -l 8192 && nobody custos doctor --json > "$BATS_TEST_TMPDIR/enough")
	[ "$(verdict locked-memory < "$BATS_TEST_TMPDIR/enough")" = ok ]
	ulimit -l 64
	expect 9 nobody custos doctor
	says "this machine fails 1 check: locked-memory"
	grep -q '^locked-memory  *fail  .*the limit is 64 KiB' <<< "$output"
	grep -q '^locked-memory  .*ulimit -l 8192.*LimitMEMLOCK=8M.*HARDENING.md, Locked memory' <<< "$output"
	expect 9 nobody custos status
	says "cannot lock"
	[ -z "$output" ]
	# with the capability root is not bound by the limit, without it root is
	run --separate-stderr custos doctor --json
	[ "$(verdict locked-memory <<< "$output")" = ok ]
	run --separate-stderr setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock -- custos doctor --json
	[ "$(verdict locked-memory <<< "$output")" = fail ]

	expect 9 strace -f -o /dev/null "$CUSTOS_BUILD/custos" doctor
	says "tracer"
	expect 9 strace -f -o /dev/null "$CUSTOS_BUILD/custos" version
	says "traced"
	[ -z "$output" ]
}

@test "the doctor sees the machine, not what it is told" {
	# Goal: swap, the place of locks and the helpers are looked at where they really are; a warning does not change the exit code, a hole does.
	before=0
	custos doctor > /dev/null 2>&1 || before=$?
	printf 'Filename Type Size Used Priority\n/swap.img file 1048572 0 -2\n' > "$BATS_TEST_TMPDIR/swaps"
	expect "$before" unshare -m sh -c 'mount --bind "$1" /proc/swaps && exec custos doctor --json' sh "$BATS_TEST_TMPDIR/swaps"
	[ "$(verdict swap <<< "$output")" = warn ]
	printf 'Filename Type Size Used Priority\n' > "$BATS_TEST_TMPDIR/swaps"
	expect "$before" unshare -m sh -c 'mount --bind "$1" /proc/swaps && exec custos doctor --json' sh "$BATS_TEST_TMPDIR/swaps"
	[ "$(verdict swap <<< "$output")" = ok ]

	# a directory for locks that somebody else has made first
	expect 9 inside unshare -m sh -c 'mount -t tmpfs -o mode=1777 lock /run/lock && mkdir -m 700 /run/lock/custos && chown 12345 /run/lock/custos &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups -- custos doctor --json'
	says "this machine fails 1 check: lock-directory"
	[ "$(verdict lock-directory <<< "$output")" = fail ]

	# on the machine where it is installed all is well, until somebody may write where the helpers lie
	expect 0 as_custos custos doctor --json
	[ "$(verdict helpers <<< "$output")$(verdict lock-directory <<< "$output")$(verdict user <<< "$output")" = okokok ]
	inside chmod 777 /usr/libexec/custos
	run --separate-stderr as_custos custos doctor --json
	inside chmod 755 /usr/libexec/custos
	[ "$status" -eq 9 ]
	[ "$(verdict helpers <<< "$output")" = fail ]
}

# ---- systemd ----

@test "unit, user and places are what systemd understands" {
	# Goal: no key is misspelt (systemd only complains about those), the exposure is small, the user and the places come out as written.
	cp "$unit" "$ROOT/etc/systemd/system/custos-test@.service"
	run inside systemd-analyze verify --man=no /usr/lib/systemd/system/custos@.service
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	# a check that cannot fail is none
	sed -i 's/^LimitCORE=/LimitCores=/' "$ROOT/etc/systemd/system/custos-test@.service"
	run inside systemd-analyze verify --man=no /etc/systemd/system/custos-test@.service
	[[ $output == *LimitCores* ]]
	rm "$ROOT/etc/systemd/system/custos-test@.service"
	inside systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/custos@.service > /dev/null
	run ! inside systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/systemd-journal-flush.service

	[ "$(inside id -un custos):$(inside id -Gn custos)" = custos:custos ]
	grep -q '^custos:.*:/var/lib/custos:/usr/sbin/nologin$' "$ROOT/etc/passwd"
	[ "$(inside stat -c '%a %U' /run/lock/custos /var/lib/custos | paste -sd ' ')" = "1777 root 700 custos" ]
}

@test "the unit as it stands watches a custody, without a PIN" {
	# Goal: what is installed works with nothing added, fails when something needs a person, and has no PIN to lose.
	printf '[Service]\nExecStartPost=+/bin/sh -c "ls /run/credentials > /run/credentials.seen"\n' | drop_in
	run_unit
	[ "$started" -eq 0 ]
	[[ $output == *"custody.example/lab"* ]]
	run ! grep -q 'custos@lab' <(inside cat /run/credentials.seen)
	# no custody, no service
	inside systemctl start custos@none.service
	[ "$(inside systemctl show -P ConditionResult custos@none.service)" = no ]
}

@test "the unit makes a key and verifies the log with everything that holds it" {
	# Goal: the hardening is in force, seen from inside, and custos does its work all the same: memory is locked the good way, the PIN is a credential.
	{
		softhsm_drop_in
		printf 'ExecStart=/usr/bin/custos -C /var/lib/custos/%%i --pin-source file:%%d/pin key generate unattended\n'
		printf 'ExecStart=/usr/bin/custos -C /var/lib/custos/%%i log verify\n'
		printf 'ExecStart=/usr/bin/custos doctor --json\n'
		# where it may not: each would be a file, and none must be there
		printf 'ExecStart=-/bin/sh -c "for d in /etc /usr /var /var/lib /home /root /var/lib/custos /boot; do touch $$d/written && echo wrote $$d; done"\n'
		printf 'ExecStart=/bin/cat /proc/self/status /proc/self/limits\n'
	} | drop_in
	run_unit
	echo "$output"
	[ "$started" -eq 0 ]
	[[ $output != *"wrote "* ]]
	[[ $output == *"verified: every entry"* ]]
	custos_there key show unattended > /dev/null
	for line in 'NoNewPrivs:	1' 'Seccomp:	2' 'CapEff:	0000000000000000' 'CapBnd:	0000000000000000' 'Umask:	0077'; do
		grep -qxF "$line" <<< "$output"
	done
	grep -Eq '^Uid:	([0-9]+)	\1	\1	\1$' <<< "$output"
	[[ $output != *$'\nUid:\t0'* ]]
	grep -Eq '^Max locked memory +8388608 +8388608' <<< "$output"
	grep -Eq '^Max core file size +0 +0' <<< "$output"
	report=$(sed -n '/^{$/,/^}$/p' <<< "$output")
	for check in locked-memory secret-memory landlock seccomp user lock-directory helpers processes tracer; do
		[ "$(verdict "$check" <<< "$report")" = ok ]
	done
	[ "$(lab_json '["fails"]' <<< "$report")" = 0 ]
	# the PIN is in no argument, no environment and no journal
	inside journalctl -o export > "$BATS_TEST_TMPDIR/journal"
	grep -q '^MESSAGE=key  *unattended' "$BATS_TEST_TMPDIR/journal"
	run ! grep -rqF "$(cat "$LAB/pin")" "$BATS_TEST_TMPDIR/journal" "$ROOT/etc/systemd"
}

@test "the unit delivers a key to a host" {
	# Goal: the courier works under the unit's filter too: what the host serves afterwards is the certificate of the key, seen from outside. And with
	# no more memory to lock than the doctor and HARDENING.md say one host needs.
	make_host
	custos_there key generate web > /dev/null
	custos_there csr create web --subject CN=box.example.com --san dns:box.example.com -o /var/lib/custos/web.csr > /dev/null
	lab_ca_sign "$LAB/ca" "$ROOT/var/lib/custos/web.csr" "$LAB/web"
	give web.p7b "$LAB/web.p7b"
	custos_there cert accept web /var/lib/custos/web.p7b > /dev/null
	custos_there target add box --address "$(box SSH_ADDRESS)" --profile /var/lib/custos/esxi-quick.yaml --hostkey "$(box HOSTKEY_SHA256)" \
		--verify "$(box HTTPS_ADDRESS)" --sni box.example.com --auth key:/var/lib/custos/login > /dev/null
	custos_there key allow web box > /dev/null
	# the drop-in that the unit's own comment shows
	{
		softhsm_drop_in
		echo LimitMEMLOCK=2M
		sed -n 's/^#   //p' "$unit" | grep -E '^ExecStart=/' | sed 's/ deploy .*/ deploy web box --reason unattended/'
	} | drop_in
	run_unit
	echo "$output"
	[ "$started" -eq 0 ]
	[ "$(served)" = "$(custos_there cert show web --json | lab_json '["leaf_sha256"]')" ]
	custos_there log show --json | /usr/bin/python3 -c 'import json,sys; e=[x["event"] for x in json.load(sys.stdin)]; assert e[-1] == "release.done", e'
}

@test "the unit with too little memory to lock does nothing, and says why" {
	# Goal: a limit that is too low is a refusal before anything happens, not a key in memory that can be swapped.
	size=$(custos_there log checkpoint --json | lab_json '["size"]')
	{
		softhsm_drop_in
		printf 'LimitMEMLOCK=64K\nExecStart=/usr/bin/custos -C /var/lib/custos/%%i --pin-source file:%%d/pin key generate never\n'
	} | drop_in
	run_unit
	[ "$started" -ne 0 ]
	[ "$code" = 9 ]
	[[ $output == *"cannot lock 256 KiB of memory"*"64 KiB"* || $output == *"cannot lock"*"limit of locked memory: 64 KiB"* ]]
	[ "$(custos_there log checkpoint --json | lab_json '["size"]')" = "$size" ]
}

@test "a filter without memfd_secret is survived, and the doctor names it" {
	# Goal: somebody who writes the filter anew, from systemd's group alone, gets weaker memory and is told so, not a crash.
	{
		softhsm_drop_in
		printf 'SystemCallFilter=\nSystemCallFilter=@system-service\n'
		printf 'ExecStart=-/usr/bin/custos doctor --json\n'
	} | drop_in
	run_unit
	report=$(sed -n '/^{$/,/^}$/p' <<< "$output")
	[ "$(verdict secret-memory <<< "$report")" = warn ]
	[ "$(verdict locked-memory <<< "$report")" = ok ]
}

# ---- AppArmor ----

# compare PROFILE: with what the main job opened.
compare() {
	/usr/bin/python3 "$BATS_TEST_DIRNAME/apparmor.py" "$1" "$ROOT/root/record" /usr/bin/custos /usr/libexec/custos/custos-token /usr/libexec/custos/custos-courier
}

# record COMMAND…: custos there, with every file it touches written down.
record() {
	inside /usr/libexec/opens /root/record.new setpriv --reuid custos --regid custos --init-groups env HOME=/var/lib/custos \
		SOFTHSM2_CONF=/var/lib/custos/softhsm/softhsm2.conf CUSTOS_MODULE=libsofthsm2.so custos --pin-source file:/var/lib/custos/pin "$@" > "$BATS_TEST_TMPDIR/out"
	cat "$ROOT/root/record.new" >> "$ROOT/root/record"
}

@test "the profile compiles, and allows what the main job opens and nothing is missing" {
	# Goal: somebody who loads the profile has a custos that works; a profile that lacks a rule is found, with program and file.
	run apparmor_parser -QKT "$profile"
	echo "$output"
	[ "$status" -eq 0 ]
	# that it cannot be cached says a kernel without AppArmor
	run ! grep -v '^Cache read/write disabled: interface file missing' <<< "$output"
	sed 's/^\(\t@{custos_places}.*\) rwk,/\1 rwkz,/' "$profile" > "$BATS_TEST_TMPDIR/bad"
	run ! apparmor_parser -QKT "$BATS_TEST_TMPDIR/bad"

	make_host
	: > "$ROOT/root/record"
	dir=/var/lib/custos/second
	record init $dir --token pkcs11:token=lab --origin custody.example/second --trust /var/lib/custos/root.pem
	record -C $dir key generate other
	record -C $dir csr create other --subject CN=box.example.com --san dns:box.example.com -o /var/lib/custos/other.csr
	lab_ca_sign "$LAB/ca" "$ROOT/var/lib/custos/other.csr" "$LAB/other"
	give other.p7b "$LAB/other.p7b"
	record -C $dir cert accept other /var/lib/custos/other.p7b
	record -C $dir target scan "$(box SSH_ADDRESS)"
	record -C $dir target add box --address "localhost:$(box SSH_ADDRESS | cut -d: -f2)" --profile /var/lib/custos/esxi-quick.yaml --hostkey "$(box HOSTKEY_SHA256)" \
		--verify "$(box HTTPS_ADDRESS)" --sni box.example.com --auth key:/var/lib/custos/login
	printf '%s localhost\n' "$(box SSH_ADDRESS | cut -d: -f1)" > "$ROOT/etc/hosts"
	record -C $dir key allow other box
	record -C $dir deploy other box
	printf '127.0.0.1 localhost\n' > "$ROOT/etc/hosts"
	record -C $dir status
	record -C $dir log verify
	record -C $dir log publish /var/lib/custos/published
	record doctor
	record token list
	sort -u -o "$ROOT/root/record" "$ROOT/root/record"
	echo "# $(compare "$profile" | tail -n 1)" >&3
	compare "$profile"

	# without a rule: each names the file, and the program that needs it
	while IFS='|' read -r rule program file; do
		grep -vF "$rule" "$profile" > "$BATS_TEST_TMPDIR/lacking"
		[ "$(wc -l < "$BATS_TEST_TMPDIR/lacking")" -lt "$(wc -l < "$profile")" ]
		run compare "$BATS_TEST_TMPDIR/lacking"
		[ "$status" -eq 1 ]
		[[ $output == *"$program: profile "*" does not allow "*"$file"* ]] || { printf '%s\n' "without $rule it does not name $file:" "$output"; false; }
	done <<- 'END'
		@{custos_places}/** rwk,|/usr/bin/custos|/var/lib/custos/second/custody.db
		@{custos_tokens}/{,**} rwk,|/usr/libexec/custos/custos-token|token.object
		/{run,var}/lock/custos/|/usr/libexec/custos/custos-token|/run/lock/custos/
		custos-courier rpx ->|/usr/bin/custos|/usr/libexec/custos/custos-courier
		@{PROC}/@{pid}/status r,|/usr/libexec/custos/custos-courier|/status
		lib*.so* mr,|/usr/libexec/custos/custos-courier|libssh2.so
		/etc/{hosts,host.conf|/usr/bin/custos|/etc/hosts
		/usr/libexec/custos/custos-token mr,|/usr/libexec/custos/custos-token|/usr/libexec/custos/custos-token
	END
	# a courier that opened a file of the custody would be seen
	printf '/usr/libexec/custos/custos-courier\tr\town\t/var/lib/custos/second/custody.db\n' >> "$ROOT/root/record"
	run compare "$profile"
	[ "$status" -eq 1 ]
	[[ $output == *"profile custos-courier does not allow r /var/lib/custos/second/custody.db"* ]]
}

#!/usr/bin/env bats
# The ESXi stand-in itself: it must fail the way real hosts fail, or the tests that use it prove nothing. Everything here is done by hand,
# with the OpenSSH client and openssl, as people do it today.
bats_require_minimum_version 1.5.0

setup() {
	[ "$(id -u)" = 0 ] || [ -n "${CI:-}" ] || skip "needs root for namespaces"
	unset SSL_CERT_FILE SSL_CERT_DIR
	here=$BATS_TEST_DIRNAME
	box=$BATS_TEST_TMPDIR/box
	work=$BATS_TEST_TMPDIR
	# shellcheck source=/dev/null
	. "$here/lab_ca.bash"
	ssh-keygen -q -t ecdsa -N '' -f "$work/id"
	echo 'correct horse 7!' > "$work/password"
}

teardown() {
	[ ! -d "$box" ] || "$here/esxi/host" "$box" stop
}

host() { "$here/esxi/host" "$box" "$@"; }

# power_on [OPTION…]: start it and take its addresses over.
power_on() {
	host start --authorized-key "$work/id.pub" --password-file "$work/password" "$@" > "$work/started"
	take_env
	ssh-keyscan -p "${SSH_ADDRESS#*:}" "${SSH_ADDRESS%:*}" 2> /dev/null > "$work/known_hosts"
}

take_env() {
	# shellcheck source=/dev/null
	. "$box/env"
}

# on_host COMMAND: run it over SSH by public key, pinned; stdin goes along.
on_host() {
	ssh -F none -i "$work/id" -p "${SSH_ADDRESS#*:}" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes \
		-o UserKnownHostsFile="$work/known_hosts" -o LogLevel=ERROR "root@${SSH_ADDRESS%:*}" "$1"
}

# by_password METHOD PASSWORD: log in with one attempt, no terminal.
by_password() {
	printf '#!/bin/sh\ncat %s\n' "$work/answer" > "$work/askpass"
	printf '%s\n' "$2" > "$work/answer"
	chmod 700 "$work/askpass"
	SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force ssh -F none -p "${SSH_ADDRESS#*:}" -o PreferredAuthentications="$1" \
		-o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -o StrictHostKeyChecking=yes \
		-o UserKnownHostsFile="$work/known_hosts" "root@${SSH_ADDRESS%:*}" 'echo logged in'
}

# served: SHA-256 of the leaf that the HTTPS port serves now; fails when there is no TLS there.
served() {
	timeout 5 openssl s_client -connect "$HTTPS_ADDRESS" < /dev/null 2> /dev/null | openssl x509 -noout -fingerprint -sha256 2> /dev/null
}

fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256; }

# until_true COMMAND…: poll for at most ten seconds.
until_true() {
	local deadline=$((SECONDS + 10))
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}

serves() { [ "$(served)" = "$1" ]; }
watchdog_gave_up() { [ ! -e "$ROOT/var/run/vmware/watchdog-rhttpproxy.PID" ]; }

# has_ended PID: no such process, or what its parent has not yet fetched of it.
has_ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

# order_certificate: a key and what the CA sends for it, in $work/new.*.
order_certificate() {
	lab_ca_new "$work/ca"
	openssl req -new -newkey rsa:2048 -nodes -keyout "$work/new.key" -subj /CN=esxi.example.com \
		-addext subjectAltName=DNS:esxi.example.com -out "$work/new.csr" 2> /dev/null
	lab_ca_sign "$work/ca" "$work/new.csr" "$work/new"
}

# put FILE NAME: overwrite in place, as the vendor's procedure does.
put() { on_host "cat > /etc/vmware/ssl/$2" < "$1"; }

@test "a fresh host serves its factory certificate and takes the key it was given" {
	# Goal: a stand-in is up in two seconds, with the factory subject, the pinned host key and the shell of such a host.
	SECONDS=0
	power_on
	[ "$SECONDS" -le 2 ]
	[ "$PROFILE" = esxi80 ]
	run bash -c "timeout 5 openssl s_client -connect $HTTPS_ADDRESS < /dev/null 2> /dev/null | openssl x509 -noout -subject"
	[[ $output == *"OU = VMware ESX Server Default Certificate"* ]]
	[ "$(served)" = "$(fingerprint "$ROOT/etc/vmware/ssl/rui.crt")" ]
	run ssh-keygen -lf "$work/known_hosts"
	[[ $output == *"$HOSTKEY_SHA256"*"(ECDSA)"* ]]
	[[ $output != *ED25519* ]]
	[ "$(on_host 'vmware -v')" = "VMware ESXi 8.0.2 build-22380479" ]
	[ "$(on_host 'stat -c %a /etc/vmware/ssl/rui.key')" = 1400 ]
	run -127 on_host 'command -v bash flock sudo python3'
	[ -z "$output" ]
}

@test "the forum thread's disaster, by hand" {
	# Goal: a PKCS#7 bundle pasted into rui.crt kills HTTPS while every command reports success, and the reboot takes the way back.
	power_on
	order_certificate
	on_host 'cd /etc/vmware/ssl && cp -p rui.crt rui.crt.orig && cp -p rui.key rui.key.orig && chmod +t *.orig'
	put "$work/new.p7b" rui.crt
	put "$work/new.key" rui.key
	run on_host '/etc/init.d/rhttpproxy restart 2>&1'
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = "VMware HTTP reverse proxy started." ]
	until_true watchdog_gave_up
	run ! served
	[ "$(grep -c 'quick failures' "$ROOT/var/log/rhttpproxy.log")" -eq 6 ]
	run on_host '/etc/init.d/rhttpproxy status'
	[ "$status" -eq 3 ]

	run on_host '/etc/init.d/rhttpproxy restart 2>&1'
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 4 ]
	[ "${lines[0]}" = "watchdog-rhttpproxy: PID file /var/run/vmware/watchdog-rhttpproxy.PID does not exist" ]
	[ "${lines[1]}" = "watchdog-rhttpproxy: Unable to terminate watchdog: No running watchdog process for rhttpproxy" ]
	[ "${lines[2]}" = "sh: you need to specify whom to kill" ]
	[ "${lines[3]}" = "VMware HTTP reverse proxy started." ]

	host reboot --graceful > /dev/null
	take_env
	[ "$(on_host 'ls /etc/vmware/ssl' | grep -c orig)" -eq 0 ]
	cmp "$work/new.p7b" "$ROOT/etc/vmware/ssl/rui.crt"
	cmp "$work/new.key" "$ROOT/etc/vmware/ssl/rui.key"
	run ! served

	on_host '/sbin/generate-certificates && /etc/init.d/rhttpproxy restart' > /dev/null 2>&1
	until_true served
}

@test "wrong order, a foreign key and a request given as key kill it too" {
	# Goal: each of the thread's mistakes ends in a dead port and a cheerful restart; putting the files back is not enough, a restart is.
	power_on
	order_certificate
	before=$(served)
	cp "$ROOT/etc/vmware/ssl/rui.crt" "$work/old.crt"
	cp "$ROOT/etc/vmware/ssl/rui.key" "$work/old.key"
	cat "$work/ca/intermediate.pem" "$work/new.leaf.pem" > "$work/wrong-order.pem"
	for pair in "wrong-order.pem new.key" "new.chain.pem old.key" "new.chain.pem new.csr" "new.der.p7b new.key"; do
		put "$work/${pair% *}" rui.crt
		put "$work/${pair#* }" rui.key
		run on_host '/etc/init.d/rhttpproxy restart 2>&1'
		[ "$status" -eq 0 ]
		[ "${lines[-1]}" = "VMware HTTP reverse proxy started." ]
		until_true watchdog_gave_up
		run ! served
	done
	put "$work/old.crt" rui.crt
	put "$work/old.key" rui.key
	run ! served
	on_host '/etc/init.d/rhttpproxy restart' > /dev/null 2>&1
	until_true serves "$before"
}

@test "a good pair is served, and survives a power cut only once saved" {
	# Goal: the boot bank decides: unsaved files fall back to the old pair, auto-backup.sh keeps the new one, nothing keeps a file of ours.
	power_on
	order_certificate
	before=$(served)
	new=$(fingerprint "$work/new.leaf.pem")
	put "$work/new.chain.pem" rui.crt
	put "$work/new.key" rui.key
	on_host '/etc/init.d/rhttpproxy ssl_reset'
	until_true serves "$new"
	run on_host 'chmod 400 /etc/vmware/ssl/rui.key; echo stays > /vmfs/volumes/datastore1/note; echo goes > /etc/note'
	host reboot > /dev/null
	take_env
	serves "$before"
	[ "$(cat "$ROOT/vmfs/volumes/datastore1/note")" = stays ]
	[ ! -e "$ROOT/etc/note" ]

	put "$work/new.chain.pem" rui.crt
	put "$work/new.key" rui.key
	on_host 'chmod 400 /etc/vmware/ssl/rui.key; /sbin/auto-backup.sh'
	host reboot > /dev/null
	take_env
	serves "$new"
	[ "$(openssl s_client -connect "$HTTPS_ADDRESS" -showcerts < /dev/null 2> /dev/null | grep -c BEGIN)" -eq 2 ]
}

@test "auto-backup.sh saves when something changed and only then" {
	# Goal: the time of state.tgz proves that a backup was made, because no other call touches it.
	power_on
	first=$(stat -c %Y.%i "$box/bootbank/state.tgz")
	on_host /sbin/auto-backup.sh
	[ "$(stat -c %Y.%i "$box/bootbank/state.tgz")" = "$first" ]
	on_host 'chmod 600 /etc/vmware/ssl/rui.key; echo >> /etc/vmware/ssl/rui.crt; /bin/auto-backup.sh'
	[ "$(stat -c %Y.%i "$box/bootbank/state.tgz")" != "$first" ]
	tar -xzOf "$box/bootbank/state.tgz" local.tgz | tar -tz | grep -qx etc/vmware/ssl/rui.key
}

@test "hostd goes on showing the old certificate until it is restarted" {
	# Goal: the interface's own idea of the certificate is stale after the proxy alone was restarted, as on real hosts.
	power_on
	order_certificate
	put "$work/new.chain.pem" rui.crt
	put "$work/new.key" rui.key
	on_host '/etc/init.d/rhttpproxy restart' > /dev/null 2>&1
	until_true serves "$(fingerprint "$work/new.leaf.pem")"
	believed() { printf 'GET /sdk HTTP/1.0\r\n\r\n' | openssl s_client -quiet -connect "$HTTPS_ADDRESS" 2> /dev/null | tail -1; }
	[ "$(believed)" != "$(fingerprint "$work/new.leaf.pem")" ]
	on_host '/etc/init.d/hostd restart' > /dev/null
	[ "$(believed)" = "$(fingerprint "$work/new.leaf.pem")" ]
}

@test "esxi80 takes a password only in dialogue and refuses what its lists lack" {
	# Goal: publickey and keyboard-interactive, no password method, no ed25519, no SHA-1, no CBC.
	power_on
	run by_password password 'correct horse 7!'
	[ "$status" -ne 0 ]
	[[ $output == *"(publickey,keyboard-interactive)"* ]]
	run by_password keyboard-interactive 'correct horse 7!'
	[ "${lines[-1]}" = "logged in" ]
	run by_password keyboard-interactive 'correct horse 8!'
	[ "$status" -ne 0 ]
	ssh-keygen -q -t ed25519 -N '' -f "$work/ed"
	cat "$work/ed.pub" >> "$ROOT/etc/ssh/keys-root/authorized_keys"
	mv "$work/ed" "$work/id"
	run on_host true
	[ "$status" -ne 0 ]
	for refused in HostKeyAlgorithms=ssh-rsa MACs=hmac-sha1 KexAlgorithms=diffie-hellman-group14-sha1 Ciphers=aes128-cbc; do
		run ssh -F none -p "${SSH_ADDRESS#*:}" -o "$refused" -o BatchMode=yes "root@${SSH_ADDRESS%:*}" true
		[[ $output == *"no matching"* ]]
	done
}

@test "esxi65 has an RSA host key, SHA-1 signatures and takes passwords both ways" {
	# Goal: the old lists are really old: libssh2 1.10, which knows no rsa-sha2 host keys, must find ssh-rsa here.
	power_on --profile esxi65
	run ssh-keygen -lf "$work/known_hosts"
	[[ $output == *"$HOSTKEY_SHA256"*"(RSA)"* ]]
	[[ $output != *ECDSA* ]]
	[ "$(on_host 'vmware -v')" = "VMware ESXi 6.5.0 build-4564106" ]
	run by_password password 'correct horse 7!'
	[ "${lines[-1]}" = "logged in" ]
	run by_password keyboard-interactive 'correct horse 7!'
	[ "${lines[-1]}" = "logged in" ]
	run ssh -F none -p "${SSH_ADDRESS#*:}" -i "$work/id" -o IdentitiesOnly=yes -o BatchMode=yes -o HostKeyAlgorithms=ssh-rsa -o MACs=hmac-sha1 \
		-o KexAlgorithms=diffie-hellman-group14-sha1 -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$work/known_hosts" \
		"root@${SSH_ADDRESS%:*}" 'echo old'
	[ "${lines[-1]}" = old ]
	run ! openssl s_client -tls1_3 -connect "$HTTPS_ADDRESS" < /dev/null
	openssl s_client -tls1_2 -connect "$HTTPS_ADDRESS" < /dev/null > /dev/null 2>&1
}

@test "without a password file no password opens it" {
	# Goal: a host started with a key only has no password that could be guessed, the empty one included.
	host start --authorized-key "$work/id.pub" > /dev/null
	take_env
	ssh-keyscan -p "${SSH_ADDRESS#*:}" "${SSH_ADDRESS%:*}" 2> /dev/null > "$work/known_hosts"
	for guess in '' '*' root vmware; do
		run by_password keyboard-interactive "$guess"
		[ "$status" -ne 0 ]
	done
	[ "$(on_host 'echo in')" = in ]
}

@test "fault full-ramdisk: staging fails for want of room and off gives it back" {
	# Goal: a key and a chain do not fit any more, and the error reaches the client.
	power_on
	host fault full-ramdisk
	run bash -c "head -c 16384 /dev/zero | ssh -F none -i $work/id -p ${SSH_ADDRESS#*:} -o IdentitiesOnly=yes -o BatchMode=yes \
		-o UserKnownHostsFile=$work/known_hosts root@${SSH_ADDRESS%:*} 'cat > /tmp/staged'"
	[ "$status" -ne 0 ]
	[[ $output == *"No space left on device"* ]]
	on_host 'rm -f /tmp/staged'
	host fault full-ramdisk off
	head -c 16384 /dev/zero | on_host 'cat > /tmp/staged'
	host fault full-ramdisk
	host reboot > /dev/null
	head -c 16384 /dev/zero | on_host 'cat > /tmp/staged'
}

@test "fault readonly-key: rui.key refuses every way of writing" {
	# Goal: neither root's rights, chmod nor a rename gets past it; off does.
	power_on
	host fault readonly-key
	sum=$(sha256sum < "$ROOT/etc/vmware/ssl/rui.key")
	for attempt in 'echo x > rui.key' 'chmod 600 rui.key' 'echo x > n && mv -f n rui.key' 'rm -f rui.key'; do
		run on_host "cd /etc/vmware/ssl && $attempt"
		[ "$status" -ne 0 ]
	done
	[ "$(sha256sum < "$ROOT/etc/vmware/ssl/rui.key")" = "$sum" ]
	echo x | put /dev/stdin rui.crt
	host fault readonly-key off
	echo x | put /dev/stdin rui.key
}

@test "fault proxy-fails: only the present certificate runs, whatever is tried" {
	# Goal: neither ssl_reset nor restart nor a reboot brings a good new pair up, and the old pair with a restart does.
	power_on
	order_certificate
	before=$(served)
	cp "$ROOT/etc/vmware/ssl/rui.crt" "$work/old.crt"
	cp "$ROOT/etc/vmware/ssl/rui.key" "$work/old.key"
	host fault proxy-fails
	put "$work/new.chain.pem" rui.crt
	put "$work/new.key" rui.key
	on_host '/etc/init.d/rhttpproxy ssl_reset'
	serves "$before"
	run on_host '/etc/init.d/rhttpproxy restart 2>&1'
	[ "$status" -eq 0 ]
	until_true watchdog_gave_up
	run ! served
	on_host /sbin/auto-backup.sh
	host reboot > /dev/null
	take_env
	run ! served
	put "$work/old.crt" rui.crt
	put "$work/old.key" rui.key
	on_host '/etc/init.d/rhttpproxy restart' > /dev/null 2>&1
	until_true serves "$before"
}

@test "fault reload-noop: ssl_reset succeeds in silence and changes nothing" {
	# Goal: exit code and output cannot tell; only the served certificate can. A restart works.
	power_on
	order_certificate
	before=$(served)
	put "$work/new.chain.pem" rui.crt
	put "$work/new.key" rui.key
	host fault reload-noop
	run on_host '/etc/init.d/rhttpproxy ssl_reset 2>&1'
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	serves "$before"
	on_host '/etc/init.d/rhttpproxy restart' > /dev/null 2>&1
	until_true serves "$(fingerprint "$work/new.leaf.pem")"
}

@test "faults of the backup: missing, and lying" {
	# Goal: without auto-backup.sh the call fails; with the lying one it succeeds and state.tgz stays as it was.
	power_on
	first=$(sha256sum < "$box/bootbank/state.tgz")
	on_host 'echo >> /etc/vmware/ssl/rui.crt'
	host fault no-auto-backup
	run -127 on_host '/sbin/auto-backup.sh || /bin/auto-backup.sh'
	host fault no-auto-backup off
	host fault auto-backup-noop
	on_host '/sbin/auto-backup.sh && /bin/auto-backup.sh'
	[ "$(sha256sum < "$box/bootbank/state.tgz")" = "$first" ]
	host fault auto-backup-noop off
	on_host /bin/auto-backup.sh
	[ "$(sha256sum < "$box/bootbank/state.tgz")" != "$first" ]
}

@test "fault cut-ssh-at-switch: the session dies at the switch, the next one can be had" {
	# Goal: the command that writes rui.crt never gets to report, whether it writes in place or renames.
	power_on
	for switch in 'echo x >> rui.crt' 'cp -p rui.crt n && mv n rui.crt'; do
		host fault cut-ssh-at-switch
		run on_host "cd /etc/vmware/ssl && $switch; tail -f /dev/null; echo reported"
		[ "$status" -eq 255 ]
		[[ $output != *reported* ]]
		[ "$(on_host 'echo x >> /etc/vmware/ssl/rui.crt && echo again')" = again ]
	done
	host fault cut-ssh-at-switch
	host fault cut-ssh-at-switch off
	[ "$(on_host 'echo x >> /etc/vmware/ssl/rui.crt && echo undisturbed')" = undisturbed ]
}

@test "fault lose-ssh-at-switch: after the cut no session can be had" {
	# Goal: connections are refused until the service is started on the console.
	power_on
	host fault lose-ssh-at-switch
	run on_host 'echo x >> /etc/vmware/ssl/rui.crt; tail -f /dev/null; echo reported'
	[ "$status" -eq 255 ]
	run on_host true
	[ "$status" -eq 255 ]
	host exec /etc/init.d/SSH start > /dev/null
	until_true on_host true
}

@test "faults managed, locked, no-ssh and no-sftp" {
	# Goal: each is visible to a client exactly as long as it is on.
	power_on
	run on_host '/etc/init.d/vpxa status'
	[ "$status" -eq 3 ]
	host fault managed
	on_host '/etc/init.d/vpxa status && test -e /etc/vmware/vpxa/vpxa.cfg'
	host fault managed off
	run on_host '/etc/init.d/vpxa status || test -e /etc/vmware/vpxa/vpxa.cfg'
	[ "$status" -ne 0 ]

	host fault locked /tmp/.deploy.lock
	run on_host 'mkdir /tmp/.deploy.lock'
	[ "$status" -ne 0 ]
	host fault locked off
	on_host 'mkdir /tmp/.deploy.lock'

	host fault no-sftp
	run on_host 'test -x /usr/lib/vmware/openssh/bin/sftp-server'
	[ "$status" -ne 0 ]
	host fault no-sftp off
	on_host 'test -x /usr/lib/vmware/openssh/bin/sftp-server'

	host fault no-ssh
	run on_host true
	[ "$status" -eq 255 ]
	host reboot > /dev/null
	take_env
	run on_host true
	[ "$status" -eq 255 ]
	served
	host fault no-ssh off
	on_host true

	run host fault no-such-thing
	[ "$status" -ne 0 ]
	[[ $output == *"no such fault"* ]]
}

@test "a watchdog with smaller limits gives up earlier, and revives what died late" {
	# Goal: the limits come from DIR, and a proxy that lived long enough is started again for ever.
	power_on --watchdog 1:60
	echo junk | put /dev/stdin rui.crt
	on_host '/etc/init.d/rhttpproxy restart' > /dev/null 2>&1
	until_true watchdog_gave_up
	[ "$(grep -c 'quick failures' "$ROOT/var/log/rhttpproxy.log")" -eq 2 ]
	host set WATCHDOG_MIN_UPTIME_S 0
	on_host '/sbin/generate-certificates && /etc/init.d/rhttpproxy restart' > /dev/null 2>&1
	until_true served
	# shellcheck disable=SC2016  # for the shell inside
	proxy() { host exec sh -c '. /usr/lib/vmware/alive.sh; for p in $(pidof stunnel); do if alive $p; then echo $p; fi; done'; }
	for _ in 1 2 3 4; do
		pid=$(proxy)
		host exec kill -9 "$pid"
		until_true served
		[ "$(proxy)" != "$pid" ]
	done
}

@test "a reboot typed inside restarts the machine, and what it leaves is what the boot bank has" {
	# Goal: a graceful reboot saves on its way down; afterwards the machine answers on the same ports with the same host key.
	power_on
	first=$(sed -n 's/ .*//p' "$box/pid1")
	on_host 'echo >> /etc/vmware/ssl/rui.crt; reboot' || true
	rebooted() { [ "$(sed -n 's/ .*//p' "$box/pid1")" != "$first" ]; }
	until_true rebooted
	until_true on_host true
	host status > /dev/null
	take_env
	[ -z "$(tail -n 1 "$ROOT/etc/vmware/ssl/rui.crt")" ]
}

@test "two hosts at once do not meet, and stop leaves nothing behind" {
	# Goal: own ports, own keys, own processes; after stop no process, no mount, no listener of it is left, whoever kills what.
	power_on
	host_ssh=$SSH_ADDRESS
	"$here/esxi/host" "$work/second" start --authorized-key "$work/id.pub" > "$work/second.env"
	run ! grep -q "$host_ssh\|$HOSTKEY_SHA256" "$work/second.env"
	second_pid1=$(sed -n 's/ .*//p' "$work/second/pid1")
	children=$(cat "/proc/$second_pid1/task/$second_pid1/children")
	[ -n "$children" ]
	on_host true
	"$here/esxi/host" "$work/second" stop
	for pid in $second_pid1 $children; do has_ended "$pid"; done
	run ! "$here/esxi/host" "$work/second" status
	on_host true
	served

	# even when only the supervisor is killed, the whole machine goes
	first_pid1=$(sed -n 's/ .*//p' "$box/pid1")
	kill -KILL "$(sed -n 's/ .*//p' "$box/supervisor")"
	until_true has_ended "$first_pid1"
	run ! served
	[ "$(grep -c "$box" /proc/self/mounts)" -eq 0 ]
}

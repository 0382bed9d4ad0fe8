#!/usr/bin/env bats
# Goal: one person's way to a host that was lost, by the name of each mishap: the part that needs a custody and a host. The part that needs neither is in cert_rows.bats.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
}

teardown_file() { lab_end; }

# lab_pair NAME: key, host and target of one name, the key allowed there.
lab_pair() {
	lab_key "$1"
	lab_host "$1"
	lab_target "$1"
	custos_in key allow "$1" "$1" > /dev/null
}

fault() { "$here/esxi/host" "$LAB/$1" fault "${@:2}"; }
on_host() { "$here/esxi/host" "$LAB/$1" exec /bin/sh -c "$2"; }

# power_cut NAME: and boot again; only the boot bank and the datastore are left.
power_cut() {
	"$here/esxi/host" "$LAB/$1" reboot > /dev/null
	lab_env "$1"
}

ssl_dir() { echo "$ROOT/etc/vmware/ssl"; }
pair_modes() { (cd "$(ssl_dir)" && stat -c '%n %a %u:%g' rui.crt rui.key); }
pair_bytes() { (cd "$(ssl_dir)" && cat rui.crt rui.key | sha256sum); }
pair_belongs() { [ "$(openssl pkey -in "$(ssl_dir)/rui.key" -pubout)" = "$(openssl x509 -in "$(ssl_dir)/rui.crt" -noout -pubkey)" ]; }

@test "only instructions for vCenter or for old versions can be found" {
	# Goal: the host itself says what it is, and the steps for just this host are printed, without changing anything.
	lab_host old --profile esxi65
	lab_host new
	lab_host managed
	lab_target old --ssh-legacy
	lab_target new
	lab_target managed
	fault managed managed
	lab_env old
	before=$(lab_snapshot old strict)
	expect 0 custos target probe old
	[[ $output == *"VMware ESXi 6.5.0"*"the host offers"*"password"*"/etc/vmware/ssl/rui.crt"*"hostd runs; rhttpproxy runs"*"managed by vCenter"*"no"* ]]
	# stage, switch, the ladder, verification and what makes it last, in this order
	[[ $output == *"upload the chain"*"overwrite in place the key file /etc/vmware/ssl/rui.key"*"/etc/init.d/rhttpproxy restart"*"must all show the new certificate"*"/sbin/auto-backup.sh"* ]]
	[ "$(lab_snapshot old strict)" = "$before" ]
	expect 0 custos target probe new
	[[ $output == *"VMware ESXi 8.0.2"* ]]
	# the instructions for vCenter are for this one
	expect 3 custos target probe managed
	[[ $output == *"managed by vCenter"*"yes"* ]]
	says "replace the certificate in vCenter, or remove the host from vCenter first"
}

@test "restart, page dead, rebooted, everything lost" {
	# Goal: a proxy that dies with the new pair costs nothing: the old pair is served again, the state of the host was never saved with the new one, nobody rebooted
	# anything, and a reboot at any time brings up what was served before. What is saved is what was verified, and the pair before has a copy that a reboot does not take.
	lab_pair lost
	old=$(lab_served lost)
	pair=$(pair_bytes)
	machine=$ROOT
	# every call of what saves the state leaves what it would save, and that nothing serves it yet or something does
	on_host lost 'mv /sbin/auto-backup.sh /sbin/auto-backup.real
		printf "%s\n" "#!/bin/sh" "openssl x509 -in /etc/vmware/ssl/rui.crt -outform DER | sha256sum >> /vmfs/volumes/datastore1/saved" \
			"ls -d /vmfs/volumes/datastore1/.custos-lost-*/key >> /vmfs/volumes/datastore1/copies" "exec /sbin/auto-backup.real" > /sbin/auto-backup.sh
		chmod 755 /sbin/auto-backup.sh'
	saved() { cut -d' ' -f1 "$LAB/lost/datastore1/saved"; }
	fault lost proxy-fails
	expect 10 custos_in deploy lost lost
	says "the new certificate was not served"
	[ "$(lab_served lost)" = "$old" ]
	[ "$(pair_bytes)" = "$pair" ]
	[ "$ROOT" = "$machine" ]
	for leaf in $(saved); do [ "$leaf" = "$old" ]; done
	fault lost proxy-fails off
	: > "$LAB/lost/datastore1/saved"

	# in good order: saved once, with the new pair, after it was served; the copy of the old pair was there by then, on the datastore
	expect 0 custos_in deploy lost lost --json
	new=$(lab_leaf lost)
	[ "$(lab_served lost)" = "$new" ]
	[ "$(saved)" = "$new" ]
	[ -s "$LAB/lost/datastore1/copies" ]
	copy=$LAB/lost/datastore1/$(basename "$(lab_json '[0]["backup"]' <<< "$output")")
	[ "$(cat "$copy/certificate" "$copy/key" | sha256sum)" = "$pair" ]
	[ "$ROOT" = "$machine" ]
	power_cut lost
	[ "$ROOT" != "$machine" ]
	[ "$(lab_served lost)" = "$new" ]
	pair_belongs
	# the copy has outlived the reboot, and is the way back
	[ "$(cat "$copy/certificate" "$copy/key" | sha256sum)" = "$pair" ]
	expect 0 custos_in rollback lost
	[ "$(lab_served lost)" = "$old" ]
	power_cut lost
	[ "$(lab_served lost)" = "$old" ]

	# a power cut between the switch and the verification: what was verified last comes up
	lab_key lost2 rsa-2048 dns:lost.example.com
	custos_in key allow lost2 lost > /dev/null
	fault lost reload-noop
	custos --pin-source "file:$LAB/pin" deploy lost2 lost > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	deployment=$!
	switched() { [ "$(openssl x509 -in "$(ssl_dir)/rui.crt" -outform DER | sha256sum | cut -d' ' -f1)" = "$(lab_leaf lost2)" ]; }
	lab_until switched
	power_cut lost
	wait "$deployment" || code=$?
	[ "${code:-0}" -ge 10 ]
	[ "$(lab_served lost)" = "$old" ]
	pair_belongs
	# no step of any plan reboots
	run ! grep -iE 'reboot|shutdown|poweroff|halt' <<< "$(custos target probe lost --json)"
}

@test "the request with the subject of VMware's default certificate" {
	# Goal: what the host's own interface makes is refused for a public CA before anything is signed; of one's own CA it is a warning.
	lab_host palo
	custos_in key generate palo > /dev/null
	cp "$(ssl_dir)/rui.crt" "$LAB/factory.crt"
	openssl x509 -in "$LAB/factory.crt" -noout -subject | grep -q 'OU = VMware ESX Server Default Certificate'
	size=$(lab_log_size)
	subject='C=US,ST=California,L=Palo Alto,O=VMware\, Inc,OU=VMware ESX Server Default Certificate,CN=palo.example.com'
	# not even the PIN is asked for: there is no terminal to ask
	expect 6 setsid custos csr create palo --subject "$subject" --san dns:palo.example.com -o "$LAB/palo.csr" < /dev/null
	says "this is the subject of VMware's default certificate, not yours"
	says "give your own subject"
	expect 6 custos_in csr create palo --like "$LAB/factory.crt" --san dns:palo.example.com -o "$LAB/palo.csr"
	[[ $output$stderr == *"VMware's default certificate"* ]]
	[ ! -e "$LAB/palo.csr" ]
	[ "$(lab_log_size)" -eq "$size" ]
	expect 0 custos_in csr create palo --private-ca --subject "$subject" --san dns:palo.example.com -o "$LAB/palo.csr"
	[[ $output$stderr == *"VMware's default certificate"* ]]
	expect 0 custos_in csr create palo --subject CN=palo.example.com --san dns:palo.example.com -o "$LAB/palo2.csr"
	[[ $output$stderr != *"VMware"* ]]
}

@test "openssl rsa -in rui-orig.key -out rui.key" {
	# Goal: no conversion is needed: each host gets the form its profile wants, and serves with either.
	sed 's/^key_format: pkcs8$/key_format: pkcs1/' "$LAB/esxi-quick.yaml" > "$LAB/pkcs1.yaml"
	run ! cmp -s "$LAB/esxi-quick.yaml" "$LAB/pkcs1.yaml"
	lab_key forms rsa-2048 dns:pk8.example.com dns:pk1.example.com
	for name in pk8 pk1; do
		lab_host $name
		if [ $name = pk8 ]; then lab_target $name; else
			custos_in target add $name --address "$SSH_ADDRESS" --profile "$LAB/pkcs1.yaml" --hostkey "$HOSTKEY_SHA256" --verify "$HTTPS_ADDRESS" --sni $name.example.com \
				--auth "key:$LAB/login" > /dev/null
		fi
		custos_in key allow forms $name > /dev/null
		expect 0 custos_in deploy forms $name
		[ "$(lab_served $name)" = "$(lab_leaf forms)" ]
		pair_belongs
		if [ $name = pk8 ]; then armour="PRIVATE KEY"; else armour="RSA PRIVATE KEY"; fi
		[ "$(grep -c -- ----- "$(ssl_dir)/rui.key")" -eq 2 ]
		[ "$(head -n 1 "$(ssl_dir)/rui.key")" = "-----BEGIN $armour-----" ]
		power_cut $name
		[ "$(lab_served $name)" = "$(lab_leaf forms)" ]
	done
}

@test "permissions are not the problem" {
	# Goal: mode and owner of both files are after a deployment what they were before, odd ones too, and after a roll-back; the probe shows them. That a difference is told and undone is in tests/unit/target_script.c.
	lab_pair odd
	lab_key odd2 rsa-2048 dns:odd.example.com
	custos_in key allow odd2 odd > /dev/null
	keys=(odd odd2 odd odd2)
	for modes in "1644 1400 0:0" "0444 0400 0:12" "0640 0600 7:0" "0755 0440 65534:65534"; do
		read -r crt key owner <<< "$modes"
		chown "$owner" "$(ssl_dir)/rui.crt" "$(ssl_dir)/rui.key"
		chmod "$crt" "$(ssl_dir)/rui.crt"
		chmod "$key" "$(ssl_dir)/rui.key"
		before=$(pair_modes)
		expect 0 custos target probe odd --json
		[ "$(lab_json '["files"][0]["mode"]' '["files"][1]["mode"]' '["files"][1]["owner"]' <<< "$output")" = "${crt#0} ${key#0} $owner" ]
		expect 0 custos_in deploy "${keys[0]}" odd
		[ "$(lab_served odd)" = "$(lab_leaf "${keys[0]}")" ]
		keys=("${keys[@]:1}")
		[ "$(pair_modes)" = "$before" ]
	done
	# after a way back, too
	fault odd proxy-fails
	expect 10 custos_in deploy odd odd
	[ "$(pair_modes)" = "$before" ]
	fault odd proxy-fails off
}

@test "otherwise nobody will know in two years" {
	# Goal: a year later nothing needs to be remembered: renew asks for the same, the same targets get it, and the log tells the history of it, verified.
	custos_in key generate blog > /dev/null
	custos_in csr create blog --profile esxi --subject "CN=blog.example.com,O=Example,C=DE" --san dns:blog.example.com --san ip:192.0.2.44 -o "$LAB/blog.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/blog.csr" "$LAB/blog"
	custos_in cert accept blog "$LAB/blog.p7b" > /dev/null
	lab_host blog
	lab_target blog
	custos_in key allow blog blog > /dev/null
	custos_in deploy blog blog --reason "the first one" > /dev/null
	first=$(lab_leaf blog)
	expect 0 custos_in renew blog --new-key -o "$LAB/blog.2.csr" --json
	[ "$(lab_json '["key"]' '["renews"]' '["targets"]' <<< "$output")" = 'blog.2 blog ["blog"]' ]
	names() { openssl req -in "$1" -noout -text | grep -A1 -E 'Subject:|Alternative Name' | grep -v 'Public Key'; }
	[ "$(names "$LAB/blog.2.csr")" = "$(names "$LAB/blog.csr")" ]
	openssl req -in "$LAB/blog.2.csr" -noout -text | grep -q 'DNS:blog.example.com, IP Address:192.0.2.44'
	run ! diff <(openssl req -in "$LAB/blog.csr" -noout -pubkey) <(openssl req -in "$LAB/blog.2.csr" -noout -pubkey)
	lab_ca_sign "$LAB/ca" "$LAB/blog.2.csr" "$LAB/blog.2"
	custos_in cert accept blog.2 "$LAB/blog.2.p7b" > /dev/null
	expect 0 custos_in deploy blog.2 blog --reason "a year later"
	[ "$(lab_served blog)" = "$(lab_leaf blog.2)" ]
	# who did what, in which order, with which certificate and why
	expect 0 custos log show --json
	/usr/bin/python3 - "$output" "$first" "$(lab_leaf blog.2)" <<-'END'
		import json, sys
		log, first, second = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
		def about(e):
			    target = e.get("target")
			    return str(e.get("key", e.get("name", ""))).startswith("blog") or (target["name"] if isinstance(target, dict) else target) == "blog"
		mine = [e for e in log if about(e)]
		events = [e["event"] for e in mine]
		once = ["key.generate", "csr.create", "cert.accept", "target.add", "key.allow", "release.intent", "release.done"]
		again = ["key.generate", "key.allow", "csr.create", "cert.accept", "release.intent", "release.done"]
		assert events == once + again, events
		intents = [e for e in mine if e["event"] == "release.intent"]
		assert [(e["reason"], e["leaf_sha256"], e["hosts"][0]["name"]) for e in intents] == [("the first one", first, "blog"), ("a year later", second, "blog")], intents
		done = [e for e in mine if e["event"] == "release.done"]
		assert [e["previous_leaf_sha256"] for e in done][1] == first and done[1]["served_leaf_sha256"] == second, done
		assert all(e["time"] for e in mine)
	END
	expect 0 custos log verify
}

@test "nobody noticed that the host still serves the old one, or that it expires" {
	# Goal: the proxy and hostd both have the new certificate, also where the proxy had to be restarted; a host that goes on with the old one and a certificate at its end are told to
	# whoever asks and to monitoring.
	softhsm_init_token notice "$LAB/so-pin" "$LAB/pin" > /dev/null
	export CUSTOS_DIR=$LAB/custody-notice
	custos_in init "$CUSTOS_DIR" --token pkcs11:token=notice --trust "$(lab_ca_root "$LAB/ca")" > /dev/null
	lab_pair notice
	hostd_has() { [ "$(sed 's/.*=//' "$ROOT/var/run/vmware/hostd.certificate" | tr -d : | tr A-F a-f)" = "$(lab_leaf "$1")" ]; }
	run ! hostd_has notice
	# a version whose proxy knows no ssl_reset: the ladder begins with its restart
	on_host notice 'sed "s/ssl_reset)/no_such_verb)/; s/|ssl_reset//" /etc/init.d/rhttpproxy > /tmp/x && cat /tmp/x > /etc/init.d/rhttpproxy && rm /tmp/x'
	run ! grep -q ssl_reset "$ROOT/etc/init.d/rhttpproxy"
	expect 0 custos_in deploy notice notice
	[ "$(lab_served notice)" = "$(lab_leaf notice)" ]
	hostd_has notice
	expect 0 custos status --check --probe --nagios
	[[ $output == "CUSTOS OK - "* ]]

	# the next certificate is here, the host serves the old one
	custos_in csr create notice --subject CN=notice.example.com --san dns:notice.example.com -o "$LAB/notice-2.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/notice-2.csr" "$LAB/notice-2"
	custos_in cert accept notice "$LAB/notice-2.p7b" > /dev/null
	expect 0 custos status --check
	expect 3 custos status --check --probe
	says "target notice serves the certificate before the accepted one"
	expect 1 custos status --check --probe --nagios
	[[ $output == "CUSTOS WARNING - target notice serves the certificate before the accepted one at "* ]]
	expect 0 custos target probe notice --json
	[ "$(lab_json '["serves_what_was_deployed"]' <<< "$output")" = true ]
	custos_in deploy notice notice > /dev/null
	hostd_has notice
	expect 0 custos status --check --probe
	# it comes to its end
	lab_ca_sign "$LAB/ca" "$LAB/notice-2.csr" "$LAB/notice-3" 90 85
	custos_in cert accept notice "$LAB/notice-3.p7b" > /dev/null
	expect 3 custos status --check
	expect 2 custos status --check --nagios
	[[ $output == *"the certificate of key notice expires on"* ]]
}

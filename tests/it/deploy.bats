#!/usr/bin/env bats
# Goal: the second half of the main job: from a certificate in custody to a certificate served by hosts, seen by other people's clients, and the way back.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root and nginx.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/it/web.bash
. "$BATS_TEST_DIRNAME/web.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
}

teardown() {
	[ ! -s "$BATS_TEST_TMPDIR/pid" ] || kill "$(cat "$BATS_TEST_TMPDIR/pid")" 2> /dev/null || true
	[ ! -d "$LAB/web" ] || web_end
}

teardown_file() {
	lab_end
}

# lab NAME [TYPE]: key, host and target of one name, the key allowed there.
lab_pair() {
	lab_key "$1" "${2:-rsa-2048}"
	lab_host "$1"
	lab_target "$1"
	custos_in key allow "$1" "$1" > /dev/null
}

# result PATH…: values out of the results that the last command printed as JSON.
result() { lab_json "$@" <<< "$output"; }

# A client that trusts the lab's root and nothing else, and asks for NAME.
client_accepts() {
	openssl s_client -connect "$2" -servername "$1" -verify_hostname "$1" -CAfile "$(lab_ca_root "$LAB/ca")" -no-CApath -no-CAstore -verify_return_error \
		< /dev/null > /dev/null 2>&1
}

# Certificate and key files of a host: what they are, and that they belong together.
pair_facts() { (cd "$ROOT/etc/vmware/ssl" && stat -c '%n %a %U:%G' rui.crt rui.key && ls -A . && ls -A "$ROOT/tmp"); }
pair_hash() { (cd "$ROOT/etc/vmware/ssl" && sha256sum rui.crt rui.key); }
pair_belongs() {
	[ -s "$ROOT/etc/vmware/ssl/rui.key" ] && [ "$(openssl pkey -in "$ROOT/etc/vmware/ssl/rui.key" -pubout)" = "$(openssl x509 -in "$ROOT/etc/vmware/ssl/rui.crt" -noout -pubkey)" ]
}

# power_cut NAME: and boot again; only the boot bank and the datastore are left.
power_cut() {
	"$here/esxi/host" "$LAB/$1" reboot > /dev/null
	lab_env "$1"
}

@test "one host: a dry run changes nothing, a deployment is served, a second one is unchanged, a reboot changes nothing" {
	# Goal: the whole promise of deploy for one host, each part looked at from outside.
	lab_pair one rsa-3072
	factory=$(lab_served one)
	facts=$(pair_facts)
	pair=$(pair_hash)
	before=$(lab_snapshot one strict)
	size=$(lab_log_size)
	# without a PIN, and without a terminal to ask for one
	expect 0 setsid custos deploy one one --dry-run --json < /dev/null
	[ "$(result '[0]["result"]' '[0]["exposure_ms"]' '[0]["log_index"]')" = "untouched 0 null" ]
	[ "$(result '[0]["plan"][0]["step"]' '[0]["plan"][-1]["step"]')" = "lock disarm" ]
	[ "$(lab_snapshot one strict)" = "$before" ]
	[ "$(lab_log_size)" -eq "$size" ]
	[ "$(lab_served one)" = "$factory" ]

	expect 0 custos_in deploy one one --json --reason "first of all"
	[ "$(result '[0]["target"]' '[0]["result"]' '[0]["log_index"]')" = "one deployed $((size + 1))" ]
	[ "$(result '[0]["served_spki_sha256"]')" = "$(custos key show one --json | lab_json '["spki_sha256"]')" ]
	[ "$(result '[0]["exposure_ms"]')" -lt 2000 ]
	copy=$(basename "$(result '[0]["backup"]')")
	[ "$(lab_served one)" = "$(lab_leaf one)" ]
	client_accepts one.example.com "$HTTPS_ADDRESS"
	run ! client_accepts two.example.com "$HTTPS_ADDRESS"
	[ "$(pair_facts)" = "$facts" ]
	pair_belongs
	custos cert show one --pem | cmp - "$ROOT/etc/vmware/ssl/rui.crt"
	# the pair of before is where the result says, for root alone, and as it was
	backup=$LAB/one/datastore1/$copy
	[ "$(stat -c '%a %U' "$backup" "$backup/key" "$backup/certificate" | sort -u | tr '\n' ' ')" = "600 root 700 root " ]
	[ "$(sha256sum "$backup/certificate" "$backup/key" | cut -d' ' -f1)" = "$(cut -d' ' -f1 <<< "$pair")" ]

	# what the log says of it
	[ "$(lab_events "$size" | tr '\n' ' ')" = "release.intent release.done " ]
	intent=$(custos log show --from "$size" --json)
	[ "$(lab_json '[0]["reason"]' '[0]["hosts"][0]["name"]' '[0]["hosts"][0]["hostkeys"][0]' '[0]["leaf_sha256"]' <<< "$intent")" = \
		"first of all one $HOSTKEY_SHA256 $(lab_leaf one)" ]
	[ "$(lab_json '[0]["courier_sha256"]' <<< "$intent")" = "$(sha256sum < "$CUSTOS_BUILD/custos-courier" | cut -d' ' -f1)" ]
	[ "$(lab_json '[1]["intent"]' '[1]["previous_leaf_sha256"]' <<< "$intent")" = "$size $factory" ]

	now=$(lab_snapshot one)
	expect 0 custos_in deploy one one --json
	[ "$(result '[0]["result"]' '[0]["log_index"]')" = "unchanged null" ]
	[ "$(lab_snapshot one)" = "$now" ]
	[ "$(lab_log_size)" -eq "$((size + 2))" ]

	power_cut one
	[ "$(lab_served one)" = "$(lab_leaf one)" ]
	[ "$(pair_facts)" = "$facts" ]
	expect 0 custos_in deploy one one --json
	[ "$(result '[0]["result"]')" = unchanged ]
}

@test "rollback of the first deployment brings the factory pair back, from the host's own copy" {
	# Goal: verified, saved on the host, logged, and the copy gone; then there is nothing to go back to.
	lab_pair first
	factory=$(lab_served first)
	before=$(lab_snapshot first)
	custos_in deploy first first > /dev/null
	size=$(lab_log_size)
	expect 0 custos_in rollback first --reason "second thoughts"
	[ "$(lab_events "$size" | tr '\n' ' ')" = "rollback.intent rollback.done " ]
	[ "$(lab_served first)" = "$factory" ]
	[ -z "$(ls -A "$LAB/first/datastore1")" ]
	power_cut first
	[ "$(lab_served first)" = "$factory" ]
	pair_belongs
	[ "$(custos target show first --json | lab_json '["deployed"]')" = null ]
	expect 3 custos_in rollback first
	says "has deployed nothing"
	# a rollback whose copy is gone says so and touches nothing
	custos_in deploy first first > /dev/null
	served=$(lab_served first)
	rm -r "$LAB"/first/datastore1/.custos-*
	before=$(lab_snapshot first)
	expect 9 custos_in rollback first
	says "is not there any more"
	[ "$(lab_served first)" = "$served" ]
	[ "$(lab_snapshot first)" = "$before" ]
}

@test "rollback of a later deployment brings the previous key back from custody, and again" {
	# Goal: from the second deployment on no copy of a key is left on the host, and the way back is an ordinary release.
	lab_pair turn
	lab_key turn2 rsa-2048 dns:turn.example.com
	custos_in key allow turn2 turn > /dev/null
	custos_in deploy turn turn > /dev/null
	custos_in deploy turn2 turn > /dev/null
	[ "$(lab_served turn)" = "$(lab_leaf turn2)" ]
	[ -z "$(ls -A "$LAB/turn/datastore1")" ]
	size=$(lab_log_size)
	expect 0 custos_in rollback turn --json
	[ "$(lab_served turn)" = "$(lab_leaf turn)" ]
	[ "$(lab_events "$size" | tr '\n' ' ')" = "release.intent release.done " ]
	[ "$(custos log show --from "$size" --json | lab_json '[0]["key"]')" = turn ]
	[ "$(custos target show turn --json | lab_json '["deployed"]["key"]')" = turn ]
	[ -z "$(ls -A "$LAB/turn/datastore1")" ]
	expect 0 custos_in rollback turn
	[ "$(lab_served turn)" = "$(lab_leaf turn2)" ]
	pair_belongs
	# permissions hold on the way back too
	custos_in target remove turn > /dev/null
	expect 6 custos_in rollback turn
}

@test "a pair that somebody put on the host by hand since is not thrown away" {
	# Goal: only a pair that is in custody loses its copy on the host; the way back leads to what was really served.
	lab_pair hand
	lab_key hand2 rsa-2048 dns:hand.example.com
	custos_in key allow hand2 hand > /dev/null
	custos_in deploy hand hand > /dev/null
	"$BATS_TEST_DIRNAME/esxi/host" "$LAB/hand" exec /bin/sh -c '/sbin/generate-certificates; /etc/init.d/rhttpproxy restart' > /dev/null
	lab_until handmade_is_served
	handmade=$(lab_served hand)
	custos_in deploy hand2 hand > /dev/null
	[ "$(lab_served hand)" = "$(lab_leaf hand2)" ]
	[ -n "$(ls -A "$LAB/hand/datastore1")" ]
	expect 0 custos_in rollback hand
	[ "$(lab_served hand)" = "$handmade" ]
}

handmade_is_served() {
	local now
	now=$(lab_served hand)
	[ "$now" != none ] && [ "$now" != "$(lab_leaf hand)" ]
}

@test "several hosts: one courier a group, every host its own result, and some may fail" {
	# Goal: two in a group are one release, the third is another; exit 12 means that every failed one still serves its old pair.
	lab_key many rsa-2048 dns:g1.example.com dns:g2.example.com dns:alone.example.com
	lab_key many2 rsa-2048 dns:g1.example.com dns:g2.example.com dns:alone.example.com
	for name in g1 g2 alone; do lab_host $name; done
	lab_target g1 --group racks
	lab_target g2 --group racks
	lab_target alone
	for key in many many2; do custos_in key allow $key g1 g2 alone > /dev/null; done
	expect 2 custos_in deploy many g1 alone g1
	says "named twice"
	size=$(lab_log_size)
	expect 0 custos_in deploy many g1 alone g2 --json
	for i in 0 1 2; do [ "$(result "[$i][\"result\"]")" = deployed ]; done
	for name in g1 g2 alone; do
		[ "$(lab_served $name)" = "$(lab_leaf many)" ]
		client_accepts $name.example.com "$HTTPS_ADDRESS"
	done
	log=$(custos log show --from "$size" --json)
	/usr/bin/python3 - <<-END
		import json
		log = json.loads('''$log''')
		intents = [e for e in log if e["event"] == "release.intent"]
		hosts = sorted(sorted(h["name"] for h in e["hosts"]) for e in intents)
		assert hosts == [["alone"], ["g1", "g2"]], hosts
		assert len({e["courier_point"] for e in intents}) == 2
		done = {e["target"]: e["intent"] for e in log if e["event"] == "release.done"}
		assert done["g1"] == done["g2"] != done["alone"], done
	END

	"$here/esxi/host" "$LAB/g2" fault full-ramdisk
	expect 12 custos_in deploy many2 g1 g2 alone --json
	says "1 of 3 targets failed"
	says g2
	/usr/bin/python3 -c 'import json,sys; r={x["target"]: x["result"] for x in json.load(sys.stdin)}; assert r == {"g1": "deployed", "g2": "untouched", "alone": "deployed"}, r' <<< "$output"
	[ "$(lab_served g1)" = "$(lab_leaf many2)" ]
	[ "$(lab_served g2)" = "$(lab_leaf many)" ]
	[ "$(lab_served alone)" = "$(lab_leaf many2)" ]
	"$here/esxi/host" "$LAB/g2" fault full-ramdisk off
	expect 0 custos_in deploy many2 g1 g2 alone --json
	/usr/bin/python3 -c 'import json,sys; r={x["target"]: x["result"] for x in json.load(sys.stdin)}; assert r == {"g1": "unchanged", "g2": "deployed", "alone": "unchanged"}, r' <<< "$output"

	# one refused by policy, and nobody is visited
	custos_in target remove alone > /dev/null
	lab_target alone
	for name in g1 alone; do lab_auth_log $name; done > "$BATS_TEST_TMPDIR/before"
	expect 3 custos_in deploy many g1 alone
	says "not allowed to go to alone"
	for name in g1 alone; do lab_auth_log $name; done | cmp - "$BATS_TEST_TMPDIR/before"
}

@test "login by password: keyboard-interactive, one attempt" {
	# Goal: a host that has no password method; a wrong password is one failure on the host, exit 4, nothing touched.
	(umask 077 && printf 'correct horse 7!\n' > "$LAB/password" && printf 'correct horse 8!\n' > "$LAB/wrong-password")
	lab_key dialog
	lab_host dialog --password-file "$LAB/password"
	lab_target dialog --auth "password:file:$LAB/wrong-password"
	custos_in key allow dialog dialog > /dev/null
	before=$(lab_snapshot dialog strict)
	expect 4 custos_in deploy dialog dialog
	says "refused the login of root"
	[ "$(lab_auth_log dialog | grep -c 'Failed keyboard-interactive')" -eq 1 ]
	run ! grep -E 'Accepted|Failed password' <<< "$(lab_auth_log dialog)"
	[ "$(lab_snapshot dialog strict)" = "$before" ]

	lab_retarget() {
		custos_in target remove dialog > /dev/null
		lab_target dialog "$@"
		custos_in key allow dialog dialog > /dev/null
	}
	# a record that everybody shares may not name a program to run
	expect 3 custos_in target add program --address "$SSH_ADDRESS" --profile esxi --hostkey "$HOSTKEY_SHA256" --auth "password:exec:cat $LAB/password"
	says "may not name a program"
	chmod 644 "$LAB/password"
	lab_retarget --auth "password:file:$LAB/password"
	expect 3 custos_in deploy dialog dialog
	says "can be read by others"
	[ "$(lab_auth_log dialog | grep -c 'Failed keyboard-interactive')" -eq 1 ]
	chmod 600 "$LAB/password"
	expect 0 custos_in deploy dialog dialog
	[ "$(lab_served dialog)" = "$(lab_leaf dialog)" ]
	[ "$(lab_auth_log dialog | grep -c 'Accepted keyboard-interactive')" -eq 1 ]
}

@test "login by an SSH agent: one usable key, or the one that is named" {
	# Goal: the agent signs, the key stays there; no agent and an ambiguous one are errors before any attempt.
	lab_key agent
	lab_host agent
	lab_target agent --auth agent
	custos_in key allow agent agent > /dev/null
	expect 4 custos_in deploy agent agent
	says "there is no SSH agent"
	ssh-agent -D -a "$BATS_TEST_TMPDIR/agent" > /dev/null 3>&- &
	echo $! > "$BATS_TEST_TMPDIR/pid"
	export SSH_AUTH_SOCK=$BATS_TEST_TMPDIR/agent
	lab_until test -S "$SSH_AUTH_SOCK"
	expect 4 custos_in deploy agent agent
	says "does not hold a key that can be used"
	ssh-add -q "$LAB/login"
	ssh-keygen -q -t ecdsa -N '' -f "$BATS_TEST_TMPDIR/other"
	ssh-add -q "$BATS_TEST_TMPDIR/other"
	expect 4 custos_in deploy agent agent
	says "holds 2 keys"
	run ! grep -E 'Accepted|Failed' <<< "$(lab_auth_log agent)"
	custos_in target remove agent > /dev/null
	lab_target agent --auth "agent:$(ssh-keygen -lf "$LAB/login.pub" | cut -d' ' -f2)"
	custos_in key allow agent agent > /dev/null
	expect 0 custos_in deploy agent agent
	[ "$(lab_served agent)" = "$(lab_leaf agent)" ]
	[ "$(lab_auth_log agent | grep -c 'Accepted publickey')" -eq 1 ]
	run ! grep Failed <<< "$(lab_auth_log agent)"
}

@test "an old host needs --ssh-legacy, by key and by password" {
	# Goal: SHA-1 algorithms are used where a person allowed them for this host, and nowhere else.
	(umask 077 && printf 'old horse\n' > "$LAB/old-password")
	lab_key old
	lab_host old --profile esxi65 --password-file "$LAB/old-password"
	lab_target old
	custos_in key allow old old > /dev/null
	expect 8 custos_in deploy old old
	says "--ssh-legacy"
	run ! grep -E 'Accepted|Failed|Postponed' <<< "$(lab_auth_log old)"
	custos_in target remove old > /dev/null
	lab_target old --ssh-legacy
	custos_in key allow old old > /dev/null
	expect 0 custos_in deploy old old --json
	[[ $(result '[0]["version"]') == *6.5.0* ]]
	[ "$(lab_served old)" = "$(lab_leaf old)" ]
	custos_in target remove old > /dev/null
	lab_target old --ssh-legacy --auth "password:file:$LAB/old-password"
	custos_in key allow old old > /dev/null
	expect 0 custos_in deploy old old --json
	[ "$(result '[0]["result"]')" = unchanged ]
}

@test "a keeper that is killed leaves an open release, which is seen, told and closed by a person" {
	# Goal: kill -9 between intent and outcome: the courier puts the old pair back, the next start says release.unknown, status --check says so too.
	lab_pair open
	old=$(lab_served open)
	# the silent reload makes the ladder wait, so that the switch is long done when the keeper dies
	"$here/esxi/host" "$LAB/open" fault reload-noop
	size=$(lab_log_size)
	expect 0 custos status --check
	custos --pin-source "file:$LAB/pin" deploy open open --confirm-within 10 > /dev/null 2>&1 3>&- &
	keeper=$!
	echo "$keeper" > "$BATS_TEST_TMPDIR/pid"
	switched() { [ "$(openssl x509 -in "$ROOT/etc/vmware/ssl/rui.crt" -outform DER | sha256sum | cut -d' ' -f1)" != "$old" ]; }
	lab_until switched
	kill -KILL "$keeper"
	restored() { ! switched; }
	lab_until restored
	serves_old() { [ "$(lab_served open)" = "$old" ]; }
	lab_until serves_old
	pair_belongs
	# what the courier could not confirm without a keeper, the dead man's switch cleans up
	cleaned() { [ -z "$(ls -A "$ROOT/tmp")" ]; }
	lab_until cleaned
	lab_until serves_old

	expect 0 custos release list --json
	[ "$(lab_json '[0]["index"]' '[0]["state"]' '[0]["hosts"][0]["target"]' <<< "$output")" = "$size unknown open" ]
	[ "$(lab_events "$size" | tr '\n' ' ')" = "release.intent release.unknown " ]
	expect 3 custos status --check
	says "needs a person"
	[ "$(custos status --json | lab_json '["open_releases"][0]["index"]')" -eq "$size" ]
	expect 0 custos log verify --json
	expect 2 custos_in release resolve "$size" --as failed
	expect 2 custos_in release resolve "$size" --as perhaps --note n
	expect 6 custos_in release resolve $((size + 1)) --as failed --note n
	expect 0 custos_in release resolve "$size" --as failed --note "looked at the host: the old certificate is served"
	expect 0 custos status --check
	[ "$(custos release list --json | lab_json '')" = '[]' ]
	expect 6 custos_in release resolve "$size" --as 'done' --note again
	"$here/esxi/host" "$LAB/open" fault reload-noop off
	expect 0 custos_in deploy open open
}

@test "status --check speaks up when a certificate has few days left" {
	# Goal: 0 as long as nobody is needed, 3 when somebody is.
	custos_in key generate short > /dev/null
	custos_in csr create short --subject CN=short.example.com --san dns:short.example.com -o "$LAB/short.csr" > /dev/null
	expect 0 custos status --check
	lab_ca_sign "$LAB/ca" "$LAB/short.csr" "$LAB/short" 90 80
	custos_in cert accept short "$LAB/short.p7b" > /dev/null
	expect 3 custos status --check
	says "1 thing needs a person"
	expect 0 custos status
	lab_ca_sign "$LAB/ca" "$LAB/short.csr" "$LAB/short" 90
	custos_in cert accept short "$LAB/short.p7b" > /dev/null
	expect 0 custos status --check
}

@test "--json of every reading command keeps the contract" {
	# Goal: one document, the promised fields, snake_case keys, lower-case hex, RFC 3339 UTC times.
	lab_pair json
	custos_in deploy json json > /dev/null
	contract() {
		local fields=$1
		shift
		expect 0 "$@" --json
		/usr/bin/python3 - "$fields" "$output" <<-'END' || { echo "$*"; return 1; }
			import json, re, sys
			fields, v = sys.argv[1].split(), json.loads(sys.argv[2])
			def walk(x, key=""):
			    if isinstance(x, dict):
			        for k, y in x.items():
			            assert re.fullmatch("[a-z][a-z0-9_]*", k), k
			            walk(y, k)
			    elif isinstance(x, list):
			        for y in x: walk(y, key)
			    elif x is not None and (key.endswith("_sha256") or key == "root"):
			        assert re.fullmatch("[0-9a-f]{64}", x), (key, x)
			    elif x is not None and key in ("time", "created", "not_before", "not_after", "since"):
			        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", x), (key, x)
			walk(v)
			first = v if isinstance(v, dict) else v[0] if v else {}
			for field in fields:
			    at = first
			    for part in field.split("."):
			        assert part in at, (field, list(at))
			        at = at[part]
		END
	}
	contract "keys targets open_releases log.origin log.size log.root log.vkey log.checkpoint token.tier token.serial kek.variant attention" custos status
	contract "label serial uri tier profile" custos token list
	contract "label serial uri tier profile pin_locked" custos token show pkcs11:token=lab
	contract "name type class spki_sha256 created state certificate" custos key list
	contract "name type class spki_sha256 created state certificate.not_after deployed targets" custos key show json
	contract "key subject sans issuer serial not_after days_left renew_from leaf_sha256 policy.max_days" custos cert show json
	contract "usable files chain problems" custos cert check --trust "$(lab_ca_root "$LAB/ca")" "$LAB/json.p7b"
	contract "name address user profile profile_sha256 hostkeys verify sni auth group deployed" custos target list
	contract "name address hostkeys allowed_keys deployed.key deployed.time deployed.leaf_sha256" custos target show json
	contract "target result served_spki_sha256 exposure_ms log_index plan" custos deploy json json --dry-run
	contract "target result served_spki_sha256 exposure_ms log_index" custos_in deploy json json
	contract "" custos release list
	contract "event index time v" custos log show
	contract "origin size root vkey checkpoint" custos log checkpoint
	contract "origin size root" custos log verify
	contract "dir size root vkey" custos log publish "$BATS_TEST_TMPDIR/published"
	contract "name version" custos version
	contract "address hostkeys banner" custos target scan "$SSH_ADDRESS"
	contract "target address user auth profile version login_offered files room report served_leaf_sha256 serves_what_was_deployed ready obstacles plan" custos target probe json
}

@test "the command line refuses what it does not know" {
	# Goal: usage is exit 2, one line says what is wrong, help is on stdout with exit 0, errors never are.
	for line in "frobnicate" "key" "key frobnicate" "key show" "key show a b" "status extra" "status --frobnicate" "key show a --json=yes" "deploy onlykey" \
		"init d --token x --token y" "log show --from -1" "release resolve x --as done --note n" "deploy a b --confirm-within 3" "key allow a"; do
		# shellcheck disable=SC2086
		expect 2 custos $line
		[ -z "$output" ]
		says ""
	done
	expect 0 custos help
	[[ $output == *"deploy KEY TARGET"* ]]
	expect 0 custos help key
	expect 2 custos help frobnicate
	expect 0 custos deploy --help
	[[ $output == *--dry-run* ]]
	# output that cannot be written is an error, not a success
	run bash -c "custos key list > /dev/full"
	[ "$status" -eq 9 ]
}

@test "a web server by a profile from a file: EC keys, renamed files, its own test and reload" {
	# Goal: the same engine, another kind of host. A pair that nginx cannot load is rolled back although the reload says it failed.
	web_start
	web_profile > "$LAB/web.yaml"
	lab_key web ec-p256
	lab_key web2 ec-p384 dns:web.example.com
	web_target web "$LAB/web.yaml"
	for key in web web2; do custos_in key allow $key web > /dev/null; done
	HTTPS_ADDRESS=$WEB_HTTPS
	first=$(lab_served)
	chgrp daemon "$LAB/web/tls/server.key"
	chmod 640 "$LAB/web/tls/server.key"
	listing() { (cd "$LAB/web" && stat -c '%n %a %U:%G' tls/* && ls -A stage backup); }
	facts=$(listing)
	expect 0 custos deploy web web --dry-run
	[ "$(listing)" = "$facts" ]
	expect 0 custos_in deploy web web --json
	[[ $(result '[0]["result"]' '[0]["version"]') == "deployed nginx version:"* ]]
	[ -f "$LAB/web/backup/$(basename "$(result '[0]["backup"]')")/key" ]
	[ "$(lab_served)" = "$(lab_leaf web)" ]
	client_accepts web.example.com "$WEB_HTTPS"
	[ "$(stat -c '%a %U:%G' "$LAB/web/tls/server.key")" = "640 root:daemon" ]
	expect 0 custos_in deploy web web --json
	[ "$(result '[0]["result"]')" = unchanged ]

	# refused by the profile, by the server's own test, by a server that cannot take it
	facts=$(listing)
	touch "$LAB/web/managed"
	expect 3 custos_in deploy web2 web
	says "somebody else manages this server"
	rm "$LAB/web/managed"
	touch "$LAB/web/no-test"
	expect 9 custos_in deploy web2 web
	says "the server's own test refused the new pair"
	rm "$LAB/web/no-test"
	[ "$(listing)" = "$facts" ]
	[ "$(lab_served)" = "$(lab_leaf web)" ]
	echo nonsense >> "$LAB/web/nginx.conf"
	expect 10 custos_in deploy web2 web
	[ "$(lab_served)" = "$(lab_leaf web)" ]
	[ "$(listing)" = "$facts" ]
	sed -i '$d' "$LAB/web/nginx.conf"

	expect 0 custos_in deploy web2 web
	client_accepts web.example.com "$WEB_HTTPS"
	[ "$(lab_served)" = "$(lab_leaf web2)" ]
	[ -z "$(ls -A "$LAB/web/backup")$(ls -A "$LAB/web/stage")" ]
	expect 0 custos_in rollback web
	[ "$(lab_served)" = "$(lab_leaf web)" ]
	[ "$first" != "$(lab_served)" ]
	[ "$(stat -c '%a %U:%G' "$LAB/web/tls/server.key")" = "640 root:daemon" ]
}

@test "a web server that wants certificate and key in one file" {
	# Goal: chain, then key, in one file that only its owner reads; back to the first pair from the copy.
	web_start combined
	web_profile combined > "$LAB/both.yaml"
	lab_key both ec-p256
	web_target both "$LAB/both.yaml"
	custos_in key allow both both > /dev/null
	HTTPS_ADDRESS=$WEB_HTTPS
	first=$(lab_served)
	sum=$(sha256sum < "$LAB/web/tls/both.pem")
	expect 0 custos_in deploy both both
	client_accepts both.example.com "$WEB_HTTPS"
	[ "$(stat -c %a "$LAB/web/tls/both.pem")" = 600 ]
	[ "$(grep -c BEGIN "$LAB/web/tls/both.pem")" -eq 3 ]
	expect 0 custos_in rollback both
	[ "$(lab_served)" = "$first" ]
	[ "$(sha256sum < "$LAB/web/tls/both.pem")" = "$sum" ]
}

@test "a profile with a mistake is refused with file and line" {
	# Goal: strict YAML: unknown and doubled keys, second documents, keys that everybody may read, paths that climb.
	pin=SHA256:$(printf 'x' | openssl dgst -sha256 -binary | base64 | tr -d =)
	LAB=$LAB web_profile > "$LAB/good.yaml"
	size=$(lab_log_size)
	refused_profile() {
		expect 6 custos_in target add bad --address host.example.com --profile "$LAB/bad.yaml" --hostkey "$pin"
		says "bad.yaml:$1"
	}
	{ cat "$LAB/good.yaml"; echo "unknown: 1"; } > "$LAB/bad.yaml"
	refused_profile "$(wc -l < "$LAB/bad.yaml")"
	{ cat "$LAB/good.yaml"; echo "name: twice"; } > "$LAB/bad.yaml"
	refused_profile "$(wc -l < "$LAB/bad.yaml")"
	{ cat "$LAB/good.yaml"; printf '%s\n' --- 'name: two'; } > "$LAB/bad.yaml"
	refused_profile ""
	sed 's/mode: "0600"/mode: "0644"/' "$LAB/good.yaml" > "$LAB/bad.yaml"
	refused_profile 5
	sed 's|tls/server.key|tls/../server.key|' "$LAB/good.yaml" > "$LAB/bad.yaml"
	refused_profile 5
	sed 's/replace: rename/replace: sideways/' "$LAB/good.yaml" > "$LAB/bad.yaml"
	refused_profile 6
	[ "$(lab_log_size)" -eq "$size" ]
}

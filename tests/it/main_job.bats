#!/usr/bin/env bats
# Goal: the main job, as somebody does it who has a token, a CA and hosts: custody, key, request, certificate, target, deployment, the way back.
# Everything is real: SoftHSM, OpenSSL's CA, sshd, a TLS front end. What custos claims is looked at with other software (openssl, ssh, the host's files).
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root (the stand-ins are namespaces). Deployments are in deploy.bats.
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

# spki FILE KIND: SHA-256 of the public key in a certificate (x509) or request (req), by openssl.
spki() { openssl "$2" -in "$1" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1; }

# openssl's exit code does not tell.
signed_request() { openssl req -noout -verify 2>&1 | grep -q "verify OK"; }

# A client that trusts the lab's root and nothing else, and asks for NAME.example.com.
accepted_by_client() {
	lab_env "$1"
	openssl s_client -connect "$HTTPS_ADDRESS" -servername "$1.example.com" -verify_hostname "$1.example.com" -CAfile "$(lab_ca_root "$LAB/ca")" -no-CApath \
		-no-CAstore -verify_return_error < /dev/null > /dev/null 2>&1
}

# The custody directory and the token, byte by byte.
custody_hash() { find "$CUSTOS_DIR" -type f ! -name '*-shm' -print0 | sort -z | xargs -0 sha256sum | sha256sum; }

# ---- token and custody ----

@test "token init makes a token that list and show know, and never a second time" {
	# Goal: a token with its PINs from files; an initialised one is never initialised again, whoever asks.
	expect 0 custos token init --label fresh --so-pin-source "file:$LAB/so-pin" --pin-source "file:$LAB/pin" --json
	uri=$(lab_json '["uri"]' <<< "$output")
	serial=$(lab_json '["serial"]' <<< "$output")
	[ "$(lab_json '["label"]' <<< "$output")" = fresh ]
	softhsm_serials | grep -qx "$serial"
	expect 0 custos token show "$uri" --json
	[ "$(lab_json '["serial"]' '["tier"]' '["profile"]' <<< "$output")" = "$serial hardened softhsm" ]
	expect 0 custos token list --json
	/usr/bin/python3 -c 'import json,sys; t=[x["serial"] for x in json.load(sys.stdin)]; assert t.count(sys.argv[1]) == 1, t' "$serial" <<< "$output"

	expect 3 custos token init "$uri" --label again --so-pin-source "file:$LAB/so-pin" --pin-source "file:$LAB/pin"
	says "is initialised already"
	expect 0 custos token show "$uri" --json
	[ "$(lab_json '["label"]' <<< "$output")" = fresh ]
	# the user PIN that was set is the one that opens it: a custody can be begun there
	expect 0 custos init "$BATS_TEST_TMPDIR/custody" --token "$uri" --pin-source "file:$LAB/pin"
	# a source that others can read is no source
	(umask 022 && cat "$LAB/pin" > "$BATS_TEST_TMPDIR/open-pin")
	expect 3 custos token init --label open --so-pin-source "file:$BATS_TEST_TMPDIR/open-pin" --pin-source "file:$LAB/pin"
	says "can be read by others"
	expect 5 custos token show pkcs11:token=open
	says "no such token"
}

@test "a token must be the only one that matches" {
	# Goal: neither the first of two nor a slot number is guessed.
	softhsm_init_token twin "$LAB/so-pin" "$LAB/pin"
	twin=$(softhsm_init_token twin "$LAB/so-pin" "$LAB/pin")
	for attempt in "token show pkcs11:token=twin" "init $BATS_TEST_TMPDIR/c --token pkcs11:token=twin --pin-source file:$LAB/pin"; do
		# shellcheck disable=SC2086
		expect 5 custos $attempt
		says "two tokens match"
	done
	[ ! -e "$BATS_TEST_TMPDIR/c" ]
	expect 0 custos token show "pkcs11:token=twin;serial=$twin" --json
	expect 6 custos token show "pkcs11:token=lab?pin-value=123456"
	run ! grep -q 123456 <<< "$output$stderr"
}

@test "init says what was made, and refuses a directory with a custody" {
	# Goal: KEK and log key on the token, one signed entry; a second init changes neither directory nor token.
	vkey=$(custos log checkpoint --json | lab_json '["vkey"]')
	grep -qF "$vkey" "$LAB/init.out"
	[ "$(stat -c %a "$CUSTOS_DIR" "$CUSTOS_DIR/custody.yaml" | tr '\n' ' ')" = "700 600 " ]
	run ! grep -qF "$(cat "$LAB/pin")" -r "$CUSTOS_DIR"
	before=$(custody_hash)
	objects=$(softhsm_count_objects "$(cat "$LAB/serial")")
	expect 3 custos_in init "$CUSTOS_DIR" --token pkcs11:token=lab
	says "holds a custody already"
	[ "$(custody_hash)" = "$before" ]
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" -eq "$objects" ]

	expect 5 custos_in init "$BATS_TEST_TMPDIR/c" --token pkcs11:token=nowhere
	expect 2 custos_in init "$BATS_TEST_TMPDIR/c"
	[ ! -e "$BATS_TEST_TMPDIR/c" ]
}

@test "a wrong PIN is one attempt, exit 4, and in the log" {
	# Goal: one attempt, the token's flags told, nothing made; the failed attempt is an entry that everybody sees later.
	(umask 077 && echo 000000 > "$BATS_TEST_TMPDIR/wrong")
	size=$(lab_log_size)
	expect 4 custos --pin-source "file:$BATS_TEST_TMPDIR/wrong" key generate never
	says "PIN refused"
	says "user PIN count low"
	[ "$(lab_events "$size")" = token.login_failed ]
	expect 6 custos key show never
	expect 4 custos init "$BATS_TEST_TMPDIR/c" --token pkcs11:token=lab --pin-source "file:$BATS_TEST_TMPDIR/wrong"
	[ ! -e "$BATS_TEST_TMPDIR/c" ]
	custos_in key generate afterwards > /dev/null
	[ "$(custos token show pkcs11:token=lab --json | lab_json '["pin_count_low"]')" = false ]
}

@test "a custody directory of others, or no directory, is refused" {
	# Goal: the directory is named, never guessed, and belongs to us alone.
	expect 2 env -u CUSTOS_DIR custos status
	says "no custody directory was named"
	expect 2 custos -C "$BATS_TEST_TMPDIR/none" status
	cp -r "$CUSTOS_DIR" "$BATS_TEST_TMPDIR/c"
	chmod 770 "$BATS_TEST_TMPDIR/c"
	expect 3 custos -C "$BATS_TEST_TMPDIR/c" status
	says "can be written by others"
	chmod 700 "$BATS_TEST_TMPDIR/c"
	expect 0 custos -C "$BATS_TEST_TMPDIR/c" status
	chmod 666 "$BATS_TEST_TMPDIR/c/custody.yaml"
	expect 3 custos -C "$BATS_TEST_TMPDIR/c" status
	chmod 600 "$BATS_TEST_TMPDIR/c/custody.yaml"
	chown 65534 "$BATS_TEST_TMPDIR/c/custody.yaml"
	expect 3 custos -C "$BATS_TEST_TMPDIR/c" status
	says "belongs to user 65534"
	chown 0 "$BATS_TEST_TMPDIR/c/custody.yaml"
	echo 'origin: "twice"' >> "$BATS_TEST_TMPDIR/c/custody.yaml"
	expect 6 custos -C "$BATS_TEST_TMPDIR/c" status
	says "custody.yaml"
}

# ---- keys, requests, certificates ----

@test "every type of key is made, requested for, certified and shown" {
	# Goal: what the token signed verifies with openssl, the request has exactly what was asked for, and deployable keys are gone from the token.
	serial=$(cat "$LAB/serial")
	for type in rsa-2048 rsa-3072 rsa-4096 ec-p256 ec-p384 ec-p521; do
		objects=$(softhsm_count_objects "$serial")
		expect 0 custos_in key generate "t-$type" --type "$type" --json
		[ "$(lab_json '["type"]' '["class"]' '["state"]' <<< "$output")" = "$type deployable active" ]
		spki=$(lab_json '["spki_sha256"]' <<< "$output")
		[ "$(softhsm_count_objects "$serial")" -eq "$objects" ]
		expect 0 custos_in csr create "t-$type" --subject "CN=$type.example.com,O=Example" --san "dns:$type.example.com" --san ip:192.0.2.7 -o "$BATS_TEST_TMPDIR/$type.csr"
		signed_request < "$BATS_TEST_TMPDIR/$type.csr"
		[ "$(spki "$BATS_TEST_TMPDIR/$type.csr" req)" = "$spki" ]
		openssl req -in "$BATS_TEST_TMPDIR/$type.csr" -noout -text | grep -q "DNS:$type.example.com, IP Address:192.0.2.7"
		lab_ca_sign "$LAB/ca" "$BATS_TEST_TMPDIR/$type.csr" "$BATS_TEST_TMPDIR/$type"
		expect 0 custos_in cert accept "t-$type" "$BATS_TEST_TMPDIR/$type.p7b"
		[ "$(lab_leaf "t-$type")" = "$(openssl x509 -in "$BATS_TEST_TMPDIR/$type.leaf.pem" -outform DER | sha256sum | cut -d' ' -f1)" ]
	done
	# RSASSA-PSS where it is asked for, and only where it can be
	expect 0 custos_in csr create t-rsa-2048 --subject CN=pss.example.com --san dns:pss.example.com --signature rsa-pss -o "$BATS_TEST_TMPDIR/pss.csr"
	openssl req -in "$BATS_TEST_TMPDIR/pss.csr" -noout -verify 2>&1 | grep -q 'verify OK'
	openssl req -in "$BATS_TEST_TMPDIR/pss.csr" -noout -text | grep -q 'Signature Algorithm: rsassaPss'
	openssl req -in "$BATS_TEST_TMPDIR/pss.csr" -noout -text | grep -q 'Salt Length: 0x20'
	expect 6 custos_in csr create t-ec-p256 --subject CN=pss.example.com --san dns:pss.example.com --signature rsa-pss
	expect 6 custos_in csr create t-rsa-2048 --subject CN=pss.example.com --san dns:pss.example.com --signature sha1
	expect 6 custos_in csr create t-rsa-2048 --subject CN=pss.example.com --san dns:pss.example.com --signature rsa-pss --profile esxi
	says "ESXi does not support RSASSA-PSS"
	for type in ec-p256 ed25519; do
		objects=$(softhsm_count_objects "$serial")
		expect 0 custos_in key generate "s-$type" --type "$type" --class sign-only --json
		[ "$(lab_json '["class"]' <<< "$output")" = sign-only ]
		[ "$(softhsm_count_objects "$serial")" -gt "$objects" ]
		expect 0 custos_in csr create "s-$type" --subject "CN=$type.example.com" --san "dns:$type.example.com"
		signed_request <<< "$output"
	done
	expect 0 custos key list --json
	/usr/bin/python3 -c 'import json,sys; k=[x["spki_sha256"] for x in json.load(sys.stdin)]; assert len(k) >= 7 and len(set(k)) == len(k), k' <<< "$output"
}

@test "names and types of keys are checked, and nothing is made of what is refused" {
	# Goal: a refusal leaves neither an entry nor an object.
	custos_in key generate once > /dev/null
	size=$(lab_log_size)
	objects=$(softhsm_count_objects "$(cat "$LAB/serial")")
	expect 3 custos_in key generate once --type ec-p256
	says "there is a key named once already"
	expect 3 custos_in key generate soft --type ed25519
	for name in Upper ../up 'a b' -dash '' "$(printf 'a%.0s' {1..64})"; do
		expect 2 custos_in key generate -- "$name"
	done
	expect 2 custos_in key generate k --type rsa-1024
	expect 2 custos_in key generate k --class everything
	expect 6 custos_in key allow once nowhere
	[ "$(lab_log_size)" -eq "$size" ]
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" -eq "$objects" ]
	# a key that never leaves the token can go nowhere
	custos_in key generate stays --type ec-p256 --class sign-only > /dev/null
	expect 3 custos_in deploy stays anywhere
	says "never leaves the token"
}

@test "csr create overwrites nothing and asks for nothing a CA would refuse" {
	# Goal: neither a file nor where a link points to is touched; a request without names is not made.
	custos_in key generate req > /dev/null
	size=$(lab_log_size)
	echo precious > "$BATS_TEST_TMPDIR/there"
	ln -s "$BATS_TEST_TMPDIR/not-there" "$BATS_TEST_TMPDIR/link"
	for file in there link; do
		expect 6 custos_in csr create req --subject CN=a.example.com --san dns:a.example.com -o "$BATS_TEST_TMPDIR/$file"
		says "$BATS_TEST_TMPDIR/$file"
	done
	[ "$(cat "$BATS_TEST_TMPDIR/there")" = precious ]
	[ ! -e "$BATS_TEST_TMPDIR/not-there" ]
	for names in "" "--san bogus" "--san dns:b.example.com" "--san dns:a.example.com --san ip:999.1.1.1"; do
		# shellcheck disable=SC2086
		expect 6 custos_in csr create req --subject CN=a.example.com $names -o "$BATS_TEST_TMPDIR/never.csr"
		[ ! -e "$BATS_TEST_TMPDIR/never.csr" ]
	done
	[ "$(lab_log_size)" -eq "$size" ]
	expect 0 custos_in csr create req --subject CN=a.example.com --san dns:a.example.com
	signed_request <<< "$output"
}

@test "cert check takes PEM, DER, PKCS#7 in both, and several files in any order" {
	# Goal: without a custody, whatever the CA sent becomes the same chain: leaf, then intermediate, no root.
	lab_key bag
	cd "$BATS_TEST_TMPDIR"
	cp "$LAB/bag.leaf.pem" leaf.pem
	cp "$(lab_ca_intermediate "$LAB/ca")" middle.pem
	cp "$(lab_ca_root "$LAB/ca")" root.pem
	for name in leaf middle root; do openssl x509 -in $name.pem -outform DER -out $name.der; done
	sed 's/$/\r/' leaf.pem > leaf.crlf
	{ printf '\357\273\277Bag Attributes\n'; cat leaf.pem; } > leaf.bom
	{ echo "Your certificate, dear customer:"; openssl x509 -in leaf.pem -text; } > leaf.text
	printf '%s' "$(cat leaf.pem)" > joined.pem
	cat middle.pem >> joined.pem
	want=
	check() {
		expect 0 env -u CUSTOS_DIR -u CUSTOS_MODULE -u SOFTHSM2_CONF custos cert check --trust root.pem --json "$@"
		chain=$(lab_json '["chain"][0]["sha256"]' '["chain"][1]["sha256"]' '["chain"].__len__()' '["usable"]' <<< "$output") || { echo "$output"; return 1; }
		[ "$chain" = "${want:=$chain}" ]
	}
	check leaf.pem middle.pem
	[[ $want == "$(lab_leaf bag) "*" 2 true" ]]
	for order in "leaf middle root" "leaf root middle" "middle leaf root" "middle root leaf" "root leaf middle" "root middle leaf"; do
		read -ra names <<< "$order"
		check "${names[@]/%/.pem}"
		check "${names[@]/%/.der}"
		check "${names[0]}.der" "${names[1]}.pem" "${names[2]}.der"
	done
	check "$LAB/bag.chain.pem"
	check "$LAB/bag.p7b"
	check "$LAB/bag.der.p7b"
	check leaf.crlf middle.pem
	check leaf.bom middle.der
	check leaf.text middle.pem
	check joined.pem
	expect 6 env -u CUSTOS_DIR custos cert check leaf.der
	says "the issuer's certificate is missing"
	expect 6 env -u CUSTOS_DIR custos cert check middle.pem root.pem
	expect 6 env -u CUSTOS_DIR custos cert check nowhere.pem
	says nowhere.pem
}

@test "cert accept takes each form, and cert show --pem is what a server needs" {
	# Goal: the stored chain verifies with openssl against the root alone, leaf first; each acceptance is one entry.
	custos_in key generate acc > /dev/null
	custos_in csr create acc --subject CN=acc.example.com --san dns:acc.example.com -o "$LAB/acc.csr" > /dev/null
	expect 6 custos cert show acc
	says "has no certificate yet"
	lab_ca_sign "$LAB/ca" "$LAB/acc.csr" "$LAB/acc"
	openssl x509 -in "$LAB/acc.leaf.pem" -outform DER -out "$LAB/acc.leaf.der"
	for bag in acc.p7b acc.der.p7b acc.chain.pem "acc.leaf.der ca/intermediate.pem" "ca/intermediate.pem ca/root.pem acc.leaf.pem"; do
		read -ra files <<< "$bag"
		size=$(lab_log_size)
		expect 0 custos_in cert accept acc "${files[@]/#/$LAB/}" --json
		[ "$(lab_json '["usable"]' <<< "$output")" = true ]
		[ "$(lab_events "$size")" = cert.accept ]
		custos cert show acc --pem > "$BATS_TEST_TMPDIR/shown.pem"
		cmp "$BATS_TEST_TMPDIR/shown.pem" "$LAB/acc.chain.pem"
		openssl verify -no-CApath -no-CAstore -CAfile "$(lab_ca_root "$LAB/ca")" -untrusted "$BATS_TEST_TMPDIR/shown.pem" -purpose sslserver \
			-verify_hostname acc.example.com "$BATS_TEST_TMPDIR/shown.pem"
	done
	expect 0 custos cert show acc --json
	[[ $(lab_json '["days_left"]' <<< "$output") =~ ^(89|90)$ ]]
}

# ---- targets ----

@test "target scan shows the host's own fingerprint, tries no login and stores nothing" {
	# Goal: what scan prints is what the console shows; no custody is needed, and the host saw no authentication.
	lab_host scanned
	size=$(lab_log_size)
	expect 0 env -u CUSTOS_DIR -u CUSTOS_MODULE custos target scan "$SSH_ADDRESS" --json
	[ "$(lab_json '["hostkeys"][0]' <<< "$output")" = "$HOSTKEY_SHA256" ]
	[[ $(lab_json '["banner"]' <<< "$output") == SSH-2.0-OpenSSH* ]]
	[ "$(lab_json '["address"]' <<< "$output")" = "$SSH_ADDRESS" ]
	[ "$(lab_log_size)" -eq "$size" ]
	run ! grep -E 'Accepted|Failed|Postponed|Invalid user|authenticating' <<< "$(lab_auth_log scanned)"
	# not an SSH server, and nobody at all
	expect 8 custos target scan "$HTTPS_ADDRESS"
	says "$HTTPS_ADDRESS"
	"$here/esxi/host" "$LAB/scanned" fault no-ssh
	expect 8 custos target scan "$SSH_ADDRESS"
	says "cannot connect"
}

@test "targets are added once, shown, removed, and take permissions along" {
	# Goal: a host added again under an old name is another host: no key may go there by an old permission.
	pin=SHA256:$(printf 'x' | openssl dgst -sha256 -binary | base64 | tr -d =)
	add=(custos_in target add web --address host.example.com --profile esxi)
	size=$(lab_log_size)
	expect 2 "${add[@]}"
	says "needs its host key"
	expect 6 "${add[@]}" --hostkey SHA256:short
	expect 6 "${add[@]}" --hostkey "${pin/SHA256/MD5}"
	expect 6 "${add[@]/esxi/windows}" --hostkey "$pin"
	expect 6 "${add[@]/esxi/$LAB/none.yaml}" --hostkey "$pin"
	expect 6 "${add[@]}" --hostkey "$pin" --auth carrier-pigeon
	[ "$(lab_log_size)" -eq "$size" ]
	expect 0 "${add[@]}" --hostkey "$pin" --json
	[ "$(lab_json '["address"]' '["verify"][0]' '["user"]' <<< "$output")" = "host.example.com:22 host.example.com:443 root" ]
	expect 3 "${add[@]}" --hostkey "$pin"
	says "already"
	custos_in key generate perm > /dev/null
	custos_in key allow perm web > /dev/null
	expect 0 custos target show web --json
	[ "$(lab_json '["allowed_keys"]' <<< "$output")" = '["perm"]' ]
	expect 0 custos_in target remove web
	expect 6 custos target show web
	[ "$(custos key show perm --json | lab_json '["targets"]')" = '[]' ]
	"${add[@]}" --hostkey "$pin" > /dev/null
	[ "$(custos key show perm --json | lab_json '["targets"]')" = '[]' ]
	expect 0 custos target list --json
	/usr/bin/python3 -c 'import json,sys; assert [t["name"] for t in json.load(sys.stdin)].count("web") == 1' <<< "$output"
}

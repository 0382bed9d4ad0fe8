#!/usr/bin/env bats
# Goal: the second certificate and all after it: what is taken from a CA and what only when somebody says so, renewal with the same key and a new one,
# what is due, what monitoring is told, and what hosts really serve.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root (the stand-ins are namespaces) and nginx.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/it/web.bash
. "$BATS_TEST_DIRNAME/web.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
}

teardown() { [ ! -d "$LAB/web" ] || web_end; }

teardown_file() { lab_end; }

# request NAME [TYPE]: a key and its request for NAME.example.com in $LAB/NAME.csr.
request() {
	custos_in key generate "$1" --type "${2:-ec-p256}" > /dev/null
	custos_in csr create "$1" --subject "CN=$1.example.com,O=Example" --san "dns:$1.example.com" -o "$LAB/$1.csr" > /dev/null
}

# issue NAME CSR BEGIN END [EXTENSION…]: by the lab's intermediate, from and to these times, relative to half an hour ago ("-1 day", "+90 days": 89 days left); CA extensions as in openssl.cnf. Writes NAME.leaf.pem
# and NAME.chain.pem.
issue() {
	local name=$1 csr=$2 begin=$3 end=$4 now
	shift 4
	now=$(date -u -d "-30 minutes" +"%F %T UTC")
	{
		sed '/^\[ leaf \]/,$d' "$LAB/ca/ca.cnf"
		printf '%s\n' '[ leaf ]' 'basicConstraints = critical, CA:FALSE' 'subjectKeyIdentifier = hash' 'authorityKeyIdentifier = keyid:always' "$@"
	} > "$LAB/own.cnf"
	[ $# -gt 0 ] || printf '%s\n' 'keyUsage = critical, digitalSignature, keyEncipherment' 'extendedKeyUsage = serverAuth' >> "$LAB/own.cnf"
	openssl ca -batch -notext -config "$LAB/own.cnf" -name intermediate_ca -extensions leaf -startdate "$(date -u -d "$begin $now" +%Y%m%d%H%M%SZ)" \
		-enddate "$(date -u -d "$end $now" +%Y%m%d%H%M%SZ)" -in "$csr" -out "$LAB/$name.leaf.pem" ${MD:+-md "$MD"} 2> "$LAB/ca.log" || { cat "$LAB/ca.log"; return 1; }
	cat "$LAB/$name.leaf.pem" "$LAB/ca/intermediate.pem" > "$LAB/$name.chain.pem"
}

# event INDEX MEMBER: of the entry's JSON.
entry() { custos log show --from "$1" --json | lab_json "[0]$2"; }

# A policy in custody.yaml; none: taken out again.
policy() {
	sed -i '/^certificates:/,$d' "$CUSTOS_DIR/custody.yaml"
	[ $# -eq 0 ] || printf 'certificates:\n' >> "$CUSTOS_DIR/custody.yaml"
	[ $# -eq 0 ] || printf '  %s\n' "$@" >> "$CUSTOS_DIR/custody.yaml"
}

# ---- what is taken ----

@test "a certificate that is not as it should be is taken only by the option that names what is wrong, and the log says so" {
	# Goal: each refusal names its option; another option does not help; nothing but the accepted one is logged, with the code.
	request odd
	issue odd "$LAB/odd.csr" "-40 days" "-1 hour"
	size=$(lab_log_size)
	expect 6 custos_in cert accept odd "$LAB/odd.chain.pem"
	says "expired on"
	[[ $output == *"to take it all the same, which is logged: --accept-expired"* ]]
	expect 6 custos_in cert accept odd "$LAB/odd.chain.pem" --accept-not-yet-valid --accept-sha1-signature --accept-roca --accept-client-refuses
	[ "$(lab_log_size)" -eq "$size" ]
	expect 0 custos_in cert accept odd "$LAB/odd.chain.pem" --accept-expired --accept-sha1-signature --json
	[ "$(lab_json '["log_index"]' <<< "$output")" -eq "$size" ]
	[ "$(entry "$size" '["event"]')" = cert.accept ]
	[ "$(entry "$size" '["accepted"]')" = '["expired"]' ]
	[ "$(entry "$size" '["policy"]["max_days"]')" = "public roots" ]
	custos cert show odd | grep -q "^in spite of *expired$"
	custos cert show odd | grep -q "^renew from *20"

	# what others do not forgive: another key's certificate has no option at all
	lab_key other ec-p256
	expect 6 custos_in cert accept odd "$LAB/other.chain.pem" --accept-expired --accept-client-refuses --accept-san-missing
	says "belongs to another key"
	[[ $output != *"to take it all the same"* ]]
	expect 2 custos_in cert accept odd "$LAB/odd.chain.pem" --accept-other-key

	MD=sha1 issue odd "$LAB/odd.csr" "-1 day" "+30 days"
	expect 6 custos_in cert accept odd "$LAB/odd.chain.pem"
	says "SHA-1"
	expect 0 custos_in cert accept odd "$LAB/odd.chain.pem" --accept-sha1-signature
	issue odd "$LAB/odd.csr" "+1 day" "+30 days"
	expect 6 custos_in cert accept odd "$LAB/odd.chain.pem"
	says "not valid before"
	issue odd "$LAB/odd.csr" "-1 day" "+30 days" 'keyUsage = critical, digitalSignature' 'extendedKeyUsage = clientAuth'
	expect 6 custos_in cert accept odd "$LAB/odd.chain.pem"
	says "not meant for a TLS server"
	issue odd "$LAB/odd.csr" "-1 day" "+30 days" 'keyUsage = critical, keyAgreement'
	expect 6 custos_in cert accept odd "$LAB/odd.chain.pem"
	says "clients end the handshake"
	# in order, nothing is accepted that was not wrong
	size=$(lab_log_size)
	issue odd "$LAB/odd.csr" "-1 day" "+80 days"
	expect 0 custos_in cert accept odd "$LAB/odd.chain.pem" --accept-expired
	run ! entry "$size" '["accepted"]'
}

@test "EC and what else ESXi does not take: refused for a request of profile esxi, by name accepted" {
	# Goal: the rule is the request's profile; a wildcard is a warning.
	custos_in key generate hyper --type rsa-2048 > /dev/null
	custos_in csr create hyper --subject CN=hyper.example.com --san dns:hyper.example.com --profile esxi -o "$LAB/hyper.csr" > /dev/null
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$BATS_TEST_TMPDIR/k" -subj /CN=hyper.example.com -addext subjectAltName=DNS:hyper.example.com -out "$LAB/ec.csr" 2> /dev/null
	issue ec "$LAB/ec.csr" "-1 day" "+80 days"
	expect 6 custos_in cert accept hyper "$LAB/ec.chain.pem" --accept-ec-for-esxi
	says "belongs to another key"
	issue hyper "$LAB/hyper.csr" "-1 day" "+80 days" 'keyUsage = critical, digitalSignature, keyEncipherment' 'extendedKeyUsage = serverAuth' 'subjectAltName = DNS:*.example.com'
	expect 0 custos_in cert accept hyper "$LAB/hyper.chain.pem" --json
	/usr/bin/python3 -c 'import json,sys; p={x["code"]: x["severity"] for x in json.load(sys.stdin)["problems"]}; assert p["wildcard_for_esxi"] == "warning", p' <<< "$output"
}

@test "how long a certificate may last: public roots by the calendar, a private CA as it likes, a limit of one's own" {
	# Goal: 397 days of the lab's CA are nobody's business until its root is one of the system's, or custody.yaml says so; the log says which rule was in force.
	request long
	issue long "$LAB/long.csr" "-1 day" "+396 days"
	expect 0 custos_in cert accept long "$LAB/long.chain.pem"
	# the same CA as a public one: its root in the store that this machine's clients use
	expect 6 env SSL_CERT_FILE="$(lab_ca_root "$LAB/ca")" custos --pin-source "file:$LAB/pin" cert accept long "$LAB/long.chain.pem"
	says "is valid for 398 days; of a public CA"
	expect 0 env SSL_CERT_FILE="$(lab_ca_root "$LAB/ca")" custos --pin-source "file:$LAB/pin" cert accept long "$LAB/long.chain.pem" --accept-long-validity
	policy "max_days: public"
	expect 6 custos_in cert accept long "$LAB/long.chain.pem"
	says "of a public CA one that begins on"
	policy "max_days: 90"
	expect 6 custos_in cert accept long "$LAB/long.chain.pem"
	says "this custody takes 90 at most"
	size=$(lab_log_size)
	lab_ca_sign "$LAB/ca" "$LAB/long.csr" "$LAB/long" 90
	expect 0 custos_in cert accept long "$LAB/long.p7b"
	[ "$(entry "$size" '["policy"]["max_days"]')" = 90 ]
	policy "max_days: none"
	issue long "$LAB/long.csr" "-1 day" "+1500 days"
	expect 0 env SSL_CERT_FILE="$(lab_ca_root "$LAB/ca")" custos --pin-source "file:$LAB/pin" cert accept long "$LAB/long.chain.pem"
	policy "max_days: many"
	expect 6 custos_in cert accept long "$LAB/long.chain.pem"
	says '"max_days" must be a number of days'
	policy
}

@test "a key on the blocklist of custody.yaml is not certified" {
	# Goal: by the hash of the SPKI and by Debian's fingerprint; a list that others could have written, or that is none, stops everything.
	request blocked rsa-2048
	lab_ca_sign "$LAB/ca" "$LAB/blocked.csr" "$LAB/blocked"
	spki=$(custos key show blocked --json | lab_json '["spki_sha256"]')
	debian=$(openssl x509 -in "$LAB/blocked.leaf.pem" -noout -modulus | sha1sum | cut -c21-40)
	policy "blocklist: weak.txt"
	expect 6 custos_in cert accept blocked "$LAB/blocked.p7b"
	says "cannot open weak.txt, which custody.yaml names"
	for hash in "$spki" "$debian"; do
		printf '# known\n%s\n' "$hash" > "$CUSTOS_DIR/weak.txt"
		chmod 644 "$CUSTOS_DIR/weak.txt"
		expect 6 custos_in cert accept blocked "$LAB/blocked.p7b"
		says "list of keys not to be used"
	done
	chmod 664 "$CUSTOS_DIR/weak.txt"
	expect 3 custos_in cert accept blocked "$LAB/blocked.p7b" --accept-blocked-key
	says "can be written by others"
	chmod 644 "$CUSTOS_DIR/weak.txt"
	size=$(lab_log_size)
	expect 0 custos_in cert accept blocked "$LAB/blocked.p7b" --accept-blocked-key
	[ "$(entry "$size" '["accepted"]' '["policy"]["blocklist_sha256"]')" = '["blocked_key"]' ]
	[ "$(entry "$size" '["policy"]["blocklist_sha256"]')" = "$(sha256sum < "$CUSTOS_DIR/weak.txt" | cut -d' ' -f1)" ]
	echo "$spki of the old batch" > "$CUSTOS_DIR/weak.txt"
	expect 6 custos_in cert accept blocked "$LAB/blocked.p7b"
	says "weak.txt:1: not the hash of a key"
	policy
}

@test "a certificate is taken only when the key on the token answers for it" {
	# Goal: a key that is gone from its token is found out before the certificate is logged, though every file is in order.
	custos_in key generate gone --type ec-p256 --class sign-only > /dev/null
	custos_in csr create gone --subject CN=gone.example.com --san dns:gone.example.com -o "$LAB/gone.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/gone.csr" "$LAB/gone"
	cp -a "$LAB/softhsm/tokens" "$BATS_TEST_TMPDIR/tokens"
	pkcs11-tool --module "$(softhsm_module)" --login --pin "$(cat "$LAB/pin")" --token-label lab --delete-object --type privkey \
		--id "$(custos key show gone --json | lab_json '["id"]')" > /dev/null
	size=$(lab_log_size)
	expect 5 custos_in cert accept gone "$LAB/gone.p7b"
	[ "$(lab_log_size)" -eq "$size" ]
	run ! custos cert show gone
	rm -rf "$LAB/softhsm/tokens"
	cp -a "$BATS_TEST_TMPDIR/tokens" "$LAB/softhsm/tokens"
	expect 0 custos_in cert accept gone "$LAB/gone.p7b"
}

# ---- the next one ----

@test "renew asks for the same again with the same key, and what comes back is taken" {
	# Goal: subject, names and profile of the certificate, or of the request when that is newer; no file is overwritten; nothing to renew is said.
	custos_in key generate www --type rsa-2048 > /dev/null
	expect 6 custos_in renew www
	says "neither a certificate nor a request"
	custos_in csr create www --subject "CN=www.example.com,O=Example,C=DE" --san dns:www.example.com --san ip:192.0.2.7 --profile esxi -o "$LAB/www.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/www.csr" "$LAB/www"
	custos_in cert accept www "$LAB/www.p7b" > /dev/null
	size=$(lab_log_size)
	expect 0 custos_in renew www -o "$LAB/www-again.csr" --json
	[ "$(lab_json '["key"]' '["renews"]' '["profile"]' '["sans"]' <<< "$output")" = 'www null esxi ["dns:www.example.com", "ip:192.0.2.7"]' ]
	[ "$(lab_events "$size")" = csr.create ]
	[ "$(entry "$size" '["profile"]')" = esxi ]
	for what in -subject -pubkey; do
		[ "$(openssl req -in "$LAB/www-again.csr" -noout $what)" = "$(openssl req -in "$LAB/www.csr" -noout $what)" ]
	done
	openssl req -in "$LAB/www-again.csr" -noout -text | grep -q "DNS:www.example.com, IP Address:192.0.2.7"
	[ "$(custos status --json | lab_json '["keys"][[k["name"] for k in v["keys"]].index("www")]["renewal"]["requested"]')" = true ]
	lab_ca_sign "$LAB/ca" "$LAB/www-again.csr" "$LAB/www-again"
	expect 0 custos_in cert accept www "$LAB/www-again.p7b"
	[ "$(custos status --json | lab_json '["keys"][[k["name"] for k in v["keys"]].index("www")]["renewal"]["requested"]')" = false ]

	# a request with other names is newer than the certificate: that is what was wanted last
	custos_in csr create www --subject CN=www.example.com --san dns:www.example.com --san dns:example.com > /dev/null
	expect 0 custos_in renew www --json
	[ "$(lab_json '["sans"]' '["profile"]' <<< "$output")" = '["dns:www.example.com", "dns:example.com"] server' ]
	size=$(lab_log_size)
	expect 6 custos_in renew www -o "$LAB/www.csr"
	says "cannot make"
	expect 6 custos_in renew nobody
	[ "$(lab_log_size)" -eq "$size" ]
	expect 0 custos_in renew www -o "$BATS_TEST_TMPDIR/text.csr"
	[[ $output == *"custos cert accept www FILE"* ]]
}

@test "a subject that is longer than what is written down of it is not asked for again by halves" {
	# Goal: the log keeps a thousand characters of a subject; the rest is not left out in silence.
	custos_in key generate wordy --type ec-p256 > /dev/null
	subject=CN=wordy.example.com
	for number in {1..20}; do subject+=",OU=$number $(printf 'x%.0s' {1..60})"; done
	custos_in csr create wordy --subject "$subject" --san dns:wordy.example.com -o "$LAB/wordy.csr" > /dev/null
	size=$(lab_log_size)
	expect 6 custos_in renew wordy -o "$LAB/wordy-next.csr"
	says "key wordy: the subject to ask for again is longer than what was written down of it"
	[ "$(lab_log_size)" = "$size" ]
	[ ! -e "$LAB/wordy-next.csr" ]
	# what the hint names does it
	custos_in csr create wordy --subject "$subject" --san dns:wordy.example.com -o "$LAB/wordy-next.csr" > /dev/null
}

@test "renew --new-key makes the next key of the line, for the same targets" {
	# Goal: another public key under NAME.2, then NAME.3; a name that ends in a number is no line; key, permission and request are one transaction.
	lab_host line
	lab_key line
	lab_target line
	custos_in key allow line line > /dev/null
	custos_in deploy line line > /dev/null
	size=$(lab_log_size)
	expect 0 custos_in renew line --new-key -o "$LAB/line.2.csr" --json
	[ "$(lab_json '["key"]' '["renews"]' '["targets"]' '["deployed"]' <<< "$output")" = 'line.2 line ["line"] ["line"]' ]
	[ "$(lab_events "$size" | tr '\n' ' ')" = "key.generate key.allow csr.create " ]
	[ "$(entry "$size" '["renews"]')" = line ]
	expect 0 custos key show line.2 --json
	[ "$(lab_json '["type"]' '["class"]' '["targets"]' '["renews"]' <<< "$output")" = 'rsa-2048 deployable ["line"] line' ]
	run ! diff <(openssl req -in "$LAB/line.2.csr" -noout -pubkey) <(openssl req -in "$LAB/line.csr" -noout -pubkey)
	lab_ca_sign "$LAB/ca" "$LAB/line.2.csr" "$LAB/line.2"
	expect 0 custos_in cert accept line.2 "$LAB/line.2.p7b"
	expect 0 custos_in deploy line.2 line
	[ "$(lab_served line)" = "$(lab_leaf line.2)" ]
	expect 0 custos_in renew line.2 --new-key --json
	[ "$(lab_json '["key"]' '["renews"]' <<< "$output")" = "line.3 line.2" ]
	# the first one again: its successor's name is taken
	expect 0 custos_in renew line --new-key --json
	[ "$(lab_json '["key"]' '["renews"]' <<< "$output")" = "line.4 line" ]

	lab_key 192.0.2.9 ec-p256 dns:nine.example.com
	expect 0 custos_in renew 192.0.2.9 --new-key --json
	[ "$(lab_json '["key"]' <<< "$output")" = 192.0.2.9.2 ]
	custos_in key generate stays2 --type ed25519 --class sign-only > /dev/null
	custos_in csr create stays2 --subject CN=s.example.com --san dns:s.example.com > /dev/null
	expect 0 custos_in renew stays2 --new-key --json
	[ "$(lab_json '["key"]' '["targets"]' <<< "$output")" = "stays2.2 []" ]
	openssl req -noout -verify <<< "$(lab_json '["csr"]' <<< "$output")" 2>&1 | grep -q "verify OK"
	[ "$(custos key show stays2.2 --json | lab_json '["class"]' '["type"]')" = "sign-only ed25519" ]
	long=$(printf 'l%.0s' {1..62})
	custos_in key generate "$long" --type ec-p256 > /dev/null
	custos_in csr create "$long" --subject CN=l.example.com --san dns:l.example.com > /dev/null
	expect 6 custos_in renew "$long" --new-key
	says "no name is left"
	custos_in key destroy stays2 --reason over > /dev/null
	expect 3 custos_in renew stays2 --new-key
}

# ---- what is due, and what monitoring hears of it ----

# renewal NAME MEMBER: of the key's "renewal" in the status.
renewal() { custos status --json | lab_json "[\"keys\"][[k[\"name\"] for k in v[\"keys\"]].index(\"$1\")]$2"; }

# A custody of its own on the lab's token, so that others' certificates do not count.
own_custody() {
	softhsm_init_token "$1" "$LAB/so-pin" "$LAB/pin" > /dev/null
	export CUSTOS_DIR=$LAB/custody-$1
	custos_in init "$CUSTOS_DIR" --token "pkcs11:token=$1" --trust "$(lab_ca_root "$LAB/ca")" > /dev/null
}

@test "status says from when a certificate is to be renewed, and --check and --nagios when it is time" {
	# Goal: the window by a third or 30 days, whichever is earlier; a third alone for short ones; superseded keys fall silent; the plugin's line and codes.
	own_custody due
	plugin() {
		local code=$1 state=$2
		shift 2
		expect "$code" custos status --check --nagios "$@"
		[ -z "$stderr" ]
		[ "$(wc -l <<< "$output")" -eq 1 ]
		[[ $output =~ ^"CUSTOS $state - "[^|]+(" | "([a-z_]+=[0-9-]+";"[0-9:]*";"[0-9:]*";"0?";"" "?)+)?$ ]] || { echo "$output"; return 1; }
	}
	plugin 0 OK
	[[ $output == *"keys: 0; no certificate | keys=0;"* ]]
	request soon
	check() { # BEGIN END STATE DAYS WINDOW
		issue soon "$LAB/soon.csr" "$1" "$2"
		custos_in cert accept soon "$LAB/soon.chain.pem" --accept-expired > /dev/null
		[ "$(renewal soon '["renewal"]["state"]')" = "$3" ]
		[ "$(renewal soon '["days_left"]')" -eq "$4" ]
		[ "$(renewal soon '["renewal"]["from"]')" = "$(date -u -d "$(openssl x509 -in "$LAB/soon.leaf.pem" -noout -enddate | cut -d= -f2) - $5" +%Y-%m-%dT%H:%M:%SZ)" ]
	}
	check "-10 days" "+80 days" not_yet 79 "30 days"
	plugin 0 OK
	[[ $output == *"the first certificate to end is that of soon, days left: 79, to be renewed from "*" | days_left=79;;;; keys=1;"*"warnings=0;0;;0; criticals=0;;0;0;"* ]]
	expect 0 custos status --check
	check "-1 day" "+299 days" not_yet 298 "100 days"
	check "-220 days" "+80 days" due 79 "100 days"
	plugin 1 WARNING
	[[ $output == *"is to be renewed since"*"warnings=1;0;;0; criticals=0;"* ]]
	expect 3 custos status --check
	says "1 thing needs a person"
	says "the certificate of key soon is to be renewed since"
	check "-62 days" "+28 days" due 27 "30 days"
	check "-1 day" "+29 days" not_yet 28 "10 days"
	check "-84 days" "+6 days" urgent 5 "30 days"
	plugin 2 CRITICAL
	[[ $output == *"the certificate of key soon expires on"* ]]
	check "-90 days" "-1 hour" expired -1 "30 days"
	plugin 2 CRITICAL
	[[ $output == *"has expired"*"days_left=-1;"* ]]

	# renewed by another key: the old one falls silent as soon as there is a certificate that can take its place
	custos_in renew soon --new-key -o "$LAB/soon.2.csr" > /dev/null
	plugin 2 CRITICAL
	lab_ca_sign "$LAB/ca" "$LAB/soon.2.csr" "$LAB/soon.2"
	custos_in cert accept soon.2 "$LAB/soon.2.p7b" > /dev/null
	[ "$(renewal soon '["renewal"]["superseded_by"]')" = soon.2 ]
	plugin 0 OK

	# what cannot be found out is unknown, tampering is critical, and neither is said twice
	expect 3 env CUSTOS_DIR=/nonexistent custos status --check --nagios
	[[ $output == "CUSTOS UNKNOWN - cannot open the custody directory"* ]]
	[ -z "$stderr" ]
	expect 3 custos status --nagios
	[[ $output == "CUSTOS UNKNOWN - --nagios goes with --check"* ]]
	expect 3 custos status --check --nagios --frobnicate
	[[ $output == "CUSTOS UNKNOWN - this command has no option --frobnicate" ]]
	expect 3 custos status --frobnicate --check --nagios
	[[ $output == "CUSTOS UNKNOWN - this command has no option --frobnicate" ]]
	cp -r "$CUSTOS_DIR" "$BATS_TEST_TMPDIR/c"
	/usr/bin/python3 -c 'import sqlite3,sys; c = sqlite3.connect(sys.argv[1]); c.execute("update entry set leaf = x'"'00'"' where idx = 1"); c.commit()' "$BATS_TEST_TMPDIR/c/custody.db"
	expect 2 custos -C "$BATS_TEST_TMPDIR/c" status --check --nagios
	[[ $output == "CUSTOS CRITICAL - "* ]]
}

# ---- what hosts serve ----

# probe TARGET MEMBER…: of the target's first endpoint.
probe() {
	local target=$1 path paths=()
	shift
	for path in "$@"; do paths+=("[\"targets\"][[t[\"name\"] for t in v[\"targets\"]].index(\"$target\")][\"probe\"][0]$path"); done
	custos status --probe --json | lab_json "${paths[@]}"
}

@test "status --probe compares what an ESXi host serves with what is stored and what was asked for" {
	# Goal: each way a host can differ has its word; neither PIN nor login is needed, and the host is only looked at.
	own_custody esx
	lab_host esx
	lab_key esx
	lab_target esx
	[ "$(probe esx '["result"]' '["stored"]' '["request"]')" = "foreign null null" ]
	# nothing was deployed there from here: not our concern
	expect 0 custos status --check --probe
	custos_in key allow esx esx > /dev/null
	custos_in deploy esx esx > /dev/null
	logins=$(lab_auth_log esx | wc -l)
	before=$(lab_snapshot esx)
	[ "$(probe esx '["result"]' '["trusted"]' '["served"]["sha256"]' '["request"]["same_key"]' '["request"]["names_missing"]')" = "current true $(lab_leaf esx) true []" ]
	expect 0 custos status --check --probe --nagios
	[ "$(lab_auth_log esx | wc -l)" -eq "$logins" ]
	[ "$(lab_snapshot esx)" = "$before" ]
	custos status --probe | grep -q "^esx *127\.[0-9.]*:[0-9]* *current *CN=esx.example.com"

	# a newer certificate is accepted and not deployed; a name that was asked for is not served
	custos_in csr create esx --subject CN=esx.example.com --san dns:esx.example.com --san dns:new.example.com -o "$LAB/esx-new.csr" > /dev/null
	[ "$(probe esx '["result"]' '["request"]["names_missing"]')" = 'current ["dns:new.example.com"]' ]
	lab_ca_sign "$LAB/ca" "$LAB/esx-new.csr" "$LAB/esx-new"
	custos_in cert accept esx "$LAB/esx-new.p7b" > /dev/null
	[ "$(probe esx '["result"]' '["stored"]["leaf_sha256"]')" = "outdated $(lab_leaf esx)" ]
	expect 1 custos status --check --probe --nagios
	[[ $output == "CUSTOS WARNING - target esx serves the certificate before the accepted one at "* ]]
	custos_in deploy esx esx > /dev/null
	[ "$(probe esx '["result"]')" = current ]

	# somebody puts another pair there by hand
	lab_env esx
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=esx.example.com -addext subjectAltName=DNS:esx.example.com -keyout "$BATS_TEST_TMPDIR/rui.key" \
		-out "$BATS_TEST_TMPDIR/rui.crt" 2> /dev/null
	cat "$BATS_TEST_TMPDIR/rui.key" > "$ROOT/etc/vmware/ssl/rui.key"
	cat "$BATS_TEST_TMPDIR/rui.crt" > "$ROOT/etc/vmware/ssl/rui.crt"
	on_esx() { ssh -q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i "$LAB/login" -p "${SSH_ADDRESS##*:}" "root@${SSH_ADDRESS%:*}" "$@"; }
	on_esx '/etc/init.d/rhttpproxy restart' > /dev/null
	lab_until [ "$(openssl x509 -in "$BATS_TEST_TMPDIR/rui.crt" -outform DER | sha256sum | cut -d' ' -f1)" = "$(lab_served esx)" ]
	[ "$(probe esx '["result"]' '["trusted"]' '["request"]["same_key"]')" = "foreign false false" ]
	expect 2 custos status --check --probe --nagios
	[[ $output == "CUSTOS CRITICAL - target esx serves another certificate than was deployed at "* ]]
	"$here/esxi/host" "$LAB/esx" stop
	[ "$(probe esx '["result"]' '["served"]')" = "unreachable null" ]
	expect 3 custos status --check --probe
	says "target esx does not answer at"
}

@test "status --probe of nginx tells the pair before, another key of the custody, another certificate, and a chain with a gap" {
	# Goal: the same words for a server that is no ESXi.
	own_custody web
	web_start pair
	web_profile pair > "$LAB/web.yaml"
	for key in web.1 web.9; do lab_key "$key" ec-p256 dns:web.example.com; done
	web_target web "$LAB/web.yaml"
	for key in web.1 web.9; do custos_in key allow "$key" web > /dev/null; done
	custos_in deploy web.1 web > /dev/null
	first=$(lab_leaf web.1)
	[ "$(probe web '["result"]' '["served"]["sha256"]' '["name"]')" = "current $first web.example.com" ]
	cp "$LAB/web/tls/server.key" "$BATS_TEST_TMPDIR/key.1"
	custos_in deploy web.9 web > /dev/null
	[ "$(probe web '["result"]' '["stored"]["key"]')" = "current web.9" ]
	serve() { # CHAIN KEY_FILE
		cat "$1" > "$LAB/web/tls/server.crt"
		cat "$2" > "$LAB/web/tls/server.key"
		# the workers of before answer until they have gone
		local before
		before=$(pgrep -P "$(cat "$LAB/web/nginx.pid")")
		nginx -s reload -c "$LAB/web/nginx.conf" 2> /dev/null
		lab_until gone "$before"
	}
	gone() { ! ps -o pid= -p "$(tr '\n' , <<< "$1" | sed 's/,$//')" > /dev/null; }
	# somebody puts the pair of before back, then another certificate of its key
	HTTPS_ADDRESS=$WEB_HTTPS
	cp "$LAB/web/tls/server.key" "$BATS_TEST_TMPDIR/key"
	serve "$LAB/web.1.chain.pem" "$BATS_TEST_TMPDIR/key.1"
	lab_until serves "$first"
	[ "$(probe web '["result"]' '["trusted"]' '["request"]["same_key"]')" = "previous true false" ]
	lab_ca_sign "$LAB/ca" "$LAB/web.1.csr" "$LAB/third"
	serve "$LAB/third.chain.pem" "$BATS_TEST_TMPDIR/key.1"
	lab_until serves "$(openssl x509 -in "$LAB/third.leaf.pem" -outform DER | sha256sum | cut -d' ' -f1)"
	[ "$(probe web '["result"]' '["stored"]["key"]')" = "other_key web.9" ]
	# and another certificate of the right key
	lab_ca_sign "$LAB/ca" "$LAB/web.9.csr" "$LAB/again"
	serve "$LAB/again.chain.pem" "$BATS_TEST_TMPDIR/key"
	again=$(openssl x509 -in "$LAB/again.leaf.pem" -outform DER | sha256sum | cut -d' ' -f1)
	lab_until serves "$again"
	[ "$(probe web '["result"]' '["request"]["same_key"]' '["trusted"]')" = "other_certificate true true" ]
	# without its intermediate a client refuses what is otherwise right
	custos_in cert accept web.9 "$LAB/again.p7b" > /dev/null
	custos_in deploy web.9 web > /dev/null
	serve "$LAB/again.leaf.pem" "$BATS_TEST_TMPDIR/key"
	alone() { [ "$(openssl s_client -connect "$WEB_HTTPS" -showcerts < /dev/null 2> /dev/null | grep -c 'BEGIN CERT')" -eq 1 ]; }
	lab_until alone
	[ "$(probe web '["result"]' '["trusted"]')" = "current false" ]
	expect 2 custos status --check --probe --nagios
	[[ $output == "CUSTOS CRITICAL - clients refuse what target web serves at "*"its issuer was not sent"* ]]
}

serves() { [ "$(lab_served)" = "$1" ]; }

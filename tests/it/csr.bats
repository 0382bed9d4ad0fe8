#!/usr/bin/env bats
# Goal: requests as somebody asks for them, by options, by a template, like a certificate there is and in a list; each is read back with two other programs,
# openssl and GnuTLS' certtool, and what they say is compared field by field with what was asked for. What no CA should be asked for is not signed.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	for type in rsa-2048 ec-p256 ec-p384 ec-p521; do custos_in key generate "key-$type" --type $type > /dev/null; done
	custos_in key generate key-ed25519 --type ed25519 --class sign-only > /dev/null
}

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
}

# openssl_says FILE, certtool_says FILE: what the request holds, a field a line, in words both have: subject, key, usages, purposes, names, features, signature.
openssl_says() {
	local text
	openssl req -in "$1" -noout -verify 2>&1 | grep -q "verify OK" || { echo "openssl: $1 does not verify"; return; }
	text=$(openssl req -in "$1" -noout -text -nameopt RFC2253,utf8,-esc_msb)
	echo "subject $(sed -n 's/^ *Subject: *//p' <<< "$text")"
	echo "key $(openssl req -in "$1" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)"
	echo "usage $(sed -n '/Key Usage: critical/{n;s/^ *//;p}' <<< "$text" | tr -d ' ')"
	echo "purpose $(sed -n '/Extended Key Usage/{n;s/^ *//;p}' <<< "$text")"
	sed -n '/Subject Alternative Name/{n;s/^ *//;p}' <<< "$text" | sed 's/, /\n/g; s/IP Address:/IP:/g' | sed 's/^/name /'
	echo "staple $(grep -c status_request <<< "$text")"
	echo "signature $(sed -n 's/^    Signature Algorithm: *//p' <<< "$text")"
}

certtool_says() {
	local text
	text=$(certtool --crq-info --infile "$1") || { echo "certtool: $1 cannot be read"; return; }
	grep -q 'Self signature: verified' <<< "$text" || { echo "certtool: $1 does not verify"; return; }
	echo "subject $(sed -n 's/^[\t ]*Subject: *//p' <<< "$text")"
	echo "key $(certtool --pubkey-info --load-request "$1" | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)"
	echo "usage $(sed -n '/Key Usage (critical)/,/^\t\t\t[^\t]/s/^\t\t\t\t//p' <<< "$text" | sed 's/\.$//; s/ signature/Signature/; s/Key encipherment/KeyEncipherment/' | paste -sd ,)"
	echo "purpose $(sed -n '/Key Purpose/,/^\t\t\t[^\t]/s/^\t\t\t\t//p' <<< "$text" | sed 's/^TLS WWW Server\.$/TLS Web Server Authentication/')"
	sed -n '/Subject Alternative Name/,/^\t\t\t[^\t]/s/^\t\t\t\t//p' <<< "$text" | sed 's/^DNSname: /DNS:/; s/ (.*)$//; s/^IPAddress: /IP:/; s/^RFC822Name: /email:/; s/^URI: /URI:/' | sed 's/^/name /'
	echo "staple $(grep -c 'Status Request(5)' <<< "$text")"
	echo "signature $(sed -n 's/^\tSignature Algorithm: *//p' <<< "$text")"
}

# one_spelling: addresses as RFC 5952 has them, whoever wrote them.
one_spelling() {
	/usr/bin/python3 -c 'import ipaddress, sys
for line in sys.stdin:
    print("name IP:%s" % ipaddress.ip_address(line[8:].strip()) if line.startswith("name IP:") else line.rstrip("\n"))'
}

# asked FILE KEY WANTED: the request is for this key and says WANTED (lines without key and signature), by both readers' accounts.
asked() {
	local reader said
	for reader in openssl_says certtool_says; do
		said=$($reader "$1" | one_spelling)
		[ "$(grep '^key ' <<< "$said")" = "key $(custos key show "$2" --json | lab_json '["spki_sha256"]')" ] || { echo "$reader: another key: $said"; return 1; }
		[ "$(grep -v '^key \|^signature ' <<< "$said")" = "$3" ] || { echo "$reader says:"; diff <(echo "$3") <(grep -v '^key \|^signature ' <<< "$said"); return 1; }
	done
}

usage_of() { case $1 in key-rsa*) echo DigitalSignature,KeyEncipherment ;; *) echo DigitalSignature ;; esac; }

# wanted KEY SUBJECT STAPLE NAME…: what a reader should say. openssl writes the first usage as we do, GnuTLS in its own order of subject.
wanted() {
	local key=$1 subject=$2 staple=$3
	shift 3
	printf 'subject %s\nusage %s\npurpose TLS Web Server Authentication\n' "$subject" "$(usage_of "$key")"
	printf 'name %s\n' "$@"
	echo "staple $staple"
}

@test "every type of key, every kind of name: openssl and certtool read what was asked for" {
	# Goal: the full width of what can be asked for, read back by two programs that know nothing of custos.
	for key in key-rsa-2048 key-ec-p256 key-ec-p384 key-ec-p521 key-ed25519; do
		custos_in csr create $key --subject 'CN=a.example.com,OU=Müller\, Söhne,O=Example,C=DE' --san dns:a.example.com --san 'dns:*.example.com' --san dns:bücher.example \
			--san ip:192.0.2.1 --san ip:2001:db8::1 --san email:a@bücher.example --san uri:https://a.example.com/x --must-staple -o $key.csr > /dev/null
		asked $key.csr $key "$(wanted $key 'CN=a.example.com,OU=Müller\, Söhne,O=Example,C=DE' 1 DNS:a.example.com 'DNS:*.example.com' DNS:xn--bcher-kva.example IP:192.0.2.1 \
			IP:2001:db8::1 email:a@xn--bcher-kva.example URI:https://a.example.com/x)"
	done
	[ "$(openssl_says key-rsa-2048.csr | grep ^signature)" = "signature sha256WithRSAEncryption" ]
	# the digest has the curve's size
	[ "$(openssl_says key-ec-p256.csr | grep ^signature)" = "signature ecdsa-with-SHA256" ]
	[ "$(openssl_says key-ec-p384.csr | grep ^signature)" = "signature ecdsa-with-SHA384" ]
	[ "$(openssl_says key-ec-p521.csr | grep ^signature)" = "signature ecdsa-with-SHA512" ]
	[ "$(certtool_says key-ec-p256.csr | grep ^signature)" = "signature ECDSA-SHA256" ]
	[ "$(certtool_says key-ed25519.csr | grep ^signature)" = "signature EdDSA-Ed25519" ]
	custos_in csr create key-rsa-2048 --signature rsa-pss --san dns:a.example.com -o pss.csr > /dev/null
	asked pss.csr key-rsa-2048 "$(wanted key-rsa-2048 "" 0 DNS:a.example.com)"
	[ "$(openssl_says pss.csr | grep ^signature)" = "signature rsassaPss" ]
	[ "$(certtool_says pss.csr | grep ^signature)" = "signature RSA-PSS-SHA256" ]
	openssl req -in pss.csr -noout -text | grep -q 'Salt Length: 0x20'
}

@test "a template says what the command line does not" {
	# Goal: options before a certificate to be like, that before the template, that before the defaults.
	cat > host.yaml <<-'END'
		subject: CN=t.example.com,O=Template
		san: ["dns:t.example.com", "ip:192.0.2.7"]
		must_staple: yes
		signature: rsa-pss
	END
	custos_in csr create key-rsa-2048 --template host.yaml -o all.csr > /dev/null
	asked all.csr key-rsa-2048 "$(wanted key-rsa-2048 CN=t.example.com,O=Template 1 DNS:t.example.com IP:192.0.2.7)"
	[ "$(openssl_says all.csr | grep ^signature)" = "signature rsassaPss" ]
	custos_in csr create key-rsa-2048 --template host.yaml --signature default --subject O=Other -o some.csr > /dev/null
	asked some.csr key-rsa-2048 "$(wanted key-rsa-2048 O=Other 1 DNS:t.example.com IP:192.0.2.7)"
	[ "$(openssl_says some.csr | grep ^signature)" = "signature sha256WithRSAEncryption" ]
	openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj '/O=Old/CN=old.example.com' -addext subjectAltName=DNS:old.example.com,IP:192.0.2.9 -addext basicConstraints=CA:FALSE -out old.pem 2> /dev/null
	custos_in csr create key-rsa-2048 --template host.yaml --like old.pem -o both.csr > /dev/null
	asked both.csr key-rsa-2048 "$(wanted key-rsa-2048 CN=old.example.com,O=Old 1 DNS:old.example.com IP:192.0.2.9)"
	printf 'san: dns:a.example.com\nkey_type: rsa\n' > bad.yaml
	expect 6 custos_in csr create key-rsa-2048 --template bad.yaml -o never.csr
	says "bad.yaml:2:"
	expect 6 custos_in csr create key-rsa-2048 --template missing.yaml -o never.csr
	says missing.yaml
	[ ! -e never.csr ]
}

@test "a request like a certificate: subject and names are copied, and what is not is said" {
	# Goal: a renewal asks for what there is; a file that holds no server's certificate is refused.
	openssl req -x509 -newkey rsa:2048 -nodes -keyout old.key -subj '/C=DE/O=Example\, Inc/CN=w.example.com' -addext basicConstraints=CA:FALSE -addext tlsfeature=status_request \
		-addext "subjectAltName=DNS:w.example.com,DNS:W.example.com,email:a@example.com,URI:https://w.example.com/,RID:1.2.3.4" -addext extendedKeyUsage=serverAuth,clientAuth -out old.pem 2> /dev/null
	expect 0 custos_in csr create key-ec-p256 --like old.pem -o like.csr
	# a name of another kind, must-staple, a purpose; and the mail address and the URI, which no public CA certifies
	[ "$(grep -c '^custos: warning: ' <<< "$stderr")" -eq 5 ] || { echo "$stderr"; false; }
	[ "$(grep -c 'is no host: public CAs leave such names out' <<< "$stderr")" -eq 2 ]
	grep -q 'must-staple' <<< "$stderr"
	asked like.csr key-ec-p256 "$(wanted key-ec-p256 'CN=w.example.com,O=Example\, Inc,C=DE' 0 DNS:w.example.com email:a@example.com URI:https://w.example.com/)"
	expect 0 custos_in csr create key-ec-p256 --like old.pem --san dns:new.example.com --subject "" --must-staple --json
	[ "$(lab_json '["sans"][0]' '["must_staple"]' '["problems"][0]["code"]' <<< "$output")" = "dns:new.example.com true name_not_copied" ]
	# with its chain, in any order
	lab_key chained
	cat "$LAB/ca/intermediate.pem" "$LAB/chained.leaf.pem" > bag.pem
	custos_in csr create key-ec-p256 --like bag.pem -o chained.csr > /dev/null
	asked chained.csr key-ec-p256 "$(wanted key-ec-p256 CN=chained.example.com 0 DNS:chained.example.com)"
	for file in old.key "$LAB/ca/root.pem" like.csr /dev/null; do
		expect 6 custos_in csr create key-ec-p256 --like "$file" -o never.csr
		[ ! -e never.csr ]
	done
	openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj '/O=VMware, Inc/CN=esxi.example.com' -addext subjectAltName=DNS:esxi.example.com -addext basicConstraints=CA:FALSE -out vmware.pem 2> /dev/null
	expect 6 custos_in csr create key-rsa-2048 --like vmware.pem
	says "VMware's default certificate"
}

@test "what no CA should be asked for is not signed" {
	# Goal: each refusal names its reason, nothing is written, the log does not grow; what is refused for a public CA alone is made for one's own, and logged so.
	size=$(lab_log_size)
	refused() {
		local why=$1
		shift
		expect 6 custos_in csr create key-ec-p256 "$@" -o never.csr
		says "$why"
		[ ! -e never.csr ]
	}
	refused "a common name alone" --subject CN=a.example.com
	refused "twice" --san dns:a.example.com --san dns:A.example.com
	refused "twice" --san dns:bücher.example --san dns:xn--bcher-kva.example
	refused "underscore" --san dns:a_b.example.com
	refused "wildcard" --san 'dns:*'
	refused "wildcard" --san 'dns:*.com'
	refused "wildcard" --san 'dns:a.*.example.com'
	refused "an address, not a host name" --san dns:192.0.2.1
	refused "IDNA 2008" --san dns:BÜCHER.example
	refused "xn--" --san dns:xn--zz--.example
	refused "nobody can register" --san dns:a.local
	refused "nobody can register" --san dns:a.example.com --san dns:b.lan
	refused "has no domain" --san dns:esxi1
	refused "RFC 1918" --san ip:192.168.1.2
	refused "nobody can register" --san dns:a.example.com --san uri:https://server.local/
	refused "nobody can register" --san dns:a.example.com --san email:x@host.internal
	refused "RFC 1918" --san dns:a.example.com --san uri:https://10.0.0.1:8443/
	refused "neither a host name nor an address" --san uri:https://a_b.example.com/
	refused "multicast" --san ip:224.0.0.1
	refused "ends with a dot" --san dns:a.example.com.
	refused "VMware" --san dns:a.example.com --subject 'O=VMware\, Inc'
	refused "RSASSA-PSS" --san dns:a.example.com --signature rsa-pss
	[ "$(lab_log_size)" -eq "$size" ]
	custos_in csr create key-ec-p256 --private-ca --san dns:esxi1 --san dns:esxi1.lan --san ip:192.168.1.2 --san uri:https://esxi1.lan/ -o own.csr > /dev/null
	asked own.csr key-ec-p256 "$(wanted key-ec-p256 "" 0 DNS:esxi1 DNS:esxi1.lan IP:192.168.1.2 URI:https://esxi1.lan/)"
	[ "$(custos log show --from "$size" --json | lab_json '[0]["private_ca"]' '[0]["event"]')" = "true csr.create" ]
}

@test "enroll takes the same fields, and a change of them is a new request" {
	# Goal: signature, must-staple and private names from a list and its defaults; run again, nothing is asked for twice.
	cat > keys.yaml <<-'END'
		defaults: { must_staple: yes, private_ca: yes, subject: O=Listed }
		keys:
		  - { name: list-pss, signature: rsa-pss, san: ["dns:list.lan", "dns:bücher.example"] }
		  - { name: list-ec, type: ec-p256, must_staple: no, san: "dns:list.example.com" }
		  - { name: list-bad, private_ca: no, san: "dns:list.lan" }
		  - { name: list-bad-pss, type: ec-p256, signature: rsa-pss, san: "dns:list.example.com" }
	END
	expect 12 custos_in enroll keys.yaml --out csr --json
	[ "$(lab_json '[0]["result"]' '[1]["result"]' '[2]["result"]' '[3]["result"]' <<< "$output")" = "enrolled enrolled failed failed" ]
	grep -q 'nobody can register' <<< "$output"
	asked csr/list-pss.csr list-pss "$(wanted key-rsa O=Listed 1 DNS:list.lan DNS:xn--bcher-kva.example)"
	[ "$(certtool_says csr/list-pss.csr | grep ^signature)" = "signature RSA-PSS-SHA256" ]
	asked csr/list-ec.csr list-ec "$(wanted key-ec O=Listed 0 DNS:list.example.com)"
	expect 12 custos_in enroll keys.yaml --out csr --json
	[ "$(lab_json '[0]["result"]' '[1]["result"]' <<< "$output")" = "unchanged unchanged" ]
	# another signature, and must-staple after all: the files are not what the list asks for any more
	sed -i 's/signature: rsa-pss, san: \["dns:list.lan"/san: ["dns:list.lan"/; s/must_staple: no, //' keys.yaml
	expect 12 custos_in enroll keys.yaml --out other --json
	[ "$(lab_json '[0]["result"]' '[1]["result"]' <<< "$output")" = "requested requested" ]
	[ "$(certtool_says other/list-pss.csr | grep ^signature)" = "signature RSA-SHA256" ]
	asked other/list-ec.csr list-ec "$(wanted key-ec O=Listed 1 DNS:list.example.com)"
}

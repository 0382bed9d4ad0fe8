#!/usr/bin/env bats
# Goal: what judges a certificate cannot be talked round: not by a token that lies about the key, not by the form of a file or of a certificate, not by an option that
# is for something else; and what hosts serve is looked at in the time that one of them takes.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root (a module is a file of root's), openssl and python3. The lying token is tests/unit/token_shim.c in front of
# SoftHSM.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	lab_key www
	lab_ca_sign "$LAB/ca" "$LAB/www.csr" "$LAB/www-next"
}

setup() { cd "$BATS_TEST_TMPDIR" || return 1; }

teardown() {
	[ -z "${SERVER:-}" ] || kill "$SERVER" 2> /dev/null || true
	[ ! -e "$BATS_TEST_TMPDIR/kept.yaml" ] || cp "$BATS_TEST_TMPDIR/kept.yaml" "$CUSTOS_DIR/custody.yaml"
}

# tells TEXT: the report, not only its first error, holds TEXT.
tells() { [[ $output == *"$1"* ]] || { printf '%s\n' "it does not tell \"$1\":" "$output"; return 1; }; }

# issue CSR OUT DAYS LINE…: by the lab's intermediate, with these lines of extensions (openssl.cnf) besides what the request asks for.
issue() {
	local csr=$1 out=$2 days=$3
	shift 3
	{
		sed '/^\[ leaf \]/,$d' "$LAB/ca/ca.cnf"
		printf '%s\n' '[ leaf ]' 'authorityKeyIdentifier = keyid:always' "$@"
	} > own.cnf
	local dates=(-days "$days")
	[ "$days" != never ] || dates=(-enddate 99991231235959Z)
	openssl ca -batch -notext -config own.cnf -name intermediate_ca -extensions leaf "${dates[@]}" -in "$csr" -out "$out" 2> ca.log || { cat ca.log; return 1; }
}

@test "a token that lies about the challenge: the certificate is refused, nothing is stored" {
	# Goal: another key's signature, one of before, random bytes, zeroes, none at all, a part, more than there is room for. The honest token takes it afterwards.
	install -m 755 "$CUSTOS_BUILD/tests/libtoken_shim.so" "$LAB/shim.so"
	cp "$CUSTOS_DIR/custody.yaml" kept.yaml
	sed -i "s|^  module: .*|  module: \"$LAB/shim.so\"|" "$CUSTOS_DIR/custody.yaml"
	: > old
	CUSTOS_SHIM_MODULE=$(softhsm_module)
	export CUSTOS_SHIM_MODULE CUSTOS_SHIM_FILE=$PWD/old
	# what the key signed once, on another occasion
	CUSTOS_SHIM=rsa-keep custos_in key drill www > /dev/null
	[ "$(stat -c %s old)" -eq 256 ]
	size=$(lab_log_size)
	kept=$(lab_leaf www)
	for lie in other old random zeroes empty short endless; do
		expect 5 env CUSTOS_SHIM=rsa-$lie custos --pin-source "file:$LAB/pin" cert accept www "$LAB/www-next.p7b"
		[[ $stderr == *"custos: error: "* ]]
		[ "$(lab_log_size)" -eq "$size" ] || { echo "$lie: logged"; lab_events "$size"; return 1; }
		[ "$(lab_leaf www)" = "$kept" ]
		# no option makes up for it
		expect 5 env CUSTOS_SHIM=rsa-$lie custos --pin-source "file:$LAB/pin" cert accept www "$LAB/www-next.p7b" --accept-client-refuses --accept-key-usage
		[ "$(lab_log_size)" -eq "$size" ]
	done
	CUSTOS_SHIM=none custos_in cert accept www "$LAB/www-next.p7b" > /dev/null
	[ "$(lab_events "$size")" = cert.accept ]
	[ "$(lab_leaf www)" != "$kept" ]
}

@test "cert accept takes a PKCS#12 file with its pass phrase, and nothing of the key in it" {
	# Goal: the same sources as elsewhere; without the phrase, or with another, it is said what is missing.
	openssl pkcs12 -export -nokeys -in "$LAB/www-next.chain.pem" -passout pass:secret -out www.p12
	printf 'secret\n' > phrase
	printf 'another\n' > wrong
	chmod 600 phrase wrong
	expect 6 custos_in cert accept www www.p12
	tells "its pass phrase is not empty; its certificates were not read"
	tells "give its pass phrase with --pass-phrase"
	expect 6 custos_in cert accept www www.p12 --pass-phrase "file:$PWD/wrong"
	tells "its certificates were not read"
	size=$(lab_log_size)
	expect 0 custos_in cert accept www www.p12 --pass-phrase "file:$PWD/phrase"
	[ "$(lab_events "$size")" = cert.accept ]
	expect 0 custos --pin-source "file:$LAB/pin" cert accept www www.p12 --pass-phrase fd:9 9< phrase
	chmod 644 phrase
	expect 3 custos_in cert accept www www.p12 --pass-phrase "file:$PWD/phrase"
}

@test "each option that takes a certificate in spite of something is known, needed by none that is in order, and logged only when it was needed" {
	mapfile -t options < <(custos cert accept --help | grep -oE -- '--accept-[a-z0-9-]+' | sort -u)
	[ ${#options[@]} -eq 19 ]
	size=$(lab_log_size)
	for option in "${options[@]}"; do expect 0 custos_in cert accept www "$LAB/www-next.p7b" "$option"; done
	[ "$(lab_events "$size" | sort | uniq -c | xargs)" = "19 cert.accept" ]
	custos log show --from "$size" --json | /usr/bin/python3 -c 'import json,sys; assert not any("accepted" in e for e in json.load(sys.stdin))'
	# all of them, and another key's certificate
	lab_key other
	expect 6 custos_in cert accept www "$LAB/other.p7b" "${options[@]}"
	says "belongs to another key"
}

@test "odd certificates: each has its line, from cert check and from cert accept" {
	# Goal: what OpenSSL reads without a word. The rest of the table is the unit test's.
	common=('keyUsage = critical, digitalSignature' 'extendedKeyUsage = serverAuth')
	check() { # CODE WORDS KEY_OPTIONS…
		local code=$1 words=$2
		shift 2
		openssl req -new -newkey "$@" -nodes -keyout k -subj /CN=a.example.com -addext subjectAltName=DNS:a.example.com -out a.csr 2> /dev/null
		issue a.csr a.pem 30 "${common[@]}"
		expect "$code" env -u CUSTOS_DIR custos cert check --trust "$LAB/ca/root.pem" a.pem "$LAB/ca/intermediate.pem"
		tells "$words"
	}
	check 0 "a key of type ed25519, which browsers do not take" ed25519
	check 0 "ec-p521, which not all browsers take" ec -pkeyopt ec_paramgen_curve:P-521
	check 0 "for RSASSA-PSS alone, which browsers do not take" rsa-pss -pkeyopt rsa_keygen_bits:2048
	check 6 "a curve that no client offers by default" ec -pkeyopt ec_paramgen_curve:brainpoolP256r1
	says "ec-brainpoolP256r1"
	check 6 "the parameters of its curve instead of its name" ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit
	openssl dsaparam -genkey -out dsa.key 2048 2> /dev/null
	openssl req -new -key dsa.key -subj /CN=a.example.com -addext subjectAltName=DNS:a.example.com -out a.csr
	issue a.csr a.pem 30 "${common[@]}"
	expect 6 env -u CUSTOS_DIR custos cert check a.pem "$LAB/ca/intermediate.pem"
	says "a key of type DSA, with which no TLS server signs today"
	openssl x509 -req -in "$LAB/www.csr" -CA "$LAB/ca/intermediate.pem" -CAkey "$LAB/ca/intermediate.key" -set_serial 1 -out v1.pem 2> /dev/null
	expect 6 env -u CUSTOS_DIR custos cert check v1.pem "$LAB/ca/intermediate.pem"
	tells "a certificate of version 1"

	# for a key of the custody, by its request: refused, and no option is offered
	size=$(lab_log_size)
	refused() { # WORDS EXTENSION…
		local words=$1
		shift
		issue "$LAB/www.csr" odd.pem "${DAYS:-30}" "${common[@]}" "$@"
		expect 6 custos_in cert accept www odd.pem "$LAB/ca/intermediate.pem" --accept-client-refuses --accept-san-missing
		says "$words"
		[[ $output != *"to take it all the same"* ]]
	}
	refused "is a precertificate" 1.3.6.1.4.1.11129.2.4.3=critical,ASN1:NULL
	refused "a critical extension that clients do not know (1.3.6.1.4.1.99999.1)" 1.3.6.1.4.1.99999.1=critical,ASN1:NULL
	refused "has no name by which a client could ask for a host" subjectAltName=DNS:https://www.example.com/
	refused "neither a host name nor an address" subjectAltName=email:www@example.com
	[ "$(lab_log_size)" -eq "$size" ]
	issue "$LAB/www.csr" odd.pem never "${common[@]}"
	expect 0 custos_in cert accept www odd.pem "$LAB/ca/intermediate.pem"
	tells "has no end"
}

@test "a client's certificate is asked for, judged as one, and is no server's" {
	custos_in key generate jane --type ec-p256 > /dev/null
	expect 6 custos_in csr create jane --subject "CN=Jane Doe"
	custos_in csr create jane --subject "CN=Jane Doe" --san email:jane@example.com --profile client -o jane.csr > /dev/null
	openssl req -in jane.csr -noout -text | grep -q 'TLS Web Client Authentication'
	run ! grep -q 'Server Authentication' <(openssl req -in jane.csr -noout -text)
	issue jane.csr server.pem 30 'keyUsage = critical, digitalSignature' 'extendedKeyUsage = serverAuth'
	expect 6 custos_in cert accept jane server.pem "$LAB/ca/intermediate.pem"
	says "not meant for a TLS client"
	issue jane.csr jane.pem 30 'keyUsage = critical, digitalSignature' 'extendedKeyUsage = clientAuth'
	expect 0 custos_in cert accept jane jane.pem "$LAB/ca/intermediate.pem"
	tells "a client can use this"
	expect 0 env -u CUSTOS_DIR custos cert check --for client --trust "$LAB/ca/root.pem" jane.pem "$LAB/ca/intermediate.pem"
	expect 6 env -u CUSTOS_DIR custos cert check --trust "$LAB/ca/root.pem" jane.pem "$LAB/ca/intermediate.pem"
	says "not meant for a TLS server"
	expect 0 custos_in renew jane --json
	openssl req -noout -text <<< "$(lab_json '["csr"]' <<< "$output")" | grep -q 'TLS Web Client Authentication'
}

@test "cert check tells of a certificate of a public CA that lasts too long, whatever it is asked to trust" {
	# Goal: by the system's roots, as cert accept decides; a warning, because such a root may be one's own.
	issue "$LAB/www.csr" long.pem 300 'keyUsage = critical, digitalSignature' 'extendedKeyUsage = serverAuth'
	look() { expect 0 env -u CUSTOS_DIR SSL_CERT_FILE="$1" custos cert check long.pem "$LAB/ca/intermediate.pem" "${@:2}"; }
	for trust in "" "--trust system" "--trust $LAB/ca/root.pem"; do
		read -ra options <<< "$trust"
		look "$LAB/ca/root.pem" "${options[@]}"
		tells "warning: 'CN=www.example.com' is valid for 301 days; of a public CA one that begins on"
	done
	look /dev/null
	[[ $output != *"is valid for"* ]]
	lab_ca_new other
	look other/root.pem --trust "$LAB/ca/root.pem"
	[[ $output != *"is valid for"* ]]
}

@test "status --probe waits for all hosts that do not answer at once" {
	# Goal: three targets of eight endpoints each, which take the connection and say nothing. They end it when all are there: one after the other they would never be.
	cat > silent.py <<-'END'
		import selectors, socket, sys
		count = int(sys.argv[1])
		listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
		print(*["127.0.0.1:%d" % s.getsockname()[1] for s in listeners], sep="\n", flush=True)
		waiting, s = selectors.DefaultSelector(), set()
		for l in listeners: waiting.register(l, selectors.EVENT_READ)
		most = 0
		while most < count:
		    for key, _ in waiting.select():
		        if key.fileobj in listeners:
		            c, _ = key.fileobj.accept()
		            s.add(c)
		            waiting.register(c, selectors.EVENT_READ)
		        elif not key.fileobj.recv(65536):
		            waiting.unregister(key.fileobj)
		            s.discard(key.fileobj)
		            key.fileobj.close()
		    most = max(most, len(s))
		open("most", "w").write("%d" % most)
		for c in s: c.close()
	END
	/usr/bin/python3 silent.py 24 > ports 3>&- &
	SERVER=$!
	lab_until test -s ports
	mapfile -t ports < ports
	for target in 0 1 2; do
		verify=()
		for port in "${ports[@]:8 * target:8}"; do verify+=(--verify "$port"); done
		custos_in target add "quiet-$target" --address 127.0.0.1 --user root --profile esxi --hostkey "SHA256:$(printf 'A%.0s' {1..43})" "${verify[@]}" > /dev/null
	done
	expect 0 custos status --probe --json
	[ -s most ] || { echo "they were never all there"; return 1; }
	# each has its answer, in the order of the record
	[ "$(/usr/bin/python3 -c 'import json,sys; print(*[p["address"] for t in json.load(sys.stdin)["targets"] for p in t["probe"] if p["result"] == "unreachable" and p["why"]])' <<< "$output")" = "${ports[*]}" ]
}

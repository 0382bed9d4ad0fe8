#!/usr/bin/env bats
# Goal: what has gone wrong for people with a certificate and a server, by the name of each mishap: custos cert check says in plain words what it is, and what to do.
#
# The first part is one person's way to a host that was lost (four files from a CA, contradictory guides, a request taken for a key, PKCS#7 where PEM was needed); what in it
# needs a host is in host_rows.bats.
# The second part is one bad input after the other, as an OpenSSL server meets it: what `nginx -t` says of it stands beside what we say. Nothing here needs a custody or a token.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), openssl, nginx, python3 and zip.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/it/web.bash
. "$BATS_TEST_DIRNAME/web.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR
	cd "$LAB" || return 1
	lab_ca_new ca
	new_leaf a
	new_leaf b
	LAB_NEW_KEY=ec new_leaf c
	cp ca/intermediate.pem middle.pem
	cp ca/root.pem root.pem
}

setup() { cd "$LAB" || return 1; }

# new_leaf NAME [SUBJECT]: NAME.key, NAME.csr, NAME.leaf.pem and what else lab_ca_sign writes.
new_leaf() {
	local options=(rsa:2048)
	if [ "${LAB_NEW_KEY:-rsa}" = ec ]; then options=(ec -pkeyopt ec_paramgen_curve:P-256); fi
	openssl req -new -newkey "${options[@]}" -nodes -keyout "$1.key" -subj "${2:-/CN=$1.example.com}" -addext "subjectAltName=DNS:$1.example.com" -out "$1.csr" 2> /dev/null
	lab_ca_sign ca "$1.csr" "$1"
	openssl x509 -in "$1.leaf.pem" -pubkey -noout > "$1.pub"
}

# check CODE ARGS…: custos cert check with the lab's root as trust anchor.
check() {
	local code=$1
	shift
	expect "$code" env -u CUSTOS_DIR custos cert check --trust root.pem "$@"
}

# tells TEXT: the report, not only its first error, holds TEXT.
tells() { [[ $output == *"$1"* ]] || { printf '%s\n' "it does not tell \"$1\":" "$output"; return 1; }; }

# chain_is FILE: what -o writes for these inputs is FILE, byte for byte.
chain_is() {
	local want=$1
	shift
	rm -f out.pem
	check 0 "$@" -o out.pem
	diff out.pem "$want"
}

@test "four files from a CA: which, and in what order" {
	# Goal: any selection and order of leaf, intermediates, root and cross-signed copies gives the one chain; what is not part of it is named.
	openssl x509 -in b.leaf.pem -outform DER -out AddTrustExternalCARoot.crt
	openssl x509 -in root.pem -outform DER -out root.der
	for files in "a.leaf.pem middle.pem root.pem" "root.der middle.pem a.leaf.pem" "middle.pem root.pem a.leaf.pem" "a.leaf.pem a.leaf.pem middle.pem"; do
		read -ra given <<< "$files"
		chain_is a.chain.pem "${given[@]}"
	done
	tells "given more than once"
	check 0 root.pem middle.pem a.leaf.pem AddTrustExternalCARoot.crt --key a.pub
	tells "not part of this chain, left out: 'CN=b.example.com' (AddTrustExternalCARoot.crt)"
	check 6 root.pem middle.pem a.leaf.pem AddTrustExternalCARoot.crt
	says "2 different server certificates were given"
	check 6 middle.pem root.pem
	says "only certificates of certification authorities were given (2)"
}

@test "the request saved as rui.key" {
	# Goal: it is called what it is, and where the key is: nobody needs to look for it.
	cp a.csr rui.key
	check 6 rui.key
	tells "rui.key:1: this is a certificate request, not a private key; the key never left the token or the host that made the request"
	check 0 a.chain.pem rui.key
	tells "no key file is needed"
}

@test "does the key belong to the request" {
	# Goal: public keys are compared as a whole, types first; a hash, a public key, a request or a certificate may stand for the key.
	hash=$(openssl pkey -pubin -in a.pub -outform DER | sha256sum | cut -d' ' -f1)
	colons=$(sed 's/../&:/g; s/:$//' <<< "${hash^^}")
	for key in a.pub a.csr a.leaf.pem "$hash" "${hash^^}" "$colons"; do check 0 a.chain.pem --key "$key"; done
	check 6 a.chain.pem --key b.csr
	says "the certificate belongs to another key: it is for ${hash:0:16}"
	check 6 a.chain.pem --key "$(sha256sum < b.pub | cut -d' ' -f1)"
	says "the certificate belongs to another key"
	check 6 a.chain.pem --key "${hash%?}"
	says "name the request, the public key, or its SHA-256 in 64 hexadecimal digits"
	# whatever else is wrong, that is what to know first
	check 6 a.leaf.pem --key b.pub
	says "the certificate belongs to another key"
	tells "the issuer's certificate is missing"
	check 6 a.chain.pem --key c.pub
	says "it is for a key of type rsa-2048, the key is of type ec-p256"
	check 6 a.chain.pem --key a.key
	says "a.key: this is an unencrypted private key, neither a request nor a public key"
	# of a request the names count, too
	openssl req -new -key a.key -subj /CN=a.example.com -addext subjectAltName=DNS:a.example.com,DNS:more.example.com -out more.csr
	check 6 a.chain.pem --key more.csr
	says "the certificate lacks names that the request asked for: dns:more.example.com"
}

@test "the whole chain as PKCS#7 where PEM was needed" {
	# Goal: in PEM, in DER, and in the armour of a certificate; converted, and said so.
	{ echo "-----BEGIN CERTIFICATE-----"; grep -v -- ----- a.p7b; echo "-----END CERTIFICATE-----"; } > rui.crt
	for file in a.p7b a.der.p7b rui.crt; do
		chain_is a.chain.pem "$file"
		tells "this is a PKCS#7 container"
		tells "converted"
	done
	tells "(in the armour of a certificate)"
	cat a.leaf.pem a.p7b > both.crt
	chain_is a.chain.pem both.crt
	rm -f rui.crt.zip
	zip -q rui.crt.zip rui.crt
	chain_is a.chain.pem rui.crt.zip
	tells "rui.crt.zip/rui.crt:1: this is a PKCS#7 container"
}

@test "is a missing chain the problem" {
	# Goal: judged as a client with nothing but the roots judges it: nothing is fetched, nothing is found by luck.
	check 6 a.leaf.pem
	says "the issuer's certificate is missing: 'CN=a.example.com' was issued by 'CN=Example Lab Intermediate,O=Example Lab'"
	check 6 a.leaf.pem root.pem
	says "the issuer's certificate is missing"
	expect 6 env -u CUSTOS_DIR custos cert check a.leaf.pem
	says "the issuer's certificate is missing"
	check 0 a.leaf.pem middle.pem
	lab_ca_new stranger
	expect 6 env -u CUSTOS_DIR custos cert check --trust stranger/root.pem a.p7b
	says "the chain ends at the root 'CN=Example Lab Root,O=Example Lab', which is not trusted"
	expect 6 env -u CUSTOS_DIR custos cert check --trust system a.chain.pem
	says "the issuer's certificate is missing: 'CN=Example Lab Intermediate,O=Example Lab' was issued by 'CN=Example Lab Root,O=Example Lab'"
}

@test "what the host wants of a certificate, from thousands of other pages" {
	# Goal: the rules of a kind of server are built in, and each is told with its remedy.
	check 0 a.chain.pem --for esxi
	check 6 c.chain.pem --for esxi
	says "the certificate has a key of type ec-p256; ESXi supports RSA only"
	check 0 c.chain.pem --for server
	openssl req -x509 -newkey rsa:2048 -nodes -keyout w.key -days 30 -subj /CN=w -addext 'subjectAltName=DNS:*.example.com' -out wild.pem 2> /dev/null
	expect 6 env -u CUSTOS_DIR custos cert check --for esxi wild.pem
	tells "a wildcard (*.example.com), which ESXi does not support"
	expect 2 env -u CUSTOS_DIR custos cert check --for toaster a.chain.pem
}

@test "the archive that was uploaded for help, diagnosed at home" {
	# Goal: a zip archive as it was sent, with everything wrong in it at once: each object is named, no byte of a key is shown.
	rm -rf sent sent.zip
	mkdir sent
	cp a.csr sent/rui.key
	cp a.p7b sent/rui.crt
	cp b.key sent/old.key
	printf 'see the attachment\r\n' > sent/mail.txt
	: > sent/empty.pem
	zip -qr sent.zip sent
	check 0 sent.zip
	tells "sent.zip/sent/rui.key:1: this is a certificate request, not a private key"
	tells "sent.zip/sent/rui.crt:1: this is a PKCS#7 container"
	tells "sent.zip/sent/old.key:1: this is an unencrypted private key"
	tells "sent.zip/sent/mail.txt: this is text, there is no certificate in it"
	tells "sent.zip/sent/empty.pem: this file is empty"
	line=$(sed -n 5p b.key)
	[ "${#line}" -eq 64 ]
	run ! grep -F "${line:0:24}" <<< "$output$stderr"
	check 0 --json sent.zip
	[ "$(lab_json '["usable"]' '["chain"].__len__()' <<< "$output")" = "true 2" ]
	run ! grep -F "${line:0:24}" <<< "$output"
	# the same as a directory, and through a pipe
	check 0 sent
	tells "sent/rui.key:1: this is a certificate request"
	check 0 - < sent.zip
	tells "standard input/sent/rui.crt:1"
}

# nginx_test CODE TEXT CERTIFICATE KEY: what nginx's own test says of the pair, without a terminal.
nginx_test() {
	local code=$1 text=$2
	cat > nginx.conf <<-END
		pid $LAB/nginx.pid;
		error_log stderr;
		events {}
		http {
			access_log off;
			client_body_temp_path $LAB/tmp; proxy_temp_path $LAB/tmp; fastcgi_temp_path $LAB/tmp; uwsgi_temp_path $LAB/tmp; scgi_temp_path $LAB/tmp;
			server { listen unix:$LAB/nginx.sock ssl; ssl_certificate $LAB/$3; ssl_certificate_key $LAB/$4; }
		}
	END
	rm -f nginx.sock
	expect "$code" timeout 20 setsid --wait nginx -t -c "$LAB/nginx.conf" -e stderr < /dev/null
	[[ $stderr == *"$text"* ]] || { printf '%s\n' "nginx -t does not say \"$text\":" "$stderr"; return 1; }
}

@test "PKCS#7, DER, a request, an empty file as rui.crt" {
	openssl x509 -in a.leaf.pem -outform DER -out a.der
	for file in a.p7b a.der.p7b a.der a.csr /dev/null; do
		cat "$file" > rui.crt
		nginx_test 1 "no start line" rui.crt a.key
	done
	chain_is a.chain.pem a.der middle.pem
	tells "a.der: a certificate in binary form (DER); converted"
	check 6 a.csr
	says "a.csr:1: this is a certificate request, neither a certificate nor a private key"
	: > empty.crt
	check 6 empty.crt
	tells "empty.crt: this file is empty"
}

@test "the intermediate before the leaf" {
	cat middle.pem a.leaf.pem > turned.pem
	# the same words as for a real mismatch; and none at all where leaf and intermediate have keys of different types
	cat middle.pem c.leaf.pem > turned-ec.pem
	nginx_test 1 "key values mismatch" turned-ec.pem c.key
	nginx_test 0 "test is successful" turned.pem a.key
	chain_is c.chain.pem turned-ec.pem
	tells "turned-ec.pem: the certificates were in the wrong order; fixed"
	chain_is a.chain.pem turned.pem
	tells "turned.pem: the certificates were in the wrong order; fixed"
	check 6 turned.pem --key b.pub
	says "the certificate belongs to another key"
}

@test "the key of another certificate" {
	nginx_test 1 "key values mismatch" a.chain.pem b.key
	check 6 a.chain.pem --key b.pub
	says "the certificate belongs to another key"
	run ! grep -q "wrong order" <<< "$output"
}

@test "a request as key" {
	cp b.csr server.key
	nginx_test 1 "DECODER routines::unsupported" a.chain.pem server.key
	check 0 a.chain.pem server.key
	tells "server.key:1: this is a certificate request, not a private key"
}

@test "an encrypted key" {
	# Goal: nobody is asked for a pass phrase, not even with a terminal; the kind is told by the armour.
	openssl pkcs8 -topk8 -in a.key -passout pass:x -out locked.key
	openssl rsa -in a.key -aes128 -passout pass:x -traditional -out locked1.key 2> /dev/null
	# with a terminal it would ask
	nginx_test 1 "PEM pass phrase" a.chain.pem locked.key
	check 0 a.chain.pem locked.key locked1.key < /dev/null
	tells "locked.key:1: this is an encrypted private key; it was not read and is not needed"
	tells "locked1.key:1: this is an encrypted RSA private key"
}

@test "an EC key with an RSA certificate" {
	# Goal: what some servers' own test lets pass, and every handshake fails with.
	nginx_test 0 "test is successful" a.chain.pem c.key
	check 6 a.chain.pem --key c.csr
	says "it is for a key of type rsa-2048, the key is of type ec-p256"
}

@test "a leaf without its intermediate" {
	nginx_test 0 "test is successful" a.leaf.pem a.key
	serve a.leaf.pem a.key
	run openssl s_client -connect "$ADDRESS" -servername a.example.com -CAfile root.pem < /dev/null
	[[ $output == *"Verify return code: 21 (unable to verify the first certificate)"* ]]
	check 6 a.leaf.pem
	says "the issuer's certificate is missing"
}

@test "root included, PKCS#1 key, CRLF, byte order mark" {
	cat a.chain.pem root.pem > with_root.pem
	nginx_test 0 "test is successful" with_root.pem a.key
	chain_is a.chain.pem with_root.pem
	tells "the root 'CN=Example Lab Root,O=Example Lab' was given; a server does not send it, left out"
	openssl rsa -in a.key -traditional -out pkcs1.key 2> /dev/null
	nginx_test 0 "test is successful" a.chain.pem pkcs1.key
	check 0 a.chain.pem pkcs1.key
	tells "pkcs1.key:1: this is an unencrypted RSA private key"
	sed 's/$/\r/' a.chain.pem > crlf.pem
	nginx_test 0 "test is successful" crlf.pem a.key
	chain_is a.chain.pem crlf.pem
	{ printf '\357\273\277'; cat a.chain.pem; } > bom.pem
	nginx_test 0 "test is successful" bom.pem a.key
	chain_is a.chain.pem bom.pem
}

@test "certificates joined without a newline" {
	printf '%s' "$(cat a.leaf.pem)" > joined.pem
	cat middle.pem >> joined.pem
	grep -q -- '----------BEGIN' joined.pem
	nginx_test 1 "bad end line" joined.pem a.key
	chain_is a.chain.pem joined.pem
	tells "the BEGIN line is glued to what stands before it, which servers refuse; fixed"
}

# serve LEAF KEY CHAIN…: a TLS server that serves this until the test ends; sets ADDRESS.
serve() {
	local log=$BATS_TEST_TMPDIR/served chain=()
	[ $# -lt 3 ] || chain=(-cert_chain "$3")
	openssl s_server -www -accept 127.0.0.1:0 -cert "$1" -key "$2" "${chain[@]}" > "$log" 2>&1 < /dev/null 3>&- &
	SERVER=$!
	lab_until grep -q '^ACCEPT' "$log"
	ADDRESS=$(sed -n 's/^ACCEPT //p' "$log")
}

teardown() {
	[ -z "${SERVER:-}" ] || kill "$SERVER"
	[ ! -s "$LAB/web/nginx.pid" ] || kill "$(cat "$LAB/web/nginx.pid")" || true
}

@test "a reload with a pair that does not match: the old certificate stays" {
	# Goal: what is served is asked, not what a reload said: nginx takes the signal, the pair is broken, the old one is served on.
	mkdir -p web/tls web/tmp
	cat b.chain.pem > web/tls/server.crt
	cat b.key > web/tls/server.key
	web_nginx server.crt server.key
	check 0 "$WEB_HTTPS" --servername b.example.com --key b.pub
	cat a.chain.pem > web/tls/server.crt
	kill -HUP "$(cat web/nginx.pid)"
	lab_until grep -q "key values mismatch" web/error.log
	check 6 "$WEB_HTTPS" --servername a.example.com --key a.pub
	says "the certificate belongs to another key"
	check 0 "$WEB_HTTPS" --servername b.example.com --key b.pub
	kill "$(cat web/nginx.pid)"
	serve b.leaf.pem b.key middle.pem
	check 6 "$ADDRESS" --servername a.example.com --key a.pub
	says "the certificate belongs to another key"
	tells "the certificate does not name 'a.example.com'"
	check 0 "$ADDRESS" --servername b.example.com --key b.pub
	check 6 "$ADDRESS"
	says "the certificate does not name '127.0.0.1'"
	rm -f out.pem
	check 0 "$ADDRESS" --servername b.example.com -o out.pem
	diff out.pem b.chain.pem
	[ "$(custos cert check "$ADDRESS" --servername b.example.com --json | lab_json '["files"][0]["form"]' '["files"][0]["file"]')" = "served $ADDRESS" ]
}

@test "a server that sends too little, too much, or does not speak TLS" {
	serve a.leaf.pem a.key
	check 6 "$ADDRESS" --servername a.example.com
	says "the issuer's certificate is missing"
	check 0 "$ADDRESS" middle.pem --servername a.example.com
	kill "$SERVER"
	cat root.pem middle.pem > up.pem
	serve a.leaf.pem a.key up.pem
	check 0 "$ADDRESS" --servername a.example.com
	tells "the root 'CN=Example Lab Root,O=Example Lab' was given; a server does not send it"
	kill "$SERVER"
	wait "$SERVER" || true
	SERVER=
	check 8 "$ADDRESS"
	says "cannot connect to 127.0.0.1"
	/usr/bin/python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
c.recv(10000)' > port 3>&- &
	SERVER=$!
	lab_until test -s port
	check 8 "127.0.0.1:$(cat port)"
	says "the server does not speak TLS on this port"
	wait "$SERVER" || true
	SERVER=
	# a file of that name is a file
	cp a.chain.pem host:443
	check 0 host:443
}

@test "a name that is asked for is demanded, of files, too, and however it is written" {
	check 6 a.chain.pem --servername other.example.com
	says "the certificate does not name 'other.example.com'"
	check 0 a.chain.pem --servername a.example.com
	check 0 a.chain.pem --servername a.example.com.
	new_leaf i /CN=i
	openssl req -new -key i.key -subj /CN=idn -addext subjectAltName=DNS:xn--bcher-kva.example -out i.csr
	lab_ca_sign ca i.csr i
	check 0 i.chain.pem --servername bücher.example
	check 6 a.chain.pem --servername "$(printf 'b\303\234cher.example')"
	says "this is no name of a host"
	says "write it in lower case, or by its A-labels"
	check 6 a.chain.pem --servername ''
}

@test "what looks like a host and is none" {
	for what in www.example.com https://www.example.com/ 2001:db8::1:443 127.0.0.1:70000; do
		check 6 "$what"
		says "$what: cannot be opened"
		says "name a file or a directory, or a host as HOST:PORT or [IPV6]:PORT"
	done
	serve a.leaf.pem a.key middle.pem
	check 2 "$ADDRESS" "$ADDRESS" --servername a.example.com
	says "a second host; what two hosts serve cannot be one chain"
}

@test "a server that is too old, or knows no such host" {
	openssl s_server -www -accept 127.0.0.1:0 -cert a.leaf.pem -key a.key -tls1_1 -cipher ALL:@SECLEVEL=0 > "$BATS_TEST_TMPDIR/old" 2>&1 < /dev/null 3>&- &
	SERVER=$!
	lab_until grep -q '^ACCEPT' "$BATS_TEST_TMPDIR/old"
	check 8 "$(sed -n 's/^ACCEPT //p' "$BATS_TEST_TMPDIR/old")"
	says "the server speaks no TLS as new as 1.2"
	kill "$SERVER"
	openssl s_server -www -accept 127.0.0.1:0 -cert a.leaf.pem -key a.key -servername b.example.com -cert2 b.leaf.pem -key2 b.key -servername_fatal > "$BATS_TEST_TMPDIR/sni" 2>&1 < /dev/null 3>&- &
	SERVER=$!
	lab_until grep -q '^ACCEPT' "$BATS_TEST_TMPDIR/sni"
	check 8 "$(sed -n 's/^ACCEPT //p' "$BATS_TEST_TMPDIR/sni")" --servername a.example.com
	says "the server knows no host of the name that it was asked for"
}

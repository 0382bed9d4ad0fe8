#!/usr/bin/env bats
# Goal: what comes from a CA or lies beside its answer cannot get into a custody otherwise than as the certificate that was shown, and no private key can at all.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), softhsm2, openssl and python3.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
}

setup() { cd "$BATS_TEST_TMPDIR" || return 1; }

tells() { [[ $output == *"$1"* ]] || { printf '%s\n' "it does not tell \"$1\":" "$output"; return 1; }; }

@test "a key beside the trust anchors is not taken into the custody" {
	# Goal: of the file given with --trust the certificates are kept for good, and nothing else.
	openssl genrsa -out other.key 2048 2> /dev/null
	line=$(sed -n 5p other.key)
	[ "${#line}" -eq 64 ]
	{ cat other.key; lab_ca_root "$LAB/ca" | xargs cat; } > both.pem
	expect 0 custos_in init "$PWD/custody" --token pkcs11:token=lab --origin custody.example/other --trust both.pem
	run ! grep -rqF -- "${line:0:32}" custody
	[ "$(grep -c -a 'BEGIN CERTIFICATE' custody/custody.db)" -ge 1 ]
}

# sign CSR NAME LINE… : NAME.pem, a chain whose leaf has these extension lines besides the usual ones; SUBJECT replaces the request's.
sign() {
	local csr=$1 name=$2
	shift 2
	printf '%s\n' basicConstraints=CA:FALSE keyUsage=digitalSignature,keyEncipherment extendedKeyUsage=serverAuth "$@" > "$name.cnf"
	openssl x509 -req -in "$csr" -CA "$LAB/ca/intermediate.pem" -CAkey "$LAB/ca/intermediate.key" -days 90 -extfile "$name.cnf" ${SUBJECT:+-subj "$SUBJECT"} -out "$name.leaf" 2> /dev/null
	cat "$name.leaf" "$LAB/ca/intermediate.pem" > "$name.pem"
}

@test "names that nobody asked for are told, when they come and when they would be asked for again" {
	custos_in key generate k1 > /dev/null
	custos_in csr create k1 --subject CN=k1.example.com --san dns:k1.example.com -o k1.csr > /dev/null
	sign k1.csr added subjectAltName=DNS:K1.example.com,DNS:other.example.net,DNS:*.example.org
	expect 0 custos_in cert accept k1 added.pem
	tells "warning: the certificate has names that the request did not ask for: dns:other.example.net, dns:*.example.org"
	expect 0 custos_in renew k1 --json
	[ "$(lab_json '["problems"].__len__()' '["problems"][0]["code"]' '["sans"].__len__()' <<< "$output")" = "2 name_of_certificate 3" ]
	[[ $stderr == *"custos: warning: dns:other.example.net was not in the last request, but is in the certificate, and is asked for again"* ]]
	# what was asked for now, a person has seen
	expect 0 custos_in renew k1
	[ -z "$stderr" ]
}

@test "names that no request can have do not end the renewals of a key" {
	custos_in key generate k2 > /dev/null
	custos_in csr create k2 --subject CN=k2.example.com --san dns:k2.example.com -o k2.csr > /dev/null
	sign k2.csr other 'subjectAltName=DNS:k2.example.com,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:host@example.com'
	expect 0 custos_in cert accept k2 other.pem
	expect 0 custos_in renew k2 --json
	[ "$(lab_json '["sans"]' '["problems"][0]["code"]' <<< "$output")" = '["dns:k2.example.com"] name_not_copied' ]
}

@test "a renewal is signed the way the last request was" {
	custos_in key generate k3 > /dev/null
	custos_in csr create k3 --subject CN=k3.example.com --san dns:k3.example.com --signature rsa-pss -o k3.csr > /dev/null
	for how in "" --new-key; do
		# shellcheck disable=SC2086  # no option is no word
		custos_in renew k3 $how > again.csr
		openssl req -in again.csr -noout -text | grep -q 'Signature Algorithm: rsassaPss'
	done
	custos log verify > /dev/null
}

@test "what a CA writes never reaches the terminal, the log's text or the file for a server" {
	# Goal: control sequences, line ends and text between the blocks; shown escaped, and what is kept is the certificates alone.
	custos_in key generate k4 > /dev/null
	custos_in csr create k4 --subject CN=k4.example.com --san dns:k4.example.com -o k4.csr > /dev/null
	SUBJECT=/CN=k4.example.com/O=$(printf 'Evil\033[2J\033]0;x\007')/OU=$(printf 'a\n-----BEGIN CERTIFICATE-----\nb') sign k4.csr hostile subjectAltName=DNS:k4.example.com
	{ printf 'ssl_certificate_key /etc/passwd;\n\033[31m'; cat hostile.leaf; printf '\n# }\nlocation / { }\n'; cat "$LAB/ca/intermediate.pem"; } > hostile.pem
	expect 0 custos_in cert accept k4 hostile.pem
	for command in "cert show k4" "status" "log show" "cert show k4 --json" "status --json" "log show --json"; do
		# shellcheck disable=SC2086  # a command is words
		custos_in $command > shown 2>&1
		run ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]' shown
	done
	expect 6 custos_in renew k4
	says "a value holds a control character"
	custos cert show k4 --pem > kept.pem
	[ "$(custos cert show k4 --pem --json | lab_json '["pem"]')" = "$(cat kept.pem)" ]
	cat hostile.leaf "$LAB/ca/intermediate.pem" | sed -n '/^-----BEGIN/,/^-----END/p' | diff kept.pem -
	expect 0 custos cert check hostile.pem -o written.pem
	diff written.pem kept.pem
}

# A certification authority for tests and the demo, made at run time with the openssl command. Sourced; works under set -eu.
#
#   lab_ca_new DIR                      root and intermediate in DIR (0700). LAB_CA_KEY=rsa makes RSA-2048 keys, the default is P-256
#   lab_ca_sign DIR CSR PREFIX [DAYS]   sign CSR (PEM) with the intermediate, for DAYS (90), which a fifth argument has begun so many days ago; the leaf has the
#                                       request's subject and subject alternative names, and server extensions of our choice whatever else was
#                                       asked for. Writes
#                                         PREFIX.leaf.pem   the certificate
#                                         PREFIX.chain.pem  leaf and intermediate, in the order a server wants
#                                         PREFIX.p7b        PKCS#7 in PEM in the wrong order: root, intermediate, leaf
#                                         PREFIX.der.p7b    the same in DER
#   lab_ca_root DIR                     print the path of the root certificate (PEM)
#   lab_ca_intermediate DIR             print the path of the intermediate certificate (PEM)

lab_ca_root() { printf '%s\n' "$1/root.pem"; }
lab_ca_intermediate() { printf '%s\n' "$1/intermediate.pem"; }

# lab_ca_key FILE: a new private key, 0600.
lab_ca_key() {
	local options=(-algorithm EC -pkeyopt ec_paramgen_curve:P-256)
	if [ "${LAB_CA_KEY:-ec}" = rsa ]; then options=(-algorithm RSA -pkeyopt rsa_keygen_bits:2048); fi
	(umask 077 && openssl genpkey "${options[@]}" -out "$1" 2> /dev/null)
}

lab_ca_new() {
	local dir
	(umask 077 && mkdir -p "$1/issued")
	dir=$(readlink -f -- "$1")
	lab_ca_write_config "$dir"
	: > "$dir/index"
	lab_ca_key "$dir/root.key"
	lab_ca_key "$dir/intermediate.key"
	openssl req -x509 -config "$dir/ca.cnf" -extensions root -key "$dir/root.key" -sha256 -days 3650 \
		-subj '/O=Example Lab/CN=Example Lab Root' -out "$dir/root.pem"
	openssl req -new -config "$dir/ca.cnf" -key "$dir/intermediate.key" -sha256 \
		-subj '/O=Example Lab/CN=Example Lab Intermediate' -out "$dir/intermediate.csr"
	openssl ca -batch -notext -config "$dir/ca.cnf" -name root_ca -extensions intermediate -days 1825 \
		-in "$dir/intermediate.csr" -out "$dir/intermediate.pem" 2> /dev/null
}

lab_ca_sign() {
	local dir=$1 csr=$2 prefix=$3 days=${4:-90} ago=${5:-0} dates
	dates=(-days "$days")
	if [ "$ago" -gt 0 ]; then
		dates=(-startdate "$(date -u -d "-$ago days" +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "$((days - ago)) days" +%Y%m%d%H%M%SZ)")
	fi
	openssl ca -batch -notext -config "$dir/ca.cnf" -name intermediate_ca -extensions leaf "${dates[@]}" \
		-in "$csr" -out "$prefix.leaf.pem" 2> "$dir/ca.log" || { cat "$dir/ca.log" >&2; return 1; }
	cat "$prefix.leaf.pem" "$dir/intermediate.pem" > "$prefix.chain.pem"
	set -- -nocrl -certfile "$dir/root.pem" -certfile "$dir/intermediate.pem" -certfile "$prefix.leaf.pem"
	openssl crl2pkcs7 "$@" -out "$prefix.p7b"
	openssl crl2pkcs7 "$@" -outform DER -out "$prefix.der.p7b"
}

lab_ca_write_config() {
	local ca="database = $1/index
new_certs_dir = $1/issued
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
preserve = yes
email_in_dn = yes"
	cat > "$1/ca.cnf" <<-END
		[ req ]
		distinguished_name = any
		[ root_ca ]
		$ca
		certificate = $1/root.pem
		private_key = $1/root.key
		[ intermediate_ca ]
		$ca
		certificate = $1/intermediate.pem
		private_key = $1/intermediate.key
		copy_extensions = copy
		[ any ]
		countryName = optional
		stateOrProvinceName = optional
		localityName = optional
		organizationName = optional
		organizationalUnitName = optional
		commonName = optional
		emailAddress = optional
		[ root ]
		basicConstraints = critical, CA:TRUE
		keyUsage = critical, keyCertSign, cRLSign
		subjectKeyIdentifier = hash
		[ intermediate ]
		basicConstraints = critical, CA:TRUE, pathlen:0
		keyUsage = critical, keyCertSign, cRLSign
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid:always
		[ leaf ]
		basicConstraints = critical, CA:FALSE
		keyUsage = critical, digitalSignature, keyEncipherment
		extendedKeyUsage = serverAuth
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid:always
	END
}

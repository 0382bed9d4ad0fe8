#!/usr/bin/env bats
# Goal: whatever people take for a certificate, of which nothing can be read or something can: custos cert check names it, says what to do next, and the answer stands in the one line of
# the error, too.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), openssl and python3.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR
	cd "$LAB" || return 1
	lab_ca_new ca
	openssl req -new -newkey rsa:2048 -nodes -keyout a.key -subj /CN=a.example.com -addext subjectAltName=DNS:a.example.com -out a.csr 2> /dev/null
	lab_ca_sign ca a.csr a
	cp ca/root.pem root.pem
}

setup() { cd "$LAB" || return 1; }

check() {
	local code=$1
	shift
	expect "$code" env -u CUSTOS_DIR custos cert check "$@"
}

tells() { [[ $output == *"$1"* ]] || { printf '%s\n' "it does not tell \"$1\":" "$output"; return 1; }; }

# chain_is FILE…: it is what the CA meant, whatever it came in.
chain_is() {
	rm -f out.pem
	check 0 --trust root.pem "$@" -o out.pem
	diff out.pem a.chain.pem
}

@test "what Windows, web forms and settings make of a certificate" {
	{ printf '\377\376'; sed 's/$/\r/' a.chain.pem | iconv -f ASCII -t UTF-16LE; } > powershell.crt
	chain_is powershell.crt
	tells "powershell.crt:1: the text is in UTF-16, as Windows writes it, which servers refuse; converted"
	{ printf '\376\377'; iconv -f ASCII -t UTF-16BE a.chain.pem; } > big.crt
	chain_is big.crt
	/usr/bin/python3 -c 'import json; print(json.dumps({"certificate": open("a.chain.pem").read()}))' > answer.json
	chain_is answer.json
	grep -v -- ----- a.leaf.pem | tr -d '\n' > field.txt
	chain_is field.txt ca/intermediate.pem
	tells "field.txt:1: a certificate without its BEGIN and END lines; added"
	openssl pkcs7 -in a.p7b -outform DER | base64 > blob.txt
	chain_is blob.txt
	{ printf 'Bag Attributes\n    localKeyID: 01\nsubject=CN = a.example.com\n\n'; cat a.chain.pem; } > attributes.pem
	chain_is attributes.pem
}

@test "the answer stands in the error" {
	# Goal: with nothing but the last line (a script, --json) one knows what to do.
	printf '<!doctype html>\n<title>Session expired</title>\n' > server.crt
	check 6 --json server.crt
	says "server.crt: this is a web page"
	says "log in at the CA and download the certificate again"
	[ "$(lab_json '["usable"]' '["problems"][1]["severity"]' <<< "$output")" = "false error" ]
	printf 'Rar!\032\007\000' > answer.rar
	check 6 answer.rar
	says "answer.rar: this is a RAR archive"
	says "unpack it and give the files in it"
	printf 'MIME-Version: 1.0\nSubject: yours\n\nsee the attachment\n' > answer.eml
	check 6 answer.eml
	says "answer.eml: this is an e-mail message"
	sed 's/=/=3D/g; s/^-----BEGIN/Hello,\n&/' a.leaf.pem > source.eml
	grep -q =3D source.eml || printf -- '-----BEGIN CERTIFICATE-----\nAA=3D=3D\n-----END CERTIFICATE-----\n' > source.eml
	check 6 source.eml
	says "a PEM block in the source of an e-mail (quoted-printable)"
	sed 's/-----/\xe2\x80\x94\xe2\x80\x94/g' a.leaf.pem > pasted.txt
	check 6 pasted.txt
	says "pasted.txt: this is text with a BEGIN line that was altered"
	# beside a certificate it is no error
	check 0 a.chain.pem server.crt answer.rar
	tells "warning: answer.rar: this is a RAR archive"
	# what is not needed is not the answer
	openssl ocsp -issuer ca/intermediate.pem -cert a.leaf.pem -reqout ocsp.request 2> /dev/null
	printf '\060\003\012\001\006' > ocsp.response
	check 6 ocsp.response
	says "there is no certificate in what was given"
	tells "ocsp.response: this is an OCSP response"
	check 6 ocsp.request
}

@test "a document is one thing, not an archive of many" {
	/usr/bin/python3 -c 'import zipfile
with zipfile.ZipFile("letter.docx", "w", zipfile.ZIP_DEFLATED) as z:
    for name in "[Content_Types].xml", "_rels/.rels", "word/document.xml":
        z.writestr(name, "<?xml version=\"1.0\"?><x/>")
with zipfile.ZipFile("letter.odt", "w") as z:
    z.writestr("mimetype", "application/vnd.oasis.opendocument.text")
    z.writestr("content.xml", "<x/>")'
	check 6 letter.docx --json
	says "letter.docx: this is a document of Microsoft Office"
	[ "$(lab_json '["files"].__len__()' <<< "$output")" = 1 ]
	check 6 letter.odt
	says "letter.odt: this is a document of LibreOffice"
}

@test "keys of other programs are keys" {
	printf 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n' > login.ppk
	printf -- '-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQEN\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----\n' > secret.asc
	openssl pkey -in a.key -outform DER | base64 -w0 > form.txt
	ssh-keygen -q -t ed25519 -N '' -f login
	check 0 a.chain.pem login.ppk secret.asc form.txt login --json
	[ "$(lab_json '["files"].__len__()' <<< "$output")" = 6 ]
	for i in 2 3 4 5; do [ "$(lab_json "[\"files\"][$i][\"kind\"]" <<< "$output")" = private_key ]; done
	tells "login.ppk: this is a PuTTY private key; it was not read and is not needed"
	tells "secret.asc:1: this is a PGP private key"
	tells "form.txt:1: this is an unencrypted "
	tells "login:1: this is an OpenSSH private key"
}

@test "the server's certificate is told in full" {
	check 0 a.chain.pem
	tells "names               dns:a.example.com"
	tells "SHA-256 of the key  $(openssl x509 -in a.leaf.pem -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)"
	check 6 a.csr
	tells "names               dns:a.example.com"
}

@test "the file for the chain: in a directory that is read, on a full disk, over another" {
	# Goal: nothing half written stays, nothing that exists is touched, and what is being made is not taken for an input.
	mkdir answers
	cp a.chain.pem answers
	check 0 answers -o answers/out.pem
	diff answers/out.pem a.chain.pem
	run ! grep -q "this file is empty" <<< "$output"
	check 6 answers -o answers/out.pem
	says 'cannot make "answers/out.pem": File exists'
	check 6 a.chain.pem -o missing/out.pem
	says 'name a new file in a directory that exists'
	ln -s elsewhere dangling
	check 6 a.chain.pem -o dangling
	[ ! -e elsewhere ]
	# a process that may write 100 bytes: the first write is short, the second one fails
	expect 9 /usr/bin/python3 -c 'import os, resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
os.execlp("custos", "custos", "cert", "check", "a.chain.pem", "-o", "full.pem")'
	says "cannot write full.pem: File too large"
	[ ! -e full.pem ]
}

@test "names in archives that are not ASCII" {
	/usr/bin/python3 -c 'import zipfile
with zipfile.ZipFile("namen.zip", "w") as z:
    z.write("a.chain.pem", "Zertifikat f\u00fcr a.pem")
    z.write("a.csr", "../\u00fc.csr")'
	for locale in C C.UTF-8; do
		LC_ALL=$locale check 0 namen.zip
		tells "namen.zip/Zertifikat für a.pem"
		tells "namen.zip/../ü.csr: this is an archive entry whose name leads out of the archive"
	done
}

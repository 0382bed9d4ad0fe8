#!/usr/bin/env bats
# Goal: nothing that is given to custos cert check makes it crash, hang, or take more than 128 MiB or 2 seconds of processor time, and each thing gets a clear line. Measured is the real
# program, by the kernel's count (rusage).
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), openssl and python3.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

# what a sanitizer takes is not the program's
sanitized() { grep -qs '^CUSTOS_SANITIZE:BOOL=ON' "$CUSTOS_BUILD/CMakeCache.txt"; }

setup() { cd "$BATS_TEST_TMPDIR" || return 1; }

make_bag() { "$CUSTOS_BUILD/tests/bench_make_bag" "$@"; }

# measured CODE ARGS…: custos cert check within the limits; prints what it took when it was more. The report goes to `report`, errors to $stderr.
measured() {
	local code=$1
	shift
	expect "$code" env -u CUSTOS_DIR /usr/bin/python3 -c '
import resource, subprocess, sys
with open("report", "wb") as report:
    code = subprocess.run(["custos", "cert", "check", *sys.argv[1:]], stdout=report, timeout=120).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss // 1024, round(used.ru_utime + used.ru_stime, 2))
sys.exit(code)' "$@"
	read -r mib seconds <<< "$output"
	echo "$*: $mib MiB, $seconds s" >> "$BATS_FILE_TMPDIR/figures"
	sanitized || [ "$mib" -le 128 ] || { echo "$*: $mib MiB"; return 1; }
	sanitized || /usr/bin/python3 -c 'import sys; sys.exit(float(sys.argv[1]) > 2)' "$seconds" || { echo "$*: $seconds s"; return 1; }
}

tells() { grep -qF -- "$1" report || { echo "the report does not tell \"$1\":"; head -c 3000 report; return 1; }; }

teardown_file() { sed 's/^/# /' "$BATS_FILE_TMPDIR/figures" >&3; }

@test "10,000 certificates in one file, with one right chain among them" {
	make_bag chain 10000 > many.pem
	measured 0 many.pem -o chain.pem
	tells "and 9993 more"
	[ "$(grep -c BEGIN chain.pem)" -eq 3 ]
	measured 0 many.pem --json
	[ "$(lab_json '["files"].__len__()' '["chain"].__len__()' < report)" = "10000 3" ]
	openssl x509 -in chain.pem -noout -subject | grep -q bench.example.com
}

@test "more certificates than anybody has, and the smallest that there are" {
	make_bag dust 12500 > dust.der
	measured 6 dust.der
	says "dust.der: more than 12000 objects"
	make_bag dust 11999 > dust.der
	measured 6 dust.der
	says "only certificates of certification authorities were given (11999)" # of version 1: they may be anything
}

@test "certificates that sign each other, self-issued loops, signatures that do not verify" {
	make_bag circle 10000 > circle.pem
	measured 6 circle.pem
	says "there are too many ways to put these certificates together; the search for a chain was given up"
	make_bag circle 6 > circle.pem
	measured 0 circle.pem
	tells "the last issuers only certify each other; none of them is a root"
	make_bag tangle 10000 > tangle.pem
	measured 6 tangle.pem
	says "the search for a chain was given up"
}

# anchor FILE: the first certificate of a bag, as root.pem
anchor() { openssl x509 -in "$1" -out root.pem; }

@test "certificates of one name and one key identifier, with different keys" {
	make_bag twins 10000 > twins.pem
	anchor twins.pem
	measured 6 twins.pem --trust root.pem
	says "there are too many ways to put these certificates together; the search for a chain was given up"
	measured 6 twins.pem
	make_bag twins 1000 > twins.pem
	anchor twins.pem
	measured 0 twins.pem --trust root.pem -o chain.pem
	[ "$(grep -c BEGIN chain.pem)" -eq 2 ]
	openssl verify -CAfile root.pem -untrusted chain.pem chain.pem
}

@test "a mesh of CAs that have all certified each other, and the root refuses every way" {
	# Goal: where no path is accepted as a whole, only so many are tried.
	make_bag mesh 10000 > mesh.pem
	anchor mesh.pem
	measured 6 mesh.pem --trust root.pem
	says "the search for a chain was given up"
	make_bag mesh 900 > mesh.pem
	anchor mesh.pem
	measured 6 mesh.pem --trust root.pem
	says "the search for a chain was given up"
	measured 0 mesh.pem
	make_bag mesh 4 > mesh.pem
	anchor mesh.pem
	measured 6 mesh.pem --trust root.pem
	says "excluded subtree violation"
}

@test "certificates that say that a trusted root signed them" {
	make_bag claims 10000 > claims.pem
	anchor claims.pem
	measured 6 claims.pem --trust root.pem
	says "the search for a chain was given up"
	make_bag claims 20 > claims.pem
	anchor claims.pem
	measured 6 claims.pem --trust root.pem
	says "the issuer's certificate is missing: 'CN=Claims,O=Example' was issued by 'CN=Claims Root,O=Example'"
}

@test "many names held against many constraints" {
	make_bag limits 1500 > limits.pem
	anchor limits.pem
	measured 6 limits.pem --trust root.pem
	says "the search for a chain was given up"
	measured 6 limits.pem
	make_bag limits 3 > limits.pem
	anchor limits.pem
	measured 0 limits.pem --trust root.pem
}

@test "keys of 16,384 bits" {
	make_bag wide 2200 > wide.der
	measured 6 wide.der
	says "the search for a chain was given up"
	make_bag wide 1 > wide.der
	measured 6 wide.der
	says "the issuer's certificate is missing: 'CN=wide.example.com,O=Example' was issued by 'CN=Wide,O=Example'"
}

@test "one certificate with more names, parts or extensions than others" {
	make_bag names 600000 > names.der
	measured 6 names.der
	says "names.der: more names, extensions or entries than the certificates of a server have"
	/usr/bin/python3 -c 'def der(tag, body): return bytes([tag, 0x83]) + len(body).to_bytes(3, "big") + body
open("huge.der", "wb").write(der(0x30, b"\x30\x03\x02\x01\x05\x30\x04\x06\x02\x2a\x03" + der(3, bytes(9 << 20))))'
	measured 6 huge.der
	tells "huge.der: this is something signed that is larger than any certificate"
	make_bag names 100000 > names.der
	measured 6 names.der
	says "is self-signed"
	for _ in 1 2 3; do cat names.der; done > thrice.der
	measured 6 thrice.der
	says "thrice.der: more names, extensions or entries than the certificates of a server have"
	for kind in subject:"the issuer's certificate is missing" extended:self-signed; do
		make_bag "${kind%%:*}" 20000 > large.der
		measured 6 large.der
		says "${kind#*:}"
		for _ in {1..24}; do cat large.der; done > much.der
		measured 6 much.der
		says "more names, extensions or entries"
	done
}

@test "10 MiB of anything, and a byte more" {
	/usr/bin/python3 -c 'import sys
size = 10 << 20
kinds = {
    "begins": b"-----BEGIN CERTIFICATE-----\n",
    "ends": b"-----END CERTIFICATE-----\n",
    "glued": b"-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
    "nested": b"\x30\x80",
    "deep": b"\x30\x84\x00\x9f\xff\xf0",
    "open": b"\x30\x80\x06\x03\x2a\x03\x04\x00\x00",
    "zeroes": b"\x00",
    "letters": b"-----BEGIN CERTIFICATE-----\n" + b"QUJD" * 4000 + b"\n-----END CERTIFICATE-----\n",
    "dashes": b"-----BEGIN ",
}
for name, piece in kinds.items():
    open(name, "wb").write((piece * (size // len(piece) + 1))[:size])
open("over", "wb").write(b"x" * (size + 1))'
	for file in begins ends glued nested deep open zeroes letters dashes; do measured 6 $file; done
	measured 6 over
	says "over: larger than 10 MiB"
	expect 6 custos cert check - < over
	says "standard input: larger than 10 MiB"
	measured 6 zeroes ends
	says "ends: with it there are more than 10 MiB altogether"
}

@test "archives that are bombs" {
	/usr/bin/python3 -c 'import zipfile
with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for i in range(40):
        z.writestr("%d.pem" % i, bytes(8 << 20))
with zipfile.ZipFile("many.zip", "w") as z:
    for i in range(90000):
        z.writestr("%d" % i, b"")
for method in "BZIP2", "LZMA":
    with zipfile.ZipFile(method + ".zip", "w", getattr(zipfile, "ZIP_" + method)) as z:
        z.writestr("a.pem", bytes(8 << 20))
# every entry of the directory points at the same packed bytes
import struct, zlib
c = zlib.compressobj(9, zlib.DEFLATED, -15)
plain = bytes(4 << 20)
packed = c.compress(plain) + c.flush()
crc = zlib.crc32(plain)
local = struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 0, 8, 0, 0, crc, len(packed), len(plain), 1, 0) + b"a" + packed
entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 20, 20, 0, 8, 0, 0, crc, len(packed), len(plain), 1, 0, 0, 0, 0, 0, 0) + b"a"
n = 50000
open("overlap.zip", "wb").write(local + entry * n + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, n, n, len(entry) * n, len(local), 0))'
	measured 6 bomb.zip
	says "bomb.zip: the archive unpacks to more than 10 MiB"
	measured 6 many.zip
	says "many.zip: more than 4096 files in the archive"
	for file in BZIP2 LZMA; do
		measured 6 $file.zip
		tells "$file.zip/a.pem: this is an archive entry that is packed in an unusual way"
	done
	measured 6 overlap.zip
}

@test "PKCS#12 files that cost" {
	# Goal: deriving keys as often as one asks is bounded for all files together.
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj /CN=a -addext subjectAltName=DNS:a.example.com -out c.pem 2> /dev/null
	openssl pkcs12 -export -nokeys -in c.pem -passout pass:x -iter 700000 -out slow.p12
	for _ in {1..200}; do cat slow.p12; done > many.p12
	measured 6 slow.p12
	tells "this is a PKCS#12 container, and its pass phrase is not empty"
	measured 6 many.p12
	tells "this PKCS#12 container asks for more work or memory than one with certificates needs"
	openssl pkcs12 -export -nokeys -in c.pem -passout pass: -macalg sha256 -out quick.p12
	measured 6 quick.p12
	says "the certificate is self-signed"
}

@test "a negative serial number, indefinite lengths, a NUL in a name" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj /CN=a -days 30 -set_serial -4660 -addext subjectAltName=DNS:a.example.com -out negative.pem 2> /dev/null
	measured 6 negative.pem --json
	[ "$(lab_json '["files"][0]["serial"]' < report)" = -1234 ]
	openssl x509 -in negative.pem -outform DER -out c.der
	# the outermost length is left open, and closed by an end-of-contents
	/usr/bin/python3 -c 'der = open("c.der", "rb").read()
assert der[0] == 0x30 and der[1] == 0x82
ber = b"\x30\x80" + der[4:] + b"\x00\x00"
open("ber.der", "wb").write(ber)
open("ber3.der", "wb").write(ber * 3)
open("nul.der", "wb").write(der.replace(b"a.example.com", b"a.ex\x00mple.com"))'
	measured 6 ber.der --json
	[ "$(lab_json '["files"][0]["kind"]' '["files"].__len__()' < report)" = "certificate 1" ]
	measured 6 ber3.der
	tells "given more than once, used once"
	measured 6 nul.der
	tells "a name in the certificate holds a NUL byte: dns:a.ex\\x00mple.com"
}

#!/usr/bin/env bats
# Goal: a token's profile in a file: examined, bound to the custody, used for a release, and not to be changed unseen.
#
# Needs what tests/it/deploy.bats needs: the build directory in CUSTOS_BUILD, root, softhsm2.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

setup() {
	root=$(cd "$here/../.." && pwd)
	export root TOKEN=$BATS_TEST_TMPDIR/token LAB=$BATS_TEST_TMPDIR/lab own=$BATS_TEST_TMPDIR/own.yaml
	sed -e 's/^name: .*/name: own/' -e 's/^sign:/transport: rsa-oaep-sha1\nsign:/' "$root/tokens/softhsm.yaml" > "$own"
}

teardown() {
	lab_end
}

on() { "$here/tokens/softhsm" "$TOKEN" "$@"; }
doctor() { custos --pin-source "file:$TOKEN/pin" token doctor "$TOKEN_URI" "$@"; }
export -f doctor custos_in

# variant SED: the profile, changed.
variant() { sed "$1" "$own" > "$BATS_TEST_TMPDIR/variant.yaml"; }

@test "the doctor holds a token against the profile it is given" {
	expect 0 on bash -c 'doctor --profile "$own" --json'
	[ "$(lab_json '["profile"]' '["promised"]' '["tier"]' <<< "$output")" = "own hardened hardened" ]
	# what the token does not keep, what does not fit it, what is no profile
	variant 's/rsa-oaep-sha1/ecdh-p256-kdf/'
	expect 3 on bash -c 'doctor --profile "$BATS_TEST_TMPDIR/variant.yaml"'
	[[ $output == *"not ecdh-p256-kdf, which its profile says"* ]]
	expect 5 on bash -c 'doctor --profile "$root/tokens/nss.yaml"'
	variant 's/^tier:/surprise: 1\ntier:/'
	expect 6 on bash -c 'doctor --profile "$BATS_TEST_TMPDIR/variant.yaml"'
	says surprise
	expect 6 on bash -c 'doctor --profile /dev/null'
}

@test "a custody works by the profile it was made with, and only as the log has it" {
	# Goal: keys travel as the file says, the file itself is not needed any more, and a copy that was changed is tampering.
	mkdir -m 700 "$LAB"
	: > "$LAB/hosts"
	on env > "$BATS_TEST_TMPDIR/environment"
	while IFS= read -r line; do export "${line?}"; done < <(grep -E '^(CUSTOS_MODULE|SOFTHSM2_CONF|TOKEN_URI)=' "$BATS_TEST_TMPDIR/environment")
	install -m 600 "$TOKEN/pin" "$LAB/pin"
	export CUSTOS_DIR=$LAB/custody
	lab_ca_new "$LAB/ca"
	variant 's/^tier:/surprise: 1\ntier:/'
	expect 6 custos_in init "$CUSTOS_DIR" --token "$TOKEN_URI" --origin custody.example/own --profile "$BATS_TEST_TMPDIR/variant.yaml"
	[ ! -e "$CUSTOS_DIR/custody.yaml" ]
	expect 0 custos_in init "$CUSTOS_DIR" --token "$TOKEN_URI" --origin custody.example/own --trust "$(lab_ca_root "$LAB/ca")" --profile "$own" --json
	[ "$(lab_json '["token"]["profile"]' <<< "$output")" = own ]
	sha256=$(sha256sum "$own" | cut -d' ' -f1)
	[ "$(custos log show --json | lab_json '[0]["profile_sha256"]')" = "$sha256" ]
	rm "$own"
	lab_quick_profile > "$LAB/esxi-quick.yaml"
	ssh-keygen -q -t ecdsa -b 256 -N '' -C lab -f "$LAB/login"
	lab_key host rsa-2048
	lab_host host
	lab_target host
	custos_in key allow host host > /dev/null
	expect 0 custos_in deploy host host --json
	[ "$(lab_json '[0]["result"]' <<< "$output")" = deployed ]
	[ "$(lab_served host)" = "$(lab_leaf host)" ]
	[ "$(custos log show --json | /usr/bin/python3 -c 'import json, sys
print(*[e["transport"] + " " + str(len(e["courier_key_sha256"])) for e in json.load(sys.stdin) if e["event"] == "release.intent"])')" = "rsa-oaep-sha1 64" ]
	expect 0 custos log verify
	# a key from outside would have to be agreed on with the token
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$LAB/outside.pem" 2> /dev/null
	chmod 600 "$LAB/outside.pem"
	expect 3 custos_in key import outside "$LAB/outside.pem" --reason "a test"
	says "takes none from outside"
	# somebody changes the copy of the profile: weaker, and just as well formed
	/usr/bin/python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
data = db.execute("select data from blob where sha256 = ?", [bytes.fromhex(sys.argv[2])]).fetchone()[0]
db.execute("update blob set data = ? where sha256 = ?", [data.replace(b"rsa-oaep-sha1", b"ecdh-p256"), bytes.fromhex(sys.argv[2])])
db.commit()' "$CUSTOS_DIR/custody.db" "$sha256"
	expect 13 custos_in key generate another
	says "profile"
}

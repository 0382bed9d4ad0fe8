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

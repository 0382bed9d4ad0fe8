# shellcheck shell=bash
# A lab in a directory: token, custody, CA and hosts, for the integration tests. Sourced by bats files; needs CUSTOS_BUILD (the build directory).
#
#   lab_new                      a lab in $LAB (default $BATS_TEST_TMPDIR/lab): token "lab", custody, CA; exports CUSTOS_DIR,
#                                CUSTOS_MODULE, SOFTHSM2_CONF
#   lab_key NAME [TYPE [SAN…]]   key, request, certificate of the lab CA, accepted. TYPE rsa-2048; SAN dns:NAME.example.com
#   lab_host NAME [OPTION…]      boots an ESXi stand-in in $LAB/NAME and reads its env; OPTIONs of tests/it/esxi/host start
#   lab_target NAME [OPTION…]    adds it as target with the quick esxi profile; further OPTIONs of custos target add (--auth replaces the
#                                login by $LAB/login)
#   lab_served [NAME]            fingerprint (SHA-256, lower-case hex) of the leaf NAME serves; "none" when there is none
#   lab_leaf KEY                 fingerprint of the accepted leaf of KEY
#   lab_end                      stops the hosts this test started; call it from teardown
#   lab_snapshot NAME [strict]   one hash over every file of the host with mode, owner, times and content, its boot bank and datastore included, its
#                                logs and run files not; strict: the times of directories too, so that not even a file that is gone again goes unseen
#   lab_auth_log NAME            the host's own record of connections and logins
#   lab_until COMMAND…           polls until COMMAND succeeds, for at most 20 seconds
#   lab_log_size                 how many entries the custody's log has
#   lab_events [FROM]            the events of the log from entry FROM (0), one a line
#   custos_in …                  custos with the PIN
#   lab_json PATH…               the values at these python paths of the JSON on stdin, e.g. '[0]["result"]', with spaces between
#   expect CODE COMMAND…         run it as bats' run does, with $output and $stderr apart; another exit code than CODE is a failure, told in full
#   says TEXT                    the last expect's error or hint holds TEXT, and its shape is that of an error: one line each, nothing else
#
# The quick profile is the built-in one with shorter waits (lab_quick_profile writes it): what it checks is the same.

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source=softhsm-fixtures/softhsm.bash
. "$here/../../softhsm-fixtures/softhsm.bash"
# shellcheck source=tests/it/lab_ca.bash
. "$here/lab_ca.bash"

PATH=$CUSTOS_BUILD:$PATH
unset SSL_CERT_FILE SSL_CERT_DIR SSH_AUTH_SOCK

custos_in() { custos --pin-source "file:$LAB/pin" "$@"; }

lab_new() {
	LAB=${LAB:-$BATS_TEST_TMPDIR/lab}
	mkdir -p "$LAB"
	chmod 700 "$LAB"
	: > "$LAB/hosts"
	softhsm_setup "$LAB/softhsm"
	softhsm_new_pin "$LAB/so-pin"
	softhsm_new_pin "$LAB/pin"
	export CUSTOS_MODULE=libsofthsm2.so CUSTOS_DIR=$LAB/custody
	softhsm_init_token lab "$LAB/so-pin" "$LAB/pin" > "$LAB/serial"
	lab_ca_new "$LAB/ca"
	custos_in init "$CUSTOS_DIR" --token pkcs11:token=lab --origin custody.example/lab --trust "$(lab_ca_root "$LAB/ca")" > "$LAB/init.out"
	lab_quick_profile > "$LAB/esxi-quick.yaml"
	ssh-keygen -q -t ecdsa -b 256 -N '' -C lab -f "$LAB/login"
}

lab_quick_profile() {
	sed -e 's/settle_ms: 70000/settle_ms: 2000/' -e 's/alive_ms: 10000/alive_ms: 1000/' -e 's/interval_ms: 1000/interval_ms: 200/' \
		-e 's/budget_ms: 5000/budget_ms: 1500/' -e 's/budget_ms: [36]0000/budget_ms: 3000/' "$here/../../src/target/profiles/esxi.yaml"
}

lab_key() {
	local name=$1 type=${2:-rsa-2048} sans=()
	shift
	[ $# -eq 0 ] || shift
	while [ $# -gt 0 ]; do
		sans+=(--san "$1")
		shift
	done
	[ ${#sans[@]} -gt 0 ] || sans=(--san "dns:$name.example.com")
	custos_in key generate "$name" --type "$type" > /dev/null
	custos_in csr create "$name" --subject "CN=${sans[1]#dns:}" "${sans[@]}" -o "$LAB/$name.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/$name.csr" "$LAB/$name"
	custos_in cert accept "$name" "$LAB/$name.p7b" > /dev/null
}

lab_host() {
	local name=$1
	shift
	"$here/esxi/host" "$LAB/$name" start --authorized-key "$LAB/login.pub" --watchdog 6:2 "$@" > /dev/null 3>&-
	echo "$name" >> "$LAB/hosts"
	lab_env "$name"
}

# lab_env NAME: SSH_ADDRESS, HTTPS_ADDRESS, HOSTKEY_SHA256, ROOT of a host; ROOT changes with each boot.
lab_env() {
	# shellcheck source=/dev/null
	. "$LAB/$1/env"
}

lab_target() {
	local name=$1 auth=(--auth "key:$LAB/login")
	shift
	[[ " $* " != *" --auth "* ]] || auth=()
	lab_env "$name"
	custos_in target add "$name" --address "$SSH_ADDRESS" --profile "$LAB/esxi-quick.yaml" --hostkey "$HOSTKEY_SHA256" --verify "$HTTPS_ADDRESS" \
		--sni "$name.example.com" "${auth[@]}" "$@" > /dev/null
}

lab_served() {
	[ $# -eq 0 ] || lab_env "$1"
	{ timeout 10 openssl s_client -connect "$HTTPS_ADDRESS" < /dev/null 2> /dev/null || true; } |
		openssl x509 -outform DER 2> /dev/null | sha256sum | cut -d' ' -f1 |
		sed 's/^e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855$/none/'
}

lab_leaf() { custos cert show "$1" --json | lab_json '["leaf_sha256"]'; }

lab_snapshot() {
	lab_env "$1"
	local directory='%p %y %m %U:%G\n'
	[ "${2:-}" != strict ] || directory='%p %y %m %U:%G %T@\n'
	local -a skip=(-path ./proc -o -path ./dev -o -path ./stand-in -o -path ./run -o -path ./var/run -o -path ./var/log)
	{
		(cd "$ROOT" && find . \( "${skip[@]}" \) -prune -o -type d -printf "$directory" -o -printf '%p %y %m %U:%G %T@ %l\n' | sort)
		(cd "$ROOT" && find . \( "${skip[@]}" \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
	} | sha256sum
}

lab_auth_log() {
	lab_env "$1"
	cat "$ROOT/var/log/auth.log"
}

lab_until() {
	local deadline=$((SECONDS + 20))
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || { echo "in vain: $*"; return 1; }
		sleep 0.05
	done
}

lab_log_size() { custos log checkpoint --json | lab_json '["size"]'; }

lab_events() { custos log show --from "${1:-0}" --json | /usr/bin/python3 -c 'import json,sys; [print(e["event"]) for e in json.load(sys.stdin)]'; }

expect() {
	local code=$1
	shift
	run --separate-stderr "$@"
	# shellcheck disable=SC2154  # run sets them
	[ "$status" -eq "$code" ] || { printf '%s\n' "exit $status instead of $code: $*" "$output" "$stderr"; return 1; }
}

says() {
	[[ $stderr == *"$1"* ]] || { printf '%s\n' "it does not say \"$1\":" "$stderr"; return 1; }
	[[ $stderr =~ ^"custos: error: "[^$'\n']*[^.$'\n']($'\n'"custos: hint: "[^$'\n']*)?$ ]] || { printf '%s\n' "not the shape of an error:" "$stderr"; return 1; }
}

lab_json() {
	/usr/bin/python3 -c 'import json,sys
v = json.load(sys.stdin)
found = [eval("v" + path) for path in sys.argv[1:]]
print(*[x if isinstance(x, (str, int)) and not isinstance(x, bool) else json.dumps(x) for x in found])' "$@"
}

lab_end() {
	local name
	[ -f "${LAB:-}/hosts" ] || return 0
	while read -r name; do
		"$here/esxi/host" "$LAB/$name" stop || true
	done < "$LAB/hosts"
}

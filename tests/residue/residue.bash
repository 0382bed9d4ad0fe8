# shellcheck shell=bash
# A lab for the scanner: a host, three kinds of keys whose private parts are known, and runs of residue_scan. Sourced by the bats files beside it; needs CUSTOS_BUILD
# (the build directory) and root.
#
#   residue_begin FILE           figures of this file go to $CUSTOS_BUILD/residue-figures/FILE; call it first in setup_file
#   residue_lab [TYPE…]          lab_new, a host, and for each key type two keys TYPE-a and TYPE-b that have been there once: $LAB/TYPE-a.key is what the host got.
#                                Targets of the one host: pkcs8 and pkcs1, by the format their profile asks for
#   residue_target NAME PROFILE  one more target on that host; RESIDUE_PIN (host key) and RESIDUE_LOGIN (key file) when they are to be others than the right ones
#   residue_run TYPE [OPTION…] [-- [WRAPPER…]]   deploys the key of TYPE that the host does not serve, under residue_scan OPTION…, in BACKEND and FORMAT; exit code of custos in
#                                $CODE, report in $REPORT. WRAPPER goes before residue_scan
#   residue_shares split|combine [OPTION…] [-- [WRAPPER…]]   splits a KEK or combines it, with a keeper, token and person of the tests' own
#   residue_import TYPE [OPTION…]   custos key import of a new key in a file that a pass phrase protects
#   residue_learn NAME           request, certificate and deployment of a key that was made: $LAB/NAME.key is what the host got (as a command: learn)
#   residue_watch [OPTION…] -- WORD…   custos WORD… under residue_scan OPTION… (--key and the like among them), in BACKEND; residue_in_place_of holds for it
#   residue_in_place_of PROGRAM  a WRAPPER that puts PROGRAM in the courier's place, for the run alone, in the array IN_PLACE
#   residue_clean [WAY…]         the report is clean (verdict.py)
#   residue_figures NAME [REPORT…]   one line of figures, by default of $REPORT
#   residue_end                  all figures so far into $CUSTOS_BUILD/residue-figures.txt; the last line is the total
#
#   residue_quiet                ends what is left of a failed release: on the host stray sessions, a dead man's switch that is armed, locks; in the log open releases
#
# BACKEND is memfd_secret or mlock, FORMAT pkcs8 or pkcs1, TARGET the target when it is another than FORMAT, CONFIRM the seconds of the
# dead man's switch, RESIDUE_AS words before custos (setpriv …); CUSTOS_SEED repeats the random instants.

residue_here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source=tests/it/lab.bash
. "$residue_here/../it/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$residue_here/../crash/crash.bash"
residue_bin=$CUSTOS_BUILD/tests/residue
BACKEND=mlock FORMAT=pkcs8 TARGET='' CONFIRM=60 RESIDUE_AS=() IN_PLACE=()
CUSTOS_SEED=${CUSTOS_SEED:-$RANDOM}

residue_begin() {
	export RESIDUE_FIGURES=$CUSTOS_BUILD/residue-figures/$1 CUSTOS_SEED
	mkdir -p "${RESIDUE_FIGURES%/*}"
	: > "$RESIDUE_FIGURES.txt"
	: > "$RESIDUE_FIGURES.json"
}

residue_verdict() { /usr/bin/python3 "$residue_here/verdict.py" "$@"; }

# residue_profile FORMAT: the quick profile for any kind of key, in that format.
residue_profile() { lab_quick_profile | sed -e '/^keys_because:/d' -e 's/^keys: .*/keys: [rsa-2048, rsa-4096, ec-p256]/' -e "s/^key_format: .*/key_format: $1/"; }

residue_target() {
	local key
	lab_env box
	custos_in target add "$1" --address "$SSH_ADDRESS" --profile "$2" --hostkey "${RESIDUE_PIN:-$HOSTKEY_SHA256}" --verify "$HTTPS_ADDRESS" --sni box.example.com \
		--auth "key:${RESIDUE_LOGIN:-$LAB/login}" > /dev/null
	for key in "$LAB"/*-[ab].key; do
		[ ! -e "$key" ] || custos_in key allow "$(basename "$key" .key)" "$1" > /dev/null
	done
}

residue_lab() {
	local type key
	lab_new
	lab_host box
	for type in pkcs8 pkcs1; do
		residue_profile $type > "$LAB/$type.yaml"
		residue_target $type "$LAB/$type.yaml"
	done
	for type in "$@"; do
		for key in "$type-a" "$type-b"; do
			lab_key "$key" "$type" dns:box.example.com
			custos_in key allow "$key" pkcs8 pkcs1 > /dev/null
			custos_in deploy "$key" pkcs8 > /dev/null
			cp "$ROOT/etc/vmware/ssl/rui.key" "$LAB/$key.key"
		done
	done
}

# residue_next TYPE: the key in $KEY.
residue_next() {
	KEY=$1-a
	[ "$(lab_served box)" != "$(openssl x509 -in "$LAB/$KEY.leaf.pem" -outform DER | sha256sum | cut -d ' ' -f 1)" ] || KEY=$1-b
}

residue_run() {
	local type=$1 options=() wrapper=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	wrapper=("$@")
	[ "$BACKEND" != mlock ] || wrapper+=("$residue_bin/residue_without" memfd_secret --)
	residue_next "$type"
	REPORT=$(mktemp "${BATS_TEST_TMPDIR:-$LAB}/report.XXXXXX")
	"${wrapper[@]}" "$residue_bin/residue_scan" --key "$LAB/$type-a.key" --key "$LAB/$type-b.key" --pin "$LAB/pin" --public "$LAB/$type-a.chain.pem" --public "$LAB/$type-b.chain.pem" \
		--json "$REPORT" "${options[@]}" -- "${RESIDUE_AS[@]}" custos --pin-source "file:$LAB/pin" deploy "$KEY" "${TARGET:-$FORMAT}" --confirm-within "$CONFIRM" > "$LAB/out" 2> "$LAB/err" 3>&- ||
		{ cat "$LAB/out" "$LAB/err"; return 1; }
	# shellcheck disable=SC2034  # for the caller
	CODE=$(residue_verdict number "$REPORT" command_exit)
}

residue_shares() {
	local job=$1 options=() wrapper=() dir number
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	wrapper=("$@")
	[ "$BACKEND" != mlock ] || wrapper+=("$residue_bin/residue_without" memfd_secret --)
	dir=$(mktemp -d "${BATS_TEST_TMPDIR:-$LAB}/kek.XXXXXX")
	REPORT=$(mktemp "${BATS_TEST_TMPDIR:-$LAB}/report.XXXXXX")
	"$residue_bin/residue_person" make "$dir"
	options+=(--bytes "$dir/kek")
	# those that are typed; the shares of a split are made in the courier, nobody knows them before
	if [ "$job" = combine ]; then
		for number in 1 3; do options+=(--bytes "$dir/share-$number.txt" --bytes "$dir/share-$number.bytes"); done
	fi
	"${wrapper[@]}" "$residue_bin/residue_scan" --json "$REPORT" "${options[@]}" -- "$residue_bin/residue_person" "$job" "$dir" "$residue_bin/shares/custos" > "$LAB/out" 2> "$LAB/err" 3>&- ||
		{ cat "$LAB/out" "$LAB/err"; return 1; }
	# shellcheck disable=SC2034  # for the caller
	CODE=$(residue_verdict number "$REPORT" command_exit)
}

# The pass phrase comes when the courier is watched: before, it has ciphertext only.
residue_phrase() {
	cat > "$LAB/phrase" << 'PHRASE'
#!/bin/bash
# phrase PIN-FILE: what is in it; once custos has a courier, when that is traced.
for ((try = 0; try < 2000; try++)); do
	courier=
	for process in /proc/[0-9]*; do
		[[ $(readlink "$process/exe") == */custos-courier ]] && grep -qs "^PPid:[[:space:]]*$PPID$" "$process/status" && courier=$process
	done
	[ -n "$courier" ] || break
	grep -q '^TracerPid:[[:space:]]*[1-9]' "$courier/status" && break
done
cat "$1"
PHRASE
	chmod 755 "$LAB/phrase"
}

residue_import() {
	local type=$1 wrapper=() name algorithm=(RSA -pkeyopt rsa_keygen_bits:4096)
	shift
	[ "$type" != ec-p256 ] || algorithm=(EC -pkeyopt ec_paramgen_curve:P-256)
	[ "$BACKEND" != mlock ] || wrapper+=("$residue_bin/residue_without" memfd_secret --)
	name=$type-from-file-$RANDOM
	REPORT=$(mktemp "${BATS_TEST_TMPDIR:-$LAB}/report.XXXXXX")
	residue_phrase
	openssl rand -hex 16 > "$LAB/pass"
	openssl genpkey -quiet -algorithm "${algorithm[@]}" -out "$LAB/$name.plain.pem"
	openssl pkcs8 -topk8 -in "$LAB/$name.plain.pem" -passout "file:$LAB/pass" -out "$LAB/$name.pem"
	openssl pkey -in "$LAB/$name.plain.pem" -pubout -out "$LAB/$name.public.pem"
	"${wrapper[@]}" "$residue_bin/residue_scan" --key "$LAB/$name.plain.pem" --public "$LAB/$name.public.pem" --pin "$LAB/pin" --json "$REPORT" "$@" -- \
		custos --pin-source "file:$LAB/pin" key import "$name" "$LAB/$name.pem" --pass-phrase "exec:exec '$LAB/phrase' '$LAB/pass'" --reason "to see what is left" > "$LAB/out" 2> "$LAB/err" 3>&- ||
		{ cat "$LAB/out" "$LAB/err"; return 1; }
	# shellcheck disable=SC2034  # for the caller
	CODE=$(residue_verdict number "$REPORT" command_exit)
}

residue_learn() {
	local name=$1
	lab_env box
	custos_in csr create "$name" --subject CN=box.example.com --san dns:box.example.com -o "$LAB/$name.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/$name.csr" "$LAB/$name"
	custos_in cert accept "$name" "$LAB/$name.p7b" > /dev/null
	custos_in key allow "$name" pkcs8 > /dev/null
	custos_in deploy "$name" pkcs8 > /dev/null
	cp "$ROOT/etc/vmware/ssl/rui.key" "$LAB/$name.key"
}

residue_watch() {
	local options=() wrapper=("${IN_PLACE[@]}")
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	[ "$BACKEND" != mlock ] || wrapper+=("$residue_bin/residue_without" memfd_secret --)
	REPORT=$(mktemp "${BATS_TEST_TMPDIR:-$LAB}/report.XXXXXX")
	"${wrapper[@]}" "$residue_bin/residue_scan" --pin "$LAB/pin" --json "$REPORT" "${options[@]}" -- custos --pin-source "file:$LAB/pin" "$@" > "$LAB/out" 2> "$LAB/err" 3>&- ||
		{ cat "$LAB/out" "$LAB/err"; return 1; }
	# shellcheck disable=SC2034  # for the caller
	CODE=$(residue_verdict number "$REPORT" command_exit)
}

residue_in_place_of() {
	# shellcheck disable=SC2034  # for the caller
	IN_PLACE=(unshare --mount sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$1" "$CUSTOS_BUILD/custos-courier")
}

# shellcheck disable=SC2120  # the WAYs are few
residue_clean() { residue_verdict clean "$REPORT" "$BACKEND" "$@" || { cat "$LAB/out" "$LAB/err"; return 1; }; }

residue_figures() {
	local name=$1
	shift
	[ $# -gt 0 ] || set -- "$REPORT"
	residue_verdict line "$name" "$@" >> "$RESIDUE_FIGURES.txt"
	residue_verdict keep "$name" "$@" >> "$RESIDUE_FIGURES.json"
	echo "# $(tail -n 1 "$RESIDUE_FIGURES.txt")" >&3
}

# residue_signal_sessions SIGNAL: the command for a hook that sends SIGNAL to every SSH session of the host.
residue_signal_sessions() { echo "'$here/esxi/host' '$LAB/box' exec sh -c 'for p in \$(pidof sshd); do [ \"\$p\" = \"\$(cat /var/run/sshd.pid)\" ] || kill -$1 \"\$p\"; done' 3>&-"; }

residue_quiet() {
	sh -c "$(residue_signal_sessions KILL)" || true
	crash_await_host box
	local index
	for index in $(custos release list --json | /usr/bin/python3 -c 'import json,sys; print(*[r["index"] for r in json.load(sys.stdin)])'); do
		custos_in release resolve "$index" --as failed --note "the test did it" > /dev/null
	done
}

residue_end() {
	lab_end
	local figures=$CUSTOS_BUILD/residue-figures
	{ cat "$figures"/*.txt && residue_verdict total "$figures"/*.json; } > "$figures.txt"
}

#!/usr/bin/env bats
# Goal: a release that succeeds leaves no 8 bytes of the key outside locked memory: at every state, at random instants, and at its end; nor in the keeper, ever.
#
# CUSTOS_ALL=1: every key type with every backend and every output format. Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
# shellcheck disable=SC2119  # every report is to be clean in no special way
bats_require_minimum_version 1.5.0
# shellcheck source=tests/residue/residue.bash
. "$BATS_TEST_DIRNAME/residue.bash"

TYPES=(rsa-2048 rsa-4096 ec-p256)
INSTANTS=500

setup_file() {
	residue_begin states
	export LAB=$BATS_FILE_TMPDIR/lab
	residue_lab "${TYPES[@]}"
	echo "# seed: $CUSTOS_SEED (CUSTOS_SEED=$CUSTOS_SEED repeats the random instants)" >&3
}

teardown_file() { residue_end; }

# formats: those that are looked at.
formats() { if [ "${CUSTOS_ALL:-0}" = 1 ]; then echo pkcs8 pkcs1; else echo pkcs8; fi; }

# every_state TYPE…: in this BACKEND, in each format.
every_state() {
	local type
	for type; do
		for FORMAT in $(formats); do
			residue_run "$type" --every-state
			[ "$CODE" = 0 ]
			residue_clean
			# the whole way was seen
			[[ $(residue_verdict number "$REPORT" states) == *"'ready', 'key', 'stage key', 'switch', "*"'verify', 'persist', 'disarm', 'ended'"* ]]
			[ "$(residue_verdict number "$REPORT" courier.samples)" -ge 100 ]
			residue_figures "every state, $type, $BACKEND, $FORMAT"
		done
	done
}

@test "every state of a release, on secret pages" {
	# Goal: nothing is found, and the pages that hold the key cannot be read even by root.
	BACKEND=memfd_secret
	every_state "${TYPES[@]}"
}

@test "every state of a release, on locked pages" {
	# Goal: nothing is found outside locked pages, and in them the key is found: the scanner sees what is there.
	BACKEND=mlock
	every_state "${TYPES[@]}"
}

# at_random TYPE BACKEND…: INSTANTS instants, in turns with each backend.
at_random() {
	local type=$1 had=0 seed=$CUSTOS_SEED reports=() backends=("${@:2}")
	while [ "$had" -lt $INSTANTS ]; do
		BACKEND=${backends[${#reports[@]} % ${#backends[@]}]}
		residue_run "$type" --random $((INSTANTS - had)) --seed $((seed += 1))
		[ "$CODE" = 0 ]
		# one of them may have ended before the key was there: found in locked pages is what the whole of the runs must show
		reports+=("$REPORT")
		residue_clean
		had=$((had + $(residue_verdict number "$REPORT" courier.random)))
		[ ${#reports[@]} -lt 120 ] || { echo "$had instants in ${#reports[@]} releases"; return 1; }
	done
	residue_figures "random instants, $type, ${*:2}, $FORMAT" "${reports[@]}"
}

each_at_random() {
	for FORMAT in $(formats); do
		if [ "${CUSTOS_ALL:-0}" = 1 ]; then
			at_random "$1" memfd_secret
			at_random "$1" mlock
		else
			at_random "$1" mlock memfd_secret
		fi
	done
}

@test "random instants between the key's arrival and its handing over: RSA-2048" {
	# Goal: what is between two system calls is as clean as what is at them.
	each_at_random rsa-2048
}

@test "random instants between the key's arrival and its handing over: RSA-4096" {
	# Goal: the same with the longest key.
	each_at_random rsa-4096
}

@test "random instants between the key's arrival and its handing over: P-256" {
	# Goal: the same with the shortest key.
	each_at_random ec-p256
}

# both_backends NAME COMMAND…: it is clean on either kind of pages, and what is looked for was there.
both_backends() {
	local name=$1
	shift
	for BACKEND in memfd_secret mlock; do
		"$@" --every-state
		[ "$CODE" = 0 ]
		residue_clean
		[[ $(residue_verdict number "$REPORT" states) == *"'key', 'sealed'"* ]]
		residue_figures "$name, $BACKEND"
	done
}

@test "a KEK is split" {
	# Goal: the KEK, unwrapped, split and recombined, is on locked pages only, and gone before the token is told; the shares are still there then.
	both_backends "split" residue_shares split
}

@test "a KEK is combined" {
	# Goal: shares as they are typed, as they are decoded, and the KEK they make: on locked pages only, and gone before the token is told.
	both_backends "combine" residue_shares combine
}

@test "a KEK is split and combined: random instants" {
	# Goal: libgfshare's memory between two system calls is as clean as at them.
	local job
	BACKEND=mlock
	for job in split combine; do
		residue_shares $job --random 200 --seed "$CUSTOS_SEED"
		[ "$CODE" = 0 ]
		residue_clean
		[ "$(residue_verdict number "$REPORT" courier.random)" -gt 0 ]
		residue_figures "random instants, $job, $BACKEND"
	done
}

@test "a KEK is split by a courier whose libgfshare has the ordinary heap" {
	# Goal: the scanner sees it: a library that gets its memory from malloc is not clean by itself.
	BACKEND=mlock
	residue_in_place_of "$residue_bin/residue_sloppy_secure_heap"
	residue_shares split --every-state -- "${IN_PLACE[@]}"
	[ "$CODE" = 0 ]
	residue_verdict dirty "$REPORT"
	grep -q '"where": "\[heap\]"' "$REPORT"
	residue_figures "control: libgfshare on the ordinary heap"
}

@test "a key is imported from a file" {
	# Goal: decoded by libcrypto, checked, encoded and sealed: on locked pages only, and gone before the token is told.
	local type
	for type in rsa-4096 ec-p256; do both_backends "import, $type" imported $type; done
}

# imported TYPE OPTION…: residue_import, again where it was over before everybody could be looked at.
imported() {
	local try
	for ((try = 0; try < 10; try++)); do
		if residue_import "$@"; then return 0; fi
	done
	return 1
}

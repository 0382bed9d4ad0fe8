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

#!/usr/bin/env bats
# Goal: a key of class sealed, which libcrypto makes and signs with in a courier, is outside the courier's locked memory no more than any other: when it is born, when it
# signs, when it is released; and what opens its container neither.
#
# CUSTOS_ALL=1: more kinds of keys, more instants. Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
# shellcheck disable=SC2119  # every report is to be clean in no special way
bats_require_minimum_version 1.5.0
# shellcheck source=tests/residue/residue.bash
. "$BATS_TEST_DIRNAME/residue.bash"

TYPES=(rsa-2048 ec-p256)
INSTANTS=200
if [ "${CUSTOS_ALL:-0}" = 1 ]; then
	TYPES+=(rsa-4096)
	INSTANTS=1000
fi

setup_file() {
	residue_begin sealed
	export LAB=$BATS_FILE_TMPDIR/lab
	lab_new
	lab_host box
	residue_profile pkcs8 > "$LAB/pkcs8.yaml"
	residue_target pkcs8 "$LAB/pkcs8.yaml"
	# what the courier of these draws as a content key: see sloppy/known_content.c
	/usr/bin/python3 -c 'import sys; sys.stdout.buffer.write(bytes((131 + 7 * i) % 256 for i in range(32)))' > "$LAB/content"
	residue_in_place_of "$residue_bin/residue_sloppy_known_content"
	for type in "${TYPES[@]}"; do
		"${IN_PLACE[@]}" custos --pin-source "file:$LAB/pin" key generate "$type" --type "$type" --class sealed > /dev/null
		residue_learn "$type"
	done
	echo "# seed: $CUSTOS_SEED (CUSTOS_SEED=$CUSTOS_SEED repeats the random instants)" >&3
}

setup() { lab_env box; }

teardown() {
	[ ! -s "$BATS_TEST_TMPDIR/pid" ] || kill -KILL "$(cat "$BATS_TEST_TMPDIR/pid")" 2> /dev/null || true
}

teardown_file() { residue_end; }

# sampled TYPE…: in the array SAMPLE those that are looked at on this BACKEND where one of a pair is enough, another with another seed; with CUSTOS_ALL=1 all.
sampled() {
	SAMPLE=("$@")
	[ "${CUSTOS_ALL:-0}" = 1 ] || SAMPLE=("${@:1 + (CUSTOS_SEED + ${#BACKEND}) % $#:1}")
}

# known TYPE: what is known of the key of that type, in the array KNOWN.
known() { KNOWN=(--key "$LAB/$1.key" --bytes "$LAB/content" --public "$LAB/$1.chain.pem"); }

# caught CODE COMMAND…: COMMAND, which is a run, again where it was over before everybody could be looked at; custos ended with CODE.
caught() {
	local code=$1 try
	shift
	for ((try = 0; try < 10; try++)); do
		"$@" || continue
		[ "$CODE" = "$code" ] || { cat "$LAB/out" "$LAB/err"; return 1; }
		return 0
	done
	return 1
}

# sign TYPE OPTION…: a request is signed with the key of that type.
sign() {
	known "$1"
	rm -f "$LAB/csr"
	residue_watch "${KNOWN[@]}" --seed "$CUSTOS_SEED" "${@:2}" -- csr create "$1" --subject CN=box.example.com --san dns:box.example.com -o "$LAB/csr"
}

# born TYPE OPTION…: a key is born that was never seen before, and learned by deploying it.
born() {
	local name apart=()
	name=born-$(openssl rand -hex 6)
	# its instants are as far apart as its primes take time
	[ "$1" = ec-p256 ] || apart=(--apart 2000)
	residue_watch --key "$LAB/$name.key" --learn "'$BATS_TEST_DIRNAME/learn' $name" --seed "$CUSTOS_SEED" "${apart[@]}" "${@:2}" -- key generate "$name" --type "$1" --class sealed
}

# drawn OPTION…: a key is born in a courier whose content key is known, and that is what is looked for.
drawn() { residue_watch --bytes "$LAB/content" --seed "$CUSTOS_SEED" "$@" -- key generate "drawn-$(openssl rand -hex 6)" --type ec-p256 --class sealed; }

states() { residue_verdict number "$REPORT" states; }

# found_at STATE LOCKED: a byte of the key was found in the courier at that state, before anywhere else.
found_at() { grep -Eq "\"process\": \"courier\", \"locked\": $2, [^}]*\"first_state\": \"$1\"" "$REPORT" || { cat "$LAB/err"; return 1; }; }

@test "a sealed key signs" {
	# Goal: decoded by libcrypto, an object of libcrypto's while it signs, and all of it on locked pages, gone when the signature is sent.
	for BACKEND in memfd_secret mlock; do
		for type in "${TYPES[@]}"; do
			caught 0 sign "$type" --every-state --random $INSTANTS
			residue_clean
			[[ $(states) == *"'started', 'signing', 'answer'"* ]]
			[ "$(residue_verdict number "$REPORT" courier.random)" -gt 0 ]
			residue_figures "sealed key signs, $type, $BACKEND"
		done
	done
}

# serve_another TYPE: the host serves another key than the one of that type, or none would come.
serve_another() {
	local other
	[ "$(lab_served box)" = "$(lab_leaf "$1")" ] || return 0
	for other in "${TYPES[@]}"; do
		[ "$other" != "$1" ] || continue
		custos_in deploy "$other" pkcs8 > /dev/null
		return
	done
}

@test "a sealed key is released" {
	# Goal: out of its container and into PEM it is as little outside locked pages as one that the token wrapped; and the token never had it.
	for BACKEND in memfd_secret mlock; do
		sampled "${TYPES[@]}"
		for type in "${SAMPLE[@]}"; do
			serve_another "$type"
			known "$type"
			residue_watch "${KNOWN[@]}" --every-state --random $INSTANTS --seed "$CUSTOS_SEED" -- deploy "$type" pkcs8
			[ "$CODE" = 0 ]
			[ "$(lab_served box)" = "$(lab_leaf "$type")" ]
			residue_clean
			[[ $(states) == *"'ready', 'key', 'stage key', 'switch', "*"'verify', 'persist', 'disarm', 'ended'"* ]]
			residue_figures "sealed key is released, $type, $BACKEND"
		done
	done
}

@test "custos-token opens a content key" {
	# Goal: 32 bytes that are known here only: the scanner finds them in custos-token's locked memory while it opens them, and nothing of them at its end.
	# What it finds beside is the figure for the token's own process, which is no promise. The keeper has none, the courier none that is not locked.
	local try seen=0
	BACKEND=mlock
	for ((try = 0; try < 10 && seen == 0; try++)); do
		caught 0 sign rsa-2048 --token-random 300 --random 100 --seed $((CUSTOS_SEED + try))
		# in the courier it is used up at once, so no sample need meet it there; where it must be met is custos-token, below
		residue_clean glimpse
		for figure in left_unlocked left_locked left_registers; do [ "$(residue_verdict number "$REPORT" token.$figure)" = 0 ]; done
		seen=$(residue_verdict number "$REPORT" token.locked)
	done
	[ "$seen" -ge 32 ]
	[ "$(residue_verdict number "$REPORT" token.random)" -gt 0 ]
	residue_figures "content key opened, $BACKEND"
}

@test "a sealed key is born" {
	# Goal: a key that nobody knows: what there was to read is kept, and searched when the first host has got it. Made, judged, encoded, tried and sealed on
	# locked pages, where it is found from its birth on, and gone when the keeper is told. custos-token, SoftHSM in it, never has a byte of it.
	for BACKEND in memfd_secret mlock; do
		# where the key can be found it must be
		if [ $BACKEND = mlock ]; then SAMPLE=("${TYPES[@]}"); else sampled "${TYPES[@]}"; fi
		for type in "${SAMPLE[@]}"; do
			caught 0 born "$type" --every-state --random $INSTANTS
			residue_clean
			# the second courier is the one that has the new key sign, out of its container
			[[ $(states) == *"'started', 'birth', 'answer', 'signing'"* ]]
			[ "$(residue_verdict number "$REPORT" kept)" -gt 1000000 ]
			for figure in unlocked locked; do [ "$(residue_verdict number "$REPORT" token.$figure)" = 0 ]; done
			[ "$BACKEND" != mlock ] || found_at birth true
			residue_figures "sealed key is born, $type, $BACKEND"
		done
	done
}

@test "a content key is drawn" {
	# Goal: the other end of it: in the courier that makes it, for one key, and seals it, it is on locked pages and gone when the keeper is told.
	residue_in_place_of "$residue_bin/residue_sloppy_known_content"
	for BACKEND in memfd_secret mlock; do
		caught 0 drawn --every-state --random $INSTANTS --token-random 1
		residue_clean
		[[ $(states) == *"'started', 'birth', 'answer', 'signing'"* ]]
		[ "$BACKEND" != mlock ] || found_at birth true
		residue_figures "content key drawn, $BACKEND"
	done
}

@test "the keeper is killed while its courier signs" {
	# Goal: nobody is there to be answered; the key is gone all the same.
	# shellcheck disable=SC2016  # $ is for the shell at the state
	local die='kill -KILL "$RESIDUE_KEEPER"'
	BACKEND=mlock
	caught 137 sign rsa-2048 --every-state --random 100 --at "signing:$die"
	residue_clean orphans
	residue_figures "the keeper is killed while a sealed key signs"
}

@test "a courier whose libcrypto has the ordinary heap is found dirty, at birth and when it signs" {
	# Goal: the scanner sees it, also when it knows the key only afterwards: libcrypto's objects are on its own heap, and secure memory is not for all of them.
	BACKEND=mlock
	residue_in_place_of "$residue_bin/residue_sloppy_secure_heap"
	caught 0 sign rsa-2048 --every-state --random 100
	residue_verdict dirty "$REPORT"
	found_at signing false
	residue_figures "control: secure heap when a sealed key signs"
	caught 0 born rsa-2048 --every-state --random 100
	residue_verdict dirty "$REPORT"
	found_at birth false
	residue_figures "control: secure heap when one is born"
}

# searched_late FILE HEAP LOCKED REGISTERS: what is found of a process that holds bytes of FILE at these places, when FILE's content is known only afterwards.
searched_late() {
	local figure
	rm -f "$BATS_TEST_TMPDIR/said"
	"$residue_bin/residue_planted" "$@" > "$BATS_TEST_TMPDIR/said" 3>&- &
	echo $! > "$BATS_TEST_TMPDIR/pid"
	disown $!
	lab_until test -s "$BATS_TEST_TMPDIR/said"
	"$residue_bin/residue_scan" --bytes "$LAB/late" --learn "cp '$1' '$LAB/late'" --json "$BATS_TEST_TMPDIR/json" --pid $! 2> /dev/null
	kill -KILL $!
	rm "$LAB/late" "$BATS_TEST_TMPDIR/pid"
	for figure in unlocked locked registers_section pin; do residue_verdict number "$BATS_TEST_TMPDIR/json" courier.$figure; done | paste -sd ' '
}

@test "what is searched afterwards is counted to the byte, and what is never learned is an error" {
	# Goal: the same numbers as of a search at once; and no clean report on a key that nobody knows in the end.
	openssl rand 1000 | tr -d '\0' | head -c 120 > "$LAB/random"
	[ "$(searched_late "$LAB/random" 24 40 16)" = "24 40 16 0" ]
	[ "$(searched_late "$LAB/random" 7 0 0)" = "0 0 0 0" ]
	[ "$(searched_late "$LAB/random" 0 104 0)" = "0 104 0 0" ]
	run "$residue_bin/residue_scan" --key "$LAB/none.key" --learn false -- true
	[ "$status" = 2 ]
	[[ $output == *"false failed"* ]]
	run "$residue_bin/residue_scan" --key "$LAB/none.key" --learn true -- true
	[ "$status" = 2 ]
	[[ $output == *"cannot open $LAB/none.key"* ]]
	run "$residue_bin/residue_scan" --learn true -- true
	[ "$status" = 2 ]
	run "$residue_bin/residue_scan" --key "$LAB/rsa-2048.key" --learn true -- true
	[ "$status" = 2 ]
	[[ $output == *"0 of 0 couriers were caught"* ]]
}

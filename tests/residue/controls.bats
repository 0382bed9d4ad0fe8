#!/usr/bin/env bats
# Goal: the scanner finds what is there, all of it and where it is, and calls a careless courier dirty; else its zeros prove nothing.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/residue/residue.bash
. "$BATS_TEST_DIRNAME/residue.bash"

setup_file() {
	residue_begin controls
	export LAB=$BATS_FILE_TMPDIR/lab
	residue_lab rsa-2048
	# no zero byte: what lies beside a planted stretch is zero, and would lengthen it by one if the file went on so
	openssl rand 1000 | tr -d '\0' | head -c 120 > "$LAB/random"
	[ "$(stat -c %s "$LAB/random")" = 120 ]
}

setup() { lab_env box; }

teardown() {
	[ ! -s "$BATS_TEST_TMPDIR/pid" ] || kill -KILL "$(cat "$BATS_TEST_TMPDIR/pid")" 2> /dev/null || true
}

teardown_file() { residue_end; }

# plant FILE HEAP LOCKED REGISTERS: a process that holds bytes of FILE at these places; its pid in $PLANTED.
plant() {
	[ ! -s "$BATS_TEST_TMPDIR/pid" ] || kill -KILL "$(cat "$BATS_TEST_TMPDIR/pid")"
	rm -f "$BATS_TEST_TMPDIR/said"
	"$residue_bin/residue_planted" "$@" > "$BATS_TEST_TMPDIR/said" 3>&- &
	PLANTED=$!
	# the shell would tell of its end
	disown "$PLANTED"
	echo "$PLANTED" > "$BATS_TEST_TMPDIR/pid"
	lab_until test -s "$BATS_TEST_TMPDIR/said"
}

# found OPTION…: "UNLOCKED LOCKED REGISTERS PIN" of the planted process.
found() {
	"$residue_bin/residue_scan" "$@" --json "$BATS_TEST_TMPDIR/json" --pid "$PLANTED" 2> "$BATS_TEST_TMPDIR/text"
	for figure in unlocked locked registers_section pin; do residue_verdict number "$BATS_TEST_TMPDIR/json" courier.$figure; done | paste -sd ' '
}

@test "planted bytes are counted to the byte: on the heap, on a locked page, in a vector register" {
	# Goal: three numbers that only a scanner that works can give, and none when there is nothing.
	plant "$LAB/random" 24 40 16
	[ "$(found --bytes "$LAB/random")" = "24 40 16 0" ]
	plant "$LAB/random" 8 0 0
	[ "$(found --bytes "$LAB/random")" = "8 0 0 0" ]
	plant "$LAB/random" 7 0 0
	[ "$(found --bytes "$LAB/random")" = "0 0 0 0" ]
	plant "$LAB/random" 0 0 16
	[ "$(found --bytes "$LAB/random")" = "0 0 16 0" ]
	plant "$LAB/random" 0 104 16
	[ "$(found --bytes "$LAB/random")" = "0 104 16 0" ]
	# a PIN is counted apart
	printf '%s' "$(cat "$LAB/pin")" > "$LAB/pin-bytes"
	plant "$LAB/pin-bytes" 12 0 0
	[ "$(found --pin "$LAB/pin")" = "0 0 0 12" ]
	[ "$(found --key "$LAB/rsa-2048-a.key")" = "0 0 0 0" ]
	echo "planted: 24 bytes on the heap, 40 on a locked page, 16 in a register: found 24, 40, 16" >> "$RESIDUE_FIGURES.txt"
}

# forms KEY DIR: the private numbers of an RSA key in each encoding that is looked for, and its public part, each a file.
forms() {
	openssl pkey -in "$1" -outform DER > "$2/pkcs8"
	openssl rsa -in "$1" -traditional -outform DER 2> /dev/null > "$2/pkcs1"
	openssl rsa -in "$1" -traditional 2> /dev/null > "$2/pkcs1-text"
	openssl pkey -in "$1" > "$2/pkcs8-text"
	openssl pkey -in "$1" -pubout > "$2/public-text"
	openssl pkey -in "$1" -pubout -outform DER > "$2/public"
	/usr/bin/python3 - "$2" <<-'END'
		import os, sys
		folder = sys.argv[1]
		for name in ("pkcs8", "pkcs1-text", "public"):
		    data = open(os.path.join(folder, name), "rb").read()
		    open(os.path.join(folder, name + "-reversed"), "wb").write(data[::-1])
		    for shift in range(4):
		        part = data[shift:]
		        words = b"".join(part[i:i + 4][::-1] for i in range(0, len(part) - 3, 4))
		        open(os.path.join(folder, "%s-words%d" % (name, shift)), "wb").write(words)
	END
}

@test "a whole key is found in every encoding, and its public half in none" {
	# Goal: numbers, limbs, swapped words at every alignment and PEM of both formats are nearly all covered; a modulus is no finding.
	mkdir "$BATS_TEST_TMPDIR/forms"
	forms "$LAB/rsa-2048-a.key" "$BATS_TEST_TMPDIR/forms"
	for form in "$BATS_TEST_TMPDIR"/forms/*; do
		[ "$(stat -c %s "$form")" -le 4096 ]
		plant "$form" "$(stat -c %s "$form")" 0 0
		bytes=$(found --key "$LAB/rsa-2048-a.key" | cut -d ' ' -f 1)
		# 896 bytes of private numbers; as text 1194 characters and the ends of lines among them
		case ${form##*/} in
		public*) [ "$bytes" = 0 ] ;;
		*text*) [ "$bytes" -ge 1150 ] && [ "$bytes" -le 1250 ] ;;
		# of a number whose words are swapped, what is left of the last word at either end makes no window
		*) [ "$bytes" -ge 850 ] && [ "$bytes" -le 896 ] ;;
		esac || { echo "${form##*/}: $bytes bytes"; return 1; }
		# another key's needles find nothing in it
		[ "$(found --key "$LAB/rsa-2048-b.key")" = "0 0 0 0" ]
	done
}

@test "what cannot be looked at is an error, not a clean report" {
	# Goal: exit 2 when no courier was caught, no key came, a state was never reached, or there is nothing to look for.
	run "$residue_bin/residue_scan" --key "$LAB/rsa-2048-a.key" -- true
	[ "$status" = 2 ]
	[[ $output == *"0 of 0 couriers were caught"* ]]
	run "$residue_bin/residue_scan" --key "$LAB/rsa-2048-a.key" -- custos deploy rsa-2048-a pkcs8 --dry-run
	[ "$status" = 2 ]
	[[ $output == *"no key came"* ]]
	run "$residue_bin/residue_scan" --key "$LAB/rsa-2048-a.key" --no-key --at "no such state:true" -- custos deploy rsa-2048-a pkcs8 --dry-run
	[ "$status" = 2 ]
	[[ $output == *"was never in state"* ]]
	run "$residue_bin/residue_scan" -- true
	[ "$status" = 2 ]
	run "$residue_bin/residue_scan" --key "$LAB/ca/root.pem" -- true
	[ "$status" = 2 ]
	printf '1234567\n' > "$LAB/short"
	run "$residue_bin/residue_scan" --pin "$LAB/short" -- true
	[ "$status" = 2 ]
}

@test "careless couriers are found dirty" {
	# Goal: plain malloc, libcrypto's secure heap alone, lazy binding: each leaves bytes where the real one leaves none.
	BACKEND=mlock
	for name in malloc secure_heap lazy eager; do
		sloppy=$residue_bin/residue_sloppy_$name
		[ -x "$sloppy" ]
		residue_in_place_of "$sloppy"
		residue_run rsa-2048 --every-state --random 200 -- "${IN_PLACE[@]}"
		residue_figures "control: sloppy $name"
		if [ $name = eager ]; then
			# the same as the lazy one but for its binding: what that one is dirty with is what lazy binding did
			run ! residue_verdict dirty "$REPORT"
		else
			residue_verdict dirty "$REPORT" || { echo "residue_sloppy_$name is called clean"; return 1; }
		fi
	done
}

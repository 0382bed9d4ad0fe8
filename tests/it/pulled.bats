#!/usr/bin/env bats
# Goal: a token that disappears, between two commands or at any call of one, and comes back: custos survives it, says which token and what to do, records what is to be
# recorded, keeps every key that it acknowledged, and the same command works when the token is there again.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), and root (a module must be root's). The module that pulls is tests/it/module/pulled.c.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab CUSTOS_SEED
	lab_new
	lab_host box
	lab_key one rsa-2048 dns:box.example.com
	lab_key two rsa-2048 dns:box.example.com
	lab_target box
	custos_in key allow one box > /dev/null
	custos_in key allow two box > /dev/null
	mkdir "$LAB/trace" "$LAB/out"
	install -m 0755 "$CUSTOS_BUILD/tests/pulled.so" "$LAB/pulled.so"
	sed -i "s|^  module: .*|  module: \"$LAB/pulled.so\"|" "$CUSTOS_DIR/custody.yaml"
	crash_seed 3>&2
}

setup() {
	RANDOM=$(((CUSTOS_SEED + BATS_TEST_NUMBER * 1009) % 32768))
	SERIAL=$(cat "$LAB/serial")
	TOKEN_DIR=$(softhsm_token_dir "$SERIAL")
	PULLED_MODULE=$(softhsm_module) PULLED_REPORT=$LAB/trace/pulled PULLED_COUNT=$LAB/trace/count
	export PULLED_MODULE PULLED_REPORT PULLED_COUNT
	lab_env box
}

teardown() {
	[ -z "${POINT:-}" ] || [ -n "${BATS_TEST_COMPLETED:-}" ] || echo "the token was pulled: $POINT (CUSTOS_SEED=$CUSTOS_SEED)"
	[ ! -d "$LAB/elsewhere" ] || mv "$LAB/elsewhere" "$TOKEN_DIR"
	[ ! -d "$LAB/softhsm/elsewhere" ] || mv "$LAB/softhsm/elsewhere" "$LAB/softhsm/tokens"
}

teardown_file() {
	lab_end
}

# calls_of COMMAND…: how many calls that need the token a run of COMMAND has (it is run).
calls_of() {
	"$@" > /dev/null || return
	cut -d ' ' -f 1 "$LAB/trace/count"
}

# pulled_at N COMMAND…: the token is gone from call N on. Sets RC and POINT; what it said is in $stderr.
pulled_at() {
	local n=$1
	shift
	rm -f "$LAB/trace/pulled"
	FROM=$(custos log checkpoint --json | lab_json '["entries"]')
	RC=0
	PULLED_AT=$n "$@" > "$LAB/trace/stdout" 2> "$LAB/trace/stderr" || RC=$?
	stderr=$(cat "$LAB/trace/stderr")
	# a run may come through with a call less than the one that was counted
	[ -s "$LAB/trace/pulled" ] || echo "$n never" > "$LAB/trace/pulled"
	POINT="$* at $(cat "$LAB/trace/pulled"), ${PULLED_RV:-removed}: exit $RC: $stderr"
	[ "$RC" = 0 ] || [ "$(cat "$LAB/trace/pulled")" != "$n never" ]
}

# names_it: a command that failed says so in one line, with the token, and in another what to do.
names_it() {
	if [ "$(cut -d ' ' -f 2 "$LAB/trace/pulled")" = C_GetSlotList ]; then
		says "no such token: serial $SERIAL is not among those of"
	elif [[ $stderr != *"no such token: serial $SERIAL"* ]]; then
		says "(serial $SERIAL) is gone or out of order: "
		[[ $stderr == "custos: error: token "*lab* ]]
	fi
	[[ $stderr == *"put it back"* ]]
	# nothing was found out about containers or KEKs
	[[ $stderr != *damaged* ]]
}

# recorded: a token that was lost after it had been opened is in the log, last of what this command wrote, unsigned until the next one.
recorded() {
	case $(cut -d ' ' -f 2 "$LAB/trace/pulled") in C_GetSlotList | C_OpenSession) return 0 ;; esac
	[[ $stderr != *"no such token"* && $stderr != *"cannot open a session"* ]] || return 0
	[ "$(lab_events "$FROM" | tail -n 1)" = token.failed ] || { lab_events "$FROM"; return 1; }
	[ "$(custos log show --from "$FROM" --json | lab_json '[-1]["reason"]' '[-1]["serial"]')" = "is gone or out of order $SERIAL" ]
	custos log verify > /dev/null
}

@test "key generate: pulled at any call, for each class; put back, the same command works" {
	# Goal: acknowledged is there, not acknowledged is not, and the name is free.
	local class calls n
	for class in deployable sign-only; do
		calls=$(calls_of custos_in key generate "count-$class" --type ec-p256 --class "$class")
		[ "$calls" -gt 80 ]
		echo "# key generate, $class: $(crash_sample 16 "$calls" | wc -l) of $calls calls" >&3
		for n in $(crash_sample 16 "$calls"); do
			pulled_at "$n" custos_in key generate "$class-$n" --type ec-p256 --class "$class"
			if [ "$RC" = 0 ]; then
				# it went when all was done: what was acknowledged is there
				custos_in key drill "$class-$n" > /dev/null
				continue
			fi
			[ "$RC" = 5 ]
			names_it
			recorded
			run ! custos key show "$class-$n"
			custos_in key generate "$class-$n" --type ec-p256 --class "$class" > /dev/null
			custos_in key drill "$class-$n" > /dev/null
		done
	done
	custos log verify > /dev/null
}

@test "every way a token has of being gone is told alike" {
	# Goal: not the return value decides what a person reads.
	local rv
	# CKR_DEVICE_REMOVED, TOKEN_NOT_PRESENT, SESSION_HANDLE_INVALID, SESSION_CLOSED, SLOT_ID_INVALID, DEVICE_ERROR, TOKEN_NOT_RECOGNIZED
	for rv in 0x32 0xe0 0xb3 0xb0 0x3 0x30 0xe1; do
		for n in 45 90; do
			PULLED_RV=$rv pulled_at "$n" custos_in key generate "never-$rv" --type ec-p256
			[ "$RC" = 5 ]
			names_it
			recorded
		done
	done
	# any other failure is told as what it is
	PULLED_RV=0x5 pulled_at 90 custos_in key generate never --type ec-p256
	[ "$RC" = 5 ]
	[[ $stderr == *CKR_GENERAL_ERROR* && $stderr != *"gone"* ]]
	[ "$(lab_events "$FROM")" = "" ]
}

@test "csr create: pulled at sampled calls" {
	# Goal: a request is written whole and logged, or there is none; the next one is made.
	local calls n
	calls=$(calls_of custos_in csr create one --subject CN=box.example.com --san dns:box.example.com)
	for n in $(crash_sample 10 "$calls"); do
		pulled_at "$n" custos_in csr create one --subject CN=box.example.com --san dns:box.example.com -o "$LAB/out/$n.csr"
		if [ "$RC" != 0 ]; then
			[ "$RC" = 5 ]
			names_it
			recorded
			[ ! -e "$LAB/out/$n.csr" ]
			custos_in csr create one --subject CN=box.example.com --san dns:box.example.com -o "$LAB/out/$n.csr" > /dev/null
		fi
		openssl req -in "$LAB/out/$n.csr" -noout -verify 2> /dev/null
	done
	custos log verify > /dev/null
}

# other_key: of the two keys the one that the host does not serve.
other_key() { if [ "$(lab_served box)" = "$(lab_leaf one)" ]; then echo two; else echo one; fi; }

@test "deploy: pulled at sampled calls; the host is whole, the outcome is in the log, the next release succeeds" {
	# Goal: before the intent nothing is released; after it the outcome is recorded, unsigned if need be, and nobody has to be asked.
	local calls n key leaf before
	calls=$(calls_of custos_in deploy "$(other_key)" box)
	for n in $(crash_sample 8 "$calls"); do
		key=$(other_key) leaf=$(lab_leaf "$key") before=$(lab_served box)
		pulled_at "$n" custos_in deploy "$key" box
		crash_await_host box
		echo "# deploy, at $(cat "$LAB/trace/pulled"): exit $RC, $(lab_events "$FROM" | paste -sd ' ')" >&3
		case $RC in
		0) crash_host_is_whole box "$leaf" ;;
		5 | 12) crash_host_is_whole box "$before" ;;
		*) return 1 ;;
		esac
		[[ $RC = 0 || $stderr == *"$SERIAL"* ]]
		custos log verify > /dev/null
		[ -z "$(crash_open_intents)" ]
		custos status --check > /dev/null
		custos_in deploy "$key" box > /dev/null
		crash_host_is_whole box "$leaf"
	done
}

@test "enroll: pulled at sampled calls; what was acknowledged is whole, the next run makes the rest, nothing twice" {
	# Goal: a list is gone on with, for both classes, also when the token went in the middle of a key that stays on it.
	local class calls n name list
	for class in deployable sign-only; do
		list=$LAB/out/$class
		enroll_list() {
			printf 'defaults: { type: ec-p256, class: %s }\nkeys:\n' "$class"
			for name in a b c d; do echo "  - { name: $1-$name, subject: \"CN=$1-$name.example.com\", san: [\"dns:$1-$name.example.com\"] }"; done
		}
		enroll_list "count-$class" > "$list.yaml"
		calls=$(calls_of custos_in enroll "$list.yaml" --out "$list")
		for n in $(crash_sample 5 "$calls"); do
			enroll_list "enroll-$class-$n" > "$list-$n.yaml"
			pulled_at "$n" custos_in enroll "$list-$n.yaml" --out "$list-$n" --jobs 2 --json
			if [ "$RC" != 0 ]; then
				grep -q "$SERIAL" "$LAB/trace/stdout" "$LAB/trace/stderr"
				recorded
			fi
			custos log verify > /dev/null
			custos_in enroll "$list-$n.yaml" --out "$list-$n" --json > "$LAB/trace/again"
			for name in a b c d; do
				openssl req -in "$list-$n/enroll-$class-$n-$name.csr" -noout -verify 2> /dev/null
				[ "$(openssl req -in "$list-$n/enroll-$class-$n-$name.csr" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d ' ' -f 1)" = \
					"$(custos key show "enroll-$class-$n-$name" --json | lab_json '["spki_sha256"]')" ]
				custos_in key drill "enroll-$class-$n-$name" > /dev/null
			done
		done
	done
}

@test "custos-token that is killed at work is in the log too, and what was asked of it is not" {
	# Goal: whatever ends the token process, the record says that it failed and in which way.
	local calls before n
	calls=$(crash_count custos-token custos --pin-source "file:$LAB/pin" key generate count-killed --type ec-p256 --class sign-only)
	for n in $(crash_sample 5 "$calls"); do
		before=$(custos log checkpoint --json | lab_json '["entries"]')
		POINT="custos-token killed at its call $n"
		run --separate-stderr crash_fault -p custos-token "$n" kill custos --pin-source "file:$LAB/pin" key generate "killed-$n" --type ec-p256 --class sign-only
		[ -n "$(crash_hit)" ] || continue
		[ "$status" = 5 ]
		[[ $stderr == *"ended by signal 9 while"* ]]
		case $stderr in
		# nothing had begun: there is nothing to record
		*"while opening the token"*) [ -z "$(lab_events "$before")" ] ;;
		*) [ "$(custos log show --from "$before" --json | lab_json '[-1]["event"]' '[-1]["reason"]')" = "token.failed ended unexpectedly" ] ;;
		esac
		run ! custos key show "killed-$n"
		custos log verify > /dev/null
		custos_in key generate "killed-$n" --type ec-p256 --class sign-only > /dev/null
	done
}

@test "SoftHSM's directory is away between two commands, and in the middle of one; nothing is made up in its place" {
	# Goal: the token's files are elsewhere for a while (a disk that is not mounted, a mistake): nothing is lost, nothing new is begun where they were.
	local before calls n
	before=$(lab_log_size)
	mv "$TOKEN_DIR" "$LAB/elsewhere"
	for command in "key generate never" "csr create one --subject CN=box.example.com --san dns:box.example.com" "key drill one" "deploy $(other_key) box"; do
		# shellcheck disable=SC2086  # a command is a list of words
		expect 5 custos_in $command
		says "serial $SERIAL"
		[ ! -e "$TOKEN_DIR" ]
	done
	custos key list > /dev/null
	custos log verify > /dev/null
	[ "$(lab_log_size)" = "$before" ]
	mv "$LAB/elsewhere" "$TOKEN_DIR"
	custos_in key drill --all > /dev/null
	calls=$(calls_of custos_in key generate count-away --type ec-p256 --class sign-only)
	for n in $(crash_sample 8 "$calls"); do
		PULLED_MOVE=$LAB/softhsm/tokens:$LAB/softhsm/elsewhere pulled_at "$n" custos_in key generate "away-$n" --type ec-p256 --class sign-only
		[ "$(cut -d ' ' -f 1 "$LAB/trace/pulled")" = "$n" ]
		[ ! -e "$LAB/softhsm/tokens" ]
		mv "$LAB/softhsm/elsewhere" "$LAB/softhsm/tokens"
		if [ "$RC" = 0 ]; then custos_in key drill "away-$n" > /dev/null; else run ! custos key show "away-$n"; fi
		custos log verify > /dev/null
		[ "$RC" = 0 ] || custos_in key generate "away-$n" --type ec-p256 --class sign-only > /dev/null
	done
	custos_in key drill --all > /dev/null
}

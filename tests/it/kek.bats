#!/usr/bin/env bats
# Goal: a KEK goes to its backup and comes back, and the custody with it: a second token, shares in files, shares on the screen; keys move from one KEK to the next, whoever interrupts
# them; and whoever comes with the wrong share, the wrong token, too little, or twice, gets nothing.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root, and opensc-pkcs11 (pkcs11-spy, pkcs11-tool).
# shellcheck disable=SC2030,SC2031  # each test is one shell
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/it/kek.bash
. "$BATS_TEST_DIRNAME/kek.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup() {
	export LAB=$BATS_TEST_TMPDIR/lab
	lab_new
	softhsm_new_pin "$LAB/pin2"
}

teardown() {
	lab_end
}

# ---- a second token ----

@test "a KEK that has none gets a backup by becoming another one, on a second token; the custody goes on with that token" {
	second_token spare
	serial=$SERIAL
	make_key web rsa-2048
	make_key mail ec-p384
	custos_in key generate own --type ec-p256 --class sign-only > /dev/null
	[[ $(custos status) == *"KEK: no backup"* ]]
	[ "$(kek_of 1 variant) $(kek_of 1 state) $(kek_of 1 backup)" = "local-only current null" ]
	expect 0 custos_in kek backup "token:pkcs11:token=spare" --backup-pin-source "file:$LAB/pin2" --reason "first backup" --json
	[ "$(lab_json '["generation"]' '["moved"]' '["retired"]' '["resumed"]' '["kek"]["variant"]' <<< "$output")" = "2 2 [1] false backed-up" ]
	[ "$(lab_events 4 | paste -sd ' ')" = "kek.generate_intent kek.backup_intent kek.generated key.rewrapped key.rewrapped kek.retire_intent kek.retired" ]
	[[ $(custos status) != *"no backup"* ]]
	[ "$(kek_of 2 kept_by)" = "token spare, serial $serial" ]
	[ "$(keks_on lab) $(keks_on spare)" = "1 1" ]
	expect 0 custos_in key drill --all
	# what is made from now on is under it too
	make_key late ec-p256
	custos log checkpoint > "$LAB/before"
	old_vkey=$(custos log checkpoint --json | lab_json '["vkey"]')
	# the old token is not there any more
	rm -r "$(softhsm_token_dir "$(cat "$LAB/serial")")"
	expect 5 custos_in key drill web
	expect 0 in_second kek restore --token pkcs11:token=spare --reason "the token is broken" --json
	[ "$(lab_json '["from"]' '["token"]["serial"]' '["left_behind"]' '["previous_vkey"]' <<< "$output")" = "token $serial [\"own\"] $old_vkey" ]
	new_vkey=$(lab_json '["vkey"]' <<< "$output")
	[ "$new_vkey" != "$old_vkey" ]
	[ "$(custos log checkpoint --json | lab_json '["vkey"]')" = "$new_vkey" ]
	for key in web mail late; do expect 0 in_second key drill "$key"; done
	expect 5 in_second key drill own
	in_second key generate newer --type ec-p256 > /dev/null
	expect 0 custos log verify
	# older checkpoints stay good
	expect 0 custos log verify --since "$LAB/before"
	# that token is the only one now
	[ "$(kek_of 2 variant) $(kek_of 2 backup)" = "restored null" ]
	[[ $(custos status) == *"KEK: no backup"* ]]
	expect 3 in_second kek restore --token pkcs11:token=spare --reason "again"
	says "is the one that this custody is bound to"
}

@test "made with its custody a KEK has its backup from the beginning, and says so" {
	second_token spare
	second_custody --kek-backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2"
	[ "$(lab_json '["kek"]["variant"]' '["kek"]["backup"]["receivers"][0]["serial"]' < "$LAB/init2.out")" = "backed-up $SERIAL" ]
	[ "$(lab_events | paste -sd ' ')" = "custody.genesis kek.generate_intent kek.backup_intent kek.generated" ]
	[ "$(custos log show --json | lab_json '[0]["kek"]')" = null ]
	make_key web ec-p256
	expect 0 custos_in key drill web
	expect 0 in_second kek restore --token pkcs11:token=spare --reason moved
	expect 0 in_second key drill web
	expect 0 custos log verify
}

@test "a token without the KEK, the same token, or none at all takes nobody's place, and nothing is left of the attempt" {
	second_token spare
	second_token stranger
	make_key web ec-p256
	expect 3 in_second kek restore --token pkcs11:token=spare --reason lost
	says "has no backup"
	custos_in kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2" --reason "first" > /dev/null
	whole=$(tree_of "$CUSTOS_DIR")
	objects=$(objects_on stranger)
	expect 5 in_second kek restore --token pkcs11:token=stranger --reason lost
	says "the backup of the KEK is not on that token"
	expect 3 custos_in kek restore --token pkcs11:token=lab --reason lost
	says "is the one that this custody is bound to"
	expect 5 in_second kek restore --token pkcs11:token=nobody --reason lost
	expect 2 in_second kek restore --token pkcs11:token=spare
	says "say why"
	expect 2 in_second kek restore --reason lost
	expect 4 custos --pin-source "file:$LAB/so-pin" kek restore --token pkcs11:token=spare --reason lost
	# what is not wanted from a share in a file
	expect 2 in_second kek restore --token pkcs11:token=spare --reason lost --share nowhere
	[ "$(tree_of "$CUSTOS_DIR")" = "$whole" ]
	[ "$(objects_on stranger)" = "$objects" ]
	expect 0 custos_in key drill web
	# nor does one backup go to the token it comes from, to one that is there twice, or without its PIN
	expect 3 custos_in kek backup token:pkcs11:token=lab --backup-pin-source "file:$LAB/pin" --reason again
	says "that would be no backup"
	expect 6 custos_in kek backup token:pkcs11: --backup-pin-source "file:$LAB/pin2" --reason again
	expect 4 custos_in kek backup token:pkcs11:token=stranger --backup-pin-source "file:$LAB/so-pin" --reason again
	expect 2 custos_in kek backup token:pkcs11:token=stranger --backup-pin-source "file:$LAB/pin2"
	says "say why"
	expect 2 custos_in kek backup none --share-dir . --reason again
	expect 2 custos_in kek backup somewhere --reason again
	expect 2 custos_in kek backup token:pkcs11:token=stranger --custodian file --reason again
	[ "$(lab_events | tail -n 1)" = key.drilled ]
	[ "$(keks_on lab) $(keks_on spare) $(keks_on stranger)" = "1 1 0" ]
}

@test "two histories after one restore: either is refused by whoever remembers the other" {
	second_token spare
	make_key web ec-p256
	custos_in kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2" --reason first > /dev/null
	custos log checkpoint > "$LAB/common"
	cp -a "$CUSTOS_DIR" "$LAB/copy"
	in_second kek restore --token pkcs11:token=spare --reason "said to be lost" > /dev/null
	custos log checkpoint > "$LAB/new"
	new_vkey=$(custos log checkpoint --json | lab_json '["vkey"]')
	# somebody has the old token, its PIN and a copy of the custody
	export CUSTOS_DIR=$LAB/copy
	expect 0 custos_in key drill web
	old_vkey=$(custos log checkpoint --json | lab_json '["vkey"]')
	custos log checkpoint > "$LAB/old"
	expect 0 custos log verify
	expect 0 custos log verify --since "$LAB/common"
	expect 13 custos log verify --since "$LAB/new"
	custos log publish "$LAB/published-old" > /dev/null
	export CUSTOS_DIR=$LAB/custody
	in_second key drill web > /dev/null
	expect 0 custos log verify
	expect 0 custos log verify --since "$LAB/common"
	expect 0 custos log verify --since "$LAB/new"
	expect 13 custos log verify --since "$LAB/old"
	# to somebody outside it is the vkey that tells them apart
	custos log publish "$LAB/published-new" > /dev/null
	expect 0 custos log verify --dir "$LAB/published-new" --vkey "$new_vkey"
	expect 0 custos log verify --dir "$LAB/published-new" --vkey "$new_vkey" --since "$LAB/common" --json
	[ "$(lab_json '["successions"][0]["vkey"]' <<< "$output")" = "$old_vkey" ]
	expect 13 custos log verify --dir "$LAB/published-new" --vkey "$new_vkey" --since "$LAB/old"
	says "it went on under another key"
	expect 13 custos log verify --dir "$LAB/published-new" --vkey "$old_vkey"
	expect 13 custos log verify --dir "$LAB/published-old" --vkey "$new_vkey"
	# a custody.yaml that names the old key again makes no custody of it
	cp "$LAB/copy/custody.yaml" "$CUSTOS_DIR/custody.yaml"
	expect 13 custos status
}

@test "each PIN goes to its own token, once" {
	second_token spare
	make_key web ec-p256
	sed -i 's|^  module: .*|  module: "pkcs11-spy.so"|' "$CUSTOS_DIR/custody.yaml"
	# what is made beside the custody afterwards is out of the module's reach
	mkdir "$LAB/spied"
	PKCS11SPY=$(softhsm_module) PKCS11SPY_OUTPUT=$LAB/spied/calls
	export PKCS11SPY PKCS11SPY_OUTPUT
	spied=$PKCS11SPY_OUTPUT
	logins() { grep -c ': C_Login$' "$spied" || true; }
	# nothing else than the terminal was named for the second token, and there is none
	expect 4 setsid -w custos --pin-source "file:$LAB/pin" kek backup token:pkcs11:token=spare --reason first
	says "there is no terminal"
	[ "$(logins)" = 1 ]
	run ! grep -q CKR_PIN_INCORRECT "$spied"
	: > "$spied"
	# the custody's own source in custody.yaml is for the custody's token
	printf 'pin: "file:%s"\n' "$LAB/pin" >> "$CUSTOS_DIR/custody.yaml"
	expect 4 setsid -w custos kek backup token:pkcs11:token=spare --reason first
	says "there is no terminal"
	run ! grep -q CKR_PIN_INCORRECT "$spied"
	: > "$spied"
	expect 4 custos kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin" --reason first
	[ "$(grep -c CKR_PIN_INCORRECT "$spied")" = 1 ]
	[ "$(logins)" = 2 ]
	: > "$spied"
	expect 0 custos kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2" --reason first
	[ "$(logins)" = 2 ]
	# nor is it for the token that takes the other one's place
	: > "$spied"
	expect 4 setsid -w custos kek restore --token pkcs11:token=spare --reason lost
	says "there is no terminal"
	[ "$(logins)" = 0 ]
	# two PINs at one terminal are two questions, each with the token's name
	second_token third
	expect 0 person "$LAB/seen" "PIN of token lab" "$(cat "$LAB/pin")\\n" "PIN of token third" "$(cat "$LAB/pin2")\\n" -- custos --pin-source tty kek backup token:pkcs11:token=third --reason second
	run ! grep -q "$(cat "$LAB/pin2")" "$LAB/seen"
}

# ---- shares ----

@test "any two of three custodians bring the KEK back to a new token; one, or two that do not belong together, do not" {
	custodians 3
	second_custody --kek-backup shares:2/3 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --custodian "$LAB/c3.pem" --share-dir "$LAB/shares"
	[ "$(stat -c %a "$LAB"/shares/* | sort -u)" = 600 ]
	[ "$(lab_json '["kek"]["backup"]["kind"]' '["kek"]["backup"]["threshold"]' < "$LAB/init2.out")" = "shares 2" ]
	set=$(kek_of 1 backup.set)
	[ "$(kek_of 1 kept_by)" = "any 2 of 3 shares, set $set" ]
	make_key web rsa-2048
	custos_in key generate own --type ec-p256 --class sign-only > /dev/null
	# shares of another custody, and of another set of the same one
	mkdir "$LAB/foreign" "$LAB/older"
	cp "$LAB"/shares/* "$LAB/older"
	softhsm_init_token foreign "$LAB/so-pin" "$LAB/pin" > /dev/null
	custos_in init "$LAB/foreign-custody" --token pkcs11:token=foreign --origin custody.example/foreign --kek-backup shares:2/3 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" \
		--custodian "$LAB/c3.pem" --share-dir "$LAB/foreign" > /dev/null
	rm "$LAB"/shares/*
	custos_in key rewrap --to-new-kek --kek-backup shares:2/3 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --custodian "$LAB/c3.pem" --share-dir "$LAB/shares" --reason "new custodians" > /dev/null
	second_token new
	objects=$(objects_on new)
	whole=$(tree_of "$CUSTOS_DIR")
	refused() { # CODE TEXT OPTION…
		expect "$1" setsid -w custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason lost "${@:3}"
		says "$2"
		[ "$(tree_of "$CUSTOS_DIR")" = "$whole" ]
		[ "$(objects_on new)" = "$objects" ]
	}
	share() { echo --share "$LAB/$1/share-$2.txt" --share-key "$LAB/c$3.key"; }
	# shellcheck disable=SC2046  # each is two options
	{
		refused 3 "no terminal"
		refused 3 "1 of the 2 shares that are needed are here" $(share shares 1 1)
		refused 6 "are both share 1" $(share shares 1 1) $(share shares 1 1)
		refused 6 "is of the set" $(share shares 1 1) $(share older 2 2)
		refused 3 "is a share of the custody custody.example/foreign" $(share shares 1 1) $(share foreign 2 2)
		refused 6 "does not open with that key" $(share shares 1 2) $(share shares 2 2)
		refused 6 "does not open with that key" $(share shares 1 1) $(share shares 2 1)
		refused 2 "each --share FILE needs" $(share shares 1 1) --share "$LAB/shares/share-2.txt"
		refused 6 "cannot open" $(share shares 1 1) $(share shares 4 1)
		# edited: the header, the number, the bytes below
		sed 's/^number: 2/number: 3/' "$LAB/shares/share-2.txt" > "$LAB/shares/share-7.txt"
		refused 13 "" $(share shares 1 1) $(share shares 7 2)
		sed '$s/^..../AAAA/' "$LAB/shares/share-2.txt" > "$LAB/shares/share-8.txt"
		refused 6 "does not open" $(share shares 1 1) $(share shares 8 2)
		sed "s/^set: .*/set: 00000000/" "$LAB/shares/share-2.txt" > "$LAB/shares/share-9.txt"
		refused 6 "is of the set" $(share shares 1 1) $(share shares 9 2)
		expect 0 in_second kek restore --token pkcs11:token=new --reason "token dropped" --json $(share shares 3 3) $(share shares 1 1)
	}
	[ "$(lab_json '["from"]' '["left_behind"]' <<< "$output")" = 'shares ["own"]' ]
	[ "$(custos log show --json | lab_json '[-1]["shares"]["numbers"]' '[-1]["from"]')" = "[1, 3] shares" ]
	expect 0 in_second key drill web
	expect 0 custos log verify
	# the shares are as good as before: a second time, to a third token, with all of them
	[ "$(kek_of 2 kept_by)" = "any 2 of 3 shares, set $(kek_of 2 backup.set)" ]
	second_token newer
	# shellcheck disable=SC2046
	expect 0 in_second kek restore --token pkcs11:token=newer --reason "again" $(share shares 1 1) $(share shares 2 2) $(share shares 3 3)
	expect 0 in_second key drill web
	expect 0 custos log verify
}

@test "a custodian's key that is locked is opened with its pass phrase, which is asked for once" {
	custodians 2
	printf 'correct horse\n' > "$LAB/phrase"
	printf 'battery staple\n' > "$LAB/wrong"
	chmod 600 "$LAB/phrase" "$LAB/wrong"
	openssl pkcs8 -topk8 -v2 aes-256-cbc -in "$LAB/c1.key" -passout "file:$LAB/phrase" -out "$LAB/locked.key"
	second_custody --kek-backup shares:2/2 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares"
	make_key web ec-p256
	second_token new
	both=(--share "$LAB/shares/share-1.txt" --share-key "$LAB/locked.key" --share "$LAB/shares/share-2.txt" --share-key "$LAB/c2.key")
	expect 4 in_second kek restore --token pkcs11:token=new --reason lost "${both[@]}" --pass-phrase "file:$LAB/wrong"
	says "the pass phrase does not open it"
	expect 4 setsid -w custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason lost "${both[@]}"
	expect 0 person "$LAB/seen" "pass phrase of $LAB/locked.key" 'correct horse\n' -- custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason lost "${both[@]}"
	run ! grep -q "correct horse" "$LAB/seen"
	expect 0 in_second key drill web
}

@test "what is no plan for shares is refused before anything is made" {
	custodians 3
	objects=$(objects_on lab)
	before=$(lab_log_size)
	openssl ecparam -name secp384r1 -genkey -noout -out "$LAB/p384.key"
	openssl pkey -in "$LAB/p384.key" -pubout -out "$LAB/p384.pem"
	mkdir "$LAB/full"
	: > "$LAB/full/share-2.txt"
	refused() { # CODE TEXT WHERE OPTION…
		expect "$1" setsid -w custos --pin-source "file:$LAB/pin" kek backup "$3" --reason try "${@:4}"
		says "$2"
	}
	all=(--custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --custodian "$LAB/c3.pem")
	for where in shares:1/3 shares:4/3 shares:0/0 shares:2/21 shares:2 shares:/3 shares:2/3x shares:-2/3 shares:; do refused 2 "shares" "$where" "${all[@]}" --share-dir "$LAB/shares"; done
	refused 3 "no terminal" shares:2/3
	refused 3 "no terminal" shares:2/3 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares"
	refused 2 "more custodians than shares" shares:2/2 "${all[@]}" --share-dir "$LAB/shares"
	refused 3 "are the same key" shares:2/2 --custodian "$LAB/c1.pem" --custodian "$LAB/c1.pem" --share-dir "$LAB/shares"
	refused 6 "holds a private key" shares:2/2 --custodian "$LAB/c1.key" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares"
	refused 6 "is not on P-256" shares:2/2 --custodian "$LAB/p384.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares"
	refused 6 "cannot open the directory" shares:2/3 "${all[@]}" --share-dir "$LAB/nowhere"
	refused 6 "is there already" shares:2/3 "${all[@]}" --share-dir "$LAB/full"
	refused 2 "says nothing for this backup" shares:2/3 "${all[@]}" --backup-module x
	[ "$(lab_log_size)" -eq "$before" ]
	[ "$(objects_on lab)" = "$objects" ]
	[ -z "$(ls -A "$LAB/shares")" ]
}

@test "shares on the screen come one at a time, each after its announcement, and go away; typed they make the KEK again" {
	lab_two
	seen=$LAB/seen
	expect 0 person "$seen" 'Next: share 1 of 2' '\n' 'press Enter' '\n' 'Next: share 2 of 2' '\n' 'press Enter' '\n' -- \
		custos --pin-source "file:$LAB/pin" init "$LAB/custody2" --token pkcs11:token=two --origin custody.example/two --kek-backup shares:2/2
	export CUSTOS_DIR=$LAB/custody2
	make_key web ec-p256
	shares_in "$seen" > "$LAB/written"
	[ "$(wc -l < "$LAB/written")" = 2 ]
	# on a screen of their own, which is cleared, and nothing of one is to be seen with the other
	/usr/bin/python3 - "$seen" "$LAB/written" <<-'END'
		import re, sys
		shown = open(sys.argv[1], "rb").read()
		screens = re.findall(rb"\x1b\[\?1049h(.*?)\x1b\[\?1049l", shown, re.S)
		assert len(screens) == 2, screens
		shares = [[g.encode() for g in line.split()] for line in open(sys.argv[2])]
		outside = re.sub(rb"\x1b\[\?1049h.*?\x1b\[\?1049l", b"", shown, flags=re.S)
		for number, (screen, share) in enumerate(zip(screens, shares)):
		    assert screen.startswith(b"\x1b[2J") and screen.endswith(b"\x1b[H\x1b[2J"), screen
		    assert all(group in screen for group in share if len(group) == 5)
		    assert not any(group in outside for group in share if len(group) == 5)
		    # what differs from share to share: both begin with version, set and threshold
		    assert not any(group in screens[1 - number] for group in share[2:] if len(group) == 5)
	END
	# nor is it anywhere else: not in what is kept, not in what was printed
	run ! grep -rqF "$(cut -d' ' -f5-6 < "$LAB/written" | head -n 1)" "$CUSTOS_DIR" "$LAB/softhsm"
	[[ $(custos log show --json | lab_json '[2]["receivers"]') == *'"screen": true'*'"screen": true'* ]]
	second_token new
	first=$(sed -n 1p "$LAB/written") second=$(sed -n 2p "$LAB/written")
	# a slip of the pen, the same one twice, lower case and without blanks: asked again, and told why
	slip=$(/usr/bin/python3 -c 'import sys; s = sys.argv[1]; i = 40 if s[40] != " " else 41; print(s[:i] + ("A" if s[i] != "A" else "B") + s[i + 1:])' "$first")
	expect 0 person "$LAB/typed" 'share 1 of 2 that are needed' "$slip\\n" 'that is no share' '' 'share 1 of 2' "$(tr '[:upper:]' '[:lower:]' <<< "$first" | tr -d ' ')\\n" \
		'share 1 is taken' '' 'share 2 of 2' "$first\\n" 'share 1 is here already' '' 'share 2 of 2' "$second\\n" -- \
		custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason "token dropped"
	# nobody who looks over a shoulder reads it there
	run ! grep -qiF "$(cut -d' ' -f5 <<< "$second")" "$LAB/typed"
	expect 0 in_second key drill web
	expect 0 custos log verify
}

@test "some in files, some on the screen; some from files, the rest from hands" {
	custodians 1
	expect 0 person "$LAB/seen" 'Next: share 2 of 3' '\n' 'press Enter' '\n' 'Next: share 3 of 3' '\n' 'press Enter' '\n' -- \
		custos --pin-source "file:$LAB/pin" kek backup shares:2/3 --custodian "$LAB/c1.pem" --share-dir "$LAB/shares" --reason first
	[ "$(ls "$LAB/shares")" = share-1.txt ]
	make_key web ec-p256
	shares_in "$LAB/seen" > "$LAB/written"
	second_token new
	# ended at the terminal: nothing has happened
	whole=$(tree_of "$CUSTOS_DIR") objects=$(objects_on new)
	expect 3 person "$LAB/typed" 'share 2 of 2' '\x03' -- \
		custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason lost --share "$LAB/shares/share-1.txt" --share-key "$LAB/c1.key"
	says "ended at the terminal"
	[ "$(tree_of "$CUSTOS_DIR") $(objects_on new)" = "$whole $objects" ]
	expect 0 person "$LAB/typed" 'share 2 of 2' "$(sed -n 2p "$LAB/written")\\n" -- \
		custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason lost --share "$LAB/shares/share-1.txt" --share-key "$LAB/c1.key"
	[ "$(custos log show --json | lab_json '[-1]["shares"]["numbers"]')" = "[1, 3]" ]
	expect 0 in_second key drill web
}

@test "whoever ends the giving out ends the KEK: the old one stays, shares that are out open nothing" {
	custodians 1
	make_key web ec-p256
	objects=$(objects_on lab)
	expect 3 person "$LAB/seen" 'Next: share 2 of 2' '\n' 'press Enter' '\x03' -- \
		custos --pin-source "file:$LAB/pin" kek backup shares:2/2 --custodian "$LAB/c1.pem" --share-dir "$LAB/shares" --reason first
	says "was not given out"
	[ "$(lab_events | tail -n 1)" = kek.backup_intent ]
	[ "$(kek_of 1 state) $(custos kek list --json | lab_json '[1:]')" = "current []" ]
	[ "$(objects_on lab)" = "$objects" ]
	expect 0 custos_in key drill web
	expect 0 custos log verify
	# and again, to the end; the file that is there is not written over
	expect 6 setsid -w custos --pin-source "file:$LAB/pin" kek backup shares:2/2 --custodian "$LAB/c1.pem" --share-dir "$LAB/shares" --reason again
	says "is there already"
	rm "$LAB/shares/share-1.txt"
	expect 0 person "$LAB/seen2" 'Next: share 2 of 2' '\n' 'press Enter' '\n' -- \
		custos --pin-source "file:$LAB/pin" kek backup shares:2/2 --custodian "$LAB/c1.pem" --share-dir "$LAB/shares" --reason again
	[ "$(keks_on lab)" = 1 ]
	expect 0 custos_in key drill web
	# the share of the set that came to nothing is not one of this set
	second_token new
	expect 3 person "$LAB/typed" 'share 2 of 2' "$(shares_in "$LAB/seen")\\n" 'is of the set' '' 'share 2 of 2' '\x03' -- \
		custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason lost --share "$LAB/shares/share-1.txt" --share-key "$LAB/c1.key"
	expect 0 person "$LAB/typed" 'share 2 of 2' "$(shares_in "$LAB/seen2")\\n" -- \
		custos --pin-source "file:$LAB/pin2" kek restore --token pkcs11:token=new --reason lost --share "$LAB/shares/share-1.txt" --share-key "$LAB/c1.key"
	expect 0 in_second key drill web
}

# ---- from one KEK to the next ----

@test "a move says what the new KEK is to have, what it leaves behind, and goes on where it stopped, without a second KEK" {
	second_token spare
	make_key web rsa-2048
	make_key mail ec-p256
	make_key gone ec-p256
	custos_in key export web -o "$LAB/web.old" > /dev/null
	custos_in key export gone -o "$LAB/gone.old" > /dev/null
	custos_in key destroy gone --reason "of no more use" > /dev/null
	expect 2 custos_in key rewrap --reason x
	expect 2 custos_in key rewrap --to-new-kek
	old=$(custos key show web --json | lab_json '["container_sha256"]')
	spki=$(custos key show web --json | lab_json '["spki_sha256"]')
	expect 0 custos_in key rewrap --to-new-kek --reason yearly --json
	[ "$(lab_json '["moved"]' '["exported"]' '["unrestorable"]' '["kek"]["variant"]' <<< "$output")" = '2 ["web"] ["gone"] local-only' ]
	[ "$(custos key show web --json | lab_json '["spki_sha256"]')" = "$spki" ]
	[ "$(custos key show web --json | lab_json '["container_sha256"]')" != "$old" ]
	# the old containers are of no use: not in the store, and there is nothing that opens them
	[ "$(in_store "SELECT count(*) FROM blob WHERE sha256 = ?" "$old")" = 0 ]
	expect 3 custos_in key restore "$LAB/gone.old"
	says "which is retired: nothing opens it any more"
	expect 3 custos_in key restore "$LAB/web.old"
	custos_in key export web -o "$LAB/web.new" > /dev/null
	[ "$(sed -n 's/^kek-generation: //p' "$LAB/web.old" "$LAB/web.new" | paste -sd ' ')" = "1 2" ]
	custos_in key destroy web --reason "by mistake" > /dev/null
	expect 0 custos_in key restore "$LAB/web.new"
	# with a backup once, it is not lost by saying nothing
	expect 0 custos_in kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2" --reason "a backup"
	before=$(lab_log_size)
	expect 2 custos_in key rewrap --to-new-kek --reason yearly
	says "say what the new one is to have"
	[ "$(lab_log_size)" = "$before" ]
	expect 0 custos_in key rewrap --to-new-kek --reason yearly --kek-backup none
	[ "$(kek_of 4 variant) $(kek_of 4 keys)" = "local-only 2" ]
	[ "$(keks_on lab)" = 1 ]
	[ "$(custos kek list --json | lab_json '[:3]' | grep -o '"state": "[a-z]*"' | sort | uniq -c | tr -s ' ')" = ' 3 "state": "retired"' ]
	expect 0 custos_in key drill --all
	expect 0 custos log verify
}

@test "a move that was killed half-way: everything works meanwhile, a backup has to wait, and it comes to its end" {
	second_token spare
	# more than are moved at once; what comes last moves last
	/usr/bin/python3 -c 'for i in range(33): print(f"- {{name: k{i}, type: ec-p256, subject: CN=k{i}.example.com, san: [\"dns:k{i}.example.com\"]}}")' > "$LAB/list.yaml"
	custos_in enroll "$LAB/list.yaml" --out "$LAB" > /dev/null
	lab_host host
	lab_target host
	for key in web web2; do
		lab_key "$key" rsa-2048 dns:host.example.com
		custos_in key allow "$key" host > /dev/null
		expect 0 custos_in deploy "$key" host
	done
	half_way
	[ "$(kek_of 1 state) $(kek_of 2 state)" = "old current" ]
	[ "$(custos status --json | lab_json '["kek"]["waiting"]')" = 3 ]
	expect 3 custos status --check
	expect 0 custos log verify
	expect 0 custos_in key drill --all
	# new keys of every kind go under the new KEK
	make_key fresh ec-p256
	openssl ecparam -name prime256v1 -genkey -noout -out "$LAB/import.pem"
	expect 0 custos_in key import imported "$LAB/import.pem" --reason "meanwhile"
	printf -- '- {name: enrolled, type: ec-p256, subject: CN=enrolled.example.com, san: ["dns:enrolled.example.com"]}\n' > "$LAB/one.yaml"
	expect 0 custos_in enroll "$LAB/one.yaml" --out "$LAB"
	for key in fresh imported enrolled; do [ "$(generation_of "$key")" = 2 ]; done
	# one that is under the old KEK still is destroyed, exported, brought back, and goes to its host
	stays=$(waiting_keys | head -n 1)
	custos_in key export "$stays" -o "$LAB/stays" > /dev/null
	custos_in key destroy "$stays" --reason "meanwhile" > /dev/null
	expect 0 custos_in key restore "$LAB/stays"
	[ "$(generation_of "$stays")" = 1 ]
	[ "$(generation_of web) $(generation_of web2)" = "1 1" ]
	expect 0 custos_in rollback host
	[ "$(lab_served host)" = "$(lab_leaf web)" ]
	expect 0 custos_in deploy web2 host
	# a backup has to wait: nothing new is begun before the old is at its end
	before=$(lab_log_size)
	expect 3 custos_in kek backup token:pkcs11:token=spare --backup-pin-source "file:$LAB/pin2" --reason "a backup"
	says "has not come to its end"
	[ "$(lab_log_size) $(keks_on spare)" = "$before 0" ]
	expect 0 custos_in key rewrap --to-new-kek --reason "on with it" --json
	[ "$(lab_json '["resumed"]' '["generation"]' '["retired"]' <<< "$output")" = "true 2 [1]" ]
	[ "$(keks_on lab)" = 1 ]
	expect 0 custos_in key drill --all
	expect 0 custos status --check
	[ "$(lab_events | grep -c kek.generated)" = 1 ]
	# hosts notice nothing of it
	[ "$(lab_served host)" = "$(lab_leaf web2)" ]
	expect 0 custos_in rollback host
	[ "$(lab_served host)" = "$(lab_leaf web)" ]
	expect 0 custos_in deploy web2 host
	expect 0 custos log verify
}

# ---- other tokens ----

need() {
	local what
	for what in "$@"; do
		if [ -n "$(type -P "$what")" ]; then continue; fi
		[ "${CI:-}" != true ] || { echo "$what is missing: nothing may be missing here"; return 1; }
		skip "$what is not installed (.ci/packages test)"
	done
}

# shellcheck disable=SC2016  # $1 is for the shell inside
@test "a token that cannot wrap is no place for a KEK or its backup: refused before anything is made" {
	need swtpm tpm2-abrmd tpm2_ptool tpm2_getrandom dbus-daemon pkcsslotd pkcsconf
	custodians 2
	before=$(tree_of "$CUSTOS_DIR")
	try_there() { # DIR: as a custody's token, and as the second one
		local shares=(--custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares") code=0
		custos --pin-source "file:$1/pin" init "$LAB/none" --token "$TOKEN_URI" --origin custody.example/none --kek-backup shares:2/2 "${shares[@]}" 2> "$LAB/first" || code=$?
		echo "$code" > "$LAB/codes"
		code=0
		custos --pin-source "file:$LAB/pin" kek backup "token:$TOKEN_URI" --backup-module "$CUSTOS_MODULE" --backup-pin-source "file:$1/pin" --reason try 2> "$LAB/then" || code=$?
		echo "$code" >> "$LAB/codes"
		code=0
		custos --pin-source "file:$1/pin" kek restore --token "$TOKEN_URI" --module "$CUSTOS_MODULE" --reason try 2> "$LAB/last" || code=$?
		echo "$code" >> "$LAB/codes"
	}
	export -f try_there
	for other in tpm2 opencryptoki; do
		"$here/tokens/$other" "$LAB/$other" bash -c 'try_there "$1"' - "$LAB/$other"
		[ "$(paste -sd ' ' "$LAB/codes")" = "3 3 3" ] || { cat "$LAB/codes" "$LAB/first" "$LAB/then" "$LAB/last"; return 1; }
		grep -q "cannot wrap keys: there is no KEK to back up" "$LAB/first"
		grep -q "cannot wrap keys: it is no place for a KEK" "$LAB/then"
		grep -q "cannot wrap keys: it is no place for a KEK" "$LAB/last"
		[ ! -e "$LAB/none" ]
		[ "$(tree_of "$CUSTOS_DIR")" = "$before" ]
	done
	[ -z "$(ls -A "$LAB/shares")" ]
}

# shellcheck disable=SC2016
@test "NSS keeps a backup and goes on with it; a KEK with a backup it cannot keep itself, which is known before anything is out" {
	need certutil
	custodians 2
	make_key web rsa-2048
	make_key mail ec-p384
	begin() { # DIR: NSS as the second token, then in the place of the first
		custos --pin-source "file:$LAB/pin" kek backup "token:$TOKEN_URI" --backup-module "$CUSTOS_MODULE" --backup-pin-source "file:$1/pin" --reason first &&
			custos --pin-source "file:$LAB/pin" key drill --all &&
			custos --pin-source "file:$1/pin" kek restore --token "$TOKEN_URI" --module "$CUSTOS_MODULE" --reason "to be seen" &&
			custos --pin-source "file:$1/pin" key drill --all &&
			custos --pin-source "file:$1/pin" key generate late --type ec-p256 && custos log verify &&
			custos --pin-source "file:$1/pin" key rewrap --to-new-kek --reason "and on with a KEK of its own" && custos --pin-source "file:$1/pin" key drill --all
	}
	export -f begin
	expect 0 "$here/tokens/nss" "$LAB/nss" bash -c 'begin "$1"' - "$LAB/nss"
	[ "$(kek_of 2 variant) $(kek_of 2 state) $(kek_of 3 variant) $(kek_of 3 keys)" = "restored retired local-only 3" ]
	size=$(lab_log_size)
	# the intent is all that comes of it: the KEK went nowhere
	expect 5 "$here/tokens/nss" "$LAB/nss" bash -c 'custos --pin-source "file:$1/pin" kek backup shares:2/2 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares" --reason shares' - "$LAB/nss"
	says "cannot keep a KEK that has a backup"
	[ "$(lab_events "$size")" = kek.generate_intent ]
	[ -z "$(ls -A "$LAB/shares")" ]
	expect 0 "$here/tokens/nss" "$LAB/nss" bash -c 'custos --pin-source "file:$1/pin" key drill --all && custos --pin-source "file:$1/pin" key rewrap --to-new-kek --reason again' - "$LAB/nss"
	# nor is a custody begun with one
	expect 5 "$here/tokens/nss" "$LAB/nss2" bash -c 'custos --pin-source "file:$1/pin" init "$LAB/none" --token "$TOKEN_URI" --origin custody.example/none --kek-backup shares:2/2 --custodian "$LAB/c1.pem" --custodian "$LAB/c2.pem" --share-dir "$LAB/shares"' - "$LAB/nss2"
	says "cannot keep a KEK that has a backup"
	[ ! -e "$LAB/none" ]
	[ -z "$(ls -A "$LAB/shares")" ]
	expect 0 custos log verify
}

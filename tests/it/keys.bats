#!/usr/bin/env bats
# Goal: the life of a key after its birth: drills, exports, the end with an honest verdict, and the way back; and whoever cheats with files or with the store.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and root.
# shellcheck disable=SC2030,SC2031  # each test is one shell
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"
# shellcheck source=tests/crash/crash.bash
. "$BATS_TEST_DIRNAME/../crash/crash.bash"

setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab CUSTOS_SEED
	lab_new
	crash_seed 3>&2
}

setup() {
	RANDOM=$(((CUSTOS_SEED + BATS_TEST_NUMBER * 1009) % 32768))
}

teardown() {
	[ -z "${BATS_TEST_COMPLETED:-}" ] || return 0
	[ -z "${POINT:-}" ] || echo "killed at $POINT (CUSTOS_SEED=$CUSTOS_SEED)"
	# what a test that failed has left waiting
	local pid
	for pid in ${keeper:-} ${destroyer:-} ${reader:-}; do kill -9 "$pid" 2> /dev/null || true; done
	if [ -p "$BATS_TEST_TMPDIR/gate" ]; then timeout 1 sh -c "echo > '$BATS_TEST_TMPDIR/gate'" || true; fi
}

teardown_file() {
	lab_end
}

key_of() { custos key show "$1" --json | lab_json "${@:2}"; }
container_of() { key_of "$1" '["container_sha256"]'; }
make_key() { custos_in key generate "$1" --type "${2:-ec-p256}" "${@:3}" > /dev/null; }
newest_event() { lab_events 0 | tail -n 1; }
newest_entry() { custos log show --from $(($(lab_log_size) - 1)) --json | lab_json "$@"; }

# in_store SQL [HASH]: what somebody with the file can do to the store.
in_store() {
	/usr/bin/python3 - "$CUSTOS_DIR/custody.db" "$@" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		for row in db.execute(sys.argv[2], [bytes.fromhex(h) for h in sys.argv[3:]]):
		    print(row[0].hex() if isinstance(row[0], bytes) else row[0])
		db.commit()
	END
}
has_blob() { [ "$(in_store "SELECT count(*) FROM blob WHERE sha256 = ?" "$1")" = 1 ]; }

# in_files HEX: do the store's files hold these bytes anywhere?
in_files() {
	/usr/bin/python3 - "$1" "$CUSTOS_DIR" <<-'END'
		import glob, sys
		sys.exit(0 if any(bytes.fromhex(sys.argv[1]) in open(f, "rb").read() for f in glob.glob(sys.argv[2] + "/custody.db*")) else 1)
	END
}

@test "a drill proves that a container opens, and says so in the log and in the status" {
	make_key drilled rsa-2048
	make_key drilled-too ec-p384
	custos_in key generate drilled-here --type ed25519 --class sign-only > /dev/null
	[ "$(key_of drilled '["drilled"]')" = null ]
	before=$(lab_log_size)
	objects=$(softhsm_count_objects "$(cat "$LAB/serial")")
	expect 0 custos_in key drill drilled --json
	[ "$(lab_json '[0]["key"]' '[0]["result"]' '[0]["log_index"]' <<< "$output")" = "drilled passed $before" ]
	[ "$(newest_entry '[0]["event"]' '[0]["key"]' '[0]["container_sha256"]')" = "key.drilled drilled $(container_of drilled)" ]
	expect 0 custos_in key drill --all --json
	[ "$(lab_json '[0]["result"]' '[1]["result"]' '[2]["result"]' '[2:]' <<< "$output" | cut -d' ' -f1-3)" = "passed passed passed" ]
	[ "$(lab_events $((before + 1)) | sort | uniq -c | tr -s ' ')" = " 3 key.drilled" ]
	[ "$(custos status --json | /usr/bin/python3 -c 'import json,sys; print(all(k["drilled"] and k["drill"]["result"] == "passed" for k in json.load(sys.stdin)["keys"]))')" = True ]
	# nothing is left on the token
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" = "$objects" ]
	expect 2 custos_in key drill
	expect 2 custos_in key drill drilled --all
	expect 6 custos_in key drill nobody
	says "no key named nobody"
}

@test "a drill that fails is an error of the right kind, is logged, and needs a person until one passes" {
	make_key torn
	make_key whole
	hash=$(container_of torn)
	# the container of another key under this one's hash
	in_store "UPDATE blob SET data = (SELECT data FROM blob WHERE sha256 = ?) WHERE sha256 = ?" "$(container_of whole)" "$hash"
	expect 13 custos_in key drill torn
	says "key torn failed its drill: the key's container in the store is not what the log says"
	[ "$(newest_entry '[0]["event"]' '[0]["key"]')" = "key.drill_failed torn" ]
	[ "$(key_of torn '["drill"]["result"]' '["drilled"]')" = "failed null" ]
	expect 3 custos status --check
	in_store "DELETE FROM blob WHERE sha256 = ?" "$hash"
	expect 13 custos_in key drill --all
	says "key torn failed its drill: the key's container is missing"
	# the others were tried all the same
	[ "$(key_of whole '["drill"]["result"]')" = passed ]
	# what is lost already can still be given up
	expect 0 custos_in key destroy torn --reason "its container is lost"
	expect 0 custos status --check
	expect 0 custos log verify
}

@test "an exported container is a text file that says what it is, and is logged" {
	make_key out rsa-2048
	before=$(lab_log_size)
	file=$BATS_TEST_TMPDIR/out.container
	expect 2 custos_in key export out
	expect 0 custos_in key export out -o "$file" --json
	[ "$(lab_json '["container_sha256"]' '["file"]' '["log_index"]' <<< "$output")" = "$(container_of out) $file $before" ]
	[ "$(newest_event)" = key.exported ]
	[ "$(stat -c %a "$file")" = 600 ]
	[ "$(sed -n 1,3p "$file")" = $'custos-container: 1\nname: out\ntype: rsa-2048' ]
	[ "$(sed -n 's/^log: //p' "$file")" = custody.example/lab ]
	[ "$(sed -n 's/^log-entry: //p' "$file")" = "$(key_of out '["log_index"]')" ]
	# what is below the header is the container, and nothing of it opens without the KEK
	[ "$(sed '1,/^$/d' "$file" | base64 -d | sha256sum | cut -d' ' -f1)" = "$(container_of out)" ]
	[ "$(sed -n 's/^public-key: //p' "$file" | base64 -d | openssl pkey -pubin -inform DER -noout -text | head -n 1)" = "Public-Key: (2048 bit)" ]
	expect 6 custos_in key export out -o "$file"
	says "cannot make $file"
	[ "$(newest_event)" = key.exported ]
	[ "$(lab_log_size)" -eq $((before + 1)) ]
	expect 6 custos_in key export out -o "$BATS_TEST_TMPDIR/nowhere/file"
	ln -s "$BATS_TEST_TMPDIR/elsewhere" "$BATS_TEST_TMPDIR/link"
	expect 6 custos_in key export out -o "$BATS_TEST_TMPDIR/link"
	[ ! -e "$BATS_TEST_TMPDIR/elsewhere" ]
	[ "$(lab_log_size)" -eq $((before + 1)) ]
	custos_in key generate stays --type ec-p256 --class sign-only > /dev/null
	expect 3 custos_in key export stays -o "$BATS_TEST_TMPDIR/stays"
	says "never leaves the token"
	[ ! -e "$BATS_TEST_TMPDIR/stays" ]
}

@test "a container that the store has lost comes back, after it has opened" {
	make_key lost
	file=$BATS_TEST_TMPDIR/lost.container
	custos_in key export lost -o "$file" > /dev/null
	expect 3 custos_in key restore "$file"
	says "nothing to restore"
	in_store "DELETE FROM blob WHERE sha256 = ?" "$(container_of lost)"
	expect 13 custos_in csr create lost --subject CN=lost.example.com --san dns:lost.example.com
	expect 0 custos_in key restore "$file" --json
	[ "$(lab_json '["name"]' '["state"]' '["restored"]["was"]' '["drill"]["result"]' <<< "$output")" = "lost active missing passed" ]
	[ "$(newest_event)" = key.restored ]
	expect 0 custos_in key drill lost
	expect 0 custos_in csr create lost --subject CN=lost.example.com --san dns:lost.example.com
	# damaged instead of missing
	in_store "UPDATE blob SET data = x'00' WHERE sha256 = ?" "$(container_of lost)"
	expect 0 custos_in key restore "$file"
	expect 0 custos_in key drill lost
	expect 0 custos log verify
}

@test "an edited file is refused, whatever was edited, and nothing is recorded" {
	make_key honest
	make_key other
	file=$BATS_TEST_TMPDIR/honest other=$BATS_TEST_TMPDIR/other bad=$BATS_TEST_TMPDIR/bad
	custos_in key export honest -o "$file" > /dev/null
	custos_in key export other -o "$other" > /dev/null
	hash=$(container_of honest)
	in_store "DELETE FROM blob WHERE sha256 = ?" "$hash"
	before=$(lab_log_size)
	refused() { # CODE TEXT, the file in $bad
		expect "$1" custos_in key restore "$bad"
		says "$2"
	}
	sed 's/^name: honest/name: other/' "$file" > "$bad"; refused 13 "is not what the log says of key other"
	sed 's/^name: honest/name: nobody/' "$file" > "$bad"; refused 13 "knows no container of that name"
	sed 's/^type: ec-p256/type: ec-p384/' "$file" > "$bad"; refused 13 "line 3"
	sed 's/^spki-sha256: ./spki-sha256: x/' "$file" > "$bad"; refused 13 "line 4"
	sed 's/^kek: ..../kek: 0000/' "$file" > "$bad"; refused 3 "is wrapped under the KEK 0000"
	sed 's/^kek-generation: 1/kek-generation: 2/' "$file" > "$bad"; refused 13 "line 6"
	sed 's/^container-sha256: ..../container-sha256: 0000/' "$file" > "$bad"; refused 6 "another container than its header says"
	sed 's/^log: .*/log: custody.example\/elsewhere/' "$file" > "$bad"; refused 3 "belongs to the custody custody.example/elsewhere"
	sed 's/^log-entry: .*/log-entry: 1/' "$file" > "$bad"; refused 13 "line 9"
	sed "s|^public-key: .*|$(grep ^public-key "$other")|" "$file" > "$bad"; refused 13 "not that of key honest"
	sed 's/^custos-container: 1/custos-container: 2/' "$file" > "$bad"; refused 6 "version"
	sed '2d' "$file" > "$bad"; refused 13 ""
	sed '3a\note: trust me' "$file" > "$bad"; refused 13 "line 4"
	sed '10a\note: trust me' "$file" > "$bad"; refused 13 "line 11"
	# the body of another key under this header, and with its hash put right in the header
	{ sed '/^$/q' "$file"; sed '1,/^$/d' "$other"; } > "$bad"; refused 6 "another container than its header says"
	sed -i "s/^container-sha256: .*/container-sha256: $(container_of other)/" "$bad"; refused 13 "line 7"
	# cut, prolonged, rewrapped, binary, empty, not one at all
	head -c -30 "$file" > "$bad"; refused 6 ""
	{ cat "$file"; echo QUJD; } > "$bad"; refused 6 ""
	{ sed '/^$/q' "$file"; sed '1,/^$/d' "$file" | tr -d '\n'; echo; } > "$bad"; refused 6 "lines that are not those"
	sed '/^$/q' "$file" > "$bad"; refused 6 "not base64"
	sed '/^$/Q' "$file" > "$bad"; refused 6 "does not end"
	{ head -n 3 "$file"; printf '\0'; tail -n +4 "$file"; } > "$bad"; refused 6 ""
	: > "$bad"; refused 6 "not an exported container"
	head -c 70000 /dev/zero > "$bad"; refused 6 "larger than"
	head -c 60000 /dev/urandom > "$bad"; refused 6 "not an exported container"
	bad=/nonexistent/file; refused 6 "cannot open"
	[ "$(lab_log_size)" -eq "$before" ]
	run ! has_blob "$hash"
	expect 0 custos_in key restore "$file"
	expect 0 custos_in key drill honest
}

@test "a file of a custody that looks alike is refused by its KEK" {
	# Goal: the same origin, the same name, the same place in the log; another custody on the same token.
	export CUSTOS_DIR=$BATS_TEST_TMPDIR/twin
	custos_in init "$CUSTOS_DIR" --token pkcs11:token=lab --origin custody.example/lab > /dev/null
	make_key drilled rsa-2048
	custos_in key export drilled -o "$BATS_TEST_TMPDIR/twin.container" > /dev/null
	export CUSTOS_DIR=$LAB/custody
	expect 3 custos_in key restore "$BATS_TEST_TMPDIR/twin.container"
	says "wrapped under the KEK"
	sed -i "s/^kek: .*/kek: $(custos log show --json | lab_json '[0]["kek"]["id"]')/" "$BATS_TEST_TMPDIR/twin.container"
	expect 13 custos_in key restore "$BATS_TEST_TMPDIR/twin.container"
}

@test "a destroyed key is gone from the store, says so everywhere, and can be brought back from an export only" {
	make_key ends
	file=$BATS_TEST_TMPDIR/ends.container
	custos_in key export ends -o "$file" > /dev/null
	hash=$(container_of ends)
	expect 2 custos_in key destroy ends
	says "say why"
	expect 0 custos_in key destroy ends --reason "of no more use" --json
	[ "$(lab_json '["verdict"]' '["object"]' '["deployed"]' '["exports"][0]' <<< "$output")" = "removed container [] $(newest_entry '[0]["exports"][0]')" ]
	[[ $output == *"the KEK still opens every copy"* && $output == *"backups of the store"* && $output == *"exported to a file"* && $output == *"until they are written over"* ]]
	[ "$(newest_entry '[0]["event"]' '[0]["verdict"]')" = "key.destroyed removed" ]
	[ "$(newest_entry '[0]["remaining"]')" = "$(lab_json '["remaining"]' <<< "$output")" ]
	[ "$(lab_events $(($(lab_log_size) - 2)) | paste -sd ' ')" = "key.destroy_intent key.destroyed" ]
	run ! has_blob "$hash"
	[ "$(key_of ends '["state"]' '["destruction"]["verdict"]' '["destruction"]["reason"]')" = "destroyed removed of no more use" ]
	for command in "csr create ends --subject CN=x --san dns:ends.example.com" "cert accept ends /dev/null" "cert show ends" "key drill ends" \
		"key export ends -o $BATS_TEST_TMPDIR/again" "key destroy ends --reason again" "key allow ends nowhere" "deploy ends nowhere"; do
		# shellcheck disable=SC2086
		expect 3 custos_in $command
		says "key ends was destroyed on"
	done
	# its name and its public key stay taken; --all leaves it out
	expect 3 custos_in key generate ends
	expect 0 custos_in key drill --all --json
	[[ $output != *'"ends"'* ]]
	expect 0 custos log verify
	expect 0 custos_in key restore "$file" --json
	[ "$(lab_json '["state"]' '["restored"]["was"]' <<< "$output")" = "active destroyed" ]
	expect 0 custos_in key drill ends
}

@test "a shredded container is nowhere in the store's files" {
	make_key shredded
	make_key beside
	hash=$(container_of shredded)
	bytes=$(in_store "SELECT data FROM blob WHERE sha256 = ?" "$hash")
	in_files "$bytes"
	# a reader holds the old pages in the journal: that is said, and the key is neither whole nor gone
	/usr/bin/python3 - "$CUSTOS_DIR/custody.db" > "$BATS_TEST_TMPDIR/reading" <<-'END' 3>&- &
		import sqlite3, sys, signal
		db = sqlite3.connect(sys.argv[1])
		db.execute("BEGIN")
		db.execute("SELECT count(*) FROM blob").fetchone()
		print("reading", flush=True)
		signal.pause()
	END
	reader=$!
	lab_until grep -q reading "$BATS_TEST_TMPDIR/reading"
	expect 7 custos_in key destroy shredded --shred --reason "in the wrong hands"
	says "keeps the journal"
	kill "$reader"
	wait "$reader" || true
	[ "$(key_of shredded '["state"]')" = destroying ]
	expect 3 custos_in key drill shredded
	says "has not come to its end"
	expect 0 custos_in key destroy shredded --shred --reason "in the wrong hands"
	[[ $output == *shredded* && $output == *"but the KEK still opens"* && $output == *"has freed"* ]]
	[ "$(lab_events 0 | grep -c destroy_intent)" -eq "$(lab_events 0 | grep -c key.destroyed)" ]
	run ! has_blob "$hash"
	run ! in_files "${bytes:0:64}"
	run ! in_files "${bytes: -64}"
	expect 0 custos_in key drill beside
}

@test "a sign-only key is destroyed on the token, both halves, and read back as gone" {
	objects=$(softhsm_count_objects "$(cat "$LAB/serial")")
	custos_in key generate local --type ec-p256 --class sign-only > /dev/null
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" -eq $((objects + 2)) ]
	expect 3 custos_in key destroy local --shred --reason "of no more use"
	says "cannot write over"
	expect 0 custos_in key destroy local --reason "of no more use" --json
	[ "$(lab_json '["verdict"]' '["object"]' <<< "$output")" = "removed token object" ]
	[ "$(softhsm_count_objects "$(cat "$LAB/serial")")" = "$objects" ]
	expect 3 custos_in key drill local
	says "was destroyed"
}

@test "a key that hosts serve is destroyed only when that is said, and the verdict names them" {
	lab_key served
	lab_host served
	lab_target served
	custos_in key allow served served > /dev/null
	expect 0 custos_in deploy served served
	expect 3 custos_in key destroy served --reason "retired"
	says "deployed to 1 target, one is served"
	[ "$(newest_event)" = release.done ]
	expect 0 custos_in key destroy served --reason "retired" --even-if-deployed --json
	[ "$(lab_json '["deployed"][0]' <<< "$output")" = served ]
	[[ $output == *"host served has the key in the clear"* ]]
	expect 3 custos_in deploy served served
	says "was destroyed"
	# what is not known to have ended is not destroyed either
	[ "$(lab_served served)" = "$(key_of served '["certificate"]["leaf_sha256"]')" ]
}

@test "whoever waited while a key was destroyed is told, and nothing is recorded on a key that is no more" {
	make_key raced
	mkfifo "$BATS_TEST_TMPDIR/gate"
	custos --pin-source "exec:read x < $BATS_TEST_TMPDIR/gate; cat $LAB/pin" key destroy raced --reason "first" > /dev/null 3>&- &
	destroyer=$!
	at_gate() { pgrep -P "$destroyer" -x sh > /dev/null; }
	lab_until at_gate
	# it has read the log, and waits for the token
	custos --pin-source "file:$LAB/pin" csr create raced --subject CN=raced.example.com --san dns:raced.example.com > /dev/null 2> "$BATS_TEST_TMPDIR/said" 3>&- &
	late=$!
	waits() { pgrep -P "$late" > /dev/null; }
	lab_until waits
	echo > "$BATS_TEST_TMPDIR/gate"
	wait "$destroyer"
	status=0
	wait "$late" || status=$?
	[ "$status" -eq 3 ]
	grep -q "somebody changed this custody meanwhile" "$BATS_TEST_TMPDIR/said"
	[ "$(newest_event)" = key.destroyed ]
	expect 0 custos log verify
}

# killed COUNT COMMAND…: VICTIM (the keeper) is killed at COUNT sampled system calls of its own while COMMAND runs, each time on the custody as it was kept; `after_kill` is what must hold.
killed() {
	local count=$1 victim=${VICTIM:-custos} calls point
	shift
	crash_keep_custody
	calls=$(crash_count "$victim" custos --pin-source "file:$LAB/pin" "$@")
	[ "$calls" -gt 3 ]
	for point in $(crash_sample "$count" "$calls"); do
		crash_restore_custody
		rm -f "$LAB/new-file"
		POINT="$victim, $point of $calls of: $*"
		crash_fault -p "$victim" -v "$victim" "$point" kill custos --pin-source "file:$LAB/pin" "$@" > /dev/null 2>&1 || true
		expect 0 custos log verify
		after_kill
	done
	crash_restore_custody
}

@test "kill -9 at any point of a destruction: the key is whole, or going, or gone, and the command can be given again" {
	make_key killed
	custos_in key export killed -o "$LAB/killed.container" > /dev/null
	after_kill() {
		case $(key_of killed '["state"]') in
		active)
			expect 0 custos_in key drill killed
			expect 0 custos_in key destroy killed --reason "again"
			;;
		destroying)
			expect 3 custos_in key drill killed
			expect 0 custos_in key destroy killed --reason "again"
			;;
		destroyed)
			expect 3 custos_in key destroy killed --reason "again"
			;;
		*) false ;;
		esac
		run ! has_blob "$(container_of killed)"
		expect 0 custos_in key restore "$LAB/killed.container"
	}
	killed 12 key destroy killed --shred --reason "kill me"
}

@test "kill -9 at any point of an export or a restoration: nothing is half done" {
	make_key exported
	after_kill() {
		# never a file with something in it that the log does not know of
		[ ! -s "$LAB/new-file" ] || [ "$(lab_events 0 | tail -n 1)" = key.exported ]
		expect 0 custos_in key drill exported
	}
	killed 6 key export exported -o "$LAB/new-file"
	custos_in key export exported -o "$LAB/exported.container" > /dev/null
	custos_in key destroy exported --reason "to be restored" > /dev/null
	after_kill() {
		if [ "$(key_of exported '["state"]')" = active ]; then
			expect 3 custos_in key restore "$LAB/exported.container"
		else
			expect 3 custos_in key drill exported
			expect 0 custos_in key restore "$LAB/exported.container"
		fi
		expect 0 custos_in key drill exported
	}
	killed 8 key restore "$LAB/exported.container"
}

# ---- import ----

import_key() { custos_in key import "$1" "$2" --reason "moved here" "${@:3}"; }
spki_of_file() { openssl pkey -in "$1" "${@:2}" -pubout -outform DER | sha256sum | cut -d' ' -f1; }

@test "a key in any of the usual forms is adopted, proven, and never taken for one that was born here" {
	cd "$BATS_TEST_TMPDIR"
	printf 'correct horse\n' > phrase
	chmod 600 phrase
	openssl genrsa -out rsa.pem 2048
	openssl genrsa -traditional -out pkcs1.pem 3072
	openssl rsa -in pkcs1.pem -traditional -outform DER -out pkcs1.der
	openssl ecparam -name prime256v1 -genkey -out sec1.pem
	openssl ecparam -name secp384r1 -genkey -noout -outform DER -out sec1.der
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -outform DER -out pkcs8.der
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkcs8 -topk8 -v2 aes-256-cbc -passout file:phrase -out locked.pem
	openssl genrsa 4096 | openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 200000 -passout file:phrase -outform DER -out locked.der
	openssl genrsa 2048 | openssl rsa -traditional -aes256 -passout file:phrase -out legacy.pem
	# with its certificate around it, and with Windows line ends
	openssl req -x509 -newkey rsa:2048 -nodes -keyout bundle.key -subj /CN=bundle.example.com -out bundle.crt
	cat bundle.crt bundle.key bundle.crt | sed 's/$/\r/' > bundle.pem
	for file in rsa.pem pkcs1.pem sec1.pem sec1.der pkcs8.der locked.pem locked.der legacy.pem bundle.pem; do
		before=$(sha256sum "$file") size=$(lab_log_size) phrase=()
		case $file in locked.* | legacy.*) phrase=(-passin file:phrase) ;; esac
		expect 0 import_key "from-$file" "$file" --pass-phrase file:phrase --json
		[ "$(lab_json '["born"]' '["class"]' '["spki_sha256"]' '["state"]' <<< "$output")" = "file deployable $(spki_of_file "$file" "${phrase[@]}") active" ]
		[ "$(sha256sum "$file")" = "$before" ]
		[ "$(lab_events "$size" | paste -sd ' ')" = "key.import_intent key.imported" ]
	done
	expect 0 custos_in key drill --all
	# the same key in another form is the same key
	expect 3 import_key again pkcs1.der
	says "is in this custody already: it is from-pkcs1.pem"
	[ "$(custos key list --json | /usr/bin/python3 -c 'import json,sys; print(sorted({k["born"] for k in json.load(sys.stdin) if k["name"].startswith("from-")}))')" = "['file']" ]
	# where the file lies is said to the person, and not to the log
	openssl ecparam -name prime256v1 -genkey -noout -out told.pem
	expect 0 import_key told "$PWD/told.pem"
	[[ $output == *"the file $PWD/told.pem still holds the key"* ]]
	run ! grep -q told.pem <(custos log show --json)
	expect 0 custos log verify
	# it has to be a key of its own to be destroyed and stay so
	custos_in key destroy told --reason "of no use" > /dev/null
	expect 3 import_key told-again told.pem
	says "is told, which was destroyed"
}

@test "an adopted key is deployed like any other" {
	cd "$BATS_TEST_TMPDIR"
	openssl genrsa -out adopted.pem 2048
	import_key adopted adopted.pem > /dev/null
	custos_in csr create adopted --subject CN=adopted.example.com --san dns:adopted.example.com -o "$LAB/adopted.csr" > /dev/null
	lab_ca_sign "$LAB/ca" "$LAB/adopted.csr" "$LAB/adopted"
	custos_in cert accept adopted "$LAB/adopted.p7b" > /dev/null
	lab_host adopted
	lab_target adopted
	custos_in key allow adopted adopted > /dev/null
	expect 0 custos_in deploy adopted adopted
	[ "$(lab_served adopted)" = "$(lab_leaf adopted)" ]
}

@test "what is no key, or not one to keep, is refused, and the log does not move" {
	cd "$BATS_TEST_TMPDIR"
	printf 'wrong\n' > wrong
	printf 'right\n' > right
	chmod 600 wrong right
	size=$(lab_log_size)
	refused() { # CODE FILE TEXT [OPTION…]
		expect "$1" import_key refused "$2" "${@:4}"
		says "$3"
	}
	openssl genrsa -out good.pem 2048
	openssl genrsa -out short.pem 1024;                            refused 6 short.pem "too short"
	openssl genrsa -out odd.pem 2056;                              refused 6 odd.pem "unusual size"
	openssl genrsa -3 -out three.pem 2048;                         refused 6 three.pem "exponent below 65537"
	openssl genpkey -algorithm ed25519 -out ed.pem;                refused 6 ed.pem "another kind"
	openssl genpkey -algorithm RSA-PSS -out pss.pem;               refused 6 pss.pem "another kind"
	openssl ecparam -name secp256k1 -genkey -noout -out k1.pem;    refused 6 k1.pem "another curve"
	openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout -out explicit.pem; refused 6 explicit.pem ""
	ssh-keygen -q -t ecdsa -N '' -f ssh;                           refused 6 ssh "OpenSSH's own form"
	cat good.pem short.pem > two.pem;                              refused 6 two.pem "2 private keys"
	openssl pkey -in good.pem -pubout -out public.pem;             refused 6 public.pem "no private key"
	head -n 5 good.pem > cut.pem;                                  refused 6 cut.pem "has no end"
	sed '5d' good.pem > torn.pem;                                  refused 6 torn.pem "no private key in it that can be read"
	openssl pkey -in good.pem -outform DER -out good.der
	{ cat good.der; echo; } > trailing.der;                        refused 6 trailing.der "behind the private key"
	head -c 600 good.der > cut.der;                                refused 6 cut.der "no private key"
	head -c 5000 /dev/urandom > noise;                             refused 6 noise "no private key"
	printf -- '-----BEGIN PRIVATE KEY-----' > stub;                refused 6 stub "has no end"
	: > empty;                                                     refused 6 empty "not of a key's size"
	head -c 70000 /dev/zero > large;                               refused 6 large "not of a key's size"
	head -c 65000 /dev/zero | tr '\0' 'A' > wide;                  refused 6 wide "no private key"
	mkfifo pipe;                                                   refused 6 pipe "is not a file"
	refused 6 . "is not a file"
	refused 6 nowhere "cannot open"
	# an EC key with the public half of another: the numbers do not belong together
	openssl ecparam -name prime256v1 -genkey -noout -outform DER -out one.der
	openssl ecparam -name prime256v1 -genkey -noout -outform DER -out other.der
	{ head -c 56 one.der; tail -c 65 other.der; } > mixed.der;     refused 6 mixed.der "do not belong together"
	# a modulus that is changed in its middle
	/usr/bin/python3 -c 'import sys; b = bytearray(open("good.der", "rb").read()); b[100] ^= 2; open("bent.der", "wb").write(b)'; refused 6 bent.der "do not belong together"
	openssl pkcs8 -topk8 -in good.pem -passout file:right -out locked.pem
	refused 4 locked.pem "the pass phrase does not open it" --pass-phrase file:wrong
	openssl rsa -in good.pem -traditional -aes128 -passout file:right -out legacy.pem
	refused 4 legacy.pem "the pass phrase does not open it" --pass-phrase file:wrong
	expect 2 custos_in key import unreasoned good.pem
	says "say why"
	expect 2 custos_in key import 'No Name' good.pem --reason x
	[ "$(lab_log_size)" -eq "$size" ]
	# and the one that all of these are not
	expect 0 import_key refused good.pem
	expect 3 import_key refused right
	says "there is a key named refused already"
}

courier_of() { pgrep -P "$1" -x custos-courier; }
waits_for_phrase() { courier_of "$1" > /dev/null && pgrep -P "$1" -x sh > /dev/null; }

@test "the process that reads the key has no socket, no file and no way to open one; its death or its keeper's leaves nothing" {
	cd "$BATS_TEST_TMPDIR"
	printf 'right\n' > right
	chmod 600 right
	mkfifo gate
	openssl genrsa 2048 | openssl pkcs8 -topk8 -passout file:right -out locked.pem
	size=$(lab_log_size)
	wait_at_gate() {
		custos --pin-source "file:$LAB/pin" key import gated locked.pem --reason "moved here" --pass-phrase "exec:read x < gate; cat right" > out 2> said 3>&- &
		keeper=$!
		lab_until waits_for_phrase "$keeper"
		courier=$(courier_of "$keeper")
	}
	wait_at_gate
	# errors, the channel, the file, and nothing else that could be written to or sent through
	for fd in /proc/"$courier"/fd/*; do
		case ${fd##*/} in
		0 | 1) [ "$(readlink "$fd")" = /dev/null ] ;;
		2) ;;
		*) readlink "$fd" >> fds ;;
		esac
	done
	[ "$(sed 's/:.*//' fds | sort | paste -sd ' ')" = "$PWD/locked.pem socket" ]
	[ "$(sed -n 's/^Seccomp:\t//p' /proc/"$courier"/status)" = 2 ]
	[ "$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' /proc/"$courier"/status)" = 65534 ]
	kill -9 "$courier"
	echo > gate
	status=0
	wait "$keeper" || status=$?
	[ "$status" -eq 9 ]
	grep -q "has ended" said
	[ "$(lab_log_size)" -eq "$size" ]
	wait_at_gate
	kill -9 "$keeper"
	wait "$keeper" || true
	gone() { [ ! -e "/proc/$courier" ]; }
	lab_until gone
	# the program that was asked for the pass phrase stands at the gate still
	timeout 10 sh -c 'echo > gate'
	[ "$(lab_log_size)" -eq "$size" ]
	expect 0 import_key gated locked.pem --pass-phrase file:right
}

@test "kill -9 at any point of an import, of each of the three processes: the key is there and opens, or is not there" {
	openssl ecparam -name prime256v1 -genkey -noout -out "$LAB/killed.pem"
	after_kill() {
		if custos key show killed-import > /dev/null 2>&1; then
			expect 3 import_key killed-import "$LAB/killed.pem"
		else
			expect 0 import_key killed-import "$LAB/killed.pem"
		fi
		expect 0 custos_in key drill killed-import
	}
	VICTIM=custos killed 8 key import killed-import "$LAB/killed.pem" --reason "kill me"
	VICTIM=custos-courier killed 5 key import killed-import "$LAB/killed.pem" --reason "kill me"
	VICTIM=custos-token killed 5 key import killed-import "$LAB/killed.pem" --reason "kill me"
}

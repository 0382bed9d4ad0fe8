# shellcheck shell=bash
# Custodies with backups, for the tests of the life of a KEK. Sourced after lab.bash.
#
#   second_token LABEL           a further token with the PIN in $LAB/pin2; sets SERIAL
#   in_second …                  custos with that PIN
#   second_custody OPTION…       a custody $LAB/custody2 on a token "two" of its own (PIN in $LAB/pin), which becomes CUSTOS_DIR; init's report in $LAB/init2.out
#   custodians N                 key pairs $LAB/c1.key, $LAB/c1.pem, … and the directory $LAB/shares
#   person SEEN [TEXT KEYS]… -- COMMAND…   a person at a terminal, see terminal.py
#   shares_in SEEN               the shares that were shown, one a line
#   make_key NAME TYPE · kek_of GENERATION MEMBER · generation_of KEY · waiting_keys
#   keks_on LABEL · objects_on LABEL   how many KEKs, objects, the token holds
#   tree_of DIR                  one hash over what a custody is: its files by name, its binding, its log
#   in_store SQL [HASH]          what somebody with the file can do to the store
#   half_way                     a move to a new KEK whose keeper was killed when some keys had moved (crash.bash)

# shellcheck disable=SC2034  # for whoever sources this
second_token() { SERIAL=$(softhsm_init_token "$1" "$LAB/so-pin" "$LAB/pin2"); }
lab_two() { softhsm_init_token two "$LAB/so-pin" "$LAB/pin" > "$LAB/serial2"; }
make_key() { custos_in key generate "$1" --type "$2" > /dev/null; }
in_second() { custos --pin-source "file:$LAB/pin2" "$@"; }

serial_of() { custos token list --json | /usr/bin/python3 -c 'import json, sys; print(*[t["serial"] for t in json.load(sys.stdin) if t["label"] == sys.argv[1]])' "$1"; }
objects_on() { softhsm_count_objects "$(serial_of "$1")"; }
keks_on() {
	local pin=$LAB/pin2
	case $1 in lab | two) pin=$LAB/pin ;; esac
	pkcs11-tool --module "$(softhsm_module)" --token-label "$1" --login --pin "$(cat "$pin")" -O --type secrkey 2> /dev/null | grep -c 'label: *custos-kek-' || true
}

second_custody() {
	lab_two
	export CUSTOS_DIR=$LAB/custody2
	custos_in init "$CUSTOS_DIR" --token pkcs11:token=two --origin custody.example/two --json "$@" > "$LAB/init2.out"
}

custodians() {
	local i
	mkdir -p "$LAB/shares"
	for i in $(seq "$1"); do
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$LAB/c$i.key" 2> /dev/null
		openssl pkey -in "$LAB/c$i.key" -pubout -out "$LAB/c$i.pem"
	done
}

kek_of() {
	custos kek list --json | /usr/bin/python3 -c 'import json, sys
v = json.load(sys.stdin)[int(sys.argv[1]) - 1]
for member in sys.argv[2].split("."):
    v = (v or {}).get(member)
print("null" if v is None else v)' "$@"
}
generation_of() { custos key show "$1" --json | lab_json '["kek"]'; }
waiting_keys() {
	custos key list --json | /usr/bin/python3 -c 'import json, sys
for key in json.load(sys.stdin):
    if key.get("kek", 0) == 1 and key["state"] == "active":
        print(key["name"])'
}

tree_of() { { (cd "$1" && find . -type f ! -name '*-shm' ! -name '*-wal' ! -name release.lock | sort && cat custody.yaml) && custos -C "$1" log show --json; } | sha256sum; }

in_store() {
	/usr/bin/python3 - "$CUSTOS_DIR/custody.db" "$@" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		for row in db.execute(sys.argv[2], [bytes.fromhex(h) for h in sys.argv[3:]]):
		    print(row[0])
	END
}

# shellcheck disable=SC2154  # lab.bash sets here
person() { /usr/bin/python3 "$here/terminal.py" "$@"; }

# Each stands on two lines behind eight blanks, in groups of five.
shares_in() {
	/usr/bin/python3 - "$1" <<-'END'
		import re, sys
		for first, second in re.findall(rb"\n {8}([A-Z2-7 ]+)\r+\n {8}([A-Z2-7 ]+)\r+\n", open(sys.argv[1], "rb").read()):
		    print(first.decode(), second.decode())
	END
}

# Where between the two batches it is killed does not matter, so from the end on it is looked for.
half_way() {
	local calls part
	crash_keep_custody
	calls=$(crash_count custos custos --pin-source "file:$LAB/pin" key rewrap --to-new-kek --reason "to be killed")
	for part in $(seq 19 -1 1); do
		crash_restore_custody
		crash_fault -p custos $((calls * part / 20)) kill custos --pin-source "file:$LAB/pin" key rewrap --to-new-kek --reason "to be killed" > /dev/null 2>&1 || true
		[ "$(kek_of 2 state)" = current ] || continue
		[ "$(kek_of 1 keys)" = 0 ] || [ "$(kek_of 2 keys)" = 0 ] || return 0
	done
	echo "no kill hit between two batches"
	return 1
}

#!/usr/bin/env bats
# Goal: the log of a real custody, published, is verified by custos without token or store and by a Go program made of other people's packages; whoever
# edits, shortens, forks or puts back what was published is caught by both. The log itself has its own test (tlog.bats); here it comes from the tool.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), root, golang-go and golang-golang-x-mod-dev.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/it/lab.bash
. "$BATS_TEST_DIRNAME/lab.bash"

# A deployment, an early publication, more than one full tile of entries, the publication grown in place; and a fork: the same custody and token copied
# before the end and continued differently.
setup_file() {
	export LAB=$BATS_FILE_TMPDIR/lab VERIFY=$BATS_FILE_TMPDIR/verify DAMAGE_LOG=$CUSTOS_BUILD/it-tlog/damage_log
	(
		cd "$BATS_TEST_DIRNAME/tlog" || exit
		HOME="$BATS_FILE_TMPDIR" GOCACHE="$BATS_FILE_TMPDIR/gocache" GO111MODULE=off GOPATH=/usr/share/gocode GOPROXY=off go build -o "$VERIFY" verify.go
	)
	lab_new
	# the name that damage_log changes
	lab_key alice
	lab_host alice
	lab_target alice
	custos_in key allow alice alice > /dev/null
	custos_in deploy alice alice > /dev/null
	export PUBLISHED=$LAB/published EARLY=$LAB/early FORK=$LAB/fork.published FORK_CUSTODY=$LAB/fork/custody
	custos log publish "$PUBLISHED" > /dev/null
	cp -r "$PUBLISHED" "$EARLY"
	for _ in {1..250}; do custos_in key allow alice alice > /dev/null; done
	mkdir "$LAB/fork"
	cp -r "$CUSTOS_DIR" "$FORK_CUSTODY"
	cp -r "$LAB/softhsm" "$LAB/fork/softhsm"
	custos log checkpoint > "$LAB/common"
	in_fork key generate forked
	in_fork key generate forked2
	in_fork log publish "$FORK"
	for name in one two three; do custos_in key generate "$name" > /dev/null; done
	custos log publish "$PUBLISHED" > /dev/null
	VKEY=$(custos log checkpoint --json | lab_json '["vkey"]')
	export VKEY
}

setup() {
	DIR=$BATS_TEST_TMPDIR/published
	cp -r "$PUBLISHED" "$DIR"
}

teardown_file() {
	lab_end
}

in_fork() {
	sed "s|$LAB/softhsm|$LAB/fork/softhsm|" "$LAB/softhsm/softhsm2.conf" > "$LAB/fork/softhsm2.conf"
	SOFTHSM2_CONF=$LAB/fork/softhsm2.conf custos -C "$FORK_CUSTODY" --pin-source "file:$LAB/pin" "$@" > /dev/null
}

# Without a custody, a token or anything of them in the environment.
verify_dir() { env -u CUSTOS_DIR -u CUSTOS_MODULE -u SOFTHSM2_CONF custos log verify --dir "$@"; }

# accepted DIR [OLDER]: by both.
accepted() {
	expect 0 verify_dir "$1" --vkey "$VKEY" ${2:+--since "$2"} --json
	ours=$output
	expect 0 "$VERIFY" "$1" "$VKEY" ${2:+"$2"}
	theirs=$output
}

# refused CODE DIR VKEY [OLDER]: by both, custos with the exit code given.
refused() {
	expect "$1" verify_dir "$2" --vkey "$3" ${4:+--since "$4"}
	says ""
	[ -z "$output" ]
	expect 1 "$VERIFY" "$2" "$3" ${4:+"$4"}
}

tampered() {
	refused 13 "$DIR" "$VKEY"
	rm -r "$DIR"
	cp -r "$PUBLISHED" "$DIR"
}

@test "both accept it, with the root and the entries that the custody has" {
	# Goal: three programs, one tree: the custody's own, the published one by custos, the published one by Go.
	accepted "$PUBLISHED"
	custos log checkpoint --json > "$BATS_TEST_TMPDIR/own"
	root=$(lab_json '["root"]' < "$BATS_TEST_TMPDIR/own")
	size=$(lab_json '["size"]' < "$BATS_TEST_TMPDIR/own")
	[ "$size" -gt 256 ]
	[ "$(lab_json '["root"]' '["size"]' <<< "$ours")" = "$root $size" ]
	[[ $theirs == "verified: $size entries, root "* ]]
	[ "$(base64 -d <<< "${theirs##* root }" | od -An -tx1 | tr -d ' \n')" = "$root" ]
	[ "$(lab_json '["checkpoint"]' < "$BATS_TEST_TMPDIR/own")" = "$(cat "$PUBLISHED/checkpoint")" ]
	grep -qF "$VKEY" "$LAB/init.out"
	expect 0 custos log verify --json
	[ "$(lab_json '["root"]' <<< "$output")" = "$root" ]
	# the bundles, read by hand, hold what log show shows: each entry one line of sorted compact JSON
	custos log show --json > "$BATS_TEST_TMPDIR/shown"
	/usr/bin/python3 - "$PUBLISHED" "$BATS_TEST_TMPDIR/shown" <<-'END'
		import glob, json, os, struct, sys
		entries = []
		for path in sorted(glob.glob(sys.argv[1] + "/tile/entries/**", recursive=True)):
		    if os.path.isfile(path):
		        data = open(path, "rb").read()
		        while data:
		            size, = struct.unpack(">H", data[:2])
		            entries.append(data[2:2 + size])
		            data = data[2 + size:]
		shown = json.load(open(sys.argv[2]))
		assert len(entries) == len(shown), (len(entries), len(shown))
		for raw, entry in zip(entries, shown):
		    assert json.loads(raw) == entry
		    assert raw == json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(), raw
		events = [e["event"] for e in shown]
		assert events[0] == "custody.genesis" and events.index("release.done") == events.index("release.intent") + 1
	END
}

@test "an early publication, and the same directory grown, are both accepted" {
	# Goal: tiles that were published once stay as they are; a reader with the old checkpoint and the new tiles is served too.
	accepted "$EARLY"
	accepted "$PUBLISHED" "$EARLY/checkpoint"
	accepted "$PUBLISHED" "$LAB/common"
	accepted "$PUBLISHED" "$PUBLISHED/checkpoint"
	cp "$LAB/common" "$DIR/checkpoint"
	accepted "$DIR" "$EARLY/checkpoint"
	# publishing again what is there changes nothing
	sum() { (cd "$PUBLISHED" && find . -type f -exec sha256sum {} + | sort); }
	before=$(sum)
	custos log publish "$PUBLISHED"
	[ "$(sum)" = "$before" ]
}

@test "an edited entry, whatever was made to fit around it" {
	# Goal: alone, with its leaf hash, and with every hash up to the root; in the full tile and in the last one.
	for how in edit retile rebuild; do
		for index in 1 100 255 257; do
			"$DAMAGE_LOG" "$DIR" "$how" "$index"
			tampered
		done
	done
}

@test "entries exchanged, deleted, doubled, cut off, or with something behind them" {
	# Goal: the order and number of entries are as signed as their content.
	for how in swap drop double; do
		"$DAMAGE_LOG" "$DIR" "$how" 10
		tampered
	done
	truncate -s -1 "$DIR/tile/entries/000"
	tampered
	: > "$DIR/tile/entries/000"
	tampered
	printf 'x' >> "$DIR/tile/entries/000"
	tampered
	rm "$DIR/tile/entries/000"
	tampered
	rm "$DIR/tile/0/000"
	tampered
	printf 'x' | dd of="$DIR/tile/0/000" bs=1 seek=99 conv=notrunc status=none
	tampered
}

@test "a checkpoint of another size, root, name or signature" {
	# Goal: nothing but what the token's key signed.
	size=$(sed -n 2p "$DIR/checkpoint")
	for other in $((size - 1)) $((size + 1)) 0; do
		sed -i "2s/.*/$other/" "$DIR/checkpoint"
		tampered
	done
	sed -i "3s/.*/47DEQpj8HBSa+\/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=/" "$DIR/checkpoint"
	tampered
	sed -i '1s/.*/custody.example\/elsewhere/' "$DIR/checkpoint"
	tampered
	sed -i '5s/^\(.*\)\(....\)\(.\{40\}\)$/\1AAAA\3/' "$DIR/checkpoint"
	tampered
	sed -i '5d' "$DIR/checkpoint"
	tampered
	# the signature of an older checkpoint below the newest text
	{ sed -n 1,4p "$PUBLISHED/checkpoint"; sed -n 5p "$LAB/common"; } > "$DIR/checkpoint"
	tampered
}

@test "another custody's key and log" {
	# Goal: a log that is in order, but not of this custody, is refused: the verification key is the identity.
	softhsm_init_token other "$LAB/so-pin" "$LAB/pin" > /dev/null
	custos_in init "$LAB/other" --token pkcs11:token=other --origin custody.example/lab > /dev/null
	custos -C "$LAB/other" log publish "$BATS_TEST_TMPDIR/other" > /dev/null
	refused 13 "$BATS_TEST_TMPDIR/other" "$VKEY"
	other=$(custos -C "$LAB/other" log checkpoint --json | lab_json '["vkey"]')
	refused 13 "$PUBLISHED" "$other"
	expect 0 verify_dir "$BATS_TEST_TMPDIR/other" --vkey "$other"
	refused 6 "$PUBLISHED" "${VKEY}x"
	expect 2 verify_dir "$PUBLISHED"
	says "--vkey"
	refused 6 "$BATS_TEST_TMPDIR" "$VKEY"
	# and not over the other's directory
	expect 13 custos -C "$LAB/other" log publish "$DIR"
	accepted "$DIR"
}

@test "a fork is refused by whoever remembers a checkpoint" {
	# Goal: both branches are signed by the same key and each is in order; only memory tells, and it tells both verifiers and the custody itself.
	accepted "$FORK"
	accepted "$FORK" "$LAB/common"
	refused 13 "$FORK" "$VKEY" "$PUBLISHED/checkpoint"
	refused 13 "$PUBLISHED" "$VKEY" "$FORK/checkpoint"
	expect 0 custos log verify --since "$LAB/common"
	expect 13 custos log verify --since "$FORK/checkpoint"
	says "fork"
	# nor can it be published over the other branch, nor one entry of it be slipped in
	expect 13 custos -C "$FORK_CUSTODY" log publish "$DIR"
	expect 13 custos log publish "$FORK"
	accepted "$DIR"
	accepted "$FORK"
	cp "$FORK/checkpoint" "$DIR/checkpoint"
	tampered
}

@test "a store put back to an older state is refused by whoever remembers" {
	# Goal: the old copy is in order by itself; a remembered checkpoint, or the published directory, tells.
	cp -r "$FORK_CUSTODY" "$BATS_TEST_TMPDIR/c"
	/usr/bin/python3 - "$BATS_TEST_TMPDIR/c/custody.db" "$(sed -n 2p "$LAB/common")" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.execute("delete from entry where idx >= ?", (int(sys.argv[2]),))
		db.execute("delete from checkpoint where size > ?", (int(sys.argv[2]),))
		db.commit()
	END
	expect 0 custos -C "$BATS_TEST_TMPDIR/c" log verify
	expect 0 custos -C "$BATS_TEST_TMPDIR/c" log verify --since "$LAB/common"
	expect 13 custos -C "$BATS_TEST_TMPDIR/c" log verify --since "$PUBLISHED/checkpoint"
	expect 13 custos -C "$BATS_TEST_TMPDIR/c" log publish "$DIR"
	says "older state"
	accepted "$DIR"
	refused 13 "$EARLY" "$VKEY" "$PUBLISHED/checkpoint"
	# a remembered checkpoint that is none, that nobody signed, that is not there
	echo junk > "$BATS_TEST_TMPDIR/junk"
	expect 6 custos log verify --since "$BATS_TEST_TMPDIR/junk"
	sed '2s/.*/3/' "$LAB/common" > "$BATS_TEST_TMPDIR/forged"
	expect 13 custos log verify --since "$BATS_TEST_TMPDIR/forged"
	expect 6 custos log verify --since "$BATS_TEST_TMPDIR/nowhere"
}

@test "publishing goes to a directory of its own" {
	# Goal: nothing of somebody else is overwritten or mixed in, no file is left half written.
	mkdir "$BATS_TEST_TMPDIR/mine"
	echo precious > "$BATS_TEST_TMPDIR/mine/letter"
	expect 6 custos log publish "$BATS_TEST_TMPDIR/mine"
	[ "$(ls -A "$BATS_TEST_TMPDIR/mine")" = letter ]
	echo 'not a tile' > "$DIR/tile/entries/000"
	expect 13 custos log publish "$DIR"
	[ "$(cat "$DIR/tile/entries/000")" = 'not a tile' ]
	expect 2 custos log publish
	expect 0 custos log publish "$BATS_TEST_TMPDIR/fresh"
	run ! grep -rqF "$(cat "$LAB/pin")" "$BATS_TEST_TMPDIR/fresh"
	diff -r "$BATS_TEST_TMPDIR/fresh" "$PUBLISHED"
}

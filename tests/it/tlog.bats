#!/usr/bin/env bats
# Goal: what custos publishes is a log that other people's software verifies, and whoever touches a published log is caught by both verifiers:
# custos' own, and a Go program made of golang.org/x/mod/sumdb/{note,tlog} as Debian ships them.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), golang-go and golang-golang-x-mod-dev.

setup_file() {
	export MAKE_LOG="$CUSTOS_BUILD/it-tlog/make_log" CHECK_LOG="$CUSTOS_BUILD/it-tlog/check_log" DAMAGE_LOG="$CUSTOS_BUILD/it-tlog/damage_log"
	export SIZES="1 2 255 256 257 600 700"
	export LOGS="$BATS_FILE_TMPDIR/ed25519" LOGS_P256="$BATS_FILE_TMPDIR/p256" VERIFY="$BATS_FILE_TMPDIR/verify"
	(
		cd "$BATS_TEST_DIRNAME/tlog" || exit
		HOME="$BATS_FILE_TMPDIR" GOCACHE="$BATS_FILE_TMPDIR/gocache" GO111MODULE=off GOPATH=/usr/share/gocode GOPROXY=off go build -o "$VERIFY" verify.go
	)
	# shellcheck disable=SC2086
	"$MAKE_LOG" "$LOGS" ed25519 $SIZES
	# shellcheck disable=SC2086
	"$MAKE_LOG" "$LOGS_P256" p256 2 300
}

setup() {
	VKEY=$(cat "$LOGS/vkey")
	DIR="$BATS_TEST_TMPDIR/log"
	cp -r "$LOGS/700" "$DIR"
}

# Both say yes.
accepted() {
	run "$CHECK_LOG" "$@"
	[ "$status" -eq 0 ] || { echo "custos: $output"; return 1; }
	run "$VERIFY" "$@"
	[ "$status" -eq 0 ] || { echo "Go: $output"; return 1; }
}

# Both say no, custos with the exit code given, each in one line.
refused() {
	local code=$1
	shift
	run "$CHECK_LOG" "$@"
	[ "$status" -eq "$code" ] || { echo "custos says $status: $output"; return 1; }
	[ "${#lines[@]}" -eq 1 ] || { echo "custos: $output"; return 1; }
	run "$VERIFY" "$@"
	[ "$status" -eq 1 ] || { echo "Go says $status: $output"; return 1; }
	[ "${#lines[@]}" -eq 1 ] || { echo "Go: $output"; return 1; }
}

tampered() { refused 13 "$DIR" "$VKEY"; }

damage() { "$DAMAGE_LOG" "$DIR" "$@"; }

@test "every size is accepted by both" {
	for size in $SIZES; do
		accepted "$LOGS/$size" "$VKEY"
		[[ "$output" == "verified: $size entries, root "* ]]
	done
	accepted "$LOGS/fork" "$VKEY"
	accepted "$LOGS/other" "$(cat "$LOGS/other.vkey")"
	accepted "$LOGS/renamed" "$(cat "$LOGS/renamed.vkey")"
}

@test "a log signed with P-256 is accepted by both" {
	accepted "$LOGS_P256/2" "$(cat "$LOGS_P256/vkey")"
	accepted "$LOGS_P256/300" "$(cat "$LOGS_P256/vkey")"
	refused 13 "$LOGS_P256/other" "$(cat "$LOGS_P256/vkey")"
}

@test "both compute the same root" {
	run "$CHECK_LOG" "$DIR" "$VKEY"
	ours=$(sed -n 's/.*"root": "\([0-9a-f]*\)".*/\1/p' <<<"$output")
	run "$VERIFY" "$DIR" "$VKEY"
	theirs=$(base64 -d <<<"${output##* root }" | od -An -tx1 | tr -d ' \n')
	[ "${#ours}" -eq 64 ]
	[ "$ours" = "$theirs" ]
}

@test "an edited entry" {
	for n in 0 255 256 511 512 699; do
		rm -r "$DIR" && cp -r "$LOGS/700" "$DIR"
		damage edit $n
		tampered
	done
}

@test "an edited entry with its leaf hash made to fit" {
	damage retile 300
	tampered
	rm -r "$DIR" && cp -r "$LOGS/2" "$DIR"
	damage retile 0
	tampered
}

@test "an edited entry with every tile made to fit" {
	damage rebuild 300
	tampered
	rm -r "$DIR" && cp -r "$LOGS/700" "$DIR"
	damage rebuild 699
	tampered
}

@test "two entries exchanged" {
	damage swap 100
	tampered
}

@test "an entry deleted" {
	damage drop 100
	tampered
	rm -r "$DIR" && cp -r "$LOGS/700" "$DIR"
	damage drop 699
	tampered
}

@test "an entry doubled in place of its neighbour" {
	damage double 300
	tampered
}

@test "a truncated bundle" {
	for cut in 1 2 200; do
		rm -r "$DIR" && cp -r "$LOGS/700" "$DIR"
		truncate -s -$cut "$DIR/tile/entries/001"
		tampered
	done
	: > "$DIR/tile/entries/001"
	tampered
}

@test "bytes after the last entry" {
	printf '\0' >> "$DIR/tile/entries/000"
	tampered
	rm -r "$DIR" && cp -r "$LOGS/700" "$DIR"
	printf '\0\0' >> "$DIR/tile/entries/002.p/188"
	tampered
}

@test "a missing file" {
	for name in tile/entries/000 tile/entries/002.p/188 tile/0/001 tile/0/002.p/188 tile/1/000.p/2; do
		rm -r "$DIR" && cp -r "$LOGS/700" "$DIR"
		rm "$DIR/$name"
		tampered
	done
	rm "$DIR/checkpoint"
	refused 6 "$DIR" "$VKEY"
}

@test "a damaged hash tile" {
	for name in tile/0/000 tile/0/002.p/188 tile/1/000.p/2; do
		rm -r "$DIR" && cp -r "$LOGS/700" "$DIR"
		printf 'x' | dd of="$DIR/$name" bs=1 seek=40 conv=notrunc status=none
		tampered
		rm "$DIR/$name" && cp "$LOGS/700/$name" "$DIR/$name"
		printf 'x' >> "$DIR/$name"
		tampered
	done
}

@test "another size in the checkpoint" {
	for size in 699 701 0 070 9223372036854775808; do
		sed "2s/.*/$size/" "$LOGS/700/checkpoint" > "$DIR/checkpoint"
		tampered
	done
}

@test "another origin in the checkpoint" {
	sed '1s/.*/log.example.com\/elsewhere/' "$LOGS/700/checkpoint" > "$DIR/checkpoint"
	tampered
	# the other log's own, genuinely signed checkpoint
	cp "$LOGS/renamed/checkpoint" "$DIR/checkpoint"
	tampered
}

@test "another root in the checkpoint" {
	sed "3s/.*/47DEQpj8HBSa+\/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=/" "$LOGS/700/checkpoint" > "$DIR/checkpoint"
	tampered
}

@test "a damaged signature" {
	# a letter in the middle of the signature, the signature of another line, none at all
	sed '5s/^\(.*\)\(....\)\(.\{40\}\)$/\1AAAA\3/' "$LOGS/700/checkpoint" > "$DIR/checkpoint"
	run cmp -s "$LOGS/700/checkpoint" "$DIR/checkpoint"
	[ "$status" -eq 1 ]
	tampered
	{ sed -n 1,4p "$LOGS/700/checkpoint"; sed -n 5p "$LOGS/600/checkpoint"; } > "$DIR/checkpoint"
	tampered
	sed -n 1,4p "$LOGS/700/checkpoint" > "$DIR/checkpoint"
	tampered
	# the good signature and, beside it, a damaged one of the same key
	{ cat "$LOGS/700/checkpoint"; sed -n '5s/^\(.*\)\(....\)\(.\{40\}\)$/\1AAAA\3/p' "$LOGS/700/checkpoint"; } > "$DIR/checkpoint"
	run "$CHECK_LOG" "$DIR" "$VKEY"
	[ "$status" -eq 13 ]
}

@test "signatures of strangers are ignored, and do not count" {
	stranger=$(sed -n 5p "$LOGS/other/checkpoint" | sed 's/log.example.com\/custody/witness.example\/w/')
	{ cat "$LOGS/700/checkpoint"; echo "$stranger"; } > "$DIR/checkpoint"
	accepted "$DIR" "$VKEY"
	{ sed -n 1,4p "$LOGS/700/checkpoint"; echo "$stranger"; } > "$DIR/checkpoint"
	tampered
}

@test "another key under the same name" {
	refused 13 "$LOGS/other" "$VKEY"
	cp "$LOGS/other/checkpoint" "$DIR/checkpoint"
	tampered
	refused 13 "$LOGS/700" "$(cat "$LOGS/other.vkey")"
}

@test "a wrong verification key is said so" {
	refused 6 "$DIR" "${VKEY}x"
	refused 6 "$DIR" "hello"
}

@test "an older checkpoint before newer tiles is fine" {
	for size in 1 255 256 257 600; do
		cp "$LOGS/$size/checkpoint" "$DIR/checkpoint"
		accepted "$DIR" "$VKEY"
	done
	# but the tiles must still be those of its tree
	damage edit 10
	tampered
}

@test "a fork is seen by whoever remembers" {
	for size in 1 256 600 700; do
		accepted "$DIR" "$VKEY" "$LOGS/$size/checkpoint"
	done
	accepted "$LOGS/fork" "$VKEY" "$LOGS/600/checkpoint"
	refused 13 "$LOGS/fork" "$VKEY" "$LOGS/700/checkpoint"
	refused 13 "$DIR" "$VKEY" "$LOGS/fork/checkpoint"
	# the fork's checkpoint before these tiles, and its last tile before this checkpoint
	cp "$LOGS/fork/checkpoint" "$DIR/checkpoint"
	tampered
	cp "$LOGS/700/checkpoint" "$DIR/checkpoint"
	cp "$LOGS/fork/tile/entries/002.p/188" "$DIR/tile/entries/002.p/188"
	tampered
}

@test "a log that was put back is seen by whoever remembers" {
	accepted "$LOGS/600" "$VKEY"
	refused 13 "$LOGS/600" "$VKEY" "$LOGS/700/checkpoint"
}

@test "the entries tell which releases are open" {
	run "$CHECK_LOG" "$LOGS/2" "$VKEY"
	[ "$status" -eq 0 ]
	[[ "$(tr -d ' \n' <<<"$output")" == *'"open_releases":[1]'* ]]
}

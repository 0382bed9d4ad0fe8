# After host.sh, for looking only: everything that a deployment looks at before it changes anything, and what the profile reports. Each check stands for
# itself, so that one obstacle does not hide the next. Nothing is written, created or locked.

# KiB that are free in a directory, where df speaks POSIX and of just that directory; else nothing: some hosts list their datastores whatever is asked.
free_in() {
	df -Pk "$1" 2>/dev/null | {
		read -r head || exit 0
		case $head in *1024-blocks*) ;; *) exit 0;; esac
		read -r _ _ _ k _ at || exit 0
		case $k in ""|*[!0-9]*) exit 0;; esac
		case "$1/" in "${at%/}"/*) echo "$k";; esac
	}
}
# What room() proves by taking it, as far as it can be seen.
room_for() {
	[ -d "$2" ] || { [ "$1" = staging ] && die "the directory $2 is not there" "create it, or name another in the profile"; return 0; }
	[ -w "$2" ] || { [ "$HOW" = in-place ] && [ "$1" != staging ]; } || die "cannot write in $2 (full or read-only)" "$MAKE_ROOM"
	k=$(free_in "$2")
	[ -n "$k" ] || return 0
	n=$(($3 / 1024 + 1))
	say "$1.free=$k"; say "$1.needed=$n"
	[ "$k" -ge "$n" ] || die "no room in $2: $n KiB are needed, $k KiB are free" "$MAKE_ROOM"
}
report() {
	n=$((n + 1))
	say "report.$n=$( ( eval "$1" ) </dev/null 2>/dev/null | head -n 8 | cut -c1-200 | { a=; while IFS= read -r l; do a="$a${a:+; }$l"; done; printf "%s" "$a"; } )"
}
beside() { [ -z "$2" ] || { d=${2%/*}; room_for "$1" "${d:-/}" "$NEED"; }; }
inspect() {
	e=0
	[ ! -d "$L" ] || ( held ) || e=1
	( tools ) || e=1
	version
	( refusals ) || e=1
	( look certificate "$CERT" ) || e=1
	( look key "$KEY" ) || e=1
	( look combined "$BOTH" ) || e=1
	( room_for staging "$S" $((NEED * 3)) ) || e=1
	( beside certificate "$CERT" ) || e=1
	( beside key "$KEY" ) || e=1
	( beside combined "$BOTH" ) || e=1
	n=0
	reports
	return $e
}

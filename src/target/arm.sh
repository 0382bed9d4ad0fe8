# Starts the dead man's switch on the target host. $DEADMAN is the whole of the script that it runs; stdin and output are closed, so
# that the channel ends.
say() { printf "%s\n" "@@$N $1"; }
die() { say "why=$1"; exit 1; }
arm() {
	: >"$D/armed" || die "cannot write in $D"
	if command -v setsid >/dev/null 2>&1; then x=setsid; else x=; trap "" HUP; fi
	$x /bin/sh -c "$DEADMAN" </dev/null >/dev/null 2>&1 &
}

# Runs on the target host under its own sh (ash, dash, bash). Composed by script.c: assignments come before this text, one call after it.
# Lines that start with a number sign are not sent. Prints facts as "@@NONCE key=value"; never a byte of a key, never a key's hash.
say() { printf "%s\n" "@@$N $1"; }
die() { [ -z "$2" ] || say "hint=$2"; say "why=$1"; exit 1; }

MAKE_ROOM="make room there, or mount it writable"

hash() {
	if command -v sha256sum >/dev/null 2>&1; then sha256sum | cut -c1-64; else openssl dgst -sha256 | sed "s/.* //"; fi
}
same() {
	[ -f "$1" ] && [ -f "$2" ] || return 1
	h=$(hash <"$1")
	[ -n "$h" ] && [ "$h" = "$(hash <"$2")" ]
}
# busybox may lack stat -c; then the mode is put together from what ls prints
mode_of() {
	stat -c %a "$1" 2>/dev/null && return 0
	set -- $(ls -lnd "$1")
	p=$1 m=0 i=0
	for v in 400 200 100 40 20 10 4 2 1; do
		i=$((i + 1)); p=${p#?}
		case $p in
		[rwxst]*) m=$((m + 0$v));;
		esac
		case $i$p in
		3[sS]*) m=$((m + 04000));;
		6[sS]*) m=$((m + 02000));;
		9[tT]*) m=$((m + 01000));;
		esac
	done
	printf "%o\n" $m
}
owner_of() {
	stat -c %u:%g "$1" 2>/dev/null && return 0
	set -- $(ls -lnd "$1")
	echo "$3:$4"
}
own() { chown "$1" "$2" 2>/dev/null || [ "$(owner_of "$2")" = "$1" ]; }

# A command of the profile: no input, its output kept away from the channel so that a daemon it starts does not hold that open.
quietly() {
	o=/dev/null
	if [ -d "$D" ] && ( : >"$D/out" ) 2>/dev/null; then o="$D/out"; fi
	( eval "$1" ) </dev/null >"$o" 2>&1
	r=$?
	[ $r = 0 ] || [ $o = /dev/null ] || say "said=$(tail -n 3 "$o" | tr "\n\r\t" "   ")"
	return $r
}
holds() { ( eval "$1" ) </dev/null >/dev/null 2>&1; }

# A lock that is past its time holds nobody up.
held() {
	u=$(cat "$L/until" 2>/dev/null)
	[ "$(date +%s)" -gt "${u:-9999999999}" ] 2>/dev/null && return 0
	say "locked=yes"
	die "another deployment holds the lock $L on the host" "wait until it has ended; a lock that was left behind gives way by itself after a while"
}
lock() {
	if ! mkdir "$L" 2>/dev/null; then
		[ -d "$L" ] || die "cannot write in $S (full or read-only)" "$MAKE_ROOM"
		held
		rm -rf "$L"; mkdir "$L" || die "cannot take over the stale lock $L"
	fi
	{ echo $(($(date +%s) + W + 900)) >"$L/until" && echo "$N" >"$L/owner" && mkdir "$D"; } 2>/dev/null && return 0
	rm -rf "$L"
	die "cannot write in $S (full or read-only)" "$MAKE_ROOM"
}

refuse_if() { if holds "$1"; then say "refused=yes"; die "$2" "$3"; fi; }
writable() {
	( : >>"$1" ) 2>/dev/null && return 0
	[ "$(id -u)" != 0 ] && [ "$(owner_of "$1" | cut -d: -f1)" = "$(id -u)" ] && ! [ -w "$1" ]
}
look() {
	[ -n "$2" ] || return 0
	d=${2%/*}
	[ -d "${d:=/}" ] || die "the directory $d is not there" "is the server installed, and does the profile name its files?"
	if [ -L "$2" ] && [ "$HOW" = rename ]; then die "$2 is a symbolic link: name the file it points to in the profile"; fi
	if [ -e "$2" ]; then
		[ -f "$2" ] || die "$2 is not a regular file"
		say "$1.mode=$(mode_of "$2")"; say "$1.owner=$(owner_of "$2")"
		[ "$1" != certificate ] || say "certificate.sha256=$(hash <"$2")"
		[ "$HOW" = rename ] || writable "$2" || die "$2 cannot be written (read-only or not permitted)" "make it writable for the login user, and look whether something is mounted over it"
	else
		say "$1.mode=absent"
	fi
}
# Room is proven by taking it: df lies about RAM disks.
room() {
	f="$1/.custos-$N.room"
	if ! ( : >"$f" ) 2>/dev/null; then
		[ "$HOW" = in-place ] && [ "$1" != "$D" ] && return 0
		die "cannot write in $1 (full or read-only)" "$MAKE_ROOM"
	fi
	dd if=/dev/zero of="$f" bs=1024 count=$(($2 / 1024 + 1)) 2>/dev/null
	z=$(wc -c <"$f"); rm -f "$f"
	[ $((z)) -ge "$2" ] || die "no room in $1: $2 bytes are needed, $((z)) could be written" "$MAKE_ROOM"
}
# The log may name a copy that was never made: what another user has put there is none.
whole() {
	[ -f "$1/modes" ] || die "the backup $1 is not there any more"
	o=$(owner_of "$1")
	if [ -L "$1" ] || [ "${o%%:*}" != "$(id -u)" ]; then die "the backup $1 is not ours"; fi
}
tools() {
	for t in $TOOLS; do command -v "$t" >/dev/null 2>&1 || die "the program $t is not on the host" "install it there, or use a profile that does without"; done
	command -v sha256sum >/dev/null 2>&1 || command -v openssl >/dev/null 2>&1 || die "neither sha256sum nor openssl is on the host" "install one of them there"
}
version() { [ -z "$VERSION" ] || say "version=$( ( eval "$VERSION" ) </dev/null 2>/dev/null | head -n 1 | cut -c1-500)"; }
survey() {
	tools
	version
	refusals
	[ "$JOB" != rollback ] || whole "$PREV"
	look certificate "$CERT"; look key "$KEY"; look combined "$BOTH"
	[ "$1" = look ] && return 0
	room "$D" $((NEED * 3))
	for f in "$CERT" "$KEY" "$BOTH"; do [ -z "$f" ] || { d=${f%/*}; room "${d:-/}" "$NEED"; }; done
}

keep() {
	[ -n "$2" ] || return 0
	if [ -e "$2" ]; then
		cat "$2" >"$3/$1" && same "$2" "$3/$1" && [ "$(mode_of "$3/$1")" = 600 ] && echo "$1 $(mode_of "$2") $(owner_of "$2")" >>"$3/modes"
	else
		echo "$1 absent -" >>"$3/modes"
	fi
}
try() {
	B="$1/.custos-$T-$N"
	mkdir "$B" 2>/dev/null || return 1
	{ keep certificate "$CERT" "$B" && keep key "$KEY" "$B" && keep combined "$BOTH" "$B"; } 2>/dev/null && return 0
	rm -rf "$B"; return 1
}
backup() {
	places || die "no directory for the backup is usable"
	say "backup=$B"
}

# Either the bytes go into the file that is there, or a new file takes its name. A file that is there keeps mode and owner.
overwrite() {
	m=$(mode_of "$2")
	chmod u+w "$2" 2>/dev/null
	cat "$1" >"$2"; r=$?
	chmod "$m" "$2" 2>/dev/null
	return $r
}
ready() {
	if [ -e "$2" ]; then m=$(mode_of "$2") w=$(owner_of "$2"); else m=$3 w=$4; fi
	cat "$1" >"$2.custos-$N" && chmod "$m" "$2.custos-$N" && own "$w" "$2.custos-$N"
}
put() {
	if [ "$HOW" = in-place ] && [ -e "$2" ]; then overwrite "$1" "$2"; else ready "$1" "$2" "$3" "$4" && mv -f "$2.custos-$N" "$2"; fi
}
back() {
	[ -n "$2" ] || return 0
	set -- "$1" "$2" "$3" $(grep "^$1 " "$3/modes")
	[ "$4" = "$1" ] || return 1
	if [ "$5" = absent ]; then rm -f "$2"; [ ! -e "$2" ]; return; fi
	same "$3/$1" "$2" || put "$3/$1" "$2" "$5" "$6"
	[ "$(mode_of "$2")" = "$5" ] || chmod "$5" "$2"
	[ "$(owner_of "$2")" = "$6" ] || chown "$6" "$2"
	same "$3/$1" "$2" && [ "$(mode_of "$2")" = "$5" ]
}
restore() {
	# the dead man's switch was faster: the pair is back, and its copy gone
	[ ! -f "$1/went-back" ] || [ -e "$1/key" ] || [ -e "$1/combined" ] || return 0
	[ -f "$1/modes" ] || die "the backup $1 is not there any more"
	e=""
	back certificate "$CERT" "$1" || e=$CERT
	back key "$KEY" "$1" || e=$KEY
	back combined "$BOTH" "$1" || e=$BOTH
	[ -z "$e" ] || die "$e could not be put back from $1"
}

finish() {
	for f in "$CERT" "$KEY" "$BOTH"; do [ -z "$f" ] || rm -f "$f.custos-$N"; done
	rm -rf "$D"
	[ "$(cat "$L/owner" 2>/dev/null)" != "$N" ] || rm -rf "$L"
}
drop() { case $1 in */.custos-"$T"-*) rm -rf "$1";; esac; }

# The dead man's switch, in a session of its own. It acts only when it takes the flag itself, and puts files back only after a switch.
deadman() {
	i=0
	while [ $i -lt "$W" ]; do [ -f "$D/armed" ] || exit 0; sleep 1; i=$((i + 1)); done
	mv "$D/armed" "$D/fired" || exit 0
	if [ -f "$D/switched" ]; then
		: >"$B/went-back"
		# what is back in its place needs no copy with a key in it; the mark stays for whoever asks
		( restore "$B" ) && rm -f "$B/certificate" "$B/key" "$B/combined"
		ladder
		[ -z "$PERSIST" ] || quietly "$PERSIST"
		finish
	else
		finish; drop "$B"
	fi
}
stage_chain() {
	cat >"$D/chain" || die "cannot write in $D"
	[ "$(hash <"$D/chain")" = "$SUM" ] || die "what arrived in $D/chain is not what was sent"
}
stage_key() {
	[ -f "$D/armed" ] || die "the dead man's switch is not armed any more"
	cat >"$D/key" || die "cannot write in $D"
	z=$(wc -c <"$D/key")
	[ $((z)) -eq "$LEN" ] || die "what arrived in $D/key has $((z)) bytes instead of $LEN"
	[ -z "$BOTH" ] || cat "$D/chain" "$D/key" >"$D/both" || die "cannot write in $D"
	export CUSTOS_CERT="$D/chain" CUSTOS_KEY="$D/key"
	[ -z "$TEST" ] || quietly "$TEST" || die "the server's own test refused the new pair"
}
proof() { { stat -c "%Y %s %i" "$PROOF" || ls -lni "$PROOF"; hash <"$PROOF"; } 2>/dev/null; }
marks() {
	[ -f "$D/armed" ] || die "the dead man's switch is not armed any more"
	[ -z "$PROOF" ] || proof >"$D/proof"
	: >"$D/switched" || die "cannot write in $D"
}
switch() {
	marks
	if [ "$HOW" = rename ]; then
		[ -z "$CERT" ] || ready "$D/chain" "$CERT" "$CERT_MODE" "$CERT_OWNER" || die "cannot write beside $CERT"
		[ -z "$KEY" ] || ready "$D/key" "$KEY" "$KEY_MODE" "$KEY_OWNER" || die "cannot write beside $KEY"
		[ -z "$BOTH" ] || ready "$D/both" "$BOTH" "$BOTH_MODE" "$BOTH_OWNER" || die "cannot write beside $BOTH"
		for f in "$CERT" "$KEY" "$BOTH"; do [ -z "$f" ] || mv -f "$f.custos-$N" "$f" || die "cannot replace $f"; done
	else
		[ -z "$CERT" ] || put "$D/chain" "$CERT" "$CERT_MODE" "$CERT_OWNER" || die "cannot write $CERT"
		[ -z "$KEY" ] || put "$D/key" "$KEY" "$KEY_MODE" "$KEY_OWNER" || die "cannot write $KEY"
		[ -z "$BOTH" ] || put "$D/both" "$BOTH" "$BOTH_MODE" "$BOTH_OWNER" || die "cannot write $BOTH"
	fi
	[ -z "$CERT" ] || same "$D/chain" "$CERT" || die "$CERT does not hold what was written to it"
	[ -z "$KEY" ] || same "$D/key" "$KEY" || die "$KEY does not hold what was written to it"
	[ -z "$BOTH" ] || same "$D/both" "$BOTH" || die "$BOTH does not hold what was written to it"
	kept certificate "$CERT"; kept key "$KEY"; kept combined "$BOTH"
}
# A file that was there has mode and owner of before: what BACKUP wrote down, not what somebody may have meant.
kept() {
	[ -n "$2" ] || return 0
	set -- "$2" $(grep "^$1 " "$B/modes")
	[ "$3" = absent ] && return 0
	m=$(mode_of "$1") w=$(owner_of "$1")
	[ "$m $w" = "$3 $4" ] || die "$1 had mode $3 and owner $4, and has mode $m and owner $w now"
}
put_previous_back() { marks; restore "$PREV"; }

step() {
	[ -z "$1" ] || holds "$1" || { say "skipped=yes"; return 0; }
	quietly "$2"
}
alive() { say "alive=$( ( eval "$ALIVE" ) </dev/null 2>/dev/null | head -n 1)"; }
persist() {
	quietly "$PERSIST" || die "the command that saves the host's state failed"
	[ -z "$PROOF" ] || [ "$(proof)" != "$(cat "$D/proof")" ] || die "the host said that it saved its state, but $PROOF did not change"
}
# What was never saved need not be saved again: then the host still starts with the previous pair.
persist_again() {
	quietly "$PERSIST" && return 0
	if [ -n "$PROOF" ] && [ -f "$D/proof" ] && [ "$(proof)" = "$(cat "$D/proof")" ]; then return 0; fi
	die "the command that saves the host's state failed"
}

# Asked twice (after a lost connection) it must say the same.
disarm() {
	[ ! -f "$B/went-back" ] || die "the dead man's switch has put the previous pair back"
	if [ -d "$D" ]; then mv "$D/armed" "$D/disarmed" || die "the dead man's switch has fired"; fi
	finish
	[ "$KEEP" = yes ] || drop "$B"
	[ -z "$PREV" ] || drop "$PREV"
}
clean() {
	[ ! -d "$D" ] || rm -f "$D/armed"
	finish
	[ -z "$B" ] || drop "$B"
}

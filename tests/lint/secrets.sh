#!/bin/bash
# secrets.sh ROOT: no private key in the tree, nothing that names the machine or the people it was made on, and a goal in every scenario.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
root=$(cd "$1" && pwd)
export LC_ALL=C
cd "$root"
mapfile -t files < <(tree_files "$root")
[ ${#files[@]} -gt 0 ] || violation "no file was found"

# found WHAT GREP_OPTION… : a violation for each file that grep finds. The patterns are put together so that this file does not hold them itself.
found() {
	local what=$1 file
	shift
	while IFS= read -r file; do violation "$file: $what"; done < <(printf '%s\0' "${files[@]}" | xargs -0 grep -l "$@" -- 2> "$complaints" || true)
	# grep that does not understand its pattern finds nothing; that must not look like a clean tree
	[ ! -s "$complaints" ] || violation "the search for $what failed: $(head -n 1 "$complaints")"
}

dashes=-----
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT
# armour with something behind it; the armour alone is code that reads or writes keys
found 'a private key in PEM' -Pz -e "${dashes}BEGIN [A-Z0-9 ]*PRIVATE KEY${dashes}[\\s\\\\nr\"']*([A-Za-z-]+: [^\\n]*\\n)*[\\s\\\\nr\"']*[A-Za-z0-9+/=]{40}"
# PKCS#8, PKCS#1 and SEC 1: a sequence of a version and an algorithm, a modulus, or a scalar
while IFS= read -r file; do violation "$file: a private key in DER"; done < <(printf '%s\0' "${files[@]}" | xargs -0 perl -0777 -ne '
	print "$ARGV\n" if /\x30(\x82..|\x81.|.)\x02\x01[\x00\x01](\x30[\x05-\x14]\x06[\x03-\x09][\x2a\x2b]|\x02(\x82..|\x81.)|\x04[\x20\x30\x42])/s')
found 'an age identity' -E "AGE-SECRET""-KEY-1[A-Z0-9]{20}"

word_of() { printf '%s' "$@"; }
found 'a path of the machine it was made on' -E "(^|[^A-Za-z0-9._-])/$(word_of wo rk)/|/tmp/$(word_of b -)[a-z]|/home/[a-z]+/|/Users/[A-Za-z]+/"
found 'the number of an internal ticket' -iE "\\b$(word_of iss ue)s? (no\\.? ?)?#?[0-9]+|\\b$(word_of tick et) #?[0-9]+"
found 'a word about how it was made' -iE "\\b($(word_of sub agent)|$(word_of sub - agent)|$(word_of cla ude)|$(word_of anthro pic)|$(word_of open ai)|$(word_of chat gpt))"
found 'a note to oneself' -E "\\b($(word_of TO DO)|$(word_of FIX ME)|$(word_of XX X))\\b"

# Addresses are documentation addresses (RFC 5737), loopback or "any"; a section of an RFC is none. Tests may use what a namespace needs.
while IFS= read -r hit; do
	violation "${hit%%:*}: the address ${hit##*:} is somebody's; take 192.0.2.0/24"
done < <(printf '%s\n' "${files[@]}" | grep -Ev '^tests/|^LICENSE$' | tr '\n' '\0' |
	xargs -0 grep -HoIP '(?<![0-9.])(?<!RFC [0-9]{4} )[0-9]{1,3}(\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])' -- |
	grep -Ev ':(192\.0\.2|198\.51\.100|203\.0\.113|127\.[0-9]+\.[0-9]+)\.[0-9]+$|:0\.0\.0\.0$' || true)

# Mail addresses are example ones, or under names that nobody can register; names of SSH algorithms and of systemd units are not mail.
while IFS= read -r hit; do
	violation "${hit%%:*}: the mail address ${hit##*:} is somebody's"
done < <(printf '%s\0' "${files[@]}" | xargs -0 grep -HoIE '[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[a-z]{2,}\b' -- |
	grep -Ev '@([a-z0-9.-]+\.)?example(\.(com|net|org))?$|@(openssh\.com|libssh\.org|vmware\.com|lysator\.liu\.se|[A-Za-z]+\.service|[a-z0-9.-]+\.(internal|local|lan))$' || true)

# A scenario says what it is for, in its first line; or the file does in its second, when its scenarios are one goal seen from many sides.
scenarios=0
while IFS= read -r file; do
	scenarios=$((scenarios + $(grep -c '^@test ' "$file" || true)))
	if sed -n 2p "$file" | grep -q '^# Goal: .'; then continue; fi
	while IFS= read -r name; do
		violation "$file: the scenario $name does not begin with \"# Goal:\""
	done < <(awk '/^@test / { name = $0; sub(/^@test */, "", name); sub(/ *\{ *$/, "", name); if ((getline next_line) <= 0 || next_line !~ /^[ \t]*# Goal: ./) print name }' "$file")
done < <(printf '%s\n' "${files[@]}" | grep '\.bats$' || true)

verdict "${#files[@]} files without keys, internal names or foreign addresses; $scenarios scenarios with a goal"

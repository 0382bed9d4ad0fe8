#!/bin/bash
# man.sh ROOT BUILD: the manual is about the program that was built. Every command and option of `custos help` stands in docs/man and the other way
# round; so do global options, environment variables and exit codes; mandoc finds no fault; cross-references lead somewhere.
#
# In the pages a command is a subsection `.Ss custos NOUN VERB ARGS`, its options are `.It Fl` items until the next section.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
root=$(cd "$1" && pwd) build=$2
custos=${CUSTOS_PROGRAM:-$build/custos} man=$root/docs/man
export LC_ALL=C.UTF-8
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# compare WHAT: "$scratch/said" (by the program) against "$scratch/written" (in the manual).
compare() {
	local line
	while IFS= read -r line; do
		case "$line" in
		'< '*) violation "$1: \"${line#< }\" is not in the manual" ;;
		'> '*) violation "$1: the manual has \"${line#> }\", the program has not" ;;
		esac
	done < <(diff <(sort -u "$scratch/said") <(sort -u "$scratch/written") || true)
	[ -s "$scratch/said" ] || violation "$1: the program says nothing"
}

"$custos" help > "$scratch/help"
mapfile -t nouns < <(sed -n 's/^  \([a-z][a-z]*\)\>.*/\1/p' "$scratch/help" | sort -u)
for noun in "${nouns[@]}"; do "$custos" help "$noun"; done > "$scratch/nouns"

# one line a command, "custos key generate NAME", and one an option of it, "custos key generate: --type TYPE"
sed 's/…/.../g' "$scratch/nouns" | awk '
	/^usage: custos / {
		sub(/^usage: /, ""); sub(/ \[OPTIONS\]$/, "")
		print
		command = "custos"
		for (i = 2; i <= NF && $i ~ /^[a-z]+$/; i++) command = command " " $i
		next
	}
	/^  -/ {
		value = ""
		if (match($0, /^  -[^ ]+ [^ ]/)) value = " " $2
		print command ": " $1 value
	}' > "$scratch/said"
commands=$(grep -c '^custos [^:]*$' "$scratch/said" || true)
options=$(grep -c ': -' "$scratch/said" || true)

cat "$man"/*.[1-9] | awk '
	/^\.Sh / { command = "" }
	/^\.Ss / { command = "" }
	/^\.Ss custos / {
		sub(/^\.Ss /, ""); sub(/\\&$/, ""); print
		command = "custos"
		for (i = 2; i <= NF && $i ~ /^[a-z]+$/; i++) command = command " " $i
		next
	}
	/^\.It Fl / && command != "" {
		value = $4 == "Ar" ? " " $5 : ""
		print command ": -" $3 value
	}' > "$scratch/written"
compare 'commands and options'

{ sed -n 's/^usage: custos \(.*\) NOUN VERB.*/\1/p' "$scratch/help" | grep -o '\[[^]]*\]' | tr -d '[]'; echo --help; } > "$scratch/said"
awk '/^\.S[hs] / { on = $0 ~ /^\.Ss Global options/ } on && /^\.It Fl / { print "-" $3 ($4 == "Ar" ? " " $5 : "") }' "$man/custos.1" > "$scratch/written"
compare 'global options'

grep -rhoE 'getenv\("[A-Za-z0-9_]+"\)' "$root/src" | sed 's/.*"\(.*\)".*/\1/' > "$scratch/said"
sed -n 's/^\.It Ev \([A-Za-z0-9_]*\).*/\1/p' "$man/custos.1" > "$scratch/written"
compare 'environment'

# number and JSON name of each category
while read -r name number; do
	printf '%s %s\n' "$number" "$(sed -n "s/.*{ $name, \"\\([a-z_]*\\)\" }.*/\\1/p" "$root/src/base/err.c")"
done < <(sed -n 's/^[[:space:]]*\(CUSTOS_[A-Z_]*\) = \([0-9]*\),.*/\1 \2/p' "$root/include/custos/err.h") > "$scratch/said"
codes=$(wc -l < "$scratch/said")
sed -n 's/^\.It \([0-9][0-9]*\) \([a-z_]*\)$/\1 \2/p' "$man/custos-exit.7" > "$scratch/written"
compare 'exit codes'

# fields of a profile, as its parser knows them
awk '/static const char \*const known(_persist)?\[\] = \{/ { on = 1 } on { print } /\};/ { on = 0 }' "$root/src/target/profile.c" |
	grep -o '"[a-z_]*"' | tr -d '"' > "$scratch/said"
sed -n 's/^\.It Cm \([a-z_]*\)\>.*/\1/p' "$man/custos-profile.5" > "$scratch/written"
compare 'fields of a profile'

# every event that is written or replayed is described in docs/FORMATS.md
events=0
while IFS= read -r event; do
	events=$((events + 1))
	grep -q "^| .*\`$event\`.* | " "$root/docs/FORMATS.md" || violation "the event $event is not described in docs/FORMATS.md"
done < <({
	grep -hoE 'custos_vault_(append|record[a-z_]*)\([^"]*"[a-z_.]+"' "$root"/src/vault/*.c "$root"/src/deploy/*.c
	grep -hE '^[[:space:]]*\{ "[a-z]+\.[a-z_]+", [a-z_]+ \},' "$root/src/vault/state.c"
	grep -hE 'return .*"(release|rollback)\.' "$root/src/deploy/record.c"
} | grep -oE '"[a-z]+\.[a-z_]+"' | tr -d '"' | sort -u)

pages=0
for page in "$man"/*.[1-9]; do
	pages=$((pages + 1))
	name=${page##*/}
	grep -q '^\.Sh EXAMPLES' "$page" || violation "$name has no EXAMPLES"
	while read -r other section; do
		if [[ $other == custos* && ! -e $man/$other.$section ]]; then violation "$name refers to $other($section), which does not exist"; fi
	done < <(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1 \2/p' "$page")
	if command -v mandoc > /dev/null; then
		while IFS= read -r line; do
			case "$line" in
			# what other manuals this machine has is not our fault
			*'referenced manual not found'* | *'outdated mandoc.db lacks'*) ;;
			*) violation "$line" ;;
			esac
		done < <(mandoc -T lint -W style "$page" 2>&1 || true)
	fi
done
if ! command -v mandoc > /dev/null; then
	echo "lint: mandoc is not installed, so the pages' form was not looked at"
	if [ "$violations" -eq 0 ]; then exit 77; fi
fi
verdict "$pages pages, $commands commands, $options options, $codes exit codes, $events events"

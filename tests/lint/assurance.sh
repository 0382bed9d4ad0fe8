#!/bin/bash
# assurance.sh ROOT: docs/ASSURANCE.md names only what is there, and each of its claims has code, an attack and a limit.
#
# In backticks stand: a path; `name()` or `name[]`, a function or a table defined in the file named last in the same item; `CTEST` or `CTEST: TEST`, a declared
# test and one scenario of it, which runs. Anything else in backticks would not be looked up, so it is a violation.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
root=$(cd "$1" && pwd)
page=docs/ASSURANCE.md
INVARIANTS=11

# declared: the names of all tests that the build declares.
declared() {
	find "$root/tests" -name '*.cmake' -print0 |
		xargs -0 grep -ohE 'foreach\(name [^)]*\)|endforeach|(custos_unit|custos_bats|custos_lint|custos_fuzz|residue_bats)\([a-z0-9_${}]+|NAME [a-z]+_[a-z0-9_]+ ' | awk '
		BEGIN { kind["custos_unit"] = "unit_"; kind["custos_bats"] = "it_"; kind["custos_lint"] = "lint_"; kind["custos_fuzz"] = "fuzz_"; kind["residue_bats"] = "residue_" }
		/^foreach/ { gsub(/^foreach\(name |\)$/, ""); count = split($0, names, " "); next }
		/^endforeach/ { count = 0; next }
		/^NAME / { print $2; next }
		{
			split($0, call, "(")
			if (index(call[2], "${name}") == 0) { print kind[call[1]] call[2]; next }
			for (i = 1; i <= count; i++) { name = call[2]; sub(/\$\{name\}/, names[i], name); print kind[call[1]] name }
		}'
}

# source_of CTEST: where its scenarios stand.
source_of() {
	local name=${1#*_} file
	local -a places
	case $1 in
	unit_*) places=("tests/unit/$name.c" "tests/unit/test_$name.c") ;;
	it_*) places=("tests/it/$name.bats") ;;
	residue_*) places=("tests/residue/$name.bats") ;;
	lint_*) places=("tests/lint/$name.sh" "tests/lint/$name.bats") ;;
	fuzz_*) places=("tests/fuzz/fuzz_$name.c") ;;
	esac
	for file in "${places[@]}"; do
		if [ -f "$root/$file" ]; then echo "$file" && return; fi
	done
}

# defines FILE "NAME()" or "NAME[]": at the margin of FILE, with a body; a prototype is none.
defines() {
	awk -v name="${2%??}" -v what="${2: -2}" '
		what == "[]" && $0 ~ "^[A-Za-z_].*[ *]" name "(\\[[^]]*\\])+ = " { found = 1; exit }
		what == "()" && $0 ~ "^[A-Za-z_].*[ *]" name "\\(" { begun = 1 }
		begun && /\{/ { found = 1; exit }
		begun && /;[ \t]*$/ { begun = 0 }
		END { exit !found }' "$root/$1"
}

# runs FILE TEST: a scenario of that title, or a function of that name that the file hands to cmocka.
runs() {
	case $1 in
	*.bats) grep -Fxq "@test \"$2\" {" "$root/$1" ;;
	*.c) [[ $2 =~ ^[a-z0-9_]+$ ]] && defines "$1" "$2()" && grep -Eq "(cmocka_unit_test[a-z_]*|WITH[A-Z_]*|UNIT)\\($2[,)]" "$root/$1" ;;
	*) false ;;
	esac
}

check_path() { # WHERE PATH
	if [[ $2 =~ ^[A-Za-z0-9._][A-Za-z0-9._/@-]*$ && $2 != *..* && -e $root/$2 ]]; then
		paths=$((paths + 1))
		[ -d "$root/$2" ] || file=$2
	else
		violation "$1: there is no $2"
	fi
}

check_definition() { # WHERE NAME() or NAME[]
	definitions=$((definitions + 1))
	if [ -z "$file" ]; then
		violation "$1: $2 follows no file"
	elif ! defines "$file" "$2"; then
		violation "$1: $file does not define $2"
	fi
}

check_test() { # WHERE CTEST[: TEST]
	local name=${2%%: *} source
	tests=$((tests + 1))
	if ! grep -Fxq "$name" <<< "$known"; then
		violation "$1: there is no test $name"
		return
	fi
	source=$(source_of "$name")
	if [ -z "$source" ]; then
		violation "$1: the source of $name is not where it belongs"
	elif [ "$2" != "$name" ] && ! runs "$source" "${2#*: }"; then
		violation "$1: $source does not run \"${2#*: }\""
	fi
}

# A claim that is asserted, or defended, or without a limit, only.
close_claim() {
	[ -n "$claim" ] || return 0
	claims=$((claims + 1))
	[ "$code" -gt 0 ] || violation "claim \"$claim\" names no code"
	[ "$attacks" -gt 0 ] || violation "claim \"$claim\" names no attack"
	[ "$limits" -gt 0 ] || violation "claim \"$claim\" does not say what is not claimed"
}

# The page as lines "LINE <tab> part|claim|item|name|odd <tab> TEXT", without what is fenced.
parts() {
	awk -v OFS='\t' '
		/^```/ { fenced = !fenced; next }
		fenced { next }
		/^## / { print NR, "part", substr($0, 4) }
		/^### / { print NR, "claim", substr($0, 5) }
		/^(- |\||$)/ { item = $0; sub(/^- /, "", item); sub(/:.*/, "", item); print NR, "item", item }
		{ n = split($0, piece, "`"); if (n && n % 2 == 0) print NR, "odd", ""; for (i = 2; i < n; i += 2) print NR, "name", piece[i] }' "$root/$page"
}

[ -f "$root/$page" ] || { violation "there is no $page"; verdict "$page"; }
known=$(declared)
[ -n "$known" ] || violation "no test is declared"
paths=0 definitions=0 tests=0 claims=0 claim='' item='' file='' code=0 attacks=0 limits=0 headings=$'\n'
while IFS=$'\t' read -r line kind text; do
	case $kind in
	part | claim)
		close_claim
		claim='' item='' file='' code=0 attacks=0 limits=0
		if [ "$kind" = claim ]; then
			claim=$text
			headings+=${text%%. *}$'\n'
		fi
		;;
	item)
		item=$text file=''
		[ "$item" != 'Not claimed' ] || limits=$((limits + 1))
		;;
	odd) violation "$page:$line: a backtick too many" ;;
	name)
		case $text in
		*'()' | *'[]')
			check_definition "$page:$line" "$text"
			[ "$item" != Code ] || code=$((code + 1))
			;;
		unit_* | it_* | residue_* | lint_* | fuzz_*)
			check_test "$page:$line" "$text"
			[ "$item" != Attack ] || attacks=$((attacks + 1))
			;;
		*/*) check_path "$page:$line" "$text" ;;
		*) violation "$page:$line: \"$text\" is neither a path nor a definition nor a test" ;;
		esac
		;;
	esac
done < <(parts)
close_claim
for ((n = 1; n <= INVARIANTS; n++)); do
	times=$(grep -Fxc "$n" <<< "$headings" || true)
	[ "$times" -eq 1 ] || violation "invariant $n is claimed $times times"
done
verdict "$claims claims of $page: $paths paths, $definitions definitions and $tests tests are there"

#!/bin/bash
# layers.sh ROOT BUILD CC: the layers are what docs/ARCHITECTURE.md says, and the build refuses an include that was not declared.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
root=$(cd "$1" && pwd) build=$2 compiler=${3:-cc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# declared: "layer: used used …" from the layer.cmake files, sorted.
declared() {
	local file
	for file in "$root"/src/*/layer.cmake; do
		tr '\n()' '   ' < "$file" | awk '{
			for (i = 1; i <= NF; i++) {
				if ($i == "custos_layer") { name = $(++i); in_uses = 0; in_call = 1; uses = ""; continue }
				if (in_call && ($i == "SOURCES" || $i == "LIBS")) { in_uses = 0; continue }
				if (in_call && $i == "USES") { in_uses = 1; continue }
				if ($i ~ /^(custos_[a-z]|target_[a-z])/ && in_call) { in_call = 0; in_uses = 0 }
				if (in_call && in_uses) uses = uses " " $i
			}
			if (name != "") print name ":" uses
		}'
	done | sort
}

# documented: the same from the table of layers: | `layer` | owns | uses | libraries |
documented() {
	awk -F '|' '/^## Layers/ { on = 1; next } /^## / { on = 0 }
		on && $2 ~ /^ *`[a-z0-9]+` *$/ {
			name = $2; uses = $4
			gsub(/[` ]/, "", name); gsub(/[`,]/, " ", uses); gsub(/libc|–/, "", uses); gsub(/ +/, " ", uses); gsub(/^ | $/, "", uses)
			print name ":" (uses == "" ? "" : " " uses)
		}' "$root/docs/ARCHITECTURE.md"
}

# sorted_uses: the same, with what is used in alphabetical order.
sorted_uses() {
	local name uses
	while IFS=: read -r name uses; do
		# shellcheck disable=SC2086
		printf '%s: %s\n' "$name" "$(printf '%s\n' $uses | sort | paste -sd ' ')"
	done | sort
}

declared > "$scratch/declared"
documented > "$scratch/documented"
[ -s "$scratch/declared" ] || violation "no layer is declared in src/*/layer.cmake"
[ -s "$scratch/documented" ] || violation "docs/ARCHITECTURE.md has no table of layers"
while IFS= read -r line; do
	case "$line" in
	'<'*) violation "layer.cmake says \"${line#< }\", docs/ARCHITECTURE.md does not" ;;
	'>'*) violation "docs/ARCHITECTURE.md says \"${line#> }\", layer.cmake does not" ;;
	esac
done < <(diff <(sorted_uses < "$scratch/declared") <(sorted_uses < "$scratch/documented") || true)

# The table is in order: a layer uses only what stands above it, so there is no circle.
above=' '
while IFS=': ' read -r name uses; do
	for used in $uses; do
		[[ $above == *" $used "* ]] || violation "layer $name uses $used, which does not stand above it in the table"
	done
	above="$above$name "
done < "$scratch/documented"

# a_header LAYER: the first header of a layer, as others include it.
a_header() {
	local header
	for header in "$root/src/$1"/*.h; do
		if [ -e "$header" ]; then printf '%s/%s\n' "$1" "${header##*/}"; return; fi
	done
}

# preprocess LAYER: what a source of LAYER looks like to the compiler, with the layer's own include root. The source is on stdin.
preprocess() {
	cat > "$scratch/probe.c"
	"$compiler" -std=c17 -D_GNU_SOURCE -E -P -I "$build/layers/$1" -I "$root/include" -o "$scratch/probe.i" "$scratch/probe.c" 2> "$scratch/complaint"
}

# For each layer: which headers it can see, and one undeclared include and all declared ones for real.
pairs=0
while IFS=: read -r name uses; do
	if [ ! -d "$build/layers/$name" ]; then
		violation "$build has no include root for layer $name"
		continue
	fi
	may=() may_not=()
	: > "$scratch/question"
	while IFS=: read -r other _; do
		header=$(a_header "$other")
		[ -n "$header" ] || continue
		pairs=$((pairs + 1))
		printf '#if __has_include("%s")\nsees %s\n#endif\n' "$header" "$other" >> "$scratch/question"
		if [[ " $uses $name " == *" $other "* ]]; then may+=("$header"); else may_not+=("$header"); fi
	done < "$scratch/declared"
	preprocess "$name" < "$scratch/question" || violation "layer $name: the compiler does not answer: $(head -n 1 "$scratch/complaint")"
	while read -r other; do violation "layer $name does not declare $other, and yet it sees its headers"; done < <(
		# shellcheck disable=SC2086
		comm -23 <(sed -n 's/^sees //p' "$scratch/probe.i" | sort) <(printf '%s\n' $uses "$name" | sort))
	printf '#include "%s"\n' "${may[@]}" | preprocess "$name" || violation "layer $name cannot include what it declares: $(head -n 1 "$scratch/complaint")"
	[ ${#may_not[@]} -gt 0 ] || continue
	if printf '#include "%s"\n' "${may_not[0]}" | preprocess "$name"; then
		violation "layer $name does not declare \"${may_not[0]}\", and yet it compiles there"
	elif ! grep -Eq 'No such file or directory|file not found' "$scratch/complaint"; then
		violation "layer $name: \"${may_not[0]}\" fails for another reason: $(head -n 1 "$scratch/complaint")"
	fi
done < "$scratch/declared"

# Ways around the include roots, and foreign headers outside the one folder that wraps them: header (ERE) and the layers that may.
foreign='
openssl/ crypto x509
sqlite3.h store
libpq-fe.h store
libssh2 courier
p11-kit/ token
yaml.h data
jansson.h data
seccomp.h confine
archive x509
'
sources=0
while IFS= read -r file; do
	sources=$((sources + 1))
	layer=${file#src/} layer=${layer%%/*}
	while IFS= read -r include; do
		case "$include" in
		*..*) violation "$file reaches around its layer: $include" ;;
		esac
		while read -r header may; do
			if [ -n "$header" ] && [[ $include =~ [\<\"]$header ]] && [[ " $may " != *" $layer "* ]]; then violation "$file includes $include; only $may may"; fi
		done <<< "$foreign"
	done < <(grep -hE '^[[:space:]]*#[[:space:]]*include' "$root/$file" || true)
done < <(tree_files "$root" src/ include/ | grep '\.[ch]$')

# The public headers stand alone.
while IFS= read -r file; do
	while IFS= read -r line; do violation "$file: a public header includes $line"; done < <(grep -E '^#include "' "$root/$file" || true)
	printf '#include <%s>\n' "${file#include/}" > "$scratch/probe.c"
	"$compiler" -std=c17 -fsyntax-only -I "$root/include" "$scratch/probe.c" 2> "$scratch/complaint" || violation "$file does not compile alone: $(head -n 1 "$scratch/complaint")"
done < <(tree_files "$root" include/ | grep '\.h$')

verdict "$(wc -l < "$scratch/declared") layers, $pairs includes tried with $compiler, $sources files read"

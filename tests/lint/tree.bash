# shellcheck shell=bash
# Which files belong to the tree, with git and without. Sourced by the lint scripts; prints nothing of its own but what is asked for.
#
#   tree_files ROOT [PREFIX…]   paths below ROOT, one a line; only those that begin with a PREFIX when any is given
#   tree_shell_files ROOT       those of them that are shell: by name or by their first line
#   violation TEXT…             counts and prints one finding
#   verdict WHAT                the last line: what was checked, and exit code 1 when there was a violation

violations=0
violation() {
	violations=$((violations + 1))
	printf 'violation: %s\n' "$*"
}

verdict() {
	if [ "$violations" -gt 0 ]; then
		printf 'lint: FAILED: %s violations: %s\n' "$violations" "$1"
		exit 1
	fi
	printf 'lint: ok: %s\n' "$1"
}

# A copy without .git, a machine without git and a checkout that git will not read are all the same: everything but build/.
tree_list() {
	if [ -e "$1/.git" ] && git -C "$1" ls-files -z -co --exclude-standard 2> /dev/null; then return; fi
	(cd "$1" && find . \( -path ./build -o -path ./.git \) -prune -o -type f -print0 | sed -z 's,^\./,,')
}

tree_files() {
	local root=$1 file prefix wanted
	shift
	while IFS= read -r -d '' file; do
		[ -f "$root/$file" ] || continue
		wanted=$#
		for prefix; do
			if [[ $file == "$prefix"* ]]; then wanted=0; fi
		done
		[ "$wanted" -ne 0 ] || printf '%s\n' "$file"
	done < <(tree_list "$root") | sort -u
}

tree_shell_files() {
	local file first
	while IFS= read -r file; do
		first=
		case "$file" in
		*.sh | *.bash | *.bats) ;;
		*)
			IFS= read -r -n 80 first < "$1/$file" 2> /dev/null || true
			[[ $first =~ ^\#!.*[/\ ](ba|da|a)?sh(\ |$) ]] || continue
			;;
		esac
		printf '%s\n' "$file"
	done < <(tree_files "$1")
}

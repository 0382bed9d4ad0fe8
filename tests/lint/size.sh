#!/bin/bash
# size.sh ROOT: files stay small enough to be read, and none has a name that means nothing.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
root=$1
file_max=600 header_max=300 folders=(src/ include/ tests/ softhsm-fixtures/)

count=0
while IFS= read -r file; do
	count=$((count + 1))
	lines=$(wc -l < "$root/$file")
	max=$file_max
	if [[ $file == *.h ]]; then max=$header_max; fi
	if [ "$lines" -gt "$max" ]; then violation "$file has $lines lines, the limit is $max"; fi
	stem=${file##*/}
	case ".${stem//[_-]/.}." in
	*.util.* | *.utils.* | *.misc.* | *.common.* | *.helper.* | *.helpers.* | *.manager.*) violation "$file: its name says nothing about what it owns" ;;
	esac
done < <(tree_files "$root" "${folders[@]}")
[ "$count" -gt 0 ] || violation "no file was found in ${folders[*]}"
verdict "size and name of $count files (at most $file_max lines, headers $header_max)"

#!/bin/sh
# Decides whether a tracked file differs from what the boot bank holds, and calls backup.sh if so. Prints what the real one prints.
saved=/tmp/auto-backup.$$
mkdir -m 700 $saved && cd / || exit 1
needed=0
tar -xzOf /bootbank/state.tgz local.tgz 2> /dev/null | tar -xzf - -C $saved 2> /dev/null || needed=1
while read -r file; do
	if [ -f "$file" ] || [ -f "$saved/$file" ]; then cmp -s "$file" "$saved/$file" || needed=1; fi
done < /etc/vmware/tracked
rm -rf $saved
[ $needed = 1 ] || exit 0
echo "Saving current state in /bootbank"
/sbin/backup.sh 0 || { echo "Failed to save the state" >&2; exit 1; }
echo "Clock updated."

#!/bin/sh
# backup.sh 0|1: pack the tracked files into local.tgz, that into the boot bank's state.tgz. 1 is the call made on the way down.
#
# A file is tracked when its name is (/etc/vmware/tracked), as on VisorFS, where nobody can give a new file the T flag: neither a copy
# beside rui.crt nor a new file with the sticky bit survives, and rui.key does even after a chmod that drops the bit.
work=/tmp/backup.$$
mkdir -m 700 $work && cd / || exit 1
# shellcheck disable=SC2046  # one name a line, all of them plain
if tar -czf $work/local.tgz $(while read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done < /etc/vmware/tracked) &&
	tar -czf /bootbank/state.tgz.new -C $work local.tgz && sync && mv /bootbank/state.tgz.new /bootbank/state.tgz; then
	rc=0
else
	rc=1
	rm -f /bootbank/state.tgz.new
fi
rm -rf $work
exit $rc

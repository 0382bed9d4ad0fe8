#!/bin/sh
# watchdog.sh -d -s TAG COMMAND…   keep COMMAND running, in the background
# watchdog.sh -k TAG               end that watchdog (not its command)
#
# The behaviour that misleads people is the point: -d returns 0 as soon as the watchdog itself runs, whatever becomes of the command.
# A command that ends before MIN_UPTIME seconds is a quick failure; after the sixth the watchdog gives up and removes its PID file.
# Limits: WATCHDOG_MIN_UPTIME_S and WATCHDOG_QUICK_LIMIT in /stand-in/settings.
RUN=/var/run/vmware

guard() {
	# shellcheck source=/dev/null
	. /stand-in/settings
	child=
	# the command itself is left to whoever ends the watchdog, unless it is still on its way to exec
	trap 'rm -f "$FILE"; grep -qv stunnel "/proc/$child/comm" && kill "$child"; exit 0' HUP TERM
	echo $$ > "$FILE"
	quick=0
	while [ $quick -le "$WATCHDOG_QUICK_LIMIT" ]; do
		began=$(cut -d. -f1 /proc/uptime)
		"$@" &
		child=$!
		wait "$child"
		lasted=$(($(cut -d. -f1 /proc/uptime) - began))
		if [ $lasted -lt "$WATCHDOG_MIN_UPTIME_S" ]; then quick=$((quick + 1)); else quick=0; fi
		echo "watchdog-$TAG: '$1' ended after $lasted seconds ($quick quick failures)"
	done
	echo "watchdog-$TAG: failure limit reached"
	rm -f "$FILE"
}

case "$1" in
-d)
	TAG=$3
	FILE=$RUN/watchdog-$TAG.PID
	shift 3
	rm -f "$FILE"
	setsid "$0" -g "$TAG" "$@" < /dev/null >> "/var/log/$TAG.log" 2>&1 &
	while [ ! -e "$FILE" ] && kill -0 $! 2> /dev/null; do usleep 5000; done
	exit 0
	;;
-g)
	TAG=$2
	FILE=$RUN/watchdog-$TAG.PID
	shift 2
	guard "$@"
	;;
-k)
	TAG=$2
	FILE=$RUN/watchdog-$TAG.PID
	if [ ! -f "$FILE" ]; then
		echo "watchdog-$TAG: PID file $FILE does not exist"
		echo "watchdog-$TAG: Unable to terminate watchdog: No running watchdog process for $TAG"
		exit 1
	fi
	echo "watchdog-$TAG: Terminating watchdog process with PID $(cat "$FILE")"
	kill -HUP "$(cat "$FILE")"
	rm -f "$FILE"
	;;
*)
	echo "usage: $0 -d -s TAG COMMAND… | -k TAG" >&2
	exit 1
	;;
esac

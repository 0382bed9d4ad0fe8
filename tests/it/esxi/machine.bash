# The stand-in seen from outside: which processes are it, where its RAM disk is, whether its ports answer.
#
# Sourced by host, power and boot. Every function takes the machine's directory DIR first. A process is named by its pid and its start
# time, so that a pid the kernel has given to somebody else is never killed. Nothing here waits without a deadline.

# process_started PID: its start time in clock ticks since boot; fails when there is no such process or only its zombie.
process_started() {
	local stat fields
	stat=$(cat "/proc/$1/stat" 2> /dev/null) || return 1
	read -ra fields <<< "${stat##*) }"
	[ "${fields[0]}" != Z ] || return 1
	printf '%s\n' "${fields[19]}"
}

# process_record FILE PID: remember a process.
process_record() {
	printf '%s %s\n' "$2" "$(process_started "$2")" > "$1.new"
	mv "$1.new" "$1"
}

# process_of FILE: print the pid recorded there if that very process is still alive, else fail.
process_of() {
	local pid started
	[ -s "$1" ] || return 1
	read -r pid started < "$1"
	[ "$(process_started "$pid")" = "$started" ] || return 1
	printf '%s\n' "$pid"
}

# within SECONDS COMMAND…: poll until COMMAND succeeds; fail when the time is over.
within() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -le "$deadline" ] || return 1
		sleep 0.01
	done
}

machine_die() {
	printf 'esxi/host: error: %s\n' "$1" >&2
	exit 1
}

# machine_root DIR: the RAM disk as a path for processes outside.
machine_root() {
	local pid
	pid=$(process_of "$1/pid1") || return 1
	printf '/proc/%s/root\n' "$pid"
}

# machine_setting DIR NAME: one value out of the settings.
machine_setting() {
	sed -n "s/^$2=//p" "$1/stand-in/settings"
}

# close_descriptors: let go of everything but stdin, stdout and stderr, or a daemon started here would hold a caller's pipe open.
close_descriptors() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || exec {fd}>&-
	done
}

# detached LOG COMMAND…: start it in a session of its own, writing to LOG; its pid is in $!.
detached() {
	(
		close_descriptors
		log=$1
		shift
		exec setsid "$@" < /dev/null >> "$log" 2>&1
	) &
}

# machine_exec DIR COMMAND…: run it inside, with the host's own PATH and nothing of our environment.
machine_exec() {
	local pid
	pid=$(process_of "$1/pid1") || machine_die "$1: the host is not running"
	shift
	(
		close_descriptors
		exec nsenter --target "$pid" --mount --pid --root --wd=/ /bin/busybox env -i PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/ "$@"
	)
}

machine_booted() {
	[ -e "$(machine_root "$1")/var/run/vmware/boot.done" ] 2> /dev/null
}

# machine_ssh_answers DIR: a connection to the SSH port is greeted with a banner.
machine_ssh_answers() {
	local line=
	{
		exec {fd}<> "/dev/tcp/$(machine_setting "$1" ADDRESS)/$(machine_setting "$1" SSH_PORT)" || return 1
	} 2> /dev/null
	read -r -t 2 line <&"$fd" || true
	exec {fd}>&-
	[[ $line == SSH-2.0-* ]]
}

machine_https_accepts() {
	(exec 3<> "/dev/tcp/$(machine_setting "$1" ADDRESS)/$(machine_setting "$1" HTTPS_PORT)") 2> /dev/null
}

# machine_https_settled DIR: the proxy serves, or its watchdog has given up.
machine_https_settled() {
	machine_https_accepts "$1" || [ ! -e "$(machine_root "$1")/var/run/vmware/watchdog-rhttpproxy.PID" ]
}

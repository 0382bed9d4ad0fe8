# What can be broken in a stand-in: one function a fault, called with `off` or the fault's argument (may be empty). Sourced by host; $dir
# is the machine's directory, $here ours.
#
# Flags under DIR/stand-in/faults outlive a reboot, as a broken host would stay broken; what hangs on the RAM disk (full-ramdisk,
# readonly-key, locked, the cuts) ends with it.
#
#   full-ramdisk [KB]       the RAM disk has only KB kilobytes left (default 4)
#   readonly-key            rui.key is on a read-only mount
#   proxy-fails             the proxy dies at every start with any certificate but the present one, and ssl_reset does nothing then
#   reload-noop             ssl_reset says nothing, does nothing, exits 0
#   no-auto-backup          there is no auto-backup.sh
#   auto-backup-noop        auto-backup.sh exits 0 and saves nothing
#   cut-ssh-at-switch       at the next change of rui.crt every SSH session is killed; new ones can be had
#   lose-ssh-at-switch      the same, and the SSH service with them
#   managed                 a vCenter manages the host: vpxa runs
#   locked [PATH]           another deployer holds the lock directory (default /tmp/.custos.lock)
#   no-ssh                  the SSH service is down
#   no-sftp                 the sftp server is missing

# shellcheck disable=SC2154
fault_names() {
	sed -n 's/^#   \([a-z-]*\) .*/\1/p' "$here/faults.bash"
}

fault() {
	local name=$1
	fault_names | grep -qx -- "$name" || machine_die "$name: no such fault; there are: $(fault_names | tr '\n' ' ')"
	process_of "$dir/pid1" > /dev/null || machine_die "$dir: the host is not running"
	"fault_${name//-/_}" "${2:-}"
}

# fault_flag NAME off|…: a fault that the scripts inside look at.
fault_flag() {
	if [ "$2" = off ]; then rm -f "$dir/stand-in/faults/$1"; else : > "$dir/stand-in/faults/$1"; fi
}

fault_full_ramdisk() {
	if [ "$1" = off ]; then
		machine_exec "$dir" rm -f /var/log/filler
		return
	fi
	# shellcheck disable=SC2016  # for the shell inside
	machine_exec "$dir" sh -c '
		free=$(df -k / | awk "END { print \$4 }")
		dd if=/dev/zero of=/var/log/filler bs=1024 count=$((free - $1)) 2> /dev/null' sh "${1:-4}"
}

fault_readonly_key() {
	if [ "$1" = off ]; then
		machine_exec "$dir" umount /etc/vmware/ssl/rui.key
		return
	fi
	machine_exec "$dir" mount -o bind /etc/vmware/ssl/rui.key /etc/vmware/ssl/rui.key
	machine_exec "$dir" mount -o remount,bind,ro /etc/vmware/ssl/rui.key
}

fault_proxy_fails() {
	if [ "$1" = off ]; then
		fault_flag proxy-fails off
		return
	fi
	sha256sum < "$(machine_root "$dir")/etc/vmware/ssl/rui.crt" > "$dir/stand-in/faults/proxy-fails"
}

fault_reload_noop() { fault_flag reload-noop "$1"; }

fault_no_auto_backup() {
	local root
	root=$(machine_root "$dir")
	fault_flag no-auto-backup "$1"
	rm -f "$root/sbin/auto-backup.sh" "$root/bin/auto-backup.sh"
	[ "$1" != off ] || fault_install_auto_backup "$here/root/sbin/auto-backup.sh"
}

fault_auto_backup_noop() {
	if [ "$1" = off ]; then
		fault_install_auto_backup "$here/root/sbin/auto-backup.sh"
	else
		fault_install_auto_backup <(printf '#!/bin/sh\nexit 0\n')
	fi
}

fault_install_auto_backup() {
	local root
	root=$(machine_root "$dir")
	install -m 755 "$1" "$root/sbin/auto-backup.sh"
	install -m 755 "$root/sbin/auto-backup.sh" "$root/bin/auto-backup.sh"
}

fault_cut_ssh_at_switch() { fault_cut sessions "$1"; }
fault_lose_ssh_at_switch() { fault_cut service "$1"; }

fault_cut() {
	local pid armed
	rm -f "$dir"/cut.*
	[ "$2" != off ] || return 0
	pid=$(process_of "$dir/pid1")
	armed=$(mktemp "$dir/cut.XXXXXX")
	detached "$dir/console" nsenter --target "$pid" --pid -- "$here/cut" "/proc/$pid/root" "$1" "$armed"
	within 5 test -s "$armed" || machine_die "$dir: the watcher did not start"
}

fault_managed() {
	local root
	root=$(machine_root "$dir")
	fault_flag managed "$1"
	rm -rf "$root/etc/vmware/vpxa"
	[ "$1" = off ] || { mkdir "$root/etc/vmware/vpxa" && echo '<config/>' > "$root/etc/vmware/vpxa/vpxa.cfg"; }
}

fault_locked() {
	if [ "$1" = off ]; then
		machine_exec "$dir" rmdir "$(cat "$dir/locked")"
		rm "$dir/locked"
		return
	fi
	echo "${1:-/tmp/.custos.lock}" > "$dir/locked"
	machine_exec "$dir" mkdir -m 700 "$(cat "$dir/locked")"
}

fault_no_ssh() {
	fault_flag no-ssh "$1"
	if [ "$1" = off ]; then
		machine_exec "$dir" /etc/init.d/SSH start > /dev/null
		within 10 machine_ssh_answers "$dir" || machine_die "$dir: sshd does not answer"
		return
	fi
	machine_exec "$dir" /etc/init.d/SSH stop > /dev/null
}

fault_no_sftp() {
	local server
	server=$(machine_root "$dir")/usr/lib/vmware/openssh/bin/sftp-server
	if [ "$1" = off ]; then cp -L /usr/lib/openssh/sftp-server "$server"; else rm -f "$server"; fi
}

# fault_forget_mounts: what a reboot mends is no longer noted.
fault_forget_mounts() {
	rm -f "$dir/locked" "$dir"/cut.*
}

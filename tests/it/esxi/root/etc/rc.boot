#!/bin/sh
# The boot of the stand-in, run by PID 1 in a RAM disk that holds nothing but the image: put the tracked files back from the boot bank
# or, on a first boot, make keys and the factory certificate; then start the services. The last act is boot.done.
# shellcheck source=/dev/null
. /stand-in/settings

restore_state() {
	tar -xzOf /bootbank/state.tgz local.tgz | tar -xzpf - -C /
}

first_boot() {
	cat /stand-in/seed/shadow > /etc/shadow
	cat /stand-in/seed/authorized_keys > /etc/ssh/keys-root/authorized_keys
	keygen=/usr/lib/vmware/openssh/bin/ssh-keygen
	$keygen -q -t rsa -b 2048 -N '' -f /etc/ssh/ssh_host_rsa_key &
	[ "$PROFILE" = esxi65 ] || $keygen -q -t ecdsa -b 256 -N '' -f /etc/ssh/ssh_host_ecdsa_key
	/sbin/generate-certificates
	wait
}

umask 022
if [ -f /bootbank/state.tgz ]; then restore_state; else first_boot; fi
chmod 600 /etc/shadow /etc/ssh/keys-root/authorized_keys /etc/ssh/ssh_host_*_key
while read -r file; do
	[ ! -f "/$file" ] || chmod +t "/$file"
done < /etc/vmware/tracked
[ -f /bootbank/state.tgz ] || /sbin/backup.sh 0

if [ -e /stand-in/faults/no-auto-backup ]; then rm -f /sbin/auto-backup.sh /bin/auto-backup.sh; fi
if [ -e /stand-in/faults/managed ]; then mkdir -p /etc/vmware/vpxa && echo '<config/>' > /etc/vmware/vpxa/vpxa.cfg; fi
/etc/init.d/hostd start
/etc/init.d/rhttpproxy start
/etc/init.d/vpxa start
[ -e /stand-in/faults/no-ssh ] || /etc/init.d/SSH start
: > /var/run/vmware/boot.done

# shellcheck shell=bash
# A web server that is no ESXi: nginx on loopback behind an sshd of its own, both in $LAB/web. Sourced after lab.bash; needs root and nginx.
#
#   web_start            starts both; the key in $LAB/login may log in. Sets WEB_SSH, WEB_HTTPS (address:port) and WEB_HOSTKEY. nginx
#                        serves its first pair
#   web_profile [KIND]   prints a profile for it: `pair` (certificate and key, the default) or `combined` (both in one file, as other servers want it)
#   web_target NAME FILE adds it as target with the profile in FILE
#   web_end              ends what web_start started
#
# Ports are the kernel's choice. sshd cannot say which port it got, so a small listener takes it and starts one `sshd -i` a connection.

web_first_pair() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=first.example.com \
		-keyout "$1/server.key" -out "$1/server.crt" 2> /dev/null
	cat "$1/server.crt" "$1/server.key" > "$1/both.pem"
	chmod 600 "$1/server.key" "$1/both.pem"
	chmod 644 "$1/server.crt"
}

web_sshd() {
	local web=$LAB/web
	ssh-keygen -q -t ecdsa -b 256 -N '' -f "$web/hostkey"
	cat > "$web/sshd_config" <<-END
		HostKey $web/hostkey
		AuthorizedKeysFile $LAB/login.pub
		StrictModes no
		UsePAM no
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		PidFile none
	END
	# sshd wants /run/sshd, which only a running service makes: a /run of its own has it. What this machine's root has in .bashrc is none of ours
	# shellcheck disable=SC2016  # for the shell and perl inside
	setsid unshare --mount sh -c '
		mount -t tmpfs -o mode=755 run /run && mkdir -m 755 /run/sshd && { [ ! -e ~/.bashrc ] || mount --bind /dev/null ~/.bashrc; } &&
			exec perl -MIO::Socket::INET -e "$1" "$2"' sh '
		$SIG{CHLD} = "IGNORE";
		$listener = IO::Socket::INET->new(Listen => 8, LocalAddr => "127.0.0.1") or die "no port: $!";
		open $file, ">", "$ARGV[0]/port.new" and print $file $listener->sockport and close $file and rename "$ARGV[0]/port.new", "$ARGV[0]/port" or die;
		while ($client = $listener->accept) {
			if (fork == 0) {
				open STDIN, "<&", $client and open STDOUT, ">&", $client or die;
				exec "/usr/sbin/sshd", "-i", "-f", "$ARGV[0]/sshd_config", "-E", "$ARGV[0]/auth.log";
			}
			close $client;
		}' "$web" < /dev/null > /dev/null 2> "$web/sshd.err" 3>&- &
	echo $! > "$web/sshd.pid"
	lab_until test -s "$web/port"
	WEB_SSH=127.0.0.1:$(cat "$web/port")
	WEB_HOSTKEY=$(ssh-keygen -lf "$web/hostkey.pub" | cut -d' ' -f2)
}

web_nginx() {
	local web=$LAB/web port
	for _ in 1 2 3 4 5; do
		port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
		cat > "$web/nginx.conf" <<-END
			pid $web/nginx.pid;
			error_log $web/error.log;
			events {}
			http {
				access_log off;
				client_body_temp_path $web/tmp; proxy_temp_path $web/tmp; fastcgi_temp_path $web/tmp; uwsgi_temp_path $web/tmp; scgi_temp_path $web/tmp;
				server {
					listen 127.0.0.1:$port ssl;
					ssl_certificate $web/tls/$1;
					ssl_certificate_key $web/tls/$2;
				}
			}
		END
		# the port may be taken by now
		if nginx -c "$web/nginx.conf" 3>&- 2> /dev/null; then
			WEB_HTTPS=127.0.0.1:$port
			return 0
		fi
	done
	cat "$web/error.log"
	return 1
}

# web_start [KIND]
web_start() {
	mkdir -p "$LAB/web/tls" "$LAB/web/stage" "$LAB/web/backup" "$LAB/web/tmp"
	web_first_pair "$LAB/web/tls"
	web_sshd
	if [ "${1:-pair}" = combined ]; then web_nginx both.pem both.pem; else web_nginx server.crt server.key; fi
}

web_end() {
	local file
	for file in sshd nginx; do
		[ ! -s "$LAB/web/$file.pid" ] || kill "$(cat "$LAB/web/$file.pid")" || true
	done
	rm -rf "$LAB/web"
}

web_profile() {
	local web=$LAB/web files
	files="  certificate: {path: $web/tls/server.crt, mode: \"0644\"}
  key: {path: $web/tls/server.key, mode: \"0600\"}"
	[ "${1:-pair}" = pair ] || files="  combined: {path: $web/tls/both.pem, mode: \"0600\"}"
	cat <<-END
		name: web
		keys: [rsa-2048, ec-p256, ec-p384]
		files:
		$files
		replace: rename
		staging: $web/stage
		backup: [$web/missing, $web/backup]
		version: nginx -v 2>&1
		require: [cat, mv, nginx, openssl]
		refuse:
		  - if: test -e $web/managed
		    because: somebody else manages this server
		    remedy: ask them
		test: openssl x509 -in "\$CUSTOS_CERT" -noout && openssl pkey -in "\$CUSTOS_KEY" -noout && ! test -e $web/no-test
		reload:
		  - name: reload nginx
		    run: nginx -t -c $web/nginx.conf && nginx -s reload -c $web/nginx.conf
		    budget_ms: 3000
		verify:
		  probes: 3
		  interval_ms: 100
		  alive: cat $web/nginx.pid
		  alive_ms: 300
	END
}

web_target() {
	custos_in target add "$1" --address "$WEB_SSH" --user root --profile "$2" --hostkey "$WEB_HOSTKEY" --verify "$WEB_HTTPS" --sni "$1.example.com" \
		--auth "key:$LAB/login" > /dev/null
}

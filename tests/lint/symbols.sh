#!/bin/bash
# symbols.sh BUILD: who may call what, proven from the object files of a plain (not sanitized) build.
#
# Each rule names a set of symbols and the objects that may refer to them, as LAYER or LAYER/FILE.c; a program's own objects count as its
# layer's. Whatever is not listed is a violation; "-" is nobody. A rule looks at references; where a definition matters the rule says so.
set -eu
# shellcheck source=tests/lint/tree.bash
. "$(dirname -- "$0")/tree.bash"
build=$1
source=${CUSTOS_SOURCE:-$(cd "$(dirname -- "$0")/../.." && pwd)}
if grep -qs '^CUSTOS_SANITIZE:BOOL=ON' "$build/CMakeCache.txt"; then
	echo "lint: skipped: a build with sanitizers has other symbols"
	exit 77
fi

# only SYMBOLS | WHO | WHY: nobody else may refer to them.   also SYMBOLS | WHO | WHY: an exception, whatever an "only" above says.
# SYMBOLS is an ERE for the whole name. A reference must fit every "only" that matches its symbol, or one "also".
rules() {
	cat << 'RULES'
only custos_permit_mint | log/release.c | a permit is made in one place: the log's release commit
only custos_permit_consume | token/client_release.c | and used in one: the token's release call
only custos_secret_expose | crypto/content_key.c crypto/key_file.c crypto/match.c crypto/pem.c crypto/seal.c crypto/seal_key.c crypto/sealed_container.c crypto/share_text.c crypto/shares.c crypto/transport_key.c crypto/trial.c | key wrap, PEM, sharing and the modulus check work inside locked memory
also custos_secret_expose | crypto/pkcs12.c | the pass phrase of a PKCS#12 file, and what it decrypts
also custos_secret_expose | token/context_login.c token/exchange.c token/session.c token/token_admin.c | a PIN goes into its pipe, and from the pipe to C_Login and C_InitToken
also custos_secret_expose | token/sealed.c | a content key comes out of the token into locked memory
also custos_secret_expose | courier/login.c courier/ssh_login.c courier/ssh_run.c courier/terminal.c | a password or login key goes to libssh2, the key to the host's stdin, a share to the terminal
only [A-Z][A-Za-z0-9]*_.* | crypto x509 | OpenSSL: every name that begins with a capital letter
only (d2i|i2d|a2i|i2a|s2i|i2s)_.* | crypto x509 | OpenSSL's coders
only (SSL|TLS)_.* | crypto/served.c | TLS is spoken to see what a host serves, nowhere else
only (EVP_(Cipher|Encrypt|Decrypt|PKEY_derive|PKEY_Q_keygen|PKEY_keygen|PKEY_fromdata).*|RAND_.*|CRYPTO_set_mem_functions) | crypto | x509 sees public data only
also EVP_DigestSign.* | crypto/new_key.c | but of a sealed key, which is born in a courier
only custos_key_(birth|sign_once) | courier/sealed.c | whose libcrypto and stack are locked
only custos_key_(judge|encode|decode) | crypto/key_file.c crypto/new_key.c | and nobody else has a private key as libcrypto has it
only (EVP_DigestSign.*|EVP_PKEY_(sign|decrypt).*|PEM_(read|write).*PrivateKey.*|(d2i|i2d)_.*Private.*|EVP_PKEY2PKCS8|EVP_PKCS82PKEY) | - | no private key is handled by libcrypto's key objects
also EVP_PKEY_decrypt(_init)? | crypto/transport_key.c | but the one that a courier makes for one release, whose libcrypto and stack are locked; what it opens is a wrapping key
only custos_transport_key_(new|open) | courier/transport.c token/probe_transport.c | a courier, and the doctor who plays one with throw-away keys
only OSSL_(DECODER|ENCODER)_.* | crypto/key_file.c | but the one that an import reads, in a courier, whose libcrypto and stack are locked
only custos_key_file_read | courier/import.c | and nobody else may ask for that
only p11_kit_.* | token | the token process alone has a PKCS#11 module
only C_[A-Z].* | - | a module's functions come from its function list, never from the linker
only (dlopen|dlmopen|dlsym) | - | p11-kit loads the one module
only archive_.* | x509/zip.c | one wrapper a foreign library
only mallopt | x509/p12.c x509/zip.c | containers that may hold a key pass through libraries that do not wipe
only gfshare_.* | crypto/shares.c | one wrapper a foreign library
only sqlite3_.* | store | one wrapper a foreign library
only PQ.* | store | one wrapper a foreign library
only idn2_.* | x509/idn.c | one wrapper a foreign library
only libssh2_.* | courier | one wrapper a foreign library
only (yaml|json)_.* | data | libyaml and jansson
only (__)?(v?f?printf|puts|fputs|putchar|fputc|putc|_IO_putc|fwrite|fwrite_unlocked|perror)(_chk)? | cli | the command line alone prints
also (__)?(fprintf|fputc|fputs|fwrite)(_chk)? | token/token_main.c | a helper's last words, on the inherited stderr, when it cannot serve
only (__)?v?dprintf(_chk)? | cli/pin.c courier/main.c | prompts on the terminal; the courier's last words
only (fopen|fopen64|fdopen|fread|fgets|getline|__getdelim|getc|fgetc|scanf|__isoc99_.*scanf) | token/softhsm_files.c | SoftHSM's configuration; stdio buffers never see a secret
only (system|popen|wordexp|exit|quick_exit|atexit|__assert_fail|longjmp|siglongjmp|__longjmp_chk) | - | libraries never end a process; main returns
only _exit | cli/pin.c link/spawn.c | between fork and exec
only abort | memory/arena.c memory/secret.c | a locked heap that was overrun, or a secret that would be made longer than it is, is not gone on with
also abort | crypto/shares.c | libgfshare cannot be told that there were no random bytes: its shares would each be the secret
only (getenv|secure_getenv|setenv|putenv|unsetenv|clearenv) | cli | libraries are told, they do not look around
also getenv | token/module.c | the parameters of a module, in the variable its profile names
also getenv | token/token_main.c | SOFTHSM2_CONF: SoftHSM's files must be found where the module finds them
only environ | link/spawn.c | a module may need its own variables; the courier gets none
only (fork|vfork|clone|posix_spawnp?) | link/spawn.c cli/pin.c | the two other processes, and exec: PIN programs
only (execl|execlp|execle|execv|execvp|execve|execvpe|fexecve) | link/spawn.c cli/pin.c | the same
only (mlock|mlock2|mlockall|munlock|memfd_create|prctl|setrlimit|madvise) | memory | locking and hardening, in one layer
only getrandom | memory | canaries of the arena; everything else takes random bytes from crypto
also getrandom | crypto/shares.c | the coefficients of a sharing, straight into locked memory
only (rand|srand|random|srandom|drand48|lrand48|rand_r) | - | no weak random numbers
only (socket|connect|bind|listen|accept4?|getaddrinfo|gethostby.*) | deploy | the keeper resolves and connects, and nobody listens
only socketpair | link/spawn.c | the channel
only (gets|strcpy|strcat|stpcpy|__strcpy_chk|__strcat_chk|tmpnam|mktemp|tempnam|alloca) | - | no unbounded copies, no guessable names
only (pthread_.*|thrd_.*) | - | one thread: nobody else's stack holds a copy
also pthread_.* | token/serve_keys.c token/context_login.c token/probe_threads.c | a session a thread: the keys that custos-token makes are the module's, no thread of ours sees one
also pthread_.* | deploy/look.c | a host a thread: names are resolved and certificates fetched, no key is near
RULES
}

# Writable memory that lives as long as the process: LAYER/FILE.c SECTION MOST_BYTES, with the reason.
writable='
memory/secret.c .bss 8      the arena of the process, made once by custos_secret_start()
memory/pages.c .bss 1536    the locked mappings of the process, for whoever has to wipe them all from a signal handler
courier/epilogue.c .bss 24  the stack of that signal handler
courier/terminal.c .bss 72  the terminal that it has to put back
crypto/heap.c .bss 8        the arena that libcrypto allocates from: its allocator callbacks carry no context
cli/main.c .bss 16384       the one invocation; the process is its scope
'

# collect: one line "kind LAYER/FILE.c NAME" for each symbol, kind U (referred to) or D (defined for others), and "S LAYER/FILE.c SECTION SIZE"
# for each writable section. Archives for the layers; for programs, the objects whose source is still there.
layers=$(sed -n 's/^custos_layer(\([a-z0-9]*\).*/\1/p' "$source"/src/*/layer.cmake | sort)
programs=$(sed -n 's/^custos_program(\([a-z-]*\) \([a-z0-9]*\).*/\1 \2/p' "$source"/src/*/layer.cmake | sort)

nm_lines() { # LAYER OBJECT_NAMING FILE
	nm -A -P -g "$2" 2> /dev/null | awk -v layer="$1" '{
		where = $1; sub(/:$/, "", where)
		if (where ~ /\[/) { sub(/.*\[/, "", where); sub(/\].*/, "", where) } else sub(/.*\//, "", where)
		sub(/\.o$/, "", where)
		print ($3 ~ /^[Uwv]$/ ? "U" : "D"), layer "/" where, $2
	}'
}

size_lines() {
	size -A "$2" | awk -v layer="$1" '
		/:$/ { where = $1; sub(/.*\//, "", where); sub(/:$/, "", where); sub(/\.o$/, "", where) }
		/\(ex / { where = $1; sub(/\.o$/, "", where) }
		$1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print "S", layer "/" where, $1, $2 }'
}

collect() {
	local layer name object
	for layer in $layers; do
		[ -e "$build/libcustos_$layer.a" ] || { echo "M libcustos_$layer.a"; continue; }
		nm_lines "$layer" "$build/libcustos_$layer.a"
		size_lines "$layer" "$build/libcustos_$layer.a"
	done
	while read -r name layer; do
		[ -n "$name" ] || continue
		[ -d "$build/CMakeFiles/$name.dir" ] || { echo "M $name"; continue; }
		while IFS= read -r object; do
			[ -e "$source/${object%.o}" ] || continue
			nm_lines "$layer" "$build/CMakeFiles/$name.dir/$object"
			size_lines "$layer" "$build/CMakeFiles/$name.dir/$object"
		done < <(cd "$build/CMakeFiles/$name.dir" && find src -name '*.o' 2> /dev/null)
	done <<< "$programs"
}

facts=$(mktemp)
trap 'rm -f "$facts"' EXIT
collect > "$facts"
while read -r what; do violation "$what was not built"; done < <(sed -n 's/^M //p' "$facts")

# judge: one line for each reference that no rule allows.
judge() {
	awk -F ' [|] ' -v facts="$facts" '
	function names(list, where, layer) {
		layer = where
		sub(/\/.*/, "", layer)
		return index(" " list " ", " " where " ") || index(" " list " ", " " layer " ")
	}
	{
		kind[++n] = substr($1, 1, 4)
		pattern[n] = "^(" substr($1, 6) ")$"
		who[n] = $2
		why[n] = $3
	}
	END {
		while ((getline line < facts) > 0) {
			split(line, f, " ")
			if (f[1] != "U") continue
			broken = excused = 0
			for (i = 1; i <= n; i++) {
				if (f[3] !~ pattern[i]) continue
				if (kind[i] == "also") excused = excused || names(who[i], f[2])
				else if (!names(who[i], f[2])) broken = i
			}
			if (broken && !excused)
				print f[2] " refers to " f[3] "; allowed: " (who[broken] == "-" ? "nobody" : who[broken]) " (" why[broken] ")"
		}
	}' <(rules)
}
while IFS= read -r line; do violation "$line"; done < <(judge)

defined_in() { # SYMBOL LAYER
	local where
	where=$(awk -v s="$1" '$1 == "D" && $3 == s { print $2 }' "$facts")
	[[ $where == "$2/"* && $where != *$'\n'* ]] || violation "$1 must be defined once, in $2: ${where:-nowhere}"
}
defined_in custos_permit_mint base
defined_in custos_permit_consume base
defined_in custos_secret_expose memory

while read -r _ where section bytes; do
	most=$(awk -v w="$where" -v s="$section" '$1 == w && $2 == s { print $3 }' <<< "$writable")
	[ "$bytes" -le "${most:-0}" ] || violation "$where has $bytes writable bytes in $section (at most ${most:-0})"
done < <(grep '^S ' "$facts" || true)

objects=$(cut -d ' ' -f 2 "$facts" | sort -u | wc -l)
references=$(grep -c '^U ' "$facts" || true)
[ "$references" -gt 0 ] || violation "no object was found in $build"
verdict "$(rules | wc -l) rules over $references references of $objects objects; writable globals of all of them"

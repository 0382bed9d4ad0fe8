# shellcheck shell=bash
# The one place that knows how to set up SoftHSM. Sourced by the tests and the demo; everything lives in a directory the caller names.
#
#   . softhsm-fixtures/softhsm.bash
#   softhsm_setup "$dir"                                   # sets and exports SOFTHSM2_CONF
#   softhsm_new_pin "$dir/so-pin"; softhsm_new_pin "$dir/pin"
#   serial=$(softhsm_init_token demo "$dir/so-pin" "$dir/pin")
#
# Functions return non-zero and say why on stderr. PINs are given as files of mode 0600 with one line. softhsm2-util takes PINs from its
# arguments or from a terminal only, so while softhsm_init_token runs they can be seen in the process list: these are PINs of throw-away
# tokens. "custos token init" has no such weakness.

# softhsm_module: prints the path of the PKCS#11 module, or fails when SoftHSM is not installed.
softhsm_module() {
	local path
	for path in "/usr/lib/$(uname -m)-linux-gnu/softhsm/libsofthsm2.so" /usr/lib/softhsm/libsofthsm2.so /usr/lib64/pkcs11/libsofthsm2.so; do
		if [ -e "$path" ]; then
			printf '%s\n' "$path"
			return 0
		fi
	done
	echo "softhsm: libsofthsm2.so is not installed (Debian: apt-get install softhsm2)" >&2
	return 1
}

# softhsm_setup DIR: writes DIR/softhsm2.conf with its own token directory DIR/tokens and exports SOFTHSM2_CONF. Can be run twice.
softhsm_setup() {
	local dir
	mkdir -p "$1" || return
	dir=$(cd "$1" && pwd) || return
	mkdir -p "$dir/tokens" || return
	chmod 0700 "$dir/tokens" || return
	cat >"$dir/softhsm2.conf" <<CONF || return
directories.tokendir = $dir/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
CONF
	export SOFTHSM2_CONF=$dir/softhsm2.conf
}

# softhsm_new_pin FILE: writes a random PIN of 12 digits to a new file that only its owner can read.
softhsm_new_pin() {
	(umask 077 && set -o noclobber && od -An -N 6 -tu2 /dev/urandom | awk '{ printf "%04d%04d%04d\n", $1 % 10000, $2 % 10000, $3 % 10000 }' >"$1")
}

# softhsm_init_token LABEL SO_PIN_FILE PIN_FILE: initialises a token in the next free slot and prints its serial number.
softhsm_init_token() {
	local before after
	before=$(softhsm_serials)
	softhsm2-util --init-token --free --label "$1" --so-pin "$(head -n 1 "$2")" --pin "$(head -n 1 "$3")" >/dev/null || return
	after=$(softhsm_serials)
	comm -13 <(printf '%s\n' "$before") <(printf '%s\n' "$after")
}

# softhsm_token_dirs: prints "SERIAL DIRECTORY" of every token, sorted. The serial is cut out of the directory's name, a UUID.
softhsm_token_dirs() {
	local tokens dir name
	tokens=$(sed -n 's/^directories\.tokendir *= *//p' "$SOFTHSM2_CONF")
	for dir in "$tokens"/*-*-*-*-*; do
		[ -d "$dir" ] || continue
		name=${dir##*/}
		printf '%s%s %s\n' "${name:19:4}" "${name:24:12}" "$dir"
	done | sort
}

# softhsm_serials: prints the serial number of every token, sorted.
softhsm_serials() {
	softhsm_token_dirs | cut -d ' ' -f 1
}

# softhsm_token_dir SERIAL: prints the directory that holds the token's files.
softhsm_token_dir() {
	softhsm_token_dirs | sed -n "s/^$1 //p"
}

# softhsm_count_objects SERIAL: prints how many objects the token holds on disk; session objects are not among them.
softhsm_count_objects() {
	local dir
	dir=$(softhsm_token_dir "$1")
	find "$dir" -name '*.object' ! -name token.object | wc -l
}

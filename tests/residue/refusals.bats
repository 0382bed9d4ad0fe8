#!/usr/bin/env bats
# Goal: what somebody, or the machine itself, could do to get at a key in a running release: core dumps, other processes of the same user, swap, limits, other code paths.
#
# Needs the build directory in CUSTOS_BUILD (ctest sets it), where uid 65534 can read it (tests/residue/reachable sees to that), and root.
# shellcheck disable=SC2016,SC2119  # $ is for the shell inside; most reports are to be clean in no special way
bats_require_minimum_version 1.5.0
# shellcheck source=tests/residue/residue.bash
. "$BATS_TEST_DIRNAME/residue.bash"

NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)

setup_file() {
	residue_begin refusals
	# one lab of root and one of an ordinary user, with a token each; one host
	BASE=$(mktemp -d)
	export BASE LAB=$BASE/root USER_LAB=$BASE/user
	chmod 755 "$BASE"
	mkdir "$USER_LAB"
	residue_lab rsa-2048
	residue_user_lab
}

teardown_file() {
	residue_end
	rm -rf "$BASE"
}

setup() {
	lab_env box
}

teardown() { residue_quiet; }

# as_user COMMAND…: as uid 65534, in the user's lab.
as_user() {
	"${NOBODY[@]}" env HOME="$USER_LAB" LAB="$USER_LAB" CUSTOS_DIR="$USER_LAB/custody" CUSTOS_MODULE=libsofthsm2.so SOFTHSM2_CONF="$USER_LAB/softhsm/softhsm2.conf" "$@"
}
as_user_custos() { as_user custos --pin-source "file:$USER_LAB/pin" "$@"; }

residue_user_lab() {
	local key
	chown 65534:65534 "$USER_LAB"
	"${NOBODY[@]}" test -x "$CUSTOS_BUILD/custos" || { echo "uid 65534 cannot run $CUSTOS_BUILD/custos" >&2; return 1; }
	# what a lab is made of is the same for everybody
	as_user BATS_TEST_TMPDIR="$USER_LAB" bash -euc '. "$0"; lab_new; for key in rsa-2048-a rsa-2048-b; do lab_key "$key" rsa-2048 dns:box.example.com; done' "$residue_here/residue.bash" > /dev/null 3>&-
	cp "$LAB/pkcs8.yaml" "$USER_LAB/pkcs8.yaml"
	chown 65534 "$USER_LAB/pkcs8.yaml"
	lab_env box
	cat "$USER_LAB/login.pub" >> "$ROOT/etc/ssh/keys-root/authorized_keys"
	as_user_custos target add pkcs8 --address "$SSH_ADDRESS" --profile "$USER_LAB/pkcs8.yaml" --hostkey "$HOSTKEY_SHA256" --verify "$HTTPS_ADDRESS" --sni box.example.com \
		--auth "key:$USER_LAB/login" > /dev/null
	for key in rsa-2048-a rsa-2048-b; do
		as_user_custos key allow "$key" pkcs8 > /dev/null
		as_user_custos deploy "$key" pkcs8 > /dev/null
		cp "$ROOT/etc/vmware/ssl/rui.key" "$USER_LAB/$key.key"
	done
}

# user_run OPTION…: residue_run with the user's custody, by the user; the scanner is root's.
user_run() {
	local LAB=$USER_LAB CUSTOS_DIR=$USER_LAB/custody SOFTHSM2_CONF=$USER_LAB/softhsm/softhsm2.conf
	RESIDUE_AS=("${NOBODY[@]}" env HOME="$USER_LAB")
	ln -sfn "$BASE/root/box" "$LAB/box"
	residue_run "$@"
	RESIDUE_AS=()
}

@test "an ordinary user's release is as clean as root's" {
	# Goal: nothing rests on being root.
	for BACKEND in memfd_secret mlock; do
		user_run rsa-2048 --every-state
		[ "$CODE" = 0 ]
		residue_clean
		residue_figures "ordinary user, $BACKEND"
	done
}

# cores: core files in the directories where the kernel could have put one.
cores() {
	find "$CORES" / "$CUSTOS_BUILD" -maxdepth 1 -name '*core*' -type f -newer "$BATS_TEST_TMPDIR/began" 2> /dev/null || true
}

# with_cores: cores are allowed, and go to the working directory unless the machine has a place of its own for them.
with_cores() {
	CORES=$BATS_TEST_TMPDIR/cores
	mkdir -p "$CORES"
	touch "$BATS_TEST_TMPDIR/began"
	ulimit -c unlimited
	cd "$CORES" || return
}

@test "signals that make cores, sent to the courier while it has the key, make none" {
	# Goal: by root, with cores allowed: held back, or a clean end; never a file.
	with_cores
	for signal in SEGV ABRT; do
		BACKEND=mlock CONFIRM=10
		residue_run rsa-2048 --every-state --at "stage key:kill -$signal \$RESIDUE_COURIER"
		residue_clean
		[ -z "$(cores)" ]
		residue_quiet
	done
	residue_figures "signals that make cores"
}

@test "a courier that crashes with the key in its hands leaves no core and nothing else" {
	# Goal: a real fault, which cannot be held back: it ends in the same epilogue.
	with_cores
	if [[ $(cat /proc/sys/kernel/core_pattern) != \|* ]]; then
		# the control: an ordinary process does leave one here
		(sh -c 'kill -SEGV $$') || true
		[ -n "$(find "$CORES" -type f)" ] || [[ $(cat /proc/sys/kernel/core_pattern) == */* ]]
		rm -f "$CORES"/*
	fi
	for BACKEND in memfd_secret mlock; do
		CONFIRM=10
		residue_run rsa-2048 --every-state --crash "stage key"
		[ "$CODE" != 0 ]
		residue_clean
		[ -z "$(cores)" ]
		residue_figures "crash, $BACKEND"
		residue_quiet
	done
}

# refused PID: nobody of uid 65534 can look into it.
refused() {
	local file
	for file in mem environ maps; do
		if "${NOBODY[@]}" sh -c 'exec 3< "$0"' "/proc/$1/$file" 2> /dev/null; then echo "/proc/$1/$file can be opened"; return 1; fi
	done
	if "${NOBODY[@]}" ls "/proc/$1/fd/" > /dev/null 2>&1; then echo "/proc/$1/fd can be read"; return 1; fi
	run "${NOBODY[@]}" "$residue_bin/residue_scan" --bytes "$BASE/anything" --pid "$1"
	echo "process $1: $output"
	[ "$status" = 2 ]
	[[ $output == *"cannot stop process"* ]]
}

# pid_of PROGRAM PARENT: the helper of the keeper PARENT.
pid_of() {
	local pid
	for pid in $(pgrep -P "$2"); do
		if [[ $(readlink "/proc/$pid/exe") == */"$1" ]]; then
			echo "$pid"
			return 0
		fi
	done
	return 1
}

# Past its start: hardened, and asleep in poll.
waits_for_somebody() { grep -q "^NoNewPrivs:.1" "/proc/$1/status" && [[ $(cat "/proc/$1/wchan") == *poll* ]]; }

belongs_to_user() { [ "$(stat -c %u "/proc/$1")" = 65534 ]; }

# attack COMMAND…: a deployment by COMMAND, which is attacked by uid 65534 while it waits for the host. The key is gone by then; who could look in now could have done so before.
attack() {
	local keeper courier token pid
	"$here/esxi/host" "$LAB/box" fault reload-noop 3>&-
	"$@" > "$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	keeper=$!
	lab_until pid_of custos-courier "$keeper" > "$BATS_TEST_TMPDIR/courier"
	lab_until pid_of custos-token "$keeper" > "$BATS_TEST_TMPDIR/token"
	courier=$(cat "$BATS_TEST_TMPDIR/courier") token=$(cat "$BATS_TEST_TMPDIR/token")
	lab_until waits_for_somebody "$courier"
	for pid in "$keeper" "$courier" "$token"; do refused "$pid"; done
	# the attempts were made in time: all three are still what they were
	[ "$(pid_of custos-courier "$keeper") $(pid_of custos-token "$keeper")" = "$courier $token" ]
	"$here/esxi/host" "$LAB/box" fault reload-noop off 3>&-
	wait "$keeper"
}

deploy_as_user() {
	local LAB=$USER_LAB
	residue_next rsa-2048
	exec "${NOBODY[@]}" env HOME="$USER_LAB" CUSTOS_DIR="$USER_LAB/custody" SOFTHSM2_CONF="$USER_LAB/softhsm/softhsm2.conf" custos --pin-source "file:$USER_LAB/pin" deploy "$KEY" pkcs8
}
deploy_as_root() {
	residue_next rsa-2048
	exec custos --pin-source "file:$LAB/pin" deploy "$KEY" pkcs8
}

@test "another process of the same user can neither read nor trace keeper, token process or courier" {
	# Goal: the files under /proc and ptrace, tried as the same uid in the middle of a release; the same attempts succeed on an ordinary process.
	openssl rand -out "$BASE/anything" 64
	chmod 644 "$BASE/anything"
	"${NOBODY[@]}" sleep 100 3>&- &
	victim=$!
	disown "$victim"
	lab_until belongs_to_user "$victim"
	"${NOBODY[@]}" sh -c 'exec 3< "$0"' "/proc/$victim/mem"
	"${NOBODY[@]}" "$residue_bin/residue_scan" --bytes "$BASE/anything" --pid "$victim" > /dev/null 2>&1
	kill "$victim"
	ln -sfn "$LAB/box" "$USER_LAB/box"
	attack deploy_as_user
	# started by root, the courier may have become the user that nobody is
	attack deploy_as_root
}

# confined KIB BACKEND WHO COMMAND…: with that much memory to lock.
confined() {
	local kib=$1 backend=$2 who=$3 words=()
	shift 3
	[ "$backend" != mlock ] || words=("$residue_bin/residue_without" memfd_secret --)
	case $who in
	user) as_user prlimit --memlock=$((kib * 1024)) "${words[@]}" custos --pin-source "file:$USER_LAB/pin" "$@" ;;
	root) prlimit --memlock=$((kib * 1024)) setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock "${words[@]}" custos --pin-source "file:$LAB/pin" "$@" ;;
	esac
}

log_size_of() { if [ "$1" = user ]; then as_user custos log checkpoint --json | lab_json '["size"]'; else lab_log_size; fi; }

@test "without memory to lock nothing is done: an ordinary user and root without CAP_IPC_LOCK, with both kinds of pages" {
	# Goal: 64 KiB stop the keeper, more than it needs and less than the courier needs stop the courier; each says which limit to raise.
	before=$(lab_snapshot box strict)
	for who in user root; do
		size=$(log_size_of $who)
		for backend in memfd_secret mlock; do
			expect 9 confined 64 $backend $who key generate never
			says "cannot lock"
			[[ $stderr == *"limit of locked memory: 64 KiB"*LimitMEMLOCK* ]]
			expect 9 confined 64 $backend $who deploy rsa-2048-a pkcs8
			says "cannot lock"
			expect 9 confined 640 $backend $who deploy rsa-2048-a pkcs8
			[[ $stderr == *"courier"* ]]
		done
		[ "$(log_size_of $who)" = "$size" ]
		# with the limit that systems have by default it works
		confined 8192 memfd_secret $who key generate "enough-$who" > /dev/null
	done
	[ "$(lab_snapshot box strict)" = "$before" ]
}

@test "a kernel that lets nothing be locked: refused, whoever asks" {
	# Goal: there is no third way, and no flag for one.
	expect 9 "$residue_bin/residue_without" memfd_secret mlock mlock2 -- custos --pin-source "file:$LAB/pin" key generate never
	says "cannot lock"
}

@test "without the processor's AES, SHA and AVX the release is as clean" {
	# Goal: libcrypto's other code keeps keys in other places.
	cp "$CUSTOS_BUILD/custos-courier" "$residue_bin/custos-courier-beneath"
	residue_in_place_of "$residue_bin/residue_environment"
	for BACKEND in memfd_secret mlock; do
		rm -f "$BASE/reached"
		residue_run rsa-2048 --every-state --at 'ready:tr "\0" "\n" < /proc/$RESIDUE_COURIER/environ | grep -q ^OPENSSL_ && touch "$BASE/reached"' -- "${IN_PLACE[@]}"
		[ "$CODE" = 0 ]
		[ -e "$BASE/reached" ]
		residue_clean
		residue_figures "plain processor, $BACKEND"
	done
}

@test "with swap on, what is locked stays locked" {
	# Goal: a machine that swaps is no reason to refuse; the pages with the key are none that could be swapped.
	printf 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swapfile                               file\t\t16380\t\t0\t\t-2\n' > "$BASE/swaps"
	BACKEND=mlock
	residue_run rsa-2048 --every-state -- unshare --mount sh -c 'mount --bind "$0" /proc/swaps && exec "$@"' "$BASE/swaps"
	[ "$CODE" = 0 ]
	residue_clean
	residue_figures "swap on"
}

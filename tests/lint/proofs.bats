#!/usr/bin/env bats
# A lint that cannot fail proves nothing: each script is shown something bad, of every kind it knows, and must name it.
# Needs the build directory in CUSTOS_BUILD (ctest sets it) and the compiler in CC.
bats_require_minimum_version 1.5.0

setup() {
	lint=$BATS_TEST_DIRNAME
	root=$(cd "$lint/../.." && pwd)
	tree=$BATS_TEST_TMPDIR/tree
	mkdir -p "$tree/src/base" "$tree/tests" "$tree/include"
	cc=${CC:-cc}
}

# refused TEXT COMMAND…: the command says no, and its violations contain TEXT.
refused() {
	local text=$1
	shift
	run "$@"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"violation: "*"$text"* ]]
}

accepted() {
	run "$@"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"lint: ok: "* ]]
}

lines() { yes '' | head -n "$1"; }

@test "size: length and names" {
	# Goal: one line too many is named, in sources and in headers, and so is a name that says nothing.
	lines 600 > "$tree/src/base/a.c"
	lines 300 > "$tree/src/base/a.h"
	accepted "$lint/size.sh" "$tree"
	lines 601 > "$tree/src/base/a.c"
	refused "src/base/a.c has 601 lines" "$lint/size.sh" "$tree"
	lines 1 > "$tree/src/base/a.c"
	lines 301 > "$tree/src/base/a.h"
	refused "src/base/a.h has 301 lines" "$lint/size.sh" "$tree"
	lines 1 > "$tree/src/base/a.h"
	for name in util.c string_utils.c misc.h common.sh key-helper.c manager.c; do
		lines 1 > "$tree/src/base/$name"
		refused "src/base/$name: its name" "$lint/size.sh" "$tree"
		rm "$tree/src/base/$name"
	done
	rm -r "$tree/src" "$tree/tests"
	refused "no file was found" "$lint/size.sh" "$tree"
}

@test "size: with git and without" {
	# Goal: a file that git ignores is not ours, one that it does not know yet is; without .git only build/ is left out.
	mkdir -p "$tree/build"
	lines 601 > "$tree/build/a.c"
	lines 1 > "$tree/src/base/a.c"
	accepted "$lint/size.sh" "$tree"
	git -C "$tree" init -q
	echo /src/base/made.c > "$tree/.gitignore"
	lines 601 > "$tree/src/base/made.c"
	accepted "$lint/size.sh" "$tree"
	lines 601 > "$tree/src/base/new.c"
	refused "src/base/new.c has 601 lines" "$lint/size.sh" "$tree"
}

@test "shell: an unquoted variable" {
	# Goal: by name, by first line, and in a bats file.
	command -v shellcheck || skip "shellcheck is not installed"
	printf '#!/bin/bash\necho "$1"\n' > "$tree/tests/a.sh"
	accepted "$lint/shell.sh" "$tree"
	printf '#!/bin/bash\nrm $1\n' > "$tree/tests/a.sh"
	refused "SC2086" "$lint/shell.sh" "$tree"
	rm "$tree/tests/a.sh"
	printf '#!/bin/sh -e\nrm $1\n' > "$tree/tests/program"
	refused "tests/program:2" "$lint/shell.sh" "$tree"
}

@test "cppcheck: an array is left" {
	# Goal: a finding of the kind that is not suppressed fails, one that is does not.
	command -v cppcheck || skip "cppcheck is not installed"
	printf 'int f(void);\nint f(void)\n{\n\tconst int a[2] = { 0, 1 };\n\treturn a[0] + a[1];\n}\n' > "$tree/src/base/a.c"
	accepted "$lint/cppcheck.sh" "$tree"
	printf 'int f(void);\nint f(void)\n{\n\tconst int a[2] = { 0, 1 };\n\treturn a[2];\n}\n' > "$tree/src/base/a.c"
	refused "src/base/a.c:5" "$lint/cppcheck.sh" "$tree"
}

@test "secrets: keys" {
	# Goal: key material is found in PEM, in a C string, in DER; armour without material is code.
	printf 'static const char begin[] = "-----BEGIN PRIVATE KEY-----\\n";\n' > "$tree/src/base/a.c"
	accepted "$lint/secrets.sh" "$tree"
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$tree/tests/key" 2> /dev/null
	refused "tests/key: a private key in PEM" "$lint/secrets.sh" "$tree"
	sed 's/.*/"&\\n"/' "$tree/tests/key" > "$tree/tests/key.h"
	openssl pkey -in "$tree/tests/key" -outform DER -out "$tree/tests/key.der"
	rm "$tree/tests/key"
	refused "tests/key.h: a private key in PEM" "$lint/secrets.sh" "$tree"
	[[ $output == *"tests/key.der: a private key in DER"* ]]
	rm "$tree"/tests/key.*
	openssl genrsa -traditional -out "$tree/tests/old" 2048 2> /dev/null
	refused "tests/old: a private key in PEM" "$lint/secrets.sh" "$tree"
	openssl rsa -in "$tree/tests/old" -traditional -outform DER -out "$tree/tests/old.der" 2> /dev/null
	rm "$tree/tests/old"
	refused "tests/old.der: a private key in DER" "$lint/secrets.sh" "$tree"
	rm "$tree/tests/old.der"
	ssh-keygen -q -t ed25519 -N '' -C '' -f "$tree/tests/login"
	refused "tests/login: a private key in PEM" "$lint/secrets.sh" "$tree"
}

@test "secrets: names, addresses, goals" {
	# Goal: what points to a machine or a person is found, what is documentation is not.
	printf 'see RFC 5280 4.2.1.6, OID 2.16.840.1.101.3.4.2.1, 192.0.2.7, 127.0.0.1 and admin@example.com\n' > "$tree/src/base/a.c"
	accepted "$lint/secrets.sh" "$tree"
	printf 'ping 10.20.30.40\n' > "$tree/src/base/a.c"
	refused "10.20.30.40" "$lint/secrets.sh" "$tree"
	printf 'ask somebody@%s\n' corp.net > "$tree/src/base/a.c"
	refused "the mail address somebody" "$lint/secrets.sh" "$tree"
	printf '/* in %s/main */\n' "/wo""rk" > "$tree/src/base/a.c"
	refused "a path of the machine" "$lint/secrets.sh" "$tree"
	printf '/* see iss%s 12 */\n' ue > "$tree/src/base/a.c"
	refused "internal ticket" "$lint/secrets.sh" "$tree"
	printf '/* TO%s: later */\n' DO > "$tree/src/base/a.c"
	refused "a note to oneself" "$lint/secrets.sh" "$tree"
	printf '/* */\n' > "$tree/src/base/a.c"
	printf '%stest "one" {\n\ttrue\n}\n' @ > "$tree/tests/a.bats"
	refused 'the scenario "one"' "$lint/secrets.sh" "$tree"
	printf '%stest "one" {\n\t# Goal: something\n\ttrue\n}\n' @ > "$tree/tests/a.bats"
	accepted "$lint/secrets.sh" "$tree"
}

# program OPTION…: a program called custos, in a build directory of its own.
program() {
	printf 'int main(void) { return 0; }\n' > "$BATS_TEST_TMPDIR/main.c"
	"$cc" "$@" -o "$BATS_TEST_TMPDIR/custos" "$BATS_TEST_TMPDIR/main.c"
}

@test "bindnow: each protection missing in turn" {
	# Goal: position, binding, relocation, stack and a forbidden library are each noticed alone.
	export CUSTOS_SOURCE=$tree
	local good=(-fPIE -pie '-Wl,-z,relro,-z,now,-z,noexecstack')
	program "${good[@]}"
	accepted "$lint/bindnow.sh" "$BATS_TEST_TMPDIR"
	program -no-pie -Wl,-z,relro,-z,now
	refused "not position independent" "$lint/bindnow.sh" "$BATS_TEST_TMPDIR"
	program -fPIE -pie -Wl,-z,relro,-z,lazy
	refused "bound lazily" "$lint/bindnow.sh" "$BATS_TEST_TMPDIR"
	program -fPIE -pie -Wl,-z,norelro,-z,now
	refused "no GNU_RELRO" "$lint/bindnow.sh" "$BATS_TEST_TMPDIR"
	program "${good[@]}" -Wl,-z,execstack
	refused "executable stack" "$lint/bindnow.sh" "$BATS_TEST_TMPDIR"
	program "${good[@]}" -Wl,--no-as-needed -lssh2
	refused "links libssh2" "$lint/bindnow.sh" "$BATS_TEST_TMPDIR"
	rm "$BATS_TEST_TMPDIR/custos"
	refused "no program was found" "$lint/bindnow.sh" "$BATS_TEST_TMPDIR"
}

# A copy of the real build in which the vault layer holds one more object, made of the source on stdin.
build_with() {
	local fake=$BATS_TEST_TMPDIR/build
	rm -rf "$fake"
	mkdir "$fake"
	ln -s "$CUSTOS_BUILD"/libcustos_*.a "$CUSTOS_BUILD/CMakeFiles" "$CUSTOS_BUILD/CMakeCache.txt" "$fake/"
	rm "$fake/libcustos_vault.a"
	cp "$CUSTOS_BUILD/libcustos_vault.a" "$fake/"
	cat > "$BATS_TEST_TMPDIR/bad.c"
	"$cc" -O1 -fno-builtin -w -c -o "$BATS_TEST_TMPDIR/bad.c.o" "$BATS_TEST_TMPDIR/bad.c"
	ar r "$fake/libcustos_vault.a" "$BATS_TEST_TMPDIR/bad.c.o"
}

plain_build() {
	if grep -q '^CUSTOS_SANITIZE:BOOL=ON' "$CUSTOS_BUILD/CMakeCache.txt"; then skip "a build with sanitizers has other symbols"; fi
}

@test "symbols: a call from where it may not come" {
	# Goal: for each family of rules one call from the vault is refused, by name; a harmless object changes nothing.
	plain_build
	local call calls=(custos_permit_mint custos_permit_consume custos_secret_expose EVP_DigestUpdate d2i_X509 SSL_new EVP_PKEY_sign RAND_bytes
		p11_kit_module_load C_GetFunctionList dlopen sqlite3_exec PQexec libssh2_init yaml_parser_parse json_object printf fputs __fprintf_chk dprintf fopen
		system exit _exit abort getenv setenv fork execve mlock prctl getrandom rand socket connect socketpair strcpy pthread_create)
	build_with <<< 'int custos_vault_extra(int a) { return a + 1; }'
	run "$lint/symbols.sh" "$BATS_TEST_TMPDIR/build"
	[[ $output != *vault/bad.c* ]]
	for call in "${calls[@]}"; do echo "extern void $call(void); void custos_vault_$call(void) { $call(); }"; done | build_with
	refused "vault/bad.c" "$lint/symbols.sh" "$BATS_TEST_TMPDIR/build"
	for call in "${calls[@]}"; do
		[[ $output == *"vault/bad.c refers to $call;"* ]] || { echo "$call was not seen"; return 1; }
	done
}

@test "symbols: a variable that outlives its call, and a second maker of permits" {
	# Goal: writable globals are counted whether they begin with zeros or not; a definition elsewhere does not go unseen.
	plain_build
	local fake=$BATS_TEST_TMPDIR/build
	build_with << 'END'
static int zero, seven = 7;
static _Thread_local int mine = 7;
int custos_vault_extra(void) { return ++zero + ++seven + ++mine; }
int custos_permit_mint(void) { return 0; }
END
	refused "vault/bad.c has 4 writable bytes in .bss" "$lint/symbols.sh" "$fake"
	[[ $output == *"vault/bad.c has 4 writable bytes in .data"* ]]
	[[ $output == *"vault/bad.c has 4 writable bytes in .tdata"* ]]
	[[ $output == *"custos_permit_mint must be defined once, in base"* ]]
	rm "$fake/libcustos_vault.a"
	refused "libcustos_vault.a was not built" "$lint/symbols.sh" "$fake"
}

# The real tree and the real include roots, to be spoiled.
copy_layers() {
	rm -rf "$tree" "$BATS_TEST_TMPDIR/build"
	mkdir -p "$tree" "$BATS_TEST_TMPDIR/build"
	cp -r "$root/src" "$root/include" "$root/docs" "$tree/"
	cp -rP "$CUSTOS_BUILD/layers" "$BATS_TEST_TMPDIR/build/"
}

@test "layers: the build lets an undeclared include through" {
	# Goal: a layer that sees one it did not declare, and one that no longer sees what it did.
	copy_layers
	accepted "$lint/layers.sh" "$tree" "$BATS_TEST_TMPDIR/build" "$cc"
	ln -s "$root/src/store" "$BATS_TEST_TMPDIR/build/layers/base/store"
	refused "layer base does not declare store" "$lint/layers.sh" "$tree" "$BATS_TEST_TMPDIR/build" "$cc"
	rm "$BATS_TEST_TMPDIR/build/layers/base/store" "$BATS_TEST_TMPDIR/build/layers/log/crypto"
	refused "layer log cannot include what it declares" "$lint/layers.sh" "$tree" "$BATS_TEST_TMPDIR/build" "$cc"
	rm -r "$BATS_TEST_TMPDIR/build/layers/log"
	refused "no include root for layer log" "$lint/layers.sh" "$tree" "$BATS_TEST_TMPDIR/build" "$cc"
}

@test "layers: ways around" {
	# Goal: a relative path, a foreign header in the wrong folder, a public header that needs a private one.
	copy_layers
	local run=("$lint/layers.sh" "$tree" "$BATS_TEST_TMPDIR/build" "$cc")
	printf '#include "../store/store.h"\n' > "$tree/src/log/bad.c"
	refused "src/log/bad.c reaches around" "${run[@]}"
	printf '#include <sqlite3.h>\n' > "$tree/src/log/bad.c"
	refused "src/log/bad.c includes #include <sqlite3.h>" "${run[@]}"
	printf '#  include <openssl/evp.h>\n' > "$tree/src/log/bad.c"
	refused "only crypto x509 may" "${run[@]}"
	rm "$tree/src/log/bad.c"
	printf '#include "base/bytes.h"\n' > "$tree/include/custos/bad.h"
	refused "include/custos/bad.h: a public header includes" "${run[@]}"
}

@test "layers: the page and the build disagree" {
	# Goal: a layer that uses more than the table says, less, or one above itself.
	copy_layers
	local run=("$lint/layers.sh" "$tree" "$BATS_TEST_TMPDIR/build" "$cc") page=$tree/docs/ARCHITECTURE.md
	sed -i '/^| `log` /s/`base`, `crypto`, `data`/`base`, `crypto`/' "$page"
	refused "does not" "${run[@]}"
	copy_layers
	sed -i '/^| `store` /d' "$page"
	refused 'layer.cmake says "store: base"' "${run[@]}"
	copy_layers
	sed -i '/^| `base` /s/| – |/| `data` |/' "$page"
	sed -i 's/^custos_layer(base SOURCES/custos_layer(base USES data SOURCES/' "$tree/src/base/layer.cmake"
	refused "layer base uses data, which does not stand above it" "${run[@]}"
}

@test "man: a page is behind the program, or ahead of it" {
	# Goal: commands, options, global options, environment, exit codes, profile fields and events, each missing once and each invented once.
	copy_layers
	local run=("$lint/man.sh" "$tree" "$CUSTOS_BUILD")
	accepted "${run[@]}"
	# spoil FILE SED TEXT: with the change the lint says TEXT; then the page is whole again.
	spoil() {
		cp "$tree/$1" "$BATS_TEST_TMPDIR/whole"
		sed -i "$2" "$tree/$1"
		refused "$3" "${run[@]}"
		cp "$BATS_TEST_TMPDIR/whole" "$tree/$1"
	}
	spoil docs/man/custos-key.1 's/^\.It Fl -type Ar TYPE/.It Fl -kind Ar TYPE/' '"custos key generate: --type TYPE" is not in the manual'
	spoil docs/man/custos-key.1 's/^\.It Fl -type Ar TYPE/.It Fl -kind Ar TYPE/' 'the manual has "custos key generate: --kind TYPE"'
	spoil docs/man/custos-key.1 's/^\.Ss custos key list/.Ss custos key erase/' '"custos key list" is not in the manual'
	spoil docs/man/custos.1 's/^\.It Fl -quiet/.It Fl -silent/' 'global options: "--quiet" is not in the manual'
	spoil docs/man/custos.1 's/^\.It Ev CUSTOS_DIR/.It Ev CUSTOS_HOME/' 'environment: "CUSTOS_DIR" is not in the manual'
	spoil docs/man/custos-exit.7 's/^\.It 11 .*/.It 14 not_rolled_back/' 'exit codes: "11 not_rolled_back" is not in the manual'
	spoil docs/man/custos-profile.5 's/^\.It Cm settle_ms/.It Cm settle/' 'fields of a profile: "settle_ms" is not in the manual'
	spoil docs/FORMATS.md '/^| `key.allow`/d' 'the event key.allow is not described'
	spoil docs/man/custos-log.1 's/^\.Sh EXAMPLES/.Sh AUTHORS/' 'custos-log.1 has no EXAMPLES'
	spoil docs/man/custos-log.1 's/^\.Xr custos-deploy 1/.Xr custos-ship 1/' 'refers to custos-ship(1)'
	command -v mandoc || skip "mandoc is not installed"
	spoil docs/man/custos-log.1 's/^\.Sh EXIT STATUS/.Sh EXIT STATUS\n.Foo/' 'unknown macro'
}

# A page with the eleven invariants, and the few things it names: a function, a table, a unit test of one case, a bats file of one scenario.
make_page() {
	local n
	mkdir -p "$tree/docs" "$tree/tests/unit" "$tree/tests/it"
	printf 'static int table[2] = { 1, 2 };\nint elsewhere(int a);\nint held(int a,\n         int b)\n{\n\treturn other(a);\n}\n' > "$tree/src/base/a.c"
	printf 'static void attacked(void **state)\n{\n}\nstatic void forgotten(void **state)\n{\n}\nint main(void)\n{\n\tcmocka_unit_test(attacked);\n}\n' > "$tree/tests/unit/test_a.c"
	printf 'foreach(name a z)\n  custos_unit(${name} base test_${name}.c)\nendforeach()\n' > "$tree/tests/unit/base.cmake"
	printf '%stest "a scenario: whatever it does" {\n\ttrue\n}\n' @ > "$tree/tests/it/b.bats"
	printf 'custos_bats(b LABELS job)\n' > "$tree/tests/it/it.cmake"
	for ((n = 1; n <= 11; n++)); do
		printf '### %d. Claim\n\n- Code: `src/base/a.c` `held()`, `table[]`.\n- Attack: `unit_a: attacked`, `it_b: a scenario: whatever it does`, `it_b`.\n- Not claimed: more.\n\n' $n
	done > "$tree/docs/ASSURANCE.md"
}

@test "assurance: a name that is not there, of every kind" {
	# Goal: file, function, table, test, scenario and registration gone, or put into the page without being there; also a prototype and a test that nobody runs.
	local page=$tree/docs/ASSURANCE.md run=("$lint/assurance.sh" "$tree")
	make_page
	accepted "${run[@]}"
	[[ $output == *"11 claims"* ]]
	# spoil FILE SED TEXT: with the change the lint says TEXT; then all is whole again.
	spoil() {
		sed -i "$2" "$tree/$1"
		refused "$3" "${run[@]}"
		make_page
	}
	spoil src/base/a.c 's/held/kept/' 'src/base/a.c does not define held()'
	spoil src/base/a.c 's/table/list/' 'src/base/a.c does not define table[]'
	spoil docs/ASSURANCE.md 's/held()/other()/' 'src/base/a.c does not define other()'
	spoil docs/ASSURANCE.md 's/held()/elsewhere()/' 'src/base/a.c does not define elsewhere()'
	spoil docs/ASSURANCE.md 's/held()/table()/' 'src/base/a.c does not define table()'
	spoil docs/ASSURANCE.md 's/`src.base.a.c` //' 'held() follows no file'
	spoil docs/ASSURANCE.md 's/base.a.c/base\/b.c/' 'there is no src/base/b.c'
	spoil docs/ASSURANCE.md 's/: attacked/: forgotten/' 'tests/unit/test_a.c does not run "forgotten"'
	spoil tests/unit/test_a.c 's/void attacked/void dropped/' 'tests/unit/test_a.c does not run "attacked"'
	spoil tests/it/b.bats 's/whatever/what/' 'tests/it/b.bats does not run "a scenario: whatever it does"'
	spoil tests/unit/base.cmake 's/ a z/ z/' 'there is no test unit_a'
	spoil tests/it/it.cmake 's/custos_bats/custos_cats/' 'there is no test it_b'
	spoil docs/ASSURANCE.md 's/`unit_a:/`unit_z:/' 'the source of unit_z is not where it belongs'
	spoil docs/ASSURANCE.md 's/`unit_a:/`unti_a:/' '"unti_a: attacked" is neither a path nor a definition nor a test'
	spoil docs/ASSURANCE.md '3s/`held/held/' 'a backtick too many'
}

@test "assurance: a claim without code, attack or limit, and an invariant that is not claimed" {
	# Goal: what a page must say, missing once each.
	local run=("$lint/assurance.sh" "$tree")
	make_page
	spoil() {
		sed -i "$1" "$tree/docs/ASSURANCE.md"
		refused "$2" "${run[@]}"
		make_page
	}
	spoil '/^### 7/,/^- Code/s/^- Code.*/- Code: `src\/base\/a.c`, somewhere./' 'claim "7. Claim" names no code'
	spoil '/^### 11/,$s/^- Attack.*/- Attack: we looked./' 'claim "11. Claim" names no attack'
	spoil '/^### 1\./,/^- Not/s/^- Not claimed.*/- So it is./' 'claim "1. Claim" does not say what is not claimed'
	spoil 's/^### 5\. /### V. /' 'invariant 5 is claimed 0 times'
	spoil 's/^### 5\. /### 6. /' 'invariant 6 is claimed 2 times'
	rm "$tree/docs/ASSURANCE.md"
	refused 'there is no docs/ASSURANCE.md' "${run[@]}"
}

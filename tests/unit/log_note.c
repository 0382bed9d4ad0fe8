/* Signed notes against published vectors and against everything a careless or hostile writer may put into one. */
#include "log/note.h"

#include "crypto/digest.h"
#include "crypto/verify.h"

#include "soft_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char origin[] = "log.example.com/custody";
static const uint8_t root[CUSTOS_HASH_SIZE] = { 1, 2, 3 };

static void vkeys_of_others(void **state)
{
	(void)state;
	/* C2SP signed-note; golang.org/x/mod/sumdb/note */
	static const char *const vkeys[] = {
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
	};
	for (size_t i = 0; i < sizeof vkeys / sizeof *vkeys; i++) {
		CUSTOS_AUTO_NOTE_KEY key = { 0 };
		CUSTOS_AUTO_BUF again = { 0 };
		struct custos_err err = { 0 };
		assert_int_equal(custos_note_key_parse(vkeys[i], &key, &err), CUSTOS_OK);
		assert_int_equal(key.algorithm, CUSTOS_SIGNATURE_ED25519);
		assert_int_equal(custos_note_key_format(&key, &again, &err), CUSTOS_OK);
		assert_string_equal((char *)again.ptr, vkeys[i]);
	}
}

static void vkeys_refused(void **state)
{
	(void)state;
	static const char *const vkeys[] = {
		"",
		"example.com/foo",
		"example.com/foo+530d903a",
		"+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",   /* other name, other id */
		"example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",   /* other id */
		"example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",   /* upper case */
		"example.com/foo+0530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2l",   /* other key */
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",    /* cut */
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAA==",
		"example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",   /* cosignature type */
		"example com+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	};
	for (size_t i = 0; i < sizeof vkeys / sizeof *vkeys; i++) {
		CUSTOS_AUTO_NOTE_KEY key = { 0 };
		struct custos_err err = { 0 };
		if (custos_note_key_parse(vkeys[i], &key, &err) != CUSTOS_E_INPUT)
			fail_msg("accepted: %s", vkeys[i]);
		assert_int_not_equal(err.msg[0], '\0');
	}
}

static void names(void **state)
{
	(void)state;
	static const char *const good[] = { "a", "log.example.com/x", "log\xc3\xa9.example" };
	static const char *const bad[] = { "",
		                           "a b",
		                           "a+b",
		                           "a\nb",
		                           "a\tb",
		                           "a\x7f",
		                           "a\xc2\xa0"
		                           "b",
		                           "a\xe2\x80\x83"
		                           "b",
		                           "\xff",
		                           "\xc0\x80",
		                           "\xed\xa0\x80",
		                           "a\xe2\x80" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(custos_note_is_name(CUSTOS_BYTES_STR(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(custos_note_is_name(CUSTOS_BYTES_STR(bad[i])));
}

struct fixture {
	struct soft_signer soft, stranger;
	struct custos_note_key key, stranger_key;
	struct custos_buf body, line, stranger_line; /* line: a good signature line with its newline */
};

static void make_line(struct fixture *f, struct soft_signer *by, const struct custos_note_key *key, struct custos_buf *line)
{
	CUSTOS_AUTO_BUF note = { 0 }, signature = { 0 };
	assert_int_equal(by->signer.sign(by, custos_buf_view(&f->body), &signature, NULL), CUSTOS_OK);
	assert_int_equal(custos_note_format(key, custos_buf_view(&f->body), custos_buf_view(&signature), &note, NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_append_str(line, (char *)note.ptr + f->body.len + 1, NULL), CUSTOS_OK);
}

static void set_up(struct fixture *f, enum custos_signature algorithm)
{
	*f = (struct fixture){ 0 };
	soft_signer_init(&f->soft, algorithm);
	soft_signer_init(&f->stranger, algorithm);
	assert_int_equal(custos_note_key_from_spki(origin, f->soft.signer.spki, &f->key, NULL), CUSTOS_OK);
	assert_int_equal(custos_note_key_from_spki("witness.example/w", f->stranger.signer.spki, &f->stranger_key, NULL), CUSTOS_OK);
	assert_int_equal(custos_checkpoint_format(origin, 42, root, &f->body, NULL), CUSTOS_OK);
	make_line(f, &f->soft, &f->key, &f->line);
	make_line(f, &f->stranger, &f->stranger_key, &f->stranger_line);
}

static void tear_down(struct fixture *f)
{
	soft_signer_done(&f->soft);
	soft_signer_done(&f->stranger);
	custos_note_key_done(&f->key);
	custos_note_key_done(&f->stranger_key);
	custos_buf_done(&f->body);
	custos_buf_done(&f->line);
	custos_buf_done(&f->stranger_line);
}

static custos_rc open_text(const struct fixture *f, const char *body, const char *rest, struct custos_checkpoint *ret)
{
	CUSTOS_AUTO_BUF note = { 0 };
	struct custos_err err = { 0 };
	assert_int_equal(custos_buf_printf(&note, NULL, "%s%s", body, rest), CUSTOS_OK);
	custos_rc rc = custos_checkpoint_open(custos_buf_view(&note), &f->key, "the note", ret, &err);
	assert_int_equal(rc, err.rc);
	return rc;
}

static void good_notes(struct fixture *f)
{
	struct custos_checkpoint checkpoint;
	const char *body = (char *)f->body.ptr, *mine = (char *)f->line.ptr, *other = (char *)f->stranger_line.ptr;
	char rest[12000];
	snprintf(rest, sizeof rest, "\n%s", mine);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_OK);
	assert_int_equal(checkpoint.size, 42);
	assert_memory_equal(checkpoint.root, root, sizeof root);
	assert_int_equal(checkpoint.body.len, f->body.len);
	snprintf(rest, sizeof rest, "\n%s%s%s", other, mine, other);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_OK);
	/* sixteen signatures, then one too many */
	size_t at = (size_t)snprintf(rest, sizeof rest, "\n%s", mine);
	for (int i = 1; i < CUSTOS_NOTE_SIGNATURES_MAX; i++)
		at += (size_t)snprintf(rest + at, sizeof rest - at, "%s", other);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_OK);
	snprintf(rest + at, sizeof rest - at, "%s", other);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
}

static void bad_bodies(struct fixture *f)
{
	static const char *const sizes[] = { "042", "+42", " 42", "42 ", "-1", "0x2a", "", "99999999999999999999999", "18446744073709551615" };
	static const char rest_of_body[] = "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
	struct custos_checkpoint checkpoint;
	char body[400], rest[800];
	snprintf(rest, sizeof rest, "\n%s", (char *)f->line.ptr);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		snprintf(body, sizeof body, "%s\n%s\n%s", origin, sizes[i], rest_of_body);
		if (open_text(f, body, rest, &checkpoint) != CUSTOS_E_INPUT)
			fail_msg("accepted: %s", body);
	}
	/* root: stray bits, no padding, wrong length; an extension line; another origin; no newline at all */
	snprintf(body, sizeof body, "%s\n42\nAQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n", origin);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(body, sizeof body, "%s\n42\nAQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", origin);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(body, sizeof body, "%s\n42\nAQID\n", origin);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(body, sizeof body, "%sextension\n", (char *)f->body.ptr);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(body, sizeof body, "x%s", (char *)f->body.ptr);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	assert_int_equal(open_text(f, origin, "", &checkpoint), CUSTOS_E_INPUT);
	/* well-formed, but not what was signed */
	snprintf(body, sizeof body, "%s\n43\n%s", origin, (char *)f->body.ptr + strlen(origin) + 4);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_TAMPERED);
}

static void bad_signatures(struct fixture *f)
{
	struct custos_checkpoint checkpoint;
	const char *body = (char *)f->body.ptr, *mine = (char *)f->line.ptr, *other = (char *)f->stranger_line.ptr;
	char rest[2000], bad[800];
	snprintf(rest, sizeof rest, "\n%s", other);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_TAMPERED);  /* only a stranger's */
	assert_int_equal(open_text(f, body, "\n", &checkpoint), CUSTOS_E_INPUT);
	assert_int_equal(open_text(f, body, "", &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "\n\n%s", mine);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "x\n%s", mine);                                  /* an unsigned line in place of the blank one */
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "\n%.*s", (int)strlen(mine) - 1, mine);          /* last newline missing */
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "\n-%s", mine + 3);                              /* a hyphen is no dash */
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "\n%strailing", mine);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "\n%.*s \n", (int)strlen(mine) - 1, mine);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "\n\xe2\x80\x94 %s\n", origin);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	snprintf(rest, sizeof rest, "\n\xe2\x80\x94 %s AAAA\n", origin);             /* shorter than a key id */
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_INPUT);
	/* One character of the signature, beside a good signature of the same key: refused all the same. */
	snprintf(bad, sizeof bad, "%s", mine);
	size_t at = strlen(bad) - 20;
	bad[at] = bad[at] == 'A' ? 'B' : 'A';
	snprintf(rest, sizeof rest, "\n%s%s", mine, bad);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_TAMPERED);
	snprintf(rest, sizeof rest, "\n%s", bad);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_TAMPERED);
	/* The stranger signs under the log's name. */
	struct custos_note_key forged = f->stranger_key;
	forged.name = f->key.name;
	CUSTOS_AUTO_BUF line = { 0 };
	make_line(f, &f->stranger, &forged, &line);
	snprintf(rest, sizeof rest, "\n%s", (char *)line.ptr);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_TAMPERED);
	/* … and under its key id. */
	memcpy(forged.id, f->key.id, sizeof forged.id);
	custos_buf_done(&line);
	make_line(f, &f->stranger, &forged, &line);
	snprintf(rest, sizeof rest, "\n%s", (char *)line.ptr);
	assert_int_equal(open_text(f, body, rest, &checkpoint), CUSTOS_E_TAMPERED);
}

/* Every single bit of a note, flipped: never accepted, unless only a stranger's line is concerned. */
static void every_bit(struct fixture *f)
{
	CUSTOS_AUTO_BUF note = { 0 };
	struct custos_checkpoint checkpoint;
	assert_int_equal(custos_buf_printf(&note, NULL, "%s\n%s", (char *)f->body.ptr, (char *)f->line.ptr), CUSTOS_OK);
	for (size_t bit = 0; bit < 8 * note.len; bit++) {
		note.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (custos_checkpoint_open(custos_buf_view(&note), &f->key, "the note", &checkpoint, NULL) == CUSTOS_OK)
			fail_msg("bit %zu does not matter", bit);
		if (custos_checkpoint_open_own(custos_buf_view(&note), &f->key, "the note", &checkpoint, NULL) != CUSTOS_E_TAMPERED)
			fail_msg("bit %zu is not called tampering", bit);
		note.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void with_ed25519(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, CUSTOS_SIGNATURE_ED25519);
	good_notes(&f);
	bad_bodies(&f);
	bad_signatures(&f);
	every_bit(&f);
	tear_down(&f);
}

static void with_p256(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, CUSTOS_SIGNATURE_ECDSA_SHA256);
	CUSTOS_AUTO_BUF vkey = { 0 };
	CUSTOS_AUTO_NOTE_KEY again = { 0 };
	assert_int_equal(custos_note_key_format(&f.key, &vkey, NULL), CUSTOS_OK);
	assert_int_equal(custos_note_key_parse((char *)vkey.ptr, &again, NULL), CUSTOS_OK);
	assert_int_equal(again.algorithm, CUSTOS_SIGNATURE_ECDSA_SHA256);
	assert_true(custos_bytes_equal(custos_buf_view(&again.spki), f.soft.signer.spki));
	good_notes(&f);
	bad_bodies(&f);
	bad_signatures(&f);
	every_bit(&f);
	tear_down(&f);
}

/* Goal: a key that has no type of its own has one vkey and no other, whose id is made of name, type and key. */
static void with_rsa(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256);
	CUSTOS_AUTO_BUF vkey = { 0 };
	CUSTOS_AUTO_BUF named = { 0 };
	CUSTOS_AUTO_BUF typed = { 0 };
	CUSTOS_AUTO_BUF forged = { 0 };
	CUSTOS_AUTO_NOTE_KEY again = { 0 };
	CUSTOS_AUTO_NOTE_KEY none = { 0 };
	uint8_t hash[CUSTOS_HASH_SIZE];
	static const char type[] = "\xff" "custos-rsa-pkcs1-sha256\n";
	assert_int_equal(custos_note_key_format(&f.key, &vkey, NULL), CUSTOS_OK);
	assert_int_equal(custos_note_key_parse((char *)vkey.ptr, &again, NULL), CUSTOS_OK);
	assert_int_equal(again.algorithm, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256);
	assert_true(custos_bytes_equal(custos_buf_view(&again.spki), f.soft.signer.spki));
	assert_int_equal(custos_buf_printf(&named, NULL, "%s\n%s", origin, type), CUSTOS_OK);
	assert_int_equal(custos_buf_append(&named, f.soft.signer.spki.ptr, f.soft.signer.spki.len, NULL), CUSTOS_OK);
	assert_int_equal(custos_sha256(custos_buf_view(&named), hash, NULL), CUSTOS_OK);
	assert_memory_equal(again.id, hash, sizeof again.id);
	/* the same key as if it were one of type 0x02, with the right id */
	assert_int_equal(custos_buf_append_str(&typed, "\x02", NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_append(&typed, f.soft.signer.spki.ptr, f.soft.signer.spki.len, NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_printf(&forged, NULL, "%s+%02x%02x%02x%02x+", origin, hash[0], hash[1], hash[2], hash[3]), CUSTOS_OK);
	assert_int_equal(custos_base64_encode(custos_buf_view(&typed), &forged, NULL), CUSTOS_OK);
	assert_int_equal(custos_note_key_parse((char *)forged.ptr, &none, NULL), CUSTOS_E_INPUT);
	good_notes(&f);
	bad_bodies(&f);
	bad_signatures(&f);
	tear_down(&f);
}

static void other_keys_refused(void **state)
{
	(void)state;
	uint8_t *spki = NULL;
	CUSTOS_AUTO_NOTE_KEY key = { 0 };
	EVP_PKEY *const others[] = { EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048) };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		spki = NULL;
		int len = i2d_PUBKEY(others[i], &spki);
		assert_int_equal(custos_note_key_from_spki(origin, CUSTOS_BYTES(spki, (size_t)len), &key, NULL), CUSTOS_E_INPUT);
		assert_int_equal(custos_note_key_from_spki(origin, CUSTOS_BYTES(spki, 0), &key, NULL), CUSTOS_E_INPUT);
		OPENSSL_free(spki);
		EVP_PKEY_free(others[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vkeys_of_others), cmocka_unit_test(vkeys_refused), cmocka_unit_test(names),
		cmocka_unit_test(with_ed25519),    cmocka_unit_test(with_p256),     cmocka_unit_test(other_keys_refused),
		cmocka_unit_test(with_rsa),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

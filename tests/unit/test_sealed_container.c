/* Containers of sealed keys: what was sealed opens, and nothing else does: not with a changed byte, another content key, another head. */
#include "crypto/digest.h"
#include "crypto/new_key.h"
#include "crypto/pem.h"
#include "crypto/seal.h"
#include "crypto/sealed_container.h"
#include "crypto/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define OK(call) \
	do { \
		struct custos_err err = { 0 }; \
		if ((call) != CUSTOS_OK) \
			fail_msg("%s: %s", #call, err.msg); \
	} while (0)
#define REFUSED(call, category) \
	do { \
		struct custos_err err = { 0 }; \
		assert_int_equal((call), category); \
		assert_true(err.msg[0] != '\0'); \
	} while (0)

/* A sealing key in software, as a token has it. */
struct sealing {
	EVP_PKEY *rsa;
	struct custos_ephemeral *ecdh;
	struct custos_buf spki;
	struct custos_sealing_key key;
};

static void sealing_rsa(struct sealing *s, unsigned bits)
{
	uint8_t *der = NULL;
	*s = (struct sealing){ .rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits) };
	int len = i2d_PUBKEY(s->rsa, &der);
	assert_true(len > 0);
	OK(custos_buf_append(&s->spki, der, (size_t)len, &err));
	OPENSSL_free(der);
	s->key = (struct custos_sealing_key){ CUSTOS_SEALING_RSA_OAEP_SHA256, custos_buf_view(&s->spki) };
}

static void sealing_ecdh(struct sealing *s)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	*s = (struct sealing){ 0 };
	OK(custos_ephemeral_new(&s->ecdh, point, &err));
	OK(custos_spki_ec("P-256", CUSTOS_BYTES(point, sizeof point), &s->spki, &err));
	s->key = (struct custos_sealing_key){ CUSTOS_SEALING_ECDH_P256, custos_buf_view(&s->spki) };
}

static void sealing_done(struct sealing *s)
{
	EVP_PKEY_free(s->rsa);
	custos_ephemeral_free(s->ecdh);
	custos_buf_done(&s->spki);
}

struct decryption {
	EVP_PKEY_CTX *ctx;
	struct custos_bytes sealed;
};

static custos_rc decrypt(void *ctx, uint8_t *out, size_t room, struct custos_err *err)
{
	struct decryption *d = ctx;
	uint8_t opened[1024];
	size_t len = sizeof opened;
	(void)err;
	assert_int_equal(EVP_PKEY_decrypt(d->ctx, opened, &len, d->sealed.ptr, d->sealed.len), 1);
	assert_int_equal(len, room);
	memcpy(out, opened, len);
	return CUSTOS_OK;
}

/* What custos-token does with a token. */
static struct custos_secret *open_content_key(const struct sealing *s, const struct custos_sealed_container *c)
{
	struct custos_secret *key = NULL;
	if (s->ecdh != NULL) {
		OK(custos_unseal(s->ecdh, c->point, c->content_key, &key, &err));
		return key;
	}
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, s->rsa, NULL);
	assert_true(EVP_PKEY_decrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
	            EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1);
	struct decryption d = { ctx, c->content_key };
	OK(custos_secret_new(CUSTOS_CONTENT_KEY_SIZE, &key, &err));
	OK(custos_secret_expose(key, decrypt, &d, &err));
	EVP_PKEY_CTX_free(ctx);
	return key;
}

struct sealed {
	struct custos_buf spki, container;
	struct custos_sealed_name name;
	struct custos_sealed_container parsed;
};

static void seal(struct sealed *s, const struct sealing *to, const char *type)
{
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	*s = (struct sealed){ .name = { .origin = "custody.example/lab", .key = "web" } };
	snprintf(s->name.type, sizeof s->name.type, "%s", type);
	OK(custos_key_birth(type, &pkcs8, &s->spki, &err));
	OK(custos_sha256(custos_buf_view(&s->spki), s->name.spki_sha256, &err));
	OK(custos_sealed_container_make(pkcs8, &s->name, &to->key, &s->container, &err));
	OK(custos_sealed_container_parse(custos_buf_view(&s->container), &s->parsed, &err));
}

static void sealed_done(struct sealed *s)
{
	custos_buf_done(&s->spki);
	custos_buf_done(&s->container);
}

/* Goal: a key of every type is born, sealed, opened by whoever has the sealing key, and signs as itself. */
static void what_was_sealed_opens(void **state)
{
	static const char *const types[] = { "rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ec-p521" };
	(void)state;
	struct sealing ways[2];
	sealing_rsa(&ways[0], 2048);
	sealing_ecdh(&ways[1]);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		const struct sealing *to = &ways[i % 2];
		struct sealed s;
		uint8_t hash[CUSTOS_HASH_SIZE];
		seal(&s, to, types[i]);
		assert_string_equal(s.parsed.name.origin, "custody.example/lab");
		assert_string_equal(s.parsed.name.key, "web");
		assert_string_equal(s.parsed.name.type, types[i]);
		assert_memory_equal(s.parsed.name.spki_sha256, s.name.spki_sha256, CUSTOS_HASH_SIZE);
		OK(custos_sha256(to->key.spki, hash, &err));
		assert_memory_equal(s.parsed.sealing_sha256, hash, sizeof hash);
		CUSTOS_AUTO(custos_secret) *content_key = open_content_key(to, &s.parsed);
		CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
		OK(custos_sealed_container_open(&s.parsed, content_key, &pkcs8, &err));
		OK(custos_key_matches_spki(pkcs8, 0, custos_buf_view(&s.spki), &err));
		CUSTOS_AUTO_BUF signature = { 0 };
		enum custos_signature algorithm = strncmp(types[i], "rsa", 3) == 0        ? CUSTOS_SIGNATURE_RSA_PKCS1_SHA256
		                                  : strcmp(types[i], "ec-p384") == 0 ? CUSTOS_SIGNATURE_ECDSA_SHA384
		                                  : strcmp(types[i], "ec-p521") == 0 ? CUSTOS_SIGNATURE_ECDSA_SHA512
		                                                                     : CUSTOS_SIGNATURE_ECDSA_SHA256;
		OK(custos_key_sign_once(pkcs8, custos_buf_view(&s.spki), algorithm, CUSTOS_BYTES_STR("message"), &signature, &err));
		OK(custos_verify("it", custos_buf_view(&s.spki), algorithm, CUSTOS_BYTES_STR("message"), custos_buf_view(&signature), &err));
		/* not as another algorithm, and not as another key */
		CUSTOS_AUTO_BUF none = { 0 };
		CUSTOS_AUTO_BUF pss = { 0 };
		if (algorithm == CUSTOS_SIGNATURE_RSA_PKCS1_SHA256) {
			OK(custos_key_sign_once(pkcs8, custos_buf_view(&s.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, CUSTOS_BYTES_STR("message"), &pss, &err));
			OK(custos_verify("it", custos_buf_view(&s.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, CUSTOS_BYTES_STR("message"), custos_buf_view(&pss), &err));
		} else {
			REFUSED(custos_key_sign_once(pkcs8, custos_buf_view(&s.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, CUSTOS_BYTES_STR("message"), &pss, &err), CUSTOS_E_TAMPERED);
		}
		enum custos_signature other = algorithm == CUSTOS_SIGNATURE_ECDSA_SHA256 ? CUSTOS_SIGNATURE_ECDSA_SHA384 : CUSTOS_SIGNATURE_ECDSA_SHA256;
		REFUSED(custos_key_sign_once(pkcs8, custos_buf_view(&s.spki), other, CUSTOS_BYTES_STR("message"), &none, &err), CUSTOS_E_TOKEN);
		REFUSED(custos_key_sign_once(pkcs8, ways[0].key.spki, algorithm, CUSTOS_BYTES_STR("message"), &none, &err), CUSTOS_E_TAMPERED);
		assert_int_equal(none.len, 0);
		sealed_done(&s);
	}
	sealing_done(&ways[0]);
	sealing_done(&ways[1]);
}

/* Goal: two containers of one key have nothing in common but what they say of it: content key and IV are fresh. */
static void nothing_is_used_twice(void **state)
{
	(void)state;
	struct sealing to;
	struct sealed a, b;
	sealing_ecdh(&to);
	seal(&a, &to, "ec-p256");
	seal(&b, &to, "ec-p256");
	assert_memory_not_equal(a.parsed.iv, b.parsed.iv, CUSTOS_SEALED_IV_SIZE);
	assert_memory_not_equal(a.parsed.content_key.ptr, b.parsed.content_key.ptr, a.parsed.content_key.len);
	CUSTOS_AUTO(custos_secret) *key = open_content_key(&to, &a.parsed);
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	REFUSED(custos_sealed_container_open(&b.parsed, key, &pkcs8, &err), CUSTOS_E_TAMPERED);
	assert_null(pkcs8);
	/* the head of one before the ciphertext of the other */
	struct custos_sealed_container mixed = a.parsed;
	mixed.ciphertext = b.parsed.ciphertext;
	REFUSED(custos_sealed_container_open(&mixed, key, &pkcs8, &err), CUSTOS_E_TAMPERED);
	mixed = a.parsed;
	mixed.head = b.parsed.head;
	REFUSED(custos_sealed_container_open(&mixed, key, &pkcs8, &err), CUSTOS_E_TAMPERED);
	assert_null(pkcs8);
	sealed_done(&a);
	sealed_done(&b);
	sealing_done(&to);
}

/* Goal: whatever bit of the container is turned, with the right content key at hand: it is none, or it does not open. */
static void every_bit_counts(void **state)
{
	(void)state;
	struct sealing to;
	struct sealed s;
	sealing_ecdh(&to);
	seal(&s, &to, "ec-p256");
	CUSTOS_AUTO(custos_secret) *key = open_content_key(&to, &s.parsed);
	size_t opened = 0;
	for (size_t bit = 0; bit < 8 * s.container.len; bit++) {
		struct custos_sealed_container parsed;
		struct custos_err why = { 0 };
		CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
		s.container.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
		custos_rc rc = custos_sealed_container_parse(custos_buf_view(&s.container), &parsed, &why);
		if (rc == CUSTOS_OK) {
			opened++;
			rc = custos_sealed_container_open(&parsed, key, &pkcs8, &why);
		}
		if (rc != CUSTOS_E_TAMPERED || pkcs8 != NULL)
			fail_msg("bit %zu is not called tampering", bit);
		s.container.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* not because nothing parses */
	assert_true(opened > 1000);
	sealed_done(&s);
	sealing_done(&to);
}

/* Goal: cut anywhere, or with anything behind it, it is no container; nor is one with names that cannot be. */
static void only_whole_containers(void **state)
{
	(void)state;
	struct sealing to;
	struct sealed s;
	struct custos_sealed_container parsed;
	sealing_rsa(&to, 2048);
	seal(&s, &to, "ec-p384");
	for (size_t len = 0; len < s.container.len; len++)
		REFUSED(custos_sealed_container_parse(CUSTOS_BYTES(s.container.ptr, len), &parsed, &err), CUSTOS_E_TAMPERED);
	OK(custos_buf_append(&s.container, "", 1, &err));
	REFUSED(custos_sealed_container_parse(custos_buf_view(&s.container), &parsed, &err), CUSTOS_E_TAMPERED);
	static const char *const names[] = { "", "Web", "../web", "a name" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
		CUSTOS_AUTO_BUF spki = { 0 };
		CUSTOS_AUTO_BUF container = { 0 };
		struct custos_sealed_name name = s.name;
		snprintf(name.key, sizeof name.key, "%s", names[i]);
		OK(custos_key_birth("ec-p256", &pkcs8, &spki, &err));
		OK(custos_sealed_container_make(pkcs8, &name, &to.key, &container, &err));
		REFUSED(custos_sealed_container_parse(custos_buf_view(&container), &parsed, &err), CUSTOS_E_TAMPERED);
	}
	sealed_done(&s);
	sealing_done(&to);
}

/* Goal: a content key is sealed to what can open it, or not at all. */
static void only_to_keys_that_fit(void **state)
{
	(void)state;
	struct sealing rsa, small, ecdh;
	struct custos_sealed_key none = { 0 };
	CUSTOS_AUTO(custos_secret) *key = NULL;
	sealing_rsa(&rsa, 2048);
	sealing_rsa(&small, 1024);
	sealing_ecdh(&ecdh);
	OK(custos_content_key_new(&key, &err));
	REFUSED(custos_content_key_seal(key, &small.key, &none, &err), CUSTOS_E_INPUT);
	const struct custos_sealing_key mixed[] = {
		{ CUSTOS_SEALING_ECDH_P256, rsa.key.spki }, { CUSTOS_SEALING_RSA_OAEP_SHA256, ecdh.key.spki }, { CUSTOS_SEALING_RSA_OAEP_SHA256, CUSTOS_BYTES(NULL, 0) },
		{ CUSTOS_SEALING_ECDH_P256, CUSTOS_BYTES("no key", 6) },
	};
	for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++)
		REFUSED(custos_content_key_seal(key, &mixed[i], &none, &err), CUSTOS_E_INPUT);
	REFUSED(custos_content_key_seal(key, &(struct custos_sealing_key){ CUSTOS_SEALING_NONE, rsa.key.spki }, &none, &err), CUSTOS_E_INTERNAL);
	assert_null(none.sealed.ptr);
	static const char *const types[] = { "rsa-1024", "ed25519", "ec-p521x", "" };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct custos_secret *pkcs8 = NULL;
		CUSTOS_AUTO_BUF spki = { 0 };
		REFUSED(custos_key_birth(types[i], &pkcs8, &spki, &err), CUSTOS_E_POLICY);
		assert_null(pkcs8);
	}
	sealing_done(&rsa);
	sealing_done(&small);
	sealing_done(&ecdh);
}

static void names_go_both_ways(void **state)
{
	(void)state;
	enum custos_sealing method = CUSTOS_SEALING_NONE;
	assert_true(custos_sealing_parse("rsa-oaep-sha256", &method) && method == CUSTOS_SEALING_RSA_OAEP_SHA256);
	assert_true(custos_sealing_parse("ecdh-p256", &method) && method == CUSTOS_SEALING_ECDH_P256);
	assert_string_equal(custos_sealing_name(method), "ecdh-p256");
	assert_false(custos_sealing_parse("", &method));
	assert_false(custos_sealing_parse(NULL, &method));
	assert_string_equal(custos_sealing_name((enum custos_sealing)77), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens), cmocka_unit_test(nothing_is_used_twice), cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(only_whole_containers), cmocka_unit_test(only_to_keys_that_fit), cmocka_unit_test(names_go_both_ways),
	};
	struct custos_err err = { 0 };
	if (custos_secret_start(&err) != CUSTOS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

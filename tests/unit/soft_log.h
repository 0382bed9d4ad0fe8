/* A log without token and database, for tests: a storage in memory whose every step can be made to fail, and a signer in
 * software that can be made to lie. */
#ifndef CUSTOS_TESTS_SOFT_LOG_H
#define CUSTOS_TESTS_SOFT_LOG_H

#include "log/log.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>

enum { SOFT_ENTRIES_MAX = 80000, SOFT_NOTES_MAX = 1000 };

struct soft_storage {
	struct custos_buf entry[SOFT_ENTRIES_MAX];
	size_t count, durable;
	struct custos_buf note[SOFT_NOTES_MAX];
	size_t notes, durable_notes;
	unsigned commits, aborts;
	bool fail_append, fail_put, fail_commit;
	/* Another process: called once, after the entries were read. */
	void (*meanwhile)(struct soft_storage *storage);
};

static inline custos_rc soft_entries(void *ctx, uint64_t first,
                                     custos_rc (*each)(void *each_ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err),
                                     void *each_ctx, struct custos_err *err)
{
	struct soft_storage *s = ctx;
	for (size_t i = (size_t)first; i < s->count; i++)
		CUSTOS_TRY(each(each_ctx, i, custos_buf_view(&s->entry[i]), err));
	if (s->meanwhile != NULL) {
		void (*meanwhile)(struct soft_storage *storage) = s->meanwhile;
		s->meanwhile = NULL;
		meanwhile(s);
	}
	return CUSTOS_OK;
}

static inline custos_rc soft_newest(void *ctx, struct custos_buf *note, struct custos_err *err)
{
	struct soft_storage *s = ctx;
	return s->notes == 0 ? CUSTOS_OK : custos_buf_append(note, s->note[s->notes - 1].ptr, s->note[s->notes - 1].len, err);
}

static inline custos_rc soft_append(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	struct soft_storage *s = ctx;
	CUSTOS_REQUIRE(!s->fail_append && index == s->count && s->count < SOFT_ENTRIES_MAX, err, CUSTOS_E_STORE, "the disk is full");
	return custos_buf_append(&s->entry[s->count++], leaf.ptr, leaf.len, err);
}

static inline custos_rc soft_put(void *ctx, uint64_t size, struct custos_bytes note, struct custos_err *err)
{
	struct soft_storage *s = ctx;
	CUSTOS_REQUIRE(!s->fail_put && size == s->count && s->notes < SOFT_NOTES_MAX, err, CUSTOS_E_STORE, "the disk is full");
	return custos_buf_append(&s->note[s->notes++], note.ptr, note.len, err);
}

static inline void soft_abort(void *ctx)
{
	struct soft_storage *s = ctx;
	s->aborts++;
	while (s->count > s->durable)
		custos_buf_done(&s->entry[--s->count]);
	while (s->notes > s->durable_notes)
		custos_buf_done(&s->note[--s->notes]);
}

static inline custos_rc soft_commit(void *ctx, struct custos_err *err)
{
	struct soft_storage *s = ctx;
	CUSTOS_REQUIRE(!s->fail_commit, err, CUSTOS_E_STORE, "the disk is on fire");
	s->commits++;
	s->durable = s->count;
	s->durable_notes = s->notes;
	return CUSTOS_OK;
}

static inline struct soft_storage *soft_storage_new(void)
{
	return calloc(1, sizeof(struct soft_storage));
}

static inline void soft_storage_free(struct soft_storage *s)
{
	s->durable = s->durable_notes = 0;
	soft_abort(s);
	free(s);
}

static inline struct custos_log_storage soft_interface(struct soft_storage *s)
{
	return (struct custos_log_storage){ s, soft_entries, soft_newest, soft_append, soft_put, soft_commit, soft_abort };
}

/* A storage of its own with the same durable content. */
static inline struct soft_storage *soft_storage_copy(const struct soft_storage *from)
{
	struct soft_storage *to = soft_storage_new();
	for (size_t i = 0; i < from->durable; i++)
		if (custos_buf_append(&to->entry[i], from->entry[i].ptr, from->entry[i].len, NULL) != CUSTOS_OK)
			abort();
	for (size_t i = 0; i < from->durable_notes; i++)
		if (custos_buf_append(&to->note[i], from->note[i].ptr, from->note[i].len, NULL) != CUSTOS_OK)
			abort();
	to->count = to->durable = from->durable;
	to->notes = to->durable_notes = from->durable_notes;
	return to;
}

enum soft_mood { SOFT_HONEST, SOFT_FLIP_A_BIT, SOFT_SIGN_SOMETHING_ELSE, SOFT_SAY_NOTHING, SOFT_FAIL };

struct soft_signer {
	EVP_PKEY *key;
	uint8_t *spki;
	struct custos_signer signer;
	unsigned signed_count;
	enum soft_mood mood;
};

static inline custos_rc soft_sign(void *ctx, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	struct soft_signer *s = ctx;
	uint8_t *at;
	size_t len = 0;
	s->signed_count++;
	CUSTOS_REQUIRE(s->mood != SOFT_FAIL, err, CUSTOS_E_TOKEN, "the token was pulled out");
	if (s->mood == SOFT_SAY_NOTHING)
		return CUSTOS_OK;
	if (s->mood == SOFT_SIGN_SOMETHING_ELSE)
		message = CUSTOS_BYTES_STR("something else");
	const EVP_MD *md = s->signer.algorithm == CUSTOS_SIGNATURE_ED25519 ? NULL : EVP_sha256();
	EVP_MD_CTX *md_ctx = EVP_MD_CTX_new();
	uint8_t out[512];
	len = sizeof out;
	int ok = EVP_DigestSignInit(md_ctx, NULL, md, NULL, s->key) == 1 && EVP_DigestSign(md_ctx, out, &len, message.ptr, message.len) == 1;
	EVP_MD_CTX_free(md_ctx);
	CUSTOS_REQUIRE(ok, err, CUSTOS_E_TOKEN, "cannot sign");
	CUSTOS_TRY(custos_buf_extend(signature, len, &at, err));
	memcpy(at, out, len);
	if (s->mood == SOFT_FLIP_A_BIT)
		at[len / 2] ^= 1;
	return CUSTOS_OK;
}

static inline void soft_signer_adopt(struct soft_signer *s, EVP_PKEY *key)
{
	*s = (struct soft_signer){ .key = key };
	if (s->key == NULL)
		abort();
	int len = i2d_PUBKEY(s->key, &s->spki);
	s->signer = (struct custos_signer){
		.ctx = s,
		.algorithm = EVP_PKEY_is_a(key, "ED25519") ? CUSTOS_SIGNATURE_ED25519 : EVP_PKEY_is_a(key, "RSA") ? CUSTOS_SIGNATURE_RSA_PKCS1_SHA256 : CUSTOS_SIGNATURE_ECDSA_SHA256,
		.spki = CUSTOS_BYTES(s->spki, (size_t)len),
		.sign = soft_sign,
	};
}

static inline void soft_signer_init(struct soft_signer *s, enum custos_signature algorithm)
{
	soft_signer_adopt(s, algorithm == CUSTOS_SIGNATURE_ED25519            ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
	                     : algorithm == CUSTOS_SIGNATURE_RSA_PKCS1_SHA256 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072)
	                                                                      : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
}

static inline void soft_signer_done(struct soft_signer *s)
{
	EVP_PKEY_free(s->key);
	OPENSSL_free(s->spki);
}

/* The vkey as text; the caller frees it. */
static inline char *soft_vkey(const struct soft_signer *s, const char *origin)
{
	struct custos_buf vkey = { 0 };
	if (custos_log_vkey(origin, s->signer.spki, &vkey, NULL) != CUSTOS_OK)
		abort();
	return (char *)vkey.ptr;
}

/* {"target": name} lists as an intent has them; hosts end with NULL. */
static inline struct custos_json *soft_hosts(const char *const *names)
{
	struct custos_json *hosts = custos_json_array();
	for (; *names != NULL; names++) {
		struct custos_json *host = custos_json_object();
		custos_json_set_text(host, "target", *names);
		custos_json_push(hosts, host);
	}
	return hosts;
}

#endif

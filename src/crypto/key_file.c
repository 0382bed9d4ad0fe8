/* From a key file to PKCS#8, through libcrypto's decoders: the only place that gives them a private key. What comes out is walked once more by our own
 * parser, so that it is exactly what the rest of custos handles. */
#include "crypto/key_file.h"
#include "crypto/key_pair.h"
#include "crypto/openssl.h"
#include "crypto/pkcs8.h"
#include "crypto/verify.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>

CUSTOS_OPENSSL_FREEP(decoder, OSSL_DECODER_CTX, OSSL_DECODER_CTX_free);
CUSTOS_OPENSSL_FREEP(encoder, OSSL_ENCODER_CTX, OSSL_ENCODER_CTX_free);

static const char begin[] = "-----BEGIN ", key_end[] = "PRIVATE KEY-----";

struct reading {
	struct custos_secret *pass_phrase;
	bool asked;                     /* the decoder wanted a pass phrase */
	EVP_PKEY *key;
	uint8_t *der;                   /* libcrypto's, cleared when freed */
	size_t der_len;
};

static void reading_done(struct reading *r)
{
	EVP_PKEY_free(r->key);
	OPENSSL_clear_free(r->der, r->der_len);
}

struct phrase_copy {
	char *to;
	size_t size, len;
};

static custos_rc copy_phrase(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct phrase_copy *copy = ctx;
	CUSTOS_REQUIRE(len <= copy->size, err, CUSTOS_E_INPUT, "the pass phrase is too long");
	memcpy(copy->to, bytes, len);
	copy->len = len;
	return CUSTOS_OK;
}

/* Called when what is decoded is encrypted; -1: no pass phrase, give up. */
static int give_phrase(char *buffer, int size, int writing, void *ctx)
{
	struct reading *r = ctx;
	struct phrase_copy copy = { .to = buffer, .size = size < 0 ? 0 : (size_t)size };
	struct custos_err ignored = { 0 };
	(void)writing;
	r->asked = true;
	return r->pass_phrase != NULL && custos_secret_expose(r->pass_phrase, copy_phrase, &copy, &ignored) == CUSTOS_OK ? (int)copy.len : -1;
}

static const uint8_t *find(const uint8_t *in, size_t len, const char *what)
{
	return memmem(in, len, what, strlen(what));
}

/* The one armoured private key in a text: from its first dash to the end of its last line. */
static custos_rc find_armour(const uint8_t *text, size_t len, struct custos_span *ret_span, struct custos_err *err)
{
	size_t keys = 0;
	const uint8_t *end = text + len;
	for (const uint8_t *at = text; (at = find(at, (size_t)(end - at), begin)) != NULL; at++) {
		const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
		size_t line = (size_t)((line_end == NULL ? end : line_end) - at);
		if (find(at, line, key_end) == NULL)
			continue;
		if (find(at, line, "OPENSSH") != NULL)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write it in the other form first: ssh-keygen -p -m PKCS8 -f FILE", "the key is in OpenSSH's own form");
		keys++;
		const uint8_t *tail = find(at + line, (size_t)(end - at) - line, key_end);
		CUSTOS_REQUIRE(tail != NULL, err, CUSTOS_E_INPUT, "the private key in it has no end");
		*ret_span = (struct custos_span){ at, (size_t)(tail - at) + sizeof key_end - 1 };
	}
	if (keys != 1)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "a file with one private key, PEM or DER", keys == 0 ? "there is no private key in it" : "there are %zu private keys in it", keys);
	return CUSTOS_OK;
}

static custos_rc decode(struct reading *r, struct custos_span span, const char *form, struct custos_err *err)
{
	const unsigned char *at = span.at;
	size_t left = span.len;
	CUSTOS_AUTO_OPENSSL(decoder) OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(&r->key, form, NULL, NULL, EVP_PKEY_KEYPAIR, NULL, NULL);
	CUSTOS_REQUIRE(decoder != NULL && OSSL_DECODER_CTX_set_pem_password_cb(decoder, give_phrase, r) == 1, err, CUSTOS_E_SYSTEM, "libcrypto has no decoder for private keys");
	int done = OSSL_DECODER_from_data(decoder, &at, &left);
	ERR_clear_error();
	if (done == 1 && r->key != NULL) {
		CUSTOS_REQUIRE(left == 0, err, CUSTOS_E_INPUT, "there are %zu bytes behind the private key", left);
		return CUSTOS_OK;
	}
	if (r->asked && r->pass_phrase == NULL)
		return CUSTOS_OK;
	if (r->asked)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "try again; a key that scrypt protects must be protected by PBKDF2 instead (openssl pkcs8 -topk8)",
		                 "the pass phrase does not open it");
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "PEM or DER: PKCS#8, PKCS#1 or SEC 1", "there is no private key in it that can be read");
}

/* ---- is it a key that custos takes? ---- */

static custos_rc refuse_kind(const char *what, struct custos_err *err)
{
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "have a new key made: custos key generate", "it is %s; custos takes RSA of 2048, 3072, 4096, 6144 or 8192 bits and EC on P-256, P-384 or P-521", what);
}

static custos_rc number(const EVP_PKEY *key, const char *name, struct custos_buf *out, struct custos_err *err)
{
	BIGNUM *value = NULL;
	uint8_t *at;
	if (EVP_PKEY_get_bn_param(key, name, &value) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "the key lacks one of its numbers");
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *owned = value;
	CUSTOS_TRY(custos_buf_extend(out, (size_t)BN_num_bytes(owned), &at, err));
	(void)BN_bn2bin(owned, at);
	return CUSTOS_OK;
}

static custos_rc rsa_spki(const EVP_PKEY *key, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_AUTO_BUF modulus = { .max = 1024 };
	CUSTOS_AUTO_BUF exponent = { .max = 1024 };
	int bits = EVP_PKEY_get_bits(key);
	if (bits != 2048 && bits != 3072 && bits != 4096 && bits != 6144 && bits != 8192)
		return refuse_kind(bits < 2048 ? "an RSA key that is too short" : "an RSA key of an unusual size", err);
	CUSTOS_TRY(number(key, OSSL_PKEY_PARAM_RSA_N, &modulus, err));
	CUSTOS_TRY(number(key, OSSL_PKEY_PARAM_RSA_E, &exponent, err));
	if (exponent.len < 3 || exponent.len > 8 || (exponent.ptr[exponent.len - 1] & 1) == 0)
		return refuse_kind("an RSA key with an exponent below 65537, or one that is no exponent", err);
	return custos_spki_rsa(custos_buf_view(&modulus), custos_buf_view(&exponent), spki, err);
}

static custos_rc ec_spki(EVP_PKEY *key, struct custos_buf *spki, struct custos_err *err)
{
	uint8_t point[256];
	size_t len = 0;
	const char *group = custos_ec_group(key);
	if (group == NULL)
		return refuse_kind("an EC key on another curve", err);
	if (EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1 ||
	    EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "the key's public point cannot be read");
	return custos_spki_ec(group, CUSTOS_BYTES(point, len), spki, err);
}

/* Primes that are none, a public half that is another key's: libcrypto looks. */
static custos_rc check_numbers(EVP_PKEY *key, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool right = ctx != NULL && EVP_PKEY_check(ctx) == 1;
	ERR_clear_error();
	if (!right)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "take another copy, or have a new key made", "the numbers of the key in it do not belong together");
	return CUSTOS_OK;
}

custos_rc custos_key_judge(EVP_PKEY *key, struct custos_buf *spki, struct custos_err *err)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		CUSTOS_TRY(rsa_spki(key, spki, err));
	else if (EVP_PKEY_is_a(key, "EC"))
		CUSTOS_TRY(ec_spki(key, spki, err));
	else
		return refuse_kind("a key of another kind", err);
	return check_numbers(key, err);
}

/* ---- and out again ---- */

static custos_rc take_der(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	const struct reading *r = ctx;
	struct custos_pkcs8 walked;
	struct custos_err unusual = { 0 };
	CUSTOS_REQUIRE(len == r->der_len, err, CUSTOS_E_INTERNAL, "a key of %zu bytes for %zu", r->der_len, len);
	memcpy(out, r->der, len);
	if (custos_pkcs8_walk((struct custos_span){ out, len }, 0, &walked, &unusual) != CUSTOS_OK)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write it plainly first: openssl pkey -ec_param_enc named_curve, or have a new key made", "it is written in an unusual way: %s",
		                 unusual.msg);
	return CUSTOS_OK;
}

static custos_rc encode(struct reading *r, struct custos_secret **ret_pkcs8, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	CUSTOS_AUTO_OPENSSL(encoder) OSSL_ENCODER_CTX *encoder = OSSL_ENCODER_CTX_new_for_pkey(r->key, EVP_PKEY_KEYPAIR, "DER", "PrivateKeyInfo", NULL);
	if (encoder == NULL || OSSL_ENCODER_to_data(encoder, &r->der, &r->der_len) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "the key cannot be written as PKCS#8");
	CUSTOS_TRY(custos_secret_new(r->der_len, &pkcs8, err));
	CUSTOS_TRY(custos_secret_expose(pkcs8, take_der, r, err));
	*ret_pkcs8 = CUSTOS_TAKE(pkcs8);
	return CUSTOS_OK;
}

custos_rc custos_key_encode(EVP_PKEY *key, struct custos_secret **ret_pkcs8, struct custos_err *err)
{
	CUSTOS_CLEANUP(reading_done) struct reading r = { .key = key };
	/* reading_done() gives back what it holds */
	CUSTOS_REQUIRE(EVP_PKEY_up_ref(key) == 1, err, CUSTOS_E_SYSTEM, "out of memory");
	return encode(&r, ret_pkcs8, err);
}

static custos_rc decode_der(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	return decode(ctx, (struct custos_span){ bytes, len }, "DER", err);
}

custos_rc custos_key_decode(struct custos_secret *pkcs8, EVP_PKEY **ret_key, struct custos_err *err)
{
	CUSTOS_CLEANUP(reading_done) struct reading r = { 0 };
	CUSTOS_TRY(custos_secret_expose(pkcs8, decode_der, &r, err));
	CUSTOS_REQUIRE(r.key != NULL, err, CUSTOS_E_TAMPERED, "what was opened is no private key");
	*ret_key = CUSTOS_TAKE(r.key);
	return CUSTOS_OK;
}

struct decoding {
	struct reading *reading;
	struct custos_buf *spki;
};

static custos_rc with_file(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const struct decoding *d = ctx;
	struct custos_span span = { bytes, len };
	bool text = find(bytes, len, begin) != NULL;
	if (text)
		CUSTOS_TRY(find_armour(bytes, len, &span, err));
	CUSTOS_TRY(decode(d->reading, span, text ? "PEM" : "DER", err));
	return d->reading->key == NULL ? CUSTOS_OK : custos_key_judge(d->reading->key, d->spki, err);
}

custos_rc custos_key_file_read(struct custos_secret *file, struct custos_secret *pass_phrase, bool *ret_encrypted, struct custos_secret **ret_pkcs8, struct custos_buf *spki,
                               struct custos_err *err)
{
	CUSTOS_CLEANUP(reading_done) struct reading r = { .pass_phrase = pass_phrase };
	struct decoding d = { &r, spki };
	CUSTOS_TRY(custos_secret_expose(file, with_file, &d, err));
	if (r.key != NULL)
		CUSTOS_TRY(encode(&r, ret_pkcs8, err));
	*ret_encrypted = r.key == NULL;
	return CUSTOS_OK;
}

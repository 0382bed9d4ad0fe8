/* Containers of sealed keys: see sealed_container.h. What is in the clear is only ever in secrets. */
#include "crypto/sealed_container.h"
#include "base/text.h"
#include "base/wire.h"
#include "crypto/digest.h"
#include "crypto/openssl.h"

enum { TAG_SIZE = 16, CIPHERTEXT_MIN = TAG_SIZE + 32 };
static const char version[] = "custos-sealed-1";

/* The chain of exposures of one AES-GCM call: content key, then what it works on. */
struct gcm {
	EVP_CIPHER_CTX *cipher;
	struct custos_bytes head, sealed;
	const uint8_t *iv;
	struct custos_secret *plain;
	struct custos_buf *out;
};

static custos_rc encrypt(void *ctx, uint8_t *plain, size_t len, struct custos_err *err)
{
	struct gcm *g = ctx;
	uint8_t *at;
	int written = 0, end = 0;
	CUSTOS_TRY(custos_buf_extend(g->out, len + TAG_SIZE, &at, err));
	if (EVP_EncryptUpdate(g->cipher, NULL, &written, g->head.ptr, (int)g->head.len) != 1 || EVP_EncryptUpdate(g->cipher, at, &written, plain, (int)len) != 1 ||
	    EVP_EncryptFinal_ex(g->cipher, at + written, &end) != 1 || (size_t)written + (size_t)end != len ||
	    EVP_CIPHER_CTX_ctrl(g->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, at + len) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot seal the key");
	return CUSTOS_OK;
}

static custos_rc decrypt(void *ctx, uint8_t *plain, size_t len, struct custos_err *err)
{
	struct gcm *g = ctx;
	uint8_t tag[TAG_SIZE];
	int written = 0, end = 0;
	CUSTOS_REQUIRE(g->sealed.len == len + TAG_SIZE, err, CUSTOS_E_INTERNAL, "a sealed key of %zu bytes for %zu", g->sealed.len, len);
	memcpy(tag, g->sealed.ptr + len, sizeof tag);
	bool opens = EVP_DecryptUpdate(g->cipher, NULL, &written, g->head.ptr, (int)g->head.len) == 1 && EVP_DecryptUpdate(g->cipher, plain, &written, g->sealed.ptr, (int)len) == 1 &&
	             EVP_CIPHER_CTX_ctrl(g->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1 && EVP_DecryptFinal_ex(g->cipher, plain + written, &end) == 1 &&
	             (size_t)written + (size_t)end == len;
	ERR_clear_error();
	CUSTOS_REQUIRE(opens, err, CUSTOS_E_TAMPERED, "the container does not open: it was changed, or its content key is another's");
	return CUSTOS_OK;
}

static custos_rc with_key(void *ctx, uint8_t *key, size_t len, struct custos_err *err)
{
	struct gcm *g = ctx;
	bool seals = g->out != NULL;
	CUSTOS_REQUIRE(len == CUSTOS_CONTENT_KEY_SIZE, err, CUSTOS_E_TAMPERED, "the content key of the container has %zu bytes", len);
	if (EVP_CipherInit_ex2(g->cipher, EVP_aes_256_gcm(), key, g->iv, seals ? 1 : 0, NULL) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot seal keys");
	return custos_secret_expose(g->plain, seals ? encrypt : decrypt, g, err);
}

static custos_rc run(struct gcm *g, struct custos_secret *content_key, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(cipher_ctx) EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	CUSTOS_REQUIRE(cipher != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	g->cipher = cipher;
	return custos_secret_expose(content_key, with_key, g, err);
}

static custos_rc write_head(const struct custos_sealed_name *name, const struct custos_sealing_key *to, const struct custos_sealed_key *key, const uint8_t *iv, struct custos_buf *head,
                            struct custos_err *err)
{
	struct custos_wire_out w = { .buf = head, .err = err };
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_sha256(to->spki, hash, err));
	custos_wire_put_text(&w, version);
	custos_wire_put_text(&w, name->origin);
	custos_wire_put_text(&w, name->key);
	custos_wire_put_text(&w, name->type);
	custos_wire_put_fixed(&w, name->spki_sha256, sizeof name->spki_sha256);
	custos_wire_put_fixed(&w, hash, sizeof hash);
	custos_wire_put_u8(&w, (uint8_t)to->method);
	custos_wire_put_fixed(&w, key->point, sizeof key->point);
	custos_wire_put_bytes(&w, custos_buf_view(&key->sealed));
	custos_wire_put_fixed(&w, iv, CUSTOS_SEALED_IV_SIZE);
	return w.rc;
}

custos_rc custos_sealed_container_make(struct custos_secret *pkcs8, const struct custos_sealed_name *name, const struct custos_sealing_key *to, struct custos_buf *container,
                                       struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *content_key = NULL;
	CUSTOS_AUTO_BUF head = { .max = CUSTOS_SEALED_MAX };
	CUSTOS_AUTO_BUF ciphertext = { .max = CUSTOS_SEALED_MAX };
	struct custos_sealed_key key = { 0 };
	uint8_t iv[CUSTOS_SEALED_IV_SIZE];
	CUSTOS_TRY(custos_random(iv, sizeof iv, err));
	CUSTOS_TRY(custos_content_key_new(&content_key, err));
	CUSTOS_TRY(custos_content_key_seal(content_key, to, &key, err));
	custos_rc rc = write_head(name, to, &key, iv, &head, err);
	custos_buf_done(&key.sealed);
	CUSTOS_TRY(rc);
	struct gcm g = { .head = custos_buf_view(&head), .iv = iv, .plain = pkcs8, .out = &ciphertext };
	CUSTOS_TRY(run(&g, content_key, err));
	CUSTOS_TRY(custos_buf_append(container, head.ptr, head.len, err));
	struct custos_wire_out w = { .buf = container, .err = err };
	custos_wire_put_bytes(&w, custos_buf_view(&ciphertext));
	return w.rc;
}

static void take_text(struct custos_wire *r, char *to, size_t size)
{
	CUSTOS_AUTO_STR *text = custos_wire_text(r);
	size_t len = text == NULL ? 0 : strlen(text);
	if (len == 0 || len >= size)
		r->failed = true;
	else
		memcpy(to, text, len + 1);
}

static bool is_blank(const uint8_t *point)
{
	uint8_t any = 0;
	for (size_t i = 0; i < CUSTOS_POINT_SIZE; i++)
		any |= point[i];
	return any == 0;
}

custos_rc custos_sealed_container_parse(struct custos_bytes container, struct custos_sealed_container *ret_container, struct custos_err *err)
{
	struct custos_sealed_container c = { 0 };
	struct custos_wire r = custos_wire_read(container);
	char said[sizeof version + 1];
	take_text(&r, said, sizeof said);
	CUSTOS_REQUIRE(!r.failed && container.len <= CUSTOS_SEALED_MAX && strcmp(said, version) == 0, err, CUSTOS_E_TAMPERED, "this is not the container of a sealed key");
	take_text(&r, c.name.origin, sizeof c.name.origin);
	take_text(&r, c.name.key, sizeof c.name.key);
	take_text(&r, c.name.type, sizeof c.name.type);
	custos_wire_fixed(&r, c.name.spki_sha256, sizeof c.name.spki_sha256);
	custos_wire_fixed(&r, c.sealing_sha256, sizeof c.sealing_sha256);
	uint8_t method = custos_wire_u8(&r);
	c.method = (enum custos_sealing)method;
	custos_wire_fixed(&r, c.point, sizeof c.point);
	c.content_key = custos_wire_bytes(&r);
	custos_wire_fixed(&r, c.iv, sizeof c.iv);
	CUSTOS_REQUIRE(!r.failed, err, CUSTOS_E_TAMPERED, "the container of the sealed key is cut off");
	c.head = CUSTOS_BYTES(container.ptr, container.len - r.rest.len);
	c.ciphertext = custos_wire_bytes(&r);
	struct custos_err ignored = { 0 };
	bool fits = method == CUSTOS_SEALING_RSA_OAEP_SHA256 ? is_blank(c.point) : method == CUSTOS_SEALING_ECDH_P256 && c.point[0] == 4;
	CUSTOS_REQUIRE(fits && custos_wire_end(&r, "container", &ignored) == CUSTOS_OK && c.ciphertext.len >= CIPHERTEXT_MIN && custos_text_is_name(c.name.key), err, CUSTOS_E_TAMPERED,
	               "the container of the sealed key makes no sense");
	*ret_container = c;
	return CUSTOS_OK;
}

custos_rc custos_sealed_container_open(const struct custos_sealed_container *container, struct custos_secret *content_key, struct custos_secret **ret_pkcs8, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	CUSTOS_TRY(custos_secret_new(container->ciphertext.len - TAG_SIZE, &pkcs8, err));
	struct gcm g = { .head = container->head, .sealed = container->ciphertext, .iv = container->iv, .plain = pkcs8 };
	CUSTOS_TRY(run(&g, content_key, err));
	*ret_pkcs8 = CUSTOS_TAKE(pkcs8);
	return CUSTOS_OK;
}

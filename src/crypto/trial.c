/* One wrapped key tried in every form that a token was ever seen to produce. The plaintext never leaves the locked arena. */
#include "crypto/trial.h"
#include "crypto/openssl.h"
#include "crypto/pem.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { WRAPPED_MIN = 16, WRAPPED_MAX = 8192, PADDING_MAX = 7 };

static const char *const names[] = { "unknown", "rfc5649", "rfc3394", "rfc3394+pkcs7", "cbc+pkcs7" };

const char *custos_wrapped_form_name(enum custos_wrapped_form form)
{
	return names[form];
}

struct opening {
	enum custos_wrapped_form form;
	const uint8_t *key, *iv;
	struct custos_bytes wrapped;
	size_t len;           /* of the plaintext; 0 when it did not open */
};

/* PKCS#7 (RFC 5652 6.3): 1 to 16 bytes, each saying how many. */
static size_t without_padding(const uint8_t *plain, size_t len)
{
	uint8_t count = len > 0 ? plain[len - 1] : 0;
	if (count == 0 || count > 16 || count >= len)
		return 0;
	for (size_t i = len - count; i < len; i++)
		if (plain[i] != count)
			return 0;
	return len - count;
}

static custos_rc decrypt(void *ctx, uint8_t *plain, size_t room, struct custos_err *err)
{
	struct opening *o = ctx;
	bool is_cbc = o->form == CUSTOS_WRAPPED_CBC_PKCS7;
	const EVP_CIPHER *kind = is_cbc ? EVP_aes_256_cbc() : o->form == CUSTOS_WRAPPED_RFC5649 ? EVP_aes_256_wrap_pad() : EVP_aes_256_wrap();
	int len = 0;
	CUSTOS_REQUIRE(room >= o->wrapped.len, err, CUSTOS_E_INTERNAL, "key wrap buffer too small");
	CUSTOS_AUTO_OPENSSL(cipher_ctx) EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	CUSTOS_REQUIRE(cipher != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	EVP_CIPHER_CTX_set_flags(cipher, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_DecryptInit_ex2(cipher, kind, o->key, is_cbc ? o->iv : NULL, NULL) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot unwrap keys");
	EVP_CIPHER_CTX_set_padding(cipher, 0);
	int verdict = EVP_DecryptUpdate(cipher, plain, &len, o->wrapped.ptr, (int)o->wrapped.len);
	ERR_clear_error();
	o->len = verdict == 1 && len > 0 && (size_t)len <= room ? (size_t)len : 0;
	if (o->form == CUSTOS_WRAPPED_CBC_PKCS7 || o->form == CUSTOS_WRAPPED_RFC3394_PKCS7)
		o->len = without_padding(plain, o->len);
	return CUSTOS_OK;
}

static bool is_the_key(struct custos_secret *plain, struct custos_bytes spki, unsigned *ret_padding)
{
	for (unsigned padding = 0; padding <= PADDING_MAX; padding++) {
		struct custos_err why = { 0 };
		if (custos_key_matches_spki(plain, padding, spki, &why) != CUSTOS_OK)
			continue;
		*ret_padding = padding;
		return true;
	}
	return false;
}

static custos_rc try_form(struct opening *o, struct custos_bytes spki, struct custos_wrapped_look *look, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *plain = NULL;
	CUSTOS_TRY(custos_secret_new(o->wrapped.len + 16, &plain, err));
	CUSTOS_TRY(custos_secret_expose(plain, decrypt, o, err));
	if (o->len == 0)
		return CUSTOS_OK;
	custos_secret_shorten(plain, o->len);
	struct custos_wrapped_look seen = { .form = o->form };
	seen.is_the_key = is_the_key(plain, spki, &seen.padding);
	/* what carries an integrity check opened in this form and no other; a CBC that only looks right proves nothing */
	if (seen.is_the_key || (look->form == CUSTOS_WRAPPED_UNKNOWN && o->form != CUSTOS_WRAPPED_CBC_PKCS7))
		*look = seen;
	return CUSTOS_OK;
}

custos_rc custos_wrapped_look(const uint8_t key[static CUSTOS_TRIAL_KEY_SIZE], const uint8_t iv[static CUSTOS_TRIAL_IV_SIZE], struct custos_bytes wrapped, struct custos_bytes spki,
                              struct custos_wrapped_look *ret_look, struct custos_err *err)
{
	static const enum custos_wrapped_form forms[] = { CUSTOS_WRAPPED_RFC5649, CUSTOS_WRAPPED_RFC3394_PKCS7, CUSTOS_WRAPPED_RFC3394, CUSTOS_WRAPPED_CBC_PKCS7 };
	struct custos_wrapped_look look = { 0 };
	bool could_be = wrapped.len >= WRAPPED_MIN && wrapped.len <= WRAPPED_MAX;
	for (size_t i = 0; could_be && i < sizeof forms / sizeof *forms && !look.is_the_key; i++) {
		struct opening o = { .form = forms[i], .key = key, .iv = iv, .wrapped = wrapped };
		CUSTOS_TRY(try_form(&o, spki, &look, err));
	}
	*ret_look = look;
	return CUSTOS_OK;
}

custos_rc custos_wrapped_unpadded(const uint8_t key[static CUSTOS_TRIAL_KEY_SIZE], const uint8_t iv[static CUSTOS_TRIAL_IV_SIZE], uint8_t ret_wrapped[static CUSTOS_TRIAL_UNPADDED_SIZE],
                                  struct custos_err *err)
{
	static const uint8_t plain[CUSTOS_TRIAL_UNPADDED_SIZE] = { [CUSTOS_TRIAL_UNPADDED_SIZE - 1] = 16 };
	int len = 0;
	CUSTOS_AUTO_OPENSSL(cipher_ctx) EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	if (cipher == NULL || EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key, iv, NULL) != 1 || EVP_CIPHER_CTX_set_padding(cipher, 0) != 1 ||
	    EVP_EncryptUpdate(cipher, ret_wrapped, &len, plain, sizeof plain) != 1 || len != sizeof plain)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot encrypt");
	return CUSTOS_OK;
}

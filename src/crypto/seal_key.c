/* Pairs that live longer than one parcel: a custodian's key, to seal to and to open with. */
#include "crypto/seal_key.h"
#include "crypto/pkcs8.h"
#include "crypto/verify.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

enum { SCALAR = 32, TAG_AND_LENGTH = 2 };

struct loading {
	struct custos_pkcs8 walked;
	EVP_PKEY *key;
};

/* libcrypto takes numbers in the machine's own order of bytes. */
static custos_rc with_scalar(void *ctx, uint8_t *scalar, size_t len, struct custos_err *err)
{
	struct loading *l = ctx;
	char group[] = "P-256";
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *number = BN_bin2bn(l->walked.scalar.at + TAG_AND_LENGTH, SCALAR, NULL);
	memcpy(point, l->walked.point.at, sizeof point);
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0), OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
		                OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, scalar, len), OSSL_PARAM_construct_end() };
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *ctx_ec = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (number == NULL || BN_bn2nativepad(number, scalar, (int)len) != (int)len || ctx_ec == NULL || EVP_PKEY_fromdata_init(ctx_ec) != 1 ||
	    EVP_PKEY_fromdata(ctx_ec, &l->key, EVP_PKEY_KEYPAIR, params) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "the key cannot be used to open what is sealed to it");
	return CUSTOS_OK;
}

static custos_rc with_pkcs8(void *ctx, uint8_t *der, size_t len, struct custos_err *err)
{
	struct loading *l = ctx;
	CUSTOS_AUTO(custos_secret) *scalar = NULL;
	CUSTOS_TRY(custos_pkcs8_walk((struct custos_span){ der, len }, 0, &l->walked, err));
	if (l->walked.kind != CUSTOS_PKCS8_EC || strcmp(l->walked.group, "P-256") != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "the key that belongs to the custodian's public key", "it is no key on P-256");
	CUSTOS_REQUIRE(l->walked.scalar.len == TAG_AND_LENGTH + SCALAR && l->walked.point.len == CUSTOS_POINT_SIZE, err, CUSTOS_E_INPUT, "the key in it is not whole");
	CUSTOS_TRY(custos_secret_new(SCALAR, &scalar, err));
	return custos_secret_expose(scalar, with_scalar, l, err);
}

custos_rc custos_ephemeral_load(struct custos_secret *pkcs8, struct custos_ephemeral **ret_key, struct custos_err *err)
{
	struct loading l = { 0 };
	CUSTOS_TRY(custos_secret_expose(pkcs8, with_pkcs8, &l, err));
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *owned = l.key;
	CUSTOS_AUTO(custos_ephemeral) *e = calloc(1, sizeof *e);
	CUSTOS_REQUIRE(e != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	e->key = CUSTOS_TAKE(owned);
	*ret_key = CUSTOS_TAKE(e);
	return CUSTOS_OK;
}

custos_rc custos_seal_point(struct custos_bytes spki, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO_BUF again = { .max = 256 };
	struct custos_err ignored = { 0 };
	/* a P-256 key has one form only: what is made of its point again must be the same */
	bool is = spki.len > CUSTOS_POINT_SIZE && custos_spki_ec("P-256", CUSTOS_BYTES(spki.ptr + spki.len - CUSTOS_POINT_SIZE, CUSTOS_POINT_SIZE), &again, &ignored) == CUSTOS_OK &&
	          custos_bytes_equal(custos_buf_view(&again), spki);
	if (!is)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "openssl ecparam -name prime256v1 -genkey makes one", "it is no public key on P-256");
	memcpy(ret_point, spki.ptr + spki.len - CUSTOS_POINT_SIZE, CUSTOS_POINT_SIZE);
	return CUSTOS_OK;
}

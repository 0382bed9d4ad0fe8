/* What several files of this layer need from libcrypto. */
#include "crypto/openssl.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdio.h>

custos_rc custos_openssl_fail(struct custos_err *err, custos_rc rc, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_reason_error_string(code);
	ERR_clear_error();
	CUSTOS_FAIL_NATIVE(err, rc, code, "%s%s%s", what, reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
}

static EVP_PKEY *ec_from_point(const char *group, struct custos_bytes point)
{
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = NULL;
	char name[8];
	snprintf(name, sizeof name, "%s", group);
	CUSTOS_CLEANUP(custos_free_chars) char *copy = malloc(point.len);
	if (ctx == NULL || copy == NULL)
		return NULL;
	memcpy(copy, point.ptr, point.len);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, point.len),
		OSSL_PARAM_construct_end(),
	};
	if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (check == NULL || EVP_PKEY_public_check(check) != 1)
		return NULL;
	return CUSTOS_TAKE(key);
}

static const struct {
	const char *group, *other_name;
	size_t point_size;
} curves[] = { { "P-256", "prime256v1", 65 }, { "P-384", "secp384r1", 97 }, { "P-521", "secp521r1", 133 } };

EVP_PKEY *custos_ec_public(const char *group, struct custos_bytes point)
{
	size_t size = 0;
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
		if (group != NULL && strcmp(group, curves[i].group) == 0)
			size = curves[i].point_size;
	if (size == 0 || point.len != size || point.ptr[0] != 4)
		return NULL;
	EVP_PKEY *key = ec_from_point(group, point);
	ERR_clear_error();
	return key;
}

const char *custos_ec_group(const EVP_PKEY *key)
{
	char name[80];
	size_t len = 0;
	if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, name, sizeof name, &len) != 1)
		return NULL;
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
		if (strcmp(name, curves[i].group) == 0 || strcmp(name, curves[i].other_name) == 0)
			return curves[i].group;
	return NULL;
}

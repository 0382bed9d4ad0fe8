/* Key types: their names and the signature custos makes with each. */
#include "token/client.h"

static const struct {
	enum custos_key_type type;
	enum custos_signature signature;
	const char *name;
	unsigned bits;
	const char *group;
	size_t point_size;
} types[] = {
	{ CUSTOS_KEY_RSA_2048, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-2048", 2048, NULL, 0 },
	{ CUSTOS_KEY_RSA_3072, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-3072", 3072, NULL, 0 },
	{ CUSTOS_KEY_RSA_4096, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-4096", 4096, NULL, 0 },
	{ CUSTOS_KEY_EC_P256, CUSTOS_SIGNATURE_ECDSA_SHA256, "ec-p256", 0, "P-256", 65 },
	{ CUSTOS_KEY_EC_P384, CUSTOS_SIGNATURE_ECDSA_SHA384, "ec-p384", 0, "P-384", 97 },
	{ CUSTOS_KEY_ED25519, CUSTOS_SIGNATURE_ED25519, "ed25519", 0, NULL, 0 },
	{ CUSTOS_KEY_EC_P521, CUSTOS_SIGNATURE_ECDSA_SHA512, "ec-p521", 0, "P-521", 133 },
	{ CUSTOS_KEY_RSA_6144, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-6144", 6144, NULL, 0 },
	{ CUSTOS_KEY_RSA_8192, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-8192", 8192, NULL, 0 },
};

const char *custos_key_type_name(enum custos_key_type type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == type)
			return types[i].name;
	return "unknown";
}

bool custos_key_type_parse(const char *name, enum custos_key_type *ret_type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strcmp(types[i].name, name) != 0)
			continue;
		*ret_type = types[i].type;
		return true;
	}
	return false;
}

enum custos_signature custos_key_signature(enum custos_key_type type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == type)
			return types[i].signature;
	return 0;
}

unsigned custos_key_type_bits(enum custos_key_type type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == type)
			return types[i].bits;
	return 0;
}

const char *custos_key_type_group(enum custos_key_type type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == type)
			return types[i].group;
	return NULL;
}

size_t custos_key_type_point_size(enum custos_key_type type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == type)
			return types[i].point_size;
	return 0;
}

bool custos_key_signs_by(enum custos_key_type type, enum custos_signature algorithm)
{
	return algorithm == custos_key_signature(type) || (algorithm == CUSTOS_SIGNATURE_RSA_PSS_SHA256 && custos_key_type_bits(type) > 0);
}

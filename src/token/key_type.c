/* Key types: their names and the signature custos makes with each. */
#include "token/client.h"

static const struct {
	enum custos_key_type type;
	enum custos_signature signature;
	const char *name;
} types[] = {
	{ CUSTOS_KEY_RSA_2048, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-2048" },
	{ CUSTOS_KEY_RSA_3072, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-3072" },
	{ CUSTOS_KEY_RSA_4096, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, "rsa-4096" },
	{ CUSTOS_KEY_EC_P256, CUSTOS_SIGNATURE_ECDSA_SHA256, "ec-p256" },
	{ CUSTOS_KEY_EC_P384, CUSTOS_SIGNATURE_ECDSA_SHA384, "ec-p384" },
	{ CUSTOS_KEY_ED25519, CUSTOS_SIGNATURE_ED25519, "ed25519" },
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

/* The doctor's table: see checks.h. */
#include "token/checks.h"

#define UNUSABLE CUSTOS_TIER_UNUSABLE
#define SIGN_ONLY CUSTOS_TIER_SIGN_ONLY
#define BASIC CUSTOS_TIER_BASIC
#define ANY CUSTOS_TIER_HARDENED
#define SIGN(n, type, name, flags, failed) { CUSTOS_CHECK_SIGN + (n), "sign-" name, "signatures by every mechanism verify in software", flags, failed, ANY, type }
#define DEPLOY(n, type, name, lacking, flags) \
	{ CUSTOS_CHECK_DEPLOY + (n), "deploy-" name, "wrapped, unwrapped, proven, wrapped for a courier, opened by it", flags, SIGN_ONLY, lacking, type }

static const struct custos_check_row rows[] = {
	{ CUSTOS_CHECK_NO_LOGIN, "no-login", "what can be seen without the PIN", CUSTOS_CHECK_BEFORE_LOGIN, ANY, ANY, 0 },
	{ CUSTOS_CHECK_OBJECTS, "objects", "half-made objects and empty files", 0, ANY, ANY, 0 },
	{ CUSTOS_CHECK_MECHANISMS, "mechanisms", "dangerous mechanisms among those it has", 0, ANY, ANY, 0 },
	{ CUSTOS_CHECK_RANDOM, "random", "random bytes are not the same twice", 0, UNUSABLE, ANY, 0 },
	SIGN(0, CUSTOS_KEY_RSA_2048, "rsa-2048", CUSTOS_CHECK_SLOW, UNUSABLE),
	SIGN(1, CUSTOS_KEY_RSA_3072, "rsa-3072", CUSTOS_CHECK_SLOW, UNUSABLE),
	SIGN(2, CUSTOS_KEY_RSA_4096, "rsa-4096", CUSTOS_CHECK_SLOW, UNUSABLE),
	SIGN(3, CUSTOS_KEY_EC_P256, "ec-p256", 0, UNUSABLE),
	SIGN(4, CUSTOS_KEY_EC_P384, "ec-p384", 0, UNUSABLE),
	SIGN(5, CUSTOS_KEY_ED25519, "ed25519", 0, UNUSABLE),
	/* what few tokens have may be wrong in one, which says nothing of the others */
	SIGN(6, CUSTOS_KEY_EC_P521, "ec-p521", 0, ANY),
	SIGN(7, CUSTOS_KEY_RSA_6144, "rsa-6144", CUSTOS_CHECK_SLOW, ANY),
	SIGN(8, CUSTOS_KEY_RSA_8192, "rsa-8192", CUSTOS_CHECK_SLOW, ANY),
	{ CUSTOS_CHECK_FORMAT, "wrap-format", "what was wrapped under a known key opens in software", CUSTOS_CHECK_SLOW, SIGN_ONLY, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_KEY, "key-attributes", "a new session key is what was asked for", CUSTOS_CHECK_SLOW, SIGN_ONLY, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_KEK, "kek-attributes", "a new KEK keeps what no KEK may lack", CUSTOS_CHECK_SLOW, SIGN_ONLY, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_KEK_TEMPLATE, "kek-template", "a new KEK keeps all of the template", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_KEK_SECRET, "kek-secret", "the KEK cannot be read", CUSTOS_CHECK_SLOW, SIGN_ONLY, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_KEK_WRAPPED, "kek-wrapped", "the KEK cannot be wrapped under another key", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_KEK_CIPHER, "kek-cipher", "the KEK neither encrypts nor decrypts", CUSTOS_CHECK_SLOW, SIGN_ONLY, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_SIZE_QUERY, "size-query", "asked for a size, it does not say less than it needs", CUSTOS_CHECK_SLOW, ANY, ANY, 0 },
	{ CUSTOS_CHECK_TRANSPORT, "transport", "a key wrapped for a courier opens there, and by nothing else", CUSTOS_CHECK_SLOW, SIGN_ONLY, SIGN_ONLY, 0 },
	DEPLOY(0, CUSTOS_KEY_RSA_2048, "rsa-2048", ANY, CUSTOS_CHECK_SLOW),
	DEPLOY(1, CUSTOS_KEY_RSA_3072, "rsa-3072", ANY, CUSTOS_CHECK_SLOW),
	DEPLOY(2, CUSTOS_KEY_RSA_4096, "rsa-4096", ANY, CUSTOS_CHECK_SLOW),
	/* the KEK's canary is such a key */
	DEPLOY(3, CUSTOS_KEY_EC_P256, "ec-p256", SIGN_ONLY, CUSTOS_CHECK_SLOW),
	DEPLOY(4, CUSTOS_KEY_EC_P384, "ec-p384", ANY, CUSTOS_CHECK_SLOW),
	DEPLOY(5, CUSTOS_KEY_ED25519, "ed25519", ANY, CUSTOS_CHECK_SLOW),
	DEPLOY(6, CUSTOS_KEY_EC_P521, "ec-p521", ANY, CUSTOS_CHECK_SLOW),
	DEPLOY(7, CUSTOS_KEY_RSA_6144, "rsa-6144", ANY, CUSTOS_CHECK_SLOW),
	DEPLOY(8, CUSTOS_KEY_RSA_8192, "rsa-8192", ANY, CUSTOS_CHECK_SLOW),
	{ CUSTOS_CHECK_INTEGRITY, "integrity", "damaged and invented containers are refused", CUSTOS_CHECK_SLOW, SIGN_ONLY, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_SET, "kek-set", "no attribute of the KEK can be turned", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_COPY, "kek-copy", "no looser copy of the KEK can be made", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_MECHANISM, "kek-mechanism", "the KEK wraps and unwraps by its one mechanism", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_WRAP_SECRET, "wrap-secret", "the KEK does not wrap secret keys", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_UNWRAP_READABLE, "unwrap-readable", "no container comes out readable", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_UNWRAP_SECRET, "unwrap-as-secret", "no container comes out as something else", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_UNWRAP_TOKEN, "unwrap-on-token", "no container comes out as a token object", CUSTOS_CHECK_SLOW, BASIC, SIGN_ONLY, 0 },
	{ CUSTOS_CHECK_CONFUSION, "key-confusion", "an RSA key is not taken for an EC key", CUSTOS_CHECK_SLOW, ANY, ANY, 0 },
	{ CUSTOS_CHECK_CONJURING, "conjuring", "random bytes do not unwrap to a key", CUSTOS_CHECK_SLOW, ANY, ANY, 0 },
	{ CUSTOS_CHECK_ORACLE, "padding-oracle", "no answer tells good padding from bad", CUSTOS_CHECK_SLOW, ANY, ANY, 0 },
	{ CUSTOS_CHECK_TRUSTED, "trusted", "whether TRUSTED means anything", CUSTOS_CHECK_SLOW, ANY, ANY, 0 },
	/* a profile that says `sessions: one` is the remedy */
	{ CUSTOS_CHECK_THREADS, "threads", "several sessions at once do what one does", CUSTOS_CHECK_SLOW, ANY, ANY, 0 },
	{ CUSTOS_CHECK_PROFILE, "profile", "what a profile would say", CUSTOS_CHECK_SLOW, ANY, ANY, 0 },
	{ CUSTOS_CHECK_LOGOUT, "logout", "after a logout the KEK is out of reach", CUSTOS_CHECK_SLOW | CUSTOS_CHECK_LAST, BASIC, SIGN_ONLY, 0 },
};

const struct custos_check_row *custos_check_at(size_t index)
{
	return index < sizeof rows / sizeof *rows ? &rows[index] : NULL;
}

const struct custos_check_row *custos_check_named(const char *name)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

bool custos_check_is_known(unsigned check)
{
	return check >= CUSTOS_CHECK_NO_LOGIN && check < CUSTOS_CHECK_END;
}

const char *custos_verdict_name(enum custos_verdict verdict)
{
	static const char *const names[] = { "ok", "info", "warn", "lacks", "fail" };
	return names[verdict];
}

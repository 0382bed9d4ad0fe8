/* What makes an issuer one that clients go on to, and the account of what looking costs. */
#include "x509/issuer.h"
#include "x509/openssl.h"
#include "x509/parsed.h"

enum { CLIENT_SECURITY_BITS = 112 /* of CUSTOS_CLIENT_SECURITY_LEVEL, see SSL_CTX_set_security_level(3) */ };

bool custos_work_afford(struct custos_work *work, uint64_t cost_us)
{
	if (cost_us > work->left_us) {
		work->exhausted = true;
		return false;
	}
	work->left_us -= cost_us;
	return true;
}

/* About what one verification takes. An RSA one is squarings of the modulus, as many as the exponent has bits. */
static uint64_t cost_us(const EVP_PKEY *key)
{
	uint64_t bits = (uint64_t)EVP_PKEY_get_bits(key), exponent = 17;
	if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "RSA-PSS"))
		return bits <= 256 ? 150 : 2500; /* only P-256 and the Edwards curves are fast */
	CUSTOS_AUTO_OSSL(bn) BIGNUM *e = NULL;
	if (EVP_PKEY_get_bn_param(key, "e", &e) == 1)
		exponent = (uint64_t)BN_num_bits(e);
	return 5 + 30 * (bits * bits / (2048 * 2048)) * (exponent + 3) / 20 + bits / 512;
}

bool custos_work_verify(struct custos_work *work, X509 *cert, EVP_PKEY *key)
{
	return key != NULL && custos_work_afford(work, cost_us(key)) && X509_verify(cert, key) == 1;
}

bool custos_issuer_valid_at(const X509 *cert, int64_t now_unix)
{
	int64_t from = 0, until = 0;
	if (now_unix == 0)
		return true;
	return custos_parsed_time(X509_get0_notBefore(cert), &from) && custos_parsed_time(X509_get0_notAfter(cert), &until) && from <= now_unix && now_unix <= until;
}

bool custos_issuer_self_issued(const X509 *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

/* A root may be of version 1, as some old ones are. */
static bool is_authority(X509 *cert, const char *purpose)
{
	uint32_t flags = X509_get_extension_flags(cert);
	bool for_client = purpose != NULL && strcmp(purpose, "ssl_client") == 0;
	int is_ca = X509_check_purpose(cert, for_client ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER, 1);
	return (flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) == 0 && ((flags & EXFLAG_SS) != 0 ? is_ca != 0 : is_ca == 1);
}

static bool is_strong(X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int bits = 0;
	if (key == NULL || EVP_PKEY_get_security_bits(key) < CLIENT_SECURITY_BITS)
		return false;
	return (X509_get_extension_flags(cert) & EXFLAG_SS) != 0 || (X509_get_signature_info(cert, NULL, NULL, &bits, NULL) == 1 && bits >= CLIENT_SECURITY_BITS);
}

static int count_of(STACK_OF(GENERAL_SUBTREE) *trees)
{
	return trees == NULL ? 0 : sk_GENERAL_SUBTREE_num(trees);
}

/* Every name is held against every constraint. Names are estimated by their bytes. */
static uint64_t naming_cost_us(const NAME_CONSTRAINTS *limits, X509 *leaf)
{
	enum { BYTES_PER_NAME = 16, COMPARISONS_PER_US = 20 };
	int at = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
	const ASN1_OCTET_STRING *alt_names = at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(leaf, at));
	uint64_t names = 2 + (alt_names == NULL ? 0 : (uint64_t)ASN1_STRING_length(alt_names) / BYTES_PER_NAME);
	uint64_t trees = (uint64_t)count_of(limits->permittedSubtrees) + (uint64_t)count_of(limits->excludedSubtrees);
	return trees + trees * names / COMPARISONS_PER_US;
}

static NAME_CONSTRAINTS *limits_of(X509 *issuer, bool *ret_broken)
{
	int critical = -1;
	NAME_CONSTRAINTS *limits = X509_get_ext_d2i(issuer, NID_name_constraints, &critical, NULL);
	*ret_broken = limits == NULL && critical != -1;
	return limits;
}

static bool may_issue_for(X509 *issuer, X509 *leaf, struct custos_work *work)
{
	bool broken;
	NAME_CONSTRAINTS *limits = limits_of(issuer, &broken);
	bool permitted = limits == NULL || (custos_work_afford(work, naming_cost_us(limits, leaf)) && NAME_CONSTRAINTS_check(leaf, limits) == X509_V_OK);
	NAME_CONSTRAINTS_free(limits);
	return permitted && !broken;
}

bool custos_work_afford_judging(struct custos_work *work, X509 *cert, X509 *leaf)
{
	enum { BYTES_READ_PER_US = 50 };
	bool broken;
	const EVP_PKEY *key = X509_get0_pubkey(cert);
	int bytes = i2d_X509(cert, NULL);
	NAME_CONSTRAINTS *limits = limits_of(cert, &broken);
	uint64_t naming = limits == NULL ? 0 : naming_cost_us(limits, leaf);
	NAME_CONSTRAINTS_free(limits);
	return key != NULL && bytes > 0 && custos_work_afford(work, cost_us(key) + naming + (uint64_t)bytes / BYTES_READ_PER_US);
}

bool custos_issuer_fits(X509 *issuer, const struct custos_issuer_terms *terms)
{
	bool fits = custos_issuer_valid_at(issuer, terms->now_unix) && is_authority(issuer, terms->purpose) && is_strong(issuer) && may_issue_for(issuer, terms->leaf, terms->work);
	custos_x509_drain();
	return fits;
}

/* See pkcs12.h. libcrypto reads the outer layers, which are public, and derives the keys; what is inside is walked here by its tags alone, so that no private
 * key is ever given to a parser. */
#include "crypto/pkcs12.h"
#include "crypto/openssl.h"
#include "memory/secret.h"

#include <limits.h>
#include <openssl/pkcs12.h>

enum { SAFE_MAX = 96 * 1024, DEPTH_MAX = 4, PHRASE_MAX = 1024 };

CUSTOS_OPENSSL_FREEP(p12, PKCS12, PKCS12_free);
CUSTOS_OPENSSL_FREEP(pbe_param, PBEPARAM, PBEPARAM_free);
CUSTOS_OPENSSL_FREEP(pbe2_param, PBE2PARAM, PBE2PARAM_free);
CUSTOS_OPENSSL_FREEP(pbkdf2_param, PBKDF2PARAM, PBKDF2PARAM_free);

static void free_safes(STACK_OF(PKCS7) **safes)
{
	sk_PKCS7_pop_free(*safes, PKCS7_free);
	*safes = NULL;
}

/* The pass phrase that fits, as libcrypto takes it. NULL and "" differ in what keys are derived from. */
struct phrase {
	struct custos_secret *secret; /* NULL: `plain` */
	const char *plain;
};

struct opening {
	struct custos_p12 *out;
	uint64_t *iterations;
	struct phrase phrase;
	bool settled;                 /* the MAC has told which phrase it is */
};

void custos_p12_done(struct custos_p12 *p12)
{
	custos_buf_done(&p12->certs);
}

/* The first verdict that is none of success stays. */
static void judge(struct opening *o, enum custos_p12_verdict verdict)
{
	if (o->out->verdict == CUSTOS_P12_OPENED)
		o->out->verdict = verdict;
}

static bool afford(struct opening *o, int64_t iterations)
{
	if (iterations < 1 || (uint64_t)iterations > *o->iterations) {
		judge(o, iterations < 1 ? CUSTOS_P12_DAMAGED : CUSTOS_P12_COSTLY);
		return false;
	}
	*o->iterations -= (uint64_t)iterations;
	return true;
}

/* One DER element: its content, and what follows it. */
struct tlv {
	int tag, class;
	const uint8_t *content, *next;
};

static bool read_tlv(const uint8_t *p, const uint8_t *stop, struct tlv *ret)
{
	long len = 0;
	if (stop - p < 2)
		return false;
	int form = ASN1_get_object(&p, &len, &ret->tag, &ret->class, (long)(stop - p));
	if ((form & 0x80) != 0 || form == 0x21) { /* damaged, or of indefinite length */
		ERR_clear_error();
		return false;
	}
	ret->content = p;
	ret->next = p + len;
	return true;
}

static bool is_oid(const struct tlv *t, const char *bytes, size_t len)
{
	return t->tag == V_ASN1_OBJECT && (size_t)(t->next - t->content) == len && memcmp(t->content, bytes, len) == 0;
}

/* CertBag ::= SEQUENCE { certId x509Certificate, certValue [0] EXPLICIT OCTET STRING } */
static custos_rc take_cert(struct opening *o, const struct tlv *bag, struct custos_err *err)
{
	static const char x509_certificate[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
	struct tlv sequence, id, explicit, octets;
	if (!read_tlv(bag->content, bag->next, &sequence) || sequence.tag != V_ASN1_SEQUENCE || !read_tlv(sequence.content, sequence.next, &id) ||
	    !read_tlv(id.next, sequence.next, &explicit) || !read_tlv(explicit.content, explicit.next, &octets) || octets.tag != V_ASN1_OCTET_STRING) {
		judge(o, CUSTOS_P12_DAMAGED);
		return CUSTOS_OK;
	}
	if (!is_oid(&id, x509_certificate, sizeof x509_certificate - 1))
		return CUSTOS_OK;
	return custos_buf_append(&o->out->certs, octets.content, (size_t)(octets.next - octets.content), err);
}

static custos_rc walk_bags(struct opening *o, const uint8_t *at, const uint8_t *stop, int depth, struct custos_err *err);

/* SafeBag ::= SEQUENCE { bagId OBJECT IDENTIFIER, bagValue [0] EXPLICIT ANY, … }; the ids differ in their last byte. */
static custos_rc take_bag(struct opening *o, const struct tlv *bag, int depth, struct custos_err *err)
{
	static const char bag_types[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01";
	enum { KEY = 1, SHROUDED_KEY, CERT, SAFE_CONTENTS = 6 };
	struct tlv id, value, inner;
	if (!read_tlv(bag->content, bag->next, &id) || id.tag != V_ASN1_OBJECT || !read_tlv(id.next, bag->next, &value)) {
		judge(o, CUSTOS_P12_DAMAGED);
		return CUSTOS_OK;
	}
	if (id.next - id.content != sizeof bag_types || memcmp(id.content, bag_types, sizeof bag_types - 1) != 0)
		return CUSTOS_OK;
	switch (id.content[sizeof bag_types - 1]) {
	case KEY:
		o->out->plain_keys++;
		return CUSTOS_OK;
	case SHROUDED_KEY:
		o->out->encrypted_keys++;
		return CUSTOS_OK;
	case CERT:
		return take_cert(o, &value, err);
	case SAFE_CONTENTS:
		if (depth < DEPTH_MAX && read_tlv(value.content, value.next, &inner) && inner.tag == V_ASN1_SEQUENCE)
			return walk_bags(o, inner.content, inner.next, depth + 1, err);
		judge(o, CUSTOS_P12_DAMAGED);
		return CUSTOS_OK;
	default:
		return CUSTOS_OK; /* revocation lists and other people's secrets */
	}
}

static custos_rc walk_bags(struct opening *o, const uint8_t *at, const uint8_t *stop, int depth, struct custos_err *err)
{
	while (at < stop) {
		struct tlv bag;
		if (!read_tlv(at, stop, &bag) || bag.tag != V_ASN1_SEQUENCE) {
			judge(o, CUSTOS_P12_DAMAGED);
			return CUSTOS_OK;
		}
		CUSTOS_TRY(take_bag(o, &bag, depth, err));
		at = bag.next;
	}
	return CUSTOS_OK;
}

/* A padding byte that fits by chance leaves nonsense: *ret_sane tells. */
static custos_rc walk_safe(struct opening *o, const uint8_t *bytes, size_t len, bool *ret_sane, struct custos_err *err)
{
	struct tlv safe;
	*ret_sane = read_tlv(bytes, bytes + len, &safe) && safe.tag == V_ASN1_SEQUENCE && safe.next == bytes + len;
	return *ret_sane ? walk_bags(o, safe.content, safe.next, 0, err) : CUSTOS_OK;
}

/* How often the key derivation hashes; -1 when it cannot be told or has a shape nobody uses. */
static int64_t iterations_of(const X509_ALGOR *algorithm)
{
	int64_t n = -1;
	if (OBJ_obj2nid(algorithm->algorithm) != NID_pbes2) {
		CUSTOS_AUTO_OPENSSL(pbe_param) PBEPARAM *param = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter);
		return param != NULL && ASN1_INTEGER_get_int64(&n, param->iter) == 1 ? n : -1;
	}
	CUSTOS_AUTO_OPENSSL(pbe2_param) PBE2PARAM *outer = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
	if (outer == NULL || OBJ_obj2nid(outer->keyfunc->algorithm) != NID_id_pbkdf2)
		return -1;
	CUSTOS_AUTO_OPENSSL(pbkdf2_param) PBKDF2PARAM *inner = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), outer->keyfunc->parameter);
	return inner != NULL && ASN1_INTEGER_get_int64(&n, inner->iter) == 1 ? n : -1;
}

struct decryption {
	struct opening *opening;
	const X509_ALGOR *algorithm;
	const ASN1_OCTET_STRING *data;
	EVP_CIPHER_CTX *ctx;
	bool derived, fits;
};

static custos_rc derive(void *ctx, uint8_t *phrase, size_t len, struct custos_err *err)
{
	struct decryption *d = ctx;
	(void)err;
	d->derived = EVP_PBE_CipherInit(d->algorithm->algorithm, (const char *)phrase, (int)len, d->algorithm->parameter, d->ctx, 0) == 1;
	return CUSTOS_OK;
}

static custos_rc decrypt(void *ctx, uint8_t *to, size_t room, struct custos_err *err)
{
	struct decryption *d = ctx;
	int len = 0, tail = 0;
	(void)room;
	d->fits = EVP_DecryptUpdate(d->ctx, to, &len, ASN1_STRING_get0_data(d->data), ASN1_STRING_length(d->data)) == 1 &&
	          EVP_DecryptFinal_ex(d->ctx, to + len, &tail) == 1;
	return d->fits ? walk_safe(d->opening, to, (size_t)(len + tail), &d->fits, err) : CUSTOS_OK;
}

/* Of one phrase; false in d->fits when it is not the one. */
static custos_rc decrypt_with(struct decryption *d, const struct phrase *phrase, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *plain = NULL;
	CUSTOS_AUTO_OPENSSL(cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	CUSTOS_REQUIRE(ctx != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	d->ctx = ctx;
	d->derived = d->fits = false;
	if (!afford(d->opening, iterations_of(d->algorithm)))
		return CUSTOS_OK;
	if (phrase->secret != NULL)
		CUSTOS_TRY(custos_secret_expose(phrase->secret, derive, d, err));
	else
		CUSTOS_TRY(derive(d, (uint8_t *)(uintptr_t)phrase->plain, 0, err));
	ERR_clear_error();
	if (!d->derived) {
		judge(d->opening, CUSTOS_P12_OUTDATED);
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_secret_new((size_t)ASN1_STRING_length(d->data) + EVP_MAX_BLOCK_LENGTH, &plain, err));
	CUSTOS_TRY(custos_secret_expose(plain, decrypt, d, err));
	ERR_clear_error();
	return CUSTOS_OK;
}

/* NULL ends the list of phrases that are worth trying. */
static const struct phrase *candidates(struct custos_secret *given, struct phrase list[static 3], size_t *ret_count)
{
	size_t n = 0;
	if (given != NULL && custos_secret_length(given) <= PHRASE_MAX)
		list[n++] = (struct phrase){ .secret = given };
	list[n++] = (struct phrase){ .plain = "" };
	list[n++] = (struct phrase){ .plain = NULL };
	*ret_count = n;
	return list;
}

static custos_rc open_encrypted(struct opening *o, const PKCS7_ENC_CONTENT *content, struct custos_secret *given, struct custos_err *err)
{
	struct decryption d = { .opening = o, .algorithm = content->algorithm, .data = content->enc_data };
	struct phrase list[3];
	size_t count = 0;
	if (d.data == NULL || ASN1_STRING_length(d.data) <= 0 || ASN1_STRING_length(d.data) > SAFE_MAX) {
		judge(o, d.data != NULL && ASN1_STRING_length(d.data) > 0 ? CUSTOS_P12_COSTLY : CUSTOS_P12_DAMAGED);
		return CUSTOS_OK;
	}
	if (o->settled)
		CUSTOS_TRY(decrypt_with(&d, &o->phrase, err));
	else
		candidates(given, list, &count);
	for (size_t i = 0; i < count && !d.fits && o->out->verdict == CUSTOS_P12_OPENED; i++)
		CUSTOS_TRY(decrypt_with(&d, &list[i], err));
	if (!d.fits)
		judge(o, o->settled ? CUSTOS_P12_DAMAGED : CUSTOS_P12_LOCKED);
	return CUSTOS_OK;
}

struct mac_trial {
	PKCS12 *p12;
	bool fits;
};

static custos_rc try_mac(void *ctx, uint8_t *phrase, size_t len, struct custos_err *err)
{
	struct mac_trial *trial = ctx;
	(void)err;
	trial->fits = PKCS12_verify_mac(trial->p12, (const char *)phrase, (int)len) == 1;
	return CUSTOS_OK;
}

/* The MAC tells cheaply which pass phrase it is. False: none of them, or not to be had. */
static custos_rc settle(struct opening *o, PKCS12 *p12, struct custos_secret *given, struct custos_err *err)
{
	const ASN1_INTEGER *count = NULL;
	struct phrase list[3];
	size_t phrases = 0;
	int64_t iterations = 1;
	PKCS12_get0_mac(NULL, NULL, NULL, &count, p12);
	if (count != NULL && ASN1_INTEGER_get_int64(&iterations, count) != 1)
		iterations = -1;
	candidates(given, list, &phrases);
	for (size_t i = 0; i < phrases && !o->settled; i++) {
		struct mac_trial trial = { .p12 = p12 };
		if (!afford(o, iterations))
			break;
		if (list[i].secret != NULL)
			CUSTOS_TRY(custos_secret_expose(list[i].secret, try_mac, &trial, err));
		else
			CUSTOS_TRY(try_mac(&trial, (uint8_t *)(uintptr_t)list[i].plain, 0, err));
		o->phrase = list[i];
		o->settled = trial.fits;
	}
	ERR_clear_error();
	if (!o->settled)
		judge(o, CUSTOS_P12_LOCKED);
	return CUSTOS_OK;
}

/* Of a file without MAC, or of one whose MAC does not fit, what is not encrypted can be read all the same. */
static custos_rc open_safe(struct opening *o, const PKCS7 *safe, struct custos_secret *given, struct custos_err *err)
{
	bool sane = true;
	if (OBJ_obj2nid(safe->type) == NID_pkcs7_data && safe->d.data != NULL)
		CUSTOS_TRY(walk_safe(o, ASN1_STRING_get0_data(safe->d.data), (size_t)ASN1_STRING_length(safe->d.data), &sane, err));
	else if (OBJ_obj2nid(safe->type) == NID_pkcs7_encrypted && safe->d.encrypted != NULL && safe->d.encrypted->enc_data != NULL)
		return o->out->verdict == CUSTOS_P12_OPENED ? open_encrypted(o, safe->d.encrypted->enc_data, given, err) : CUSTOS_OK;
	else
		judge(o, CUSTOS_P12_OUTDATED);
	if (!sane)
		judge(o, CUSTOS_P12_DAMAGED);
	return CUSTOS_OK;
}

custos_rc custos_p12_read(struct custos_bytes der, struct custos_secret *pass_phrase, uint64_t *iterations, struct custos_p12 *ret, struct custos_err *err)
{
	struct opening o = { .out = ret, .iterations = iterations };
	const unsigned char *p = der.ptr;
	*ret = (struct custos_p12){ .verdict = CUSTOS_P12_OPENED, .certs = { .max = der.len } };
	CUSTOS_AUTO_OPENSSL(p12) PKCS12 *p12 = der.len == 0 || der.len > INT_MAX ? NULL : d2i_PKCS12(NULL, &p, (long)der.len);
	CUSTOS_CLEANUP(free_safes) STACK_OF(PKCS7) *safes = p12 == NULL ? NULL : PKCS12_unpack_authsafes(p12);
	ERR_clear_error();
	if (safes == NULL) {
		ret->verdict = CUSTOS_P12_DAMAGED;
		return CUSTOS_OK;
	}
	if (PKCS12_mac_present(p12) == 1)
		CUSTOS_TRY(settle(&o, p12, pass_phrase, err));
	for (int i = 0; i < sk_PKCS7_num(safes); i++)
		CUSTOS_TRY(open_safe(&o, sk_PKCS7_value(safes, i), pass_phrase, err));
	return CUSTOS_OK;
}

/* Recognises one DER (or BER) object by its tags and parses it when it is public. A private key is recognised by its shape alone and never
 * given to a parser: OpenSSL would leave copies of it in the heap. */
#include "x509/openssl.h"
#include "x509/read.h"

#include <limits.h>
#include <openssl/cms.h>

struct shape {
	int tags[3];     /* universal tags of the first children, -1 where there is none or another class */
	long first_int;  /* value of the first child when it is a one-byte INTEGER, else -1 */
	size_t total;    /* of the whole object */
	size_t elements; /* in it, those inside of octet strings with it */
};

enum { DEPTH_MAX = 32, CONTAINER_ELEMENTS_MAX = 600000, OBJECT_MAX = 1 << 19 };

struct element {
	int tag;
	const uint8_t *content, *next;
	bool constructed, indefinite;
};

static bool read_element(const uint8_t *p, const uint8_t *stop, struct element *ret)
{
	if (stop - p < 2 || stop - p > LONG_MAX)
		return false;
	long len = 0;
	int tag = 0, class = 0;
	int form = ASN1_get_object(&p, &len, &tag, &class, (long)(stop - p));
	if ((form & 0x80) != 0) {
		custos_x509_drain();
		return false;
	}
	bool indefinite = form == 0x21;
	*ret = (struct element){ .tag = class == V_ASN1_UNIVERSAL ? tag : -1, .content = p, .next = indefinite ? stop : p + len, .constructed = (form & 0x20) != 0, .indefinite = indefinite };
	return true;
}

/* Counts one element and what is in it, and finds its end, also when its length is indefinite. What nests deeper, or is not DER inside of something
 * that may hold anything, counts for as much as its bytes could be. */
static const uint8_t *measure(const uint8_t *p, const uint8_t *stop, unsigned depth, size_t *elements)
{
	struct element e;
	if (!read_element(p, stop, &e) || depth > DEPTH_MAX) {
		*elements += (size_t)(stop - p) / 2;
		return stop;
	}
	++*elements;
	bool descend = e.constructed || (e.tag == V_ASN1_OCTET_STRING && e.next > e.content && e.content[0] == 0x30);
	const uint8_t *at = e.content;
	while (descend && at < e.next) {
		if (e.indefinite && e.next - at >= 2 && at[0] == 0 && at[1] == 0)
			return at + 2;
		at = measure(at, e.next, depth + 1, elements);
	}
	return e.next;
}

static bool read_shape(struct custos_bytes der, struct shape *ret)
{
	struct element outer, child;
	*ret = (struct shape){ .tags = { -1, -1, -1 }, .first_int = -1 };
	if (der.len == 0 || der.ptr[0] != 0x30 || !read_element(der.ptr, der.ptr + der.len, &outer))
		return false;
	ret->total = (size_t)(measure(der.ptr, der.ptr + der.len, 0, &ret->elements) - der.ptr);
	const uint8_t *p = outer.content;
	for (size_t i = 0; i < 3 && p < outer.next && read_element(p, outer.next, &child); i++) {
		ret->tags[i] = child.tag;
		if (i == 0 && child.tag == V_ASN1_INTEGER && child.next - child.content == 1)
			ret->first_int = child.content[0];
		p = child.next;
	}
	return true;
}

static custos_rc keep(struct custos_bag_item *item, const unsigned char *der, int len, struct custos_err *err)
{
	CUSTOS_REQUIRE(len > 0 && der != NULL, err, CUSTOS_E_SYSTEM, "%s: cannot be encoded again", item->file);
	return custos_buf_append(&item->der, der, (size_t)len, err);
}

static custos_rc add_cert(struct custos_bag *bag, const struct custos_found *found, X509 *cert, struct custos_err *err)
{
	struct custos_bag_item *item;
	CUSTOS_CLEANUP(custos_drop_der) unsigned char *der = NULL;
	CUSTOS_CLEANUP(custos_drop_cert) X509 *own = cert;
	int len = i2d_X509(cert, &der);
	size_t elements = 0;
	if (len > 0 && found->form == CUSTOS_FORM_PKCS7) { /* the others are counted before they are parsed */
		(void)measure(der, der + len, 0, &elements);
		CUSTOS_TRY(custos_bag_spend_elements(bag, found, elements, err));
	}
	CUSTOS_TRY(custos_bag_push(bag, found, CUSTOS_NATURE_CERTIFICATE, &item, err));
	CUSTOS_TRY(keep(item, der, len, err));
	item->cert = CUSTOS_TAKE(own);
	return CUSTOS_OK;
}

static custos_rc add_request(struct custos_bag *bag, const struct custos_found *found, X509_REQ *request, struct custos_err *err)
{
	struct custos_bag_item *item;
	CUSTOS_CLEANUP(custos_drop_der) unsigned char *der = NULL;
	CUSTOS_CLEANUP(custos_drop_request) X509_REQ *own = request;
	int len = i2d_X509_REQ(request, &der);
	CUSTOS_TRY(custos_bag_push(bag, found, CUSTOS_NATURE_REQUEST, &item, err));
	CUSTOS_TRY(keep(item, der, len, err));
	item->request = CUSTOS_TAKE(own);
	return CUSTOS_OK;
}

/* Certificate, CertificationRequest and CertificateList look alike from outside. */
static custos_rc add_signed(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, size_t *ret_taken, struct custos_err *err)
{
	const unsigned char *p = der.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);
	if (cert != NULL) {
		*ret_taken = (size_t)(p - der.ptr);
		return add_cert(bag, found, cert, err);
	}
	p = der.ptr;
	X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)der.len);
	if (request != NULL) {
		*ret_taken = (size_t)(p - der.ptr);
		return add_request(bag, found, request, err);
	}
	p = der.ptr;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.len);
	custos_x509_drain();
	if (crl == NULL)
		return CUSTOS_OK;
	X509_CRL_free(crl);
	*ret_taken = (size_t)(p - der.ptr);
	struct custos_bag_item *item;
	return custos_bag_push(bag, found, CUSTOS_NATURE_CRL, &item, err);
}

static custos_rc add_pkcs7(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, size_t elements, size_t *ret_taken, struct custos_err *err)
{
	if (elements > CONTAINER_ELEMENTS_MAX)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give only the files that the CA sent for this certificate", "%s: a PKCS#7 container with thousands of certificates", found->file);
	const unsigned char *p = der.ptr;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);
	custos_x509_drain();
	if (cms == NULL)
		return CUSTOS_OK;
	CUSTOS_CLEANUP(custos_drop_certs) STACK_OF(X509) *certs = CMS_get1_certs(cms);
	CMS_ContentInfo_free(cms);
	custos_x509_drain();
	*ret_taken = (size_t)(p - der.ptr);
	bool none = certs == NULL || sk_X509_num(certs) == 0;
	struct custos_bag_item *item;
	CUSTOS_TRY(custos_bag_push(bag, found, none ? CUSTOS_NATURE_PKCS7_EMPTY : CUSTOS_NATURE_PKCS7, &item, err));
	struct custos_found inside = *found;
	inside.form = CUSTOS_FORM_PKCS7;
	inside.quirks = 0;
	while (!none && sk_X509_num(certs) > 0)
		CUSTOS_TRY(add_cert(bag, &inside, sk_X509_shift(certs), err));
	return CUSTOS_OK;
}

static custos_rc add_public_key(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, size_t total, size_t *ret_taken, struct custos_err *err)
{
	const unsigned char *p = der.ptr;
	CUSTOS_AUTO_OSSL(pubkey) X509_PUBKEY *key = d2i_X509_PUBKEY(NULL, &p, (long)total);
	custos_x509_drain();
	if (key == NULL)
		return CUSTOS_OK;
	*ret_taken = (size_t)(p - der.ptr);
	struct custos_bag_item *item;
	CUSTOS_TRY(custos_bag_push(bag, found, CUSTOS_NATURE_PUBLIC_KEY, &item, err));
	return keep(item, der.ptr, (int)*ret_taken, err);
}

/* _NONE unless the shape is a private key's or another one that is named only. */
static enum custos_nature named_only(const struct shape *s)
{
	int a = s->tags[0], b = s->tags[1], c = s->tags[2];
	if (a == V_ASN1_INTEGER && b == V_ASN1_SEQUENCE && c == V_ASN1_OCTET_STRING)
		return CUSTOS_NATURE_KEY;
	if (a == V_ASN1_INTEGER && b == V_ASN1_INTEGER && c == V_ASN1_INTEGER)
		return CUSTOS_NATURE_KEY_RSA;
	if (a == V_ASN1_INTEGER && b == V_ASN1_OCTET_STRING && s->first_int == 1)
		return CUSTOS_NATURE_KEY_EC;
	if (a == V_ASN1_SEQUENCE && b == V_ASN1_OCTET_STRING && c == -1)
		return CUSTOS_NATURE_KEY_ENCRYPTED;
	if (a == V_ASN1_INTEGER && b == V_ASN1_SEQUENCE && s->first_int == 3)
		return CUSTOS_NATURE_PKCS12;
	if (a == V_ASN1_ENUMERATED)
		return CUSTOS_NATURE_OCSP; /* RFC 6960 4.2.1 */
	if (a == V_ASN1_INTEGER && b == V_ASN1_INTEGER && c == -1)
		return CUSTOS_NATURE_PUBLIC_KEY_RSA;
	return CUSTOS_NATURE_NONE;
}

custos_rc custos_der_add(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, size_t *ret_taken, struct custos_err *err)
{
	struct shape s;
	struct custos_bag_item *item;
	*ret_taken = 0;
	if (der.len > CUSTOS_BAG_INPUT_MAX || !read_shape(der, &s))
		return CUSTOS_OK;
	enum custos_nature nature = named_only(&s);
	if (nature != CUSTOS_NATURE_NONE) {
		*ret_taken = s.total;
		if (nature == CUSTOS_NATURE_PKCS12 && found->form != CUSTOS_FORM_PKCS12) /* one in another is named only */
			return custos_p12_add(bag, found, CUSTOS_BYTES(der.ptr, s.total), err);
		return custos_bag_push(bag, found, nature, &item, err);
	}
	if (s.tags[0] == V_ASN1_OBJECT)
		return add_pkcs7(bag, found, CUSTOS_BYTES(der.ptr, s.total), s.elements, ret_taken, err);
	if (s.tags[0] == V_ASN1_SEQUENCE && s.tags[1] == V_ASN1_SEQUENCE && s.tags[2] == V_ASN1_BIT_STRING) {
		CUSTOS_TRY(custos_bag_spend_elements(bag, found, s.elements, err));
		if (s.total > OBJECT_MAX) {
			*ret_taken = s.total;
			return custos_bag_push(bag, found, found->label[0] != '\0' ? CUSTOS_NATURE_BLOCK_OVERSIZED : CUSTOS_NATURE_OVERSIZED, &item, err);
		}
		return add_signed(bag, found, der, ret_taken, err);
	}
	if (s.tags[0] == V_ASN1_SEQUENCE && s.tags[1] == V_ASN1_BIT_STRING)
		return add_public_key(bag, found, der, s.total, ret_taken, err);
	return CUSTOS_OK;
}

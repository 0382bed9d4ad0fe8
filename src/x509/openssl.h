/* Scope cleanup for the OpenSSL types of this layer and the one way its error queue is emptied: into the native code of
 * our error, never into our words. Included by this layer's .c files only. */
#ifndef CUSTOS_X509_OPENSSL_H
#define CUSTOS_X509_OPENSSL_H

#include "base/attr.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define CUSTOS_OSSL_DROP(name, type, fn) \
	static inline void custos_drop_##name(type **p) \
	{ \
		fn(*p); \
		*p = NULL; \
	} \
	_Static_assert(1, "")

CUSTOS_OSSL_DROP(cert, X509, X509_free);
CUSTOS_OSSL_DROP(request, X509_REQ, X509_REQ_free);
CUSTOS_OSSL_DROP(name, X509_NAME, X509_NAME_free);
CUSTOS_OSSL_DROP(alt_names, GENERAL_NAMES, GENERAL_NAMES_free);
CUSTOS_OSSL_DROP(alt_name, GENERAL_NAME, GENERAL_NAME_free);
CUSTOS_OSSL_DROP(pkey, EVP_PKEY, EVP_PKEY_free);
CUSTOS_OSSL_DROP(pubkey, X509_PUBKEY, X509_PUBKEY_free);
CUSTOS_OSSL_DROP(bn, BIGNUM, BN_free);
CUSTOS_OSSL_DROP(bio, BIO, BIO_free_all);
CUSTOS_OSSL_DROP(store_ctx, X509_STORE_CTX, X509_STORE_CTX_free);

static inline void custos_drop_certs(STACK_OF(X509) **p)
{
	sk_X509_pop_free(*p, X509_free);
	*p = NULL;
}

static inline void custos_drop_extensions(STACK_OF(X509_EXTENSION) **p)
{
	sk_X509_EXTENSION_pop_free(*p, X509_EXTENSION_free);
	*p = NULL;
}

static inline void custos_drop_der(unsigned char **p)
{
	OPENSSL_free(*p);
	*p = NULL;
}

/* CUSTOS_AUTO_OSSL(cert) X509 *c = …; */
#define CUSTOS_AUTO_OSSL(name) CUSTOS_CLEANUP(custos_drop_##name)

/* Empties the queue and returns its last code. */
static inline long custos_x509_drain(void)
{
	unsigned long code = ERR_peek_last_error();
	ERR_clear_error();
	return (long)code;
}

#endif

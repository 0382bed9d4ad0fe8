/* The DER front of parsed.h, and PEM on the way out. */
#include "x509/cert.h"
#include "crypto/digest.h"
#include "x509/parsed.h"

custos_rc custos_cert_spki(struct custos_bytes der, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(cert) X509 *cert = NULL;
	CUSTOS_TRY(custos_parsed_cert(der, &cert, err));
	return custos_parsed_spki(X509_get_X509_PUBKEY(cert), spki, err);
}

custos_rc custos_csr_spki(struct custos_bytes der, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(request) X509_REQ *request = NULL;
	CUSTOS_TRY(custos_parsed_request(der, &request, err));
	return custos_parsed_spki(X509_REQ_get_X509_PUBKEY(request), spki, err);
}

custos_rc custos_spki_sha256(struct custos_bytes spki, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	return custos_sha256(spki, ret_hash, err);
}

custos_rc custos_spki_key_type(struct custos_bytes spki, struct custos_buf *name, struct custos_err *err)
{
	const unsigned char *p = spki.ptr;
	CUSTOS_AUTO_OSSL(pkey) EVP_PKEY *key = spki.len == 0 ? NULL : d2i_PUBKEY(NULL, &p, (long)spki.len);
	if (key == NULL || p != spki.ptr + spki.len)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, custos_x509_drain(), "not a public key");
	char text[CUSTOS_KEY_NAME_SIZE];
	custos_parsed_key_name(key, text);
	return custos_buf_append_str(name, text, err);
}

custos_rc custos_cert_facts(struct custos_bytes der, struct custos_json **ret_facts, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(cert) X509 *cert = NULL;
	CUSTOS_TRY(custos_parsed_cert(der, &cert, err));
	return custos_parsed_cert_facts(cert, ret_facts, err);
}

custos_rc custos_csr_facts(struct custos_bytes der, struct custos_json **ret_facts, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(request) X509_REQ *request = NULL;
	CUSTOS_TRY(custos_parsed_request(der, &request, err));
	return custos_parsed_request_facts(request, ret_facts, err);
}

custos_rc custos_cert_days_left(struct custos_bytes der, int64_t now_unix, int64_t *ret_days, struct custos_err *err)
{
	enum { DAY = 86400 };
	CUSTOS_AUTO_OSSL(cert) X509 *cert = NULL;
	int64_t end = 0;
	CUSTOS_TRY(custos_parsed_cert(der, &cert, err));
	CUSTOS_REQUIRE(custos_parsed_time(X509_get0_notAfter(cert), &end), err, CUSTOS_E_INPUT, "the certificate's end of validity cannot be read");
	int64_t left = end - now_unix;
	*ret_days = left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
	return CUSTOS_OK;
}

bool custos_cert_covers(struct custos_bytes der, const char *name)
{
	CUSTOS_AUTO_OSSL(cert) X509 *cert = NULL;
	return custos_parsed_cert(der, &cert, NULL) == CUSTOS_OK && custos_parsed_covers(cert, name);
}

custos_rc custos_cert_pem(const struct custos_bytes *ders, size_t count, struct custos_buf *pem, struct custos_err *err)
{
	for (size_t i = 0; i < count; i++) {
		CUSTOS_AUTO_OSSL(cert) X509 *cert = NULL;
		CUSTOS_TRY(custos_parsed_cert(ders[i], &cert, err));
		CUSTOS_AUTO_OSSL(bio) BIO *bio = BIO_new(BIO_s_mem());
		if (bio == NULL || PEM_write_bio_X509(bio, cert) != 1)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, custos_x509_drain(), "the certificate cannot be written as PEM");
		char *text = NULL;
		long len = BIO_get_mem_data(bio, &text);
		CUSTOS_TRY(custos_buf_append(pem, text, (size_t)len, err));
	}
	return CUSTOS_OK;
}

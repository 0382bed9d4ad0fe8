/* Distinguished names: as a person writes them, and as a certificate has them. What becomes text is one line, and what was read can be read again. */
#include "x509/dn.h"
#include "x509/name.h"

#include "bag.h"

static void must_show(const X509_NAME *name)
{
	CUSTOS_AUTO_STR *text = custos_name_text(name);
	must_be_a_line(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	X509_NAME *name = size == 0 ? NULL : d2i_X509_NAME(NULL, &p, (long)size);
	if (name != NULL)
		must_show(name);
	X509_NAME_free(name);
	custos_x509_drain();
	char *text = malloc(size + 1);
	MUST(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	struct custos_err err = { 0 };
	name = NULL;
	custos_rc rc = custos_dn_parse(text, &name, &err);
	MUST((rc == CUSTOS_OK) == (name != NULL) && (rc == CUSTOS_OK || rc == CUSTOS_E_INPUT));
	if (rc == CUSTOS_OK) {
		unsigned char *der = NULL;
		must_show(name);
		int len = i2d_X509_NAME(name, &der);
		MUST(len > 0);
		p = der;
		X509_NAME *again = d2i_X509_NAME(NULL, &p, len);
		MUST(again != NULL && p == der + len && X509_NAME_cmp(name, again) == 0);
		X509_NAME_free(again);
		OPENSSL_free(der);
	} else {
		must_be_a_line(err.msg);
	}
	X509_NAME_free(name);
	free(text);
	return 0;
}

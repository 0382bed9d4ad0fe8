/* PKCS#7, as it stands, in its own armour, and in that of a certificate: the three must find the same. */
#include "bag.h"

#include <openssl/evp.h>

static size_t certs_in(const char *armour, struct custos_bytes der)
{
	struct custos_bag *bag = NULL;
	CUSTOS_AUTO_BUF text = { .max = 1 << 20 };
	MUST(custos_bag_new(&bag, NULL) == CUSTOS_OK);
	MUST(custos_buf_printf(&text, NULL, "-----BEGIN %s-----\n", armour) == CUSTOS_OK);
	/* one line: as long as the reader must take it */
	unsigned char *flat = malloc(der.len / 3 * 4 + 5);
	MUST(flat != NULL);
	int digits = EVP_EncodeBlock(flat, der.ptr, (int)der.len);
	MUST(custos_buf_append(&text, (char *)flat, (size_t)digits, NULL) == CUSTOS_OK);
	free(flat);
	MUST(custos_buf_printf(&text, NULL, "\n-----END %s-----\n", armour) == CUSTOS_OK);
	custos_rc rc = custos_bag_add(bag, "armoured", custos_buf_view(&text), NULL);
	size_t count = rc == CUSTOS_OK ? custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE) : SIZE_MAX;
	custos_bag_free(bag);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	must_read(data, size);
	if (size > 0 && size < 100000)
		MUST(certs_in("PKCS7", CUSTOS_BYTES(data, size)) == certs_in("CERTIFICATE", CUSTOS_BYTES(data, size)));
	return 0;
}

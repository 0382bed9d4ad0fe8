/* PKCS#7, as it stands, in its own armour, and in that of a certificate: the three must find the same. */
#include "bag.h"


static size_t certs_in(const char *armour, struct custos_bytes der)
{
	struct custos_bag *bag = NULL;
	CUSTOS_AUTO_BUF text = { .max = 1 << 20 };
	MUST(custos_bag_new(&bag, NULL) == CUSTOS_OK);
	MUST(custos_buf_printf(&text, NULL, "-----BEGIN %s-----\n", armour) == CUSTOS_OK);
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < der.len; i += 3) {
		unsigned long three = (unsigned long)der.ptr[i] << 16 | (i + 1 < der.len ? (unsigned long)der.ptr[i + 1] << 8 : 0) | (i + 2 < der.len ? der.ptr[i + 2] : 0);
		char four[4] = { digits[three >> 18], digits[three >> 12 & 63], i + 1 < der.len ? digits[three >> 6 & 63] : '=', i + 2 < der.len ? digits[three & 63] : '=' };
		MUST(custos_buf_append(&text, four, 4, NULL) == CUSTOS_OK);
	}
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

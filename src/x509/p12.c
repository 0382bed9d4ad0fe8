/* A PKCS#12 container becomes an item, its certificates become items, and so do its private keys, by their kind alone. */
#include "crypto/pkcs12.h"
#include "x509/freed.h"
#include "x509/read.h"

static const char *what_of(const struct custos_p12 *p12)
{
	switch (p12->verdict) {
	case CUSTOS_P12_OPENED:
		return p12->certs.len == 0 ? "a PKCS#12 container without certificates" : "a PKCS#12 container";
	case CUSTOS_P12_LOCKED:
		return "a PKCS#12 container with a pass phrase";
	case CUSTOS_P12_OUTDATED:
		return "a PKCS#12 container in an outdated form";
	case CUSTOS_P12_COSTLY:
		return "a PKCS#12 container that is made to be slow";
	default:
		return "a damaged PKCS#12 container";
	}
}

static custos_rc add_keys(struct custos_bag *bag, const struct custos_found *inside, size_t count, const char *what, struct custos_err *err)
{
	struct custos_bag_item *item;
	for (size_t i = 0; i < count; i++)
		CUSTOS_TRY(custos_bag_push(bag, inside, CUSTOS_ITEM_PRIVATE_KEY, what, &item, err));
	return CUSTOS_OK;
}

custos_rc custos_p12_add(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, struct custos_err *err)
{
	CUSTOS_OVERWRITE_FREED(guard);
	CUSTOS_AUTO_P12 p12 = { 0 };
	struct custos_bag_item *item;
	CUSTOS_TRY(custos_p12_read(der, custos_bag_pass_phrase(bag), custos_bag_iterations(bag), &p12, err));
	CUSTOS_TRY(custos_bag_push(bag, found, CUSTOS_ITEM_PKCS12, what_of(&p12), &item, err));
	struct custos_found inside = { .file = found->file, .line = found->line, .label = "", .form = CUSTOS_FORM_PKCS12 };
	for (struct custos_bytes rest = custos_buf_view(&p12.certs); rest.len > 0;) {
		size_t taken = 0;
		CUSTOS_TRY(custos_der_add(bag, &inside, rest, &taken, err));
		if (taken == 0)
			return custos_bag_push(bag, &inside, CUSTOS_ITEM_UNKNOWN, "a damaged certificate", &item, err);
		rest = CUSTOS_BYTES(rest.ptr + taken, rest.len - taken);
	}
	CUSTOS_TRY(add_keys(bag, &inside, p12.encrypted_keys, "an encrypted private key", err));
	return add_keys(bag, &inside, p12.plain_keys, "an unencrypted private key", err);
}

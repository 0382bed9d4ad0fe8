/* A PKCS#12 container becomes an item, its certificates become items, and so do its private keys, by their kind alone. */
#include "crypto/pkcs12.h"
#include "x509/freed.h"
#include "x509/read.h"

static enum custos_nature nature_of(const struct custos_p12 *p12)
{
	switch (p12->verdict) {
	case CUSTOS_P12_OPENED:
		return p12->certs.len == 0 ? CUSTOS_NATURE_PKCS12_EMPTY : CUSTOS_NATURE_PKCS12;
	case CUSTOS_P12_LOCKED:
		return CUSTOS_NATURE_PKCS12_LOCKED;
	case CUSTOS_P12_OUTDATED:
		return CUSTOS_NATURE_PKCS12_OUTDATED;
	case CUSTOS_P12_COSTLY:
		return CUSTOS_NATURE_PKCS12_COSTLY;
	default:
		return CUSTOS_NATURE_PKCS12_DAMAGED;
	}
}

static custos_rc add_keys(struct custos_bag *bag, const struct custos_found *inside, size_t count, enum custos_nature nature, struct custos_err *err)
{
	struct custos_bag_item *item;
	for (size_t i = 0; i < count; i++)
		CUSTOS_TRY(custos_bag_push(bag, inside, nature, &item, err));
	return CUSTOS_OK;
}

custos_rc custos_p12_add(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, struct custos_err *err)
{
	CUSTOS_OVERWRITE_FREED(guard);
	CUSTOS_AUTO_P12 p12 = { 0 };
	struct custos_bag_item *item;
	CUSTOS_TRY(custos_p12_read(der, custos_bag_pass_phrase(bag), custos_bag_iterations(bag), &p12, err));
	CUSTOS_TRY(custos_bag_push(bag, found, nature_of(&p12), &item, err));
	struct custos_found inside = { .file = found->file, .line = found->line, .label = "", .form = CUSTOS_FORM_PKCS12 };
	for (struct custos_bytes rest = custos_buf_view(&p12.certs); rest.len > 0;) {
		size_t taken = 0;
		CUSTOS_TRY(custos_der_add(bag, &inside, rest, &taken, err));
		if (taken == 0)
			return custos_bag_push(bag, &inside, CUSTOS_NATURE_CERTIFICATE_DAMAGED, &item, err);
		rest = CUSTOS_BYTES(rest.ptr + taken, rest.len - taken);
	}
	CUSTOS_TRY(add_keys(bag, &inside, p12.encrypted_keys, CUSTOS_NATURE_KEY_ENCRYPTED, err));
	return add_keys(bag, &inside, p12.plain_keys, CUSTOS_NATURE_KEY, err);
}

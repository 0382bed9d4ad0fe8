/* The bag itself: items, names of inputs, and what may still be put into it. */
#include "x509/bag.h"
#include "x509/name.h"
#include "x509/nature.h"
#include "x509/openssl.h"
#include "x509/read.h"

/* An ordinary certificate has a hundred DER elements, one of a public CA with many names a few hundred. A parsed element takes up to 130 bytes. */
enum { ELEMENTS_FREE = 150, ELEMENTS_SURPLUS = 200000, ITERATIONS = 3000000 };

struct custos_bag {
	struct custos_bag_item *items;
	size_t count, capacity;
	char **files;
	size_t file_count;
	size_t bytes;              /* of all inputs, unpacked */
	size_t surplus;            /* DER elements beyond ELEMENTS_FREE of each object */
	uint64_t iterations;       /* of key derivations for PKCS#12, that may still be made */
	struct custos_secret *pass_phrase;
};

custos_rc custos_bag_new(struct custos_bag **ret_bag, struct custos_err *err)
{
	struct custos_bag *bag = calloc(1, sizeof *bag);
	CUSTOS_REQUIRE(bag != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	bag->iterations = ITERATIONS;
	*ret_bag = bag;
	return CUSTOS_OK;
}

void custos_bag_free(struct custos_bag *bag)
{
	if (bag == NULL)
		return;
	for (size_t i = 0; i < bag->count; i++) {
		custos_buf_done(&bag->items[i].der);
		X509_free(bag->items[i].cert);
		X509_REQ_free(bag->items[i].request);
	}
	free(bag->items);
	for (size_t i = 0; i < bag->file_count; i++)
		free(bag->files[i]);
	free(bag->files);
	free(bag);
}

static bool label_fits(const char *label, enum custos_item_kind kind)
{
	if (label[0] == '\0')
		return true;
	switch (kind) {
	case CUSTOS_ITEM_CERTIFICATE:
		return strcmp(label, "CERTIFICATE") == 0 || strcmp(label, "X509 CERTIFICATE") == 0 || strcmp(label, "TRUSTED CERTIFICATE") == 0;
	case CUSTOS_ITEM_REQUEST:
		return strcmp(label, "CERTIFICATE REQUEST") == 0 || strcmp(label, "NEW CERTIFICATE REQUEST") == 0;
	case CUSTOS_ITEM_PKCS7:
		return strcmp(label, "PKCS7") == 0 || strcmp(label, "CMS") == 0 || strcmp(label, "PKCS #7 SIGNED DATA") == 0;
	default:
		return true;
	}
}

custos_rc custos_bag_push(struct custos_bag *bag, const struct custos_found *found, enum custos_nature nature, struct custos_bag_item **ret_item, struct custos_err *err)
{
	if (bag->count >= CUSTOS_BAG_ITEMS_MAX)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give only the files that the CA sent for this certificate", "%s: more than %d objects", found->file, CUSTOS_BAG_ITEMS_MAX);
	if (bag->count == bag->capacity) {
		size_t capacity = bag->capacity * 2 + 16;
		struct custos_bag_item *grown = reallocarray(bag->items, capacity, sizeof *grown);
		CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		bag->items = grown;
		bag->capacity = capacity;
	}
	const struct custos_nature_row *row = custos_nature_row(nature);
	struct custos_bag_item *item = &bag->items[bag->count++];
	*item = (struct custos_bag_item){
		.nature = nature, .kind = row->kind, .form = found->form, .quirks = found->quirks, .file = found->file, .line = found->line, .what = row->words,
		.der = { .max = CUSTOS_BAG_INPUT_MAX }
	};
	size_t len = strnlen(found->label, sizeof item->label - 1);
	memcpy(item->label, found->label, len);
	if (found->form != CUSTOS_FORM_PKCS7 && !label_fits(item->label, row->kind))
		item->quirks |= CUSTOS_QUIRK_LABEL;
	*ret_item = item;
	return CUSTOS_OK;
}

custos_rc custos_bag_own_name(struct custos_bag *bag, const char *name, const char **ret_file, struct custos_err *err)
{
	if (bag->file_count % 64 == 0) {
		char **grown = reallocarray(bag->files, bag->file_count + 64, sizeof *grown);
		CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		bag->files = grown;
	}
	char *file = custos_name_escape(CUSTOS_BYTES_STR(name), 1024);
	CUSTOS_REQUIRE(file != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_file = bag->files[bag->file_count++] = file;
	return CUSTOS_OK;
}

size_t custos_bag_room(const struct custos_bag *bag)
{
	return CUSTOS_BAG_INPUT_MAX - bag->bytes;
}

custos_rc custos_bag_spend(struct custos_bag *bag, const char *file, size_t bytes, struct custos_err *err)
{
	static const char remedy[] = "give only the files that the CA sent for this certificate";
	if (bytes > CUSTOS_BAG_INPUT_MAX)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, remedy, "%s: larger than 10 MiB", file);
	if (bytes > custos_bag_room(bag))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, remedy, "%s: with it there are more than 10 MiB altogether", file);
	bag->bytes += bytes;
	return CUSTOS_OK;
}

custos_rc custos_bag_spend_elements(struct custos_bag *bag, const struct custos_found *found, size_t elements, struct custos_err *err)
{
	size_t surplus = elements > ELEMENTS_FREE ? elements - ELEMENTS_FREE : 0;
	if (surplus > ELEMENTS_SURPLUS - bag->surplus)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give only the files that the CA sent for this certificate",
		                 "%s: more names, extensions or entries than the certificates of a server have", found->file);
	bag->surplus += surplus;
	return CUSTOS_OK;
}

uint64_t *custos_bag_iterations(struct custos_bag *bag)
{
	return &bag->iterations;
}

void custos_bag_use_pass_phrase(struct custos_bag *bag, struct custos_secret *pass_phrase)
{
	bag->pass_phrase = pass_phrase;
}

struct custos_secret *custos_bag_pass_phrase(const struct custos_bag *bag)
{
	return bag->pass_phrase;
}

custos_rc custos_bag_add(struct custos_bag *bag, const char *name, struct custos_bytes bytes, struct custos_err *err)
{
	const char *file;
	CUSTOS_TRY(custos_bag_own_name(bag, name, &file, err));
	CUSTOS_TRY(custos_bag_spend(bag, file, bytes.len, err));
	return custos_read_input(bag, file, bytes, CUSTOS_READ_ARCHIVES, err);
}

custos_rc custos_bag_add_served(struct custos_bag *bag, const char *name, const struct custos_buf *ders, size_t count, struct custos_err *err)
{
	const char *file;
	CUSTOS_TRY(custos_bag_own_name(bag, name, &file, err));
	for (size_t i = 0; i < count; i++) {
		struct custos_found found = { .file = file, .label = "", .form = CUSTOS_FORM_SERVED };
		size_t taken = 0;
		CUSTOS_TRY(custos_bag_spend(bag, file, ders[i].len, err));
		CUSTOS_TRY(custos_der_add(bag, &found, custos_buf_view(&ders[i]), &taken, err));
		CUSTOS_REQUIRE(taken == ders[i].len, err, CUSTOS_E_INPUT, "%s: serves something that is no certificate", file);
	}
	return CUSTOS_OK;
}

size_t custos_bag_count(const struct custos_bag *bag)
{
	return bag->count;
}

size_t custos_bag_count_kind(const struct custos_bag *bag, enum custos_item_kind kind)
{
	size_t n = 0;
	for (size_t i = 0; i < bag->count; i++)
		n += bag->items[i].kind == kind;
	return n;
}

const struct custos_bag_item *custos_bag_at(const struct custos_bag *bag, size_t index)
{
	return index < bag->count ? &bag->items[index] : NULL;
}

const struct custos_bag_item *custos_bag_next(const struct custos_bag *bag, enum custos_item_kind kind, size_t *at)
{
	while (*at < bag->count) {
		const struct custos_bag_item *item = &bag->items[(*at)++];
		if (item->kind == kind)
			return item;
	}
	return NULL;
}

void custos_bag_forget(struct custos_bag *bag, size_t index)
{
	X509_free(bag->items[index].cert);
	X509_REQ_free(bag->items[index].request);
	bag->items[index].cert = NULL;
	bag->items[index].request = NULL;
}

const char *custos_item_kind_name(enum custos_item_kind kind)
{
	static const char *const names[] = {
		[CUSTOS_ITEM_UNKNOWN] = "unknown", [CUSTOS_ITEM_CERTIFICATE] = "certificate", [CUSTOS_ITEM_REQUEST] = "request",
		[CUSTOS_ITEM_PUBLIC_KEY] = "public_key", [CUSTOS_ITEM_PRIVATE_KEY] = "private_key", [CUSTOS_ITEM_PKCS7] = "pkcs7",
		[CUSTOS_ITEM_PKCS12] = "pkcs12", [CUSTOS_ITEM_CRL] = "crl",
	};
	return (size_t)kind < sizeof names / sizeof *names && names[kind] != NULL ? names[kind] : "unknown";
}

/* The bag itself: items, names of inputs, reading files. */
#include "x509/bag.h"
#include "x509/name.h"
#include "x509/openssl.h"
#include "x509/read.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct custos_bag {
	struct custos_bag_item *items;
	size_t count, capacity;
	char **files;
	size_t file_count;
};

custos_rc custos_bag_new(struct custos_bag **ret_bag, struct custos_err *err)
{
	struct custos_bag *bag = calloc(1, sizeof *bag);
	CUSTOS_REQUIRE(bag != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
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

custos_rc custos_bag_push(struct custos_bag *bag, const struct custos_found *found, enum custos_item_kind kind, const char *what, struct custos_bag_item **ret_item,
                          struct custos_err *err)
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
	struct custos_bag_item *item = &bag->items[bag->count++];
	*item = (struct custos_bag_item){
		.kind = kind, .form = found->form, .quirks = found->quirks, .file = found->file, .line = found->line, .what = what, .der = { .max = CUSTOS_BAG_INPUT_MAX }
	};
	size_t len = strnlen(found->label, sizeof item->label - 1);
	memcpy(item->label, found->label, len);
	if (found->form != CUSTOS_FORM_PKCS7 && !label_fits(item->label, kind))
		item->quirks |= CUSTOS_QUIRK_LABEL;
	*ret_item = item;
	return CUSTOS_OK;
}

custos_rc custos_bag_add(struct custos_bag *bag, const char *name, struct custos_bytes bytes, struct custos_err *err)
{
	CUSTOS_REQUIRE(bytes.len <= CUSTOS_BAG_INPUT_MAX, err, CUSTOS_E_INPUT, "%s: larger than 10 MiB", name);
	char **grown = reallocarray(bag->files, bag->file_count + 1, sizeof *grown);
	CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	bag->files = grown;
	char *file = custos_name_escape(CUSTOS_BYTES_STR(name), 1024);
	CUSTOS_REQUIRE(file != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	bag->files[bag->file_count++] = file;
	return custos_read_input(bag, file, bytes, err);
}

/* The file may hold a private key: its buffer is wiped on every way out. */
struct contents {
	uint8_t *ptr;
	size_t len;
};

static void wipe_contents(struct contents *c)
{
	OPENSSL_clear_free(c->ptr, c->len);
}

static custos_rc read_whole(int fd, const char *path, struct contents *c, struct custos_err *err)
{
	size_t got = 0;
	while (got < c->len) {
		ssize_t n = read(fd, c->ptr + got, c->len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "%s: cannot be read: %s", path, strerror(errno));
		if (n == 0)
			break;
		got += (size_t)n;
	}
	CUSTOS_REQUIRE(got == c->len, err, CUSTOS_E_INPUT, "%s: became shorter while it was read", path);
	return CUSTOS_OK;
}

custos_rc custos_bag_add_file(struct custos_bag *bag, const char *path, struct custos_err *err)
{
	if (strcmp(path, "-") == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write it to a file and name the file", "standard input is not read");
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "%s: cannot be opened: %s", path, strerror(errno));
	struct stat st;
	if (fstat(fd, &st) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "%s: cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name the files themselves", "%s: not a regular file", path);
	CUSTOS_REQUIRE(st.st_size <= CUSTOS_BAG_INPUT_MAX, err, CUSTOS_E_INPUT, "%s: larger than 10 MiB", path);
	CUSTOS_CLEANUP(wipe_contents) struct contents c = { .ptr = OPENSSL_malloc((size_t)st.st_size + 1), .len = (size_t)st.st_size };
	CUSTOS_REQUIRE(c.ptr != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(read_whole(fd, path, &c, err));
	return custos_bag_add(bag, path, CUSTOS_BYTES(c.ptr, c.len), err);
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

const char *custos_item_kind_name(enum custos_item_kind kind)
{
	static const char *const names[] = {
		[CUSTOS_ITEM_UNKNOWN] = "unknown", [CUSTOS_ITEM_CERTIFICATE] = "certificate", [CUSTOS_ITEM_REQUEST] = "request",
		[CUSTOS_ITEM_PUBLIC_KEY] = "public_key", [CUSTOS_ITEM_PRIVATE_KEY] = "private_key", [CUSTOS_ITEM_PKCS7] = "pkcs7",
		[CUSTOS_ITEM_PKCS12] = "pkcs12", [CUSTOS_ITEM_CRL] = "crl",
	};
	return (size_t)kind < sizeof names / sizeof *names && names[kind] != NULL ? names[kind] : "unknown";
}

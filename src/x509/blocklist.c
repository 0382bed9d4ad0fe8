/* The list is sorted once and searched by halves: Debian's have some hundred thousand lines. */
#include "x509/blocklist.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/weak_key.h"

enum { SPKI_DIGITS = 64, SHA1_DIGITS = 40, FINGERPRINT_DIGITS = CUSTOS_WEAK_FINGERPRINT - 1 };

struct entry {
	uint8_t len, hash[CUSTOS_HASH_SIZE];
};

struct custos_blocklist {
	struct entry *entries;
	size_t count, capacity;
};

void custos_blocklist_free(struct custos_blocklist *list)
{
	if (list == NULL)
		return;
	free(list->entries);
	free(list);
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->len != y->len ? (x->len < y->len ? -1 : 1) : memcmp(x->hash, y->hash, x->len);
}

static custos_rc add(struct custos_blocklist *list, const struct entry *entry, struct custos_err *err)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity * 2 + 64;
		struct entry *grown = reallocarray(list->entries, capacity, sizeof *grown);
		CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		list->entries = grown;
		list->capacity = capacity;
	}
	list->entries[list->count++] = *entry;
	return CUSTOS_OK;
}

/* One line without its end; false when it is no hash. */
static bool read_hash(const uint8_t *line, size_t len, struct entry *ret_entry)
{
	char digits[SPKI_DIGITS + 1];
	if (len != SPKI_DIGITS && len != SHA1_DIGITS && len != FINGERPRINT_DIGITS)
		return false;
	for (size_t i = 0; i < len; i++)
		digits[i] = (char)(line[i] >= 'A' && line[i] <= 'F' ? line[i] + ('a' - 'A') : line[i]);
	digits[len] = '\0';
	const char *from = len == SHA1_DIGITS ? digits + SHA1_DIGITS - FINGERPRINT_DIGITS : digits;
	ret_entry->len = (uint8_t)(strlen(from) / 2);
	return custos_text_unhex(from, ret_entry->hash, ret_entry->len);
}

custos_rc custos_blocklist_parse(struct custos_bytes text, const char *file, struct custos_blocklist **ret_list, struct custos_err *err)
{
	CUSTOS_AUTO(custos_blocklist) *list = calloc(1, sizeof *list);
	CUSTOS_REQUIRE(list != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	unsigned number = 1;
	for (size_t at = 0; at < text.len; number++) {
		const uint8_t *line = text.ptr + at, *end = memchr(line, '\n', text.len - at);
		size_t len = end == NULL ? text.len - at : (size_t)(end - line);
		struct entry entry = { 0 };
		at += len + 1;
		while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
			len--;
		if (len == 0 || line[0] == '#')
			continue;
		if (!read_hash(line, len, &entry))
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "64 hexadecimal digits (SHA-256 of the SPKI), or 40 or 20 (of the modulus, as in openssl-blacklist), one key a line",
			                 "%s:%u: not the hash of a key", file, number);
		CUSTOS_TRY(add(list, &entry, err));
	}
	if (list->count > 0)
		qsort(list->entries, list->count, sizeof *list->entries, compare);
	*ret_list = CUSTOS_TAKE(list);
	return CUSTOS_OK;
}

static bool holds(const struct custos_blocklist *list, const struct entry *entry)
{
	return list->count > 0 && bsearch(entry, list->entries, list->count, sizeof *list->entries, compare) != NULL;
}

custos_rc custos_blocklist_find(const struct custos_blocklist *list, struct custos_bytes spki, bool *ret_found, struct custos_err *err)
{
	struct entry whole = { .len = CUSTOS_HASH_SIZE }, modulus = { .len = FINGERPRINT_DIGITS / 2 };
	char fingerprint[CUSTOS_WEAK_FINGERPRINT];
	CUSTOS_TRY(custos_sha256(spki, whole.hash, err));
	CUSTOS_TRY(custos_weak_key_fingerprint(spki, fingerprint, err));
	bool is_rsa = custos_text_unhex(fingerprint, modulus.hash, modulus.len);
	*ret_found = holds(list, &whole) || (is_rsa && holds(list, &modulus));
	return CUSTOS_OK;
}

/* One input becomes items: DER when its first object is known, else every PEM block in it, else base64 without armour, else one item that says what it
 * looks like. Every search goes forward only, so the time is linear in the input. Bytes of a block whose label names a private
 * key are not decoded; the scratch of the others is wiped, for a label may lie. */
#include "x509/openssl.h"
#include "x509/read.h"

#include <limits.h>

static const char BEGIN[] = "-----BEGIN ", END[] = "-----END ", DASHES[] = "-----";
#define LEN(literal) (sizeof(literal) - 1)

static const uint8_t *find(const uint8_t *from, const uint8_t *stop, const char *what, size_t len)
{
	return from >= stop ? NULL : memmem(from, (size_t)(stop - from), what, len);
}

static bool begins(struct custos_bytes b, const char *with, size_t len)
{
	return b.len >= len && memcmp(b.ptr, with, len) == 0;
}

/* Lines are counted as the scan moves forward. */
struct scan {
	struct custos_bag *bag;
	struct custos_found found;
	const uint8_t *start, *stop;
	const uint8_t *counted;
	unsigned line;
	char label[48];
	unsigned quirks;           /* of the whole input */
	bool any;
};

static unsigned line_of(struct scan *s, const uint8_t *at)
{
	while (s->counted < at) {
		const uint8_t *newline = memchr(s->counted, '\n', (size_t)(at - s->counted));
		s->counted = newline == NULL ? at : newline + 1;
		s->line += newline != NULL;
	}
	return s->line;
}

static custos_rc add_plain(struct scan *s, enum custos_nature nature, struct custos_err *err)
{
	struct custos_bag_item *item;
	return custos_bag_push(s->bag, &s->found, nature, &item, err);
}

static bool names_private_key(const char *label)
{
	size_t len = strlen(label);
	return strcmp(label, "PGP PRIVATE KEY BLOCK") == 0 || (len >= LEN("PRIVATE KEY") && strcmp(label + len - LEN("PRIVATE KEY"), "PRIVATE KEY") == 0);
}

static enum custos_nature private_key_nature(const char *label, struct custos_bytes body)
{
	bool encrypted = memmem(body.ptr, body.len < 256 ? body.len : 256, "ENCRYPTED", 9) != NULL;
	if (strcmp(label, "ENCRYPTED PRIVATE KEY") == 0)
		return CUSTOS_NATURE_KEY_ENCRYPTED;
	if (strcmp(label, "RSA PRIVATE KEY") == 0)
		return encrypted ? CUSTOS_NATURE_KEY_RSA_ENCRYPTED : CUSTOS_NATURE_KEY_RSA;
	if (strcmp(label, "EC PRIVATE KEY") == 0)
		return encrypted ? CUSTOS_NATURE_KEY_EC_ENCRYPTED : CUSTOS_NATURE_KEY_EC;
	if (strcmp(label, "OPENSSH PRIVATE KEY") == 0)
		return CUSTOS_NATURE_KEY_OPENSSH;
	if (strcmp(label, "PGP PRIVATE KEY BLOCK") == 0)
		return CUSTOS_NATURE_KEY_PGP;
	return encrypted ? CUSTOS_NATURE_KEY_ENCRYPTED : CUSTOS_NATURE_KEY;
}

struct scratch {
	uint8_t *ptr;
	size_t size;
};

static void wipe_scratch(struct scratch *s)
{
	OPENSSL_clear_free(s->ptr, s->size);
}

/* RFC 1421 headers end with an empty line; they are only there when the first line holds a colon. */
static struct custos_bytes without_headers(struct custos_bytes body)
{
	const uint8_t *p = body.ptr, *stop = body.ptr + body.len;
	while (p < stop && (*p == '\r' || *p == '\n' || *p == ' ' || *p == '\t'))
		p++;
	const uint8_t *line_end = p < stop ? memchr(p, '\n', (size_t)(stop - p)) : NULL;
	if (line_end == NULL || memchr(p, ':', (size_t)(line_end - p)) == NULL)
		return body;
	for (const uint8_t *q = p; q < stop; q++) {
		if (*q != '\n')
			continue;
		const uint8_t *next = q + 1;
		if (next < stop && *next == '\r')
			next++;
		if (next < stop && *next == '\n')
			return CUSTOS_BYTES(next, (size_t)(stop - next));
	}
	return body;
}

/* White space, or a line's end written out, as it stands in JSON and in settings. */
static bool is_between(struct custos_bytes body, size_t *at)
{
	uint8_t c = body.ptr[*at];
	if (c == '\\' && *at + 1 < body.len && (body.ptr[*at + 1] == 'n' || body.ptr[*at + 1] == 'r')) {
		++*at;
		return true;
	}
	return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

/* Canonical base64 with white space anywhere into `out` (body.len bytes are enough); 0 when it is not that. */
static size_t decode(struct custos_bytes body, struct scratch *text, struct scratch *out)
{
	size_t n = 0, padding = 0;
	for (size_t i = 0; i < body.len; i++) {
		if (is_between(body, &i))
			continue;
		uint8_t c = body.ptr[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
		if (c == '=')
			padding++;
		else if (!letter || padding > 0)
			return 0;
		text->ptr[n++] = c;
	}
	if (n == 0 || n % 4 != 0 || padding > 2 || n > INT_MAX)
		return 0;
	int got = EVP_DecodeBlock(out->ptr, text->ptr, (int)n);
	custos_x509_drain();
	return got < (int)padding ? 0 : (size_t)got - padding;
}

/* What follows the first object: more objects, or bytes that are named because a strict reader would stumble over them. */
static custos_rc add_rest(struct scan *s, struct custos_bytes der, struct custos_err *err)
{
	while (der.len > 0) {
		size_t taken = 0;
		CUSTOS_TRY(custos_der_add(s->bag, &s->found, der, &taken, err));
		if (taken == 0) {
			/* a trusted certificate carries settings behind itself, a file may end with a newline */
			bool harmless = strcmp(s->found.label, "TRUSTED CERTIFICATE") == 0 || custos_foreign_look(der) == CUSTOS_NATURE_EMPTY;
			return harmless ? CUSTOS_OK : add_plain(s, CUSTOS_NATURE_STRAY_BYTES, err);
		}
		der.ptr += taken;
		der.len -= taken;
	}
	return CUSTOS_OK;
}

static custos_rc add_block(struct scan *s, struct custos_bytes body, struct custos_err *err)
{
	if (names_private_key(s->label))
		return add_plain(s, private_key_nature(s->label, body), err);
	if (strstr(s->label, "PARAMETERS") != NULL)
		return add_plain(s, CUSTOS_NATURE_KEY_PARAMETERS, err);
	if (strncmp(s->label, "PGP ", 4) == 0)
		return add_plain(s, CUSTOS_NATURE_PGP, err);
	body = without_headers(body);
	CUSTOS_CLEANUP(wipe_scratch) struct scratch text = { .ptr = OPENSSL_malloc(body.len + 1), .size = body.len + 1 };
	CUSTOS_CLEANUP(wipe_scratch) struct scratch der = { .ptr = OPENSSL_malloc(body.len + 1), .size = body.len + 1 };
	CUSTOS_REQUIRE(text.ptr != NULL && der.ptr != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	size_t len = decode(body, &text, &der);
	if (len == 0) {
		bool quoted = memmem(body.ptr, body.len, "=3D", 3) != NULL; /* RFC 2045 6.7 */
		return add_plain(s, quoted ? CUSTOS_NATURE_BLOCK_QUOTED : CUSTOS_NATURE_BLOCK_NOT_BASE64, err);
	}
	size_t taken = 0;
	CUSTOS_TRY(custos_der_add(s->bag, &s->found, CUSTOS_BYTES(der.ptr, len), &taken, err));
	if (taken == 0)
		return add_plain(s, CUSTOS_NATURE_BLOCK_UNKNOWN, err);
	return add_rest(s, CUSTOS_BYTES(der.ptr + taken, len - taken), err);
}

static const uint8_t *read_label(struct scan *s, const uint8_t *after_begin)
{
	size_t left = (size_t)(s->stop - after_begin);
	const uint8_t *dashes = memmem(after_begin, left < sizeof s->label + 5 ? left : sizeof s->label + 5, DASHES, LEN(DASHES));
	s->label[0] = '\0';
	if (dashes == NULL || dashes == after_begin || (size_t)(dashes - after_begin) >= sizeof s->label)
		return NULL;
	for (const uint8_t *p = after_begin; p < dashes; p++)
		if (*p < 0x20 || *p > 0x7e)
			return NULL;
	size_t len = (size_t)(dashes - after_begin);
	memcpy(s->label, after_begin, len);
	s->label[len] = '\0';
	return dashes + LEN(DASHES);
}

/* One block that starts at `begin`; the next BEGIN is at `next` (or the end of the input), the next END at `end` (or NULL). */
static custos_rc scan_block(struct scan *s, const uint8_t *begin, const uint8_t *next, const uint8_t *end, struct custos_err *err)
{
	s->found.line = line_of(s, begin);
	s->found.quirks = s->quirks | (begin > s->start && begin[-1] != '\n' && begin[-1] != '\r' ? CUSTOS_QUIRK_GLUED : 0u);
	const uint8_t *body = read_label(s, begin + LEN(BEGIN));
	if (body == NULL)
		return CUSTOS_OK; /* a line of prose that happens to begin so */
	s->any = true;
	/* an END that begins with the dashes of this very BEGIN line leaves no body */
	if (end != NULL && end >= body && end < next)
		return add_block(s, CUSTOS_BYTES(body, (size_t)(end - body)), err);
	bool key = names_private_key(s->label);
	return add_plain(s, key ? CUSTOS_NATURE_KEY_TRUNCATED : CUSTOS_NATURE_BLOCK_TRUNCATED, err);
}

static custos_rc scan_pem(struct scan *s, struct custos_err *err)
{
	const uint8_t *begin = find(s->start, s->stop, BEGIN, LEN(BEGIN)), *end = s->start;
	while (begin != NULL) {
		const uint8_t *next = find(begin + LEN(BEGIN), s->stop, BEGIN, LEN(BEGIN));
		if (end != NULL && end < begin + LEN(BEGIN))
			end = find(begin + LEN(BEGIN), s->stop, END, LEN(END));
		CUSTOS_TRY(scan_block(s, begin, next == NULL ? s->stop : next, end, err));
		begin = next;
	}
	return CUSTOS_OK;
}

/* Base64 without BEGIN and END. Only what begins as a DER sequence does is tried. */
static custos_rc add_bare(struct scan *s, struct custos_err *err)
{
	struct custos_bytes body = custos_foreign_skip_space(CUSTOS_BYTES(s->start, (size_t)(s->stop - s->start)));
	if (body.len < 4 || body.ptr[0] != 'M' || body.ptr[1] < 'A' || body.ptr[1] > 'P')
		return CUSTOS_OK;
	CUSTOS_CLEANUP(wipe_scratch) struct scratch text = { .ptr = OPENSSL_malloc(body.len + 1), .size = body.len + 1 };
	CUSTOS_CLEANUP(wipe_scratch) struct scratch der = { .ptr = OPENSSL_malloc(body.len + 1), .size = body.len + 1 };
	CUSTOS_REQUIRE(text.ptr != NULL && der.ptr != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	size_t len = decode(body, &text, &der), taken = 0;
	s->found.line = line_of(s, body.ptr);
	s->found.form = CUSTOS_FORM_BASE64;
	if (len > 0)
		CUSTOS_TRY(custos_der_add(s->bag, &s->found, CUSTOS_BYTES(der.ptr, len), &taken, err));
	s->any = taken > 0;
	return taken == 0 ? CUSTOS_OK : add_rest(s, CUSTOS_BYTES(der.ptr + taken, len - taken), err);
}

/* `text`: what it is when it is text and holds nothing. */
static custos_rc read_text(struct scan *s, enum custos_nature text, struct custos_err *err)
{
	struct custos_bytes input = CUSTOS_BYTES(s->start, (size_t)(s->stop - s->start));
	s->found.form = CUSTOS_FORM_PEM;
	s->found.label = s->label;
	CUSTOS_TRY(scan_pem(s, err));
	if (s->any)
		return CUSTOS_OK;
	s->label[0] = '\0';
	CUSTOS_TRY(add_bare(s, err));
	if (s->any)
		return CUSTOS_OK;
	s->found = (struct custos_found){ .file = s->found.file, .label = "", .form = CUSTOS_FORM_OTHER };
	enum custos_nature nature = custos_foreign_nature(input);
	return add_plain(s, nature == CUSTOS_NATURE_TEXT ? text : nature, err);
}

/* As Windows' editors and shells write it. What is not ASCII becomes a character that neither armour nor base64 holds. */
static custos_rc read_utf16(struct custos_bag *bag, const char *file, struct custos_bytes input, struct custos_err *err)
{
	size_t high = input.ptr[0] == 0xfe ? 0 : 1, n = 0;
	CUSTOS_CLEANUP(wipe_scratch) struct scratch text = { .ptr = OPENSSL_malloc(input.len), .size = input.len };
	CUSTOS_REQUIRE(text.ptr != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 2; i + 1 < input.len; i += 2) {
		uint8_t low = input.ptr[i + 1 - high];
		text.ptr[n++] = input.ptr[i + high] == 0 && low < 0x80 ? low : '?';
	}
	struct scan s = { .bag = bag, .found = { .file = file }, .quirks = CUSTOS_QUIRK_UTF16, .start = text.ptr, .stop = text.ptr + n, .counted = text.ptr, .line = 1 };
	return read_text(&s, CUSTOS_NATURE_TEXT_UTF16, err);
}

custos_rc custos_read_input(struct custos_bag *bag, const char *file, struct custos_bytes input, unsigned flags, struct custos_err *err)
{
	enum custos_nature document = custos_foreign_document(input);
	struct scan s = { .bag = bag, .found = { .file = file, .label = "", .form = CUSTOS_FORM_DER }, .start = input.ptr, .stop = input.ptr + input.len, .counted = input.ptr, .line = 1 };
	if (input.len == 0)
		return add_plain(&s, CUSTOS_NATURE_EMPTY, err);
	if (document != CUSTOS_NATURE_NONE) {
		s.found.form = CUSTOS_FORM_OTHER;
		return add_plain(&s, document, err);
	}
	if ((flags & CUSTOS_READ_ARCHIVES) != 0 && begins(input, "PK\x03\x04", 4))
		return custos_zip_add(bag, file, input, err);
	if (begins(input, "\xff\xfe", 2) || begins(input, "\xfe\xff", 2))
		return read_utf16(bag, file, input, err);
	if (begins(input, "\xef\xbb\xbf", 3))
		s.start += 3; /* a byte order mark of UTF-8 */
	size_t taken = 0;
	CUSTOS_TRY(custos_der_add(bag, &s.found, input, &taken, err));
	if (taken > 0)
		return add_rest(&s, CUSTOS_BYTES(input.ptr + taken, input.len - taken), err);
	return read_text(&s, CUSTOS_NATURE_TEXT, err);
}

/* One input becomes items: DER when its first object is known, else every PEM block in it, else one item that says what it looks
 * like. Every search goes forward only, so the time is linear in the input. Bytes of a block whose label names a private
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

static const char *looks_like_text(struct custos_bytes input)
{
	size_t blank = 0;
	for (size_t i = 0; i < input.len; i++) {
		uint8_t c = input.ptr[i];
		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f') || c == 0x7f)
			return "binary data";
		blank += c <= 0x20;
	}
	return blank == input.len ? "empty" : "text";
}

static const char *looks_like(struct custos_bytes input)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *what;
	} known[] = {
		{ "PK\x03\x04", 4, "a zip archive in an archive" }, { "PK\x05\x06", 4, "an empty zip archive" }, { "\x1f\x8b", 2, "a gzip archive" }, { "7z\xbc\xaf", 4, "a 7z archive" },
		{ "%PDF", 4, "a PDF document" }, { "\xff\xfe", 2, "UTF-16 text" }, { "\xfe\xff", 2, "UTF-16 text" },
		{ "\xfe\xed\xfe\xed", 4, "a Java keystore" }, { "ssh-", 4, "an SSH public key" }, { "ecdsa-sha2-", 11, "an SSH public key" },
		{ "<!DOCTYPE", 9, "a web page" }, { "<html", 5, "a web page" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (begins(input, known[i].magic, known[i].len))
			return known[i].what;
	const char *what = looks_like_text(input);
	bool der = input.len > 2 && input.ptr[0] == 0x30 && (input.ptr[1] & 0x80) != 0;
	return der && strcmp(what, "binary data") == 0 ? "damaged or truncated DER data" : what;
}

/* Lines are counted as the scan moves forward. */
struct scan {
	struct custos_bag *bag;
	struct custos_found found;
	const uint8_t *start, *stop;
	const uint8_t *counted;
	unsigned line;
	char label[48];
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

static custos_rc add_plain(struct scan *s, enum custos_item_kind kind, const char *what, struct custos_err *err)
{
	struct custos_bag_item *item;
	return custos_bag_push(s->bag, &s->found, kind, what, &item, err);
}

static bool names_private_key(const char *label)
{
	size_t len = strlen(label);
	return len >= LEN("PRIVATE KEY") && strcmp(label + len - LEN("PRIVATE KEY"), "PRIVATE KEY") == 0;
}

static const char *private_key_what(const char *label, struct custos_bytes body)
{
	bool encrypted = memmem(body.ptr, body.len < 256 ? body.len : 256, "ENCRYPTED", 9) != NULL;
	if (strcmp(label, "ENCRYPTED PRIVATE KEY") == 0)
		return "an encrypted private key";
	if (strcmp(label, "RSA PRIVATE KEY") == 0)
		return encrypted ? "an encrypted RSA private key" : "an unencrypted RSA private key";
	if (strcmp(label, "EC PRIVATE KEY") == 0)
		return encrypted ? "an encrypted EC private key" : "an unencrypted EC private key";
	if (strcmp(label, "OPENSSH PRIVATE KEY") == 0)
		return "an OpenSSH private key";
	return encrypted ? "an encrypted private key" : "an unencrypted private key";
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

/* Canonical base64 with white space anywhere into `out` (body.len bytes are enough); 0 when it is not that. */
static size_t decode(struct custos_bytes body, struct scratch *text, struct scratch *out)
{
	size_t n = 0, padding = 0;
	for (size_t i = 0; i < body.len; i++) {
		uint8_t c = body.ptr[i];
		if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
			continue;
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
			bool harmless = strcmp(s->found.label, "TRUSTED CERTIFICATE") == 0 || strcmp(looks_like_text(der), "empty") == 0;
			return harmless ? CUSTOS_OK : add_plain(s, CUSTOS_ITEM_UNKNOWN, "bytes that do not belong there", err);
		}
		der.ptr += taken;
		der.len -= taken;
	}
	return CUSTOS_OK;
}

static custos_rc add_block(struct scan *s, struct custos_bytes body, struct custos_err *err)
{
	if (names_private_key(s->label))
		return add_plain(s, CUSTOS_ITEM_PRIVATE_KEY, private_key_what(s->label, body), err);
	if (strstr(s->label, "PARAMETERS") != NULL)
		return add_plain(s, CUSTOS_ITEM_UNKNOWN, "key parameters", err);
	body = without_headers(body);
	CUSTOS_CLEANUP(wipe_scratch) struct scratch text = { .ptr = OPENSSL_malloc(body.len + 1), .size = body.len + 1 };
	CUSTOS_CLEANUP(wipe_scratch) struct scratch der = { .ptr = OPENSSL_malloc(body.len + 1), .size = body.len + 1 };
	CUSTOS_REQUIRE(text.ptr != NULL && der.ptr != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	size_t len = decode(body, &text, &der);
	if (len == 0)
		return add_plain(s, CUSTOS_ITEM_UNKNOWN, "a damaged PEM block (not base64)", err);
	size_t taken = 0;
	CUSTOS_TRY(custos_der_add(s->bag, &s->found, CUSTOS_BYTES(der.ptr, len), &taken, err));
	if (taken == 0)
		return add_plain(s, CUSTOS_ITEM_UNKNOWN, "a PEM block whose content is damaged or unknown", err);
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
	s->found.quirks = begin > s->start && begin[-1] != '\n' && begin[-1] != '\r' ? CUSTOS_QUIRK_GLUED : 0;
	const uint8_t *body = read_label(s, begin + LEN(BEGIN));
	if (body == NULL)
		return CUSTOS_OK; /* a line of prose that happens to begin so */
	s->any = true;
	/* an END that begins with the dashes of this very BEGIN line leaves no body */
	if (end != NULL && end >= body && end < next)
		return add_block(s, CUSTOS_BYTES(body, (size_t)(end - body)), err);
	bool key = names_private_key(s->label);
	return add_plain(s, key ? CUSTOS_ITEM_PRIVATE_KEY : CUSTOS_ITEM_UNKNOWN, key ? "a truncated private key" : "a truncated PEM block (its END line is missing)", err);
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

custos_rc custos_read_input(struct custos_bag *bag, const char *file, struct custos_bytes input, unsigned flags, struct custos_err *err)
{
	if ((flags & CUSTOS_READ_ARCHIVES) != 0 && begins(input, "PK\x03\x04", 4))
		return custos_zip_add(bag, file, input, err);
	struct scan s = { .bag = bag, .found = { .file = file, .label = "", .form = CUSTOS_FORM_DER }, .start = input.ptr, .stop = input.ptr + input.len, .counted = input.ptr, .line = 1 };
	if (begins(input, "\xef\xbb\xbf", 3))
		s.start += 3; /* a byte order mark of UTF-8 */
	if (input.len == 0)
		return add_plain(&s, CUSTOS_ITEM_UNKNOWN, "empty", err);
	size_t taken = 0;
	CUSTOS_TRY(custos_der_add(bag, &s.found, input, &taken, err));
	if (taken > 0)
		return add_rest(&s, CUSTOS_BYTES(input.ptr + taken, input.len - taken), err);
	s.found.form = CUSTOS_FORM_PEM;
	s.found.label = s.label;
	CUSTOS_TRY(scan_pem(&s, err));
	if (s.any)
		return CUSTOS_OK;
	s.found = (struct custos_found){ .file = file, .label = "", .form = CUSTOS_FORM_OTHER };
	return add_plain(&s, CUSTOS_ITEM_UNKNOWN, looks_like(input), err);
}

/* See share_file.h. A file is read field by field and then written again: only what gives the same text was whole. */
#include "vault/share_file.h"
#include "base/text.h"
#include "crypto/shares.h"
#include "crypto/verify.h"

#include <stdio.h>

enum { COLUMNS = 64, SEALED = (CUSTOS_SHARE_TEXT + 7) / 8 * 8 + 8 /* RFC 5649 */ };
static const char first_line[] = "custos-share: 1\n", first_word[] = "custos-share: ";

void custos_share_file_done(struct custos_share_file *share)
{
	custos_buf_done(&share->sealed);
}

custos_rc custos_share_file_write(const struct custos_share_file *share, struct custos_buf *text, struct custos_err *err)
{
	char hex[2 * CUSTOS_HASH_SIZE + 1];
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_SHARE_FILE_MAX };
	custos_text_hex(share->spki_sha256, sizeof share->spki_sha256, hex);
	CUSTOS_TRY(custos_buf_printf(text, err, "%slog: %s\nset: %08x\nthreshold: %u\nnumber: %u\ncustodian-spki-sha256: %s\npoint: ", first_line, share->origin, share->set, share->threshold,
	                             share->number, hex));
	CUSTOS_TRY(custos_base64_encode(CUSTOS_BYTES(share->point, sizeof share->point), text, err));
	CUSTOS_TRY(custos_buf_append_str(text, "\n\n", err));
	CUSTOS_TRY(custos_base64_encode(custos_buf_view(&share->sealed), &body, err));
	for (size_t at = 0; at < body.len; at += COLUMNS) {
		CUSTOS_TRY(custos_buf_append(text, body.ptr + at, body.len - at < COLUMNS ? body.len - at : COLUMNS, err));
		CUSTOS_TRY(custos_buf_append_str(text, "\n", err));
	}
	return CUSTOS_OK;
}

/* ---- reading ---- */

/* What is left of the text, and whether everything before was as it should be. */
struct reader {
	const char *at;
	bool failed;
};

/* The rest of the next line, when it begins with that member. */
static void line(struct reader *r, const char *member, char *out, size_t size)
{
	size_t len = strlen(member), whole = strcspn(r->at, "\n");
	out[0] = '\0';
	r->failed = r->failed || r->at[whole] != '\n' || whole <= len || strncmp(r->at, member, len) != 0 || whole - len >= size;
	if (r->failed)
		return;
	memcpy(out, r->at + len, whole - len);
	out[whole - len] = '\0';
	r->at += whole + 1;
}

static unsigned number(struct reader *r, const char *member, unsigned min)
{
	char text[8];
	uint64_t value = 0;
	line(r, member, text, sizeof text);
	r->failed = r->failed || !custos_text_u64(text, min, CUSTOS_SHARES_MAX, &value);
	return (unsigned)value;
}

static void hex(struct reader *r, const char *member, uint8_t *out, size_t len)
{
	char text[2 * CUSTOS_HASH_SIZE + 1];
	line(r, member, text, sizeof text);
	r->failed = r->failed || !custos_text_unhex(text, out, len);
}

static void point(struct reader *r, uint8_t out[static CUSTOS_POINT_SIZE])
{
	char text[128];
	struct custos_err ignored = { 0 };
	CUSTOS_AUTO_BUF bytes = { .max = 128 };
	line(r, "point: ", text, sizeof text);
	r->failed = r->failed || custos_base64_decode(text, strlen(text), &bytes, &ignored) != CUSTOS_OK || bytes.len != CUSTOS_POINT_SIZE;
	if (!r->failed)
		memcpy(out, bytes.ptr, CUSTOS_POINT_SIZE);
}

static custos_rc body(struct reader *r, struct custos_buf *sealed, struct custos_err *err)
{
	struct custos_err ignored = { 0 };
	CUSTOS_AUTO_BUF text = { .max = CUSTOS_SHARE_FILE_MAX };
	r->failed = r->failed || *r->at != '\n';
	for (const char *c = r->at; !r->failed && *c != '\0'; c++)
		if (*c != '\n')
			CUSTOS_TRY(custos_buf_append(&text, c, 1, err));
	r->failed = r->failed || text.len == 0 || custos_base64_decode((const char *)text.ptr, text.len, sealed, &ignored) != CUSTOS_OK || sealed->len != SEALED;
	return CUSTOS_OK;
}

static custos_rc parse(struct reader *r, struct custos_share_file *s, struct custos_err *err)
{
	uint8_t set[4] = { 0 };
	r->at += sizeof first_line - 1;
	line(r, "log: ", s->origin, sizeof s->origin);
	hex(r, "set: ", set, sizeof set);
	s->set = (uint32_t)set[0] << 24 | (uint32_t)set[1] << 16 | (uint32_t)set[2] << 8 | set[3];
	s->threshold = number(r, "threshold: ", CUSTOS_SHARES_MIN);
	s->number = number(r, "number: ", 1);
	hex(r, "custodian-spki-sha256: ", s->spki_sha256, sizeof s->spki_sha256);
	point(r, s->point);
	return body(r, &s->sealed, err);
}

custos_rc custos_share_file_parse(struct custos_bytes text, const char *name, struct custos_share_file *ret_share, struct custos_err *err)
{
	CUSTOS_AUTO_BUF copy = { .max = CUSTOS_SHARE_FILE_MAX };
	CUSTOS_AUTO_BUF again = { .max = 2 * CUSTOS_SHARE_FILE_MAX };
	CUSTOS_CLEANUP(custos_share_file_done) struct custos_share_file s = { .sealed = { .max = SEALED } };
	if (text.len < sizeof first_word - 1 || memcmp(text.ptr, first_word, sizeof first_word - 1) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name a file that custos wrote for a custodian", "%s is no share", name);
	if (text.len < sizeof first_line - 1 || memcmp(text.ptr, first_line, sizeof first_line - 1) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "use the custos that wrote it", "%s is a share of a version that is not known here", name);
	CUSTOS_REQUIRE(text.len <= CUSTOS_SHARE_FILE_MAX, err, CUSTOS_E_INPUT, "%s is larger than a share", name);
	CUSTOS_TRY(custos_buf_append(&copy, text.ptr, text.len, err));
	struct reader r = { .at = (const char *)copy.ptr };
	CUSTOS_TRY(parse(&r, &s, err));
	if (!r.failed)
		CUSTOS_TRY(custos_share_file_write(&s, &again, err));
	if (r.failed || !custos_bytes_equal(custos_buf_view(&again), text))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "take another copy; a share's file is never edited", "%s is damaged", name);
	*ret_share = s;
	s.sealed = (struct custos_buf){ 0 };
	return CUSTOS_OK;
}

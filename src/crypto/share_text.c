/* A share in writing. What is encoded and decoded is secret: no table is looked up by it and no branch depends on it (RFC 4648 has only two ranges of characters, so arithmetic
 * does it), and it is only ever in locked memory. How long a text is and where its blanks are may show. */
#include "crypto/constant.h"
#include "crypto/digest.h"
#include "crypto/openssl.h"
#include "crypto/shares.h"

enum { VERSION = 1, SET_AT = 1, THRESHOLD_AT = 5, NUMBER_AT = 6, VALUE_AT = 7, CHECK_AT = VALUE_AT + CUSTOS_SHARE_VALUE, CHECK = 4, SIZE = CHECK_AT + CHECK, GROUP = 5, LINE = 35 };

_Static_assert((SIZE * 8 + 4) / 5 == CUSTOS_SHARE_SYMBOLS, "what a share's bytes make in base32");
_Static_assert(CUSTOS_SHARE_SYMBOLS + (CUSTOS_SHARE_SYMBOLS + GROUP - 1) / GROUP == CUSTOS_SHARE_TEXT, "a blank or a line end follows each group");

void custos_share_done(struct custos_share *share)
{
	custos_secret_free(share->value);
	*share = (struct custos_share){ 0 };
}

/* ---- one character ---- */

/* 'A'…'Z' '2'…'7' */
static uint8_t character(uint32_t v)
{
	return (uint8_t)('A' + v - (custos_constant_at_least(v, 26) & ('A' + 26 - '2')));
}

struct symbol {
	uint32_t value;
	uint32_t is, separates;   /* all ones or 0 */
};

static struct symbol symbol_of(uint8_t byte)
{
	uint32_t c = byte;
	c -= custos_constant_within(c, 'a', 'z') & ('a' - 'A');
	uint32_t letter = custos_constant_within(c, 'A', 'Z'), digit = custos_constant_within(c, '2', '7');
	return (struct symbol){
		.value = (letter & (c - 'A')) | (digit & (c - '2' + 26)),
		.is = letter | digit,
		.separates = custos_constant_within(c, '\t', '\r') | custos_constant_within(c, ' ', ' ') | custos_constant_within(c, '-', '-'),
	};
}

size_t custos_share_count_symbols(const uint8_t *typed, size_t len)
{
	size_t count = 0;
	for (size_t i = 0; i < len; i++)
		count += symbol_of(typed[i]).is & 1;
	return count;
}

/* ---- bytes ---- */

static custos_rc check_bytes(const uint8_t *bytes, uint8_t ret_check[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	/* the digest's state is on libcrypto's heap, which is locked here */
	return custos_sha256(CUSTOS_BYTES(bytes, CHECK_AT), ret_check, err);
}

/* The chain of exposures of one conversion: value, bytes, text. */
struct conversion {
	struct custos_share_label label;
	struct custos_secret *value, *bytes, *text;
	const uint8_t *from;
	size_t from_len;
};

static custos_rc copy_value(void *ctx, uint8_t *value, size_t len, struct custos_err *err)
{
	uint8_t *bytes = ctx;
	CUSTOS_REQUIRE(len == CUSTOS_SHARE_VALUE, err, CUSTOS_E_INTERNAL, "a share of %zu bytes", len);
	memcpy(bytes + VALUE_AT, value, len);
	return CUSTOS_OK;
}

static custos_rc pack(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const struct conversion *c = ctx;
	uint8_t check[CUSTOS_HASH_SIZE];
	(void)len;
	bytes[0] = VERSION;
	for (unsigned i = 0; i < 4; i++)
		bytes[SET_AT + i] = (uint8_t)(c->label.set >> (8 * (3 - i)));
	bytes[THRESHOLD_AT] = c->label.threshold;
	bytes[NUMBER_AT] = c->label.number;
	CUSTOS_TRY(custos_secret_expose(c->value, copy_value, bytes, err));
	CUSTOS_TRY(check_bytes(bytes, check, err));
	memcpy(bytes + CHECK_AT, check, CHECK);
	return CUSTOS_OK;
}

/* ---- writing ---- */

static uint32_t five_bits(const uint8_t *bytes, size_t index)
{
	size_t bit = 5 * index, at = bit / 8;
	uint32_t two = (uint32_t)bytes[at] << 8 | (at + 1 < SIZE ? bytes[at + 1] : 0);
	return two >> (11 - bit % 8) & 31;
}

static custos_rc write_text(void *ctx, uint8_t *text, size_t room, struct custos_err *err)
{
	const struct conversion *c = ctx;
	size_t len = 0;
	CUSTOS_REQUIRE(room == CUSTOS_SHARE_TEXT, err, CUSTOS_E_INTERNAL, "a written share of the wrong size");
	for (size_t i = 0; i < CUSTOS_SHARE_SYMBOLS; i++) {
		text[len++] = character(five_bits(c->from, i));
		if ((i + 1) % LINE == 0 || i + 1 == CUSTOS_SHARE_SYMBOLS)
			text[len++] = '\n';
		else if ((i + 1) % GROUP == 0)
			text[len++] = ' ';
	}
	return CUSTOS_OK;
}

static custos_rc with_packed(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct conversion *c = ctx;
	CUSTOS_TRY(pack(c, bytes, len, err));
	c->from = bytes;
	return custos_secret_expose(c->text, write_text, c, err);
}

custos_rc custos_share_write(const struct custos_share *share, struct custos_secret **ret_text, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *bytes = NULL;
	CUSTOS_AUTO(custos_secret) *text = NULL;
	CUSTOS_TRY(custos_secret_new(SIZE, &bytes, err));
	CUSTOS_TRY(custos_secret_new(CUSTOS_SHARE_TEXT, &text, err));
	struct conversion c = { .label = share->label, .value = share->value, .text = text };
	CUSTOS_TRY(custos_secret_expose(bytes, with_packed, &c, err));
	*ret_text = CUSTOS_TAKE(text);
	return CUSTOS_OK;
}

/* ---- reading ---- */

/* Every character is looked at, whatever the others are; the symbols go to the front of `symbols`. */
static custos_rc gather(const struct conversion *c, uint8_t *symbols, struct custos_err *err)
{
	size_t count = 0;
	uint32_t foreign = 0;
	for (size_t i = 0; i < c->from_len; i++) {
		struct symbol s = symbol_of(c->from[i]);
		symbols[count] = (uint8_t)s.value;
		count += s.is & 1;
		foreign |= ~(s.is | s.separates);
	}
	if (foreign != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "a share has the letters A to Z and the digits 2 to 7: what looks like 0, 1 or 8 is an O, an I or L, a B", "there is a character in it that no share has");
	if (count != CUSTOS_SHARE_SYMBOLS)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "compare it with what was copied, group by group", "a share has %d letters and digits, this one has %zu", CUSTOS_SHARE_SYMBOLS, count);
	return CUSTOS_OK;
}

/* The bit behind the last byte must be 0: there is one text for each share. */
static uint32_t join(const uint8_t *symbols, uint8_t *bytes)
{
	uint32_t waiting = 0;
	unsigned bits = 0;
	for (size_t i = 0, at = 0; i < CUSTOS_SHARE_SYMBOLS; i++) {
		waiting = (waiting << 5 | symbols[i]) & 0xfff;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			bytes[at++] = (uint8_t)(waiting >> bits);
		}
	}
	return waiting & ((1u << bits) - 1);
}

static custos_rc with_symbols(void *ctx, uint8_t *symbols, size_t len, struct custos_err *err)
{
	const struct conversion *c = ctx;
	uint8_t check[CUSTOS_HASH_SIZE];
	(void)len;
	CUSTOS_TRY(gather(c, symbols, err));
	/* in place: a byte is written where its symbols have been read already */
	uint32_t behind = join(symbols, symbols);
	CUSTOS_TRY(check_bytes(symbols, check, err));
	if (behind != 0 || CRYPTO_memcmp(check, symbols + CHECK_AT, CHECK) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "compare it with what was copied, group by group", "its checksum does not fit: a letter or digit is wrong");
	return CUSTOS_OK;
}

static custos_rc with_text(void *ctx, uint8_t *text, size_t len, struct custos_err *err)
{
	struct conversion *c = ctx;
	c->from = text;
	c->from_len = len;
	return custos_secret_expose(c->bytes, with_symbols, c, err);
}

static custos_rc fill_value(void *ctx, uint8_t *value, size_t len, struct custos_err *err)
{
	const uint8_t *bytes = ctx;
	(void)err;
	memcpy(value, bytes + VALUE_AT, len);
	return CUSTOS_OK;
}

static custos_rc unpack(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct conversion *c = ctx;
	(void)len;
	if (bytes[0] != VERSION)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "use the custos that wrote it", "it is of a version that is not known here");
	c->label = (struct custos_share_label){ .threshold = bytes[THRESHOLD_AT], .number = bytes[NUMBER_AT] };
	for (unsigned i = 0; i < 4; i++)
		c->label.set = c->label.set << 8 | bytes[SET_AT + i];
	CUSTOS_REQUIRE(c->label.threshold >= CUSTOS_SHARES_MIN && c->label.threshold <= CUSTOS_SHARES_MAX && c->label.number >= 1 && c->label.number <= CUSTOS_SHARES_MAX, err,
	               CUSTOS_E_INPUT, "it is no share that custos wrote: number %u, of which %u are needed", c->label.number, c->label.threshold);
	return custos_secret_expose(c->value, fill_value, bytes, err);
}

custos_rc custos_share_read(struct custos_secret *text, struct custos_share *ret_share, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *bytes = NULL;
	CUSTOS_AUTO(custos_secret) *value = NULL;
	size_t len = custos_secret_length(text);
	CUSTOS_REQUIRE(len <= CUSTOS_SHARE_TEXT_MAX, err, CUSTOS_E_INPUT, "it is longer than a share");
	/* one more: where a last character that is no symbol is put */
	CUSTOS_TRY(custos_secret_new(len + 1 > CUSTOS_SHARE_SYMBOLS ? len + 1 : CUSTOS_SHARE_SYMBOLS, &bytes, err));
	CUSTOS_TRY(custos_secret_new(CUSTOS_SHARE_VALUE, &value, err));
	struct conversion c = { .value = value, .bytes = bytes };
	CUSTOS_TRY(custos_secret_expose(text, with_text, &c, err));
	CUSTOS_TRY(custos_secret_expose(bytes, unpack, &c, err));
	*ret_share = (struct custos_share){ .label = c.label, .value = CUSTOS_TAKE(value) };
	return CUSTOS_OK;
}

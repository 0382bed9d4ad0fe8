/* DER to PEM inside locked memory.
 *
 * The base64 here is an encoder of our own (share_text.c has the other): libcrypto's EVP_EncodeBlock looks characters up in a table by key bits, which the cache
 * remembers, and its PEM writer leaves pieces of the key in unlocked buffers. */
#include "crypto/pem.h"
#include "crypto/constant.h"
#include "crypto/pkcs8.h"

enum { COLUMNS = 64, PIECES = 5 };

/* What is encoded, in order: a whole PKCS#8, an inner structure, or a SEC1 structure put together anew. */
struct text {
	const char *label;
	struct custos_span pieces[PIECES];
	size_t count;
	size_t der_len;
	uint8_t head[16]; /* DER that is ours: tags, lengths, a version */
	uint8_t parameters_head[2];
};

struct writer {
	uint8_t *out;
	size_t len;
	size_t column;
	uint32_t group; /* up to three bytes waiting for the third */
	unsigned waiting;
};

/* 'A'…'Z' 'a'…'z' '0'…'9' '+' '/' by adding the steps between the ranges, without a table or a branch. */
static inline uint8_t character(uint32_t v)
{
	uint32_t c = 'A' + v;
	c += custos_constant_at_least(v, 26) & (uint32_t)('a' - ('Z' + 1));
	c -= custos_constant_at_least(v, 52) & (uint32_t)('z' + 1 - '0');
	c -= custos_constant_at_least(v, 62) & (uint32_t)('9' + 1 - '+');
	c += custos_constant_at_least(v, 63) & (uint32_t)('/' - ('+' + 1));
	return (uint8_t)c;
}

static void write_text(struct writer *w, const char *text)
{
	for (; *text != '\0'; text++)
		w->out[w->len++] = (uint8_t)*text;
}

/* Four characters for the waiting bytes, '=' for those that are missing. How many are missing follows from the length, which is public. */
static void write_group(struct writer *w)
{
	uint32_t g = w->group << (8 * (3 - w->waiting));
	w->out[w->len++] = character(g >> 18 & 63);
	w->out[w->len++] = character(g >> 12 & 63);
	w->out[w->len++] = w->waiting > 1 ? character(g >> 6 & 63) : '=';
	w->out[w->len++] = w->waiting > 2 ? character(g & 63) : '=';
	w->group = w->waiting = 0;
	w->column += 4;
	if (w->column == COLUMNS) {
		w->out[w->len++] = '\n';
		w->column = 0;
	}
}

static void write_bytes(struct writer *w, struct custos_span s)
{
	for (size_t i = 0; i < s.len; i++) {
		w->group = w->group << 8 | s.at[i];
		if (++w->waiting == 3)
			write_group(w);
	}
}

static void write_boundary(struct writer *w, const char *word, const char *label)
{
	write_text(w, "-----");
	write_text(w, word);
	write_text(w, label);
	write_text(w, "-----\n");
}

static size_t text_size(const struct text *t)
{
	size_t base64 = (t->der_len + 2) / 3 * 4, lines = (base64 + COLUMNS - 1) / COLUMNS;
	size_t boundaries = strlen("-----BEGIN ") + strlen("-----END ") + 2 * (strlen(t->label) + strlen("-----\n"));
	return boundaries + base64 + lines;
}

static custos_rc write_pem(void *ctx, uint8_t *out, size_t room, struct custos_err *err)
{
	const struct text *t = ctx;
	struct writer w = { .out = out };
	CUSTOS_REQUIRE(room == text_size(t), err, CUSTOS_E_INTERNAL, "PEM text of the wrong size");
	write_boundary(&w, "BEGIN ", t->label);
	for (size_t i = 0; i < t->count; i++)
		write_bytes(&w, t->pieces[i]);
	if (w.waiting > 0)
		write_group(&w);
	if (w.column > 0)
		write_text(&w, "\n");
	write_boundary(&w, "END ", t->label);
	CUSTOS_REQUIRE(w.len == room, err, CUSTOS_E_INTERNAL, "PEM text of the wrong size");
	explicit_bzero(&w, sizeof w);
	return CUSTOS_OK;
}

static void add_piece(struct text *t, struct custos_span piece)
{
	t->pieces[t->count++] = piece;
	t->der_len += piece.len;
}

/* ECPrivateKey (RFC 5915 3) with the curve inside: in PKCS#8 it stands outside only, and without it SEC1 text cannot be read. */
static void lay_out_sec1(struct text *t, const struct custos_pkcs8 *key)
{
	static const uint8_t version[] = { 0x02, 0x01, 0x01 };
	size_t body = sizeof version + key->scalar.len + 2 + key->curve.len + key->point_field.len, head = 0;
	t->head[head++] = 0x30;
	if (body >= 0x80)
		t->head[head++] = 0x81; /* below 256 for P-521 with its point: 219 */
	t->head[head++] = (uint8_t)body;
	memcpy(t->head + head, version, sizeof version);
	t->parameters_head[0] = 0xa0;
	t->parameters_head[1] = (uint8_t)key->curve.len;
	add_piece(t, (struct custos_span){ t->head, head + sizeof version });
	add_piece(t, key->scalar);
	add_piece(t, (struct custos_span){ t->parameters_head, 2 });
	add_piece(t, key->curve);
	add_piece(t, key->point_field);
}

struct conversion {
	unsigned format;
	unsigned padding_max;
	struct custos_secret *pem;
};

static custos_rc convert(void *ctx, uint8_t *der, size_t len, struct custos_err *err)
{
	struct conversion *c = ctx;
	struct custos_pkcs8 key;
	struct text t = { 0 };
	CUSTOS_TRY(custos_pkcs8_walk((struct custos_span){ der, len }, c->padding_max, &key, err));
	/* Ed25519 has no other form */
	if (c->format == CUSTOS_PEM_PKCS8 || key.kind == CUSTOS_PKCS8_ED25519) {
		t.label = "PRIVATE KEY";
		add_piece(&t, key.whole);
	} else if (key.kind == CUSTOS_PKCS8_RSA) {
		t.label = "RSA PRIVATE KEY";
		add_piece(&t, key.inner);
	} else {
		t.label = "EC PRIVATE KEY";
		lay_out_sec1(&t, &key);
	}
	CUSTOS_TRY(custos_secret_new(text_size(&t), &c->pem, err));
	return custos_secret_expose(c->pem, write_pem, &t, err);
}

custos_rc custos_pem_from_pkcs8(struct custos_secret *der, unsigned format, unsigned padding_max, struct custos_secret **ret_pem, struct custos_err *err)
{
	CUSTOS_REQUIRE(format == CUSTOS_PEM_PKCS8 || format == CUSTOS_PEM_TRADITIONAL, err, CUSTOS_E_INTERNAL, "unknown key format %u", format);
	struct conversion c = { .format = format, .padding_max = padding_max };
	custos_rc rc = custos_secret_expose(der, convert, &c, err);
	if (rc != CUSTOS_OK)
		custos_secret_free(c.pem);
	else
		*ret_pem = c.pem;
	return rc;
}

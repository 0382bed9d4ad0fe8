/* Which 8-byte windows are looked for, and the search.
 *
 * A window of the private parts is left out when it also occurs in public bytes, or when it is too plain to say anything. Windows are kept
 * masked, so that a scan of this very process would not find them. A Bloom filter answers for nearly every byte of a healthy process. */
#include "residue.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SLOTS_START = 1 << 14, BLOOM_BITS = 20, FILE_MAX = 1 << 20, NUMBER_MAX = 1024, TEXT_MAX = 16384, LINE = 64, DISTINCT_MIN = 4, NUMBERS_MAX = 6 };

struct set {
	uint64_t *slots; /* masked, 0 is empty */
	uint8_t *kinds;
	size_t capacity, count;
};
struct residue_needles {
	uint64_t mask;
	struct set private, public;
	uint64_t bloom[(1 << BLOOM_BITS) / 64];
};

struct bytes {
	uint8_t *at;
	size_t len;
};
struct numbers {
	struct bytes of[NUMBERS_MAX];
	size_t count;
};

static void *need(size_t count, size_t size)
{
	void *p = calloc(count, size);
	if (p == NULL)
		residue_die("out of memory");
	return p;
}

static struct bytes read_file(const char *path)
{
	struct bytes b = { .at = need(1, FILE_MAX + 1) };
	FILE *f = fopen(path, "re");
	if (f == NULL)
		residue_die("cannot open %s", path);
	b.len = fread(b.at, 1, FILE_MAX, f);
	if (ferror(f) || !feof(f) || b.len == 0)
		residue_die("cannot read %s", path);
	fclose(f);
	return b;
}

/* ---- sets ---- */

static uint64_t spread(uint64_t v)
{
	return v * UINT64_C(0x9E3779B97F4A7C15);
}

static size_t slot_of(const struct set *s, uint64_t masked)
{
	size_t at = (size_t)(spread(masked) >> 20) & (s->capacity - 1);
	while (s->slots[at] != 0 && s->slots[at] != masked)
		at = (at + 1) & (s->capacity - 1);
	return at;
}

static void set_grow(struct set *s)
{
	struct set old = *s;
	s->capacity = old.capacity == 0 ? SLOTS_START : old.capacity * 2;
	s->slots = need(s->capacity, sizeof *s->slots);
	s->kinds = need(s->capacity, sizeof *s->kinds);
	for (size_t i = 0; i < old.capacity; i++)
		if (old.slots[i] != 0) {
			size_t at = slot_of(s, old.slots[i]);
			s->slots[at] = old.slots[i];
			s->kinds[at] = old.kinds[i];
		}
	free(old.slots);
	free(old.kinds);
}

static void set_add(struct set *s, uint64_t masked, unsigned kind)
{
	if (masked == 0)
		return;
	if (s->count * 4 >= s->capacity)
		set_grow(s);
	size_t at = slot_of(s, masked);
	s->count += s->slots[at] == 0;
	s->slots[at] = masked;
	s->kinds[at] = (uint8_t)(s->kinds[at] | kind);
}

static unsigned set_find(const struct set *s, uint64_t masked)
{
	return s->capacity == 0 || masked == 0 ? 0 : s->kinds[slot_of(s, masked)];
}

/* ---- windows ---- */

static bool is_plain(const uint8_t window[static RESIDUE_WINDOW], unsigned kind)
{
	unsigned distinct = 0;
	for (unsigned i = 0; i < RESIDUE_WINDOW; i++) {
		unsigned k = 0;
		while (k < i && window[k] != window[i])
			k++;
		distinct += k == i;
	}
	return distinct < (kind == KIND_PIN ? DISTINCT_MIN - 1 : DISTINCT_MIN);
}

static void add_window(struct residue_needles *n, const uint8_t window[static RESIDUE_WINDOW], unsigned kind)
{
	uint64_t v;
	memcpy(&v, window, sizeof v);
	v ^= n->mask;
	if (kind == 0) {
		set_add(&n->public, v, 1);
		return;
	}
	if (is_plain(window, kind) || set_find(&n->public, v) != 0)
		return;
	set_add(&n->private, v, kind);
	uint64_t bit = spread(v) >> (64 - BLOOM_BITS);
	n->bloom[bit / 64] |= UINT64_C(1) << (bit % 64);
}

/* The window as it is, byte-reversed, and with its two 32-bit words swapped. Kinds are 0 for public bytes. */
static void add_window_thrice(struct residue_needles *n, const uint8_t window[static RESIDUE_WINDOW], unsigned as_is, unsigned reversed, unsigned words)
{
	uint8_t other[RESIDUE_WINDOW];
	add_window(n, window, as_is);
	for (size_t i = 0; i < RESIDUE_WINDOW; i++)
		other[i] = window[RESIDUE_WINDOW - 1 - i];
	add_window(n, other, reversed);
	for (size_t i = 0; i < RESIDUE_WINDOW; i++)
		other[i] = window[i / 4 * 4 + 3 - i % 4];
	add_window(n, other, words);
}

static void add_public(struct residue_needles *n, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i + RESIDUE_WINDOW <= len; i++)
		add_window_thrice(n, at + i, 0, 0, 0);
}

static void add_number(struct residue_needles *n, struct bytes number)
{
	for (size_t i = 0; i + RESIDUE_WINDOW <= number.len; i++)
		add_window_thrice(n, number.at + i, KIND_NUMBER, KIND_LIMBS, KIND_WORDS);
}

/* `is_private` says for each character whether every bit of it is private; a line's end is neither and may be inside a window. */
static void add_text(struct residue_needles *n, const uint8_t *text, const bool *is_private, size_t len)
{
	for (size_t i = 0; i + RESIDUE_WINDOW <= len; i++) {
		size_t k = 0, ends = 0;
		for (; k < RESIDUE_WINDOW && (is_private[i + k] || text[i + k] == '\n'); k++)
			ends += text[i + k] == '\n';
		if (k == RESIDUE_WINDOW && ends <= 1)
			add_window_thrice(n, text + i, KIND_TEXT, KIND_TEXT_REVERSED, KIND_TEXT_WORDS);
	}
}

/* Base64 of `der` in lines of `line` characters (0: one line). A character holds bits 6c to 6c+5. */
static void add_base64(struct residue_needles *n, const uint8_t *der, const bool *private_bytes, size_t len, size_t line)
{
	uint8_t flat[TEXT_MAX], text[TEXT_MAX];
	bool is_private[TEXT_MAX];
	if (len > TEXT_MAX / 2)
		residue_die("a key of %zu bytes", len);
	size_t characters = (size_t)EVP_EncodeBlock(flat, der, (int)len), at = 0;
	for (size_t c = 0; c < characters; c++) {
		text[at] = flat[c];
		is_private[at] = flat[c] != '=' && (c * 6 + 5) / 8 < len && private_bytes[c * 6 / 8] && private_bytes[(c * 6 + 5) / 8];
		at++;
		if (line != 0 && (c + 1) % line == 0) {
			is_private[at] = false;
			text[at++] = '\n';
		}
	}
	add_text(n, text, is_private, at);
}

/* ---- keys ---- */

static struct numbers private_numbers(EVP_PKEY *key, const char *path)
{
	static const char *const rsa[] = { OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,
		                           OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
	static const char *const ec[] = { OSSL_PKEY_PARAM_PRIV_KEY };
	bool is_rsa = EVP_PKEY_is_a(key, "RSA") == 1;
	struct numbers numbers = { .count = is_rsa ? sizeof rsa / sizeof *rsa : 1 };
	for (size_t i = 0; i < numbers.count; i++) {
		BIGNUM *bn = NULL;
		struct bytes *b = &numbers.of[i];
		if (EVP_PKEY_get_bn_param(key, is_rsa ? rsa[i] : ec[i], &bn) != 1 || BN_num_bytes(bn) > NUMBER_MAX)
			residue_die("%s: neither an RSA nor an EC key", path);
		b->at = need(1, NUMBER_MAX);
		b->len = (size_t)BN_bn2bin(bn, b->at);
		BN_clear_free(bn);
	}
	return numbers;
}

/* The text of a structure that holds the numbers, wherever in it they are. */
static void add_structure(struct residue_needles *n, const struct numbers *numbers, const uint8_t *der, size_t len, const char *path)
{
	bool *private_bytes = need(len, sizeof *private_bytes);
	for (size_t i = 0; i < numbers->count; i++) {
		const struct bytes *b = &numbers->of[i];
		const uint8_t *found = memmem(der, len, b->at, b->len);
		if (found == NULL)
			residue_die("%s: its structure does not hold its numbers", path);
		memset(private_bytes + (found - der), true, b->len);
	}
	add_base64(n, der, private_bytes, len, LINE);
	free(private_bytes);
}

/* The number alone at each of the three places it can have in a group of three bytes, without lines: the text of any structure. */
static void add_number_text(struct residue_needles *n, struct bytes number)
{
	uint8_t shifted[NUMBER_MAX + 2] = { 0 };
	bool private_bytes[NUMBER_MAX + 2];
	for (size_t shift = 0; shift < 3; shift++) {
		memcpy(shifted + shift, number.at, number.len);
		memset(private_bytes, false, shift);
		memset(private_bytes + shift, true, number.len);
		add_base64(n, shifted, private_bytes, number.len + shift, 0);
	}
}

static void add_public_key(struct residue_needles *n, EVP_PKEY *key)
{
	uint8_t *spki = NULL, text[TEXT_MAX];
	int len = i2d_PUBKEY(key, &spki);
	if (len <= 0 || len > TEXT_MAX / 2)
		residue_die("a public key that cannot be written");
	add_public(n, spki, (size_t)len);
	add_public(n, text, (size_t)EVP_EncodeBlock(text, spki, len));
	OPENSSL_free(spki);
}

void residue_needles_add_key(struct residue_needles *n, const char *path)
{
	struct bytes file = read_file(path);
	BIO *bio = BIO_new_mem_buf(file.at, (int)file.len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	uint8_t *pkcs8_der = NULL, *traditional = NULL, *armoured = NULL;
	char *label = NULL, *header = NULL;
	long armoured_len = 0;
	if (key == NULL || BIO_reset(bio) < 0 || PEM_read_bio(bio, &label, &header, &armoured, &armoured_len) != 1)
		residue_die("%s: not a private key in PEM", path);
	PKCS8_PRIV_KEY_INFO *pkcs8 = EVP_PKEY2PKCS8(key);
	int pkcs8_len = i2d_PKCS8_PRIV_KEY_INFO(pkcs8, &pkcs8_der), traditional_len = i2d_PrivateKey(key, &traditional);
	struct numbers numbers = private_numbers(key, path);
	add_public_key(n, key);
	add_structure(n, &numbers, armoured, (size_t)armoured_len, path);
	add_structure(n, &numbers, pkcs8_der, (size_t)pkcs8_len, path);
	add_structure(n, &numbers, traditional, (size_t)traditional_len, path);
	for (size_t i = 0; i < numbers.count; i++) {
		add_number(n, numbers.of[i]);
		add_number_text(n, numbers.of[i]);
		free(numbers.of[i].at);
	}
	OPENSSL_free(pkcs8_der);
	OPENSSL_free(traditional);
	OPENSSL_free(armoured);
	OPENSSL_free(label);
	OPENSSL_free(header);
	PKCS8_PRIV_KEY_INFO_free(pkcs8);
	EVP_PKEY_free(key);
	BIO_free(bio);
	free(file.at);
}

void residue_needles_exclude(struct residue_needles *n, const char *path)
{
	struct bytes file = read_file(path);
	add_public(n, file.at, file.len);
	free(file.at);
}

void residue_needles_add_pin(struct residue_needles *n, const char *path)
{
	struct bytes file = read_file(path);
	const uint8_t *end = memchr(file.at, '\n', file.len);
	size_t len = end == NULL ? file.len : (size_t)(end - file.at), before = n->private.count;
	for (size_t i = 0; i + RESIDUE_WINDOW <= len; i++)
		add_window(n, file.at + i, KIND_PIN);
	if (n->private.count == before)
		residue_die("%s: its first line is too short or too plain to be looked for", path);
	free(file.at);
}

void residue_needles_add_bytes(struct residue_needles *n, const char *path)
{
	struct bytes file = read_file(path);
	for (size_t i = 0; i + RESIDUE_WINDOW <= file.len; i++)
		add_window(n, file.at + i, KIND_NUMBER);
	free(file.at);
}

struct residue_needles *residue_needles_new(void)
{
	struct residue_needles *n = need(1, sizeof *n);
	if (getrandom(&n->mask, sizeof n->mask, 0) != (ssize_t)sizeof n->mask)
		residue_die("no random numbers");
	return n;
}

size_t residue_needles_count(const struct residue_needles *n)
{
	return n->private.count;
}

/* ---- the search ---- */

/* Bytes that windows cover, each counted once. */
struct cover {
	size_t end;
	size_t bytes;
};

static void cover_add(struct cover *c, size_t at, size_t *runs)
{
	if (at > c->end || c->bytes == 0)
		++*runs;
	size_t from = at > c->end ? at : c->end;
	c->bytes += at + RESIDUE_WINDOW - from;
	c->end = at + RESIDUE_WINDOW;
}

void residue_hits_add(struct residue_hits *to, const struct residue_hits *hits)
{
	to->key += hits->key;
	to->pin += hits->pin;
	to->runs += hits->runs;
	to->kinds |= hits->kinds;
}

void residue_needles_search(const struct residue_needles *n, const uint8_t *bytes, size_t len, struct residue_hits *hits)
{
	struct cover key = { 0 }, pin = { 0 };
	for (size_t i = 0; i + RESIDUE_WINDOW <= len; i++) {
		uint64_t v, next;
		memcpy(&v, bytes + i, sizeof v);
		/* most of a process is zero: between two zero words there is nothing but zero windows */
		while (v == 0 && i + 2 * RESIDUE_WINDOW <= len) {
			memcpy(&next, bytes + i + RESIDUE_WINDOW, sizeof next);
			if (next != 0)
				break;
			i += RESIDUE_WINDOW;
		}
		v ^= n->mask;
		uint64_t bit = spread(v) >> (64 - BLOOM_BITS);
		if ((n->bloom[bit / 64] >> (bit % 64) & 1) == 0)
			continue;
		unsigned kinds = set_find(&n->private, v);
		if (kinds == 0)
			continue;
		hits->kinds |= kinds;
		cover_add((kinds & KIND_PIN) != 0 ? &pin : &key, i, &hits->runs);
	}
	hits->key += key.bytes;
	hits->pin += pin.bytes;
}

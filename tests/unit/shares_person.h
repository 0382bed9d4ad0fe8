/* A person at a terminal, and a keeper and token that know the KEK: what the tests of splitting and combining have in common. */
#ifndef SHARES_PERSON_H
#define SHARES_PERSON_H

#include "base/clock.h"
#include "crypto/heap.h"
#include "crypto/seal.h"
#include "crypto/shares.h"
#include "link/courier.h"
#include "link/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>

enum { PERSON_MS = 60000, SEEN_MAX = 1 << 18 };

static inline custos_rc copy_in(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(out, ctx, len);
	return CUSTOS_OK;
}

static inline custos_rc copy_out(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(ctx, bytes, len);
	return CUSTOS_OK;
}

static inline struct custos_secret *secret_of(const void *bytes, size_t len)
{
	struct custos_secret *secret = NULL;
	uint8_t copy[8192];
	assert_true(len <= sizeof copy);
	memcpy(copy, bytes, len);
	assert_int_equal(custos_secret_new(len, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, copy_in, copy, NULL), CUSTOS_OK);
	return secret;
}

static inline void bytes_of(struct custos_secret *secret, void *out)
{
	assert_int_equal(custos_secret_expose(secret, copy_out, out, NULL), CUSTOS_OK);
}

/* ---- the terminal ---- */

struct person {
	int master, slave;
	struct termios before;
	char seen[SEEN_MAX];         /* everything that was shown, ever */
	size_t len, at;              /* at: behind what was expected last */
};

static inline void person_sits_down(struct person *p)
{
	memset(p, 0, sizeof *p);
	assert_int_equal(openpty(&p->master, &p->slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(p->slave, &p->before), 0);
	assert_true((p->before.c_lflag & ECHO) != 0 && (p->before.c_lflag & ICANON) != 0 && (p->before.c_lflag & ISIG) != 0);
}

static inline void person_leaves(struct person *p)
{
	if (p->master >= 0)
		close(p->master);
	if (p->slave >= 0)
		close(p->slave);
}

static inline bool person_reads(struct person *p, int timeout_ms)
{
	struct pollfd poller = { .fd = p->master, .events = POLLIN };
	if (poll(&poller, 1, timeout_ms) <= 0)
		return false;
	ssize_t n = read(p->master, p->seen + p->len, sizeof p->seen - 1 - p->len);
	if (n <= 0)
		return false;
	/* the terminal puts one before each line end */
	for (const char *c = p->seen + p->len, *behind = c + n; c < behind; c++)
		if (*c != '\r')
			p->seen[p->len++] = *c;
	return true;
}

/* Waits until the text is shown; what stands before it is passed over. */
static inline void person_sees(struct person *p, const char *text)
{
	int64_t deadline = custos_clock_monotonic_ms() + PERSON_MS;
	for (;;) {
		const char *found = memmem(p->seen + p->at, p->len - p->at, text, strlen(text));
		if (found != NULL) {
			p->at = (size_t)(found - p->seen) + strlen(text);
			return;
		}
		if (custos_clock_monotonic_ms() > deadline || !person_reads(p, PERSON_MS))
			fail_msg("\"%s\" is not shown, but: %s", text, p->seen + p->at);
	}
}

static inline void person_types(const struct person *p, const char *keys)
{
	assert_int_equal(write(p->master, keys, strlen(keys)), strlen(keys));
}

/* The share on the screen: its two lines. */
static inline void person_copies(struct person *p, char out[CUSTOS_SHARE_TEXT + 1])
{
	size_t len = 0;
	person_sees(p, "\n\n");
	const char *c = p->seen + p->at;
	person_sees(p, "\n\nCopy it");
	for (int line = 0; line < 2; line++) {
		assert_memory_equal(c, "        ", 8);
		for (c += 8; *c != '\n'; c++) {
			assert_true(len < CUSTOS_SHARE_TEXT && (*c == ' ' || (*c >= 'A' && *c <= 'Z') || (*c >= '2' && *c <= '7')));
			out[len++] = *c;
		}
		out[len++] = *c++;
	}
	assert_int_equal(len, CUSTOS_SHARE_TEXT);
	out[len] = '\0';
}

static inline bool is_as_before(const struct person *p)
{
	struct termios now;
	assert_int_equal(tcgetattr(p->slave, &now), 0);
	return now.c_iflag == p->before.c_iflag && now.c_oflag == p->before.c_oflag && now.c_lflag == p->before.c_lflag && now.c_cflag == p->before.c_cflag &&
	       memcmp(now.c_cc, p->before.c_cc, sizeof now.c_cc) == 0;
}

static inline bool echoes(const struct person *p)
{
	struct termios now;
	assert_int_equal(tcgetattr(p->slave, &now), 0);
	return (now.c_lflag & (ECHO | ICANON | ISIG)) != 0;
}

/* One group of what no other share has. */
static inline const char *piece_of(char text[CUSTOS_SHARE_TEXT + 1])
{
	text[23] = '\0';
	return text + 18;
}

static inline bool was_shown(const struct person *p, const char *text)
{
	return memmem(p->seen, p->len, text, strlen(text)) != NULL;
}

/* ---- the shares ---- */

static inline struct custos_share share_of(const char *text)
{
	CUSTOS_AUTO(custos_secret) *typed = secret_of(text, strlen(text));
	struct custos_share share = { 0 };
	struct custos_err err = { 0 };
	if (custos_share_read(typed, &share, &err) != CUSTOS_OK)
		fail_msg("%s: %s", text, err.msg);
	return share;
}

static inline void combine_texts(char texts[][CUSTOS_SHARE_TEXT + 1], size_t count, uint8_t out[CUSTOS_SHARE_VALUE])
{
	struct custos_share shares[CUSTOS_SHARES_MAX];
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	struct custos_err err = { 0 };
	for (size_t i = 0; i < count; i++)
		shares[i] = share_of(texts[i]);
	if (custos_shares_combine(shares, count, &secret, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	bytes_of(secret, out);
	for (size_t i = 0; i < count; i++)
		custos_share_done(&shares[i]);
}

/* What a split would have written. */
static inline void make_texts(const uint8_t kek[CUSTOS_SHARE_VALUE], uint32_t set, unsigned k, unsigned n, char texts[][CUSTOS_SHARE_TEXT + 1])
{
	CUSTOS_AUTO(custos_secret) *secret = secret_of(kek, CUSTOS_SHARE_VALUE);
	struct custos_secret *written[CUSTOS_SHARES_MAX];
	assert_int_equal(custos_shares_split(secret, set, k, n, written, NULL), CUSTOS_OK);
	for (unsigned i = 0; i < n; i++) {
		bytes_of(written[i], texts[i]);
		texts[i][CUSTOS_SHARE_TEXT] = '\0';
		custos_secret_free(written[i]);
	}
}

static inline int lock_memory(void **state)
{
	struct custos_arena *arena = NULL;
	(void)state;
	return custos_secret_start(NULL) == CUSTOS_OK && custos_arena_new(2 * CUSTOS_CRYPTO_HEAP_MIN, &arena, NULL) == CUSTOS_OK && custos_crypto_use_arena(arena, NULL) == CUSTOS_OK ? 0 : -1;
}

/* ---- a custodian ---- */

struct custodian {
	EVP_PKEY *key;
	char path[64];               /* of the private key */
	uint8_t spki[128];
	size_t spki_len;
};

/* `phrase` NULL: the key is not protected. */
static inline void custodian_new(struct custodian *c, const char *phrase)
{
	unsigned char *der = NULL;
	c->key = EVP_EC_gen("P-256");
	c->spki_len = (size_t)i2d_PUBKEY(c->key, &der);
	assert_true(c->spki_len <= sizeof c->spki);
	memcpy(c->spki, der, c->spki_len);
	OPENSSL_free(der);
	snprintf(c->path, sizeof c->path, "%s/custos-custodian-XXXXXX", P_tmpdir);
	int fd = mkstemp(c->path);
	FILE *f = fdopen(fd, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PKCS8PrivateKey(f, c->key, phrase == NULL ? NULL : EVP_aes_256_cbc(), phrase, phrase == NULL ? 0 : (int)strlen(phrase), NULL, NULL), 1);
	fclose(f);
}

static inline void custodian_done(struct custodian *c)
{
	EVP_PKEY_free(c->key);
	unlink(c->path);
}

#endif

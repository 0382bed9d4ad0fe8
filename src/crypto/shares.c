/* libgfshare, the one place that calls it.
 *
 * It keeps the secret, the coefficients and the shares in memory it gets from malloc(). It is linked from its static library in which malloc and free are called
 * custos_crypto_heap_alloc and custos_crypto_heap_release (layer.cmake), so that this memory is libcrypto's locked heap. Its source of random bytes is NULL until it
 * is set, and the one it brings is random(). Its arithmetic looks up tables by secret bytes: nobody shares a cache line with a process that does this once, on a machine
 * that is trusted with the KEK (docs/THREAT-MODEL.md). */
#include "crypto/shares.h"
#include "crypto/heap.h"
#include "crypto/openssl.h"

#include <errno.h>
#include <libgfshare.h>
#include <sys/random.h>

static void free_context(gfshare_ctx **context)
{
	if (*context != NULL)
		gfshare_ctx_free(*context); /* writes random bytes over everything, then the heap wipes it */
	*context = NULL;
}
#define AUTO_CONTEXT CUSTOS_CLEANUP(free_context) gfshare_ctx

/* There is no way to report a failure from here, and coefficients that are not random would make each share the secret. */
static void fill_random(unsigned char *out, unsigned int len)
{
	for (size_t done = 0; done < len;) {
		ssize_t got = getrandom(out + done, len - done, 0);
		if (got < 0 && errno != EINTR)
			abort();
		done += got < 0 ? 0 : (size_t)got;
	}
}

static custos_rc prepare(struct custos_err *err)
{
	CUSTOS_REQUIRE(custos_crypto_has_arena(), err, CUSTOS_E_INTERNAL, "a secret was to be shared before there was a locked heap");
	gfshare_fill_rand = fill_random;
	return CUSTOS_OK;
}

/* ---- splitting ---- */

static custos_rc set_secret(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	CUSTOS_REQUIRE(len == CUSTOS_SHARE_VALUE, err, CUSTOS_E_INTERNAL, "a secret of %zu bytes is not split", len);
	gfshare_ctx_enc_setsecret(ctx, bytes);
	return CUSTOS_OK;
}

struct place {
	gfshare_ctx *context;
	uint8_t at;               /* in the context, from 0 */
};

static custos_rc get_share(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const struct place *place = ctx;
	(void)len, (void)err;
	gfshare_ctx_enc_getshare(place->context, place->at, bytes);
	return CUSTOS_OK;
}

static custos_rc write_share(gfshare_ctx *context, const struct custos_share_label *label, struct custos_secret **ret_text, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_share_done) struct custos_share share = { .label = *label };
	struct place place = { context, (uint8_t)(label->number - 1) };
	CUSTOS_TRY(custos_secret_new(CUSTOS_SHARE_VALUE, &share.value, err));
	CUSTOS_TRY(custos_secret_expose(share.value, get_share, &place, err));
	return custos_share_write(&share, ret_text, err);
}

custos_rc custos_shares_split(struct custos_secret *secret, uint32_t set, unsigned threshold, unsigned count, struct custos_secret *ret_texts[], struct custos_err *err)
{
	uint8_t numbers[CUSTOS_SHARES_MAX];
	CUSTOS_REQUIRE(threshold >= CUSTOS_SHARES_MIN && threshold <= count && count <= CUSTOS_SHARES_MAX, err, CUSTOS_E_INPUT, "%u of %u shares: at least %d are needed, and there are at most %d",
	               threshold, count, CUSTOS_SHARES_MIN, CUSTOS_SHARES_MAX);
	CUSTOS_TRY(prepare(err));
	for (unsigned i = 0; i < count; i++) {
		numbers[i] = (uint8_t)(i + 1); /* never 0: there the polynomial is the secret */
		ret_texts[i] = NULL;
	}
	AUTO_CONTEXT *context = gfshare_ctx_init_enc(numbers, count, (unsigned char)threshold, CUSTOS_SHARE_VALUE);
	CUSTOS_REQUIRE(context != NULL, err, CUSTOS_E_SYSTEM, "out of locked memory");
	custos_rc rc = custos_secret_expose(secret, set_secret, context, err);
	for (unsigned i = 0; i < count && rc == CUSTOS_OK; i++) {
		const struct custos_share_label label = { .set = set, .threshold = (uint8_t)threshold, .number = numbers[i] };
		rc = write_share(context, &label, &ret_texts[i], err);
	}
	for (unsigned i = 0; i < count && rc != CUSTOS_OK; i++)
		custos_secret_free(CUSTOS_TAKE(ret_texts[i]));
	return rc;
}

/* ---- combining ---- */

static custos_rc give_share(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const struct place *place = ctx;
	CUSTOS_REQUIRE(len == CUSTOS_SHARE_VALUE, err, CUSTOS_E_INTERNAL, "a share of %zu bytes", len);
	gfshare_ctx_dec_giveshare(place->context, place->at, bytes);
	return CUSTOS_OK;
}

static custos_rc extract(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)len, (void)err;
	gfshare_ctx_dec_extract(ctx, bytes);
	return CUSTOS_OK;
}

static custos_rc interpolate(const struct custos_share *shares, unsigned count, struct custos_secret *into, struct custos_err *err)
{
	uint8_t numbers[CUSTOS_SHARES_MAX];
	for (unsigned i = 0; i < count; i++)
		numbers[i] = shares[i].label.number;
	AUTO_CONTEXT *context = gfshare_ctx_init_dec(numbers, count, CUSTOS_SHARE_VALUE);
	CUSTOS_REQUIRE(context != NULL, err, CUSTOS_E_SYSTEM, "out of locked memory");
	for (unsigned i = 0; i < count; i++) {
		struct place place = { context, (uint8_t)i };
		CUSTOS_TRY(custos_secret_expose(shares[i].value, give_share, &place, err));
	}
	return custos_secret_expose(into, extract, context, err);
}

struct comparison {
	const uint8_t *first;
	struct custos_secret *other;
};

static custos_rc compare(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const struct comparison *c = ctx;
	if (CRYPTO_memcmp(c->first, bytes, len) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "one of them is not what was given out: combine as few as are needed, and leave out another one each time", "the shares do not belong together");
	return CUSTOS_OK;
}

static custos_rc with_first(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct comparison *c = ctx;
	(void)len;
	c->first = bytes;
	return custos_secret_expose(c->other, compare, c, err);
}

static custos_rc check_labels(const struct custos_share shares[], size_t count, struct custos_err *err)
{
	const struct custos_share_label *first = &shares[0].label;
	CUSTOS_REQUIRE(count >= 1 && count <= CUSTOS_SHARES_MAX, err, CUSTOS_E_INPUT, "%zu shares", count);
	for (size_t i = 0; i < count; i++) {
		const struct custos_share_label *label = &shares[i].label;
		CUSTOS_REQUIRE(label->set == first->set && label->threshold == first->threshold, err, CUSTOS_E_INPUT, "share %u is of another set than share %u", label->number, first->number);
		for (size_t k = 0; k < i; k++)
			CUSTOS_REQUIRE(label->number != shares[k].label.number, err, CUSTOS_E_INPUT, "share %u was given twice", label->number);
	}
	CUSTOS_REQUIRE(count >= first->threshold, err, CUSTOS_E_INPUT, "%zu of %u shares that are needed", count, first->threshold);
	return CUSTOS_OK;
}

/* Every K neighbours in turn. Two neighbouring choices have K - 1 shares in common and, when they agree, the secret: K points, which a polynomial of degree K - 1 has in
 * common with one other only, itself. So when all agree, all shares lie on one polynomial. */
custos_rc custos_shares_combine(const struct custos_share shares[], size_t count, struct custos_secret **ret_secret, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	CUSTOS_AUTO(custos_secret) *again = NULL;
	CUSTOS_TRY(check_labels(shares, count, err));
	CUSTOS_TRY(prepare(err));
	unsigned threshold = shares[0].label.threshold;
	CUSTOS_TRY(custos_secret_new(CUSTOS_SHARE_VALUE, &secret, err));
	CUSTOS_TRY(custos_secret_new(CUSTOS_SHARE_VALUE, &again, err));
	CUSTOS_TRY(interpolate(shares, threshold, secret, err));
	for (size_t at = 1; at + threshold <= count; at++) {
		struct comparison c = { .other = again };
		CUSTOS_TRY(interpolate(shares + at, threshold, again, err));
		CUSTOS_TRY(custos_secret_expose(secret, with_first, &c, err));
	}
	*ret_secret = CUSTOS_TAKE(secret);
	return CUSTOS_OK;
}

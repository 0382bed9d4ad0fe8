/* Transports, the courier's end: what a peer written from the standards sealed opens, with the intent it was sealed for and with no other. */
#include "crypto/seal.h"
#include "crypto/transport_key.h"

#include "transport_peer.h"

static const uint8_t intent[CUSTOS_HASH_SIZE] = "the leaf hash of one intent, 32", other_intent[CUSTOS_HASH_SIZE] = "the leaf hash of another intent";
static uint8_t plain[6000];

static custos_rc is_plain(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const size_t *want = ctx;
	CUSTOS_REQUIRE(len == *want && memcmp(bytes, plain, len) == 0, err, CUSTOS_E_TAMPERED, "something else");
	return CUSTOS_OK;
}

static void assert_plain(struct custos_secret *secret, size_t len)
{
	assert_int_equal(custos_secret_expose(secret, is_plain, &len, NULL), CUSTOS_OK);
	custos_secret_free(secret);
}

static void a_bound_parcel_opens_with_its_intent(void **state)
{
	(void)state;
	static const size_t lengths[] = { 1, 32, 138, 1217, 4707, sizeof plain };
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		CUSTOS_AUTO(custos_ephemeral) *key = NULL;
		struct custos_secret *opened = NULL;
		struct peer_parcel p;
		uint8_t point[CUSTOS_POINT_SIZE];
		assert_int_equal(custos_ephemeral_new(&key, point, NULL), CUSTOS_OK);
		peer_seal_agreed(point, intent, plain, lengths[i], &p);
		struct custos_bytes sealed = CUSTOS_BYTES(p.sealed, p.sealed_len);
		assert_int_equal(custos_unseal_bound(key, p.point, intent, sealed, &opened, NULL), CUSTOS_OK);
		assert_plain(opened, lengths[i]);
		/* another intent, no intent, another peer, damage */
		assert_int_equal(custos_unseal_bound(key, p.point, other_intent, sealed, &opened, NULL), CUSTOS_E_TAMPERED);
		assert_int_equal(custos_unseal(key, p.point, sealed, &opened, NULL), CUSTOS_E_TAMPERED);
		assert_int_equal(custos_unseal_bound(key, point, intent, sealed, &opened, NULL), CUSTOS_E_TAMPERED);
		p.sealed[p.sealed_len - 1] ^= 1;
		assert_int_equal(custos_unseal_bound(key, p.point, intent, sealed, &opened, NULL), CUSTOS_E_TAMPERED);
		/* and what is not bound does not open as if it were */
		peer_seal_agreed(point, NULL, plain, lengths[i], &p);
		sealed = CUSTOS_BYTES(p.sealed, p.sealed_len);
		assert_int_equal(custos_unseal_bound(key, p.point, intent, sealed, &opened, NULL), CUSTOS_E_TAMPERED);
		assert_int_equal(custos_unseal(key, p.point, sealed, &opened, NULL), CUSTOS_OK);
		assert_plain(opened, lengths[i]);
	}
}

static custos_rc open_as(struct custos_transport_key *key, enum custos_transport transport, const struct peer_parcel *p, const uint8_t *binding, struct custos_secret **ret)
{
	const struct custos_transport_parcel parcel = { transport, CUSTOS_BYTES(p->wrapping_key, p->wrapping_key_len), CUSTOS_BYTES(p->sealed, p->sealed_len), binding };
	return custos_transport_key_open(key, &parcel, ret, NULL);
}

static void a_parcel_to_a_key_opens_with_that_key(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_transport_key) *key = NULL;
	CUSTOS_AUTO(custos_transport_key) *other = NULL;
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_AUTO_BUF other_spki = { 0 };
	struct custos_secret *opened = NULL;
	struct peer_parcel p;
	assert_int_equal(custos_transport_key_new(&key, &spki, NULL), CUSTOS_OK);
	assert_int_equal(custos_transport_key_new(&other, &other_spki, NULL), CUSTOS_OK);
	static const enum custos_transport both[] = { CUSTOS_TRANSPORT_RSA_OAEP, CUSTOS_TRANSPORT_RSA_OAEP_SHA1 };
	for (size_t i = 0; i < 2; i++) {
		bool labelled = both[i] == CUSTOS_TRANSPORT_RSA_OAEP;
		peer_seal_to_key(both[i], custos_buf_view(&spki), intent, plain, 4707, &p);
		assert_int_equal(open_as(key, both[i], &p, intent, &opened), CUSTOS_OK);
		assert_plain(opened, 4707);
		/* SHA-1 has no label: what binds it is the key, of which the intent holds the hash */
		opened = NULL;
		assert_int_equal(open_as(key, both[i], &p, other_intent, &opened), labelled ? CUSTOS_E_TAMPERED : CUSTOS_OK);
		custos_secret_free(opened);
		assert_int_equal(open_as(key, both[1 - i], &p, intent, &opened), CUSTOS_E_TAMPERED);
		assert_int_equal(open_as(other, both[i], &p, intent, &opened), CUSTOS_E_TAMPERED);
		assert_int_equal(open_as(key, CUSTOS_TRANSPORT_ECDH_P256, &p, intent, &opened), CUSTOS_E_INTERNAL);
		p.wrapping_key_len--;
		assert_int_equal(open_as(key, both[i], &p, intent, &opened), CUSTOS_E_TAMPERED);
		p.wrapping_key_len++;
		p.wrapping_key[100] ^= 1;
		assert_int_equal(open_as(key, both[i], &p, intent, &opened), CUSTOS_E_TAMPERED);
		p.wrapping_key[100] ^= 1;
		p.sealed[8] ^= 1;
		assert_int_equal(open_as(key, both[i], &p, intent, &opened), CUSTOS_E_TAMPERED);
	}
}

static void words_and_numbers_agree(void **state)
{
	(void)state;
	enum custos_transport t;
	for (unsigned i = 0; i < CUSTOS_TRANSPORT_COUNT; i++) {
		assert_true(custos_transport_parse(custos_transport_name((enum custos_transport)i), &t));
		assert_int_equal(t, i);
		assert_int_equal(custos_transport_needs_key(t), strncmp(custos_transport_name(t), "rsa-", 4) == 0);
	}
	assert_false(custos_transport_parse("ecdh", &t));
	assert_false(custos_transport_parse("unknown", &t));
	assert_string_equal(custos_transport_name((enum custos_transport)CUSTOS_TRANSPORT_COUNT), "unknown");
}

static int start(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)(i * 31 + i / 256);
	return custos_secret_start(NULL) == CUSTOS_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bound_parcel_opens_with_its_intent), cmocka_unit_test(a_parcel_to_a_key_opens_with_that_key), cmocka_unit_test(words_and_numbers_agree),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}

/* The permit: once, for exactly one release; and every attempt to bend it spends it. */
#include "base/permit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct custos_release_terms terms(void)
{
	struct custos_release_terms t = { 0 };
	memset(t.container_sha256, 0x11, sizeof t.container_sha256);
	memset(t.courier_point, 0x22, sizeof t.courier_point);
	memset(t.hosts_sha256, 0x33, sizeof t.hosts_sha256);
	return t;
}

static struct custos_permit *mint(void)
{
	struct custos_release_terms t = terms();
	struct custos_permit *permit = NULL;
	assert_int_equal(custos_permit_mint(&t, &permit, NULL), CUSTOS_OK);
	return permit;
}

static void used_once(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_permit) *permit = mint();
	struct custos_release_terms t = terms();
	struct custos_err err = { 0 };
	assert_int_equal(custos_permit_consume(permit, &t, &err), CUSTOS_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(custos_permit_consume(permit, &t, &err), CUSTOS_E_POLICY);
		assert_non_null(strstr(err.msg, "has been used"));
		custos_err_clear(&err);
	}
}

/* Every single byte of every term matters, and the wrong try costs the permit. */
static void another_key_courier_or_host(void **state)
{
	(void)state;
	static const struct {
		size_t at, len;
		const char *said;
	} members[] = {
		{ offsetof(struct custos_release_terms, container_sha256), CUSTOS_HASH_SIZE, "another key" },
		{ offsetof(struct custos_release_terms, courier_point), CUSTOS_POINT_SIZE, "another courier" },
		{ offsetof(struct custos_release_terms, hosts_sha256), CUSTOS_HASH_SIZE, "other hosts" },
		{ offsetof(struct custos_release_terms, transport), 1, "another transport" },
		{ offsetof(struct custos_release_terms, courier_key_sha256), CUSTOS_HASH_SIZE, "another transport" },
	};
	for (size_t m = 0; m < sizeof members / sizeof *members; m++)
		for (size_t i = 0; i < members[m].len; i++) {
			CUSTOS_AUTO(custos_permit) *permit = mint();
			struct custos_release_terms good = terms(), bad = terms();
			struct custos_err err = { 0 };
			((uint8_t *)&bad)[members[m].at + i] ^= 0x01;
			assert_int_equal(custos_permit_consume(permit, &bad, &err), CUSTOS_E_POLICY);
			assert_non_null(strstr(err.msg, members[m].said));
			custos_err_clear(&err);
			assert_int_equal(custos_permit_consume(permit, &good, &err), CUSTOS_E_POLICY);
			assert_non_null(strstr(err.msg, "has been used"));
		}
}

/* Terms that are changed after minting do not change the permit. */
static void the_terms_are_its_own(void **state)
{
	(void)state;
	struct custos_release_terms t = terms();
	CUSTOS_AUTO(custos_permit) *permit = NULL;
	assert_int_equal(custos_permit_mint(&t, &permit, NULL), CUSTOS_OK);
	t.hosts_sha256[0] ^= 0xff;
	assert_int_equal(custos_permit_consume(permit, &t, NULL), CUSTOS_E_POLICY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(used_once),
		cmocka_unit_test(another_key_courier_or_host),
		cmocka_unit_test(the_terms_are_its_own),
	};
	custos_permit_free(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

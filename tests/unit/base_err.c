/* Errors: the first one wins with its own remedy, nothing overflows, every category has a name of its own. */
#include "base/attr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void the_first_error_wins(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	assert_int_equal(custos_err_set(&err, CUSTOS_E_TOKEN, 0x30, "the token %s fell out", "lab"), CUSTOS_E_TOKEN);
	assert_int_equal(custos_err_set(&err, CUSTOS_E_STORE, 7, "something else"), CUSTOS_E_TOKEN);
	assert_int_equal(err.rc, CUSTOS_E_TOKEN);
	assert_int_equal(err.native, 0x30);
	assert_string_equal(err.msg, "the token lab fell out");
}

static custos_rc fail_with_remedy(struct custos_err *err)
{
	CUSTOS_FAIL_HINT(err, CUSTOS_E_NETWORK, "plug it in", "the cable is out");
}

/* A remedy for the second failure would send people the wrong way after the first. */
static void a_remedy_stays_with_its_error(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	assert_int_equal(custos_err_set(&err, CUSTOS_E_AUTH, 0, "wrong PIN"), CUSTOS_E_AUTH);
	assert_int_equal(fail_with_remedy(&err), CUSTOS_E_AUTH);
	assert_string_equal(err.msg, "wrong PIN");
	assert_string_equal(err.hint, "");

	custos_err_clear(&err);
	assert_int_equal(fail_with_remedy(&err), CUSTOS_E_NETWORK);
	assert_string_equal(err.hint, "plug it in");
	custos_err_hint(&err, "or %s it", "burn");
	assert_string_equal(err.hint, "plug it in");
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(custos_err_set(NULL, CUSTOS_E_INPUT, 0, "unheard"), CUSTOS_E_INPUT);
	assert_int_equal(fail_with_remedy(NULL), CUSTOS_E_NETWORK);
	custos_err_hint(NULL, "unheard");
}

static void long_text_is_cut_not_overrun(void **state)
{
	(void)state;
	struct {
		struct custos_err err;
		char canary[16];
	} s = { .canary = "canary" };
	char text[5000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(custos_err_set_hinted(&s.err, CUSTOS_E_INPUT, text, "%s", text), CUSTOS_E_INPUT);
	assert_int_equal(strlen(s.err.msg), sizeof s.err.msg - 1);
	assert_int_equal(strlen(s.err.hint), sizeof s.err.hint - 1);
	assert_string_equal(s.canary, "canary");
}

/* A file name with a conversion in it is text, in the remedy too. */
static void a_remedy_is_no_format(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	assert_int_equal(custos_err_set_hinted(&err, CUSTOS_E_INPUT, "look at %s%n", "cannot open %s", "100%s"), CUSTOS_E_INPUT);
	assert_string_equal(err.hint, "look at %s%n");
	assert_string_equal(err.msg, "cannot open 100%s");
}

static custos_rc step(custos_rc rc, unsigned *reached)
{
	CUSTOS_TRY(rc);
	++*reached;
	return CUSTOS_OK;
}

static custos_rc require(bool ok, struct custos_err *err)
{
	CUSTOS_REQUIRE(ok, err, CUSTOS_E_POLICY, "no");
	return CUSTOS_OK;
}

static void try_and_require_return_at_once(void **state)
{
	(void)state;
	unsigned reached = 0;
	struct custos_err err = { 0 };
	assert_int_equal(step(CUSTOS_E_SYSTEM, &reached), CUSTOS_E_SYSTEM);
	assert_int_equal(reached, 0);
	assert_int_equal(step(CUSTOS_OK, &reached), CUSTOS_OK);
	assert_int_equal(reached, 1);
	assert_int_equal(require(true, &err), CUSTOS_OK);
	assert_int_equal(err.rc, CUSTOS_OK);
	assert_int_equal(require(false, &err), CUSTOS_E_POLICY);
}

static void categories_have_names_of_their_own(void **state)
{
	(void)state;
	static const int all[] = { 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 70 };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		assert_string_not_equal(custos_rc_name((custos_rc)all[i]), "unknown");
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(custos_rc_name((custos_rc)all[i]), custos_rc_name((custos_rc)all[k]));
	}
	assert_string_equal(custos_rc_name((custos_rc)1), "unknown");
	assert_string_equal(custos_rc_name((custos_rc)255), "unknown");
}

static void cleanup_is_the_scope_s_business(void **state)
{
	(void)state;
	int ends[2];
	char byte;
	assert_int_equal(pipe(ends), 0);
	{
		CUSTOS_AUTO_FD writer = ends[1];
		assert_int_equal(write(writer, "x", 1), 1);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	/* the end of the pipe: the scope has closed its writer */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	int kept = -1;
	{
		CUSTOS_AUTO_FD reader = ends[0];
		kept = custos_take_fd(&reader);
	}
	assert_int_equal(read(kept, &byte, 1), 0);
	close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_error_wins),
		cmocka_unit_test(a_remedy_stays_with_its_error),
		cmocka_unit_test(nobody_has_to_listen),
		cmocka_unit_test(long_text_is_cut_not_overrun),
		cmocka_unit_test(a_remedy_is_no_format),
		cmocka_unit_test(try_and_require_return_at_once),
		cmocka_unit_test(categories_have_names_of_their_own),
		cmocka_unit_test(cleanup_is_the_scope_s_business),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When a certificate is to be renewed, to the second; and what in a status needs a person. */
#include "data/json.h"
#include "vault/renewal.h"

#include <custos/custody.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { DAY = 86400, BEGIN = 1800000000 };

static void the_window_opens_at_a_third_or_thirty_days_whichever_is_earlier(void **state)
{
	(void)state;
	static const struct {
		int days, window_seconds, urgent_seconds;
	} cases[] = {
		{ 825, 275 * DAY, 7 * DAY }, { 398, 398 * DAY / 3, 7 * DAY }, { 200, 200 * DAY / 3, 7 * DAY }, { 100, 100 * DAY / 3, 7 * DAY }, { 90, 30 * DAY, 7 * DAY },
		{ 89, 30 * DAY, 7 * DAY }, { 47, 30 * DAY, 7 * DAY }, { 45, 30 * DAY, 7 * DAY },
		/* short ones: a third alone, and the urgent part a third of that */
		{ 44, 44 * DAY / 3, 44 * DAY / 9 }, { 10, 10 * DAY / 3, 10 * DAY / 9 }, { 6, 2 * DAY, 2 * DAY / 3 }, { 0, 0, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t end = BEGIN + (int64_t)cases[i].days * DAY, from = end - cases[i].window_seconds, urgent = end - cases[i].urgent_seconds;
		const struct custos_renewal r = custos_renewal_of(BEGIN, end);
		assert_int_equal(r.from, from);
		assert_int_equal(r.urgent_from, urgent);
		assert_int_equal(custos_renewal_state(&r, end + 1), CUSTOS_RENEWAL_EXPIRED);
		assert_int_equal(custos_renewal_state(&r, end), CUSTOS_RENEWAL_URGENT);
		assert_int_equal(custos_renewal_state(&r, from - 1), CUSTOS_RENEWAL_NOT_YET);
		if (cases[i].days > 0) {
			assert_int_equal(custos_renewal_state(&r, from), CUSTOS_RENEWAL_DUE);
			assert_int_equal(custos_renewal_state(&r, urgent - 1), CUSTOS_RENEWAL_DUE);
			assert_int_equal(custos_renewal_state(&r, urgent), CUSTOS_RENEWAL_URGENT);
		}
		assert_int_equal(custos_renewal_days_left(&r, BEGIN), cases[i].days);
		assert_int_equal(custos_renewal_days_left(&r, end), 0);
		assert_int_equal(custos_renewal_days_left(&r, end + 1), -1);
		assert_int_equal(custos_renewal_days_left(&r, end + DAY), -1);
		assert_int_equal(custos_renewal_days_left(&r, end + DAY + 1), -2);
	}
	/* one that ends before it begins */
	const struct custos_renewal odd = custos_renewal_of(BEGIN, BEGIN - DAY);
	assert_int_equal(odd.from, BEGIN - DAY);
	assert_int_equal(custos_renewal_state(&odd, BEGIN), CUSTOS_RENEWAL_EXPIRED);
	for (int s = CUSTOS_RENEWAL_NOT_YET; s <= CUSTOS_RENEWAL_EXPIRED; s++)
		assert_non_null(custos_renewal_state_name((enum custos_renewal_state)s));
}

#define EXPIRED "\"days_left\":-3,\"certificate\":{\"not_after\":\"2026-11-20T00:00:00Z\"},\"renewal\":{\"from\":\"2026-10-21T00:00:00Z\",\"state\":\"expired\""
#define CURRENT "\"name\":\"t\",\"deployed\":{\"key\":\"k\"},\"probe\":[{\"address\":\"a:443\",\"result\":\"current\",\"trusted\":true,\"why\":null}"

static void each_thing_is_told_once_and_by_its_level(void **state)
{
	(void)state;
	static const struct {
		const char *status, *level, *words; /* level NULL: nothing */
	} cases[] = {
		{ "{}", NULL, NULL },
		{ "{\"keys\":[{\"name\":\"k\",\"state\":\"active\"}],\"targets\":[],\"open_releases\":[],\"kek\":{\"waiting\":0}}", NULL, NULL },
		{ "{\"open_releases\":[{\"index\":7,\"key\":\"k\",\"state\":\"unknown\"}]}", "critical", "release 7 of key k ended without a known outcome" },
		{ "{\"open_releases\":[{\"index\":7,\"key\":\"k\",\"state\":\"open\"}]}", "warning", "release 7 of key k is under way" },
		{ "{\"kek\":{\"waiting\":2}}", "warning", "under an old KEK: 2" },
		{ "{\"keys\":[{\"name\":\"k\",\"state\":\"destroying\"}]}", "warning", "destruction of key k" },
		{ "{\"keys\":[{\"name\":\"k\",\"state\":\"active\",\"drill\":{\"result\":\"failed\"}}]}", "critical", "last drill of key k failed" },
		{ "{\"keys\":[{\"name\":\"k\",\"state\":\"destroyed\",\"drill\":{\"result\":\"failed\"}}]}", NULL, NULL },
		{ "{\"keys\":[{\"name\":\"k\"," EXPIRED "}}]}", "critical", "the certificate of key k has expired on 2026-11-20" },
		{ "{\"keys\":[{\"name\":\"k\"," EXPIRED ",\"requested\":true}}]}", "critical", "expired on 2026-11-20; a request for it has been made" },
		{ "{\"keys\":[{\"name\":\"k\",\"deployed\":[]," EXPIRED ",\"superseded_by\":\"k.2\"}}]}", NULL, NULL },
		/* while a host serves it, it is not over */
		{ "{\"keys\":[{\"name\":\"k\",\"deployed\":[\"t\"]," EXPIRED ",\"superseded_by\":\"k.2\"}}]}", "critical", "k.2, which renews it, is ready to be deployed" },
		{ "{\"targets\":[{\"name\":\"t\",\"attention\":\"release.unknown\"}]}", NULL, NULL },
		{ "{\"targets\":[{\"name\":\"t\",\"attention\":\"release.not_rolled_back\"}]}", "critical", "target t ended badly (release.not_rolled_back)" },
		{ "{\"targets\":[{" CURRENT "]}]}", NULL, NULL },
		{ "{\"targets\":[{" CURRENT ",{\"address\":\"b:443\",\"result\":\"outdated\",\"trusted\":true}]}]}", "warning", "before the accepted one at b:443" },
		{ "{\"targets\":[{" CURRENT ",{\"address\":\"b:443\",\"result\":\"unreachable\",\"why\":\"no route\"}]}]}", "critical", "does not answer at b:443: no route" },
		{ "{\"targets\":[{" CURRENT ",{\"address\":\"b:443\",\"result\":\"foreign\",\"trusted\":true}]}]}", "critical", "another certificate than was deployed at b:443" },
		{ "{\"targets\":[{" CURRENT ",{\"address\":\"b:443\",\"result\":\"previous\",\"trusted\":true}]}]}", "critical", "another certificate than was deployed at b:443" },
		{ "{\"targets\":[{" CURRENT ",{\"address\":\"b:443\",\"result\":\"current\",\"trusted\":false,\"why\":\"it has expired\"}]}]}", "critical", "clients refuse what target t serves" },
		{ "{\"targets\":[{\"name\":\"t\",\"deployed\":null,\"probe\":[{\"address\":\"b:443\",\"result\":\"foreign\",\"trusted\":false}]}]}", NULL, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CUSTOS_AUTO(custos_json) *status = NULL;
		assert_int_equal(custos_json_parse(CUSTOS_BYTES_STR(cases[i].status), "status", &status, NULL), CUSTOS_OK);
		CUSTOS_AUTO(custos_json) *found = custos_status_attention(status);
		size_t count = cases[i].level == NULL ? 0 : 1;
		if (custos_json_count(found) != count || custos_status_count_urgent(status) != count)
			fail_msg("%zu instead of %zu: %s", custos_json_count(found), count, cases[i].status);
		if (count == 0)
			continue;
		const char *text = custos_json_text(custos_json_at(found, 0), "text");
		assert_string_equal(custos_json_text(custos_json_at(found, 0), "level"), cases[i].level);
		if (strstr(text, cases[i].words) == NULL)
			assert_string_equal(text, cases[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_window_opens_at_a_third_or_thirty_days_whichever_is_earlier),
		cmocka_unit_test(each_thing_is_told_once_and_by_its_level),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The fold: entries that cannot follow those before them are refused, whoever signed them or left them unsigned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault_entries.h"

#define REFUSED(event, fields) BAD(event, fields, "")

static int up(void **state)
{
	struct fold *f = calloc(1, sizeof *f);
	assert_int_equal(custos_state_start(&f->state, &f->err), CUSTOS_OK);
	GOOD("custody.genesis", "{}");
	GOOD("key.generate", "{\"key\":\"k\",\"spki_sha256\":\"aa\",\"container_sha256\":\"cc\"}");
	GOOD("key.generate", "{\"key\":\"l\",\"spki_sha256\":\"bb\",\"container_sha256\":\"dd\"}");
	GOOD("target.add", "{\"target\":{\"name\":\"web\",\"address\":\"web.example.com:22\"}}");
	*state = f;
	return 0;
}

static bool may_go(const struct fold *f, const char *key, const char *target)
{
	const struct custos_json *targets = custos_json_get(custos_state_key(&f->state, key), "targets");
	for (size_t i = 0; i < custos_json_count(targets); i++)
		if (strcmp(custos_json_string_value(custos_json_at(targets, i)), target) == 0)
			return true;
	return false;
}

#define INTENT "{\"key\":\"k\",\"container_sha256\":\"cc\",\"hosts\":[{\"name\":\"web\"}]}"

/* A permission is for the host that had the name when it was given. */
static void permissions(void **state)
{
	struct fold *f = *state;
	REFUSED("key.allow", "{\"key\":\"k\",\"targets\":[\"db\"]}");
	REFUSED("key.allow", "{\"key\":\"k\",\"targets\":[\"web\",\"db\"]}");
	assert_false(may_go(f, "k", "db"));
	GOOD("key.allow", "{\"key\":\"k\",\"targets\":[\"web\"]}");
	assert_true(may_go(f, "k", "web"));
	GOOD("target.remove", "{\"target\":\"web\"}");
	REFUSED("key.allow", "{\"key\":\"k\",\"targets\":[\"web\"]}");
	GOOD("target.add", "{\"target\":{\"name\":\"web\",\"address\":\"other.example.com:22\"}}");
	assert_false(may_go(f, "k", "web"));
	REFUSED("release.intent", INTENT);
}

static void releases(void **state)
{
	struct fold *f = *state;
	REFUSED("release.intent", INTENT);
	GOOD("key.allow", "{\"key\":\"k\",\"targets\":[\"web\"]}");
	REFUSED("release.intent", "{\"key\":\"l\",\"container_sha256\":\"dd\",\"hosts\":[{\"name\":\"web\"}]}");
	REFUSED("release.intent", "{\"key\":\"k\",\"container_sha256\":\"dd\",\"hosts\":[{\"name\":\"web\"}]}");
	REFUSED("release.intent", "{\"key\":\"k\",\"container_sha256\":\"cc\",\"hosts\":[{\"name\":\"web\"},{\"name\":\"web\"}]}");
	REFUSED("release.intent", "{\"key\":\"k\",\"container_sha256\":\"cc\",\"hosts\":[]}");
	int64_t intent = (int64_t)f->index;
	GOOD("release.intent", INTENT);
	char done[64], failed[64], foreign[64], nobody[64];
	snprintf(done, sizeof done, "{\"intent\":%lld,\"target\":\"web\"}", (long long)intent);
	snprintf(foreign, sizeof foreign, "{\"intent\":%lld,\"target\":\"db\"}", (long long)intent);
	snprintf(nobody, sizeof nobody, "{\"intent\":%lld,\"target\":\"web\"}", (long long)intent - 1);
	snprintf(failed, sizeof failed, "{\"intent\":%lld,\"as\":\"failed\"}", (long long)intent);
	REFUSED("release.done", foreign);
	REFUSED("release.done", nobody);
	REFUSED("rollback.done", done);
	GOOD("release.rolled_back", done);
	/* who can write the store cannot turn it into a success, nor the same entry once more */
	REFUSED("release.done", done);
	REFUSED("release.rolled_back", done);
	REFUSED("release.unknown", done);
	REFUSED("release.resolved", failed);
	assert_null(custos_json_get(custos_state_target(&f->state, "web"), "deployed"));
}

/* What was refused half way is not built upon. */
static void refusals_are_remembered(void **state)
{
	struct fold *f = *state;
	assert_int_equal(f->state.next, f->index);
	GOOD("token.login_failed", "{}");
	assert_int_equal(f->state.next, f->index);
	REFUSED("key.generate", "{\"key\":\"k\"}");
	assert_int_equal(f->state.next, UINT64_MAX);
	REFUSED("custody.genesis", "{}");
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, up, fold_down)
	const struct CMUnitTest tests[] = { WITH(permissions), WITH(releases), WITH(refusals_are_remembered) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* One permit, one release. */
#include "base/permit.h"

const struct custos_intent_words *custos_intent_words(enum custos_intent_kind kind)
{
	static const struct custos_intent_words words[] = {
		[CUSTOS_INTENT_RELEASE] = { "release.intent", "hosts", true },
		[CUSTOS_INTENT_KEK_BACKUP] = { "kek.backup_intent", "receivers", true },
		[CUSTOS_INTENT_OPENING] = { "key.open_intent", "hosts", false },
	};
	return &words[kind];
}

struct custos_permit {
	struct custos_release_terms terms;
	bool spent;
};

custos_rc custos_permit_mint(const struct custos_release_terms *terms, struct custos_permit **ret_permit, struct custos_err *err)
{
	struct custos_permit *permit = calloc(1, sizeof *permit);
	CUSTOS_REQUIRE(permit != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	permit->terms = *terms;
	*ret_permit = permit;
	return CUSTOS_OK;
}

custos_rc custos_permit_consume(struct custos_permit *permit, const struct custos_release_terms *terms, struct custos_err *err)
{
	bool was_spent = permit->spent;
	permit->spent = true;
	CUSTOS_REQUIRE(!was_spent, err, CUSTOS_E_POLICY, "this release was permitted once and has been used");
	CUSTOS_REQUIRE(permit->terms.kind == terms->kind, err, CUSTOS_E_POLICY, "the permit was given for something else");
	CUSTOS_REQUIRE(memcmp(permit->terms.container_sha256, terms->container_sha256, CUSTOS_HASH_SIZE) == 0, err, CUSTOS_E_POLICY,
	               "the permit was given for another key");
	CUSTOS_REQUIRE(memcmp(permit->terms.courier_point, terms->courier_point, CUSTOS_POINT_SIZE) == 0, err, CUSTOS_E_POLICY,
	               "the permit was given for another courier");
	CUSTOS_REQUIRE(memcmp(permit->terms.hosts_sha256, terms->hosts_sha256, CUSTOS_HASH_SIZE) == 0, err, CUSTOS_E_POLICY,
	               "the permit was given for other hosts");
	CUSTOS_REQUIRE(permit->terms.transport == terms->transport &&
	               memcmp(permit->terms.courier_key_sha256, terms->courier_key_sha256, CUSTOS_HASH_SIZE) == 0, err, CUSTOS_E_POLICY,
	               "the permit was given for another transport");
	return CUSTOS_OK;
}

void custos_permit_free(struct custos_permit *permit)
{
	free(permit);
}

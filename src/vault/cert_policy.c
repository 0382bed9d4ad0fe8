/* Reading the policy about certificates, and the proof that a certificate's key is the one on the token. */
#include "vault/cert_policy.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "target/plan.h"
#include "x509/cert.h"

static custos_rc read_limit(const struct custos_custody *c, struct custos_cert_policy *policy, struct custos_err *err)
{
	const char *max = c->binding.max_days;
	uint64_t days = 0;
	if (max == NULL) {
		/* nothing said: the limit of public CAs for what ends at a root of theirs */
		CUSTOS_TRY(custos_anchors_new_system(&policy->system, err));
		policy->validity = (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_PUBLIC, .roots = policy->system };
	} else if (strcmp(max, "public") == 0) {
		policy->validity = (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_PUBLIC };
	} else if (custos_text_u64(max, 1, CUSTOS_BINDING_DAYS_MAX, &days)) {
		policy->validity = (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_DAYS, .days = (unsigned)days };
	}
	return CUSTOS_OK;
}

static custos_rc read_blocklist(const struct custos_custody *c, struct custos_cert_policy *policy, struct custos_err *err)
{
	CUSTOS_AUTO_BUF text = { .max = CUSTOS_BLOCKLIST_TEXT_MAX };
	uint8_t hash[CUSTOS_HASH_SIZE];
	if (c->binding.blocklist == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_binding_read_named(c->dir, c->binding.blocklist, &text, err));
	CUSTOS_TRY(custos_blocklist_parse(custos_buf_view(&text), c->binding.blocklist, &policy->blocklist, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&text), hash, err));
	custos_text_hex(hash, sizeof hash, policy->blocklist_sha256);
	return CUSTOS_OK;
}

/* Each name by which a host is verified that this key may go to. */
static custos_rc read_names(const struct custos_custody *c, const struct custos_json *key, struct custos_cert_policy *policy, struct custos_err *err)
{
	const struct custos_json *targets = custos_json_get(key, "targets");
	size_t room = 1, count = 0;
	for (size_t i = 0; i < custos_json_count(targets); i++)
		room += custos_json_count(custos_json_get(custos_state_target(&c->state, custos_json_string_value(custos_json_at(targets, i))), "verify"));
	policy->names = calloc(room, sizeof *policy->names);
	CUSTOS_REQUIRE(policy->names != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < custos_json_count(targets); i++) {
		const struct custos_json *target = custos_state_target(&c->state, custos_json_string_value(custos_json_at(targets, i)));
		for (size_t k = 0; k < custos_json_count(custos_json_get(target, "verify")); k++) {
			char name[256];
			bool known = false;
			custos_target_name_at(target, k, name);
			for (size_t n = 0; n < count; n++)
				known = known || strcmp(policy->names[n], name) == 0;
			if (known)
				continue;
			policy->names[count] = custos_text_dup(name);
			CUSTOS_REQUIRE(policy->names[count++] != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		}
	}
	return CUSTOS_OK;
}

custos_rc custos_cert_policy_load(const struct custos_custody *c, const struct custos_json *key, struct custos_cert_policy *ret_policy, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_cert_policy_done) struct custos_cert_policy policy = { 0 };
	CUSTOS_TRY(read_limit(c, &policy, err));
	CUSTOS_TRY(read_blocklist(c, &policy, err));
	CUSTOS_TRY(read_names(c, key, &policy, err));
	*ret_policy = policy;
	policy = (struct custos_cert_policy){ 0 };
	return CUSTOS_OK;
}

void custos_cert_policy_done(struct custos_cert_policy *policy)
{
	for (size_t i = 0; policy->names != NULL && policy->names[i] != NULL; i++)
		free(policy->names[i]);
	free(policy->names);
	custos_anchors_free(policy->system);
	custos_blocklist_free(policy->blocklist);
	*policy = (struct custos_cert_policy){ 0 };
}

struct custos_json *custos_cert_policy_json(const struct custos_custody *c, const struct custos_cert_policy *policy)
{
	struct custos_json *json = custos_json_object();
	custos_json_set_text(json, "max_days", c->binding.max_days != NULL ? c->binding.max_days : "public roots");
	if (policy->blocklist != NULL)
		custos_json_set_text(json, "blocklist_sha256", policy->blocklist_sha256);
	return json;
}

custos_rc custos_vault_prove_leaf(struct custos_custody *c, const struct custos_json *key, struct custos_bytes leaf, struct custos_err *err)
{
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_CLEANUP(custos_vault_key_done) struct custos_vault_key material = { 0 };
	CUSTOS_TRY(custos_cert_spki(leaf, &spki, err));
	CUSTOS_TRY(custos_vault_load_key(c, key, &material, err));
	/* the certificate's public key, not the one the log names: that they are the same was read, this is proven */
	material.ref.spki = custos_buf_view(&spki);
	return custos_vault_prove_key(c, custos_json_text(key, "name"), &material, "accept", err);
}

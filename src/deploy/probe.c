/* What hosts serve, compared with what they should. The keeper connects by itself, without a courier, a login or the token: a TLS handshake for the
 * certificates and nothing else, with many hosts at once (look.h), after it has given up its other files. What was served is judged in order, in one thread. */
#include "base/clock.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "deploy/confine.h"
#include "deploy/look.h"
#include "vault/release.h"
#include "vault/renewal.h"
#include "x509/cert.h"
#include "x509/judge.h"

#include <custos/deploy.h>
#include <stdio.h>

enum { WHY_SIZE = 512, NAME_SIZE = 256 };

struct probe {
	struct custos_custody *c;
	const struct custos_anchors *anchors;
	const struct custos_json *target;
	struct custos_json *result;          /* of one endpoint */
};

static bool same(const struct custos_json *record, const char *member, const char *sha256)
{
	const char *text = custos_json_text(record, member);
	return text != NULL && strcmp(text, sha256) == 0;
}

/* What is served is that of a key in the custody, or nobody's: known by its public key, not by where it was found. */
static const char *compare(const struct probe *p, const char *leaf, const char *spki, const struct custos_json **ret_key)
{
	const struct custos_json *deployed = custos_json_get(p->target, "deployed"), *key = custos_state_key_by_spki(&p->c->state, spki);
	*ret_key = key;
	if (deployed != NULL && custos_json_text(deployed, "key") != NULL && (key == NULL || !same(key, "name", custos_json_text(deployed, "key"))))
		return same(custos_json_get(deployed, "previous"), "leaf_sha256", leaf) ? "previous" : key != NULL ? "other_key" : "foreign";
	if (key == NULL)
		return "foreign";
	if (same(custos_json_get(key, "certificate"), "leaf_sha256", leaf))
		return "current";
	if (same(deployed, "leaf_sha256", leaf))
		return "outdated";
	return same(custos_json_get(deployed, "previous"), "leaf_sha256", leaf) ? "previous" : "other_certificate";
}

/* The names of the key's last request that what is served does not cover. */
static struct custos_json *compare_request(const struct custos_json *request, const char *spki, const struct custos_json *key, struct custos_bytes leaf)
{
	struct custos_json *found = custos_json_object(), *missing = custos_json_array();
	const struct custos_json *sans = custos_json_get(request, "sans");
	custos_json_set(found, "csr_sha256", custos_json_ref(custos_json_get(request, "csr_sha256")));
	custos_json_set_bool(found, "same_key", same(key, "spki_sha256", spki));
	custos_json_set(found, "names_missing", missing);
	for (size_t i = 0; i < custos_json_count(sans); i++) {
		const char *san = custos_json_string_value(custos_json_at(sans, i));
		bool host = san != NULL && (strncmp(san, "dns:", 4) == 0 || strncmp(san, "ip:", 3) == 0);
		const char *name = host ? strchr(san, ':') + 1 : NULL;
		/* a client asks for a name below a wildcard */
		char below[300];
		if (host && strncmp(name, "*.", 2) == 0) {
			snprintf(below, sizeof below, "custos.%s", name + 2);
			name = below;
		}
		if (host && !custos_cert_covers(leaf, name))
			custos_json_push(missing, custos_json_string(san));
	}
	return found;
}

static struct custos_json *shown(const struct custos_json *facts)
{
	static const char *const members[] = { "sha256", "spki_sha256", "key_type", "subject", "issuer", "sans", "not_before", "not_after" };
	struct custos_json *served = custos_json_object();
	int64_t until = 0;
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		custos_json_set(served, members[i], custos_json_ref(custos_json_get(facts, members[i])));
	if (custos_json_text(facts, "not_after") != NULL && custos_clock_parse(custos_json_text(facts, "not_after"), &until))
		custos_json_set_int(served, "days_left", custos_renewal_days_left(&(struct custos_renewal){ .until = until }, custos_clock_unix()));
	return served;
}

static void judge(const struct probe *p, const struct custos_served *served, const char *name)
{
	struct custos_bytes ders[CUSTOS_SERVED_MAX];
	char why[WHY_SIZE];
	for (size_t i = 0; i < served->count; i++)
		ders[i] = custos_buf_view(&served->der[i]);
	bool trusted = custos_judge_served(ders, served->count, CUSTOS_BYTES(NULL, 0), p->anchors, name, custos_clock_unix(), why, sizeof why) == CUSTOS_JUDGE_ACCEPTED;
	custos_json_set_bool(p->result, "trusted", trusted);
	custos_json_set_text(p->result, "why", trusted ? NULL : why);
}

static custos_rc look(const struct probe *p, const struct custos_served *served, const char *name, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *facts = NULL;
	struct custos_bytes leaf = custos_buf_view(&served->der[0]);
	const struct custos_json *key = NULL;
	CUSTOS_TRY(custos_cert_facts(leaf, &facts, err));
	const char *sha256 = custos_json_text(facts, "sha256"), *spki = custos_json_text(facts, "spki_sha256");
	custos_json_set_text(p->result, "result", compare(p, sha256, spki, &key));
	custos_json_set(p->result, "served", shown(facts));
	/* what is stored and was asked for is that of the key which should be there */
	const char *deployed = custos_json_text(custos_json_get(p->target, "deployed"), "key");
	const struct custos_json *wanted = deployed != NULL ? custos_state_key(&p->c->state, deployed) : key, *request = custos_json_get(wanted, "csr");
	if (wanted != NULL) {
		struct custos_json *stored = custos_json_object();
		custos_json_set_text(stored, "key", custos_json_text(wanted, "name"));
		custos_json_set(stored, "spki_sha256", custos_json_ref(custos_json_get(wanted, "spki_sha256")));
		custos_json_set(stored, "leaf_sha256", custos_json_ref(custos_json_get(custos_json_get(wanted, "certificate"), "leaf_sha256")));
		custos_json_set(p->result, "stored", stored);
	}
	if (request != NULL)
		custos_json_set(p->result, "request", compare_request(request, spki, wanted, leaf));
	judge(p, served, name);
	return CUSTOS_OK;
}

/* One entry for each endpoint of each target, in their order. */
struct round {
	struct custos_look *looks;
	char (*names)[NAME_SIZE];
	size_t count;
};

static void round_done(struct round *round)
{
	for (size_t i = 0; i < round->count; i++)
		custos_served_done(&round->looks[i].served);
	free(round->looks);
	free(round->names);
}

static custos_rc round_fill(const struct custos_json *targets, struct round *round, struct custos_err *err)
{
	size_t count = 0;
	for (size_t i = 0; i < custos_json_count(targets); i++)
		count += custos_json_count(custos_json_get(custos_json_at(targets, i), "verify"));
	round->looks = calloc(count + 1, sizeof *round->looks);
	round->names = calloc(count + 1, sizeof *round->names);
	CUSTOS_REQUIRE(round->looks != NULL && round->names != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < custos_json_count(targets); i++) {
		const struct custos_json *target = custos_json_at(targets, i), *verify = custos_json_get(target, "verify");
		for (size_t k = 0; k < custos_json_count(verify); k++, round->count++) {
			custos_target_name_at(target, k, round->names[round->count]);
			round->looks[round->count] = (struct custos_look){ .address = custos_json_string_value(custos_json_at(verify, k)), .name = round->names[round->count] };
		}
	}
	return CUSTOS_OK;
}

static struct custos_json *tell(struct probe *p, struct custos_look *found)
{
	static const char *const absent[] = { "served", "stored", "request", "trusted", "why" };
	p->result = custos_json_object();
	custos_json_set_text(p->result, "address", found->address);
	custos_json_set_text(p->result, "name", found->name);
	custos_json_set_text(p->result, "result", "unreachable");
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		custos_json_set(p->result, absent[i], NULL);
	if (found->rc == CUSTOS_OK)
		found->rc = look(p, &found->served, found->name, &found->why);
	if (found->rc != CUSTOS_OK) {
		CUSTOS_AUTO_STR *said = custos_text_safe(CUSTOS_BYTES_STR(found->why.msg), WHY_SIZE);
		custos_json_set_text(p->result, "why", said);
	}
	return p->result;
}

custos_rc custos_status_probe(struct custos_custody *c, struct custos_json *status, void (*progress)(void *ctx, const char *target, const char *line), void *ctx,
                              struct custos_err *err)
{
	CUSTOS_AUTO(custos_anchors) *anchors = NULL;
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	CUSTOS_CLEANUP(round_done) struct round round = { 0 };
	CUSTOS_TRY(custos_vault_anchors(c, &anchors, err));
	CUSTOS_TRY(custos_deploy_confinement(c, NULL, NULL, 0, &confinement, err));
	CUSTOS_TRY(custos_confinement_enter(confinement, err));
	struct custos_json *targets = custos_json_child(status, "targets");
	CUSTOS_TRY(round_fill(targets, &round, err));
	for (size_t i = 0; progress != NULL && i < custos_json_count(targets); i++)
		progress(ctx, custos_json_text(custos_json_at(targets, i), "name"), "looking at what it serves");
	custos_looks_take(round.looks, round.count);
	for (size_t i = 0, next = 0; i < custos_json_count(targets); i++) {
		struct custos_json *target = custos_json_item(targets, i), *results = custos_json_array();
		struct probe p = { .c = c, .anchors = anchors, .target = target };
		for (size_t k = 0; k < custos_json_count(custos_json_get(target, "verify")); k++)
			custos_json_push(results, tell(&p, &round.looks[next++]));
		custos_json_set(target, "probe", results);
	}
	custos_json_set(status, "attention", custos_status_attention(status));
	return CUSTOS_OK;
}

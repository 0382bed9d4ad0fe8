/* Judging: what the findings allow, and the profile they make. Pure. */
#include "base/text.h"
#include "data/json.h"
#include "token/doctor.h"

#include <stdio.h>

/* The first to fail say why the others do. */
enum { NAMED_MAX = 6 };

bool custos_tier_parse(const char *word, enum custos_tier *ret_tier)
{
	for (int tier = CUSTOS_TIER_UNUSABLE; tier <= CUSTOS_TIER_HARDENED; tier++) {
		if (strcmp(word, custos_tier_name((enum custos_tier)tier)) != 0)
			continue;
		*ret_tier = (enum custos_tier)tier;
		return true;
	}
	return false;
}

static bool is_verdict(const struct custos_json *finding, const char *word)
{
	const char *verdict = custos_json_text(finding, "verdict");
	return verdict != NULL && strcmp(verdict, word) == 0;
}

static const struct custos_json *find(const struct custos_json *checks, const char *name)
{
	for (size_t i = 0; i < custos_json_count(checks); i++) {
		const char *is = custos_json_text(custos_json_at(checks, i), "name");
		if (is != NULL && strcmp(is, name) == 0)
			return custos_json_at(checks, i);
	}
	return NULL;
}

/* The best this finding allows. A check that was not made, or whose verdict is no word of ours, allows nothing. */
static enum custos_tier limit(const struct custos_check_row *row, const struct custos_json *finding)
{
	if (is_verdict(finding, "ok") || is_verdict(finding, "info") || is_verdict(finding, "warn"))
		return CUSTOS_TIER_HARDENED;
	if (is_verdict(finding, "lacks"))
		return row->lacking;
	return is_verdict(finding, "fail") ? row->failed : CUSTOS_TIER_UNUSABLE;
}

static bool signs(const struct custos_json *checks)
{
	for (size_t i = 0; custos_check_at(i) != NULL; i++) {
		const struct custos_check_row *row = custos_check_at(i);
		if (row->check >= CUSTOS_CHECK_SIGN && row->check <= CUSTOS_CHECK_SIGN_LAST && is_verdict(find(checks, row->name), "ok"))
			return true;
	}
	return false;
}

enum custos_tier custos_doctor_judge(const struct custos_json *checks, char *reason, size_t size)
{
	enum custos_tier tier = CUSTOS_TIER_HARDENED;
	if (!signs(checks)) {
		snprintf(reason, size, "no key of any type signs");
		return CUSTOS_TIER_UNUSABLE;
	}
	for (size_t i = 0; custos_check_at(i) != NULL; i++) {
		enum custos_tier allowed = limit(custos_check_at(i), find(checks, custos_check_at(i)->name));
		tier = allowed < tier ? allowed : tier;
	}
	snprintf(reason, size, "%s", tier == CUSTOS_TIER_HARDENED ? "every check that counts was passed" : "");
	size_t named = 0;
	for (size_t i = 0; tier < CUSTOS_TIER_HARDENED && custos_check_at(i) != NULL; i++) {
		const struct custos_check_row *row = custos_check_at(i);
		size_t used = strlen(reason);
		if (limit(row, find(checks, row->name)) == tier && named++ < NAMED_MAX)
			snprintf(reason + used, size - used, "%s%s", used > 0 ? ", " : "", row->name);
	}
	size_t used = strlen(reason);
	if (named > NAMED_MAX)
		snprintf(reason + used, size - used, " and %zu more", named - NAMED_MAX);
	return tier;
}

/* Types whose checks passed, from `first` on, as a YAML list. */
static custos_rc put_types(const char *key, const struct custos_json *checks, enum custos_check first, struct custos_buf *yaml, struct custos_err *err)
{
	bool any = false;
	CUSTOS_TRY(custos_buf_printf(yaml, err, "  %s: [", key));
	for (size_t i = 0; custos_check_at(i) != NULL; i++) {
		const struct custos_check_row *row = custos_check_at(i);
		if (row->check < first || row->check > first + (CUSTOS_CHECK_SIGN_LAST - CUSTOS_CHECK_SIGN) || !is_verdict(find(checks, row->name), "ok"))
			continue;
		CUSTOS_TRY(custos_buf_printf(yaml, err, "%s%s", any ? ", " : "", custos_key_type_name(row->type)));
		any = true;
	}
	return custos_buf_append_str(yaml, "]\n", err);
}

/* What a token says of itself, quoted: YAML 1.1 7.3.2, single quotes doubled. */
static custos_rc put_quoted(const char *key, const char *text, struct custos_buf *yaml, struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_printf(yaml, err, "  %s: '", key));
	for (const char *c = text; *c != '\0'; c++)
		CUSTOS_TRY(custos_buf_append(yaml, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1, err));
	return custos_buf_append_str(yaml, "'\n", err);
}

static custos_rc put_name(const struct custos_token_info *token, struct custos_buf *yaml, struct custos_err *err)
{
	char name[32] = "";
	size_t len = 0;
	for (const char *c = token->model; *c != '\0' && len < sizeof name - 1; c++) {
		char lower = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
		bool fits = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || (len > 0 && (lower == '.' || lower == '_' || lower == '-'));
		if (fits || (len > 0 && name[len - 1] != '-'))
			name[len++] = fits ? lower : '-';
	}
	return custos_buf_printf(yaml, err, "name: %s\nmatch:\n", custos_text_is_name(name) ? name : "token");
}

static const char *fact(const struct custos_json *checks, const char *check, const char *name)
{
	return custos_json_text(custos_json_get(find(checks, check), "facts"), name);
}

static custos_rc put_wrapping(const struct custos_json *checks, enum custos_tier tier, struct custos_buf *yaml, struct custos_err *err)
{
	const struct custos_json *facts = custos_json_get(find(checks, "profile"), "facts");
	const char *mechanism = custos_json_text(facts, "mechanism"), *not_sent = fact(checks, "kek-template", "not_sent"), *not_read = fact(checks, "kek-template", "not_read");
	if (tier < CUSTOS_TIER_BASIC)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(mechanism != NULL, err, CUSTOS_E_POLICY, "no wrapping mechanism was found");
	CUSTOS_TRY(custos_buf_printf(yaml, err, "wrap:\n  mechanism: %s\n  format: rfc5649\n  padding: %lld\n", mechanism, (long long)custos_json_int(facts, "padding", 0)));
	const char *transport = fact(checks, "transport", "transport");
	if (transport != NULL)
		CUSTOS_TRY(custos_buf_printf(yaml, err, "transport: %s\n", transport));
	if (tier == CUSTOS_TIER_HARDENED)
		return CUSTOS_OK;
	return custos_buf_printf(yaml, err, "attributes:\n  not_sent: [%s]\n  not_read: [%s%s%s]\n", not_sent != NULL ? not_sent : "", not_sent != NULL ? not_sent : "",
	                         not_sent != NULL && not_sent[0] != '\0' && not_read != NULL && not_read[0] != '\0' ? ", " : "", not_read != NULL ? not_read : "");
}

/* Whether a digest made here is signed as it is, by the first check of these types that passed. */
static bool takes_digest(const struct custos_json *checks, const char *const names[])
{
	for (size_t i = 0; names[i] != NULL; i++)
		if (is_verdict(find(checks, names[i]), "ok"))
			return custos_json_truth(custos_json_get(custos_json_get(find(checks, names[i]), "facts"), "digest"));
	return true;
}

static bool signs_pss(const struct custos_json *checks, const char *const names[])
{
	for (size_t i = 0; names[i] != NULL; i++)
		if (is_verdict(find(checks, names[i]), "ok"))
			return custos_json_truth(custos_json_get(custos_json_get(find(checks, names[i]), "facts"), "pss"));
	return false;
}

static custos_rc put_signing(const struct custos_json *checks, struct custos_buf *yaml, struct custos_err *err)
{
	static const char *const rsa[] = { "sign-rsa-2048", "sign-rsa-3072", "sign-rsa-4096", NULL }, *const ec[] = { "sign-ec-p256", "sign-ec-p384", "sign-ec-p521", NULL };
	return custos_buf_printf(yaml, err, "sign:\n  rsa: %s\n  ecdsa: %s\n  pss: %s\n", takes_digest(checks, rsa) ? "rsa-pkcs" : "sha256-rsa-pkcs", takes_digest(checks, ec) ? "ecdsa" : "ecdsa-sha",
	                         signs_pss(checks, rsa) ? "rsa-pkcs-pss" : "none");
}

static bool has_session_objects(const struct custos_json *checks)
{
	for (size_t i = 0; custos_check_at(i) != NULL; i++) {
		const struct custos_json *facts = custos_json_get(find(checks, custos_check_at(i)->name), "facts");
		if (custos_json_get(facts, "session_objects") != NULL)
			return custos_json_truth(custos_json_get(facts, "session_objects"));
	}
	return true;
}

custos_rc custos_doctor_profile(const struct custos_token_info *token, const struct custos_json *checks, struct custos_buf *yaml, struct custos_err *err)
{
	char reason[512];
	enum custos_tier tier = custos_doctor_judge(checks, reason, sizeof reason);
	const struct custos_json *limits = custos_json_get(find(checks, "profile"), "facts");
	if (tier == CUSTOS_TIER_UNUSABLE)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "the checks say what is wrong with it", "there is no profile for a token that is unusable: %s", reason);
	CUSTOS_TRY(custos_buf_printf(yaml, err, "# Written by custos token doctor. %s: %s.\n", custos_tier_name(tier), reason));
	CUSTOS_TRY(put_name(token, yaml, err));
	CUSTOS_TRY(put_quoted("manufacturer", token->manufacturer, yaml, err));
	CUSTOS_TRY(put_quoted("model", token->model, yaml, err));
	CUSTOS_TRY(put_quoted("firmware", token->firmware, yaml, err));
	CUSTOS_TRY(custos_buf_printf(yaml, err, "tier: %s\nsession_objects: %s\n", custos_tier_name(tier), has_session_objects(checks) ? "yes" : "no"));
	if (is_verdict(find(checks, "threads"), "fail"))
		CUSTOS_TRY(custos_buf_append_str(yaml, "sessions: one\n", err));
	CUSTOS_TRY(put_signing(checks, yaml, err));
	CUSTOS_TRY(put_wrapping(checks, tier, yaml, err));
	CUSTOS_TRY(custos_buf_append_str(yaml, "keys:\n", err));
	if (tier >= CUSTOS_TIER_BASIC)
		CUSTOS_TRY(put_types("deployable", checks, CUSTOS_CHECK_DEPLOY, yaml, err));
	CUSTOS_TRY(put_types("sign_only", checks, CUSTOS_CHECK_SIGN, yaml, err));
	bool ed = is_verdict(find(checks, "sign-ed25519"), "ok"), p256 = is_verdict(find(checks, "sign-ec-p256"), "ok");
	bool rsa = !ed && !p256 && is_verdict(find(checks, "sign-rsa-3072"), "ok");
	CUSTOS_TRY(custos_buf_printf(yaml, err, "  log: [%s%s%s]\n", ed ? "ed25519" : rsa ? "rsa-3072" : "", ed && p256 ? ", " : "", p256 ? "ec-p256" : ""));
	return custos_buf_printf(yaml, err, "pin:\n  min: %lld\n  max: %lld\n", (long long)custos_json_int(limits, "pin_min", 4), (long long)custos_json_int(limits, "pin_max", 255));
}

/* A KEK on its way to its backup: logged first, wrapped by the token for one receiver, proven there or by what comes back from there. The receiver is a second token, or a courier
 * that makes shares of it. The keeper has ciphertext only. */
#include "base/text.h"
#include "crypto/digest.h"
#include "vault/kek.h"
#include "vault/login.h"
#include "vault/release.h"
#include "vault/shares.h"

#include <stdio.h>

struct custos_keeper_of_backup {
	struct custos_custody *c;
	const struct custos_kek_backup *options;
	struct custos_token *second;             /* one of the two */
	struct custos_split *split;
	uint8_t point[CUSTOS_POINT_SIZE];        /* of whoever receives the KEK */
};

void custos_keeper_of_backup_free(struct custos_keeper_of_backup *k)
{
	if (k == NULL)
		return;
	custos_token_free(k->second);
	custos_split_free(k->split);
	free(k);
}

custos_rc custos_vault_require_wrapping(const struct custos_token_info *info, struct custos_err *err)
{
	if (strcmp(info->tier, "sign-only") == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "name one that can: “custos token doctor” tells", "token “%s” cannot wrap keys: it is no place for a KEK", info->label);
	return CUSTOS_OK;
}

/* The first token is locked by its process: whoever names it as the second finds it so. */
static custos_rc open_other(struct custos_keeper_of_backup *k, const struct custos_token_where *where, struct custos_err *err)
{
	static const char hint[] = "name another token";
	struct custos_custody *c = k->c;
	struct custos_err why = { 0 };
	char ours[128];
	custos_rc rc = custos_token_open(where, &k->second, &why);
	snprintf(ours, sizeof ours, "token %s is in use by process %ld ", c->binding.serial, c->token == NULL ? 0 : (long)custos_token_pid(c->token));
	bool same = rc == CUSTOS_OK ? strcmp(custos_token_info(k->second)->serial, c->binding.serial) == 0 : strncmp(why.msg, ours, strlen(ours)) == 0;
	if (same)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, hint, "token %s is the one the KEK is made on: that would be no backup", c->binding.serial);
	return rc == CUSTOS_OK ? rc : custos_err_set_hinted(err, rc, why.hint, "the second token: %s", why.msg);
}

static custos_rc open_second(struct custos_keeper_of_backup *k, struct custos_err *err)
{
	struct custos_custody *c = k->c;
	CUSTOS_AUTO_STR *folder = NULL;
	if (c->store != NULL)
		CUSTOS_TRY(custos_store_folder(c->store, &folder, err));
	const struct custos_token_where where = {
		.module = k->options->module != NULL ? k->options->module : c->binding.module, .uri = k->options->token_uri, .out_of_reach = { c->dir, folder } };
	CUSTOS_TRY(open_other(k, &where, err));
	CUSTOS_TRY(custos_vault_require_wrapping(custos_token_info(k->second), err));
	if (k->options->pin == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "name where its PIN comes from: --backup-pin-source", "the PIN of the second token is needed");
	CUSTOS_TRY(custos_vault_log_in(k->second, k->options->pin, NULL, err));
	return custos_token_import_begin(k->second, k->point, err);
}

static custos_rc start_split(struct custos_keeper_of_backup *k, struct custos_err *err)
{
	const struct custos_share_plan plan = { k->options->threshold, k->options->count, k->options->custodians, k->options->out };
	CUSTOS_TRY(custos_split_start(&plan, k->c->binding.origin, &k->split, err));
	memcpy(k->point, custos_split_point(k->split), sizeof k->point);
	return CUSTOS_OK;
}

custos_rc custos_backup_start(struct custos_custody *c, const struct custos_kek_backup *backup, struct custos_keeper_of_backup **ret_keeper, struct custos_err *err)
{
	*ret_keeper = NULL;
	if (backup == NULL || backup->kind == CUSTOS_KEK_BACKUP_NONE)
		return CUSTOS_OK;
	CUSTOS_AUTO(custos_keeper_of_backup) *k = calloc(1, sizeof *k);
	CUSTOS_REQUIRE(k != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	k->c = c;
	k->options = backup;
	CUSTOS_TRY(backup->kind == CUSTOS_KEK_BACKUP_TOKEN ? open_second(k, err) : start_split(k, err));
	*ret_keeper = CUSTOS_TAKE(k);
	return CUSTOS_OK;
}

/* Who gets it, as it stands in the intent. */
static custos_rc receivers(const struct custos_keeper_of_backup *k, struct custos_json **ret_list, struct custos_err *err)
{
	if (k->split != NULL)
		return custos_split_describe(k->split, ret_list, err);
	const struct custos_token_info *info = custos_token_info(k->second);
	struct custos_json *list = custos_json_array(), *one = custos_json_object();
	custos_json_set_text(one, "token", info->label);
	custos_json_set_text(one, "serial", info->serial);
	custos_json_set_text(one, "manufacturer", info->manufacturer);
	custos_json_push(list, one);
	*ret_list = list;
	return CUSTOS_OK;
}

static struct custos_json *intent_fields(const struct custos_keeper_of_backup *k, const struct custos_unkept_kek *kek, const struct custos_release_terms *terms, const struct custos_json *who)
{
	struct custos_json *f = custos_json_object();
	custos_json_set_int(f, "intent", kek->intent);
	custos_json_set_int(f, "generation", kek->generation);
	custos_json_set_text(f, "id", kek->id_hex);
	custos_json_set_hex(f, "container_sha256", terms->container_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_hex(f, "courier_point", terms->courier_point, CUSTOS_POINT_SIZE);
	custos_json_set(f, "receivers", custos_json_ref(who));
	if (k->split != NULL) {
		custos_json_set_hex(f, "courier_sha256", custos_split_sha256(k->split), CUSTOS_HASH_SIZE);
		custos_json_set_text(f, "memory", custos_split_memory(k->split));
		custos_json_set_text(f, "set", custos_split_set(k->split));
		custos_json_set_int(f, "threshold", k->options->threshold);
	}
	return f;
}

static custos_rc let_out(struct custos_keeper_of_backup *k, const struct custos_unkept_kek *kek, struct custos_json **ret_who, struct custos_release_parcel *ret_parcel, struct custos_err *err)
{
	struct custos_release_terms terms = { .kind = CUSTOS_INTENT_KEK_BACKUP };
	CUSTOS_AUTO(custos_json) *who = NULL;
	CUSTOS_AUTO_BUF line = { 0 };
	CUSTOS_CLEANUP(custos_log_intent_done) struct custos_log_intent intent = { 0 };
	CUSTOS_TRY(receivers(k, &who, err));
	CUSTOS_TRY(custos_json_line(who, &line, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&line), terms.hosts_sha256, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&kek->canary->container), terms.container_sha256, err));
	memcpy(terms.courier_point, k->point, sizeof k->point);
	CUSTOS_AUTO(custos_json) *fields = intent_fields(k, kek, &terms, who);
	CUSTOS_TRY(custos_vault_begin(k->c, err));
	CUSTOS_TRY(custos_vault_commit_intent(k->c, fields, &terms, &intent, err));
	const struct custos_token_key_ref canary = { .type = kek->canary->type, .spki = custos_buf_view(&kek->canary->spki), .container = custos_buf_view(&kek->canary->container) };
	const struct custos_release_request request = custos_vault_request(&intent, &canary, k->point, custos_buf_view(&line));
	CUSTOS_TRY(custos_token_kek_backup(k->c->token, intent.permit, &request, ret_parcel, err));
	*ret_who = CUSTOS_TAKE(who);
	return CUSTOS_OK;
}

static custos_rc onto_second(struct custos_keeper_of_backup *k, const struct custos_unkept_kek *kek, const struct custos_release_parcel *parcel, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *attributes = NULL;
	const struct custos_token_kek_delivery delivery = { CUSTOS_KEK_TAKE, kek->label, parcel->token_point, custos_buf_view(&parcel->wrapped) };
	return custos_token_kek_receive(k->second, &kek->ref, &delivery, &attributes, err);
}

/* Put together again from what the custodians will get, and opened by it: the token says that it is the KEK before anybody gets a piece. */
static custos_rc into_shares(struct custos_keeper_of_backup *k, const struct custos_unkept_kek *kek, const struct custos_release_parcel *parcel, struct custos_json **ret_shares,
                             struct custos_err *err)
{
	uint8_t import_point[CUSTOS_POINT_SIZE], sealed_point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_BUF sealed = { 0 };
	CUSTOS_AUTO(custos_json) *nothing = NULL;
	CUSTOS_TRY(custos_token_import_begin(k->c->token, import_point, err));
	CUSTOS_TRY(custos_split_hand_over(k->split, parcel->token_point, custos_buf_view(&parcel->wrapped), import_point, sealed_point, &sealed, err));
	const struct custos_token_kek_delivery delivery = { CUSTOS_KEK_PROVE, kek->label, sealed_point, custos_buf_view(&sealed) };
	CUSTOS_TRY(custos_token_kek_receive(k->c->token, &kek->ref, &delivery, &nothing, err));
	return custos_split_give_out(k->split, ret_shares, err);
}

custos_rc custos_backup_take(struct custos_keeper_of_backup *k, const struct custos_unkept_kek *kek, struct custos_json **ret_backup, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *who = NULL;
	CUSTOS_AUTO(custos_json) *shares = NULL;
	struct custos_release_parcel parcel = { 0 };
	custos_rc rc = let_out(k, kek, &who, &parcel, err);
	if (rc == CUSTOS_OK)
		rc = k->split != NULL ? into_shares(k, kek, &parcel, &shares, err) : onto_second(k, kek, &parcel, err);
	custos_release_parcel_done(&parcel);
	CUSTOS_TRY(rc);
	struct custos_json *backup = custos_json_object();
	custos_json_set_text(backup, "kind", k->split != NULL ? "shares" : "token");
	custos_json_set(backup, "receivers", custos_json_ref(who));
	if (k->split != NULL) {
		custos_json_set_text(backup, "set", custos_split_set(k->split));
		custos_json_set_int(backup, "threshold", k->options->threshold);
	}
	*ret_backup = backup;
	return CUSTOS_OK;
}

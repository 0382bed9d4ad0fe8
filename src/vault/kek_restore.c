/* The custody goes on with another token: one that holds its KEK, or gets it from shares. The log key was on the token that is lost and nowhere else, so the log goes on under a new one;
 * the entry that says so is the first that it signs, and names the old key and how far that had signed. custody.yaml is written anew beside the old one before that entry and takes its
 * place after it: in between whoever calls this again finds either log. */
#include "base/text.h"
#include "crypto/digest.h"
#include "vault/kek.h"
#include "vault/login.h"
#include "vault/release.h"
#include "vault/shares.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

struct restore {
	struct custos_custody *c;
	const struct custos_kek_restore_options *options;
	struct custos_token *token;
	struct custos_loaded_kek kek;
	char label[80];
	const char *from;                        /* "token" or "shares" */
	uint8_t log_id[16];
	char log_label[80], log_hex[33];
	struct custos_token_key log_key;
	struct custos_json *attributes, *shares;
	char *previous_vkey;
};

static void restore_done(struct restore *r)
{
	custos_token_free(r->token);
	custos_loaded_kek_done(&r->kek);
	custos_token_key_done(&r->log_key);
	custos_json_free(r->attributes);
	custos_json_free(r->shares);
	free(r->previous_vkey);
	custos_custody_free(r->c);
}

/* ---- the KEK ---- */

static custos_rc open_token(struct restore *r, const struct custos_pin *pin, struct custos_err *err)
{
	struct custos_custody *c = r->c;
	CUSTOS_AUTO_STR *folder = NULL;
	CUSTOS_TRY(custos_store_folder(c->store, &folder, err));
	const struct custos_token_where where = {
		.module = r->options->module != NULL ? r->options->module : c->binding.module, .uri = r->options->token_uri, .out_of_reach = { c->dir, folder } };
	CUSTOS_TRY(custos_token_open(&where, &r->token, err));
	const struct custos_token_info *info = custos_token_info(r->token);
	if (strcmp(info->serial, c->binding.serial) == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "name the token that is to take its place", "token %s is the one that this custody is bound to", info->label);
	CUSTOS_TRY(custos_vault_require_wrapping(info, err));
	return custos_vault_log_in(r->token, pin, NULL, err);
}

static custos_rc from_shares(struct restore *r, const struct custos_json *backup, struct custos_err *err)
{
	uint8_t import_point[CUSTOS_POINT_SIZE], sealed_point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO(custos_combine) *combine = NULL;
	CUSTOS_AUTO_BUF sealed = { 0 };
	struct custos_share_source *files = calloc(r->options->share_count + 1, sizeof *files);
	CUSTOS_REQUIRE(files != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < r->options->share_count; i++)
		files[i] = (struct custos_share_source){ r->options->shares[i].file, r->options->shares[i].key_file };
	const struct custos_combine_options options = {
		.origin = r->c->binding.origin, .threshold = (unsigned)custos_json_int(backup, "threshold", 0), .set = custos_json_text(backup, "set"),
		.files = files, .count = r->options->share_count, .pass_phrase = r->options->pass_phrase };
	custos_rc rc = custos_combine_start(&options, &combine, err);
	free(files);
	CUSTOS_TRY(rc);
	CUSTOS_TRY(custos_combine_collect(combine, &r->shares, err));
	CUSTOS_TRY(custos_token_import_begin(r->token, import_point, err));
	CUSTOS_TRY(custos_combine_seal(combine, import_point, sealed_point, &sealed, err));
	const struct custos_token_kek_delivery delivery = { CUSTOS_KEK_TAKE, r->label, sealed_point, custos_buf_view(&sealed) };
	return custos_token_kek_receive(r->token, &r->kek.ref, &delivery, &r->attributes, err);
}

static custos_rc get_kek(struct restore *r, struct custos_err *err)
{
	struct custos_err why = { 0 };
	const struct custos_json *record = custos_state_kek(&r->c->state), *backup = custos_json_get(record, "backup");
	const char *kind = custos_json_text(backup, "kind");
	CUSTOS_REQUIRE(record != NULL, err, CUSTOS_E_POLICY, "this custody has no KEK");
	if (kind == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "if the token is there, `custos kek backup` makes a KEK that has one and moves every key to it",
		                 "the KEK of this custody has no backup: it is on token serial %s and nowhere else", r->c->binding.serial);
	CUSTOS_TRY(custos_vault_load_kek(r->c, record, &r->kek, err));
	snprintf(r->label, sizeof r->label, "%s", custos_json_text(record, "label"));
	r->kek.ref.variant = CUSTOS_KEK_RESTORED;
	custos_rc rc = custos_token_kek_open(r->token, &r->kek.ref, &why);
	r->from = rc == CUSTOS_OK ? "token" : "shares";
	if (rc == CUSTOS_OK)
		return rc;
	if (strcmp(kind, "shares") == 0)
		return from_shares(r, backup, err);
	CUSTOS_FAIL_HINT(err, rc, "`custos kek list` names the token that keeps it", "the backup of the KEK is not on that token: %s", why.msg);
}

/* ---- the log ---- */

static custos_rc make_log_key(struct restore *r, struct custos_err *err)
{
	CUSTOS_TRY(custos_random(r->log_id, sizeof r->log_id, err));
	custos_text_hex(r->log_id, sizeof r->log_id, r->log_hex);
	snprintf(r->log_label, sizeof r->log_label, "custos-log-%.8s", r->log_hex);
	return custos_token_log_key_create(r->token, r->log_id, r->log_label, &r->log_key, err);
}

static custos_rc replace(char **text, const char *by, struct custos_err *err)
{
	char *copy = custos_text_dup(by);
	CUSTOS_REQUIRE(copy != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	free(*text);
	*text = copy;
	return CUSTOS_OK;
}

/* The custody in memory is that of the new token from here on. */
static custos_rc bind(struct restore *r, struct custos_err *err)
{
	struct custos_custody *c = r->c;
	const struct custos_token_info *info = custos_token_info(r->token);
	CUSTOS_AUTO_BUF vkey = { 0 };
	custos_buf_done(&c->log_spki);
	CUSTOS_TRY(custos_buf_append(&c->log_spki, r->log_key.spki.ptr, r->log_key.spki.len, err));
	CUSTOS_TRY(custos_log_vkey(c->binding.origin, custos_buf_view(&c->log_spki), &vkey, err));
	CUSTOS_TRY(custos_token_log_signer(r->token, r->log_id, custos_buf_view(&c->log_spki), &c->signer, err));
	r->previous_vkey = CUSTOS_TAKE(c->binding.vkey);
	CUSTOS_TRY(replace(&c->binding.vkey, (const char *)vkey.ptr, err));
	CUSTOS_TRY(replace(&c->binding.module, info->module, err));
	CUSTOS_TRY(replace(&c->binding.token_uri, info->uri, err));
	CUSTOS_TRY(replace(&c->binding.serial, info->serial, err));
	CUSTOS_TRY(replace(&c->binding.profile, info->profile, err));
	c->token = CUSTOS_TAKE(r->token);
	c->open_kek = custos_json_int(custos_state_kek(&c->state), "generation", 0);
	return CUSTOS_OK;
}

static custos_rc append(struct restore *r, struct custos_err *err)
{
	struct custos_custody *c = r->c;
	uint8_t hash[CUSTOS_HASH_SIZE], root[CUSTOS_HASH_SIZE];
	uint64_t size = custos_log_signed_size(c->log);
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	struct custos_json *log_key = custos_json_object(), *previous = custos_json_object();
	custos_json_set_int(fields, "generation", c->open_kek);
	custos_json_set(fields, "id", custos_json_ref(custos_json_get(custos_state_kek(&c->state), "id")));
	custos_json_set_text(fields, "from", r->from);
	custos_json_set_text(fields, "reason", r->options->reason);
	if (r->attributes != NULL)
		custos_json_set(fields, "attributes", custos_json_ref(r->attributes));
	if (r->shares != NULL)
		custos_json_set(fields, "shares", custos_json_ref(r->shares));
	custos_json_set(fields, "token", custos_token_info_json(custos_token_info(c->token)));
	custos_json_set(fields, "log_key", log_key);
	custos_json_set_text(log_key, "id", r->log_hex);
	custos_json_set_text(log_key, "label", r->log_label);
	CUSTOS_TRY(custos_vault_put_blob(c, "spki", custos_buf_view(&r->log_key.spki), hash, err));
	custos_json_set_hex(log_key, "spki_sha256", hash, sizeof hash);
	custos_json_set_text(fields, "vkey", c->binding.vkey);
	CUSTOS_TRY(custos_log_root(c->log, size, root, err));
	custos_json_set(fields, "previous", previous);
	custos_json_set_text(previous, "vkey", r->previous_vkey);
	custos_json_set_int(previous, "size", (int64_t)size);
	custos_json_set_hex(previous, "root", root, sizeof root);
	CUSTOS_TRY(custos_vault_append(c, "kek.restored", fields, NULL, err));
	CUSTOS_TRY(custos_log_change_vkey(c->log, c->binding.vkey, err));
	CUSTOS_TRY(custos_binding_stage(c->dir, &c->binding, err));
	return custos_vault_commit(c, err);
}

static custos_rc change_over(struct restore *r, struct custos_err *err)
{
	CUSTOS_TRY(bind(r, err));
	CUSTOS_TRY(custos_vault_begin(r->c, err));
	custos_rc rc = append(r, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(r->c);
		return rc;
	}
	return custos_binding_adopt(r->c->dir, err);
}

/* ---- what is told ---- */

/* What is under no KEK, sign-only or sealed, needs what is on the old token alone. */
static struct custos_json *left_behind(const struct custos_custody *c, const struct custos_json *keys)
{
	struct custos_json *names = custos_json_array();
	for (void *it = custos_json_first(keys); it != NULL; it = custos_json_next(keys, it)) {
		const struct custos_json *key = custos_json_value(it);
		int64_t generation = custos_state_generation(key);
		const char *kek = custos_json_text(custos_state_kek_of(&c->state, generation), "state");
		if (custos_state_is_live(key) && (generation == 0 || (kek != NULL && strcmp(kek, "lost") == 0)))
			custos_json_push(names, custos_json_string(custos_json_key(it)));
	}
	return names;
}

static custos_rc describe(const struct custos_custody *c, const char *from, const char *previous_vkey, struct custos_json **ret_report, struct custos_err *err)
{
	const struct custos_json *keys;
	CUSTOS_TRY(custos_state_keys(&c->state, &keys, err));
	struct custos_json *report = custos_json_object();
	custos_json_set(report, "token", custos_json_copy(custos_json_get(c->state.binding, "token")));
	custos_json_set(report, "kek", custos_json_copy(custos_state_kek(&c->state)));
	custos_json_set_text(report, "vkey", c->binding.vkey);
	custos_json_set_text(report, "previous_vkey", previous_vkey);
	custos_json_set_text(report, "from", from);
	custos_json_set(report, "left_behind", left_behind(c, keys));
	*ret_report = report;
	return CUSTOS_OK;
}

/* The custody by what an earlier attempt has written beside custody.yaml; NULL when there is nothing, or when the entry that it belongs to was never made: then nothing rests on it. */
static custos_rc open_staged(const char *dir, struct custos_custody **ret_custody, struct custos_err *err)
{
	char path[4096];
	struct stat st;
	struct custos_err ignored = { 0 };
	*ret_custody = NULL;
	snprintf(path, sizeof path, "%s/custody.yaml.next", dir);
	if (lstat(path, &st) != 0)
		return CUSTOS_OK;
	CUSTOS_AUTO(custos_custody) *c = calloc(1, sizeof *c);
	CUSTOS_REQUIRE(c != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	c->release_lock = -1;
	if (custos_binding_read_staged(dir, &c->binding, &ignored) != CUSTOS_OK)
		return CUSTOS_OK; /* half written */
	CUSTOS_TRY(replace(&c->dir, dir, err));
	CUSTOS_TRY(custos_store_open(dir, c->binding.store, 0, &c->store, err));
	if (custos_vault_reload(c, &ignored) == CUSTOS_OK)
		*ret_custody = CUSTOS_TAKE(c);
	return CUSTOS_OK;
}

bool custos_restore_is_unfinished(const char *dir)
{
	struct custos_err ignored = { 0 };
	CUSTOS_AUTO(custos_custody) *c = NULL;
	return open_staged(dir, &c, &ignored) == CUSTOS_OK && c != NULL;
}

/* An attempt that ended between the entry and the file: the log is that of the new token already. */
static custos_rc finish_earlier(const char *dir, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_AUTO(custos_custody) *c = NULL;
	CUSTOS_CLEANUP(custos_binding_done) struct custos_binding old = { 0 };
	CUSTOS_TRY(open_staged(dir, &c, err));
	if (c == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_binding_read(dir, &old, err));
	CUSTOS_TRY(custos_binding_adopt(dir, err));
	return describe(c, "an earlier attempt", old.vkey, ret_report, err);
}

custos_rc custos_kek_restore(const char *dir, const struct custos_kek_restore_options *options, const struct custos_pin *pin, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_CLEANUP(restore_done) struct restore r = { .options = options };
	struct custos_json *finished = NULL;
	if (dir == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "name it with -C DIR or in CUSTOS_DIR; it is never guessed", "no custody directory was named");
	CUSTOS_REQUIRE(options->token_uri != NULL, err, CUSTOS_E_USAGE, "name the token that is to take the place of the old one: --token URI");
	CUSTOS_REQUIRE(options->reason != NULL && options->reason[0] != '\0', err, CUSTOS_E_USAGE, "say why: --reason TEXT");
	CUSTOS_TRY(finish_earlier(dir, &finished, err));
	if (finished != NULL) {
		*ret_report = finished;
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_custody_open(dir, NULL, &r.c, err));
	CUSTOS_TRY(custos_release_lock(r.c, err));
	CUSTOS_TRY(open_token(&r, pin, err));
	CUSTOS_TRY(get_kek(&r, err));
	CUSTOS_TRY(make_log_key(&r, err));
	CUSTOS_TRY(change_over(&r, err));
	return describe(r.c, r.from, r.previous_vkey, ret_report, err);
}

/* The birth of a custody: KEK and log key on the token, read back; then the genesis entry, signed; then custody.yaml, whose presence says that all
 * of it happened. Until then a failure removes what was made in the directory. */
#include "vault/vault.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "vault/kek.h"
#include "vault/login.h"
#include "vault/release.h"
#include "vault/sealed.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

struct birth {
	const struct custos_init_options *options;
	struct custos_custody *c;
	uint8_t kek_id[16], log_id[16];
	char kek_label[80], log_label[80];
	struct custos_json *kek_attributes;
	struct custos_token_key canary, log_key;
	struct custos_sealing_birth sealing;
	struct custos_buf trust, profile;
	struct custos_err *err;
	struct custos_keeper_of_backup *keeper; /* NULL: the KEK has no backup, and is made before the log is begun */
	bool made_directory, made_store, made_objects, has_kek;
};

static void birth_done(struct birth *b)
{
	custos_keeper_of_backup_free(b->keeper);
	custos_json_free(b->kek_attributes);
	custos_token_key_done(&b->canary);
	custos_token_key_done(&b->log_key);
	custos_sealing_birth_done(&b->sealing);
	custos_buf_done(&b->trust);
	custos_buf_done(&b->profile);
	custos_custody_free(b->c);
}

/* Takes back what was made in the directory. Objects on the token stay: they are named instead. */
static void take_back(struct birth *b)
{
	static const char *const files[] = { "custody.db", "custody.db-wal", "custody.db-shm", "release.lock" };
	char path[4096];
	custos_store_free(CUSTOS_TAKE(b->c->store));
	for (size_t i = 0; b->made_store && i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", b->options->dir, files[i]);
		unlink(path);
	}
	if (b->made_directory)
		rmdir(b->options->dir);
	if (b->made_objects)
		custos_err_hint(b->err, "the token may hold the new keys %s%s%s%s%s now; remove them with the token's own tool", b->has_kek ? b->kek_label : "", b->has_kek ? " and " : "", b->log_label,
		                b->sealing.label[0] != '\0' ? " and " : "", b->sealing.label);
}

static custos_rc make_directory(struct birth *b)
{
	const char *dir = b->options->dir;
	if (mkdir(dir, 0700) == 0) {
		b->made_directory = true;
		return CUSTOS_OK;
	}
	CUSTOS_REQUIRE(errno == EEXIST, b->err, CUSTOS_E_SYSTEM, "cannot make %s: %s", dir, strerror(errno));
	struct stat st;
	char path[4096];
	CUSTOS_REQUIRE(stat(dir, &st) == 0 && S_ISDIR(st.st_mode), b->err, CUSTOS_E_INPUT, "%s is not a directory", dir);
	CUSTOS_REQUIRE((st.st_uid == geteuid() || st.st_uid == 0) && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0, b->err, CUSTOS_E_POLICY,
	               "%s belongs to somebody else or can be written by others", dir);
	snprintf(path, sizeof path, "%s/custody.yaml", dir);
	bool finished = access(path, F_OK) == 0;
	snprintf(path, sizeof path, "%s/custody.db", dir);
	if (!finished && access(path, F_OK) == 0)
		CUSTOS_FAIL_HINT(b->err, CUSTOS_E_POLICY,
		                 "if nobody is at it right now, remove its custody.db and try again; the token may hold unused keys named custos-…",
		                 "%s holds a custody whose making was interrupted", dir);
	if (finished)
		CUSTOS_FAIL_HINT(b->err, CUSTOS_E_POLICY, "name another directory; what exists is never overwritten",
		                 "%s holds a custody already", dir);
	return CUSTOS_OK;
}

/* What is kept for good are the certificates: a file with a key beside them is not uncommon. */
static custos_rc read_trust(struct birth *b)
{
	if (b->options->trust == NULL)
		return CUSTOS_OK;
	CUSTOS_AUTO(custos_anchors) *anchors = NULL;
	CUSTOS_TRY(custos_anchors_new(&anchors, b->err));
	return custos_anchors_add_file(anchors, b->options->trust, &b->trust, b->err);
}

static custos_rc copy_text(char **to, const char *from, struct custos_err *err)
{
	*to = custos_text_dup(from);
	CUSTOS_REQUIRE(*to != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

/* The log's name: given, or made from the machine's name and the token's label. It becomes part of every signature, so it is strict. */
static custos_rc choose_origin(struct birth *b, const char *label, char **ret)
{
	char made[HOST_NAME_MAX + 48], machine[HOST_NAME_MAX + 1] = "";
	if (b->options->origin != NULL) {
		for (const char *c = b->options->origin; *c != '\0'; c++)
			CUSTOS_REQUIRE(*c > ' ' && *c < 0x7f && *c != '+', b->err, CUSTOS_E_USAGE,
			               "the origin \"%s\" must be one word of printable ASCII without +", b->options->origin);
		CUSTOS_REQUIRE(b->options->origin[0] != '\0', b->err, CUSTOS_E_USAGE, "the origin is empty");
		return copy_text(ret, b->options->origin, b->err);
	}
	if (gethostname(machine, sizeof machine - 1) != 0 || machine[0] == '\0')
		snprintf(machine, sizeof machine, "localhost");
	snprintf(made, sizeof made, "%s/custos/%s", machine, label);
	for (char *c = made; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '+')
			*c = '-';
	return copy_text(ret, made, b->err);
}

static custos_rc open_token(struct birth *b, const struct custos_pin *pin)
{
	struct custos_custody *c = b->c;
	struct custos_token_where where = { .module = b->options->module, .uri = b->options->token_uri, .out_of_reach = { c->dir } };
	if (b->options->profile != NULL) {
		CUSTOS_TRY(custos_vault_read_profile(b->options->profile, &b->profile, b->err));
		where.profile = (const char *)b->profile.ptr;
	}
	CUSTOS_TRY(custos_token_open(&where, &c->token, b->err));
	const struct custos_token_info *info = custos_token_info(c->token);
	CUSTOS_TRY(choose_origin(b, info->label, &c->binding.origin));
	CUSTOS_TRY(copy_text(&c->binding.module, info->module, b->err));
	CUSTOS_TRY(copy_text(&c->binding.token_uri, info->uri, b->err));
	CUSTOS_TRY(copy_text(&c->binding.serial, info->serial, b->err));
	CUSTOS_TRY(copy_text(&c->binding.profile, info->profile, b->err));
	CUSTOS_TRY(copy_text(&c->binding.store, b->options->store != NULL ? b->options->store : "sqlite:custody.db", b->err));
	return custos_vault_log_in(c->token, pin, NULL, b->err);
}

static custos_rc make_kek(struct birth *b)
{
	struct custos_token *token = b->c->token;
	CUSTOS_TRY(custos_token_kek_create(token, b->kek_id, b->kek_label, CUSTOS_KEK_BORN_LOCAL, &b->kek_attributes, b->err));
	/* the canary: an EC key's container that is unwrapped at every open, so that a damaged KEK is noticed before it wraps anything */
	CUSTOS_TRY(custos_token_key_generate(token, CUSTOS_KEY_EC_P256, &b->canary, b->err));
	const struct custos_token_kek kek = { CUSTOS_KEK_LOCAL_ONLY, b->kek_id, custos_buf_view(&b->canary.container), custos_buf_view(&b->canary.spki) };
	CUSTOS_TRY(custos_token_kek_open(token, &kek, b->err));
	b->c->open_kek = 1;
	return CUSTOS_OK;
}

static custos_rc make_keys(struct birth *b)
{
	struct custos_token *token = b->c->token;
	/* a token that cannot wrap has no KEK: its keys stay on it */
	bool wraps = strcmp(custos_token_info(token)->tier, "sign-only") != 0;
	if (b->keeper != NULL && !wraps)
		CUSTOS_FAIL_HINT(b->err, CUSTOS_E_POLICY, "leave --kek-backup out: keys that stay on the token are backed up by its own means, if at all",
		                 "token “%s” cannot wrap keys: there is no KEK to back up", custos_token_info(token)->label);
	b->has_kek = wraps && b->keeper == NULL;
	char suffix[9];
	CUSTOS_TRY(custos_random(b->kek_id, sizeof b->kek_id, b->err));
	CUSTOS_TRY(custos_random(b->log_id, sizeof b->log_id, b->err));
	custos_text_hex(b->kek_id, 4, suffix);
	snprintf(b->kek_label, sizeof b->kek_label, "custos-kek-%s", suffix);
	snprintf(b->log_label, sizeof b->log_label, "custos-log-%s", suffix);
	b->made_objects = true;
	if (b->has_kek)
		CUSTOS_TRY(make_kek(b));
	CUSTOS_TRY(custos_token_log_key_create(token, b->log_id, b->log_label, &b->log_key, b->err));
	CUSTOS_TRY(custos_sealing_make(token, suffix, &b->sealing, b->err));
	CUSTOS_TRY(custos_buf_append(&b->c->log_spki, b->log_key.spki.ptr, b->log_key.spki.len, b->err));
	CUSTOS_TRY(custos_token_log_signer(token, b->log_id, custos_buf_view(&b->c->log_spki), &b->c->signer, b->err));
	CUSTOS_AUTO_BUF vkey = { 0 };
	CUSTOS_TRY(custos_log_vkey(b->c->binding.origin, custos_buf_view(&b->c->log_spki), &vkey, b->err));
	return copy_text(&b->c->binding.vkey, (const char *)vkey.ptr, b->err);
}

static custos_rc name_blob(struct birth *b, struct custos_json *object, const char *member, const char *kind, const struct custos_buf *blob)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_vault_put_blob(b->c, kind, custos_buf_view(blob), hash, b->err));
	custos_json_set_hex(object, member, hash, sizeof hash);
	return CUSTOS_OK;
}

static custos_rc describe_kek(struct birth *b, struct custos_json *fields)
{
	struct custos_json *kek = custos_json_object();
	custos_json_set(fields, "kek", kek);
	custos_json_set_hex(kek, "id", b->kek_id, sizeof b->kek_id);
	custos_json_set_text(kek, "label", b->kek_label);
	custos_json_set_text(kek, "variant", "local-only");
	custos_json_set(kek, "attributes", custos_json_ref(b->kek_attributes));
	CUSTOS_TRY(name_blob(b, kek, "canary_sha256", "container", &b->canary.container));
	return name_blob(b, kek, "canary_spki_sha256", "spki", &b->canary.spki);
}

static custos_rc write_genesis(struct birth *b)
{
	struct custos_custody *c = b->c;
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_text(fields, "origin", c->binding.origin);
	custos_json_set_text(fields, "vkey", c->binding.vkey);
	custos_json_set(fields, "token", custos_token_info_json(custos_token_info(c->token)));
	struct custos_json *log_key = custos_json_object(), *tool = custos_json_object();
	custos_json_set(fields, "kek", NULL);
	if (b->has_kek)
		CUSTOS_TRY(describe_kek(b, fields));
	CUSTOS_TRY(custos_sealing_describe(c, &b->sealing, fields, b->err));
	custos_json_set(fields, "log_key", log_key);
	custos_json_set(fields, "tool", tool);
	custos_json_set_text(tool, "name", "custos");
	custos_json_set_text(tool, "version", CUSTOS_VERSION);
	custos_json_set_hex(log_key, "id", b->log_id, sizeof b->log_id);
	custos_json_set_text(log_key, "label", b->log_label);
	CUSTOS_TRY(name_blob(b, log_key, "spki_sha256", "spki", &b->log_key.spki));
	if (b->trust.len > 0)
		CUSTOS_TRY(name_blob(b, fields, "trust_sha256", "trust", &b->trust));
	if (b->profile.len > 0)
		CUSTOS_TRY(name_blob(b, fields, "profile_sha256", "profile", &b->profile));
	CUSTOS_TRY(custos_vault_append(c, "custody.genesis", fields, NULL, b->err));
	return custos_log_commit(c->log, &c->signer, b->err);
}

static custos_rc begin_log(struct birth *b)
{
	struct custos_custody *c = b->c;
	CUSTOS_TRY(custos_store_open(b->options->dir, c->binding.store, CUSTOS_STORE_CREATE, &c->store, b->err));
	b->made_store = true;
	char *vkey = CUSTOS_TAKE(c->binding.vkey);
	custos_rc rc = custos_vault_reload(c, b->err);
	c->binding.vkey = vkey;
	CUSTOS_TRY(rc);
	CUSTOS_TRY(custos_log_set_vkey(c->log, vkey, b->err));
	CUSTOS_TRY(custos_store_begin(c->store, b->err));
	return write_genesis(b);
}

static custos_rc steps(struct birth *b, const struct custos_pin *pin)
{
	CUSTOS_TRY(read_trust(b));
	CUSTOS_TRY(make_directory(b));
	CUSTOS_TRY(open_token(b, pin));
	CUSTOS_TRY(custos_backup_start(b->c, b->options->kek_backup, &b->keeper, b->err));
	CUSTOS_TRY(make_keys(b));
	CUSTOS_TRY(begin_log(b));
	if (b->keeper != NULL)
		CUSTOS_TRY(custos_kek_bear(b->c, b->keeper, NULL, b->err));
	return custos_binding_write(b->options->dir, &b->c->binding, b->err);
}

custos_rc custos_custody_init(const struct custos_init_options *options, const struct custos_pin *pin, struct custos_json **ret_report,
                              struct custos_err *err)
{
	CUSTOS_CLEANUP(birth_done) struct birth b = { .options = options, .err = err };
	if (options->module == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "name it with --module, e.g. --module libsofthsm2.so", "no PKCS#11 module was named");
	b.c = calloc(1, sizeof *b.c);
	CUSTOS_REQUIRE(b.c != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	b.c->release_lock = -1;
	CUSTOS_TRY(copy_text(&b.c->dir, options->dir, err));
	custos_rc rc = steps(&b, pin);
	if (rc != CUSTOS_OK) {
		take_back(&b);
		return rc;
	}
	struct custos_json *report = custos_log_json(b.c->log);
	custos_json_set_text(report, "dir", options->dir);
	custos_json_set(report, "token", custos_token_info_json(custos_token_info(b.c->token)));
	custos_json_set(report, "kek", custos_json_copy(custos_state_kek(&b.c->state)));
	custos_json_set(report, "sealing_key", custos_json_ref(custos_json_get(b.c->state.genesis, "sealing_key")));
	*ret_report = report;
	return CUSTOS_OK;
}

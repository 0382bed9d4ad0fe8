/* Adopting a key that was not born on the token: the file is opened here and read by a courier, which tells the public half and seals the private one to the
 * token. Logged twice: that it is about to happen, before the key is sealed, and that it has, with the container, in one transaction. */
#include "base/text.h"
#include "crypto/digest.h"
#include "vault/courier.h"
#include "vault/vault.h"
#include "x509/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { READ_MS = 120000, GRACE_MS = 2000, FILE_MAX = 65536 };

struct adoption {
	struct custos_custody *c;
	const char *name;
	const struct custos_import_options *options;
	struct custos_helper helper;
	struct custos_courier_met met;
	char doing[300];                         /* what the courier is doing, for when it has gone */
	struct custos_buf spki, sealed;
	uint8_t sealed_point[CUSTOS_POINT_SIZE];
	char spki_sha256[2 * CUSTOS_HASH_SIZE + 1];
	enum custos_key_type type;
	unsigned file_mode;
};

static void adoption_done(struct adoption *a)
{
	(void)custos_helper_stop(&a->helper, GRACE_MS);
	custos_courier_met_done(&a->met);
	custos_buf_done(&a->spki);
	custos_buf_done(&a->sealed);
}

/* ---- the courier ---- */

/* Its bytes never pass through here. */
static custos_rc send_file(struct adoption *a, struct custos_err *err)
{
	const char *file = a->options->file;
	CUSTOS_AUTO_FD fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait for ever at a FIFO */
	struct stat st;
	CUSTOS_REQUIRE(fd >= 0 && fstat(fd, &st) == 0, err, CUSTOS_E_INPUT, "cannot open %s: %s", file, strerror(errno));
	CUSTOS_REQUIRE(S_ISREG(st.st_mode), err, CUSTOS_E_INPUT, "%s is not a file", file);
	CUSTOS_REQUIRE(st.st_size > 0 && st.st_size <= FILE_MAX, err, CUSTOS_E_INPUT, "%s is not of a key's size", file);
	a->file_mode = (unsigned)st.st_mode & 07777;
	return custos_channel_send(&a->helper.channel, CUSTOS_COURIER_READ_KEY, CUSTOS_BYTES(NULL, 0), fd, err);
}

static custos_rc send_phrase(struct adoption *a, struct custos_err *err)
{
	char what[300];
	snprintf(what, sizeof what, "pass phrase of %s", a->options->file);
	return custos_courier_send_phrase(&a->helper, &a->met, a->options->pass_phrase, what, err);
}

/* Of the categories that a file may have given its reader the words of, two are its to know. */
static custos_rc take_refusal(const struct adoption *a, const struct custos_frame *frame, struct custos_err *err)
{
	struct custos_err why = { 0 };
	custos_rc said = custos_courier_take_refusal(frame, &why);
	custos_rc rc = said == CUSTOS_E_AUTH || said == CUSTOS_E_SYSTEM ? said : CUSTOS_E_INPUT;
	return custos_err_set_hinted(err, rc, why.hint, "cannot take a key from %s: %s", a->options->file, why.msg);
}

static custos_rc take_public_half(struct adoption *a, const struct custos_frame *frame, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF type = { 0 };
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_bytes spki = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY_READ", err));
	CUSTOS_TRY(custos_buf_append(&a->spki, spki.ptr, spki.len, err));
	CUSTOS_TRY(custos_spki_key_type(spki, &type, err));
	CUSTOS_REQUIRE(custos_key_type_parse((const char *)type.ptr, &a->type), err, CUSTOS_E_INTERNAL, "the courier took a key of a type that it must not take");
	CUSTOS_TRY(custos_sha256(spki, hash, err));
	custos_text_hex(hash, sizeof hash, a->spki_sha256);
	return CUSTOS_OK;
}

static custos_rc read_key(struct adoption *a, struct custos_err *err)
{
	for (unsigned asked = 0;; asked++) {
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		CUSTOS_TRY(custos_courier_hear(&a->helper, READ_MS, a->doing, &frame, err));
		switch (frame.type) {
		case CUSTOS_COURIER_NEED_PHRASE:
			CUSTOS_REQUIRE(asked == 0, err, CUSTOS_E_INTERNAL, "the courier asks for a pass phrase again");
			CUSTOS_TRY(send_phrase(a, err));
			break;
		case CUSTOS_COURIER_KEY_READ: return take_public_half(a, &frame, err);
		case CUSTOS_COURIER_KEY_REFUSED: return take_refusal(a, &frame, err);
		default: CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
		}
	}
}

/* ---- policy, log, token ---- */

static custos_rc check_name(const struct adoption *a, struct custos_err *err)
{
	if (!custos_text_is_name(a->name))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit", "\"%s\" is not a name", a->name);
	if (custos_state_key(&a->c->state, a->name) != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "names are given once; `custos key list` shows them", "there is a key named %s already", a->name);
	return CUSTOS_OK;
}

static custos_rc check_new(const struct adoption *a, struct custos_err *err)
{
	const struct custos_json *same = custos_state_key_by_spki(&a->c->state, a->spki_sha256);
	const char *name = custos_json_text(same, "name");
	CUSTOS_TRY(check_name(a, err));
	if (same != NULL && !custos_state_is_live(same))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "a key that was destroyed comes back with `custos key restore` only", "the key in %s is %s, which was destroyed", a->options->file,
		                 name);
	if (same != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "use it under that name", "the key in %s is in this custody already: it is %s", a->options->file, name);
	return CUSTOS_OK;
}

static struct custos_json *facts(const struct adoption *a)
{
	struct custos_json *fields = custos_json_object();
	custos_json_set_text(fields, "key", a->name);
	custos_json_set_text(fields, "type", custos_key_type_name(a->type));
	custos_json_set_text(fields, "spki_sha256", a->spki_sha256);
	custos_json_set_text(fields, "reason", a->options->reason);
	return fields;
}

static custos_rc record_intent(struct adoption *a, uint64_t *ret_intent, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *fields = facts(a);
	char mode[8];
	snprintf(mode, sizeof mode, "%04o", a->file_mode);
	custos_json_set_text(fields, "file_mode", mode);
	custos_json_set_hex(fields, "courier_sha256", a->met.sha256, sizeof a->met.sha256);
	custos_json_set_text(fields, "memory", a->met.memory_backend);
	return custos_vault_record(a->c, "key.import_intent", fields, ret_intent, err);
}

static custos_rc acknowledge(struct adoption *a, uint64_t intent, const struct custos_token_key *key, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO(custos_json) *fields = facts(a);
	/* somebody may have taken the name while the token was at work */
	CUSTOS_TRY(check_new(a, err));
	custos_json_set_int(fields, "intent", (int64_t)intent);
	custos_json_set_text(fields, "class", "deployable");
	custos_json_set_text(fields, "born", "file");
	CUSTOS_TRY(custos_vault_put_blob(a->c, "spki", custos_buf_view(&key->spki), hash, err));
	CUSTOS_TRY(custos_vault_put_blob(a->c, "container", custos_buf_view(&key->container), hash, err));
	custos_json_set_hex(fields, "container_sha256", hash, sizeof hash);
	custos_json_set_int(fields, "kek", a->c->open_kek);
	CUSTOS_TRY(custos_vault_append(a->c, "key.imported", fields, NULL, err));
	return custos_vault_commit(a->c, err);
}

static custos_rc adopt(struct adoption *a, struct custos_err *err)
{
	struct custos_token *token;
	uint8_t token_point[CUSTOS_POINT_SIZE];
	uint64_t intent = 0;
	CUSTOS_CLEANUP(custos_token_key_done) struct custos_token_key key = { 0 };
	CUSTOS_TRY(custos_vault_token(a->c, &token, err));
	CUSTOS_TRY(check_new(a, err));
	CUSTOS_TRY(record_intent(a, &intent, err));
	CUSTOS_TRY(custos_token_import_begin(token, token_point, err));
	CUSTOS_TRY(custos_courier_have_sealed(&a->helper, token_point, a->doing, a->sealed_point, &a->sealed, err));
	const struct custos_token_import import = { .type = a->type, .spki = custos_buf_view(&a->spki), .courier_point = a->sealed_point, .sealed = custos_buf_view(&a->sealed) };
	CUSTOS_TRY(custos_token_import(token, &import, &key, err));
	CUSTOS_TRY(custos_vault_begin(a->c, err));
	custos_rc rc = acknowledge(a, intent, &key, err);
	if (rc != CUSTOS_OK)
		custos_vault_abort(a->c);
	return rc;
}

custos_rc custos_key_import(struct custos_custody *c, const char *name, const struct custos_import_options *options, struct custos_json **ret_key, struct custos_err *err)
{
	CUSTOS_CLEANUP(adoption_done) struct adoption a = { .c = c, .name = name, .options = options, .helper = { .channel = { .fd = -1 } } };
	struct custos_token *token;
	CUSTOS_REQUIRE(options->reason != NULL && options->reason[0] != '\0', err, CUSTOS_E_USAGE, "say why: --reason TEXT");
	CUSTOS_TRY(check_name(&a, err));
	CUSTOS_TRY(custos_vault_check_deployable(c, err));
	/* the PIN is asked for before the key is in the clear anywhere but in its file */
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	snprintf(a.doing, sizeof a.doing, "reads %s", options->file);
	CUSTOS_TRY(custos_courier_meet(CUSTOS_JOB_IMPORT, &a.helper, &a.met, err));
	CUSTOS_TRY(send_file(&a, err));
	CUSTOS_TRY(read_key(&a, err));
	CUSTOS_TRY(adopt(&a, err));
	return custos_key_show(c, name, ret_key, err);
}

/* Enrolling a list: keys, their requests, the entries that say so, the files; in rounds, so that token and keeper work at the same time.
 *
 *   wants_key ──make──▶ drafted ──sign──▶ signed ──commit──▶ recorded ──write──▶ over          one round: start the batch {sign what is drafted,
 *   wants_request ──────▶                                                                      make the next}, write files, take results, commit
 *
 * A group of entries is one transaction with one signed checkpoint; only then are its requests written. The second proof of a new key is its request:
 * it is signed with the container, unwrapped, and verified before the key is acknowledged. An entry that fails leaves the others alone. */
#include "vault/enroll.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "token/batch.h"
#include "vault/file.h"
#include "vault/request.h"

#include <stdio.h>

/* How much a crash may cost: RSA keys take longer. */
enum { GROUP_WEIGHT = 32, RSA_WEIGHT = 2, FRAME_ROOM = CUSTOS_FRAME_BODY_MAX - 1024, QUEUE = 2 * CUSTOS_TOKEN_JOBS_MAX };

enum stage { WANTS_KEY, WANTS_REQUEST, DRAFTED, SIGNED, RECORDED, OVER };

struct item {
	const struct custos_enroll_entry *want;
	enum stage stage;
	const char *result;
	struct custos_err *failure;
	bool is_new;
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];  /* of a new sign-only key */
	struct custos_token_key made;      /* a new key */
	struct custos_vault_key stored;    /* one that was there */
	struct custos_csr_draft *draft;
	enum custos_signature algorithm;   /* of the draft */
	struct custos_buf der, pem;
	struct custos_json *facts;         /* of the request */
	char spki_sha256[2 * CUSTOS_HASH_SIZE + 1], csr_sha256[2 * CUSTOS_HASH_SIZE + 1];
};

struct queue {
	struct item *items[QUEUE];
	size_t count;
};

struct run {
	struct custos_custody *c;
	struct custos_token *token;
	const struct custos_enroll_options *options;
	unsigned sessions;
	struct custos_enroll_list list;
	struct custos_enroll_dir dir;
	struct item *items;
	size_t next;                       /* the first that no round has looked at */
	size_t over;
	bool wrote;                        /* files that are not synced yet */
	struct queue drafted, is_signed, recorded;
};

static void release_item(struct item *item)
{
	custos_token_key_done(&item->made);
	custos_vault_key_done(&item->stored);
	custos_csr_draft_free(CUSTOS_TAKE(item->draft));
	custos_json_free(CUSTOS_TAKE(item->facts));
	custos_buf_done(&item->der);
	custos_buf_done(&item->pem);
}

static void run_done(struct run *run)
{
	for (size_t i = 0; run->items != NULL && i < run->list.count; i++) {
		release_item(&run->items[i]);
		free(run->items[i].failure);
	}
	free(run->items);
	custos_enroll_list_done(&run->list);
	custos_enroll_dir_close(&run->dir);
}

static void finish(struct run *run, struct item *item, const char *result)
{
	release_item(item);
	item->result = result;
	item->stage = OVER;
	run->over++;
}

static void fail(struct run *run, struct item *item, const struct custos_err *why)
{
	item->failure = malloc(sizeof *item->failure);
	if (item->failure != NULL)
		*item->failure = *why;
	finish(run, item, "failed");
}

static void push(struct queue *queue, struct item *item)
{
	queue->items[queue->count++] = item;
}

static custos_rc hash_text(struct custos_bytes bytes, char hex[static 2 * CUSTOS_HASH_SIZE + 1], struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_sha256(bytes, hash, err));
	custos_text_hex(hash, sizeof hash, hex);
	return CUSTOS_OK;
}

static const char *class_name(const struct custos_enroll_entry *want)
{
	return want->class == CUSTOS_CLASS_DEPLOYABLE ? "deployable" : "sign-only";
}

/* ---- what is there already ---- */

static custos_rc refuse_file(const struct run *run, const struct item *item, const char *what, struct custos_err *err)
{
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "move it away, or name another directory", "%s/%s.csr exists, and %s", run->dir.path, item->want->name, what);
}

/* The request in the log asks for what the list asks for: all there is to do is to have it in the directory. */
static custos_rc complete(struct run *run, struct item *item, struct custos_bytes file, bool found, struct custos_err *err)
{
	CUSTOS_TRY(custos_csr_pem(custos_buf_view(&item->der), &item->pem, err));
	if (found && custos_enroll_dir_is_torn(file, custos_buf_view(&item->pem))) {
		CUSTOS_TRY(custos_enroll_dir_drop(&run->dir, item->want->name, err));
		found = false;
	}
	if (found && !custos_bytes_equal(file, custos_buf_view(&item->pem)))
		return refuse_file(run, item, "it is not the request that was made for this key", err);
	CUSTOS_TRY(hash_text(custos_buf_view(&item->der), item->csr_sha256, err));
	if (found) {
		finish(run, item, "unchanged");
	} else {
		item->stage = RECORDED;
		item->result = "written";
	}
	return CUSTOS_OK;
}

static custos_rc find_request(struct run *run, struct item *item, const struct custos_json *record, bool *ret_fits, struct custos_err *err)
{
	const struct custos_json *request = custos_json_get(record, "csr");
	const char *profile = custos_json_text(request, "profile");
	*ret_fits = false;
	if (profile == NULL || strcmp(profile, item->want->spec.profile) != 0)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_vault_get_blob(run->c, "the key's request", custos_json_text(request, "csr_sha256"), &item->der, err));
	return custos_csr_matches(custos_buf_view(&item->der), &item->want->spec, ret_fits, err);
}

static custos_rc look_at_existing(struct run *run, struct item *item, struct custos_bytes file, bool found, struct custos_err *err)
{
	const struct custos_json *record;
	const struct custos_enroll_entry *want = item->want;
	CUSTOS_TRY(custos_vault_find_key(run->c, want->name, &record, err));
	const char *type = custos_json_text(record, "type"), *class = custos_json_text(record, "class"), *spki = custos_json_text(record, "spki_sha256");
	if (strcmp(type, custos_key_type_name(want->type)) != 0 || strcmp(class, class_name(want)) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "choose another name; names are given once", "there is a key named %s already, %s and %s; line %u asks for %s and %s",
		                 want->name, type, class, want->line, custos_key_type_name(want->type), class_name(want));
	snprintf(item->spki_sha256, sizeof item->spki_sha256, "%s", spki == NULL ? "" : spki);
	bool fits;
	CUSTOS_TRY(find_request(run, item, record, &fits, err));
	if (fits)
		return complete(run, item, file, found, err);
	if (found)
		return refuse_file(run, item, "it is not what the list asks for", err);
	custos_buf_done(&item->der);
	item->stage = WANTS_REQUEST;
	item->result = "requested";
	return CUSTOS_OK;
}

static custos_rc look(struct run *run, struct item *item, struct custos_err *err)
{
	const struct custos_enroll_entry *want = item->want;
	CUSTOS_AUTO_BUF file = { 0 };
	bool found = false;
	CUSTOS_TRY(custos_vault_check_request(&want->spec, custos_key_type_name(want->type), err));
	CUSTOS_TRY(custos_enroll_dir_read(&run->dir, want->name, &file, &found, err));
	if (custos_state_key(&run->c->state, want->name) != NULL)
		return look_at_existing(run, item, custos_buf_view(&file), found, err);
	if (found)
		return refuse_file(run, item, "there is no key of that name", err);
	if (want->class == CUSTOS_CLASS_DEPLOYABLE)
		CUSTOS_TRY(custos_vault_check_deployable(run->c, err));
	item->is_new = true;
	item->stage = WANTS_KEY;
	item->result = "enrolled";
	return want->class == CUSTOS_CLASS_SIGN_ONLY ? custos_random(item->id, sizeof item->id, err) : CUSTOS_OK;
}

static bool look_at_all(struct run *run)
{
	bool needs_token = false;
	for (size_t i = 0; i < run->list.count; i++) {
		struct custos_err why = { 0 };
		struct item *item = &run->items[i];
		item->want = &run->list.entries[i];
		if (look(run, item, &why) != CUSTOS_OK)
			fail(run, item, &why);
		needs_token = needs_token || item->stage == WANTS_KEY || item->stage == WANTS_REQUEST;
	}
	return needs_token;
}

/* ---- one round ---- */

static void draft(struct run *run, struct item *item, struct custos_bytes spki)
{
	struct custos_err why = { 0 };
	custos_rc rc = custos_request_algorithm(item->want->spec.signature, item->want->type, &item->algorithm, &why);
	if (rc == CUSTOS_OK)
		rc = custos_csr_begin(&item->want->spec, spki, item->algorithm, &item->draft, &why);
	if (rc == CUSTOS_OK)
		rc = hash_text(spki, item->spki_sha256, &why);
	if (rc != CUSTOS_OK) {
		fail(run, item, &why);
		return;
	}
	item->stage = DRAFTED;
	push(&run->drafted, item);
}

static void load_and_draft(struct run *run, struct item *item)
{
	struct custos_err why = { 0 };
	const struct custos_json *record;
	custos_rc rc = custos_vault_find_key(run->c, item->want->name, &record, &why);
	if (rc == CUSTOS_OK)
		rc = custos_vault_load_key(run->c, record, &item->stored, &why);
	/* many at once are signed under one KEK */
	if (rc == CUSTOS_OK && item->stored.kek != 0 && item->stored.kek != custos_json_int(custos_state_kek(&run->c->state), "generation", 0))
		rc = custos_err_set_hinted(&why, CUSTOS_E_POLICY, "`custos key rewrap --to-new-kek` goes on with it", "key %s has not been moved to the current KEK yet", item->want->name);
	if (rc == CUSTOS_OK)
		draft(run, item, custos_buf_view(&item->stored.spki));
	else
		fail(run, item, &why);
}

struct round {
	struct custos_token_job jobs[CUSTOS_TOKEN_JOBS_MAX];
	struct item *of[CUSTOS_TOKEN_JOBS_MAX];
	char labels[CUSTOS_TOKEN_JOBS_MAX][CUSTOS_VAULT_LABEL_SIZE];
	size_t count, room;
};

static void add_make(struct round *round, struct item *item)
{
	const struct custos_enroll_entry *want = item->want;
	bool stays = want->class == CUSTOS_CLASS_SIGN_ONLY;
	char *label = round->labels[round->count];
	if (stays)
		custos_vault_label_key(want->name, item->id, label);
	struct custos_token_job job = { .kind = CUSTOS_JOB_MAKE, .type = want->type, .class = want->class, .id = stays ? item->id : NULL, .label = stays ? label : "" };
	round->room -= custos_token_job_size(&job);
	round->of[round->count] = item;
	round->jobs[round->count++] = job;
}

static struct custos_token_job sign_job(const struct item *item)
{
	const struct custos_vault_key *stored = &item->stored;
	return (struct custos_token_job){
		.kind = CUSTOS_JOB_SIGN, .type = item->want->type,
		.id = !item->is_new ? stored->ref.id : item->want->class == CUSTOS_CLASS_SIGN_ONLY ? item->id : NULL,
		.container = item->is_new ? custos_buf_view(&item->made.container) : stored->ref.container,
		.spki = item->is_new ? custos_buf_view(&item->made.spki) : stored->ref.spki,
		.message = custos_csr_message(item->draft), .algorithm = item->algorithm,
	};
}

/* What is drafted is signed first, as much of it as fits one frame; the rest waits for the next round. */
static void add_signs(struct run *run, struct round *round)
{
	struct queue rest = { .count = 0 };
	for (size_t i = 0; i < run->drafted.count; i++) {
		struct item *item = run->drafted.items[i];
		struct custos_token_job job = sign_job(item);
		size_t size = custos_token_job_size(&job);
		struct custos_err why = { 0 };
		if (size > FRAME_ROOM / 2) {
			(void)custos_err_set(&why, CUSTOS_E_INPUT, 0, "the request for key %s is too large", item->want->name);
			fail(run, item, &why);
		} else if (size > round->room || round->count == CUSTOS_TOKEN_JOBS_MAX - GROUP_WEIGHT) {
			push(&rest, item);
		} else {
			round->room -= size;
			round->of[round->count] = item;
			round->jobs[round->count++] = job;
		}
	}
	run->drafted = rest;
}

/* Takes the next entries into work: keys to make, and requests for keys that are there. */
static void add_next(struct run *run, struct round *round)
{
	unsigned weight = (unsigned)run->drafted.count;
	for (; run->next < run->list.count && weight < GROUP_WEIGHT && round->count < CUSTOS_TOKEN_JOBS_MAX && round->room > 1024; run->next++) {
		struct item *item = &run->items[run->next];
		bool is_rsa = custos_key_type_bits(item->want->type) > 0;
		if (item->stage == WANTS_KEY)
			add_make(round, item);
		else if (item->stage == WANTS_REQUEST)
			load_and_draft(run, item);
		else if (item->stage == RECORDED && run->recorded.count < GROUP_WEIGHT)
			push(&run->recorded, item);
		else if (item->stage == RECORDED)
			break;
		else
			continue;
		weight += is_rsa ? RSA_WEIGHT : 1;
	}
}

static void take_signature(struct run *run, struct item *item, const struct custos_buf *signature)
{
	struct custos_err why = { 0 };
	custos_rc rc = custos_csr_finish(item->draft, custos_buf_view(signature), &item->der, &item->facts, &why);
	if (rc == CUSTOS_OK)
		rc = custos_csr_pem(custos_buf_view(&item->der), &item->pem, &why);
	if (rc == CUSTOS_OK)
		rc = hash_text(custos_buf_view(&item->der), item->csr_sha256, &why);
	if (rc != CUSTOS_OK) {
		fail(run, item, &why);
		return;
	}
	custos_csr_draft_free(CUSTOS_TAKE(item->draft));
	item->stage = SIGNED;
	push(&run->is_signed, item);
}

static void take_result(struct run *run, const struct round *round, struct custos_token_result *result)
{
	struct item *item = round->of[result->job];
	if (result->rc != CUSTOS_OK) {
		fail(run, item, &result->why);
	} else if (round->jobs[result->job].kind == CUSTOS_JOB_SIGN) {
		take_signature(run, item, &result->signature);
	} else {
		item->made = result->key;
		result->key = (struct custos_token_key){ 0 };
		draft(run, item, custos_buf_view(&item->made.spki));
	}
}

/* The requests of entries that are durable. What cannot be written is kept in the store, and the next run writes it. */
static void write_files(struct run *run)
{
	for (size_t i = 0; i < run->recorded.count; i++) {
		struct item *item = run->recorded.items[i];
		struct custos_err why = { 0 };
		if (custos_enroll_dir_write(&run->dir, item->want->name, custos_buf_view(&item->pem), &why) == CUSTOS_OK)
			finish(run, item, item->result);
		else
			fail(run, item, &why);
	}
	run->wrote = run->wrote || run->recorded.count > 0;
	run->recorded.count = 0;
	if (run->options->progress != NULL)
		run->options->progress(run->options->ctx, run->over, run->list.count);
}

/* ---- a group becomes durable ---- */

/* Somebody may have been faster since the list was looked at. */
static custos_rc check_place(const struct run *run, const struct item *item, struct custos_err *err)
{
	const struct custos_json *record = custos_state_key(&run->c->state, item->want->name);
	if (item->is_new) {
		CUSTOS_REQUIRE(record == NULL, err, CUSTOS_E_POLICY, "there is a key named %s already: somebody was faster", item->want->name);
		CUSTOS_REQUIRE(custos_state_key_by_spki(&run->c->state, item->spki_sha256) == NULL, err, CUSTOS_E_TOKEN, "the token made a key for %s that is there under another name",
		               item->want->name);
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_vault_find_key(run->c, item->want->name, &record, err));
	const char *spki = custos_json_text(record, "spki_sha256");
	CUSTOS_REQUIRE(spki != NULL && strcmp(spki, item->spki_sha256) == 0, err, CUSTOS_E_POLICY, "key %s is another one now", item->want->name);
	return CUSTOS_OK;
}

static custos_rc append_item(struct run *run, const struct item *item, struct custos_err *err)
{
	const uint8_t *id = item->want->class == CUSTOS_CLASS_SIGN_ONLY ? item->id : NULL;
	if (item->is_new)
		CUSTOS_TRY(custos_vault_append_key(run->c, item->want->name, &item->made, id, err));
	return custos_vault_append_request(run->c, item->want->name, &item->want->spec, custos_buf_view(&item->der), item->facts, err);
}

static custos_rc append_all(struct run *run, size_t *ret_count, struct custos_err *err)
{
	*ret_count = 0;
	for (size_t i = 0; i < run->is_signed.count; i++) {
		struct item *item = run->is_signed.items[i];
		struct custos_err why = { 0 };
		if (check_place(run, item, &why) != CUSTOS_OK) {
			fail(run, item, &why);
			continue;
		}
		CUSTOS_TRY(append_item(run, item, err));
		(*ret_count)++;
	}
	return CUSTOS_OK;
}

static custos_rc commit_group(struct run *run, struct custos_err *err)
{
	size_t count = 0;
	if (run->is_signed.count == 0)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_vault_begin(run->c, err));
	custos_rc rc = append_all(run, &count, err);
	if (rc == CUSTOS_OK && count > 0)
		rc = custos_vault_commit(run->c, err);
	if (rc != CUSTOS_OK || count == 0)
		custos_vault_abort(run->c);
	CUSTOS_TRY(rc);
	for (size_t i = 0; i < run->is_signed.count; i++) {
		struct item *item = run->is_signed.items[i];
		if (item->stage != SIGNED)
			continue;
		item->stage = RECORDED;
		push(&run->recorded, item);
	}
	run->is_signed.count = 0;
	return CUSTOS_OK;
}

static custos_rc work_round(struct run *run, struct custos_err *err)
{
	struct round round = { .room = FRAME_ROOM };
	struct custos_token_batch batch;
	bool more = true;
	add_signs(run, &round);
	add_next(run, &round);
	if (round.count == 0) {
		write_files(run);
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_token_batch_start(run->token, round.jobs, round.count, run->sessions, &batch, err));
	write_files(run);
	while (more) {
		CUSTOS_CLEANUP(custos_token_result_done) struct custos_token_result result = { 0 };
		CUSTOS_TRY(custos_token_batch_next(&batch, &result, &more, err));
		if (more)
			take_result(run, &round, &result);
	}
	return commit_group(run, err);
}

static custos_rc work_off(struct run *run, struct custos_err *err)
{
	custos_rc rc = CUSTOS_OK;
	while (rc == CUSTOS_OK && (run->next < run->list.count || run->drafted.count > 0 || run->recorded.count > 0))
		rc = work_round(run, err);
	if (rc != CUSTOS_OK)
		write_files(run); /* what is durable is durable */
	custos_rc synced = run->wrote ? custos_enroll_dir_sync(&run->dir, err) : CUSTOS_OK;
	return rc != CUSTOS_OK ? rc : synced;
}

/* ---- what is said of it ---- */

static struct custos_json *describe(const struct run *run, const struct item *item)
{
	struct custos_json *said = custos_json_object();
	CUSTOS_AUTO_BUF file = { 0 };
	bool done = item->stage == OVER && item->failure == NULL && strcmp(item->result, "failed") != 0;
	custos_json_set_text(said, "name", item->want->name);
	custos_json_set_text(said, "type", custos_key_type_name(item->want->type));
	custos_json_set_text(said, "class", class_name(item->want));
	custos_json_set_text(said, "result", item->stage == OVER ? item->result : "not_tried");
	if (done && custos_buf_printf(&file, NULL, "%s/%s.csr", run->dir.path, item->want->name) == CUSTOS_OK) {
		custos_json_set_text(said, "spki_sha256", item->spki_sha256);
		custos_json_set_text(said, "csr_sha256", item->csr_sha256);
		custos_json_set_text(said, "file", (const char *)file.ptr);
	}
	if (item->failure != NULL) {
		custos_json_set_text(said, "error", item->failure->msg);
		if (item->failure->hint[0] != '\0')
			custos_json_set_text(said, "hint", item->failure->hint);
	}
	return said;
}

static custos_rc judge(const struct run *run, struct custos_err *err)
{
	const struct item *first = NULL;
	size_t failed = 0;
	for (size_t i = 0; i < run->list.count; i++) {
		if (run->items[i].stage != OVER || strcmp(run->items[i].result, "failed") != 0)
			continue;
		first = first == NULL ? &run->items[i] : first;
		failed++;
	}
	if (first == NULL)
		return CUSTOS_OK;
	custos_rc rc = failed < run->list.count ? CUSTOS_E_SOME_FAILED : first->failure != NULL ? first->failure->rc : CUSTOS_E_SYSTEM;
	CUSTOS_FAIL_HINT(err, rc, first->failure != NULL ? first->failure->hint : "", "%zu of %zu keys were not enrolled; the first, %s: %s", failed, run->list.count,
	                 first->want->name, first->failure != NULL ? first->failure->msg : "out of memory");
}

static unsigned sessions_for(const struct custos_enroll_options *options)
{
	long processors = options->jobs > 0 ? (long)options->jobs : sysconf(_SC_NPROCESSORS_ONLN);
	return processors < 1 ? 1 : processors > CUSTOS_TOKEN_SESSIONS_MAX ? CUSTOS_TOKEN_SESSIONS_MAX : (unsigned)processors;
}

custos_rc custos_enroll(struct custos_custody *c, const struct custos_enroll_options *options, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_CLEANUP(run_done) struct run run = { .c = c, .options = options, .sessions = sessions_for(options), .dir = { .fd = -1 } };
	CUSTOS_AUTO_BUF yaml = { 0 };
	CUSTOS_TRY(custos_file_read(options->file, &yaml, err));
	CUSTOS_TRY(custos_enroll_read(custos_buf_view(&yaml), options->file, &run.list, err));
	CUSTOS_TRY(custos_enroll_dir_open(options->out, &run.dir, err));
	run.items = calloc(run.list.count, sizeof *run.items);
	CUSTOS_REQUIRE(run.items != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	custos_rc rc = look_at_all(&run) ? custos_vault_token(c, &run.token, err) : CUSTOS_OK;
	if (rc == CUSTOS_OK)
		rc = work_off(&run, err);
	*ret_report = custos_json_array();
	for (size_t i = 0; i < run.list.count; i++)
		custos_json_push(*ret_report, describe(&run, &run.items[i]));
	return rc == CUSTOS_OK ? judge(&run, err) : rc;
}

/* A token to play with: a SoftHSM token in a directory of its own, made by softhsm-fixtures/softhsm.bash, and what a custody would make on it.
 * A small log lives in memory, so that releases can be shown to custos-token as the log layer would show them. */
#ifndef CUSTOS_TESTS_TOKEN_LAB_H
#define CUSTOS_TESTS_TOKEN_LAB_H

#include "crypto/digest.h"
#include "crypto/seal.h"
#include "crypto/verify.h"
#include "data/json.h"
#include "token/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#define LAB_SOFTHSM "softhsm"
enum { LAB_LEAVES_MAX = 64 };

struct lab {
	char dir[64], serial[17], uri[96];
	char shim[96], real_module[128], report[96]; /* lab_shim() fills them */
	struct custos_token *token;
	uint8_t kek_id[16], log_id[16];
	struct custos_token_key canary, log_key;
	struct custos_signer signer;
	custos_hash leaves[LAB_LEAVES_MAX];
	size_t count;
	enum custos_transport transport;   /* of the next intent */
	struct custos_bytes courier_key;   /* SPKI in it, where the transport needs one */
	struct custos_err err;
};

#define LAB_OK(lab, call) \
	do { \
		custos_err_clear(&(lab)->err); \
		if ((call) != CUSTOS_OK) \
			fail_msg("%s: %s [%s]", #call, (lab)->err.msg, (lab)->err.hint); \
	} while (0)
/* The call fails in this category and its message holds this text. */
#define LAB_FAILS(lab, call, category, text) \
	do { \
		custos_err_clear(&(lab)->err); \
		custos_rc lab_rc_ = (call); \
		if (lab_rc_ != (category) || strstr((lab)->err.msg, (text)) == NULL) \
			fail_msg("%s: gave %s “%s”, not %s “%s”", #call, custos_rc_name(lab_rc_), (lab)->err.msg, custos_rc_name(category), (text)); \
	} while (0)

/* A local KEK, for the calls that open one. */
#define LAB_KEK(id, container, public_key) (&(const struct custos_token_kek){ CUSTOS_KEK_LOCAL_ONLY, (id), custos_buf_view(&(container)), custos_buf_view(&(public_key)) })

/* Runs a line of bash with the fixture sourced in the lab's directory and returns its first line of output. */
static inline void lab_bash(const struct lab *lab, const char *line, char *out, size_t size)
{
	char command[2048], rest[256];
	snprintf(command, sizeof command, "bash -c 'set -e; . %s; softhsm_setup %s; %s'", LAB_FIXTURE, lab->dir, line);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	out[0] = '\0';
	if (fgets(out, (int)size, pipe) != NULL)
		out[strcspn(out, "\n")] = '\0';
	while (fgets(rest, sizeof rest, pipe) != NULL)
		;
	assert_int_equal(pclose(pipe), 0);
}

static inline struct custos_secret *lab_pin(const char *text)
{
	int ends[2];
	struct custos_secret *pin = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
	close(ends[1]);
	assert_int_equal(custos_secret_read_line(ends[0], 255, "PIN", &pin, &err), CUSTOS_OK);
	close(ends[0]);
	return pin;
}

static inline struct custos_secret *lab_own_pin(const struct lab *lab)
{
	char path[128], text[64] = "";
	snprintf(path, sizeof path, "%s/pin", lab->dir);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	fclose(file);
	return lab_pin(text);
}

/* A directory with one token called `label`. */
static inline void lab_make(struct lab *lab, const char *label)
{
	char line[512];
	memset(lab, 0, sizeof *lab);
	snprintf(lab->dir, sizeof lab->dir, "/tmp/custos-token-XXXXXX");
	assert_non_null(mkdtemp(lab->dir));
	snprintf(line, sizeof line, "softhsm_new_pin %s/so-pin; softhsm_new_pin %s/pin; softhsm_init_token %s %s/so-pin %s/pin", lab->dir, lab->dir, label, lab->dir, lab->dir);
	lab_bash(lab, line, lab->serial, sizeof lab->serial);
	assert_int_equal(strlen(lab->serial), 16);
	snprintf(lab->uri, sizeof lab->uri, "pkcs11:token=%s", label);
	snprintf(line, sizeof line, "%s/softhsm2.conf", lab->dir);
	setenv("SOFTHSM2_CONF", line, 1);
}

static inline void lab_close(struct lab *lab)
{
	custos_token_free(lab->token);
	lab->token = NULL;
}

static inline void lab_remove(struct lab *lab)
{
	char line[128], none[8];
	lab_close(lab);
	custos_token_key_done(&lab->canary);
	custos_token_key_done(&lab->log_key);
	/* custos never removes a lock file; these are of serials that nobody will meet again */
	lab_bash(lab, "for s in $(softhsm_serials); do rm -f /run/lock/custos/$s; done", none, sizeof none);
	snprintf(line, sizeof line, "rm -rf %s", lab->dir);
	assert_int_equal(system(line), 0);
}

static inline void lab_open(struct lab *lab)
{
	struct custos_token_where where = { .module = LAB_MODULE, .uri = lab->uri, .serial = lab->serial };
	LAB_OK(lab, custos_token_open(&where, &lab->token, &lab->err));
}

static inline void lab_login(struct lab *lab)
{
	struct custos_secret *pin = lab_own_pin(lab);
	LAB_OK(lab, custos_token_login(lab->token, pin, &lab->err));
	custos_secret_free(pin);
}

/* What `custos init` does: KEK, canary, log key. */
static inline void lab_furnish(struct lab *lab)
{
	struct custos_json *attributes = NULL;
	LAB_OK(lab, custos_random(lab->kek_id, sizeof lab->kek_id, &lab->err));
	LAB_OK(lab, custos_random(lab->log_id, sizeof lab->log_id, &lab->err));
	LAB_OK(lab, custos_token_kek_create(lab->token, lab->kek_id, "custos-kek", CUSTOS_KEK_BORN_LOCAL, &attributes, &lab->err));
	custos_json_free(attributes);
	LAB_OK(lab, custos_token_key_generate(lab->token, CUSTOS_KEY_EC_P256, &lab->canary, &lab->err));
	LAB_OK(lab, custos_token_log_key_create(lab->token, lab->log_id, "custos-log", &lab->log_key, &lab->err));
	LAB_OK(lab, custos_token_log_signer(lab->token, lab->log_id, custos_buf_view(&lab->log_key.spki), &lab->signer, &lab->err));
}

static inline void lab_reopen(struct lab *lab)
{
	lab_close(lab);
	lab_open(lab);
	lab_login(lab);
	LAB_OK(lab, custos_token_kek_open(lab->token, LAB_KEK(lab->kek_id, lab->canary.container, lab->canary.spki), &lab->err));
	LAB_OK(lab, custos_token_log_signer(lab->token, lab->log_id, custos_buf_view(&lab->log_key.spki), &lab->signer, &lab->err));
}

/* A new process with a token called `label`, logged in, furnished: what a test group's setup returns. */
int lab_start(struct lab *lab, const char *label);
/* Puts the module that misbehaves (token_shim.c) where custos-token takes it from: root's, and nobody else may write it. */
void lab_shim(struct lab *lab);
/* From now on it plays this part, and reports into an empty file; what it has written there since, letter by letter, is exactly this. */
void lab_play(const struct lab *lab, const char *part);
void lab_saw(const struct lab *lab, const char *letters);

/* An intent as the log would commit it, and everything a release needs. */
struct lab_intent {
	struct custos_buf leaf, body, hosts;
	custos_hash *proof;
	size_t proof_count;
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_ephemeral *courier;
	struct custos_release_terms terms;
};

static inline void lab_intent_done(struct lab_intent *intent)
{
	custos_buf_done(&intent->leaf);
	custos_buf_done(&intent->body);
	custos_buf_done(&intent->hosts);
	free(intent->proof);
	custos_ephemeral_free(intent->courier);
	memset(intent, 0, sizeof *intent);
}

static inline void lab_body(struct lab *lab, size_t count, struct custos_buf *body)
{
	struct custos_merkle *m = NULL;
	uint8_t root[CUSTOS_HASH_SIZE];
	LAB_OK(lab, custos_merkle_new(&m, &lab->err));
	LAB_OK(lab, custos_merkle_root(m, (const custos_hash *)lab->leaves, count, root, &lab->err));
	LAB_OK(lab, custos_buf_printf(body, &lab->err, "log.example/custody\n%zu\n", count));
	LAB_OK(lab, custos_base64_encode(CUSTOS_BYTES(root, sizeof root), body, &lab->err));
	LAB_OK(lab, custos_buf_append_str(body, "\n", &lab->err));
	custos_merkle_free(m);
}

static inline void lab_append(struct lab *lab, struct custos_bytes leaf)
{
	struct custos_merkle *m = NULL;
	assert_true(lab->count < LAB_LEAVES_MAX);
	LAB_OK(lab, custos_merkle_new(&m, &lab->err));
	LAB_OK(lab, custos_merkle_leaf(m, leaf, lab->leaves[lab->count++], &lab->err));
	custos_merkle_free(m);
}

static inline void lab_prove(struct lab *lab, size_t index, struct lab_intent *intent)
{
	struct custos_merkle *m = NULL;
	free(intent->proof);
	LAB_OK(lab, custos_merkle_new(&m, &lab->err));
	LAB_OK(lab, custos_merkle_prove(m, (const custos_hash *)lab->leaves, lab->count, index, &intent->proof, &intent->proof_count, &lab->err));
	custos_merkle_free(m);
}

/* Writes and appends the entry and proves it, but signs nothing. `event` and `host` are what the cheats change. */
static inline void lab_log_intent(struct lab *lab, const struct custos_token_key *key, const char *event, const char *host, struct lab_intent *intent)
{
	memset(intent, 0, sizeof *intent);
	LAB_OK(lab, custos_ephemeral_new(&intent->courier, intent->point, &lab->err));
	LAB_OK(lab, custos_sha256(custos_buf_view(&key->container), intent->terms.container_sha256, &lab->err));
	memcpy(intent->terms.courier_point, intent->point, sizeof intent->point);
	struct custos_json *entry = custos_json_object(), *hosts = custos_json_array(), *one = custos_json_object();
	custos_json_set_text(one, "target", host);
	custos_json_set_text(one, "address", "192.0.2.10:22");
	custos_json_push(hosts, one);
	LAB_OK(lab, custos_json_line(hosts, &intent->hosts, &lab->err));
	LAB_OK(lab, custos_sha256(custos_buf_view(&intent->hosts), intent->terms.hosts_sha256, &lab->err));
	custos_json_set_int(entry, "v", 1);
	custos_json_set_int(entry, "index", (int64_t)lab->count);
	custos_json_set_text(entry, "event", event);
	custos_json_set_text(entry, "time", "2026-11-23T07:00:00Z");
	custos_json_set_hex(entry, "container_sha256", intent->terms.container_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_hex(entry, "courier_point", intent->point, CUSTOS_POINT_SIZE);
	custos_json_set_text(entry, "transport", custos_transport_name(lab->transport));
	intent->terms.transport = lab->transport;
	if (lab->courier_key.len > 0) {
		LAB_OK(lab, custos_sha256(lab->courier_key, intent->terms.courier_key_sha256, &lab->err));
		custos_json_set_hex(entry, "courier_key_sha256", intent->terms.courier_key_sha256, CUSTOS_HASH_SIZE);
	}
	custos_json_set(entry, strcmp(event, "kek.backup_intent") == 0 ? "receivers" : "hosts", hosts);
	LAB_OK(lab, custos_json_line(entry, &intent->leaf, &lab->err));
	custos_json_free(entry);
	lab_append(lab, custos_buf_view(&intent->leaf));
	lab_prove(lab, lab->count - 1, intent);
	lab_body(lab, lab->count, &intent->body);
}

static inline void lab_sign(struct lab *lab, const struct custos_buf *body)
{
	CUSTOS_AUTO_BUF signature = { 0 };
	LAB_OK(lab, lab->signer.sign(lab->signer.ctx, custos_buf_view(body), &signature, &lab->err));
	LAB_OK(lab, custos_verify("the log", lab->signer.spki, lab->signer.algorithm, custos_buf_view(body), custos_buf_view(&signature), &lab->err));
}

static inline void lab_commit_intent(struct lab *lab, const struct custos_token_key *key, struct lab_intent *intent)
{
	lab_log_intent(lab, key, "release.intent", "esx1.example", intent);
	lab_sign(lab, &intent->body);
}

static inline struct custos_token_key_ref lab_ref(const struct custos_token_key *key)
{
	return (struct custos_token_key_ref){ .type = key->type, .spki = custos_buf_view(&key->spki), .container = custos_buf_view(&key->container) };
}

static inline struct custos_release_request lab_request(const struct custos_token_key_ref *ref, const struct lab_intent *intent)
{
	return (struct custos_release_request){
		.key = ref, .courier_point = intent->point, .leaf = custos_buf_view(&intent->leaf), .proof = (const uint8_t (*)[CUSTOS_HASH_SIZE])intent->proof,
		.proof_count = intent->proof_count, .checkpoint_body = custos_buf_view(&intent->body), .hosts_line = custos_buf_view(&intent->hosts),
	};
}

#endif

/* A custody: one directory, one token, one log.
 *
 * What a custody knows is its log replayed: keys, certificates, targets and releases are entries that a key on the token has signed. The store
 * holds those entries and, by their hash, the bytes they speak of. Reading functions need neither token nor PIN and return JSON documents whose
 * fields are the contract of the command line; changing functions log in to the token once (the PIN is asked for through `struct custos_pin`), and
 * leave either a signed entry or nothing.
 *
 * Ownership: every `ret_` document or text is the caller's to free. NULL arguments are errors unless said otherwise. Not thread-safe. */
#ifndef CUSTOS_CUSTODY_H
#define CUSTOS_CUSTODY_H

#include <custos/json.h>
#include <custos/secret.h>

#define CUSTOS_API __attribute__((warn_unused_result)) custos_rc

struct custos_custody;

/* Where PINs come from. `what` says which ("PIN of token lab"). Called once per login: one attempt, never a second. */
struct custos_pin {
	void *ctx;
	__attribute__((warn_unused_result)) custos_rc (*get)(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err);
};

struct custos_init_options {
	const char *dir;        /* must not exist, or be empty */
	const char *module;     /* PKCS#11 module: a name in the system's directory or an absolute path owned by root */
	const char *token_uri;  /* RFC 7512, selects exactly one token */
	const char *origin;     /* name of the log, e.g. custody.example/lab; NULL: made from the machine's name and the token's label */
	const char *store;      /* NULL: sqlite:custody.db */
	const char *trust;      /* PEM file of trust anchors a client would use; NULL: the system's */
};
/* Makes the directory with custody.yaml and store; generates KEK and log key on the token with read-back; writes and signs the genesis entry.
 * *ret_report: {"dir","origin","vkey","checkpoint","token":{…},"kek":{…}}. On failure nothing is left in the directory; key objects already made on the
 * token are named in the error. */
CUSTOS_API custos_custody_init(const struct custos_init_options *options, const struct custos_pin *pin, struct custos_json **ret_report, struct custos_err *err);

/* Opens and verifies the whole log, replays it, and marks releases that nobody finished as unknown. `pin` may be NULL for reading only. */
CUSTOS_API custos_custody_open(const char *dir, const struct custos_pin *pin, struct custos_custody **ret_custody, struct custos_err *err);
void custos_custody_free(struct custos_custody *custody);

/* `pin:` of custody.yaml, or NULL. Borrowed. */
const char *custos_custody_pin_source(const struct custos_custody *custody);

CUSTOS_API custos_custody_status(struct custos_custody *custody, struct custos_json **ret_status, struct custos_err *err);
/* How many things in a status need a person (unknown releases, expired or soon expiring certificates, …). */
size_t custos_status_count_urgent(const struct custos_json *status);

/* Keys. `type` and `key_class` as in cli.md. */
CUSTOS_API custos_key_generate(struct custos_custody *custody, const char *name, const char *type, const char *key_class, struct custos_json **ret_key, struct custos_err *err);
CUSTOS_API custos_key_list(struct custos_custody *custody, struct custos_json **ret_keys, struct custos_err *err);
CUSTOS_API custos_key_show(struct custos_custody *custody, const char *name, struct custos_json **ret_key, struct custos_err *err);
CUSTOS_API custos_key_allow(struct custos_custody *custody, const char *name, const char *const targets[], size_t count, struct custos_json **ret_key, struct custos_err *err);

/* Certificates. `sans` is NULL-terminated: dns:… ip:… email:… uri:… ; *ret_pem is the signed request. */
CUSTOS_API custos_csr_request(struct custos_custody *custody, const char *name, const char *subject, const char *const sans[], const char *profile, char **ret_pem, struct custos_err *err);
/* The report of `cert check` is returned also when the certificate is refused (CUSTOS_E_INPUT). */
CUSTOS_API custos_cert_accept(struct custos_custody *custody, const char *name, const char *const files[], size_t count, struct custos_json **ret_report, struct custos_err *err);
CUSTOS_API custos_cert_show(struct custos_custody *custody, const char *name, struct custos_json **ret_cert, struct custos_err *err);
CUSTOS_API custos_cert_show_pem(struct custos_custody *custody, const char *name, char **ret_pem, struct custos_err *err);
/* Without a custody. `for_profile`: "server", "esxi" or NULL; `trust`: file, "system" or NULL (not judged). */
CUSTOS_API custos_cert_inspect(const char *const files[], size_t count, const char *for_profile, const char *trust, struct custos_json **ret_report, struct custos_err *err);

/* Targets. `record` as in the log: {"name","address","user","profile" (name or file),"hostkeys":[…],"verify":[…],"sni","auth","group","ssh_legacy"}. */
CUSTOS_API custos_target_add(struct custos_custody *custody, const struct custos_json *record, struct custos_json **ret_target, struct custos_err *err);
CUSTOS_API custos_target_remove(struct custos_custody *custody, const char *name, struct custos_err *err);
CUSTOS_API custos_target_list(struct custos_custody *custody, struct custos_json **ret_targets, struct custos_err *err);
CUSTOS_API custos_target_show(struct custos_custody *custody, const char *name, struct custos_json **ret_target, struct custos_err *err);

/* Releases without outcome, and a person closing one (`as`: "done" or "failed"). */
CUSTOS_API custos_release_list(struct custos_custody *custody, struct custos_json **ret_releases, struct custos_err *err);
CUSTOS_API custos_release_resolve(struct custos_custody *custody, uint64_t index, const char *as, const char *note, struct custos_err *err);

/* The log. */
CUSTOS_API custos_journal_show(struct custos_custody *custody, uint64_t from, struct custos_json **ret_entries, struct custos_err *err);
CUSTOS_API custos_journal_verify(struct custos_custody *custody, const char *since_file, struct custos_json **ret_report, struct custos_err *err);
CUSTOS_API custos_journal_checkpoint(struct custos_custody *custody, struct custos_json **ret_checkpoint, struct custos_err *err);
CUSTOS_API custos_journal_publish(struct custos_custody *custody, const char *dir, struct custos_json **ret_report, struct custos_err *err);
/* Without a custody: a published directory and its vkey. */
CUSTOS_API custos_journal_verify_published(const char *dir, const char *vkey, const char *since_file, struct custos_json **ret_report, struct custos_err *err);

/* Tokens, without a custody. */
CUSTOS_API custos_tokens_list(const char *module, struct custos_json **ret_tokens, struct custos_err *err);
CUSTOS_API custos_tokens_show(const char *module, const char *uri, struct custos_json **ret_token, struct custos_err *err);
/* `so_pin` and `pin` are asked for one after the other. `uri` may be NULL: the first slot without a token. */
CUSTOS_API custos_tokens_init(const char *module, const char *uri, const char *label, const struct custos_pin *so_pin, const struct custos_pin *pin,
                              struct custos_json **ret_token, struct custos_err *err);

#endif

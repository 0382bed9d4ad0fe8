/* A custody: one directory, one token, one log.
 *
 * What a custody knows is its log replayed: keys, certificates, targets and releases are entries that a key on the token has signed.
 * The store holds those entries and, by their hash, the bytes they speak of. Reading functions need neither token nor PIN and return
 * JSON documents whose fields are the contract of the command line (`--json` in the manual); changing functions log in to the token
 * once (the PIN is asked for through `struct custos_pin`), and leave either a signed entry or nothing.
 *
 * Ownership: what is passed in is borrowed for the call; every `ret_` document (custos_json_free()) and text (free()) is the caller's.
 * NULL is not allowed where nothing is said of it. Not thread-safe. Errors are those of custos/err.h; every function that is given a
 * custody may also return CUSTOS_E_STORE and CUSTOS_E_TAMPERED, every changing one CUSTOS_E_AUTH (PIN) and CUSTOS_E_TOKEN. */
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
	const char *dir;        /* made (0700) when it does not exist; must not hold a custody yet */
	const char *module;     /* PKCS#11 module: a name in the system's directory or an absolute path owned by root */
	const char *token_uri;  /* RFC 7512, selects exactly one token */
	const char *origin;     /* name of the log, e.g. custody.example/lab; NULL: made from the machine's name and the token's label */
	const char *store;      /* NULL: sqlite:custody.db */
	const char *trust;      /* PEM file of trust anchors a client would use; NULL: the system's */
};
/* Makes the directory with custody.yaml and store; generates KEK and log key on the token with read-back; writes and signs the genesis
 * entry. *ret_report: {"dir","origin","size","root","entries","vkey","checkpoint","token":{…},"kek":{…}}. On failure nothing is left in the
 * directory; key objects already made on the token are named in the error's hint. */
CUSTOS_API custos_custody_init(const struct custos_init_options *options, const struct custos_pin *pin, struct custos_json **ret_report,
                               struct custos_err *err);

/* Opens and verifies the whole log, replays it, and marks releases that nobody finished as unknown. `pin` may be NULL for reading only;
 * it is copied, its `ctx` must outlive the custody. CUSTOS_E_POLICY: directory or custody.yaml belong to somebody else or can be
 * written by others; CUSTOS_E_TAMPERED: the log is not what the token has signed. */
CUSTOS_API custos_custody_open(const char *dir, const struct custos_pin *pin, struct custos_custody **ret_custody, struct custos_err *err);
void custos_custody_free(struct custos_custody *custody); /* NULL is fine */

/* `pin:` of custody.yaml, or NULL. Borrowed. */
const char *custos_custody_pin_source(const struct custos_custody *custody);

/* {"keys":[…],"targets":[…],"open_releases":[…],"log":{…,"unsigned"},"token":{…},"kek":{"variant","backup"}}. */
CUSTOS_API custos_custody_status(struct custos_custody *custody, struct custos_json **ret_status, struct custos_err *err);
/* How many things in a status need a person: open releases, certificates that have expired or will within 30 days, hosts whose last
 * deployment or rollback ended badly. */
size_t custos_status_count_urgent(const struct custos_json *status);

/* Keys; documents as of custos-key(1). `type`: "rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ed25519" (sign-only).
 * `key_class`: "deployable" (kept wrapped) or "sign-only" (never leaves the token). A name that is taken is CUSTOS_E_POLICY, one that
 * nobody has is CUSTOS_E_INPUT; so it is for targets. */
CUSTOS_API custos_key_generate(struct custos_custody *custody, const char *name, const char *type, const char *key_class,
                               struct custos_json **ret_key, struct custos_err *err);
CUSTOS_API custos_key_list(struct custos_custody *custody, struct custos_json **ret_keys, struct custos_err *err);
CUSTOS_API custos_key_show(struct custos_custody *custody, const char *name, struct custos_json **ret_key, struct custos_err *err);
/* Adds to the targets a deployable key may go to. */
CUSTOS_API custos_key_allow(struct custos_custody *custody, const char *name, const char *const targets[], size_t count,
                            struct custos_json **ret_key, struct custos_err *err);

/* Certificates. `subject`: RFC 4514. `sans`: dns:… ip:… email:… uri:…, at least one, NULL-terminated. `profile`: "server" or "esxi".
 * *ret_pem is the signed request (PKCS#10). A request that no CA should sign is CUSTOS_E_INPUT. */
CUSTOS_API custos_csr_request(struct custos_custody *custody, const char *name, const char *subject, const char *const sans[],
                              const char *profile, char **ret_pem, struct custos_err *err);
/* What the CA sent: PEM, DER or PKCS#7, in any order. The report of `cert check` is returned also when the certificate is refused
 * (CUSTOS_E_INPUT); not written when it did not come to that. */
CUSTOS_API custos_cert_accept(struct custos_custody *custody, const char *name, const char *const files[], size_t count,
                              struct custos_json **ret_report, struct custos_err *err);
CUSTOS_API custos_cert_show(struct custos_custody *custody, const char *name, struct custos_json **ret_cert, struct custos_err *err);
/* Leaf, then intermediates. */
CUSTOS_API custos_cert_show_pem(struct custos_custody *custody, const char *name, char **ret_pem, struct custos_err *err);
/* The same without a custody, and without storing anything. `for_profile`: "server", "esxi" or NULL; `trust`: PEM file, "system" or NULL
 * (not judged). */
CUSTOS_API custos_cert_inspect(const char *const files[], size_t count, const char *for_profile, const char *trust,
                               struct custos_json **ret_report, struct custos_err *err);

/* Targets. `record` as in the log: {"name","address","user","profile","hostkeys":[…],"verify":[…],"sni","auth","group","ssh_legacy"}, with
 * the name of a built-in profile or a YAML file, whose text is kept. */
CUSTOS_API custos_target_add(struct custos_custody *custody, const struct custos_json *record, struct custos_json **ret_target,
                             struct custos_err *err);
/* Takes every key's permission for it away, too. */
CUSTOS_API custos_target_remove(struct custos_custody *custody, const char *name, struct custos_err *err);
CUSTOS_API custos_target_list(struct custos_custody *custody, struct custos_json **ret_targets, struct custos_err *err);
CUSTOS_API custos_target_show(struct custos_custody *custody, const char *name, struct custos_json **ret_target, struct custos_err *err);

/* Releases without a known outcome, and a person closing one: `index` of its intent in the log, `as` "done" or "failed", `note` how it
 * is known. */
CUSTOS_API custos_release_list(struct custos_custody *custody, struct custos_json **ret_releases, struct custos_err *err);
CUSTOS_API custos_release_resolve(struct custos_custody *custody, uint64_t index, const char *as, const char *note, struct custos_err *err);

/* The log. Entries from index `from` on; `since_file`: a checkpoint remembered earlier that the log must contain (NULL: none);
 * {"origin","size","root","entries","vkey","checkpoint"}; the signed part as C2SP tlog-tiles below `dir`. */
CUSTOS_API custos_journal_show(struct custos_custody *custody, uint64_t from, struct custos_json **ret_entries, struct custos_err *err);
CUSTOS_API custos_journal_verify(struct custos_custody *custody, const char *since_file, struct custos_json **ret_report, struct custos_err *err);
CUSTOS_API custos_journal_checkpoint(struct custos_custody *custody, struct custos_json **ret_checkpoint, struct custos_err *err);
CUSTOS_API custos_journal_publish(struct custos_custody *custody, const char *dir, struct custos_json **ret_report, struct custos_err *err);
/* Without a custody: a published directory and its vkey. */
CUSTOS_API custos_journal_verify_published(const char *dir, const char *vkey, const char *since_file, struct custos_json **ret_report,
                                           struct custos_err *err);

/* Tokens, without a custody and without a login. `module` as in struct custos_init_options; `uri` (RFC 7512) selects exactly one. */
CUSTOS_API custos_tokens_list(const char *module, struct custos_json **ret_tokens, struct custos_err *err);
CUSTOS_API custos_tokens_show(const char *module, const char *uri, struct custos_json **ret_token, struct custos_err *err);
/* Makes a slot a token. `so_pin` and `pin` are asked for one after the other. `uri` may be NULL: the first slot without a token. */
CUSTOS_API custos_tokens_init(const char *module, const char *uri, const char *label, const struct custos_pin *so_pin, const struct custos_pin *pin,
                              struct custos_json **ret_token, struct custos_err *err);

#endif

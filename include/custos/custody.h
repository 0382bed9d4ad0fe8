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

#include <custos/csr.h>
#include <custos/json.h>
#include <custos/secret.h>

#define CUSTOS_API __attribute__((warn_unused_result)) custos_rc

struct custos_custody;

/* Where PINs come from. `what` says which ("PIN of token lab"). `get` is called once per login: one attempt, never a second.
 * The other two are for tokens with a PIN pad of their own and may be NULL. `choose` is told before each login whether the token has one; when it answers ON_PAD, `get` is not called and no
 * PIN is read or sent, and a token without a pad is refused before any attempt. `announce`: a person is about to be waited for at that pad. */
enum custos_pin_pad { CUSTOS_PIN_PAD_NONE, CUSTOS_PIN_PAD_PRESENT };
enum custos_pin_way { CUSTOS_PIN_BY_GET, CUSTOS_PIN_ON_PAD };
struct custos_pin {
	void *ctx;
	__attribute__((warn_unused_result)) custos_rc (*get)(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err);
	enum custos_pin_way (*choose)(void *ctx, enum custos_pin_pad pad);
	void (*announce)(void *ctx, const char *what);
};

/* Where a KEK's backup goes when the KEK is made; later it never leaves its token. TOKEN: onto a second one, whose PIN comes from `pin` and from nowhere else. SHARES: in pieces, of
 * which any `threshold` make the KEK and fewer tell nothing of it; each goes to a file for a custodian's key, or to the screen of the terminal. */
enum custos_kek_backup_kind { CUSTOS_KEK_BACKUP_NONE, CUSTOS_KEK_BACKUP_TOKEN, CUSTOS_KEK_BACKUP_SHARES };
struct custos_kek_backup {
	enum custos_kek_backup_kind kind;
	const char *token_uri, *module;         /* TOKEN; module NULL: that of the custody */
	const struct custos_pin *pin;
	unsigned threshold, count;              /* SHARES: 2 <= threshold <= count <= 20 */
	const char *const *custodians;          /* PEM files with a public key or certificate on P-256, at most `count`; NULL-terminated, NULL: none */
	const char *out;                        /* directory for the share files */
};

struct custos_init_options {
	const char *dir;        /* made (0700) when it does not exist; must not hold a custody yet */
	const char *module;     /* PKCS#11 module: a name in the system's directory or an absolute path owned by root */
	const char *token_uri;  /* RFC 7512, selects exactly one token */
	const char *origin;     /* name of the log, e.g. custody.example/lab; NULL: made from the machine's name and the token's label */
	const char *store;      /* NULL: sqlite:custody.db */
	const char *trust;      /* PEM file of trust anchors a client would use; NULL: the system's */
	const char *profile;    /* file with the token's profile (tokens/README.md); NULL: the shipped one that fits */
	const struct custos_kek_backup *kek_backup; /* NULL: none, ever, of this KEK */
};
/* Makes the directory with custody.yaml and store; generates KEK and log key on the token with read-back; writes and signs the genesis
 * entry. *ret_report: {"dir","origin","size","root","entries","vkey","checkpoint","token":{…},"kek":{…}|null,"sealing_key":{…}|null}. On failure nothing is left in the
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

/* {"keys":[…],"targets":[…],"open_releases":[…],"log":{…,"unsigned"},"token":{…},"kek":{"variant","backup","generation","waiting" (keys a rotation has not moved)},"attention":[…]}; a
 * key with a certificate has "days_left" and "renewal": {"from" (the window opens),"state":"not_yet"|"due"|"urgent"|"expired","requested" (a request is newer than the
 * certificate),"superseded_by" (the key that renews it and has a certificate, or null)}. */
CUSTOS_API custos_custody_status(struct custos_custody *custody, struct custos_json **ret_status, struct custos_err *err);
/* What in a status needs a person: open releases, certificates whose renewal is due (custos(1)) or that have expired, hosts whose last deployment or rollback ended badly or that
 * do not serve what they should, keys whose last drill failed or whose destruction was begun and not finished, keys that a rotation has not moved. A status has it as
 * "attention": [{"level":"warning"|"critical","what":"certificate"|"key"|"kek"|"release"|"target"|"probe","name","text"}]. */
struct custos_json *custos_status_attention(const struct custos_json *status);
size_t custos_status_count_urgent(const struct custos_json *status);

/* Keys; documents as of custos-key(1). `type`: "rsa-2048", "rsa-3072", "rsa-4096", "rsa-6144", "rsa-8192", "ec-p256", "ec-p384", "ec-p521", "ed25519".
 * `key_class`: "deployable" (kept wrapped), "sealed" (born in a courier, opened by the token) or "sign-only" (never leaves the token). A name that is taken is CUSTOS_E_POLICY, one that
 * nobody has is CUSTOS_E_INPUT; so it is for targets. */
CUSTOS_API custos_key_generate(struct custos_custody *custody, const char *name, const char *type, const char *key_class,
                               struct custos_json **ret_key, struct custos_err *err);
CUSTOS_API custos_key_list(struct custos_custody *custody, struct custos_json **ret_keys, struct custos_err *err);
CUSTOS_API custos_key_show(struct custos_custody *custody, const char *name, struct custos_json **ret_key, struct custos_err *err);
/* Adds to the targets a deployable key may go to. */
CUSTOS_API custos_key_allow(struct custos_custody *custody, const char *name, const char *const targets[], size_t count,
                            struct custos_json **ret_key, struct custos_err *err);

/* Adopts a private key from a file: PEM or DER, PKCS#8, PKCS#1 or SEC 1. It is decoded in a process of its own that seals it to the token; from then on it
 * is a deployable key, but one that was not born on the token, which the log says for ever. `pass_phrase` is asked when the key is encrypted, one
 * attempt. CUSTOS_E_INPUT: there is no key in the file, or one that custos does not take; CUSTOS_E_AUTH: the pass phrase does not open it. The file stays
 * where it is. */
struct custos_import_options {
	const char *file;
	const char *reason;      /* goes into the log */
	const struct custos_pin *pass_phrase;
};
CUSTOS_API custos_key_import(struct custos_custody *custody, const char *name, const struct custos_import_options *options, struct custos_json **ret_key,
                             struct custos_err *err);

/* Does the container still open? The key is unwrapped on the token (a sign-only key is found there), signs a challenge, and the signature is
 * verified in software. `name` NULL: every key that is not destroyed. *ret_results, also on failure: [{"key","result":"passed"|"failed","reason",
 * "log_index"}]. Every attempt is logged; the error is that of the key that failed worst. */
CUSTOS_API custos_key_drill(struct custos_custody *custody, const char *name, struct custos_json **ret_results, struct custos_err *err);
/* The end of a key. SHRED: the store's files are written over where the container was, too; not for sign-only keys. EVEN_IF_DEPLOYED: hosts may go on
 * serving it. `reason` goes into the log. Refused (CUSTOS_E_POLICY) while a release of the key is open. Interrupted it is gone on with by calling it again.
 * *ret_verdict: {"key","verdict":"removed"|"shredded","object","spki_sha256","deployed":[…],"exports":[…],"remaining":["where it may still be"…],"log_index"}. */
enum custos_destroy_flags { CUSTOS_DESTROY_SHRED = 1u << 0, CUSTOS_DESTROY_EVEN_IF_DEPLOYED = 1u << 1 };
struct custos_destroy_options {
	unsigned flags;      /* enum custos_destroy_flags */
	const char *reason;
};
CUSTOS_API custos_key_destroy(struct custos_custody *custody, const char *name, const struct custos_destroy_options *options,
                              struct custos_json **ret_verdict, struct custos_err *err);
/* The container of a deployable key, still wrapped under the KEK, as a text file (docs/FORMATS.md) that must not exist yet; and back into the custody
 * whose log names it, when the store has lost it or the key was destroyed. A file of another custody or KEK is CUSTOS_E_POLICY, one that was damaged
 * CUSTOS_E_INPUT, one that says something else than the log CUSTOS_E_TAMPERED. A container is taken back only after it has opened.
 * *ret_report: {"key","file","container_sha256","log_index"}. */
CUSTOS_API custos_key_export(struct custos_custody *custody, const char *name, const char *file, struct custos_json **ret_report,
                             struct custos_err *err);
CUSTOS_API custos_key_restore(struct custos_custody *custody, const char *file, struct custos_json **ret_key, struct custos_err *err);

/* The KEK. rotate: a new one is made, with its backup; every key moves to it, and the old one is destroyed when none is left under it. Interrupted it is gone on with by calling
 * it again, and then nothing new is made. `progress` may be NULL. *ret_report: {"generation","kek":{…},"resumed","moved","retired":[…],"unrestorable":[destroyed keys whose
 * exported containers nothing opens any more],"exported":[keys that have been exported under the old KEK]}. */
struct custos_kek_rotate_options {
	const struct custos_kek_backup *backup; /* NULL: not said, which is refused when the KEK in use has one */
	const char *reason;                     /* goes into the log */
	void *ctx;
	void (*progress)(void *ctx, size_t done, size_t total);
};
CUSTOS_API custos_kek_rotate(struct custos_custody *custody, const struct custos_kek_rotate_options *options, struct custos_json **ret_report,
                             struct custos_err *err);
/* The custody in `dir` goes on with another token: one that has its KEK as a backup, or one that gets it from shares: share files with the private keys that open them, and the rest at
 * the terminal. `pin` is asked for that token. The log goes on under a new key of that token; *ret_report: {"token":{…},"kek":{…},"vkey","previous_vkey","from",
 * "left_behind":[sign-only and sealed keys, and keys under a KEK without a backup]}. Interrupted it is called again. */
struct custos_kek_share {
	const char *file, *key_file;
};
struct custos_kek_restore_options {
	const char *token_uri, *module;         /* module NULL: as before */
	const struct custos_kek_share *shares;
	size_t share_count;
	const struct custos_pin *pass_phrase;   /* for key files that are encrypted; may be NULL */
	const char *reason;                     /* goes into the log */
};
CUSTOS_API custos_kek_restore(const char *dir, const struct custos_kek_restore_options *options, const struct custos_pin *pin, struct custos_json **ret_report,
                              struct custos_err *err);
/* [{"generation","id","label","variant","state","backup","kept_by" (the backup, in words),"time","keys"}]. */
CUSTOS_API custos_kek_list(struct custos_custody *custody, struct custos_json **ret_keks, struct custos_err *err);

/* Many keys and their requests: `file` is the list (docs/FORMATS.md), each request goes to `out`/NAME.csr, which is never overwritten. What is there
 * already is left alone or completed, so that an enrolment that was interrupted is gone on with by calling it again. An entry that fails stops no other;
 * with any the result is CUSTOS_E_SOME_FAILED, or what failed first when all of them did. A list that is no such list is CUSTOS_E_INPUT, and nothing is
 * made. *ret_report, also on failure once the list was read: [{"name","type","class","result":"enrolled"|"requested" (the key was there)|"written" (so was
 * the request)|"unchanged"|"failed"|"not_tried","spki_sha256","csr_sha256","file","error","hint"}] in the order of the list. */
struct custos_enroll_options {
	const char *file, *out;
	unsigned jobs;            /* sessions of the token that work at once, 1 to 16; 0: one a processor. The token's profile may allow fewer */
	void *ctx;
	void (*progress)(void *ctx, size_t done, size_t total); /* may be NULL */
};
CUSTOS_API custos_enroll(struct custos_custody *custody, const struct custos_enroll_options *options, struct custos_json **ret_report,
                         struct custos_err *err);

/* Certificates. `subject`: RFC 4514. `sans`: dns:… ip:… email:… uri:…, at least one, NULL-terminated. `profile`: "server", "esxi" or "client".
 * *ret_pem is the signed request (PKCS#10). A request that no CA should sign is CUSTOS_E_INPUT. */
CUSTOS_API custos_csr_request(struct custos_custody *custody, const char *name, const char *subject, const char *const sans[],
                              const char *profile, char **ret_pem, struct custos_err *err);
/* The same with everything there is to say. *ret_request: {"key","profile","csr" (PEM),"subject","sans","key_type","spki_sha256","signature_algorithm",
 * "must_staple","problems":[{"code","severity":"warning","text","remedy"}] (what of a certificate was not copied, what the lint does not like)}. */
CUSTOS_API custos_csr_request_as(struct custos_custody *custody, const char *name, const struct custos_csr_options *options, struct custos_json **ret_request,
                                 struct custos_err *err);
/* A request like the last one, for a certificate that takes the place of the key's: with the subject, names and profile of what is newer, the certificate that was accepted or the request.
 * NEW_KEY: for a new key of the same type and class, called NAME.2, NAME.3, …, that may go to the same targets; the old one stays as it is. *ret_report: {"key","renews" (null: the same
 * key),"subject","sans","profile","targets","csr" (PKCS#10 in PEM),"deployed" (targets that serve the old one),
 * "problems" (as above: names that only the certificate has)}. CUSTOS_E_INPUT: there is neither a certificate nor a request. */
enum custos_renew_flags { CUSTOS_RENEW_NEW_KEY = 1u << 0 };
CUSTOS_API custos_key_renew(struct custos_custody *custody, const char *name, unsigned flags, struct custos_json **ret_report, struct custos_err *err);
/* What the CA sent: PEM, DER, PKCS#7 or PKCS#12, in any order. `accept`: codes of errors that may be, NULL-terminated (custos-cert(1); NULL: none); those that were
 * there go into the log. `pass_phrase`: of PKCS#12 files, borrowed; NULL: only those without one are opened. `options` may be NULL. Before it is logged the key signs a challenge on the token, which must verify under the certificate's public key. The report of
 * `cert check`, with "log_index" when it was taken, is returned also when the certificate is refused (CUSTOS_E_INPUT); not written when it did not come to that. */
struct custos_accept_options {
	const char *const *accept;
	struct custos_secret *pass_phrase;
};
CUSTOS_API custos_cert_accept(struct custos_custody *custody, const char *name, const char *const files[], size_t count, const struct custos_accept_options *options,
                              struct custos_json **ret_report, struct custos_err *err);
CUSTOS_API custos_cert_show(struct custos_custody *custody, const char *name, struct custos_json **ret_cert, struct custos_err *err);
/* Leaf, then intermediates. */
CUSTOS_API custos_cert_show_pem(struct custos_custody *custody, const char *name, char **ret_pem, struct custos_err *err);

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

/* The doctor: checks and attacks live on throw-away objects of the token, also of one that no profile fits. Logs in. `asked_tier`: "hardened", "basic",
 * "sign-only", or NULL for what the profile promises. *ret_report is custos-token(1)'s, with "profile_yaml" unless the token is unusable; it is returned
 * as well when the token is below what was asked for, which is CUSTOS_E_POLICY. */
enum custos_doctor_flags {
	CUSTOS_DOCTOR_CLEAN = 1u << 0, /* half-made objects are removed */
	CUSTOS_DOCTOR_LARGE = 1u << 1, /* RSA keys over 4096 bits are made, too: a minute each */
};
struct custos_doctor_options {
	const char *asked_tier;
	const char *profile;    /* file with a profile to hold the token against; NULL: the shipped one that fits */
	unsigned flags;         /* enum custos_doctor_flags */
};
CUSTOS_API custos_tokens_examine(const char *module, const char *uri, const struct custos_doctor_options *options, const struct custos_pin *pin,
                                 struct custos_json **ret_report, struct custos_err *err);

#endif

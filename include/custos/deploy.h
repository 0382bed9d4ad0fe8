/* Deploying: the release of one key to one or several hosts.
 *
 * For each group of hosts one courier is started: it logs in, probes, backs up and stages; then the intent is logged, signed and
 * verified; only then does the token wrap the key for that courier. What the host serves afterwards is judged against the trust
 * anchors, and anything but the new leaf is rolled back. Conventions are those of custos/custody.h. */
#ifndef CUSTOS_DEPLOY_H
#define CUSTOS_DEPLOY_H

#include <custos/custody.h>

/* DRY_RUN: log in to the hosts, look, return the plan; nothing is changed or logged, and no PIN is asked for. */
enum custos_deploy_flags { CUSTOS_DEPLOY_DRY_RUN = 1u << 0 };

struct custos_deploy_options {
	unsigned flags;              /* enum custos_deploy_flags */
	unsigned confirm_within_s;   /* seconds; the host puts the old pair back by itself when it is not confirmed in this time; 0: 300 */
	const char *reason;          /* goes into the log; NULL: none */
	/* Called with one short line for people; may be NULL. */
	void (*progress)(void *ctx, const char *target, const char *line);
	void *progress_ctx;
	/* Passwords for SSH: `source` is what stands after `password:` in the target's auth (a PIN source), `what` names user and host.
	 * The secret is taken over. NULL: such targets are refused. */
	custos_rc (*password)(void *ctx, const char *source, const char *what, struct custos_secret **ret_secret, struct custos_err *err);
	void *password_ctx;
	const char *agent_socket;    /* path of the SSH agent, NULL: none */
};

/* *ret_results: one object a target (custos-deploy(1)), also on failure; fewer, or not written, when the whole was refused before.
 * Returns the worst outcome: CUSTOS_E_NOT_ROLLED_BACK, else with several targets CUSTOS_E_SOME_FAILED, else that target's own. */
CUSTOS_API custos_deploy(struct custos_custody *custody, const char *key, const char *const targets[], size_t count,
                         const struct custos_deploy_options *options, struct custos_json **ret_results, struct custos_err *err);
/* The previous pair back: from custody when the previous key is in it (a release of that key), else from the copy on the host ("restored").
 * CUSTOS_E_POLICY when custos has deployed nothing there, or neither has the previous pair. */
CUSTOS_API custos_rollback(struct custos_custody *custody, const char *target, const struct custos_deploy_options *options,
                           struct custos_json **ret_results, struct custos_err *err);
/* What each target of a status (custos_custody_status()) serves now, compared with what is stored and with the key's last request. Needs neither token nor login. Each target gets
 * "probe": [{"address","name","result":"current" (the accepted certificate)|"outdated" (what was deployed; a newer one has been accepted)|"previous" (what was there before)|
 * "other_certificate" (of the right key)|"other_key" (of the custody)|"foreign"|"unreachable","served":{…}|null,"stored":{"key","spki_sha256","leaf_sha256"}|null,
 * "request":{"csr_sha256","same_key","names_missing"}|null,"trusted" (by a client with the trust anchors; null: not asked),"why"}], and "attention" is made again. A host that does not
 * answer is a result, not an error; many are asked at once, by threads that are gone when this returns. The process keeps no files but the custody's and the system's open to it. `progress` may be NULL. */
CUSTOS_API custos_status_probe(struct custos_custody *custody, struct custos_json *status, void (*progress)(void *ctx, const char *target, const char *line), void *ctx,
                               struct custos_err *err);
/* Has a courier make an SSH handshake with "HOST[:PORT]" and nothing else: {"address","hostkeys":["SHA256:…"],"banner"}. Stores nothing. */
CUSTOS_API custos_target_scan(const char *address, struct custos_json **ret_scan, struct custos_err *err);
/* Logs in to a target and looks: what it is, what would stop a deployment, and the steps that one would take. Changes nothing on the host, logs nothing, needs no token. *ret_probe:
 * {"target","address","user","auth","profile","version","login_offered":[…],"files":[{"kind","path","present","mode","owner","sha256"}],"room":[{"directory","free_kib","needed_kib"}],
 * "report":[{"name","says"}] (what the profile asks the host),"served_leaf_sha256","serves_what_was_deployed","ready","obstacles":[{"category","reason","hint"}],"plan":[{"step","what","command"}]},
 * written also when there are obstacles; the first of them is the error. Of `options` flags and reason have no meaning. */
CUSTOS_API custos_target_probe(struct custos_custody *custody, const char *target, const struct custos_deploy_options *options, struct custos_json **ret_probe, struct custos_err *err);

#endif

/* A host's key for comparison with its console. The SSH handshake happens in a courier too: a hostile host meets a
 * process that knows nothing at all. */
#include "base/text.h"
#include "deploy/confine.h"
#include "deploy/errand.h"

#include <stdio.h>

/* A target that pins nothing: its host key is what is asked for. */
static struct custos_json *stranger(const char *address)
{
	struct custos_json *target = custos_json_object(), *pins = custos_json_array(), *verify = custos_json_array();
	custos_json_push(pins, custos_json_string("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	custos_json_push(verify, custos_json_string(address));
	custos_json_set_text(target, "name", "scan");
	custos_json_set_text(target, "address", address);
	custos_json_set_text(target, "user", "root");
	custos_json_set_text(target, "profile", "esxi");
	custos_json_set_text(target, "auth", "agent");
	custos_json_set(target, "hostkeys", pins);
	custos_json_set(target, "verify", verify);
	custos_json_set_bool(target, "ssh_legacy", true);
	return target;
}

custos_rc custos_target_scan(const char *address, struct custos_json **ret_scan, struct custos_err *err)
{
	struct custos_deploy_options options = { 0 };
	CUSTOS_CLEANUP(custos_errand_done) struct custos_errand e = {
		.options = &options, .job = CUSTOS_JOB_SCAN, .helper = { .channel = { .fd = -1 } } };
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	char with_port[300];
	const char *bracket = strrchr(address, ']'), *colon = strchr(bracket != NULL ? bracket : address, ':');
	snprintf(with_port, sizeof with_port, colon != NULL ? "%s" : "%s:22", address);
	CUSTOS_AUTO(custos_json) *target = stranger(with_port);
	CUSTOS_TRY(custos_profile_parse(custos_profile_builtin("esxi"), "esxi", &profile, err));
	e.hosts = calloc(1, sizeof *e.hosts);
	CUSTOS_REQUIRE(e.hosts != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_errand_add_host(&e, target, profile, err));
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	CUSTOS_TRY(custos_deploy_confinement(NULL, NULL, NULL, 0, &confinement, err));
	e.confinement = confinement;
	CUSTOS_TRY(custos_errand_prepare(&e, err));
	const struct custos_errand_host *h = &e.hosts[0];
	CUSTOS_AUTO_STR *fingerprint = custos_text_dup(h->backup);
	struct custos_err ignored = { 0 };
	custos_rc ended = custos_errand_abort(&e, &ignored);
	(void)ended; /* nothing was touched */
	if (h->prepared != CUSTOS_PREPARED_READY) {
		custos_rc rc = custos_err_set(err, h->category == CUSTOS_OK ? CUSTOS_E_NETWORK : h->category, 0, "%s: %s", with_port,
		                              h->why == NULL ? "the host did not answer" : h->why);
		if (h->hint != NULL && h->hint[0] != '\0')
			custos_err_hint(err, "%s", h->hint);
		return rc;
	}
	struct custos_json *scan = custos_json_object(), *keys = custos_json_array();
	custos_json_push(keys, custos_json_string(fingerprint));
	custos_json_set_text(scan, "address", with_port);
	custos_json_set(scan, "hostkeys", keys);
	custos_json_set_text(scan, "banner", h->version);
	*ret_scan = scan;
	return CUSTOS_OK;
}

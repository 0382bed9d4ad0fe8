/* A host's key for comparison: one SSH handshake, nothing authenticated, nothing changed. */
#include "courier/courier.h"

#include "base/text.h"

#include <stdio.h>

enum { HANDSHAKE_MS = 20000 };

static custos_rc look(struct custos_courier_host *host, struct custos_err *err)
{
	struct custos_deploy_report *report = &host->machine.report;
	CUSTOS_AUTO_STR *banner = NULL;
	CUSTOS_REQUIRE(host->socket >= 0, err, CUSTOS_E_NETWORK, "%s", host->no_socket == NULL ? "no connection was made" : host->no_socket);
	struct custos_ssh_options options = {
		.arena = host->arena, .keeper = &host->courier->channel, .user = host->plan.user, .hostkeys = "", .flags = CUSTOS_SSH_LEGACY, .timeout_ms = HANDSHAKE_MS };
	char fingerprint[CUSTOS_SSH_FINGERPRINT];
	CUSTOS_TRY(custos_ssh_scan(custos_take_fd(&host->socket), &options, fingerprint, &banner, err));
	snprintf(report->backup, sizeof report->backup, "%s", fingerprint);
	snprintf(report->version, sizeof report->version, "%s", banner);
	return CUSTOS_OK;
}

custos_rc custos_courier_scan(struct custos_courier *c, struct custos_err *err)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct custos_courier_host *host = &c->hosts[i];
		struct custos_deploy_report *report = &host->machine.report;
		struct custos_err why = { 0 };
		report->prepared = CUSTOS_DEPLOY_PREPARED_READY;
		report->result = CUSTOS_DEPLOY_UNTOUCHED;
		if (look(host, &why) != CUSTOS_OK) {
			report->prepared = CUSTOS_DEPLOY_PREPARED_FAILED;
			report->category = why.rc;
			snprintf(report->why, sizeof report->why, "%s", why.msg);
			snprintf(report->hint, sizeof report->hint, "%s", why.hint);
		}
		CUSTOS_TRY(custos_courier_send_prepared(host, err));
	}
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_channel_receive(&c->channel, HANDSHAKE_MS, &frame, err));
	CUSTOS_REQUIRE(frame.type == CUSTOS_COURIER_ABORT, err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
	for (uint32_t i = 0; i < c->count; i++)
		CUSTOS_TRY(custos_courier_send_outcome(&c->hosts[i], err));
	return custos_courier_send_bye(c, err);
}

/* The keeper with a lying courier: an errand as it stands when its courier prepares the hosts. The other end of the channel is the test;
 * no courier runs. Include first. */
#ifndef CUSTOS_TESTS_DEPLOY_LIES_H
#define CUSTOS_TESTS_DEPLOY_LIES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "data/json.h"
#include "deploy/agent.h"
#include "deploy/errand.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#define NONCE "0123456789abcdef"
#define COPY(name) "/vmfs/volumes/datastore1/.custos-" name "-" NONCE

struct play {
	struct custos_errand errand;
	struct custos_channel courier;
	struct custos_deploy_options options;
	struct custos_err err;
	uint8_t certificate[8];    /* what is to be served; nobody parses it as long as there are no anchors */
	int listening;             /* where connections to the hosts end; -1: nowhere */
};

static inline struct custos_json *play_target(const char *name, const char *address)
{
	CUSTOS_AUTO_BUF text = { 0 };
	struct custos_json *json = NULL;
	assert_int_equal(custos_buf_printf(&text, NULL, "{\"name\":\"%s\",\"address\":\"%s\",\"user\":\"root\",\"profile\":\"esxi\",\"hostkeys\":"
	                                   "[\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"],\"verify\":[\"%s\"],\"auth\":\"agent\",\"sni\":\"\"}",
	                                   name, address, address), CUSTOS_OK);
	assert_int_equal(custos_json_parse(custos_buf_view(&text), "target", &json, NULL), CUSTOS_OK);
	return json;
}

/* A port of the kernel's choice at which every host is found; nobody accepts, nobody has to. */
static inline void play_listen(struct play *p, char address[static 32])
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof any;
	p->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listening, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(p->listening, 64), 0);
	assert_int_equal(getsockname(p->listening, (struct sockaddr *)&any, &len), 0);
	snprintf(address, 32, "127.0.0.1:%u", ntohs(any.sin_port));
}

/* Hosts web, db, …; the first SSH connections are made as custos_errand_prepare() makes them. */
static inline struct play *play_new(size_t hosts)
{
	static const char *const names[] = { "web", "db", "mail" };
	struct play *p = calloc(1, sizeof *p);
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	char address[32];
	int pair[2];
	memcpy(p->certificate, "new leaf", sizeof p->certificate);
	p->errand = (struct custos_errand){ .options = &p->options, .job = CUSTOS_JOB_DEPLOY, .leaf = CUSTOS_BYTES(p->certificate, sizeof p->certificate) };
	assert_int_equal(custos_sha256(p->errand.leaf, p->errand.wanted_leaf, NULL), CUSTOS_OK);
	assert_int_equal(custos_profile_parse(custos_profile_builtin("esxi"), "esxi", &profile, NULL), CUSTOS_OK);
	p->errand.hosts = calloc(hosts, sizeof *p->errand.hosts);
	play_listen(p, address);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	p->errand.helper.channel = (struct custos_channel){ .fd = pair[0], .side = CUSTOS_SIDE_KEEPER, .state = 3, .protocol = &custos_courier_protocol, .peer = "courier" };
	p->courier = (struct custos_channel){ .fd = pair[1], .side = CUSTOS_SIDE_HELPER, .state = 3, .protocol = &custos_courier_protocol, .peer = "keeper" };
	for (uint32_t i = 0; i < hosts; i++) {
		CUSTOS_AUTO(custos_json) *record = play_target(names[i], address);
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		assert_int_equal(custos_errand_add_host(&p->errand, record, profile, &p->err), CUSTOS_OK);
		memcpy(p->errand.hosts[i].plan.nonce, NONCE, sizeof NONCE);
		assert_int_equal(custos_errand_send_socket(&p->errand, i, CUSTOS_SOCKET_SSH, &p->err), CUSTOS_OK);
		assert_int_equal(custos_channel_receive(&p->courier, 5000, &frame, &p->err), CUSTOS_OK);
		assert_int_equal(frame.type, CUSTOS_COURIER_SOCKET);
	}
	return p;
}

static inline void play_free(struct play *p)
{
	p->errand.went = false;
	custos_errand_done(&p->errand);
	custos_channel_close(&p->courier);
	custos_close_fd(&p->listening);
	free(p);
}

static inline custos_rc serve(struct play *p, uint8_t type, const struct custos_wire_out *w)
{
	bool bye = false;
	struct custos_frame frame = { .type = type, .fd = -1, .body = *w->buf };
	assert_int_equal(w->rc, CUSTOS_OK);
	p->err = (struct custos_err){ 0 };
	return custos_errand_serve(&p->errand, &frame, &bye, &p->err);
}

/* The keeper's answer, as the courier hears it. */
static inline void hear(struct play *p, struct custos_frame *frame)
{
	assert_int_equal(custos_channel_receive(&p->courier, 5000, frame, &p->err), CUSTOS_OK);
}

/* The host serves these bytes; returns the keeper's verdict. */
static inline uint8_t served(struct play *p, uint32_t host, const char *certificate)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, 1);
	custos_wire_put_u32(&w, 0);
	custos_wire_put_text(&w, "");
	custos_wire_put_u32(&w, certificate == NULL ? 0 : 1);
	if (certificate != NULL)
		custos_wire_put_text(&w, certificate);
	assert_int_equal(serve(p, CUSTOS_COURIER_SERVED, &w), CUSTOS_OK);
	hear(p, &frame);
	assert_int_equal(frame.type, CUSTOS_COURIER_VERDICT);
	return frame.body.ptr[4];
}

static inline custos_rc prepared(struct play *p, uint32_t host, uint8_t status, uint8_t category, const char *backup)
{
	static const uint8_t none[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, status);
	custos_wire_put_u8(&w, category);
	for (int i = 0; i < 3; i++)
		custos_wire_put_text(&w, "");
	custos_wire_put_text(&w, backup);
	custos_wire_put_fixed(&w, none, sizeof none);
	return serve(p, CUSTOS_COURIER_PREPARED, &w);
}

static inline custos_rc outcome(struct play *p, uint32_t host, uint8_t result, const char *backup)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, result);
	custos_wire_put_u8(&w, 0);
	custos_wire_put_text(&w, "");
	custos_wire_put_text(&w, "");
	custos_wire_put_u32(&w, 5);
	custos_wire_put_text(&w, backup);
	return serve(p, CUSTOS_COURIER_OUTCOME, &w);
}

/* NEED_SOCKET; true when there came one. */
static inline bool connects(struct play *p, uint32_t host, uint8_t purpose)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, purpose);
	assert_int_equal(serve(p, CUSTOS_COURIER_NEED_SOCKET, &w), CUSTOS_OK);
	hear(p, &frame);
	assert_int_equal(frame.type, frame.fd >= 0 ? CUSTOS_COURIER_SOCKET : CUSTOS_COURIER_NO_SOCKET);
	return frame.fd >= 0;
}

#endif

/* The keeper of the courier's tests: link/courier.h from the other end. It connects, signs and judges as struct stage tells it to. */
#ifndef COURIER_PLAY_H
#define COURIER_PLAY_H

#include "courier_transport.h"

static inline void encode_plan(const struct stage *s, uint32_t host, struct custos_buf *out)
{
	char yaml[4096], record[1024], name[16];
	snprintf(name, sizeof name, "host%u", host);
	snprintf(yaml, sizeof yaml,
	         "name: test\nkey_format: pkcs8\nstaging: %s/stage\nbackup: [%s/backup]\nreplace: in-place\nversion: echo Test Host 1\n"
	         "files:\n  certificate: {path: %s/ssl/crt, mode: \"0644\"}\n  key: {path: %s/ssl/key, mode: \"0600\"}\n"
	         "reload: [{name: reload, run: \"cd %s && %s\", budget_ms: 500}]\nverify: {probes: 2, interval_ms: 100}\n%s",
	         s->root, s->root, s->root, s->root, s->root, s->reload != NULL ? s->reload : "cp -f ssl/crt ssl/key loaded/", s->extra != NULL ? s->extra : "");
	snprintf(record, sizeof record,
	         "{\"name\":\"%s\",\"address\":\"127.0.0.1:22\",\"user\":\"%s\",\"profile\":\"test\",\"hostkeys\":[\"%s\"],\"verify\":[\"127.0.0.1:443\"],\"auth\":\"agent\"}", name,
	         s->user, s->pins != NULL ? s->pins : s->pin);
	struct custos_json *target = fixture_target(record);
	struct custos_plan plan = { 0 };
	char nonce[17];
	snprintf(nonce, sizeof nonce, "%016x", 0xabc0 + host);
	fixture_plan(yaml, target, (struct custos_plan_options){ .nonce = nonce, .confirm_within_s = 120, .keep_backup = true, .previous_backup = s->backup[0] != '\0' ? s->backup : NULL }, &plan);
	assert_int_equal(custos_plan_encode(&plan, out, NULL), CUSTOS_OK);
	custos_plan_done(&plan);
	custos_json_free(target);
}

static inline void send_setup(const struct stage *s, struct custos_helper *helper)
{
	struct custos_buf body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u8(&w, (uint8_t)s->job);
	custos_wire_put_u8(&w, 0);
	custos_wire_put_u8(&w, 0);
	bool rollback = s->job == CUSTOS_JOB_ROLLBACK;
	custos_wire_put_bytes(&w, rollback ? CUSTOS_BYTES(NULL, 0) : custos_buf_view(&s->new.leaf));
	custos_wire_put_bytes(&w, rollback ? CUSTOS_BYTES(NULL, 0) : custos_buf_view(&s->new.pem));
	custos_wire_put_u32(&w, s->hosts);
	for (uint32_t i = 0; i < s->hosts; i++) {
		struct custos_buf plan = { 0 };
		encode_plan(s, i, &plan);
		custos_wire_put_bytes(&w, custos_buf_view(&plan));
		custos_buf_done(&plan);
	}
	assert_int_equal(w.rc, CUSTOS_OK);
	send_body(helper, CUSTOS_COURIER_SETUP, &body, -1);
}

static inline void send_socket(struct stage *s, struct custos_helper *helper, uint32_t host, uint8_t purpose)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, purpose);
	pid_t tls = 0;
	if (purpose == CUSTOS_SOCKET_SSH && s->refuse_reconnect && s->ssh_sockets >= s->hosts) {
		custos_wire_put_text(&w, "connection refused");
		send_body(helper, CUSTOS_COURIER_NO_SOCKET, &body, -1);
		return;
	}
	int fd = purpose == CUSTOS_SOCKET_SSH ? connect_ssh(s) : connect_tls(s, &tls);
	s->ssh_sockets += purpose == CUSTOS_SOCKET_SSH;
	send_body(helper, CUSTOS_COURIER_SOCKET, &body, fd);
	close(fd);
}

static inline void public_blob(const struct stage *s, struct custos_buf *blob)
{
	char command[512], text[1024] = "";
	snprintf(command, sizeof command, "cut -d' ' -f2 %s/login.pub | base64 -d", s->root);
	FILE *f = popen(command, "re");
	size_t n = fread(text, 1, sizeof text, f);
	assert_int_equal(pclose(f), 0);
	assert_int_equal(custos_buf_append(blob, text, n, NULL), CUSTOS_OK);
}

static inline void send_credential(struct stage *s, struct custos_helper *helper, uint32_t host, const uint8_t *courier_point)
{
	struct custos_buf body = { 0 }, b = { 0 };
	struct custos_wire_out w = { .buf = &body };
	CUSTOS_AUTO_FD fd = -1;
	custos_wire_put_u32(&w, host);
	if (s->password != NULL) {
		uint8_t point[CUSTOS_POINT_SIZE];
		seal_bytes(s->password, strlen(s->password), courier_point, point, &b);
		custos_wire_put_u8(&w, CUSTOS_CREDENTIAL_PASSWORD);
		custos_wire_put_bytes(&w, CUSTOS_BYTES(point, sizeof point));
	} else if (s->by_signer) {
		struct custos_buf blob = { 0 };
		public_blob(s, &blob);
		custos_wire_put_u8(&w, CUSTOS_CREDENTIAL_SIGNER);
		custos_wire_put_bytes(&w, custos_buf_view(&blob));
		custos_buf_done(&blob);
	} else {
		fd = open(path_in(s, "login"), O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		custos_wire_put_u8(&w, CUSTOS_CREDENTIAL_KEY_FILE);
		custos_wire_put_bytes(&w, CUSTOS_BYTES(NULL, 0));
	}
	custos_wire_put_bytes(&w, custos_buf_view(&b));
	send_body(helper, CUSTOS_COURIER_CREDENTIAL, &body, fd);
	custos_buf_done(&b);
}

/* What an agent would do. */
static inline void sign_login(struct stage *s, struct custos_helper *helper, struct custos_wire *r)
{
	uint32_t host = custos_wire_u32(r);
	struct custos_bytes data = custos_wire_bytes(r);
	shell("cd %s && cp login login.pem && ssh-keygen -q -p -m PEM -N '' -f login.pem > /dev/null", s->root);
	FILE *f = fopen(path_in(s, "login.pem"), "r");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[128];
	size_t len = sizeof der;
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &len, data.ptr, data.len), 1);
	const uint8_t *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	struct custos_buf body = { 0 }, inner = { 0 }, outer = { 0 };
	struct custos_wire_out wi = { .buf = &inner }, wo = { .buf = &outer }, w = { .buf = &body };
	put_mpint(&wi, ECDSA_SIG_get0_r(sig));
	put_mpint(&wi, ECDSA_SIG_get0_s(sig));
	custos_wire_put_text(&wo, "ecdsa-sha2-nistp256");
	custos_wire_put_bytes(&wo, custos_buf_view(&inner));
	custos_wire_put_u32(&w, host);
	custos_wire_put_bytes(&w, custos_buf_view(&outer));
	send_body(helper, CUSTOS_COURIER_LOGIN_SIGNATURE, &body, -1);
	s->signatures++;
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	custos_buf_done(&inner);
	custos_buf_done(&outer);
}

static inline void send_verdict(struct stage *s, struct custos_helper *helper, struct custos_wire *r)
{
	uint32_t host = custos_wire_u32(r);
	(void)custos_wire_u8(r);
	(void)custos_wire_u32(r);
	free(custos_wire_text(r));
	uint32_t count = custos_wire_u32(r);
	struct custos_bytes leaf = count > 0 ? custos_wire_bytes(r) : CUSTOS_BYTES(NULL, 0);
	const struct pair *wanted = s->job == CUSTOS_JOB_ROLLBACK ? &s->old : &s->new, *before = s->job == CUSTOS_JOB_ROLLBACK ? &s->new : &s->old;
	uint8_t verdict = count == 0 ? CUSTOS_VERDICT_NONE : custos_bytes_equal(leaf, custos_buf_view(&wanted->leaf)) ? CUSTOS_VERDICT_NEW :
	                  custos_bytes_equal(leaf, custos_buf_view(&before->leaf)) ? CUSTOS_VERDICT_OLD : CUSTOS_VERDICT_OTHER;
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, verdict);
	custos_wire_put_text(&w, "");
	s->probes++;
	send_body(helper, CUSTOS_COURIER_VERDICT, &body, -1);
}

static inline void copy_text(struct custos_wire *r, char *out, size_t size)
{
	CUSTOS_AUTO_STR *text = custos_wire_text(r);
	if (text != NULL && text[0] != '\0')
		snprintf(out, size, "%s", text);
}

static inline void hear(struct stage *s, struct custos_helper *helper, const struct custos_frame *frame)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_wire again = r;
	uint32_t host = custos_wire_u32(&again);
	switch (frame->type) {
	case CUSTOS_COURIER_NEED_SOCKET: send_socket(s, helper, host, custos_wire_u8(&again)); break;
	case CUSTOS_COURIER_SERVED: send_verdict(s, helper, &r); break;
	case CUSTOS_COURIER_SIGN_LOGIN: sign_login(s, helper, &r); break;
	case CUSTOS_COURIER_PREPARED:
		assert_int_equal(s->prepared[host], 0);
		s->prepared[host] = custos_wire_u8(&again);
		s->prepared_category[host] = custos_wire_u8(&again);
		copy_text(&again, s->why, sizeof s->why);
		copy_text(&again, s->hint, sizeof s->hint);
		copy_text(&again, s->version, sizeof s->version);
		break;
	case CUSTOS_COURIER_OUTCOME:
		assert_int_equal(s->outcome[host], 0);
		s->outcome[host] = custos_wire_u8(&again);
		s->outcome_category[host] = custos_wire_u8(&again);
		copy_text(&again, s->why, sizeof s->why);
		copy_text(&again, s->hint, sizeof s->hint);
		s->exposure_ms = custos_wire_u32(&again);
		s->backup[0] = '\0';
		copy_text(&again, s->backup, sizeof s->backup);
		break;
	case CUSTOS_COURIER_BYE: s->bye = true; break;
	default: assert_int_equal(frame->type, CUSTOS_COURIER_PROGRESS); break;
	}
	assert_false(again.failed);
	/* whatever a courier says about a host, a key is not in it */
	assert_null(memmem(frame->body.ptr, frame->body.len, "PRIVATE KEY", 11));
}

static inline void send_key(const struct stage *s, struct custos_helper *helper, const uint8_t *courier_point)
{
	struct custos_buf body = { 0 }, sealed = { 0 };
	struct custos_wire_out w = { .buf = &body };
	if (s->abort_instead) {
		send_body(helper, CUSTOS_COURIER_ABORT, &body, -1);
		return;
	}
	uint8_t point[CUSTOS_POINT_SIZE] = { 0 };
	if (s->job == CUSTOS_JOB_DEPLOY && s->transport != CUSTOS_TRANSPORT_ECDH_P256)
		seal_by_transport(s, helper, courier_point, point, &sealed);
	else if (s->job == CUSTOS_JOB_DEPLOY)
		seal_key(s->wrong_key ? &s->old : &s->new, courier_point, point, &sealed);
	if (s->garble_parcel)
		sealed.ptr[9] ^= 1;
	custos_wire_put_fixed(&w, point, sizeof point);
	custos_wire_put_bytes(&w, custos_buf_view(&sealed));
	uint32_t ready = 0;
	for (uint32_t i = 0; i < s->hosts; i++)
		ready += s->prepared[i] == CUSTOS_PREPARED_READY;
	custos_wire_put_u32(&w, ready);
	for (uint32_t i = 0; i < s->hosts; i++)
		if (s->prepared[i] == CUSTOS_PREPARED_READY)
			custos_wire_put_u32(&w, i);
	send_body(helper, CUSTOS_COURIER_KEY, &body, -1);
	custos_buf_done(&sealed);
}

static inline bool all_prepared(const struct stage *s)
{
	for (uint32_t i = 0; i < s->hosts; i++)
		if (s->prepared[i] == 0)
			return false;
	return true;
}

static inline void hear_one(struct stage *s, struct custos_helper *helper)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_err err = { 0 };
	if (custos_channel_receive(&helper->channel, ANSWER_MS, &frame, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	hear(s, helper, &frame);
}

static inline void play(struct stage *s)
{
	struct custos_helper helper = { 0 };
	struct custos_err err = { 0 };
	uint8_t point[CUSTOS_POINT_SIZE];
	memset(s->prepared, 0, sizeof s->prepared);
	memset(s->outcome, 0, sizeof s->outcome);
	s->bye = false;
	s->why[0] = s->hint[0] = '\0';
	CUSTOS_AUTO_FD exe = open(COURIER, O_RDONLY | O_CLOEXEC);
	assert_true(exe >= 0);
	if (custos_helper_start(exe, "custos-courier", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &custos_courier_protocol, &helper, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	send_setup(s, &helper);
	CUSTOS_AUTO_FRAME hello = { .fd = -1 };
	if (custos_channel_receive(&helper.channel, ANSWER_MS, &hello, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	struct custos_wire r = custos_wire_read(custos_buf_view(&hello.body));
	custos_wire_fixed(&r, point, sizeof point);
	assert_int_equal(point[0], 4);
	choose_transport(s, &helper);
	for (uint32_t i = 0; i < s->hosts; i++) {
		send_socket(s, &helper, i, CUSTOS_SOCKET_SSH);
		send_credential(s, &helper, i, point);
	}
	send_body(&helper, CUSTOS_COURIER_PREPARE, &(struct custos_buf){ 0 }, -1);
	while (!all_prepared(s))
		hear_one(s, &helper);
	send_key(s, &helper, point);
	if (s->vanish_after_key) {
		/* until the new pair is in place and the first probe is asked for */
		unsigned before = s->probes;
		while (s->probes == before)
			hear_one(s, &helper);
	} else {
		while (!s->bye)
			hear_one(s, &helper);
	}
	s->status = custos_helper_stop(&helper, ANSWER_MS);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* TLS children, sshds whose connection has ended */
		;
}

#endif

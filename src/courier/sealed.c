/* Sealed keys: born here, sealed to the token's sealing key before anything but ciphertext and the public half leaves; and opened here once more, after the
 * intent was logged, to sign one message. On locked memory and without a socket; the key is wiped before the answer is sent. */
#include "courier/courier.h"

#include "base/text.h"
#include "crypto/new_key.h"
#include "crypto/digest.h"
#include "crypto/sealed_container.h"
#include "memory/scrub.h"

#include <stdio.h>

/* RSA primes are a matter of luck: seconds, seldom more. */
enum { WATCH_S = 240, ANSWER_MS = 120000 };

/* The answer, or what the keeper is told instead; then the end. */
static custos_rc answer(struct custos_courier *c, custos_rc rc, const struct custos_err *why, uint8_t type, const struct custos_buf *body, struct custos_err *err)
{
	custos_courier_watch(0);
	custos_scrub_stack();
	custos_scrub_registers();
	/* a keeper that has gone wants to hear nothing */
	if (custos_courier_is_alone(c))
		return CUSTOS_OK;
	if (rc != CUSTOS_OK)
		return custos_courier_refuse(c, why, err);
	CUSTOS_TRY(custos_channel_send(&c->channel, type, custos_buf_view(body), -1, err));
	return custos_courier_send_bye(c, err);
}

/* ---- birth ---- */

struct bearing {
	char *origin, *key, *type;
	struct custos_sealing_key to;
	struct custos_bytes message;
};

static void bearing_done(struct bearing *b)
{
	free(b->origin);
	free(b->key);
	free(b->type);
}

static custos_rc read_bearing(const struct custos_frame *frame, struct bearing *b, struct custos_sealed_name *name, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	b->origin = custos_wire_text(&r);
	b->key = custos_wire_text(&r);
	b->type = custos_wire_text(&r);
	b->to.method = (enum custos_sealing)custos_wire_u8(&r);
	b->to.spki = custos_wire_bytes(&r);
	b->message = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "BEAR_KEY", err));
	bool fits = strlen(b->origin) < sizeof name->origin && b->origin[0] != '\0' && custos_text_is_name(b->key) && strlen(b->type) < sizeof name->type;
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_INTERNAL, "BEAR_KEY message makes no sense");
	snprintf(name->origin, sizeof name->origin, "%s", b->origin);
	snprintf(name->key, sizeof name->key, "%s", b->key);
	snprintf(name->type, sizeof name->type, "%s", b->type);
	return CUSTOS_OK;
}

static enum custos_signature algorithm_of(const char *type)
{
	return strncmp(type, "rsa-", 4) == 0 ? CUSTOS_SIGNATURE_RSA_PKCS1_SHA256 : strcmp(type, "ec-p384") == 0 ? CUSTOS_SIGNATURE_ECDSA_SHA384 : strcmp(type, "ec-p521") == 0 ? CUSTOS_SIGNATURE_ECDSA_SHA512 : CUSTOS_SIGNATURE_ECDSA_SHA256;
}

static custos_rc bear(const struct bearing *b, struct custos_sealed_name *name, struct custos_buf *body, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	CUSTOS_AUTO_BUF spki = { .max = 4096 };
	CUSTOS_AUTO_BUF container = { .max = CUSTOS_SEALED_MAX };
	CUSTOS_AUTO_BUF signature = { .max = 4096 };
	CUSTOS_TRY(custos_key_birth(b->type, &pkcs8, &spki, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&spki), name->spki_sha256, err));
	CUSTOS_TRY(custos_key_sign_once(pkcs8, custos_buf_view(&spki), algorithm_of(b->type), b->message, &signature, err));
	CUSTOS_TRY(custos_sealed_container_make(pkcs8, name, &b->to, &container, err));
	struct custos_wire_out w = { .buf = body, .err = err };
	custos_wire_put_bytes(&w, custos_buf_view(&spki));
	custos_wire_put_bytes(&w, custos_buf_view(&container));
	custos_wire_put_bytes(&w, custos_buf_view(&signature));
	return w.rc;
}

custos_rc custos_courier_bear(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	__attribute__((cleanup(bearing_done))) struct bearing b = { 0 };
	struct custos_sealed_name name = { 0 };
	struct custos_err why = { 0 };
	CUSTOS_TRY(custos_courier_receive(c, CUSTOS_COURIER_BEAR_KEY, ANSWER_MS, &frame, err));
	CUSTOS_TRY(read_bearing(&frame, &b, &name, err));
	custos_courier_watch(WATCH_S);
	custos_rc rc = bear(&b, &name, &body, &why);
	return answer(c, rc, &why, CUSTOS_COURIER_KEY_BORN, &body, err);
}

/* ---- opening ---- */

custos_rc custos_courier_open_container(struct custos_courier *c, struct custos_bytes container, const uint8_t token_point[static CUSTOS_POINT_SIZE], struct custos_bytes sealed,
                                        struct custos_secret **ret_pkcs8, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *content_key = NULL;
	struct custos_sealed_container parsed;
	CUSTOS_TRY(custos_sealed_container_parse(container, &parsed, err));
	CUSTOS_TRY(custos_unseal(c->ephemeral, token_point, sealed, &content_key, err));
	return custos_sealed_container_open(&parsed, content_key, ret_pkcs8, err);
}

struct opening {
	uint8_t token_point[CUSTOS_POINT_SIZE];
	struct custos_bytes sealed, container, spki, message;
	enum custos_signature algorithm;
};

static custos_rc sign(struct custos_courier *c, const struct opening *o, struct custos_buf *body, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	CUSTOS_AUTO_BUF signature = { .max = 4096 };
	CUSTOS_TRY(custos_courier_open_container(c, o->container, o->token_point, o->sealed, &pkcs8, err));
	CUSTOS_TRY(custos_key_sign_once(pkcs8, o->spki, o->algorithm, o->message, &signature, err));
	struct custos_wire_out w = { .buf = body, .err = err };
	custos_wire_put_bytes(&w, custos_buf_view(&signature));
	return w.rc;
}

custos_rc custos_courier_sign(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct opening o = { 0 };
	struct custos_err why = { 0 };
	CUSTOS_TRY(custos_courier_receive(c, CUSTOS_COURIER_OPEN_KEY, ANSWER_MS, &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, o.token_point, sizeof o.token_point);
	o.sealed = custos_wire_bytes(&r);
	o.container = custos_wire_bytes(&r);
	o.spki = custos_wire_bytes(&r);
	o.algorithm = (enum custos_signature)custos_wire_u8(&r);
	o.message = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "OPEN_KEY", err));
	custos_courier_watch(WATCH_S);
	custos_rc rc = sign(c, &o, &body, &why);
	return answer(c, rc, &why, CUSTOS_COURIER_KEY_SIGNED, &body, err);
}

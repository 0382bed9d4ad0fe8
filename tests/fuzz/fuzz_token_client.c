/* The keeper with a custos-token that was taken over: the whole client (client*.c, exchange.c) with this target in the place of the process.
 * The first byte says how it begins (0 list, 1 init, else open), the second how many of the next bytes name what the keeper wants then; the
 * rest is what custos-token says, one answer after the other (conversation.h).
 *
 * Promised: every call ends in success or in one error of a category that fits; no out-parameter is written on failure; nothing
 * that has to be signed over a challenge of this process is believed, and no parcel is handed out for it; the token that was opened is the
 * one that was asked for; a custos-token that broke the protocol is asked nothing more; no descriptor is kept. */
#include "conversation.h"

#include "crypto/digest.h"
#include "crypto/verify.h"
#include "data/json.h"
#include "token/exchange.h"

#define SERIAL "0123456789abcdef"
#define MESSAGE "what is to be signed"

/* Of a key that nobody has any more; it signed MESSAGE once, and the corpus holds that signature. */
static const uint8_t spki[] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
	0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x65, 0x3d, 0xed, 0x1a, 0xef,
	0xd1, 0xf9, 0xe8, 0x18, 0x36, 0xed, 0xe8, 0xfe, 0x5a, 0xb3, 0xa5, 0xfd, 0x4f, 0x06, 0x7b, 0x0a,
	0x97, 0x2c, 0xfe, 0xef, 0xc5, 0x01, 0x19, 0x95, 0x97, 0xb9, 0x3a, 0x32, 0xcb, 0x48, 0xdf, 0x76,
	0x91, 0x98, 0x92, 0xdc, 0x36, 0xdc, 0x32, 0x41, 0x58, 0x2d, 0xf9, 0xf5, 0x3f, 0xd9, 0x83, 0x89,
	0xaf, 0xd5, 0xf5, 0x13, 0x81, 0x1d, 0xee, 0x58, 0x03, 0x47, 0xc5,
};

static struct {
	int token;                 /* custos-token's end */
	unsigned stopped, asked;
	struct custos_bytes said;
	struct gift gift;
} play;

custos_rc __wrap_custos_helper_open(const char *name, int *ret_fd, struct custos_err *err);
custos_rc __wrap_custos_helper_start(int exe_fd, const char *name, unsigned flags, struct custos_confinement *confinement, const struct custos_link_protocol *protocol,
                                     struct custos_helper *ret_helper, struct custos_err *err);
int __wrap_custos_helper_stop(struct custos_helper *helper, int grace_ms);

custos_rc __wrap_custos_helper_open(const char *name, int *ret_fd, struct custos_err *err)
{
	(void)err;
	MUST(strcmp(name, "custos-token") == 0);
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return CUSTOS_OK;
}

custos_rc __wrap_custos_helper_start(int exe_fd, const char *name, unsigned flags, struct custos_confinement *confinement, const struct custos_link_protocol *protocol,
                                     struct custos_helper *ret_helper, struct custos_err *err)
{
	(void)exe_fd, (void)flags, (void)err;
	int pair[2];
	MUST(confinement != NULL);
	make_channel(pair);
	play.token = pair[1];
	speak_all(pair[1], play.said, play.gift.writer);
	/* a process id that is never waited for: stopping is this target's as well */
	*ret_helper = (struct custos_helper){ .pid = 1, .channel = { .fd = pair[0], .side = CUSTOS_SIDE_KEEPER, .protocol = protocol, .peer = name } };
	return CUSTOS_OK;
}

int __wrap_custos_helper_stop(struct custos_helper *helper, int grace_ms)
{
	(void)grace_ms;
	play.stopped += helper->pid != 0;
	custos_channel_close(&helper->channel);
	helper->pid = 0;
	return 0;
}

/* What custos-token hears is read and forgotten; requests after it was stopped would have nobody to go to. */
static void hear_all(void)
{
	static uint8_t packet[WIRE_HEADER + CUSTOS_FRAME_BODY_MAX];
	bool descriptor;
	for (size_t len; (len = hear_packet(play.token, packet, &descriptor)) > 0; play.asked++) {
		/* a PIN goes in a pipe, and with LOGIN and INIT alone */
		MUST(descriptor == (packet[1] == CUSTOS_TOKEN_LOGIN || packet[1] == CUSTOS_TOKEN_INIT));
		MUST(memmem(packet, len, "very secret", 11) == NULL);
	}
}

static struct custos_secret *secret(const char *line)
{
	int ends[2];
	struct custos_secret *made = NULL;
	MUST(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], line, strlen(line)) == (ssize_t)strlen(line));
	close(ends[1]);
	MUST(custos_secret_read_line(ends[0], 64, "PIN", &made, NULL) == CUSTOS_OK);
	close(ends[0]);
	return made;
}

/* A failure has one of the categories that a token's failure can have. */
static bool told(custos_rc rc, const struct custos_err *err)
{
	static const custos_rc may[] = { CUSTOS_E_USAGE, CUSTOS_E_POLICY, CUSTOS_E_AUTH, CUSTOS_E_TOKEN, CUSTOS_E_INPUT, CUSTOS_E_SYSTEM, CUSTOS_E_INTERNAL };
	bool fits = rc == CUSTOS_OK;
	for (size_t i = 0; i < sizeof may / sizeof *may; i++)
		fits = fits || rc == may[i];
	MUST(fits && rc == err->rc && memchr(err->msg, 0, sizeof err->msg) != NULL && memchr(err->hint, 0, sizeof err->hint) != NULL);
	hear_all();
	return rc == CUSTOS_OK;
}

static const uint8_t id[16] = "an id of 16 byte";

static struct custos_permit *permit_for(const struct custos_token_key_ref *key, const uint8_t *point, struct custos_bytes hosts)
{
	struct custos_permit *permit = NULL;
	struct custos_release_terms terms = { .kind = CUSTOS_INTENT_RELEASE };
	MUST(custos_sha256(key->container, terms.container_sha256, NULL) == CUSTOS_OK && custos_sha256(hosts, terms.hosts_sha256, NULL) == CUSTOS_OK);
	memcpy(terms.courier_point, point, CUSTOS_POINT_SIZE);
	MUST(custos_permit_mint(&terms, &permit, NULL) == CUSTOS_OK);
	return permit;
}

static void want_release(struct custos_token *token)
{
	static const uint8_t point[CUSTOS_POINT_SIZE] = { 4 };
	struct custos_token_key_ref key = { CUSTOS_KEY_EC_P256, CUSTOS_BYTES(spki, sizeof spki), CUSTOS_BYTES_STR("container of a key"), NULL };
	struct custos_release_request request = { .key = &key, .courier_point = point, .leaf = CUSTOS_BYTES_STR("leaf"), .checkpoint_body = CUSTOS_BYTES_STR("body"),
		.hosts_line = CUSTOS_BYTES_STR("[]") };
	struct custos_release_parcel parcel, untouched;
	struct custos_err err = { 0 };
	memset(&parcel, 0x5a, sizeof parcel);
	memset(&untouched, 0x5a, sizeof untouched);
	CUSTOS_AUTO(custos_permit) *permit = permit_for(&key, point, request.hosts_line);
	/* nobody can have signed this process's challenge */
	MUST(!told(custos_token_release(token, permit, &request, &parcel, &err), &err));
	MUST(memcmp(&parcel, &untouched, sizeof parcel) == 0);
}

static void want_sign(struct custos_token *token)
{
	struct custos_token_key_ref key = { CUSTOS_KEY_EC_P256, CUSTOS_BYTES(spki, sizeof spki), CUSTOS_BYTES_STR("container"), NULL };
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_err err = { 0 };
	struct custos_bytes message = CUSTOS_BYTES_STR(MESSAGE);
	bool good = told(custos_token_sign(token, &key, CUSTOS_SIGNATURE_ECDSA_SHA256, message, &signature, &err), &err);
	MUST(good == (signature.len > 0));
	if (good)
		MUST(custos_verify("it", key.spki, CUSTOS_SIGNATURE_ECDSA_SHA256, message, custos_buf_view(&signature), NULL) == CUSTOS_OK);
}

static void want_key(struct custos_token *token, uint8_t which)
{
	struct custos_token_key key, untouched;
	struct custos_err err = { 0 };
	memset(&key, 0x5a, sizeof key);
	memset(&untouched, 0x5a, sizeof untouched);
	custos_rc rc = which == 0   ? custos_token_key_generate(token, CUSTOS_KEY_EC_P256, &key, &err)
	               : which == 1 ? custos_token_key_generate_sign_only(token, CUSTOS_KEY_ED25519, id, "label", &key, &err)
	                            : custos_token_log_key_create(token, id, "label", &key, &err);
	MUST(!told(rc, &err) && memcmp(&key, &untouched, sizeof key) == 0);
}

static void want_kek(struct custos_token *token, bool new)
{
	struct custos_json *attributes = NULL;
	struct custos_err err = { 0 };
	if (new) {
		bool good = told(custos_token_kek_create(token, id, "label", CUSTOS_KEK_BORN_LOCAL, &attributes, &err), &err);
		MUST(good == (attributes != NULL));
		custos_json_free(attributes);
	} else {
		MUST(!told(custos_token_kek_open(token, &(const struct custos_token_kek){ CUSTOS_KEK_LOCAL_ONLY, id, CUSTOS_BYTES_STR("canary"), CUSTOS_BYTES(spki, sizeof spki) }, &err), &err));
	}
}

static void want_log(struct custos_token *token)
{
	struct custos_signer signer = { 0 };
	struct custos_err err = { 0 };
	if (!told(custos_token_log_signer(token, id, CUSTOS_BYTES(spki, sizeof spki), &signer, &err), &err)) {
		MUST(signer.sign == NULL);
		return;
	}
	/* the log verifies this one itself */
	CUSTOS_AUTO_BUF signature = { 0 };
	(void)told(signer.sign(signer.ctx, CUSTOS_BYTES_STR(MESSAGE), &signature, &err), &err);
}

static void must_be_text(const char *text, size_t size)
{
	MUST(memchr(text, 0, size) != NULL);
}

static void check_info(const struct custos_token *token)
{
	const struct custos_token_info *i = custos_token_info(token);
	must_be_text(i->manufacturer, sizeof i->manufacturer);
	must_be_text(i->model, sizeof i->model);
	must_be_text(i->serial, sizeof i->serial);
	must_be_text(i->label, sizeof i->label);
	must_be_text(i->firmware, sizeof i->firmware);
	must_be_text(i->profile, sizeof i->profile);
	must_be_text(i->tier, sizeof i->tier);
	must_be_text(i->uri, sizeof i->uri);
	must_be_text(i->module, sizeof i->module);
	MUST(i->padding_max <= 7);
}

static void want(struct custos_token *token, uint8_t what)
{
	struct custos_err err = { 0 };
	bool ended = token->helper.pid == 0;
	unsigned asked = play.asked;
	switch (what % 9) {
	case 0: {
		struct custos_secret *pin = secret("very secret\n");
		(void)told(custos_token_login(token, pin, &err), &err);
		custos_secret_free(pin);
		break;
	}
	case 1: want_kek(token, true); break;
	case 2: want_kek(token, false); break;
	case 3: want_key(token, 0); break;
	case 4: want_key(token, 1); break;
	case 5: want_key(token, 2); break;
	case 6: want_log(token); break;
	case 7: want_sign(token); break;
	default: want_release(token); break;
	}
	check_info(token);
	MUST(!ended || (play.asked == asked && token->helper.pid == 0));
}

static void open_and_want(const struct custos_token_where *where, struct custos_bytes wishes)
{
	struct custos_token *token = NULL;
	struct custos_err err = { 0 };
	if (!told(custos_token_open(where, &token, &err), &err)) {
		MUST(token == NULL);
		return;
	}
	check_info(token);
	MUST(strcmp(custos_token_info(token)->serial, SERIAL) == 0);
	for (size_t i = 0; i < wishes.len && i < FRAMES_MAX; i++)
		want(token, wishes.ptr[i]);
	custos_token_free(token);
}

static void list_or_init(const struct custos_token_where *where, bool init)
{
	struct custos_json *json = NULL;
	struct custos_err err = { 0 };
	if (init) {
		struct custos_secret *so_pin = secret("very secret, so\n"), *pin = secret("very secret\n");
		MUST(told(custos_token_init(where, "label", so_pin, pin, &json, &err), &err) == (json != NULL));
		custos_secret_free(so_pin);
		custos_secret_free(pin);
	} else {
		MUST(told(custos_token_list(where, &json, &err), &err) == (json != NULL));
	}
	custos_json_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct custos_token_where where = { .module = "libmodule.so", .uri = "pkcs11:token=lab", .serial = SERIAL, .profile = "softhsm" };
	if (size < 2 || (size_t)data[1] + 2 > size)
		return 0;
	MUST(custos_secret_start(NULL) == CUSTOS_OK);
	size_t descriptors = count_descriptors();
	memset(&play, 0, sizeof play);
	play.gift = make_gift();
	play.said = CUSTOS_BYTES(data + 2 + data[1], size - 2 - data[1]);
	if (data[0] < 2)
		list_or_init(&where, data[0] == 1);
	else
		open_and_want(&where, CUSTOS_BYTES(data + 2, data[1]));
	MUST(play.stopped == 1);
	close(play.token);
	must_be_gone(&play.gift);
	MUST(count_descriptors() == descriptors);
	return 0;
}

/* custos-token with a keeper that was taken over: the program's requests, session and keys as they are, over a token that this target plays.
 * The input is what the keeper says (conversation.h); with a descriptor comes the reading end of a pipe full of PINs.
 *
 * Promised: a frame that the table allows gets one answer, its own or FAILED, and any other ends the process; nobody releases a key that was
 * not logged in the checkpoint signed last, for this container, courier and these hosts, or twice; the log's key, once found, signs through LOG_SIGN alone;
 * no descriptor is kept. What a token says of its objects is believed here (policy.c has tests of its own). */
#include "conversation.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "token/serve.h"
#include "token/softhsm_files.h"
#include "token/token_lock.h"

#include <p11-kit/p11-kit.h>
#include <time.h>

enum { LOG_KEY = 2, LOG_PUBLIC, MADE, OLD_KEK = MADE + 4, COPY, LEAVES = 64, BODY = 4096 };

static struct {
	int keeper;                           /* the end that answers are read from */
	uint8_t asked;                        /* the request being served; 0: none */
	struct custos_buf request;            /* its body */
	uint8_t checkpoint[BODY];             /* of the last LOG_SIGN that was answered with a signature */
	size_t checkpoint_len;
	uint8_t released[LEAVES][CUSTOS_HASH_SIZE];
	size_t released_count;
	bool log_was_found, log_is_open;      /* by some LOG_OPEN; by the newest: only then is it known which key is the log's */
	bool admitted;                        /* the release being asked for */
	bool next_is_point;                   /* the token's newest public key is a P-256 point */
} play;

/* ---- the token ---- */

static CK_RV initialize(void *args)
{
	MUST(args != NULL && (((CK_C_INITIALIZE_ARGS *)args)->flags & CKF_OS_LOCKING_OK) != 0);
	return CKR_OK;
}

static CK_RV finalize(void *reserved)
{
	MUST(reserved == NULL);
	return CKR_OK;
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
	(void)present;
	if (slots != NULL && *count < 2)
		return CKR_BUFFER_TOO_SMALL;
	*count = 2;
	for (CK_ULONG i = 0; slots != NULL && i < 2; i++)
		slots[i] = i;
	return CKR_OK;
}

/* Slot 0 holds the token, slot 1 one that is to be initialised. */
static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	memset(info, ' ', sizeof *info);
	info->flags = slot == 0 ? CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED : 0;
	info->firmwareVersion = (CK_VERSION){ 2, 6 };
	memcpy(info->manufacturerID, "SoftHSM project", 15);
	memcpy(info->model, "SoftHSM v2", 10);
	memcpy(info->serialNumber, slot == 0 ? "0123456789abcdef" : "fedcba9876543210", 16);
	memcpy(info->label, "lab", 3);
	return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
	(void)slot, (void)flags, (void)application, (void)notify;
	*session = 7;
	return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
	MUST(session == 7);
	return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG len)
{
	(void)session, (void)user;
	return pin == NULL || len == 0 ? CKR_PIN_INCORRECT : CKR_OK;
}

static CK_RV init_token(CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG len, CK_BYTE *label)
{
	(void)pin, (void)len, (void)label;
	MUST(slot == 1);
	return CKR_OK;
}

static CK_RV init_pin(CK_SESSION_HANDLE session, CK_BYTE *pin, CK_ULONG len)
{
	(void)session, (void)pin, (void)len;
	return CKR_OK;
}

static CK_OBJECT_CLASS wanted;
static bool wanted_is_old;

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count)
{
	(void)session;
	wanted = CK_UNAVAILABLE_INFORMATION;
	wanted_is_old = false;
	for (CK_ULONG i = 0; i < count; i++) {
		/* read it all: the sanitizer sees what the template promises */
		for (CK_ULONG k = 0; k < template[i].ulValueLen; k++)
			MUST(((CK_BYTE *)template[i].pValue)[k] <= 0xff);
		if (template[i].type == CKA_CLASS)
			memcpy(&wanted, template[i].pValue, sizeof wanted);
		if (template[i].type == CKA_ID && template[i].ulValueLen > 0)
			wanted_is_old = (((CK_BYTE *)template[i].pValue)[0] & 1) != 0;
	}
	return CKR_OK;
}

/* One object of each class, whatever the id, and a second KEK for ids that are odd; by id or label alone none, so that new ones can be made. */
static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count)
{
	(void)session, (void)max;
	*count = wanted == CK_UNAVAILABLE_INFORMATION ? 0 : 1;
	found[0] = wanted == CKO_PRIVATE_KEY ? LOG_KEY : wanted == CKO_PUBLIC_KEY ? LOG_PUBLIC : wanted_is_old ? OLD_KEK : 1;
	return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
	(void)session;
	return CKR_OK;
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count)
{
	static const CK_BYTE base_point[] = {
		0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
		0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb,
		0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
	};
	static const CK_KEY_TYPE edwards = CKK_EC_EDWARDS;
	(void)session;
	MUST(count == 1 && template->pValue != NULL);
	struct custos_bytes value = template->type == CKA_KEY_TYPE                               ? CUSTOS_BYTES(&edwards, sizeof edwards)
	                            : template->type == CKA_ALWAYS_AUTHENTICATE                  ? CUSTOS_BYTES("\1", 1)
	                            : object == LOG_PUBLIC                                       ? CUSTOS_BYTES("an Ed25519 key has 32 bytes, yes", 32)
	                            : template->type == CKA_EC_POINT && play.next_is_point       ? CUSTOS_BYTES(base_point, sizeof base_point)
	                                                                                         : CUSTOS_BYTES("\1\0\1", 3);
	MUST(template->ulValueLen >= value.len);
	memcpy(template->pValue, value.ptr, value.len);
	template->ulValueLen = value.len;
	return CKR_OK;
}

static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	(void)session, (void)mechanism, (void)template, (void)count;
	*key = 1;
	return CKR_OK;
}

static CK_RV generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_template, CK_ULONG public_count, CK_ATTRIBUTE *private_template,
                           CK_ULONG private_count, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
	(void)session, (void)public_template, (void)public_count, (void)private_template, (void)private_count;
	play.next_is_point = mechanism->mechanism == CKM_EC_KEY_PAIR_GEN;
	*public_key = MADE;
	*private_key = MADE + 1;
	return CKR_OK;
}

static bool is_kek(CK_OBJECT_HANDLE object)
{
	return object == 1 || object == OLD_KEK || object == COPY;
}

/* A KEK is copied when its backup has it, or when it came out of one. */
static CK_RV copy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	(void)session, (void)template;
	/* the looser copy that is tried of what has just been kept */
	if (count == 1 && object == COPY)
		return CKR_ATTRIBUTE_READ_ONLY;
	MUST((play.asked == CUSTOS_TOKEN_KEK_KEEP && object == 1) || (play.asked == CUSTOS_TOKEN_KEK_RECEIVE && object == MADE + 2));
	*key = COPY;
	return CKR_OK;
}

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_BYTE *wrapped, CK_ULONG len, CK_ATTRIBUTE *template, CK_ULONG count,
                    CK_OBJECT_HANDLE *key)
{
	(void)session, (void)mechanism, (void)wrapped, (void)len, (void)template, (void)count;
	bool agreed = kek == MADE + 3 && (play.asked == CUSTOS_TOKEN_IMPORT || play.asked == CUSTOS_TOKEN_KEK_RECEIVE);
	bool received = kek == MADE + 2 && play.asked == CUSTOS_TOKEN_KEK_RECEIVE;
	MUST(is_kek(kek) || agreed || received);
	*key = MADE + 2;
	return CKR_OK;
}

static bool lets_out(void)
{
	return play.asked == CUSTOS_TOKEN_RELEASE || play.asked == CUSTOS_TOKEN_KEK_BACKUP;
}

static CK_RV derive(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	(void)session, (void)mechanism, (void)template, (void)count;
	/* what content keys are sealed to, tried with one that was drawn here, or for an intent that was admitted */
	if (play.asked == CUSTOS_TOKEN_SEALING_CREATE || play.asked == CUSTOS_TOKEN_SEALING_OPEN || play.asked == CUSTOS_TOKEN_RELEASE_SEALED) {
		MUST(base == (play.asked == CUSTOS_TOKEN_SEALING_CREATE ? MADE + 1 : LOG_KEY) && (play.asked != CUSTOS_TOKEN_RELEASE_SEALED || play.admitted));
		*key = MADE + 3;
		return CKR_OK;
	}
	MUST(base == MADE + 1 && (play.asked == CUSTOS_TOKEN_IMPORT || play.asked == CUSTOS_TOKEN_KEK_RECEIVE || (lets_out() && play.admitted)));
	*key = MADE + 3;
	return CKR_OK;
}

static CK_RV wrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *len)
{
	(void)session, (void)mechanism;
	/* under the KEK, or for a release; under nothing else. A KEK: to its backup only */
	MUST(*len >= 40 && (wrapping == 1 || wrapping == COPY || (wrapping == MADE + 3 && lets_out() && play.admitted)));
	MUST(is_kek(key) == (play.asked == CUSTOS_TOKEN_KEK_BACKUP));
	memset(out, 'w', 40);
	*len = 40;
	return CKR_OK;
}

static CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	(void)session;
	MUST(object > LOG_PUBLIC || object == 1);
	return CKR_OK;
}

static CK_OBJECT_HANDLE signing;

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	(void)session, (void)mechanism;
	signing = key;
	return CKR_OK;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *len)
{
	(void)session, (void)data, (void)data_len;
	MUST(signing != LOG_KEY || !play.log_is_open || play.asked == CUSTOS_TOKEN_LOG_SIGN);
	MUST(*len >= 64);
	memset(signature, 's', 64);
	*len = 64;
	return CKR_OK;
}

static CK_FUNCTION_LIST token;

static void make_token(void)
{
	token.C_Initialize = initialize;
	token.C_Finalize = finalize;
	token.C_GetSlotList = get_slot_list;
	token.C_GetTokenInfo = get_token_info;
	token.C_OpenSession = open_session;
	token.C_CloseSession = close_session;
	token.C_Logout = close_session;
	token.C_Login = login;
	token.C_InitToken = init_token;
	token.C_InitPIN = init_pin;
	token.C_FindObjectsInit = find_init;
	token.C_FindObjects = find;
	token.C_FindObjectsFinal = find_final;
	token.C_GetAttributeValue = get_attribute;
	token.C_GenerateKey = generate_key;
	token.C_GenerateKeyPair = generate_pair;
	token.C_CopyObject = copy;
	token.C_UnwrapKey = unwrap;
	token.C_DeriveKey = derive;
	token.C_WrapKey = wrap;
	token.C_DestroyObject = destroy;
	token.C_SignInit = sign_init;
	token.C_Sign = sign;
}

/* ---- in the place of the machine ---- */

custos_rc __wrap_custos_module_resolve(const char *module, char *ret_path, size_t size, struct custos_err *err);
CK_FUNCTION_LIST *__wrap_p11_kit_module_load(const char *path, int flags);
custos_rc __wrap_custos_token_lock(const char *dir, const char *name, int wait_ms, int *ret_fd, struct custos_err *err);
custos_rc __wrap_custos_softhsm_token_dir(const char *conf, char **ret_dir, struct custos_err *err);
custos_rc __wrap_custos_softhsm_protect(const char *token_dir, const char *serial, enum custos_softhsm_action *ret_action, struct custos_err *err);
custos_rc __wrap_custos_softhsm_each(const char *token_dir, custos_rc (*each)(void *ctx, const char *serial, struct custos_err *err), void *ctx, struct custos_err *err);
custos_rc __wrap_custos_softhsm_sync(const char *token_dir, struct custos_err *err);
custos_rc __wrap_custos_policy_read_back(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_policy *policy,
                                         const struct custos_policy_values *values, struct custos_json *json, struct custos_err *err);
custos_rc __wrap_custos_guard_admit(struct custos_guard *guard, const struct custos_guard_claim *claim, struct custos_err *err);
custos_rc __real_custos_guard_admit(struct custos_guard *guard, const struct custos_guard_claim *claim, struct custos_err *err);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
custos_rc __wrap_custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err);
custos_rc __real_custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err);

custos_rc __wrap_custos_module_resolve(const char *module, char *ret_path, size_t size, struct custos_err *err)
{
	CUSTOS_REQUIRE(module[0] != '\0', err, CUSTOS_E_INPUT, "no PKCS#11 module is named");
	MUST(size > 32);
	memcpy(ret_path, "/usr/lib/softhsm/libsofthsm2.so", 32);
	return CUSTOS_OK;
}

CK_FUNCTION_LIST *__wrap_p11_kit_module_load(const char *path, int flags)
{
	(void)path;
	MUST(flags == P11_KIT_MODULE_UNMANAGED);
	return &token;
}

custos_rc __wrap_custos_token_lock(const char *dir, const char *name, int wait_ms, int *ret_fd, struct custos_err *err)
{
	(void)name, (void)wait_ms, (void)err;
	MUST(strcmp(dir, CUSTOS_TOKEN_LOCK_DIR) == 0);
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return CUSTOS_OK;
}

custos_rc __wrap_custos_softhsm_token_dir(const char *conf, char **ret_dir, struct custos_err *err)
{
	(void)conf;
	*ret_dir = custos_text_dup("/nonexistent");
	CUSTOS_REQUIRE(*ret_dir != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

custos_rc __wrap_custos_softhsm_protect(const char *token_dir, const char *serial, enum custos_softhsm_action *ret_action, struct custos_err *err)
{
	(void)token_dir, (void)serial, (void)err;
	*ret_action = CUSTOS_SOFTHSM_NOTHING;
	return CUSTOS_OK;
}

custos_rc __wrap_custos_softhsm_each(const char *token_dir, custos_rc (*each)(void *ctx, const char *serial, struct custos_err *err), void *ctx, struct custos_err *err)
{
	(void)token_dir;
	return each(ctx, "0123456789abcdef", err);
}

custos_rc __wrap_custos_softhsm_sync(const char *token_dir, struct custos_err *err)
{
	(void)token_dir, (void)err;
	return CUSTOS_OK;
}

custos_rc __wrap_custos_policy_read_back(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_policy *policy,
                                         const struct custos_policy_values *values, struct custos_json *json, struct custos_err *err)
{
	(void)session, (void)object, (void)policy, (void)values, (void)json, (void)err;
	MUST(module == &token);
	return CUSTOS_OK;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)time, (void)left;
	return 0;
}

/* ---- what a release must show, read once more ---- */

static bool holds_hex(struct custos_bytes leaf, const uint8_t *value, size_t len)
{
	char hex[2 * CUSTOS_POINT_SIZE + 1];
	custos_text_hex(value, len, hex);
	return memmem(leaf.ptr, leaf.len, hex, 2 * len) != NULL;
}

static void check_claim(const struct custos_guard_claim *claim)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	struct custos_bytes leaf = claim->leaf, hosts = claim->hosts_line;
	MUST((lets_out() || play.asked == CUSTOS_TOKEN_RELEASE_SEALED) && (claim->sealed != NULL) == (play.asked == CUSTOS_TOKEN_RELEASE_SEALED));
	MUST((claim->kind == CUSTOS_INTENT_KEK_BACKUP) == (play.asked == CUSTOS_TOKEN_KEK_BACKUP) && (claim->kind != CUSTOS_INTENT_OPENING || (claim->sealed != NULL && hosts.len == 2)));
	const char *event = claim->kind == CUSTOS_INTENT_OPENING ? "\"event\":\"key.open_intent\"" : claim->kind == CUSTOS_INTENT_RELEASE ? "\"event\":\"release.intent\"" : "\"event\":\"kek.backup_intent\"";
	MUST(play.checkpoint_len > 0 && custos_bytes_equal(claim->checkpoint_body, CUSTOS_BYTES(play.checkpoint, play.checkpoint_len)));
	MUST(custos_sha256(claim->container, hash, NULL) == CUSTOS_OK && holds_hex(leaf, hash, sizeof hash) && holds_hex(leaf, claim->courier_point, CUSTOS_POINT_SIZE));
	MUST(memmem(leaf.ptr, leaf.len, hosts.ptr, hosts.len) != NULL && memmem(leaf.ptr, leaf.len, event, strlen(event)) != NULL);
	/* and all of it is what the keeper said */
	const struct custos_bytes said[] = { claim->container, leaf, hosts, claim->checkpoint_body };
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		MUST(memmem(play.request.ptr, play.request.len, said[i].ptr, said[i].len) != NULL);
	MUST(custos_sha256(leaf, hash, NULL) == CUSTOS_OK && play.released_count < LEAVES);
	for (size_t i = 0; i < play.released_count; i++)
		MUST(memcmp(play.released[i], hash, sizeof hash) != 0);
	memcpy(play.released[play.released_count++], hash, sizeof hash);
}

custos_rc __wrap_custos_guard_admit(struct custos_guard *guard, const struct custos_guard_claim *claim, struct custos_err *err)
{
	custos_rc rc = __real_custos_guard_admit(guard, claim, err);
	play.admitted = rc == CUSTOS_OK;
	if (rc == CUSTOS_OK)
		check_claim(claim);
	return rc;
}

static const uint8_t replies[][2] = {
	{ CUSTOS_TOKEN_LIST, CUSTOS_TOKEN_LISTED }, { CUSTOS_TOKEN_INIT, CUSTOS_TOKEN_INITIALIZED }, { CUSTOS_TOKEN_OPEN, CUSTOS_TOKEN_OPENED },
	{ CUSTOS_TOKEN_LOGIN, CUSTOS_TOKEN_LOGGED_IN }, { CUSTOS_TOKEN_INFO, CUSTOS_TOKEN_INFO_IS }, { CUSTOS_TOKEN_KEK_CREATE, CUSTOS_TOKEN_KEK_CREATED },
	{ CUSTOS_TOKEN_KEK_OPEN, CUSTOS_TOKEN_KEK_OPENED }, { CUSTOS_TOKEN_LOG_KEY_CREATE, CUSTOS_TOKEN_KEY_MADE }, { CUSTOS_TOKEN_LOG_OPEN, CUSTOS_TOKEN_LOG_OPENED },
	{ CUSTOS_TOKEN_LOG_SIGN, CUSTOS_TOKEN_SIGNED }, { CUSTOS_TOKEN_KEY_GENERATE, CUSTOS_TOKEN_KEY_MADE }, { CUSTOS_TOKEN_SIGN, CUSTOS_TOKEN_SIGNED },
	{ CUSTOS_TOKEN_RELEASE, CUSTOS_TOKEN_RELEASED }, { CUSTOS_TOKEN_RELEASE_TO_KEY, CUSTOS_TOKEN_RELEASED_TO_KEY },
	{ CUSTOS_TOKEN_KEYS, CUSTOS_TOKEN_KEYS_DONE },
	{ CUSTOS_TOKEN_KEY_DESTROY, CUSTOS_TOKEN_KEY_DESTROYED }, { CUSTOS_TOKEN_IMPORT_BEGIN, CUSTOS_TOKEN_IMPORT_POINT },
	{ CUSTOS_TOKEN_IMPORT, CUSTOS_TOKEN_KEY_MADE }, { CUSTOS_TOKEN_KEK_BACKUP, CUSTOS_TOKEN_RELEASED }, { CUSTOS_TOKEN_KEK_KEEP, CUSTOS_TOKEN_KEK_TAKEN },
	{ CUSTOS_TOKEN_KEK_RECEIVE, CUSTOS_TOKEN_KEK_TAKEN }, { CUSTOS_TOKEN_KEK_DESTROY, CUSTOS_TOKEN_KEY_DESTROYED }, { CUSTOS_TOKEN_KEY_REWRAP, CUSTOS_TOKEN_KEY_MADE }, { CUSTOS_TOKEN_DOCTOR, CUSTOS_TOKEN_FOUND },
	{ CUSTOS_TOKEN_SEALING_CREATE, CUSTOS_TOKEN_SEALING_CREATED }, { CUSTOS_TOKEN_SEALING_OPEN, CUSTOS_TOKEN_SEALING_OPENED },
	{ CUSTOS_TOKEN_RELEASE_SEALED, CUSTOS_TOKEN_SEALED_RELEASED },
};

/* What a request that succeeded has changed. */
static void note_success(void)
{
	/* the profile of this token needs no key of the courier's */
	MUST(((!lets_out() && play.asked != CUSTOS_TOKEN_RELEASE_SEALED) || play.admitted) && play.asked != CUSTOS_TOKEN_RELEASE_TO_KEY);
	if (play.asked == CUSTOS_TOKEN_LOG_SIGN) {
		struct custos_wire r = custos_wire_read(custos_buf_view(&play.request));
		struct custos_bytes body = custos_wire_bytes(&r);
		MUST(play.log_was_found && body.len <= sizeof play.checkpoint);
		memcpy(play.checkpoint, body.ptr, body.len);
		play.checkpoint_len = body.len;
	}
}

/* Exactly one answer to what was asked, and none to nothing. */
static void hear_answer(void)
{
	static uint8_t packet[WIRE_HEADER + CUSTOS_FRAME_BODY_MAX];
	bool descriptor, own = false;
	size_t len, heard = 0;
	while ((len = hear_packet(play.keeper, packet, &descriptor)) > 0) {
		MUST(!descriptor && play.asked != 0 && heard == 0);
		/* of many keys, one for each, before the answer */
		if (play.asked == CUSTOS_TOKEN_KEYS && packet[1] == CUSTOS_TOKEN_KEYS_RESULT)
			continue;
		heard++;
		for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
			own = own || (replies[i][0] == play.asked && replies[i][1] == packet[1]);
		MUST(own || packet[1] == CUSTOS_TOKEN_FAILED);
	}
	MUST(heard == (play.asked != 0));
	if (play.asked == CUSTOS_TOKEN_LOG_OPEN)
		play.log_is_open = own;
	play.log_was_found = play.log_was_found || play.log_is_open;
	if (play.asked == CUSTOS_TOKEN_OPEN || play.asked == CUSTOS_TOKEN_INIT || play.asked == CUSTOS_TOKEN_LIST) {
		play.log_was_found = play.log_is_open = false;
		play.checkpoint_len = 0;
	}
	if (own)
		note_success();
	play.asked = 0;
}

custos_rc __wrap_custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err)
{
	hear_answer();
	custos_buf_done(&play.request);
	custos_rc rc = __real_custos_channel_receive(channel, timeout_ms, frame, err);
	if (rc == CUSTOS_OK) {
		play.asked = frame->type;
		play.admitted = false;
		MUST(custos_buf_append(&play.request, frame->body.ptr, frame->body.len, NULL) == CUSTOS_OK);
	}
	return rc;
}

/* The reading end of a pipe of PINs that nobody writes to any more. */
static int pipe_of_pins(void)
{
	int ends[2];
	MUST(pipe2(ends, O_CLOEXEC) == 0);
	for (int i = 0; i < 40; i++)
		MUST(write(ends[1], "1234\n", 5) == 5);
	close(ends[1]);
	return ends[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct custos_err err = { 0 };
	int pair[2];
	MUST(custos_secret_start(NULL) == CUSTOS_OK);
	make_token();
	size_t descriptors = count_descriptors();
	memset(&play, 0, sizeof play);
	make_channel(pair);
	play.keeper = pair[1];
	int pins = pipe_of_pins();
	speak_all(pair[1], CUSTOS_BYTES(data, size), pins);
	close(pins);
	struct custos_channel channel = { .fd = pair[0], .side = CUSTOS_SIDE_HELPER, .protocol = &custos_token_protocol, .peer = "keeper" };
	/* what follows the last frame is none: it ends with an error, and nothing was said to it */
	MUST(custos_serve(&channel, "/nonexistent/softhsm2.conf", &err) != CUSTOS_OK && err.msg[0] != '\0');
	hear_answer();
	custos_buf_done(&play.request);
	close(pair[0]);
	close(pair[1]);
	MUST(count_descriptors() == descriptors);
	return 0;
}

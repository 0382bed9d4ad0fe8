/* Listing the tokens of a module and initialising one. Both work under the discovery lock and end with the process. */
#include "token/select.h"
#include "token/token_lock.h"

static custos_rc add_token(struct custos_session *session, const CK_TOKEN_INFO *token, struct custos_json *list, struct custos_err *err)
{
	struct custos_token_info info;
	struct custos_token_profile profile = { 0 };
	bool found;
	custos_token_describe(token, session->module.path, &info);
	CUSTOS_TRY(custos_token_profile_for_token(&info, &profile, &found, err));
	if (found) {
		memcpy(info.profile, profile.name, sizeof info.profile);
		size_t len = strlen(custos_tier_name(profile.tier));
		memcpy(info.tier, custos_tier_name(profile.tier), len + 1);
	}
	custos_json_push(list, custos_token_info_json(&info));
	return CUSTOS_OK;
}

custos_rc custos_session_list(struct custos_session *session, const char *module, struct custos_json **ret_list, struct custos_err *err)
{
	CUSTOS_TRY(custos_session_load(session, module, NULL, err));
	CUSTOS_TRY(custos_token_lock(CUSTOS_TOKEN_LOCK_DIR, CUSTOS_TOKEN_LOCK_DISCOVERY, CUSTOS_TOKEN_LOCK_WAIT_MS, &session->lock_fd, err));
	CUSTOS_TRY(custos_session_protect_all(session, err));
	CUSTOS_TRY(custos_session_start_module(session, err));
	CK_SLOT_ID *slots = NULL;
	size_t count = 0;
	CUSTOS_TRY(custos_slots_list(&session->module, &slots, &count, err));
	struct custos_json *list = custos_json_array();
	custos_rc rc = CUSTOS_OK;
	for (size_t i = 0; i < count && rc == CUSTOS_OK; i++) {
		CK_TOKEN_INFO token;
		if (session->module.functions->C_GetTokenInfo(slots[i], &token) == CKR_OK)
			rc = add_token(session, &token, list, err);
	}
	free(slots);
	if (rc != CUSTOS_OK) {
		custos_json_free(list);
		return rc;
	}
	*ret_list = list;
	return CUSTOS_OK;
}

/* The slot named, or the token the URI fits, or the first slot without a token; never one that is initialised. */
static custos_rc find_slot(struct custos_session *session, const struct custos_selector *selector, struct custos_err *err)
{
	CK_SLOT_ID *slots = NULL;
	size_t count = 0;
	CUSTOS_TRY(custos_slots_list(&session->module, &slots, &count, err));
	bool found = false, initialized = false;
	for (size_t i = 0; i < count && !found; i++) {
		CK_TOKEN_INFO token;
		if (session->module.functions->C_GetTokenInfo(slots[i], &token) != CKR_OK)
			continue;
		bool is_initialized = (token.flags & CKF_TOKEN_INITIALIZED) != 0;
		bool fits = selector->by_slot ? slots[i] == selector->slot : selector->uri != NULL ? custos_selector_fits(selector, &token) : !is_initialized;
		if (!fits)
			continue;
		found = true;
		initialized = is_initialized;
		session->slot = slots[i];
		custos_token_describe(&token, session->module.path, &session->info);
	}
	free(slots);
	if (!found)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "“custos token list” shows what is there", "no slot without a token fits");
	if (initialized)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "initialising would destroy its keys; use the device's own tool if that is wanted", "token “%s” serial %s is initialised already",
		                 session->info.label, session->info.serial);
	return CUSTOS_OK;
}

struct admin_pin {
	struct custos_session *session;
	unsigned char label[32];
	CK_RV rv;
};

static custos_rc init_token(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	struct admin_pin *use = ctx;
	use->rv = use->session->module.functions->C_InitToken(use->session->slot, bytes, len, use->label);
	return CUSTOS_OK;
}

static custos_rc login_officer(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	struct admin_pin *use = ctx;
	use->rv = use->session->module.functions->C_Login(use->session->handle, CKU_SO, bytes, len);
	return CUSTOS_OK;
}

static custos_rc set_user_pin(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	struct admin_pin *use = ctx;
	use->rv = use->session->module.functions->C_InitPIN(use->session->handle, bytes, len);
	return CUSTOS_OK;
}

static custos_rc check_lengths(const struct custos_session *session, const struct custos_secret *so_pin, const struct custos_secret *user_pin, struct custos_err *err)
{
	const struct custos_token_profile *p = &session->profile;
	if (p->name[0] == '\0')
		return CUSTOS_OK;
	size_t so = custos_secret_length(so_pin), user = custos_secret_length(user_pin);
	CUSTOS_REQUIRE(so >= p->pin_min && so <= p->pin_max && user >= p->pin_min && user <= p->pin_max, err, CUSTOS_E_USAGE, "a PIN of this token has %u to %u characters", p->pin_min,
	               p->pin_max);
	return CUSTOS_OK;
}

custos_rc custos_session_init_token(struct custos_session *session, const struct custos_token_where *where, const char *label, struct custos_secret *so_pin,
                                    struct custos_secret *user_pin, struct custos_err *err)
{
	struct admin_pin use = { .session = session };
	size_t len = strlen(label);
	CUSTOS_REQUIRE(len > 0 && len <= sizeof use.label, err, CUSTOS_E_USAGE, "a token label has 1 to 32 bytes");
	memset(use.label, ' ', sizeof use.label);
	memcpy(use.label, label, len);
	CUSTOS_TRY(custos_session_load(session, where->module, where->profile, err));
	CUSTOS_TRY(check_lengths(session, so_pin, user_pin, err));
	CUSTOS_TRY(custos_token_lock(CUSTOS_TOKEN_LOCK_DIR, CUSTOS_TOKEN_LOCK_DISCOVERY, CUSTOS_TOKEN_LOCK_WAIT_MS, &session->lock_fd, err));
	CUSTOS_TRY(custos_session_protect_all(session, err));
	CUSTOS_TRY(custos_session_start_module(session, err));
	struct custos_selector selector = { 0 };
	CUSTOS_TRY(custos_selector_parse(where->uri, where->serial, CUSTOS_SELECT_MAY_NAME_SLOT, &selector, err));
	custos_rc rc = find_slot(session, &selector, err);
	custos_selector_done(&selector);
	CUSTOS_TRY(rc);

	CK_FUNCTION_LIST *f = session->module.functions;
	CUSTOS_TRY(custos_secret_expose(so_pin, init_token, &use, err));
	CUSTOS_TRY(custos_ck(use.rv, err, "cannot initialise token “%s”", label));
	CUSTOS_TRY(custos_ck(f->C_OpenSession(session->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session->handle), err, "cannot open the new token “%s”", label));
	session->is_open = true;
	CUSTOS_TRY(custos_secret_expose(so_pin, login_officer, &use, err));
	CUSTOS_TRY(custos_ck(use.rv, err, "cannot log in to the new token “%s”", label));
	CUSTOS_TRY(custos_secret_expose(user_pin, set_user_pin, &use, err));
	CUSTOS_TRY(custos_ck(use.rv, err, "cannot set the user PIN of the new token “%s”", label));
	CK_TOKEN_INFO token;
	CUSTOS_TRY(custos_ck(f->C_GetTokenInfo(session->slot, &token), err, "cannot read the new token “%s”", label));
	custos_token_describe(&token, session->module.path, &session->info);
	CUSTOS_TRY(custos_session_sync(session, err));
	return custos_session_protect(session, session->info.serial, err);
}

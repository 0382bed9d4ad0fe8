/* From nothing to an open session: see session.h.
 *
 *   serial known:    lock ── safety copy ── C_Initialize ── find ── C_OpenSession
 *   serial unknown:  discovery lock ── C_Initialize ── find ── C_Finalize ── unlock, then as above
 *
 * The lock is taken before the module is initialised and held until the process ends. */
#include "token/session.h"
#include "base/text.h"
#include "token/context_login.h"
#include "token/select.h"
#include "token/softhsm_files.h"
#include "token/token_lock.h"
#include "token/wire_info.h"

#include <stdio.h>
#include <time.h>

enum { ATTEMPTS = 3, PAUSE_MS = 50 };

void custos_session_init(struct custos_session *session, const char *softhsm_conf)
{
	*session = (struct custos_session){ .lock_fd = -1, .softhsm_conf = softhsm_conf };
}

void custos_session_done(struct custos_session *session)
{
	if (session->is_open) {
		(void)session->module.functions->C_Logout(session->handle);
		(void)session->module.functions->C_CloseSession(session->handle);
	}
	session->is_open = false;
	custos_module_done(&session->module);
	custos_guard_free(session->guard);
	session->guard = NULL;
	custos_context_free(session->context);
	session->context = NULL;
	free(session->softhsm_dir);
	session->softhsm_dir = NULL;
	custos_buf_done(&session->repaired);
	custos_close_fd(&session->lock_fd);
}

/* What the profile says must be known before C_Initialize. */
static custos_rc prepare_files(struct custos_session *session, struct custos_err *err)
{
	if (session->profile.file_copy != CUSTOS_FILE_COPY_SOFTHSM || session->softhsm_dir != NULL)
		return CUSTOS_OK;
	return custos_softhsm_token_dir(session->softhsm_conf, &session->softhsm_dir, err);
}

custos_rc custos_session_load(struct custos_session *session, const char *module, const char *profile, struct custos_err *err)
{
	CUSTOS_TRY(custos_module_resolve(module, session->module.path, sizeof session->module.path, err));
	bool found = false;
	session->takes_strangers = profile != NULL && strcmp(profile, CUSTOS_PROFILE_ANY) == 0;
	if (profile != NULL && strchr(profile, '\n') != NULL)
		CUSTOS_TRY(custos_token_profile_parse(CUSTOS_BYTES_STR(profile), "the token's profile", &session->profile, err));
	else if (profile != NULL && profile[0] != '\0' && !session->takes_strangers)
		CUSTOS_TRY(custos_token_profile_named(profile, &session->profile, err));
	else
		CUSTOS_TRY(custos_token_profile_for_module(session->module.path, &session->profile, &found, err));
	session->module.parameters = session->profile.parameters;
	CUSTOS_TRY(prepare_files(session, err));
	return custos_module_load(&session->module, err);
}

static void pause_shortly(void)
{
	struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	nanosleep(&pause, NULL);
}

custos_rc custos_session_start_module(struct custos_session *session, struct custos_err *err)
{
	for (int attempt = 1;; attempt++) {
		struct custos_err why = { 0 };
		if (custos_module_initialize(&session->module, &why) == CUSTOS_OK)
			return CUSTOS_OK;
		if (attempt == ATTEMPTS)
			CUSTOS_FAIL_NATIVE(err, why.rc, why.native, "%s", why.msg);
		pause_shortly();
	}
}

custos_rc custos_session_protect(struct custos_session *session, const char *serial, struct custos_err *err)
{
	if (session->softhsm_dir == NULL)
		return CUSTOS_OK;
	enum custos_softhsm_action action;
	CUSTOS_TRY(custos_softhsm_protect(session->softhsm_dir, serial, &action, err));
	return action == CUSTOS_SOFTHSM_REPAIRED ? custos_buf_printf(&session->repaired, err, " %s ", serial) : CUSTOS_OK;
}

/* In discovery one broken or busy token must not hide the others. */
static custos_rc protect_if_free(void *ctx, const char *serial, struct custos_err *err)
{
	(void)err;
	struct custos_err ignored = { 0 };
	CUSTOS_AUTO_FD lock = -1;
	if (custos_token_lock(CUSTOS_TOKEN_LOCK_DIR, serial, 0, &lock, &ignored) != CUSTOS_OK)
		return CUSTOS_OK;
	if (custos_session_protect(ctx, serial, &ignored) != CUSTOS_OK)
		custos_err_clear(&ignored);
	return CUSTOS_OK;
}

custos_rc custos_session_protect_all(struct custos_session *session, struct custos_err *err)
{
	return session->softhsm_dir == NULL ? CUSTOS_OK : custos_softhsm_each(session->softhsm_dir, protect_if_free, session, err);
}

/* Initialises and finds; a token that is not there is looked for again, since a module may miss one while its file is being written. */
static custos_rc start_and_find(struct custos_session *session, const struct custos_selector *selector, CK_TOKEN_INFO *ret_token, struct custos_err *err)
{
	for (int attempt = 1;; attempt++) {
		struct custos_err why = { 0 };
		bool none = false;
		CUSTOS_TRY(custos_session_start_module(session, err));
		if (custos_selector_find(selector, &session->module, &session->slot, ret_token, &none, &why) == CUSTOS_OK)
			return CUSTOS_OK;
		custos_module_finalize(&session->module);
		if (!none || attempt == ATTEMPTS) {
			(void)custos_err_set(err, why.rc, why.native, "%s", why.msg);
			custos_err_hint(err, "%s", why.hint);
			return why.rc;
		}
		pause_shortly();
	}
}

/* The profile that was taken by the module's name must fit the token; a profile found by the token's words comes from discovery. */
static custos_rc settle_profile(struct custos_session *session, struct custos_err *err)
{
	const struct custos_token_info *info = &session->info;
	bool found = session->profile.name[0] != '\0';
	if (!found)
		CUSTOS_TRY(custos_token_profile_for_token(info, &session->profile, &found, err));
	found = found && custos_token_profile_fits(&session->profile, info);
	if (!found && session->takes_strangers)
		custos_token_profile_unknown(&session->profile);
	else if (!found)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "custos opens only tokens whose behaviour was measured; see tokens/README.md", "no profile fits token “%s” (%s, %s)", info->label,
		                 info->manufacturer, info->model);
	snprintf(session->info.profile, sizeof session->info.profile, "%s", session->profile.name);
	snprintf(session->info.tier, sizeof session->info.tier, "%s", custos_tier_name(session->profile.tier));
	session->info.padding_max = session->profile.padding;
	session->info.transport = session->profile.transport;
	return prepare_files(session, err);
}

static custos_rc discover(struct custos_session *session, struct custos_selector *selector, struct custos_err *err)
{
	CUSTOS_AUTO_FD lock = -1;
	CK_TOKEN_INFO token;
	CUSTOS_TRY(custos_token_lock(CUSTOS_TOKEN_LOCK_DIR, CUSTOS_TOKEN_LOCK_DISCOVERY, CUSTOS_TOKEN_LOCK_WAIT_MS, &lock, err));
	CUSTOS_TRY(custos_session_protect_all(session, err));
	CUSTOS_TRY(start_and_find(session, selector, &token, err));
	custos_token_describe(&token, session->module.path, &session->info);
	custos_module_finalize(&session->module);
	memcpy(selector->serial, session->info.serial, sizeof selector->serial);
	return settle_profile(session, err);
}

/* Discovery may have put back other tokens; only this one's repair is this keeper's to log. */
static void note_repair(struct custos_session *session)
{
	char pattern[24];
	snprintf(pattern, sizeof pattern, " %s ", session->info.serial);
	session->info.repaired = session->repaired.len > 0 && strstr((const char *)session->repaired.ptr, pattern) != NULL;
}

static custos_rc open_selected(struct custos_session *session, struct custos_selector *selector, struct custos_err *err)
{
	CK_TOKEN_INFO token;
	if (selector->serial[0] == '\0' || session->profile.name[0] == '\0')
		CUSTOS_TRY(discover(session, selector, err));
	CUSTOS_TRY(custos_token_lock(CUSTOS_TOKEN_LOCK_DIR, selector->serial, CUSTOS_TOKEN_LOCK_WAIT_MS, &session->lock_fd, err));
	CUSTOS_TRY(custos_session_protect(session, selector->serial, err));
	CUSTOS_TRY(start_and_find(session, selector, &token, err));
	custos_token_describe(&token, session->module.path, &session->info);
	CUSTOS_TRY(settle_profile(session, err));
	note_repair(session);
	CUSTOS_TRY(custos_ck(session->module.functions->C_OpenSession(session->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session->handle), err,
	                     "cannot open a session with token “%s”", session->info.label));
	session->is_open = true;
	return custos_guard_new(&session->guard, err);
}

custos_rc custos_session_open(struct custos_session *session, const struct custos_token_where *where, struct custos_err *err)
{
	struct custos_selector selector = { 0 };
	CUSTOS_TRY(custos_selector_parse(where->uri, where->serial, 0, &selector, err));
	custos_rc rc = custos_session_load(session, where->module, where->profile, err);
	if (rc == CUSTOS_OK)
		rc = open_selected(session, &selector, err);
	custos_selector_done(&selector);
	return rc;
}

unsigned custos_session_limit(const struct custos_session *session)
{
	return session->profile.sessions == CUSTOS_SESSION_PER_THREAD ? CUSTOS_TOKEN_SESSIONS_MAX : 1;
}

custos_rc custos_session_open_another(const struct custos_session *session, struct custos_session *ret_other, struct custos_err *err)
{
	struct custos_session other = *session;
	CUSTOS_TRY(custos_ck(session->module.functions->C_OpenSession(session->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &other.handle), err,
	                     "cannot open another session with token “%s”", session->info.label));
	*ret_other = other;
	return CUSTOS_OK;
}

void custos_session_close_another(struct custos_session *other)
{
	if (other->is_open)
		(void)other->module.functions->C_CloseSession(other->handle);
	other->is_open = false;
}

custos_rc custos_session_read_flags(struct custos_session *session, struct custos_err *err)
{
	CK_TOKEN_INFO token;
	CUSTOS_TRY(custos_ck(session->module.functions->C_GetTokenInfo(session->slot, &token), err, "cannot read the flags of token “%s”", session->info.label));
	custos_token_take_flags(&token, &session->info);
	return CUSTOS_OK;
}

custos_rc custos_session_sync(struct custos_session *session, struct custos_err *err)
{
	return session->softhsm_dir == NULL ? CUSTOS_OK : custos_softhsm_sync(session->softhsm_dir, err);
}

struct attempt {
	struct custos_session *session;
	CK_RV rv;
};

static custos_rc attempt_login(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	struct attempt *attempt = ctx;
	attempt->rv = attempt->session->module.functions->C_Login(attempt->session->handle, CKU_USER, bytes, len);
	return CUSTOS_OK;
}

custos_rc custos_session_refuse_last(const struct custos_session *session, struct custos_err *err)
{
	const struct custos_token_info *info = &session->info;
	if (info->pin_locked)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "the security officer can set a new user PIN", "the user PIN of token “%s” is locked; no attempt was made", info->label);
	if (info->pin_final_try)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "log in once with the device's own tool, where you see what you type; that clears the flag",
		                 "one wrong PIN would lock token “%s” (user PIN final try); no attempt was made", info->label);
	return CUSTOS_OK;
}

static custos_rc judge_login(struct custos_session *session, CK_RV rv, struct custos_err *err)
{
	char flags[96], name[48];
	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return CUSTOS_OK;
	custos_info_pin_flags(&session->info, flags, sizeof flags);
	custos_ckr_name(rv, name);
	switch (rv) {
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
	case CKR_PIN_LOCKED:
	case CKR_PIN_EXPIRED:
		(void)custos_err_set(err, CUSTOS_E_AUTH, (long)rv, "PIN refused by token “%s” (%s); flags now: %s", session->info.label, name, flags);
		custos_err_hint(err, "one attempt was made and counts; be sure of the PIN before the next");
		return CUSTOS_E_AUTH;
	case CKR_FUNCTION_CANCELED:
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_AUTH, (long)rv, "no PIN was entered at the pad of token “%s” (%s); flags now: %s", session->info.label, name, flags);
	default:
		return custos_ck(rv, err, "cannot log in to token “%s”", session->info.label);
	}
}

custos_rc custos_session_login(struct custos_session *session, struct custos_secret *pin, struct custos_err *err)
{
	CUSTOS_TRY(custos_session_read_flags(session, err));
	CUSTOS_TRY(custos_session_refuse_last(session, err));
	struct attempt attempt = { .session = session, .rv = CKR_GENERAL_ERROR };
	if (pin != NULL) {
		size_t len = custos_secret_length(pin);
		if (len < session->profile.pin_min || len > session->profile.pin_max)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "no attempt was made", "a PIN of token “%s” has %u to %u characters", session->info.label, session->profile.pin_min,
			                 session->profile.pin_max);
		CUSTOS_TRY(custos_secret_expose(pin, attempt_login, &attempt, err));
	} else {
		if (!session->info.protected_path)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "name another PIN source; no attempt was made", "token “%s” has no PIN pad of its own", session->info.label);
		attempt.rv = session->module.functions->C_Login(session->handle, CKU_USER, NULL, 0);
	}
	/* SoftHSM rewrites its token file at every login: look at what it left, while a copy is at hand */
	CUSTOS_TRY(custos_session_protect(session, session->info.serial, err));
	note_repair(session);
	CUSTOS_TRY(custos_session_read_flags(session, err));
	return judge_login(session, attempt.rv, err);
}

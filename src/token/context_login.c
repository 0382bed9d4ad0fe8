/* Logging in once more for one signature: see context_login.h.
 *
 * This file owns the only PIN that outlives its login. It is kept when the profile says `always_authenticate: yes` or a key on the token is found to want it, in locked
 * memory, for the life of the process, and shared by its sessions; it is the PIN the token has just taken. If the token does not take it all the same, it is
 * wiped and never tried again: whatever changed meanwhile, a second attempt could cost the token. */
#include "token/context_login.h"
#include "memory/secret.h"

#include <pthread.h>

struct custos_context {
	pthread_mutex_t lock;                          /* of the rest, and of the login: two refusals at once would be two attempts */
	struct custos_secret *pin;                     /* NULL: entered at the token's own pad, or wiped */
	bool is_at_pad, is_stopped;
};

void custos_context_free(struct custos_context *context)
{
	if (context == NULL)
		return;
	custos_secret_free(context->pin);
	pthread_mutex_destroy(&context->lock);
	free(context);
}

/* Whether any private key on the token says so. A token that cannot be asked like that says no. */
static bool some_key_wants_it(const struct custos_session *session)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof class }, { CKA_ALWAYS_AUTHENTICATE, &yes, sizeof yes } };
	CK_OBJECT_HANDLE found;
	CK_ULONG count = 0;
	if (f->C_FindObjectsInit(session->handle, wanted, sizeof wanted / sizeof *wanted) != CKR_OK)
		return false;
	CK_RV rv = f->C_FindObjects(session->handle, &found, 1, &count);
	(void)f->C_FindObjectsFinal(session->handle);
	return rv == CKR_OK && count > 0;
}

custos_rc custos_context_settle(struct custos_session *session, struct custos_secret **pin, struct custos_err *err)
{
	if (session->context != NULL || (!session->profile.always_authenticate && !some_key_wants_it(session)))
		return CUSTOS_OK;
	struct custos_context *context = calloc(1, sizeof *context);
	CUSTOS_REQUIRE(context != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	pthread_mutex_init(&context->lock, NULL);
	context->is_at_pad = *pin == NULL;
	context->pin = CUSTOS_TAKE(*pin);
	session->context = context;
	return CUSTOS_OK;
}

/* What the key says; one that does not say does as the profile says. */
static bool wants_it(const struct custos_session *session, CK_OBJECT_HANDLE key)
{
	CK_BBOOL value = CK_FALSE;
	CK_ATTRIBUTE a = { CKA_ALWAYS_AUTHENTICATE, &value, sizeof value };
	if (session->module.functions->C_GetAttributeValue(session->handle, key, &a, 1) != CKR_OK || a.ulValueLen != sizeof value)
		return session->profile.always_authenticate;
	return value != CK_FALSE;
}

struct attempt {
	const struct custos_session *session;
	CK_RV rv;
};

static custos_rc attempt_login(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	struct attempt *attempt = ctx;
	attempt->rv = attempt->session->module.functions->C_Login(attempt->session->handle, CKU_CONTEXT_SPECIFIC, bytes, len);
	return CUSTOS_OK;
}

static custos_rc refuse_again(const struct custos_session *session, struct custos_err *err)
{
	CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "see the first error; run the command again when you know why", "the PIN of token “%s” is not tried again for a signature", session->info.label);
}

/* Anything but success is the end of it. */
static custos_rc log_in_once(const struct custos_session *session, struct custos_context *context, struct custos_err *err)
{
	const char *label = session->info.label;
	if (context->is_stopped)
		return refuse_again(session, err);
	context->is_stopped = true;
	if (context->is_at_pad)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "name another PIN source", "a key of token “%s” wants the PIN before each signature, and it was entered at the token's own pad", label);
	/* a copy: other threads have flags of their own */
	struct custos_session now = *session;
	CUSTOS_TRY(custos_session_read_flags(&now, err));
	CUSTOS_TRY(custos_session_refuse_last(&now, err));
	struct attempt attempt = { .session = session, .rv = CKR_GENERAL_ERROR };
	CUSTOS_TRY(custos_secret_expose(context->pin, attempt_login, &attempt, err));
	context->is_stopped = attempt.rv != CKR_OK;
	if (attempt.rv == CKR_OK)
		return CUSTOS_OK;
	char name[48];
	custos_ckr_name(attempt.rv, name);
	(void)custos_err_set(err, CUSTOS_E_AUTH, (long)attempt.rv, "token “%s” took the PIN for the login and not for a signature (%s)", label, name);
	custos_err_hint(err, "one attempt was made and counts; no other is made");
	return CUSTOS_E_AUTH;
}

custos_rc custos_context_check(const struct custos_session *session, struct custos_err *err)
{
	struct custos_context *context = session->context;
	if (context == NULL)
		return CUSTOS_OK;
	pthread_mutex_lock(&context->lock);
	bool is_stopped = context->is_stopped;
	pthread_mutex_unlock(&context->lock);
	return is_stopped ? refuse_again(session, err) : CUSTOS_OK;
}

custos_rc custos_context_log_in(const struct custos_session *session, CK_OBJECT_HANDLE key, struct custos_err *err)
{
	struct custos_context *context = session->context;
	/* the usual token: no key of it wanted anything when it was logged in to */
	if (context == NULL || !wants_it(session, key))
		return CUSTOS_OK;
	pthread_mutex_lock(&context->lock);
	custos_rc rc = log_in_once(session, context, err);
	if (context->is_stopped) {
		custos_secret_free(context->pin);
		context->pin = NULL;
	}
	pthread_mutex_unlock(&context->lock);
	return rc;
}

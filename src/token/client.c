/* The token as a whole: list, initialise, open, log in. */
#include "token/exchange.h"
#include "data/json.h"

const struct custos_token_info *custos_token_info(const struct custos_token *token)
{
	return &token->info;
}

const char *custos_token_trouble(const struct custos_token *token)
{
	return token->trouble;
}

pid_t custos_token_pid(const struct custos_token *token)
{
	return token->helper.pid;
}

void custos_token_key_done(struct custos_token_key *key)
{
	custos_buf_done(&key->spki);
	custos_buf_done(&key->container);
}

static custos_rc take_info(const struct custos_frame *frame, const char *what, struct custos_token_info *ret_info, struct custos_err *err)
{
	struct custos_token_info info = { 0 };
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	custos_info_take(&r, &info);
	CUSTOS_TRY(custos_wire_end(&r, what, err));
	*ret_info = info;
	return CUSTOS_OK;
}

custos_rc custos_token_list(const struct custos_token_where *where, struct custos_json **ret_list, struct custos_err *err)
{
	CUSTOS_AUTO(custos_token) *token = NULL;
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_text(&w, custos_token_module_path(where->module));
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_token_start(where, &token, err));
	struct custos_exchange x = { CUSTOS_TOKEN_LIST, CUSTOS_TOKEN_LISTED, -1, token->times.open_ms, "listing tokens" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	struct custos_bytes text = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "LISTED", err));
	return custos_json_parse(text, "token list", ret_list, err);
}

custos_rc custos_token_init(const struct custos_token_where *where, const char *label, struct custos_secret *so_pin, struct custos_secret *user_pin,
                            struct custos_json **ret_token, struct custos_err *err)
{
	size_t len = strlen(label);
	CUSTOS_REQUIRE(len > 0 && len <= 32, err, CUSTOS_E_USAGE, "a token label has 1 to 32 bytes");
	CUSTOS_AUTO(custos_token) *token = NULL;
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_text(&w, custos_token_module_path(where->module));
	custos_wire_put_text(&w, where->uri);
	custos_wire_put_text(&w, where->serial);
	custos_wire_put_text(&w, label);
	CUSTOS_TRY(w.rc);
	struct custos_secret *const pins[] = { so_pin, user_pin };
	CUSTOS_AUTO_FD pipe_fd = -1;
	CUSTOS_TRY(custos_token_pin_pipe(pins, 2, &pipe_fd, err));
	CUSTOS_TRY(custos_token_start(where, &token, err));
	struct custos_exchange x = { CUSTOS_TOKEN_INIT, CUSTOS_TOKEN_INITIALIZED, pipe_fd, token->times.open_ms, "initialising the token" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	CUSTOS_TRY(take_info(&frame, "INITIALIZED", &token->info, err));
	*ret_token = custos_token_info_json(&token->info);
	return CUSTOS_OK;
}

custos_rc custos_token_open(const struct custos_token_where *where, struct custos_token **ret_token, struct custos_err *err)
{
	CUSTOS_AUTO(custos_token) *token = NULL;
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_text(&w, custos_token_module_path(where->module));
	custos_wire_put_text(&w, where->uri);
	custos_wire_put_text(&w, where->serial);
	custos_wire_put_text(&w, where->profile);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_token_start(where, &token, err));
	struct custos_exchange x = { CUSTOS_TOKEN_OPEN, CUSTOS_TOKEN_OPENED, -1, token->times.open_ms, "opening the token" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	CUSTOS_TRY(take_info(&frame, "OPENED", &token->info, err));
	CUSTOS_REQUIRE(where->serial == NULL || strcmp(where->serial, token->info.serial) == 0, err, CUSTOS_E_TOKEN,
	               "custos-token opened token %s, not %s", token->info.serial, where->serial);
	/* as it was asked for, so that a binding that is made of it asks for the same */
	size_t said = (size_t)(custos_token_module_path(where->module) - where->module), len = strlen(token->info.module);
	CUSTOS_REQUIRE(said + len < sizeof token->info.module, err, CUSTOS_E_INPUT, "the module's path is too long");
	memmove(token->info.module + said, token->info.module, len + 1);
	memcpy(token->info.module, where->module, said);
	*ret_token = CUSTOS_TAKE(token);
	return CUSTOS_OK;
}

static void refresh_info(struct custos_token *token)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_err ignored = { 0 };
	struct custos_exchange x = { CUSTOS_TOKEN_INFO, CUSTOS_TOKEN_INFO_IS, -1, token->times.call_ms, "reading the token's flags" };
	if (custos_token_call(token, &x, CUSTOS_BYTES(NULL, 0), &frame, &ignored) == CUSTOS_OK && take_info(&frame, "INFO_IS", &token->info, &ignored) != CUSTOS_OK)
		custos_channel_close(&token->helper.channel);
}

custos_rc custos_token_login(struct custos_token *token, struct custos_secret *pin, struct custos_err *err)
{
	if (pin == NULL && !token->info.protected_path)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "name another PIN source; no attempt was made", "token %s has no PIN pad of its own", token->info.label);
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO_FD pipe_fd = -1;
	if (pin != NULL)
		CUSTOS_TRY(custos_token_pin_pipe(&pin, 1, &pipe_fd, err));
	struct custos_exchange x = { CUSTOS_TOKEN_LOGIN, CUSTOS_TOKEN_LOGGED_IN, pipe_fd, token->times.call_ms, "logging in" };
	if (pin == NULL) {
		x.timeout_ms = token->times.pad_ms;
		x.doing = "waiting for the PIN at the token's own pad";
	}
	custos_rc rc = custos_token_call(token, &x, CUSTOS_BYTES(NULL, 0), &frame, err);
	if (rc == CUSTOS_E_AUTH)
		refresh_info(token);
	CUSTOS_TRY(rc);
	return take_info(&frame, "LOGGED_IN", &token->info, err);
}

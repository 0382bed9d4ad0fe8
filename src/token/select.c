/* Selection by URI: see select.h. The URI itself never appears in an error: somebody may have put a PIN into it. */
#include "token/select.h"
#include "base/text.h"

#include <p11-kit/uri.h>
#include <stdio.h>

/* RFC 7512 2.3 forbids an attribute twice; p11-kit takes the last one. */
static bool has_duplicates(const char *uri)
{
	const char *start = strchr(uri, ':');
	for (const char *a = start; a != NULL; a = strpbrk(a + 1, ";?&")) {
		size_t len = strcspn(a + 1, "=;?&");
		for (const char *b = strpbrk(a + 1, ";?&"); b != NULL; b = strpbrk(b + 1, ";?&"))
			if (len > 0 && strcspn(b + 1, "=;?&") == len && memcmp(a + 1, b + 1, len) == 0)
				return true;
	}
	return false;
}

static bool is_blank(const unsigned char *field, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	return true;
}

static bool names_token(P11KitUri *uri)
{
	const CK_TOKEN_INFO *t = p11_kit_uri_get_token_info(uri);
	return !is_blank(t->label, sizeof t->label) || !is_blank(t->manufacturerID, sizeof t->manufacturerID) || !is_blank(t->model, sizeof t->model) ||
	       !is_blank(t->serialNumber, sizeof t->serialNumber);
}

/* library-… and slot-… attributes say nothing about a token; ignoring them would be a lie. */
static bool names_library_or_slot(P11KitUri *uri)
{
	const CK_INFO *library = p11_kit_uri_get_module_info(uri);
	const CK_SLOT_INFO *slot = p11_kit_uri_get_slot_info(uri);
	return !is_blank(library->libraryDescription, sizeof library->libraryDescription) || !is_blank(library->manufacturerID, sizeof library->manufacturerID) ||
	       library->libraryVersion.major != (CK_BYTE)-1 || !is_blank(slot->slotDescription, sizeof slot->slotDescription) ||
	       !is_blank(slot->manufacturerID, sizeof slot->manufacturerID);
}

static custos_rc judge(P11KitUri *uri, const char *text, unsigned flags, struct custos_selector *selector, struct custos_err *err)
{
	if (p11_kit_uri_get_pin_value(uri) != NULL || p11_kit_uri_get_pin_source(uri) != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "leave pin-value and pin-source out of the URI and use --pin-source; change the PIN if it was real", "the token URI holds a PIN");
	if (p11_kit_uri_get_module_path(uri) != NULL || p11_kit_uri_get_module_name(uri) != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name the module with --module", "the token URI names a module");
	CUSTOS_REQUIRE(!p11_kit_uri_any_unrecognized(uri), err, CUSTOS_E_INPUT, "the token URI has an attribute that is not known");
	CUSTOS_REQUIRE(!names_library_or_slot(uri), err, CUSTOS_E_INPUT, "the token URI describes a library or a slot, not a token");
	CUSTOS_REQUIRE(!has_duplicates(text), err, CUSTOS_E_INPUT, "the token URI has an attribute twice");
	CK_ULONG objects = 0;
	(void)p11_kit_uri_get_attributes(uri, &objects);
	CUSTOS_REQUIRE(objects == 0, err, CUSTOS_E_INPUT, "the token URI names an object, not a token");
	selector->slot = p11_kit_uri_get_slot_id(uri);
	selector->by_slot = selector->slot != (CK_SLOT_ID)-1;
	if (selector->by_slot && (flags & CUSTOS_SELECT_MAY_NAME_SLOT) == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "select by serial= and token=", "the token URI names a slot, and slot numbers change");
	if (!selector->by_slot && !names_token(uri))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "for example pkcs11:token=LABEL;serial=SERIAL", "the token URI selects nothing in particular");
	return CUSTOS_OK;
}

static void copy_field(const unsigned char *field, size_t size, char *out)
{
	size_t len = size;
	while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == '\0'))
		len--;
	CUSTOS_AUTO_STR *safe = custos_text_safe(CUSTOS_BYTES(field, len), 4 * size);
	bool as_is = safe != NULL && strlen(safe) == len && memcmp(safe, field, len) == 0;
	for (size_t i = 0; i < len; i++)
		out[i] = as_is || (field[i] > 0x1f && field[i] < 0x7f) ? (char)field[i] : '?';
	out[len] = '\0';
}

custos_rc custos_selector_parse(const char *uri, const char *serial, unsigned flags, struct custos_selector *ret_selector, struct custos_err *err)
{
	struct custos_selector s = { 0 };
	CUSTOS_REQUIRE(serial == NULL || strlen(serial) < sizeof s.serial, err, CUSTOS_E_INPUT, "a token's serial number has at most 16 characters");
	if (uri != NULL && uri[0] != '\0') {
		P11KitUri *parsed = p11_kit_uri_new();
		CUSTOS_REQUIRE(parsed != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		int code = p11_kit_uri_parse(uri, P11_KIT_URI_FOR_ANY, parsed);
		custos_rc rc = code == P11_KIT_URI_OK ? judge(parsed, uri, flags, &s, err)
		                                      : custos_err_set(err, CUSTOS_E_INPUT, code, "the token URI cannot be understood: %s", p11_kit_uri_message(code));
		if (rc != CUSTOS_OK) {
			p11_kit_uri_free(parsed);
			return rc;
		}
		s.uri = parsed;
		copy_field(p11_kit_uri_get_token_info(parsed)->serialNumber, 16, s.serial);
	} else {
		CUSTOS_REQUIRE((flags & CUSTOS_SELECT_MAY_NAME_SLOT) != 0, err, CUSTOS_E_INPUT, "no token URI is given");
	}
	if (serial != NULL && serial[0] != '\0') {
		bool clash = s.serial[0] != '\0' && strcmp(s.serial, serial) != 0;
		if (clash)
			custos_selector_done(&s);
		CUSTOS_REQUIRE(!clash, err, CUSTOS_E_INPUT, "the token URI names another serial number than %s", serial);
		memcpy(s.serial, serial, strlen(serial) + 1);
	}
	*ret_selector = s;
	return CUSTOS_OK;
}

void custos_selector_done(struct custos_selector *selector)
{
	if (selector->uri != NULL)
		p11_kit_uri_free(selector->uri);
	selector->uri = NULL;
}

void custos_token_take_flags(const CK_TOKEN_INFO *token, struct custos_token_info *info)
{
	info->initialized = (token->flags & CKF_TOKEN_INITIALIZED) != 0;
	info->login_required = (token->flags & CKF_LOGIN_REQUIRED) != 0;
	info->pin_count_low = (token->flags & CKF_USER_PIN_COUNT_LOW) != 0;
	info->pin_final_try = (token->flags & CKF_USER_PIN_FINAL_TRY) != 0;
	info->pin_locked = (token->flags & CKF_USER_PIN_LOCKED) != 0;
	info->protected_path = (token->flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
}

static void write_uri(const CK_TOKEN_INFO *token, char *out, size_t size)
{
	out[0] = '\0';
	P11KitUri *uri = p11_kit_uri_new();
	if (uri == NULL)
		return;
	CK_TOKEN_INFO *named = p11_kit_uri_get_token_info(uri);
	memcpy(named->serialNumber, token->serialNumber, sizeof named->serialNumber);
	memcpy(named->label, token->label, sizeof named->label);
	memcpy(named->manufacturerID, token->manufacturerID, sizeof named->manufacturerID);
	/* three fields full of escapes would not fit: the manufacturer is the one to spare */
	for (int attempt = 0; attempt < 2 && out[0] == '\0'; attempt++) {
		CUSTOS_AUTO_STR *text = NULL;
		if (p11_kit_uri_format(uri, P11_KIT_URI_FOR_TOKEN, &text) == P11_KIT_URI_OK && strlen(text) < size)
			memcpy(out, text, strlen(text) + 1);
		memset(named->manufacturerID, 0, sizeof named->manufacturerID);
	}
	p11_kit_uri_free(uri);
}

void custos_token_describe(const CK_TOKEN_INFO *token, const char *module, struct custos_token_info *ret_info)
{
	struct custos_token_info info = { 0 };
	copy_field(token->manufacturerID, sizeof token->manufacturerID, info.manufacturer);
	copy_field(token->model, sizeof token->model, info.model);
	copy_field(token->serialNumber, sizeof token->serialNumber, info.serial);
	copy_field(token->label, sizeof token->label, info.label);
	snprintf(info.firmware, sizeof info.firmware, "%u.%u", token->firmwareVersion.major, token->firmwareVersion.minor);
	snprintf(info.module, sizeof info.module, "%s", module);
	write_uri(token, info.uri, sizeof info.uri);
	custos_token_take_flags(token, &info);
	*ret_info = info;
}

custos_rc custos_slots_list(struct custos_module *module, CK_SLOT_ID **ret_slots, size_t *ret_count, struct custos_err *err)
{
	CK_ULONG count = 0;
	CUSTOS_TRY(custos_ck(module->functions->C_GetSlotList(CK_TRUE, NULL, &count), err, "cannot list slots"));
	CUSTOS_REQUIRE(count < 4096, err, CUSTOS_E_TOKEN, "the module claims to have %lu slots", count);
	CK_SLOT_ID *slots = calloc(count + 1, sizeof *slots);
	CUSTOS_REQUIRE(slots != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	custos_rc rc = custos_ck(module->functions->C_GetSlotList(CK_TRUE, slots, &count), err, "cannot list slots");
	if (rc != CUSTOS_OK) {
		free(slots);
		return rc;
	}
	*ret_slots = slots;
	*ret_count = count;
	return CUSTOS_OK;
}

bool custos_selector_fits(const struct custos_selector *selector, const CK_TOKEN_INFO *token)
{
	char serial[17];
	copy_field(token->serialNumber, sizeof token->serialNumber, serial);
	if (selector->serial[0] != '\0' && strcmp(selector->serial, serial) != 0)
		return false;
	return selector->uri == NULL || p11_kit_uri_match_token_info(selector->uri, token) == 1;
}

static void mention(char *list, size_t size, const CK_TOKEN_INFO *token)
{
	char label[33], serial[17];
	size_t used = strlen(list);
	copy_field(token->label, sizeof token->label, label);
	copy_field(token->serialNumber, sizeof token->serialNumber, serial);
	if (used + 64 < size)
		snprintf(list + used, size - used, "%s“%s” serial %s", used > 0 ? ", " : "", label, serial);
}

custos_rc custos_selector_find(const struct custos_selector *selector, struct custos_module *module, CK_SLOT_ID *ret_slot, CK_TOKEN_INFO *ret_token, bool *ret_none, struct custos_err *err)
{
	CK_SLOT_ID *slots = NULL;
	size_t count = 0, matches = 0;
	char there[320] = "", matching[320] = "";
	*ret_none = false;
	CUSTOS_TRY(custos_slots_list(module, &slots, &count, err));
	for (size_t i = 0; i < count; i++) {
		CK_TOKEN_INFO token;
		if (module->functions->C_GetTokenInfo(slots[i], &token) != CKR_OK || (token.flags & CKF_TOKEN_INITIALIZED) == 0)
			continue;
		mention(there, sizeof there, &token);
		if (!custos_selector_fits(selector, &token))
			continue;
		mention(matching, sizeof matching, &token);
		if (matches++ == 0) {
			*ret_slot = slots[i];
			*ret_token = token;
		}
	}
	free(slots);
	*ret_none = matches == 0;
	/* a serial is what a custody knows its token by: that one was here before */
	if (matches == 0 && selector->serial[0] != '\0')
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "put it back, or see that its module finds it again; “custos token list” shows what is there",
		                 "no such token: serial %s is not among those of %s: %s", selector->serial, module->path, there[0] != '\0' ? there : "there is none at all");
	if (matches == 0 && there[0] == '\0')
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "initialise one with “custos token init”, or check the module's own configuration", "no such token: there is none at all in %s",
		                 module->path);
	if (matches == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "“custos token list” shows the URI of each", "no such token; there is %s", there);
	if (matches > 1)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "add serial= to the token URI", "%s tokens match: %s", matches == 2 ? "two" : "several", matching);
	return CUSTOS_OK;
}

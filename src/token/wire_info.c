/* The token's description on the wire, and challenges. */
#include "token/wire_info.h"

#include <stdio.h>

uint32_t custos_info_flags(const struct custos_token_info *info)
{
	return (info->initialized ? (uint32_t)CUSTOS_TOKEN_INITIALIZED_FLAG : 0) | (info->login_required ? (uint32_t)CUSTOS_TOKEN_LOGIN_REQUIRED : 0) |
	       (info->pin_count_low ? (uint32_t)CUSTOS_TOKEN_PIN_COUNT_LOW : 0) | (info->pin_final_try ? (uint32_t)CUSTOS_TOKEN_PIN_FINAL_TRY : 0) |
	       (info->pin_locked ? (uint32_t)CUSTOS_TOKEN_PIN_LOCKED : 0) | (info->protected_path ? (uint32_t)CUSTOS_TOKEN_PROTECTED_PATH : 0) |
	       (info->repaired ? (uint32_t)CUSTOS_TOKEN_REPAIRED : 0);
}

void custos_info_set_flags(struct custos_token_info *info, uint32_t flags)
{
	info->initialized = (flags & CUSTOS_TOKEN_INITIALIZED_FLAG) != 0;
	info->login_required = (flags & CUSTOS_TOKEN_LOGIN_REQUIRED) != 0;
	info->pin_count_low = (flags & CUSTOS_TOKEN_PIN_COUNT_LOW) != 0;
	info->pin_final_try = (flags & CUSTOS_TOKEN_PIN_FINAL_TRY) != 0;
	info->pin_locked = (flags & CUSTOS_TOKEN_PIN_LOCKED) != 0;
	info->protected_path = (flags & CUSTOS_TOKEN_PROTECTED_PATH) != 0;
	info->repaired = (flags & CUSTOS_TOKEN_REPAIRED) != 0;
}

void custos_info_put(struct custos_wire_out *w, const struct custos_token_info *info)
{
	const char *const texts[] = { info->manufacturer, info->model, info->serial, info->label, info->firmware, info->profile, info->tier, info->uri, info->module };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		custos_wire_put_text(w, texts[i]);
	custos_wire_put_u32(w, custos_info_flags(info) | (uint32_t)info->transport << CUSTOS_TOKEN_TRANSPORT_SHIFT);
	custos_wire_put_u8(w, (uint8_t)info->padding_max);
}

static void take_text(struct custos_wire *r, char *to, size_t size)
{
	struct custos_bytes b = custos_wire_bytes(r);
	if (b.len >= size || (b.len > 0 && memchr(b.ptr, 0, b.len) != NULL)) {
		r->failed = true;
		return;
	}
	if (b.len > 0)
		memcpy(to, b.ptr, b.len);
	to[b.len] = '\0';
}

void custos_info_take(struct custos_wire *r, struct custos_token_info *ret_info)
{
	struct custos_token_info info = { 0 };
	take_text(r, info.manufacturer, sizeof info.manufacturer);
	take_text(r, info.model, sizeof info.model);
	take_text(r, info.serial, sizeof info.serial);
	take_text(r, info.label, sizeof info.label);
	take_text(r, info.firmware, sizeof info.firmware);
	take_text(r, info.profile, sizeof info.profile);
	take_text(r, info.tier, sizeof info.tier);
	take_text(r, info.uri, sizeof info.uri);
	take_text(r, info.module, sizeof info.module);
	uint32_t flags = custos_wire_u32(r), transport = flags >> CUSTOS_TOKEN_TRANSPORT_SHIFT & 0xf;
	custos_info_set_flags(&info, flags);
	info.transport = (enum custos_transport)transport;
	info.padding_max = custos_wire_u8(r);
	if (info.padding_max > 7 || transport >= CUSTOS_TRANSPORT_COUNT)
		r->failed = true;
	if (!r->failed)
		*ret_info = info;
}

void custos_info_pin_flags(const struct custos_token_info *info, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s", info->pin_count_low ? "user PIN count low" : "",
	         info->pin_final_try ? (info->pin_count_low ? ", user PIN final try" : "user PIN final try") : "",
	         info->pin_locked ? (info->pin_count_low || info->pin_final_try ? ", user PIN locked" : "user PIN locked") : "");
	if (out[0] == '\0')
		snprintf(out, size, "none");
}

void custos_challenge_text(const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], uint8_t out[static CUSTOS_CHALLENGE_TEXT_SIZE])
{
	static const char prefix[] = "custos challenge v1\n";
	_Static_assert(sizeof prefix - 1 + CUSTOS_CHALLENGE_SIZE == CUSTOS_CHALLENGE_TEXT_SIZE, "prefix and size go together");
	memcpy(out, prefix, sizeof prefix - 1);
	memcpy(out + sizeof prefix - 1, challenge, CUSTOS_CHALLENGE_SIZE);
}

struct custos_json *custos_token_info_json(const struct custos_token_info *info)
{
	struct custos_json *json = custos_json_object();
	custos_json_set_text(json, "uri", info->uri);
	custos_json_set_text(json, "label", info->label);
	custos_json_set_text(json, "serial", info->serial);
	custos_json_set_text(json, "manufacturer", info->manufacturer);
	custos_json_set_text(json, "model", info->model);
	custos_json_set_text(json, "firmware", info->firmware);
	custos_json_set_text(json, "module", info->module);
	custos_json_set_text(json, "profile", info->profile[0] != '\0' ? info->profile : NULL);
	custos_json_set_text(json, "tier", info->tier[0] != '\0' ? info->tier : NULL);
	custos_json_set_bool(json, "initialized", info->initialized);
	custos_json_set_bool(json, "login_required", info->login_required);
	custos_json_set_bool(json, "pin_count_low", info->pin_count_low);
	custos_json_set_bool(json, "pin_final_try", info->pin_final_try);
	custos_json_set_bool(json, "pin_locked", info->pin_locked);
	custos_json_set_bool(json, "protected_path", info->protected_path);
	return json;
}

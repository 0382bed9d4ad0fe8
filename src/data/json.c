/* The only code that sees jansson. */
#include "data/json.h"
#include "base/text.h"

#include <jansson.h>
#include <stdio.h>

static json_t *own(struct custos_json *json)
{
	return (json_t *)(void *)json;
}

static json_t *peek(const struct custos_json *json)
{
	union {
		const struct custos_json *in;
		json_t *out;
	} u = { .in = json };
	return u.out;
}

static struct custos_json *wrap(json_t *json)
{
	return (struct custos_json *)(void *)json;
}

struct custos_json *custos_json_object(void)
{
	return wrap(json_object());
}

struct custos_json *custos_json_array(void)
{
	return wrap(json_array());
}

struct custos_json *custos_json_string(const char *text)
{
	return wrap(text == NULL ? json_null() : json_string(text));
}

struct custos_json *custos_json_integer(int64_t value)
{
	return wrap(json_integer(value));
}

struct custos_json *custos_json_boolean(bool value)
{
	return wrap(json_boolean(value));
}

struct custos_json *custos_json_hex(const uint8_t *data, size_t len)
{
	CUSTOS_AUTO_STR *text = malloc(2 * len + 1);
	if (text == NULL)
		return NULL;
	custos_text_hex(data, len, text);
	return custos_json_string(text);
}

struct custos_json *custos_json_ref(const struct custos_json *json)
{
	return json == NULL ? NULL : wrap(json_incref(peek(json)));
}

struct custos_json *custos_json_copy(const struct custos_json *json)
{
	return wrap(json_deep_copy(peek(json)));
}

void custos_json_free(struct custos_json *json)
{
	json_decref(own(json));
}

void custos_json_set(struct custos_json *object, const char *key, struct custos_json *value)
{
	json_object_set_new(own(object), key, value == NULL ? json_null() : own(value));
}

void custos_json_set_text(struct custos_json *object, const char *key, const char *text)
{
	custos_json_set(object, key, custos_json_string(text));
}

void custos_json_set_int(struct custos_json *object, const char *key, int64_t value)
{
	custos_json_set(object, key, custos_json_integer(value));
}

void custos_json_set_bool(struct custos_json *object, const char *key, bool value)
{
	custos_json_set(object, key, custos_json_boolean(value));
}

void custos_json_set_hex(struct custos_json *object, const char *key, const uint8_t *data, size_t len)
{
	custos_json_set(object, key, custos_json_hex(data, len));
}

void custos_json_remove(struct custos_json *object, const char *key)
{
	json_object_del(own(object), key);
}

void custos_json_push(struct custos_json *array, struct custos_json *value)
{
	json_array_append_new(own(array), value == NULL ? json_null() : own(value));
}

bool custos_json_is_object(const struct custos_json *json)
{
	return json_is_object(peek(json));
}

bool custos_json_is_array(const struct custos_json *json)
{
	return json_is_array(peek(json));
}

bool custos_json_is_integer(const struct custos_json *json)
{
	return json_is_integer(peek(json));
}

bool custos_json_is_boolean(const struct custos_json *json)
{
	return json_is_boolean(peek(json));
}

bool custos_json_truth(const struct custos_json *json)
{
	return json_is_true(peek(json));
}

bool custos_json_equal(const struct custos_json *a, const struct custos_json *b)
{
	return json_equal(peek(a), peek(b)) == 1;
}

const struct custos_json *custos_json_get(const struct custos_json *object, const char *key)
{
	return wrap(json_object_get(peek(object), key));
}

struct custos_json *custos_json_child(struct custos_json *object, const char *key)
{
	return wrap(json_object_get(own(object), key));
}

const char *custos_json_text(const struct custos_json *object, const char *key)
{
	return json_string_value(json_object_get(peek(object), key));
}

int64_t custos_json_int(const struct custos_json *object, const char *key, int64_t otherwise)
{
	return custos_json_integer_value(custos_json_get(object, key), otherwise);
}

bool custos_json_bool(const struct custos_json *object, const char *key, bool otherwise)
{
	json_t *v = json_object_get(peek(object), key);
	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

const char *custos_json_string_value(const struct custos_json *json)
{
	return json_string_value(peek(json));
}

int64_t custos_json_integer_value(const struct custos_json *json, int64_t otherwise)
{
	return json_is_integer(peek(json)) ? json_integer_value(peek(json)) : otherwise;
}

size_t custos_json_count(const struct custos_json *json)
{
	return json_is_array(peek(json)) ? json_array_size(peek(json)) : json_object_size(peek(json));
}

const struct custos_json *custos_json_at(const struct custos_json *array, size_t index)
{
	return wrap(json_array_get(peek(array), index));
}

struct custos_json *custos_json_item(struct custos_json *array, size_t index)
{
	return wrap(json_array_get(own(array), index));
}

void *custos_json_first(const struct custos_json *object)
{
	return json_object_iter(peek(object));
}

void *custos_json_next(const struct custos_json *object, void *it)
{
	return json_object_iter_next(peek(object), it);
}

const char *custos_json_key(void *it)
{
	return json_object_iter_key(it);
}

const struct custos_json *custos_json_value(void *it)
{
	return wrap(json_object_iter_value(it));
}

/* DEL, and U+0080 to U+009F in UTF-8: control characters to a terminal, which JSON itself does not make one escape. */
static size_t control_length(const char *at)
{
	const unsigned char *c = (const unsigned char *)at;
	return c[0] == 0x7f ? 1 : c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0 ? 2 : 0;
}

char *custos_json_pretty(const struct custos_json *json)
{
	enum { ESCAPE = 6 };
	CUSTOS_AUTO_STR *text = json_dumps(peek(json), JSON_INDENT(2) | JSON_ENCODE_ANY);
	if (text == NULL)
		return NULL;
	size_t room = strlen(text) + 2;
	for (const char *at = text; *at != '\0'; at++)
		room += control_length(at) > 0 ? ESCAPE : 0;
	char *shown = malloc(room), *to = shown;
	for (const char *at = text; shown != NULL && *at != '\0';) {
		size_t control = control_length(at);
		if (control > 0)
			to += snprintf(to, ESCAPE + 1, "\\u%04X", (unsigned)(unsigned char)at[control - 1]);
		else
			*to++ = *at;
		at += control > 0 ? control : 1;
	}
	if (shown != NULL)
		memcpy(to, "\n", 2);
	return shown;
}

custos_rc custos_json_line(const struct custos_json *json, struct custos_buf *line, struct custos_err *err)
{
	CUSTOS_AUTO_STR *text = json_dumps(peek(json), JSON_SORT_KEYS | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	CUSTOS_REQUIRE(text != NULL, err, CUSTOS_E_INTERNAL, "cannot encode JSON");
	return custos_buf_append_str(line, text, err);
}

custos_rc custos_json_parse(struct custos_bytes text, const char *what, struct custos_json **ret_json, struct custos_err *err)
{
	json_error_t why;
	json_t *json = json_loadb(text.ptr == NULL ? "" : (const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &why);
	CUSTOS_REQUIRE(json != NULL, err, CUSTOS_E_INPUT, "%s: line %d: %s", what, why.line, why.text);
	*ret_json = wrap(json);
	return CUSTOS_OK;
}

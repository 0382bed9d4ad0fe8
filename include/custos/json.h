/* JSON documents: what reading commands return and what log entries are made of.
 *
 * A document is a tree of reference-counted values. Getters borrow; setters and push take over the value they are given
 * (also when it is NULL, which becomes null). Getters take NULL and find nothing in it. Text is UTF-8. Makers return NULL when out of
 * memory. */
#ifndef CUSTOS_JSON_H
#define CUSTOS_JSON_H

#include <custos/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct custos_json;

struct custos_json *custos_json_object(void);
struct custos_json *custos_json_array(void);
struct custos_json *custos_json_string(const char *text); /* NULL becomes null */
struct custos_json *custos_json_integer(int64_t value);
struct custos_json *custos_json_boolean(bool value);
struct custos_json *custos_json_hex(const uint8_t *data, size_t len); /* lower-case hex string */
struct custos_json *custos_json_ref(const struct custos_json *json);
struct custos_json *custos_json_copy(const struct custos_json *json); /* deep */
void custos_json_free(struct custos_json *json);

void custos_json_set(struct custos_json *object, const char *key, struct custos_json *value);
void custos_json_set_text(struct custos_json *object, const char *key, const char *text);
void custos_json_set_int(struct custos_json *object, const char *key, int64_t value);
void custos_json_set_bool(struct custos_json *object, const char *key, bool value);
void custos_json_set_hex(struct custos_json *object, const char *key, const uint8_t *data, size_t len);
void custos_json_remove(struct custos_json *object, const char *key);
void custos_json_push(struct custos_json *array, struct custos_json *value);

bool custos_json_is_object(const struct custos_json *json);
bool custos_json_is_array(const struct custos_json *json);
bool custos_json_is_integer(const struct custos_json *json);
bool custos_json_is_boolean(const struct custos_json *json);
bool custos_json_truth(const struct custos_json *json);   /* true only for true */
bool custos_json_equal(const struct custos_json *a, const struct custos_json *b);
const struct custos_json *custos_json_get(const struct custos_json *object, const char *key); /* NULL when absent */
struct custos_json *custos_json_child(struct custos_json *object, const char *key);             /* the same, to be changed in place */
/* NULL when absent or not a string. */
const char *custos_json_text(const struct custos_json *object, const char *key);
int64_t custos_json_int(const struct custos_json *object, const char *key, int64_t otherwise);
bool custos_json_bool(const struct custos_json *object, const char *key, bool otherwise);
const char *custos_json_string_value(const struct custos_json *json);
int64_t custos_json_integer_value(const struct custos_json *json, int64_t otherwise);
size_t custos_json_count(const struct custos_json *array_or_object);
const struct custos_json *custos_json_at(const struct custos_json *array, size_t index);
struct custos_json *custos_json_item(struct custos_json *array, size_t index);  /* to be changed in place */
/* Walks an object's members in insertion order: `for (it = custos_json_first(o); it; it = custos_json_next(o, it))`. */
void *custos_json_first(const struct custos_json *object);
void *custos_json_next(const struct custos_json *object, void *it);
const char *custos_json_key(void *it);
const struct custos_json *custos_json_value(void *it);

/* Pretty text for people and `--json` output; the result ends with a newline and is the caller's to free. */
char *custos_json_pretty(const struct custos_json *json);

#endif

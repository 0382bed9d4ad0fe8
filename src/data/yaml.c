/* Strict YAML over libyaml's event parser: limits and refusals happen while reading, so that a bomb is never built. */
#include "data/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

enum { DEPTH_MAX = 16, KEYS_MAX = 1024, SIZE_MAX_BYTES = 1 << 20 };

struct custos_yaml {
	enum custos_yaml_kind kind;
	unsigned line;
	const char *file;              /* borrowed from the root */
	char *file_owned;              /* the root only */
	char *text;
	struct custos_yaml **items;
	char **keys;                   /* maps: one a item */
	size_t count, cap;
};

void custos_yaml_free(struct custos_yaml *node)
{
	if (node == NULL)
		return;
	for (size_t i = 0; i < node->count; i++) {
		custos_yaml_free(node->items[i]);
		if (node->keys != NULL)
			free(node->keys[i]);
	}
	free(node->items);
	free(node->keys);
	free(node->text);
	free(node->file_owned);
	free(node);
}

struct reader {
	yaml_parser_t parser;
	const char *file;
	struct custos_err *err;
};

static void parser_done(struct reader *r)
{
	yaml_parser_delete(&r->parser);
}

static custos_rc refuse(const struct reader *r, size_t line, const char *what)
{
	return custos_err_set(r->err, CUSTOS_E_INPUT, 0, "%s:%zu: %s", r->file, line + 1, what);
}

static custos_rc next(struct reader *r, yaml_event_t *event)
{
	if (!yaml_parser_parse(&r->parser, event)) {
		/* libyaml's own words name the context; the place is where the problem was seen */
		size_t line = r->parser.problem_mark.line;
		return custos_err_set(r->err, CUSTOS_E_INPUT, r->parser.error, "%s:%zu: %s", r->file, line + 1,
		                      r->parser.problem ? r->parser.problem : "not YAML");
	}
	size_t line = event->start_mark.line;
	const char *why = NULL;
	if (event->type == YAML_ALIAS_EVENT)
		why = "aliases are not allowed";
	else if ((event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor != NULL) ||
	         (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor != NULL) ||
	         (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor != NULL))
		why = "anchors are not allowed";
	else if ((event->type == YAML_SCALAR_EVENT && event->data.scalar.tag != NULL) ||
	         (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag != NULL) ||
	         (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag != NULL))
		why = "tags are not allowed";
	if (why == NULL)
		return CUSTOS_OK;
	yaml_event_delete(event);
	return refuse(r, line, why);
}

static custos_rc add(struct reader *r, struct custos_yaml *parent, char *key, struct custos_yaml *item)
{
	if (parent->count == parent->cap) {
		size_t cap = parent->cap ? 2 * parent->cap : 8;
		struct custos_yaml **items = realloc(parent->items, cap * sizeof *items);
		if (items != NULL)
			parent->items = items;
		char **keys = parent->kind == CUSTOS_YAML_MAP ? realloc(parent->keys, cap * sizeof *keys) : NULL;
		if (keys != NULL)
			parent->keys = keys;
		if (items == NULL || (parent->kind == CUSTOS_YAML_MAP && keys == NULL)) {
			free(key);
			custos_yaml_free(item);
			return custos_err_set(r->err, CUSTOS_E_SYSTEM, 0, "out of memory");
		}
		parent->cap = cap;
	}
	if (parent->kind == CUSTOS_YAML_MAP)
		parent->keys[parent->count] = key;
	parent->items[parent->count++] = item;
	return CUSTOS_OK;
}

static custos_rc read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct custos_yaml **ret);

/* Key of the next member, or NULL at the end of the map. */
static custos_rc read_key(struct reader *r, const struct custos_yaml *map, yaml_event_t *event, char **ret_key)
{
	*ret_key = NULL;
	if (event->type == YAML_MAPPING_END_EVENT)
		return CUSTOS_OK;
	size_t line = event->start_mark.line;
	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.length == 0)
		return refuse(r, line, "a key must be plain text");
	const char *key = (const char *)event->data.scalar.value;
	if (strlen(key) != event->data.scalar.length)
		return refuse(r, line, "a NUL is not allowed");
	/* each key is compared with all before it */
	if (map->count == KEYS_MAX)
		return refuse(r, line, "more than 1024 keys in one map");
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->keys[i], key) == 0)
			return custos_err_set(r->err, CUSTOS_E_INPUT, 0, "%s:%zu: \"%s\" stands here twice, first in line %u", r->file,
			                      line + 1, key, map->items[i]->line);
	*ret_key = strdup(key);
	return *ret_key == NULL ? custos_err_set(r->err, CUSTOS_E_SYSTEM, 0, "out of memory") : CUSTOS_OK;
}

static custos_rc read_children(struct reader *r, struct custos_yaml *node, unsigned depth)
{
	for (;;) {
		CUSTOS_CLEANUP(yaml_event_delete) yaml_event_t event = { 0 };
		char *key = NULL;
		CUSTOS_TRY(next(r, &event));
		if (node->kind == CUSTOS_YAML_MAP) {
			CUSTOS_TRY(read_key(r, node, &event, &key));
			if (key == NULL)
				return CUSTOS_OK;
			yaml_event_delete(&event);
			custos_rc rc = next(r, &event);
			if (rc != CUSTOS_OK) {
				free(key);
				return rc;
			}
		} else if (event.type == YAML_SEQUENCE_END_EVENT) {
			return CUSTOS_OK;
		}
		struct custos_yaml *item = NULL;
		custos_rc rc = read_node(r, &event, depth + 1, &item);
		if (rc != CUSTOS_OK) {
			free(key);
			return rc;
		}
		CUSTOS_TRY(add(r, node, key, item));
	}
}

static custos_rc read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct custos_yaml **ret)
{
	size_t line = event->start_mark.line;
	if (depth > DEPTH_MAX)
		return refuse(r, line, "nested too deeply");
	CUSTOS_AUTO(custos_yaml) *node = calloc(1, sizeof *node);
	CUSTOS_REQUIRE(node != NULL, r->err, CUSTOS_E_SYSTEM, "out of memory");
	node->line = (unsigned)line + 1;
	node->file = r->file;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		if (memchr(event->data.scalar.value, 0, event->data.scalar.length) != NULL)
			return refuse(r, line, "a NUL is not allowed");
		node->kind = CUSTOS_YAML_SCALAR;
		node->text = strdup((const char *)event->data.scalar.value);
		CUSTOS_REQUIRE(node->text != NULL, r->err, CUSTOS_E_SYSTEM, "out of memory");
		break;
	case YAML_MAPPING_START_EVENT:
		node->kind = CUSTOS_YAML_MAP;
		CUSTOS_TRY(read_children(r, node, depth));
		break;
	case YAML_SEQUENCE_START_EVENT:
		node->kind = CUSTOS_YAML_LIST;
		CUSTOS_TRY(read_children(r, node, depth));
		break;
	default:
		return refuse(r, line, "a value is missing here");
	}
	*ret = CUSTOS_TAKE(node);
	return CUSTOS_OK;
}

static void set_file(struct custos_yaml *node, const char *file)
{
	node->file = file;
	for (size_t i = 0; i < node->count; i++)
		set_file(node->items[i], file);
}

static custos_rc expect(struct reader *r, yaml_event_type_t type, const char *otherwise)
{
	CUSTOS_CLEANUP(yaml_event_delete) yaml_event_t event = { 0 };
	CUSTOS_TRY(next(r, &event));
	return event.type == type ? CUSTOS_OK : refuse(r, event.start_mark.line, otherwise);
}

custos_rc custos_yaml_parse(struct custos_bytes text, const char *file, struct custos_yaml **ret_root, struct custos_err *err)
{
	CUSTOS_REQUIRE(text.len <= SIZE_MAX_BYTES, err, CUSTOS_E_INPUT, "%s: larger than 1 MiB", file);
	CUSTOS_CLEANUP(parser_done) struct reader r = { .file = file, .err = err };
	CUSTOS_REQUIRE(yaml_parser_initialize(&r.parser), err, CUSTOS_E_SYSTEM, "out of memory");
	yaml_parser_set_input_string(&r.parser, text.ptr == NULL ? (const unsigned char *)"" : text.ptr, text.len);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);

	CUSTOS_TRY(expect(&r, YAML_STREAM_START_EVENT, "not YAML"));
	CUSTOS_TRY(expect(&r, YAML_DOCUMENT_START_EVENT, "the file is empty"));
	CUSTOS_CLEANUP(yaml_event_delete) yaml_event_t event = { 0 };
	CUSTOS_TRY(next(&r, &event));
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	CUSTOS_TRY(read_node(&r, &event, 0, &root));
	CUSTOS_TRY(expect(&r, YAML_DOCUMENT_END_EVENT, "something follows the document"));
	CUSTOS_TRY(expect(&r, YAML_STREAM_END_EVENT, "a second document is not allowed"));
	root->file_owned = strdup(file);
	CUSTOS_REQUIRE(root->file_owned != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	set_file(root, root->file_owned);
	*ret_root = CUSTOS_TAKE(root);
	return CUSTOS_OK;
}

enum custos_yaml_kind custos_yaml_kind(const struct custos_yaml *node)
{
	return node->kind;
}

unsigned custos_yaml_line(const struct custos_yaml *node)
{
	return node->line;
}

const char *custos_yaml_scalar(const struct custos_yaml *node)
{
	return node != NULL && node->kind == CUSTOS_YAML_SCALAR ? node->text : NULL;
}

size_t custos_yaml_count(const struct custos_yaml *node)
{
	return node->count;
}

const struct custos_yaml *custos_yaml_at(const struct custos_yaml *node, size_t index)
{
	return index < node->count ? node->items[index] : NULL;
}

const char *custos_yaml_key_at(const struct custos_yaml *map, size_t index)
{
	return map->kind == CUSTOS_YAML_MAP && index < map->count ? map->keys[index] : NULL;
}

const struct custos_yaml *custos_yaml_get(const struct custos_yaml *map, const char *key)
{
	if (map == NULL || map->kind != CUSTOS_YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->keys[i], key) == 0)
			return map->items[i];
	return NULL;
}

custos_rc custos_yaml_refuse(const struct custos_yaml *node, struct custos_err *err, const char *format, ...)
{
	char why[400];
	va_list ap;
	va_start(ap, format);
	vsnprintf(why, sizeof why, format, ap);
	va_end(ap);
	CUSTOS_FAIL(err, CUSTOS_E_INPUT, "%s:%u: %s", node->file, node->line, why);
}

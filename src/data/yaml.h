/* Strict YAML: profiles and custody.yaml.
 *
 * One document of maps, lists and scalars. Refused while reading, with file and line: aliases, anchors, tags, a second
 * document, duplicate keys, a NUL, depth over 16, over 1024 keys in a map, more than 1 MiB. Every node knows its line.
 * Values are text; the getters turn them into what is wanted and say what is wrong. Call custos_yaml_known() on every
 * map: a key nobody asked for is an error, not a remark. */
#ifndef CUSTOS_DATA_YAML_H
#define CUSTOS_DATA_YAML_H

#include "base/bytes.h"
#include <custos/json.h>

struct custos_yaml;

enum custos_yaml_kind { CUSTOS_YAML_SCALAR, CUSTOS_YAML_MAP, CUSTOS_YAML_LIST };

/* `file` appears in every error and is copied. The root is freed as a whole; all other nodes borrow from it. */
CUSTOS_RC custos_yaml_parse(struct custos_bytes text, const char *file, struct custos_yaml **ret_root, struct custos_err *err);
void custos_yaml_free(struct custos_yaml *root);
CUSTOS_DEFINE_FREEP(custos_yaml);

enum custos_yaml_kind custos_yaml_kind(const struct custos_yaml *node);
unsigned custos_yaml_line(const struct custos_yaml *node);
const char *custos_yaml_scalar(const struct custos_yaml *node); /* NULL unless a scalar */
size_t custos_yaml_count(const struct custos_yaml *node);
const struct custos_yaml *custos_yaml_at(const struct custos_yaml *node, size_t index);  /* list item or map value */
const char *custos_yaml_key_at(const struct custos_yaml *map, size_t index);
const struct custos_yaml *custos_yaml_get(const struct custos_yaml *map, const char *key); /* NULL when absent or no map */

/* An error at this node: "FILE:LINE: …". */
custos_rc custos_yaml_refuse(const struct custos_yaml *node, struct custos_err *err, const char *format, ...) CUSTOS_PRINTF(3, 4);
/* `node` is a map and each of its keys is in the NULL-terminated list. */
CUSTOS_RC custos_yaml_known(const struct custos_yaml *node, const char *const known[], struct custos_err *err);

/* Getters: `otherwise` is used when the key is absent; pass CUSTOS_YAML_REQUIRED to demand it. Texts borrow from the root. */
#define CUSTOS_YAML_REQUIRED ((const char *)1)
CUSTOS_RC custos_yaml_text(const struct custos_yaml *map, const char *key, const char *otherwise, const char **ret, struct custos_err *err);
CUSTOS_RC custos_yaml_u64(const struct custos_yaml *map, const char *key, uint64_t min, uint64_t max, uint64_t otherwise, uint64_t *ret,
                          struct custos_err *err);
/* `yes`/`no`, `true`/`false`. */
CUSTOS_RC custos_yaml_bool(const struct custos_yaml *map, const char *key, bool otherwise, bool *ret, struct custos_err *err);
/* One of a NULL-terminated list of words; *ret is its index. */
CUSTOS_RC custos_yaml_word(const struct custos_yaml *map, const char *key, const char *const words[], const char *otherwise, size_t *ret,
                           struct custos_err *err);
/* A list of texts (a single scalar counts as a list of one); absent gives an empty list. The array, not its texts, is the caller's to free;
 * it ends with NULL. */
CUSTOS_RC custos_yaml_texts(const struct custos_yaml *map, const char *key, const char ***ret, struct custos_err *err);

#endif

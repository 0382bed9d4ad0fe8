/* A map from names to records that need not be in memory: cut into pages, each a blob named by its hash, read and compared with it when one of its
 * names is asked for. Without a snapshot to begin from there is one page, and it is in memory.
 *
 * Which page a name belongs to, and how many there are, follows from the names alone: the same records make the same pages, whatever came before.
 * A page that cannot be had is a fault, which stays: from then on nothing is found, and whoever changes or shows something asks custos_pages_check(). */
#ifndef CUSTOS_VAULT_PAGES_H
#define CUSTOS_VAULT_PAGES_H

#include "base/permit.h"
#include "data/json.h"

/* Where pages come from: the blob with this hash and no other. */
struct custos_pages_source {
	void *ctx;
	CUSTOS_MUST custos_rc (*get)(void *ctx, const uint8_t sha256[static CUSTOS_HASH_SIZE], struct custos_buf *blob, struct custos_err *err);
};
/* Where they go. Both functions may be NULL: then only the hashes are made. */
struct custos_pages_sink {
	void *ctx;
	CUSTOS_MUST custos_rc (*put)(void *ctx, const uint8_t sha256[static CUSTOS_HASH_SIZE], struct custos_bytes blob, struct custos_err *err);
};

struct custos_pages;
CUSTOS_RC custos_pages_new(struct custos_pages **ret_pages, struct custos_err *err);
void custos_pages_free(struct custos_pages *pages);
CUSTOS_DEFINE_FREEP(custos_pages);

/* Borrowed until it is removed or replaced; NULL when there is none. */
const struct custos_json *custos_pages_get(struct custos_pages *pages, const char *name);
/* The same, to be changed. */
struct custos_json *custos_pages_edit(struct custos_pages *pages, const char *name);
/* Takes `value` over. */
void custos_pages_set(struct custos_pages *pages, const char *name, struct custos_json *value);
void custos_pages_remove(struct custos_pages *pages, const char *name);
/* All of them in one object, in the order of their "log_index"; borrowed until a record comes or goes. */
CUSTOS_RC custos_pages_all(struct custos_pages *pages, const struct custos_json **ret_all, struct custos_err *err);
/* The fault, if there was one. */
CUSTOS_RC custos_pages_check(const struct custos_pages *pages, struct custos_err *err);

/* AFRESH: what is known of a page's hash is not relied upon. */
enum custos_pages_flags { CUSTOS_PAGES_AFRESH = 1u << 0 };
/* Puts what has changed into the sink. *ret_said is what custos_pages_resume() takes: {"count", "pages", "table_sha256"}. */
CUSTOS_RC custos_pages_write(struct custos_pages *pages, const struct custos_pages_sink *sink, unsigned flags, struct custos_json **ret_said, struct custos_err *err);
/* Goes on from there; nothing is read yet but the table. `source` is copied. CUSTOS_E_TAMPERED when it makes no sense. */
CUSTOS_RC custos_pages_resume(struct custos_pages *pages, const struct custos_json *said, const struct custos_pages_source *source, struct custos_err *err);

#endif

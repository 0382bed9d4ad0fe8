/* What a state is made of, in one table: how each member begins, ends, is written into a snapshot and taken out of one again.
 *
 * A snapshot is a tree of hashes: its index, one line of canonical JSON {"format":1,"members":{…}}, holds what is small as it is, and of what is paged
 * (pages.h) the hash of the table of pages. So the hash of the index is that of the whole state, and one record can be had without the others. */
#include "vault/state.h"

#include "base/text.h"
#include "crypto/digest.h"

#include <stddef.h>

enum { INDEX_MAX = 16 << 20 };

/* What is still open: an intent whose hosts all have their outcome takes no further entry, and one without intent is refused as well. */
static struct custos_json *unfinished(const struct custos_json *releases)
{
	struct custos_json *left = custos_json_array();
	for (size_t i = 0; i < custos_json_count(releases); i++) {
		const struct custos_json *release = custos_json_at(releases, i), *hosts = custos_json_get(release, "hosts");
		const char *state = custos_json_text(release, "state");
		bool open = state == NULL || strcmp(state, "open") == 0 || strcmp(state, "unknown") == 0;
		for (size_t h = 0; h < custos_json_count(hosts); h++)
			open = open || custos_json_text(custos_json_at(hosts, h), "result") == NULL;
		if (open)
			custos_json_push(left, custos_json_ref(release));
	}
	return left;
}

enum kind { LATER, OBJECT, ARRAY, PAGES }; /* LATER: NULL until an entry sets it */
static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
	struct custos_json *(*part)(const struct custos_json *whole); /* what of it goes into a snapshot; NULL: all */
} members[] = {
	{ "genesis", LATER, offsetof(struct custos_state, genesis), NULL },
	{ "keys", PAGES, offsetof(struct custos_state, keys), NULL },
	{ "names", PAGES, offsetof(struct custos_state, names), NULL },
	{ "targets", PAGES, offsetof(struct custos_state, targets), NULL },
	{ "releases", ARRAY, offsetof(struct custos_state, releases), unfinished },
	{ "imports", OBJECT, offsetof(struct custos_state, imports), NULL },
	{ "keks", ARRAY, offsetof(struct custos_state, keks), NULL },
	{ "binding", OBJECT, offsetof(struct custos_state, binding), NULL },
};
enum { MEMBERS = sizeof members / sizeof *members };

static struct custos_json **json_of(struct custos_state *s, size_t i)
{
	return (struct custos_json **)(void *)((char *)s + members[i].offset);
}

static struct custos_pages **pages_of(struct custos_state *s, size_t i)
{
	return (struct custos_pages **)(void *)((char *)s + members[i].offset);
}

static struct custos_pages *peek_pages(const struct custos_state *s, size_t i)
{
	struct custos_pages *pages;
	memcpy(&pages, (const char *)s + members[i].offset, sizeof pages);
	return pages;
}

static custos_rc start(struct custos_state *s, struct custos_err *err)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		if (members[i].kind == PAGES)
			CUSTOS_TRY(custos_pages_new(pages_of(s, i), err));
		else if (members[i].kind != LATER)
			*json_of(s, i) = members[i].kind == OBJECT ? custos_json_object() : custos_json_array();
		CUSTOS_REQUIRE(members[i].kind == LATER || members[i].kind == PAGES || *json_of(s, i) != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	}
	return CUSTOS_OK;
}

custos_rc custos_state_start(struct custos_state *ret_state, struct custos_err *err)
{
	struct custos_state s = { 0 };
	custos_rc rc = start(&s, err);
	if (rc != CUSTOS_OK) {
		custos_state_done(&s);
		return rc;
	}
	*ret_state = s;
	return CUSTOS_OK;
}

void custos_state_done(struct custos_state *s)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		if (members[i].kind == PAGES)
			custos_pages_free(*pages_of(s, i));
		else
			custos_json_free(*json_of(s, i));
	}
	*s = (struct custos_state){ 0 };
}

custos_rc custos_state_check(const struct custos_state *s, struct custos_err *err)
{
	for (size_t i = 0; i < MEMBERS; i++)
		if (members[i].kind == PAGES && peek_pages(s, i) != NULL)
			CUSTOS_TRY(custos_pages_check(peek_pages(s, i), err));
	return CUSTOS_OK;
}

static custos_rc write_members(struct custos_state *s, const struct custos_pages_sink *sink, unsigned flags, struct custos_json *said, struct custos_err *err)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		struct custos_json *value = NULL;
		if (members[i].kind == PAGES)
			CUSTOS_TRY(custos_pages_write(*pages_of(s, i), sink, flags, &value, err));
		else
			value = members[i].part != NULL ? members[i].part(*json_of(s, i)) : custos_json_ref(*json_of(s, i));
		custos_json_set(said, members[i].name, value);
	}
	return CUSTOS_OK;
}

custos_rc custos_state_write(struct custos_state *s, const struct custos_pages_sink *sink, unsigned flags, uint8_t ret_sha256[static CUSTOS_HASH_SIZE],
                             struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *index = custos_json_object();
	CUSTOS_AUTO_BUF line = { .max = INDEX_MAX };
	struct custos_json *said = custos_json_object();
	custos_json_set_int(index, "format", CUSTOS_STATE_FORMAT);
	custos_json_set(index, "members", said);
	CUSTOS_TRY(write_members(s, sink, flags, said, err));
	CUSTOS_TRY(custos_json_line(index, &line, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&line), ret_sha256, err));
	return sink->put == NULL ? CUSTOS_OK : sink->put(sink->ctx, ret_sha256, custos_buf_view(&line), err);
}

static custos_rc read_index(const struct custos_pages_source *source, const uint8_t *sha256, struct custos_json **ret_index, struct custos_err *err)
{
	CUSTOS_AUTO_BUF line = { .max = INDEX_MAX };
	CUSTOS_AUTO(custos_json) *index = NULL;
	CUSTOS_TRY(source->get(source->ctx, sha256, &line, err));
	CUSTOS_REQUIRE(custos_json_parse(custos_buf_view(&line), "index", &index, NULL) == CUSTOS_OK, err, CUSTOS_E_TAMPERED, "the index of the state's snapshot is not JSON");
	CUSTOS_REQUIRE(custos_json_int(index, "format", -1) == CUSTOS_STATE_FORMAT, err, CUSTOS_E_TAMPERED, "the index of the state's snapshot is of another format than its log entry");
	*ret_index = CUSTOS_TAKE(index);
	return CUSTOS_OK;
}

static custos_rc resume_member(struct custos_state *s, size_t i, const struct custos_json *value, const struct custos_pages_source *source, struct custos_err *err)
{
	if (members[i].kind == PAGES)
		return custos_pages_resume(*pages_of(s, i), value, source, err);
	bool fits = members[i].kind == ARRAY ? custos_json_is_array(value) : custos_json_is_object(value);
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_TAMPERED, "the state's snapshot has no %s", members[i].name);
	custos_json_free(CUSTOS_TAKE(*json_of(s, i)));
	/* a copy of its own: the index is freed, and what is shared would be changed for both */
	*json_of(s, i) = custos_json_copy(value);
	CUSTOS_REQUIRE(*json_of(s, i) != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

custos_rc custos_state_resume(struct custos_state *s, uint64_t next, const uint8_t sha256[static CUSTOS_HASH_SIZE], const struct custos_pages_source *source,
                              struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *index = NULL;
	CUSTOS_TRY(read_index(source, sha256, &index, err));
	const struct custos_json *said = custos_json_get(index, "members");
	for (size_t i = 0; i < MEMBERS; i++)
		CUSTOS_TRY(resume_member(s, i, custos_json_get(said, members[i].name), source, err));
	s->next = next;
	return CUSTOS_OK;
}

static custos_rc list_pages(const struct custos_json *said, const struct custos_pages_source *source, struct custos_buf *hashes, struct custos_err *err)
{
	uint8_t sha256[CUSTOS_HASH_SIZE];
	const char *hex = custos_json_text(said, "table_sha256");
	CUSTOS_REQUIRE(hex != NULL && custos_text_unhex(hex, sha256, sizeof sha256), err, CUSTOS_E_TAMPERED, "the state's snapshot does not say where its pages are");
	CUSTOS_TRY(custos_buf_append(hashes, sha256, sizeof sha256, err));
	return source->get(source->ctx, sha256, hashes, err);
}

custos_rc custos_state_list(const uint8_t sha256[static CUSTOS_HASH_SIZE], const struct custos_pages_source *source, struct custos_buf *hashes, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *index = NULL;
	CUSTOS_TRY(read_index(source, sha256, &index, err));
	CUSTOS_TRY(custos_buf_append(hashes, sha256, CUSTOS_HASH_SIZE, err));
	const struct custos_json *said = custos_json_get(index, "members");
	for (size_t i = 0; i < MEMBERS; i++)
		if (members[i].kind == PAGES)
			CUSTOS_TRY(list_pages(custos_json_get(said, members[i].name), source, hashes, err));
	return CUSTOS_OK;
}

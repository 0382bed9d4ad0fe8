/* Pages of records: see pages.h.
 *
 *   absent ──a name of it is asked for──▶ clean ──changed──▶ dirty ──written──▶ clean
 *
 * Written, a page is one line of canonical JSON, {name: record, …}; the table is the hashes of all pages, one after the other. */
#include "vault/pages.h"

#include "base/text.h"
#include "crypto/digest.h"

/* Small: an entry that is replayed costs the reading of one page, whatever the map holds. */
enum { RECORDS_A_PAGE = 4, PAGES_MAX = 1 << 20, BLOB_MAX = 16 << 20 };

struct page {
	struct custos_json *records; /* NULL: absent */
	bool dirty;
	custos_hash sha256;          /* of the page as it is in the store, unless dirty */
};

struct custos_pages {
	struct page *page;
	size_t width;                /* how many pages: a power of two */
	size_t count;                /* records, also those that are not in memory */
	struct custos_json *all;     /* NULL, or every record */
	struct custos_pages_source source;
	struct custos_err fault;
};

static void free_table(struct page *page, size_t width)
{
	for (size_t i = 0; page != NULL && i < width; i++)
		custos_json_free(page[i].records);
	free(page);
}

static custos_rc new_table(size_t width, struct page **ret_page, struct custos_err *err)
{
	struct page *page = calloc(width, sizeof *page);
	CUSTOS_REQUIRE(page != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_page = page;
	return CUSTOS_OK;
}

static bool add_empty_records(struct page *page, size_t width)
{
	bool made = true;
	for (size_t i = 0; i < width; i++) {
		page[i].records = custos_json_object();
		page[i].dirty = true;
		made = made && page[i].records != NULL;
	}
	return made;
}

custos_rc custos_pages_new(struct custos_pages **ret_pages, struct custos_err *err)
{
	CUSTOS_AUTO(custos_pages) *pages = calloc(1, sizeof *pages);
	CUSTOS_REQUIRE(pages != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(new_table(1, &pages->page, err));
	pages->width = 1;
	CUSTOS_REQUIRE(add_empty_records(pages->page, 1), err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_pages = CUSTOS_TAKE(pages);
	return CUSTOS_OK;
}

void custos_pages_free(struct custos_pages *pages)
{
	if (pages == NULL)
		return;
	free_table(pages->page, pages->width);
	custos_json_free(pages->all);
	free(pages);
}

/* FNV-1a, 32 bits: spreads names over pages and protects nothing. */
static size_t place(const char *name, size_t width)
{
	uint32_t hash = 2166136261u;
	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	/* the low bits of a product depend on the low bits of its factors only */
	return (hash ^ hash >> 15) & (width - 1);
}

/* ---- reading ---- */

static custos_rc damaged(size_t number, struct custos_err *err)
{
	CUSTOS_FAIL(err, CUSTOS_E_TAMPERED, "page %zu of the state's snapshot makes no sense", number);
}

static custos_rc load(struct custos_pages *p, size_t number, struct custos_err *err)
{
	struct page *page = &p->page[number];
	if (page->records != NULL)
		return CUSTOS_OK;
	CUSTOS_AUTO_BUF blob = { .max = BLOB_MAX };
	CUSTOS_AUTO(custos_json) *records = NULL;
	CUSTOS_TRY(p->source.get(p->source.ctx, page->sha256, &blob, err));
	if (custos_json_parse(custos_buf_view(&blob), "page", &records, NULL) != CUSTOS_OK || !custos_json_is_object(records))
		return damaged(number, err);
	for (void *it = custos_json_first(records); it != NULL; it = custos_json_next(records, it))
		if (place(custos_json_key(it), p->width) != number)
			return damaged(number, err);
	page->records = CUSTOS_TAKE(records);
	return CUSTOS_OK;
}

/* NULL, and a fault, when it cannot be had. */
static struct page *page_of(struct custos_pages *p, const char *name)
{
	size_t number = place(name, p->width);
	return p->fault.rc == CUSTOS_OK && load(p, number, &p->fault) == CUSTOS_OK ? &p->page[number] : NULL;
}

const struct custos_json *custos_pages_get(struct custos_pages *p, const char *name)
{
	const struct page *page = name == NULL ? NULL : page_of(p, name);
	return page == NULL ? NULL : custos_json_get(page->records, name);
}

struct custos_json *custos_pages_edit(struct custos_pages *p, const char *name)
{
	struct page *page = name == NULL ? NULL : page_of(p, name);
	struct custos_json *record = page == NULL ? NULL : custos_json_child(page->records, name);
	if (record != NULL)
		page->dirty = true;
	return record;
}

static void came_or_went(struct custos_pages *p, struct page *page, size_t before)
{
	p->count += custos_json_count(page->records) - before;
	page->dirty = true;
	custos_json_free(CUSTOS_TAKE(p->all));
}

void custos_pages_set(struct custos_pages *p, const char *name, struct custos_json *value)
{
	struct page *page = page_of(p, name);
	if (page == NULL) {
		custos_json_free(value);
		return;
	}
	size_t before = custos_json_count(page->records);
	custos_json_set(page->records, name, value);
	came_or_went(p, page, before);
}

void custos_pages_remove(struct custos_pages *p, const char *name)
{
	struct page *page = page_of(p, name);
	if (page == NULL)
		return;
	size_t before = custos_json_count(page->records);
	custos_json_remove(page->records, name);
	came_or_went(p, page, before);
}

custos_rc custos_pages_check(const struct custos_pages *p, struct custos_err *err)
{
	if (p->fault.rc == CUSTOS_OK)
		return CUSTOS_OK;
	CUSTOS_FAIL_HINT(err, p->fault.rc, p->fault.hint, "%s", p->fault.msg);
}

static custos_rc load_all(struct custos_pages *p, struct custos_err *err)
{
	size_t found = 0;
	CUSTOS_TRY(custos_pages_check(p, err));
	for (size_t i = 0; i < p->width && p->fault.rc == CUSTOS_OK; i++)
		if (load(p, i, &p->fault) == CUSTOS_OK)
			found += custos_json_count(p->page[i].records);
	if (p->fault.rc == CUSTOS_OK && found != p->count)
		custos_err_set(&p->fault, CUSTOS_E_TAMPERED, 0, "the state's snapshot says that it has %zu records, and has %zu", p->count, found);
	return custos_pages_check(p, err);
}

struct named {
	const char *name;
	const struct custos_json *record;
	int64_t order;
};

static int by_order(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	return x->order != y->order ? (x->order < y->order ? -1 : 1) : strcmp(x->name, y->name);
}

static void free_named(struct named **named)
{
	free(*named);
}

custos_rc custos_pages_all(struct custos_pages *p, const struct custos_json **ret_all, struct custos_err *err)
{
	CUSTOS_TRY(load_all(p, err));
	if (p->all == NULL) {
		CUSTOS_CLEANUP(free_named) struct named *list = calloc(p->count + 1, sizeof *list);
		CUSTOS_AUTO(custos_json) *all = custos_json_object();
		size_t count = 0;
		CUSTOS_REQUIRE(list != NULL && all != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		for (size_t i = 0; i < p->width; i++)
			for (void *it = custos_json_first(p->page[i].records); it != NULL; it = custos_json_next(p->page[i].records, it))
				list[count++] = (struct named){ custos_json_key(it), custos_json_value(it), custos_json_int(custos_json_value(it), "log_index", -1) };
		qsort(list, count, sizeof *list, by_order);
		for (size_t i = 0; i < count; i++)
			custos_json_set(all, list[i].name, custos_json_ref(list[i].record));
		p->all = CUSTOS_TAKE(all);
	}
	*ret_all = p->all;
	return CUSTOS_OK;
}

/* ---- writing ---- */

static size_t width_for(size_t count)
{
	size_t width = 1;
	while (width < PAGES_MAX && width * RECORDS_A_PAGE < count)
		width <<= 1;
	return width;
}

static custos_rc cut_anew(struct custos_pages *p, size_t width, struct custos_err *err)
{
	struct page *page = NULL;
	CUSTOS_TRY(load_all(p, err));
	CUSTOS_TRY(new_table(width, &page, err));
	if (!add_empty_records(page, width)) {
		free_table(page, width);
		CUSTOS_FAIL(err, CUSTOS_E_SYSTEM, "out of memory");
	}
	for (size_t i = 0; i < p->width; i++)
		for (void *it = custos_json_first(p->page[i].records); it != NULL; it = custos_json_next(p->page[i].records, it))
			custos_json_set(page[place(custos_json_key(it), width)].records, custos_json_key(it), custos_json_ref(custos_json_value(it)));
	free_table(p->page, p->width);
	p->page = page;
	p->width = width;
	return CUSTOS_OK;
}

static custos_rc put(const struct custos_pages_sink *sink, struct custos_bytes blob, uint8_t ret_sha256[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	CUSTOS_TRY(custos_sha256(blob, ret_sha256, err));
	return sink->put == NULL ? CUSTOS_OK : sink->put(sink->ctx, ret_sha256, blob, err);
}

static custos_rc write_page(struct page *page, const struct custos_pages_sink *sink, struct custos_err *err)
{
	CUSTOS_AUTO_BUF line = { .max = BLOB_MAX };
	CUSTOS_TRY(custos_json_line(page->records, &line, err));
	CUSTOS_TRY(put(sink, custos_buf_view(&line), page->sha256, err));
	page->dirty = false;
	return CUSTOS_OK;
}

custos_rc custos_pages_write(struct custos_pages *p, const struct custos_pages_sink *sink, unsigned flags, struct custos_json **ret_said, struct custos_err *err)
{
	uint8_t sha256[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF table = { .max = PAGES_MAX * (size_t)CUSTOS_HASH_SIZE };
	CUSTOS_TRY(custos_pages_check(p, err));
	if (width_for(p->count) != p->width)
		CUSTOS_TRY(cut_anew(p, width_for(p->count), err));
	for (size_t i = 0; i < p->width; i++) {
		struct page *page = &p->page[i];
		if (page->dirty || (page->records != NULL && (flags & CUSTOS_PAGES_AFRESH) != 0))
			CUSTOS_TRY(write_page(page, sink, err));
		CUSTOS_TRY(custos_buf_append(&table, page->sha256, sizeof page->sha256, err));
	}
	CUSTOS_TRY(put(sink, custos_buf_view(&table), sha256, err));
	struct custos_json *said = custos_json_object();
	CUSTOS_REQUIRE(said != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	custos_json_set_int(said, "count", (int64_t)p->count);
	custos_json_set_int(said, "pages", (int64_t)p->width);
	custos_json_set_hex(said, "table_sha256", sha256, sizeof sha256);
	*ret_said = said;
	return CUSTOS_OK;
}

custos_rc custos_pages_resume(struct custos_pages *p, const struct custos_json *said, const struct custos_pages_source *source, struct custos_err *err)
{
	int64_t count = custos_json_int(said, "count", -1), width = custos_json_int(said, "pages", -1);
	const char *hex = custos_json_text(said, "table_sha256");
	uint8_t sha256[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF table = { .max = PAGES_MAX * (size_t)CUSTOS_HASH_SIZE };
	bool fits = count >= 0 && count <= INT32_MAX && width == (int64_t)width_for((size_t)count) && hex != NULL && custos_text_unhex(hex, sha256, sizeof sha256);
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_TAMPERED, "the state's snapshot does not say where its pages are");
	CUSTOS_TRY(source->get(source->ctx, sha256, &table, err));
	CUSTOS_REQUIRE(table.len == (size_t)width * CUSTOS_HASH_SIZE, err, CUSTOS_E_TAMPERED, "the state's snapshot has %lld pages and %zu bytes of hashes",
	               (long long)width, table.len);
	struct page *page = NULL;
	CUSTOS_TRY(new_table((size_t)width, &page, err));
	for (size_t i = 0; i < (size_t)width; i++)
		memcpy(page[i].sha256, table.ptr + i * CUSTOS_HASH_SIZE, CUSTOS_HASH_SIZE);
	free_table(p->page, p->width);
	custos_json_free(CUSTOS_TAKE(p->all));
	p->page = page;
	p->width = (size_t)width;
	p->count = (size_t)count;
	p->source = *source;
	return CUSTOS_OK;
}

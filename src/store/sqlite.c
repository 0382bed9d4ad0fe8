/* SQLite: three tables, one writer, every commit on the disk before it returns (WAL with synchronous=FULL).
 *
 * The file is not trusted: its identity and its schema are compared with what is written here, its schema may run nothing, and values have a size limit.
 * What the values say is the log's business. */
#include "store/driver.h"
#include "store/sqlite_file.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>

enum { APPLICATION_ID = 0x63757374 /* "cust" */, SCHEMA_VERSION = 1, BUSY_MS = 10000 };

static const char *const schema[] = {
	"CREATE TABLE entry (idx INTEGER PRIMARY KEY CHECK (idx >= 0), leaf BLOB NOT NULL) STRICT",
	"CREATE TABLE checkpoint (size INTEGER PRIMARY KEY CHECK (size > 0), note BLOB NOT NULL) STRICT",
	"CREATE TABLE blob (sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32), kind TEXT NOT NULL, data BLOB NOT NULL) STRICT, WITHOUT ROWID",
};
enum { TABLES = sizeof schema / sizeof *schema };

struct engine {
	sqlite3 *db;
	char *path;
};

static void finalize(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}
#define AUTO_STMT __attribute__((cleanup(finalize))) sqlite3_stmt

/* What SQLite said, in words that say what to do. */
static custos_rc fail(const struct engine *engine, const char *what, struct custos_err *err)
{
	int code = sqlite3_extended_errcode(engine->db);
	custos_rc rc = custos_err_set(err, CUSTOS_E_STORE, code, "cannot %s %s: %s", what, engine->path, sqlite3_errmsg(engine->db));
	/* SQLite says "disk I/O error" when there is no room for its shared-memory file */
	switch ((code & 0xff) == SQLITE_IOERR && sqlite3_system_errno(engine->db) == ENOSPC ? SQLITE_FULL : code & 0xff) {
	case SQLITE_FULL:
		custos_err_hint(err, "free space on its file system and run the command again; what was committed before is still there");
		break;
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		custos_err_hint(err, "the file and its directory must be writable for you, and so must the file system");
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		custos_err_hint(
			err,
			"restore it from a backup, then run custos log verify --since with the newest checkpoint you have elsewhere: the log proves what is missing");
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		custos_err_hint(err, "another custos process is writing; wait for it to finish");
		break;
	case SQLITE_IOERR:
		custos_err_hint(err, "look at the kernel's log for a failing disk, and run custos log verify before anything else");
		break;
	default:
		break;
	}
	return rc;
}

static custos_rc run(const struct engine *engine, const char *sql, const char *what, struct custos_err *err)
{
	return sqlite3_exec(engine->db, sql, NULL, NULL, NULL) == SQLITE_OK ? CUSTOS_OK : fail(engine, what, err);
}

static custos_rc prepare(const struct engine *engine, const char *sql, const char *what, sqlite3_stmt **ret_stmt, struct custos_err *err)
{
	return sqlite3_prepare_v2(engine->db, sql, -1, ret_stmt, NULL) == SQLITE_OK ? CUSTOS_OK : fail(engine, what, err);
}

static bool bind_bytes(sqlite3_stmt *stmt, int at, const void *data, size_t len)
{
	return (len == 0 ? sqlite3_bind_zeroblob(stmt, at, 0) : sqlite3_bind_blob64(stmt, at, data, len, SQLITE_STATIC)) == SQLITE_OK;
}

static struct custos_bytes column(sqlite3_stmt *stmt, int at)
{
	const void *data = sqlite3_column_blob(stmt, at);
	return CUSTOS_BYTES(data, (size_t)sqlite3_column_bytes(stmt, at));
}

static custos_rc read_number(const struct engine *engine, const char *sql, int64_t *ret_number, struct custos_err *err)
{
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, sql, "read", &stmt, err));
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return fail(engine, "read", err);
	*ret_number = sqlite3_column_int64(stmt, 0);
	return CUSTOS_OK;
}

static custos_rc configure(const struct engine *engine, unsigned flags, struct custos_err *err)
{
	sqlite3_extended_result_codes(engine->db, 1);
	sqlite3_busy_timeout(engine->db, BUSY_MS);
	sqlite3_limit(engine->db, SQLITE_LIMIT_LENGTH, CUSTOS_STORE_VALUE_MAX + 4096);
	/* Nothing that a hostile file brings along may run. */
	sqlite3_db_config(engine->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(engine->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(engine->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(engine->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	CUSTOS_TRY(run(
		engine,
		"PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA synchronous=FULL; "
		"PRAGMA secure_delete=ON",
		"open", err));
	if ((flags & CUSTOS_STORE_READ_ONLY) != 0)
		return CUSTOS_OK;
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, "PRAGMA journal_mode=WAL", "open", &stmt, err));
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return fail(engine, "open", err);
	const char *mode = (const char *)sqlite3_column_text(stmt, 0);
	if (mode == NULL || strcmp(mode, "wal") != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "keep it on a local file system", "%s cannot have a write-ahead log where it lies",
		                 engine->path);
	return CUSTOS_OK;
}

static custos_rc create_schema(const struct engine *engine, struct custos_err *err)
{
	char identity[128];
	snprintf(identity, sizeof identity, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID, SCHEMA_VERSION);
	CUSTOS_TRY(run(engine, "BEGIN IMMEDIATE", "make", err));
	for (size_t i = 0; i < TABLES; i++)
		CUSTOS_TRY(run(engine, schema[i], "make", err));
	CUSTOS_TRY(run(engine, identity, "make", err));
	return run(engine, "COMMIT", "make", err);
}

static custos_rc check_schema(const struct engine *engine, struct custos_err *err)
{
	int64_t application, version;
	CUSTOS_TRY(read_number(engine, "PRAGMA application_id", &application, err));
	CUSTOS_REQUIRE(application == APPLICATION_ID, err, CUSTOS_E_STORE, "%s is a database, but not one of custos", engine->path);
	CUSTOS_TRY(read_number(engine, "PRAGMA user_version", &version, err));
	if (version > SCHEMA_VERSION)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "use that custos",
		                 "%s was made by a newer custos (version %" PRId64 ", this one knows %d)", engine->path, version,
		                 SCHEMA_VERSION);
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, "SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_autoindex\\_%' ESCAPE '\\'", "read", &stmt, err));
	size_t known = 0, all = 0;
	int step;
	while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *sql = (const char *)sqlite3_column_text(stmt, 0);
		all++;
		for (size_t i = 0; i < TABLES && sql != NULL; i++)
			known += strcmp(sql, schema[i]) == 0 ? 1 : 0;
	}
	if (step != SQLITE_DONE)
		return fail(engine, "read", err);
	CUSTOS_REQUIRE(version == SCHEMA_VERSION && known == TABLES && all == TABLES, err, CUSTOS_E_TAMPERED,
	               "%s does not have the tables that custos made in it", engine->path);
	return CUSTOS_OK;
}

static void engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	sqlite3_close(engine->db);
	free(engine->path);
	free(engine);
}
CUSTOS_DEFINE_FREEP(engine);

static custos_rc open_database(const struct engine *engine, sqlite3 **ret_db, unsigned flags, struct custos_err *err)
{
	int how = (flags & CUSTOS_STORE_READ_ONLY) != 0 ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	if (sqlite3_open_v2(engine->path, ret_db, how | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE, NULL) != SQLITE_OK)
		return fail(engine, "open", err);
	CUSTOS_TRY(configure(engine, flags, err));
	return (flags & CUSTOS_STORE_CREATE) != 0 ? create_schema(engine, err) : check_schema(engine, err);
}

static custos_rc sqlite_open(const char *dir, const char *place, unsigned flags, void **ret_engine, char **ret_name, struct custos_err *err)
{
	CUSTOS_AUTO(engine) *engine = calloc(1, sizeof *engine);
	CUSTOS_REQUIRE(engine != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_sqlite_file_path(dir, place, &engine->path, err));
	bool create = (flags & CUSTOS_STORE_CREATE) != 0;
	CUSTOS_TRY(create ? custos_sqlite_file_create(engine->path, err) : custos_sqlite_file_check(engine->path, err));
	custos_rc rc = open_database(engine, &engine->db, flags, err);
	if (rc != CUSTOS_OK && create) {
		/* Ours, new and useless: it must not stand in the way of the next attempt. */
		sqlite3_close(engine->db);
		engine->db = NULL;
		custos_sqlite_file_remove(engine->path);
	}
	CUSTOS_TRY(rc);
	char *name = custos_text_dup(engine->path);
	CUSTOS_REQUIRE(name != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_name = name;
	*ret_engine = CUSTOS_TAKE(engine);
	return CUSTOS_OK;
}

static void sqlite_close(void *ctx)
{
	engine_free(ctx);
}

static custos_rc sqlite_begin(void *ctx, struct custos_err *err)
{
	return run(ctx, "BEGIN IMMEDIATE", "lock", err);
}

static custos_rc sqlite_read_begin(void *ctx, struct custos_err *err)
{
	return run(ctx, "BEGIN", "read", err);
}

static custos_rc sqlite_commit(void *ctx, struct custos_err *err)
{
	return run(ctx, "COMMIT", "write", err);
}

static void sqlite_abort(void *ctx)
{
	const struct engine *engine = ctx;
	/* Some errors roll back by themselves. */
	if (sqlite3_get_autocommit(engine->db) == 0)
		(void)sqlite3_exec(engine->db, "ROLLBACK", NULL, NULL, NULL);
}

/* Runs one statement and says whether it changed a row. */
static custos_rc change(const struct engine *engine, sqlite3_stmt *stmt, bool *ret_changed, struct custos_err *err)
{
	/* An error may have ended the transaction behind our back; a statement of its own would be durable at once. */
	CUSTOS_REQUIRE(sqlite3_get_autocommit(engine->db) == 0, err, CUSTOS_E_STORE, "%s: the transaction is gone", engine->path);
	if (sqlite3_step(stmt) != SQLITE_DONE)
		return fail(engine, "write", err);
	*ret_changed = sqlite3_changes(engine->db) == 1;
	return CUSTOS_OK;
}

static custos_rc fail_overtaken(const struct engine *engine, const char *what, uint64_t number, struct custos_err *err)
{
	CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "another custos process has written meanwhile: run the command again",
	                 "%s: %s %" PRIu64 " does not follow the newest one", engine->path, what, number);
}

static custos_rc sqlite_entry_count(void *ctx, uint64_t *ret_count, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, "SELECT ifnull(max(idx) + 1, 0) FROM entry", "read", &stmt, err));
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return fail(engine, "read", err);
	*ret_count = (uint64_t)sqlite3_column_int64(stmt, 0);
	return CUSTOS_OK;
}

static custos_rc sqlite_append_entry(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	bool inserted;
	CUSTOS_TRY(prepare(engine, "INSERT INTO entry (idx, leaf) SELECT ?1, ?2 WHERE ?1 = ifnull((SELECT max(idx) + 1 FROM entry), 0)",
	                   "write", &stmt, err));
	if (sqlite3_bind_int64(stmt, 1, (sqlite3_int64)index) != SQLITE_OK || !bind_bytes(stmt, 2, leaf.ptr, leaf.len))
		return fail(engine, "write", err);
	CUSTOS_TRY(change(engine, stmt, &inserted, err));
	return inserted ? CUSTOS_OK : fail_overtaken(engine, "log entry", index, err);
}

static custos_rc sqlite_put_checkpoint(void *ctx, uint64_t size, struct custos_bytes note, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	bool inserted;
	CUSTOS_TRY(prepare(engine,
	                   "INSERT INTO checkpoint (size, note) SELECT ?1, ?2 WHERE ?1 > ifnull((SELECT max(size) FROM checkpoint), 0)",
	                   "write", &stmt, err));
	if (sqlite3_bind_int64(stmt, 1, (sqlite3_int64)size) != SQLITE_OK || !bind_bytes(stmt, 2, note.ptr, note.len))
		return fail(engine, "write", err);
	CUSTOS_TRY(change(engine, stmt, &inserted, err));
	return inserted ? CUSTOS_OK : fail_overtaken(engine, "checkpoint", size, err);
}

static custos_rc sqlite_entries(void *ctx, uint64_t first,
                                custos_rc (*each)(void *each_ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err),
                                void *each_ctx, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	int step;
	CUSTOS_TRY(prepare(engine, "SELECT idx, leaf FROM entry WHERE idx >= ?1 ORDER BY idx", "read", &stmt, err));
	if (sqlite3_bind_int64(stmt, 1, (sqlite3_int64)first) != SQLITE_OK)
		return fail(engine, "read", err);
	while ((step = sqlite3_step(stmt)) == SQLITE_ROW)
		CUSTOS_TRY(each(each_ctx, (uint64_t)sqlite3_column_int64(stmt, 0), column(stmt, 1), err));
	return step == SQLITE_DONE ? CUSTOS_OK : fail(engine, "read", err);
}

/* The bytes in the first column of the one row there may be. */
static custos_rc only_row(const struct engine *engine, sqlite3_stmt *stmt, struct custos_buf *value, bool *ret_found, struct custos_err *err)
{
	int step = sqlite3_step(stmt);
	*ret_found = step == SQLITE_ROW;
	if (step == SQLITE_DONE)
		return CUSTOS_OK;
	if (step != SQLITE_ROW)
		return fail(engine, "read", err);
	struct custos_bytes found = column(stmt, 0);
	return custos_buf_append(value, found.ptr, found.len, err);
}

/* From the newest backwards: what is looked for is seldom far. */
static custos_rc sqlite_find_entry(void *ctx, struct custos_bytes part, uint64_t *ret_index, struct custos_buf *leaf, bool *ret_found, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, "SELECT leaf, idx FROM entry WHERE instr(leaf, ?1) > 0 ORDER BY idx DESC LIMIT 1", "read", &stmt, err));
	if (!bind_bytes(stmt, 1, part.ptr, part.len))
		return fail(engine, "read", err);
	CUSTOS_TRY(only_row(engine, stmt, leaf, ret_found, err));
	if (*ret_found)
		*ret_index = (uint64_t)sqlite3_column_int64(stmt, 1);
	return CUSTOS_OK;
}

static custos_rc sqlite_newest_checkpoint(void *ctx, struct custos_buf *note, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1", "read", &stmt, err));
	bool found = false;
	return only_row(engine, stmt, note, &found, err);
}

static custos_rc sqlite_put_blob(void *ctx, const uint8_t *sha256, const char *kind, struct custos_bytes blob, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	bool inserted;
	/* A row that is there may be damaged: the bytes just hashed by the caller are better. */
	CUSTOS_TRY(prepare(
		engine, "INSERT INTO blob (sha256, kind, data) VALUES (?1, ?2, ?3) ON CONFLICT (sha256) DO UPDATE SET data = excluded.data",
		"write", &stmt, err));
	if (!bind_bytes(stmt, 1, sha256, CUSTOS_HASH_SIZE) || sqlite3_bind_text(stmt, 2, kind, -1, SQLITE_STATIC) != SQLITE_OK ||
	    !bind_bytes(stmt, 3, blob.ptr, blob.len))
		return fail(engine, "write", err);
	return change(engine, stmt, &inserted, err);
}

static custos_rc sqlite_get_blob(void *ctx, const uint8_t *sha256, struct custos_buf *blob, bool *ret_found, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, "SELECT data FROM blob WHERE sha256 = ?1", "read", &stmt, err));
	if (!bind_bytes(stmt, 1, sha256, CUSTOS_HASH_SIZE))
		return fail(engine, "read", err);
	return only_row(engine, stmt, blob, ret_found, err);
}

static custos_rc sqlite_drop_blob(void *ctx, const uint8_t *sha256, bool *ret_found, struct custos_err *err)
{
	const struct engine *engine = ctx;
	AUTO_STMT *stmt = NULL;
	CUSTOS_TRY(prepare(engine, "DELETE FROM blob WHERE sha256 = ?1", "write", &stmt, err));
	if (!bind_bytes(stmt, 1, sha256, CUSTOS_HASH_SIZE))
		return fail(engine, "write", err);
	return change(engine, stmt, ret_found, err);
}

/* secure_delete has put zeros where the blob was, in pages that may still be in the journal only: they go into the file, and the journal is emptied. */
static custos_rc sqlite_purge(void *ctx, struct custos_err *err)
{
	const struct engine *engine = ctx;
	int64_t busy = 1;
	CUSTOS_TRY(read_number(engine, "PRAGMA wal_checkpoint(TRUNCATE)", &busy, err));
	if (busy != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "wait for it to finish, then run the command again",
		                 "another custos process keeps the journal of %s from being emptied", engine->path);
	return CUSTOS_OK;
}

const struct custos_store_driver custos_store_sqlite = {
	.open = sqlite_open,
	.close = sqlite_close,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.abort = sqlite_abort,
	.read_begin = sqlite_read_begin,
	.entry_count = sqlite_entry_count,
	.append_entry = sqlite_append_entry,
	.entries = sqlite_entries,
	.find_entry = sqlite_find_entry,
	.put_checkpoint = sqlite_put_checkpoint,
	.newest_checkpoint = sqlite_newest_checkpoint,
	.put_blob = sqlite_put_blob,
	.get_blob = sqlite_get_blob,
	.drop_blob = sqlite_drop_blob,
	.purge = sqlite_purge,
};

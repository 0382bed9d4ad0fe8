/* A container as a file. The header says which key of which custody it is, and every line of it follows from the log: so a file is taken back only when the
 * log would write exactly this header, and the container only when it has opened. What is in the file is ciphertext and public data. */
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "vault/file.h"
#include "vault/release.h"
#include "vault/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { FILE_MAX = 65536, COLUMNS = 64, LINES_MAX = 16 };
static const char first_line[] = "custos-container: 1";

static custos_rc write_header(const struct custos_custody *c, const struct custos_json *key, struct custos_bytes spki, struct custos_buf *out,
                              struct custos_err *err)
{
	int64_t generation = custos_state_generation(key);
	const struct custos_json *kek = custos_state_kek_of(&c->state, generation);
	static const char *const members[][2] = { { "name", "name" }, { "type", "type" }, { "spki-sha256", "spki_sha256" } };
	CUSTOS_TRY(custos_buf_printf(out, err, "%s\n", first_line));
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		CUSTOS_TRY(custos_buf_printf(out, err, "%s: %s\n", members[i][0], custos_json_text(key, members[i][1])));
	if (custos_key_is_sealed(key))
		CUSTOS_TRY(custos_buf_printf(out, err, "sealing-key: %s\n", custos_json_text(custos_sealing_of(c), "spki_sha256")));
	else
		CUSTOS_TRY(custos_buf_printf(out, err, "kek: %s\nkek-generation: %lld\n", custos_json_text(kek, "id"), (long long)generation));
	CUSTOS_TRY(custos_buf_printf(out, err, "container-sha256: %s\n", custos_json_text(key, "container_sha256")));
	CUSTOS_TRY(custos_buf_printf(out, err, "log: %s\nlog-entry: %lld\npublic-key: ", c->binding.origin, (long long)custos_json_int(key, "log_index", -1)));
	CUSTOS_TRY(custos_base64_encode(spki, out, err));
	return custos_buf_append_str(out, "\n\n", err);
}

static custos_rc write_body(struct custos_bytes container, struct custos_buf *out, struct custos_err *err)
{
	CUSTOS_AUTO_BUF text = { 0 };
	CUSTOS_TRY(custos_base64_encode(container, &text, err));
	for (size_t at = 0; at < text.len; at += COLUMNS) {
		CUSTOS_TRY(custos_buf_append(out, text.ptr + at, text.len - at < COLUMNS ? text.len - at : COLUMNS, err));
		CUSTOS_TRY(custos_buf_append_str(out, "\n", err));
	}
	return CUSTOS_OK;
}

static custos_rc refuse_sign_only(const struct custos_json *key, const char *name, struct custos_err *err)
{
	if (custos_json_text(key, "container_sha256") == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "it is backed up with the token, by the token's own means", "key %s is sign-only: it never leaves the token", name);
	return CUSTOS_OK;
}

static custos_rc create(const char *file, int *ret_fd, struct custos_err *err)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name a file that does not exist", "cannot make %s: %s", file, strerror(errno));
	*ret_fd = fd;
	return CUSTOS_OK;
}

/* Logged before anything is in the file: there may be an entry without a file, never a file without an entry. */
static custos_rc fill(struct custos_custody *c, const char *file, int fd, struct custos_bytes text, struct custos_json *report, struct custos_err *err)
{
	uint64_t index = 0;
	CUSTOS_TRY(custos_vault_record(c, "key.exported", report, &index, err));
	if (write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "there is no such file now; the log says all the same that it was exported", "cannot write %s: %s", file, strerror(errno));
	custos_json_set_text(report, "file", file);
	custos_json_set_int(report, "log_index", (int64_t)index);
	return CUSTOS_OK;
}

custos_rc custos_key_export(struct custos_custody *c, const char *name, const char *file, struct custos_json **ret_report, struct custos_err *err)
{
	const struct custos_json *key;
	struct custos_token *token;
	CUSTOS_CLEANUP(custos_vault_key_done) struct custos_vault_key loaded = { 0 };
	CUSTOS_AUTO_BUF text = { .max = FILE_MAX };
	CUSTOS_AUTO(custos_json) *report = custos_json_object();
	CUSTOS_TRY(custos_vault_find_key(c, name, &key, err));
	CUSTOS_TRY(refuse_sign_only(key, name, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	CUSTOS_TRY(custos_vault_find_key(c, name, &key, err));
	CUSTOS_TRY(custos_vault_load_key(c, key, &loaded, err));
	CUSTOS_TRY(write_header(c, key, loaded.ref.spki, &text, err));
	CUSTOS_TRY(write_body(loaded.ref.container, &text, err));
	custos_json_set_text(report, "key", name);
	custos_json_set(report, "container_sha256", custos_json_ref(custos_json_get(key, "container_sha256")));
	CUSTOS_AUTO_FD fd = -1;
	CUSTOS_TRY(create(file, &fd, err));
	custos_rc rc = fill(c, file, fd, custos_buf_view(&text), report, err);
	if (rc != CUSTOS_OK) {
		unlink(file);
		return rc;
	}
	*ret_report = CUSTOS_TAKE(report);
	return CUSTOS_OK;
}

/* ---- and back ---- */

struct parsed {
	const char *file;
	struct custos_buf text;
	const char *line[LINES_MAX];       /* of the header, into text */
	size_t lines, header_len;          /* header_len: with the empty line */
	struct custos_buf container, spki;
};

static void parsed_done(struct parsed *p)
{
	custos_buf_done(&p->text);
	custos_buf_done(&p->container);
	custos_buf_done(&p->spki);
}

/* The length of a line, up to its end or that of the text. */
static size_t line_length(const char *line)
{
	return strcspn(line, "\n");
}

static bool header_value(const struct parsed *p, const char *member, char *out, size_t size)
{
	size_t len = strlen(member);
	for (size_t i = 0; i < p->lines; i++)
		if (strncmp(p->line[i], member, len) == 0 && strncmp(p->line[i] + len, ": ", 2) == 0) {
			int written = snprintf(out, size, "%.*s", (int)(line_length(p->line[i]) - len - 2), p->line[i] + len + 2);
			return written >= 0 && (size_t)written < size;
		}
	return false;
}

static custos_rc damaged(const struct parsed *p, const char *what, struct custos_err *err)
{
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "take another copy; a file that `custos key export` wrote is never edited", "%s %s", p->file, what);
}

static custos_rc split_header(struct parsed *p, struct custos_err *err)
{
	const char *at = (const char *)p->text.ptr;
	if (p->text.len == 0 || strlen(at) != p->text.len || strncmp(at, "custos-container: ", 18) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name a file that `custos key export` wrote", "%s is not an exported container", p->file);
	if (line_length(at) != sizeof first_line - 1 || strncmp(at, first_line, sizeof first_line - 1) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "use the custos that wrote it", "%s is of a version that is not known here", p->file);
	while (*at != '\n') {
		if (p->lines == LINES_MAX || at[line_length(at)] == '\0')
			return damaged(p, "has a header that does not end", err);
		p->line[p->lines++] = at;
		at += line_length(at) + 1;
	}
	p->header_len = (size_t)(at + 1 - (const char *)p->text.ptr);
	return CUSTOS_OK;
}

static custos_rc decode_body(struct parsed *p, struct custos_err *err)
{
	CUSTOS_AUTO_BUF base64 = { .max = FILE_MAX };
	CUSTOS_AUTO_BUF again = { .max = FILE_MAX };
	const char *body = (const char *)p->text.ptr + p->header_len;
	for (const char *c = body; *c != '\0'; c++)
		if (*c != '\n')
			CUSTOS_TRY(custos_buf_append(&base64, c, 1, err));
	struct custos_err ignored = { 0 };
	if (base64.len == 0 || custos_base64_decode((const char *)base64.ptr, base64.len, &p->container, &ignored) != CUSTOS_OK)
		return damaged(p, "has a body that is not base64", err);
	CUSTOS_TRY(write_body(custos_buf_view(&p->container), &again, err));
	return custos_bytes_equal(custos_buf_view(&again), CUSTOS_BYTES_STR(body)) ? CUSTOS_OK : damaged(p, "has lines that are not those it was written with", err);
}

/* The body is what the header says it is: otherwise it was damaged, or put together. */
static custos_rc check_body(struct parsed *p, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	char hex[2 * CUSTOS_HASH_SIZE + 1], said[128], key[2048];
	struct custos_err ignored = { 0 };
	CUSTOS_TRY(decode_body(p, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&p->container), hash, err));
	custos_text_hex(hash, sizeof hash, hex);
	if (!header_value(p, "container-sha256", said, sizeof said) || strcmp(hex, said) != 0)
		return damaged(p, "holds another container than its header says", err);
	if (!header_value(p, "public-key", key, sizeof key) || custos_base64_decode(key, strlen(key), &p->spki, &ignored) != CUSTOS_OK)
		return damaged(p, "holds no public key", err);
	return CUSTOS_OK;
}

static custos_rc refuse_other_log(const struct custos_custody *c, const struct parsed *p, const char *origin, struct custos_err *err)
{
	if (strcmp(origin, c->binding.origin) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "restore it in the custody it came from", "%s belongs to the custody %.200s, this one is %s", p->file, origin,
		                 c->binding.origin);
	return CUSTOS_OK;
}

static custos_rc check_sealing_home(const struct custos_custody *c, const struct parsed *p, const char *origin, const char *sealed_to, struct custos_err *err)
{
	const char *ours = custos_json_text(custos_sealing_of(c), "spki_sha256");
	CUSTOS_TRY(refuse_other_log(c, p, origin, err));
	if (ours == NULL || strcmp(sealed_to, ours) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "only the custody with that sealing key can open it", "%s is sealed to the key %.64s, this custody's is %s", p->file, sealed_to,
		                 ours == NULL ? "unknown" : ours);
	return CUSTOS_OK;
}

/* Whose it is, in words that help more than "line 6 is another". */
static custos_rc check_home(const struct custos_custody *c, const struct parsed *p, struct custos_err *err)
{
	char origin[512] = "", kek[128] = "";
	const struct custos_json *ours = NULL;
	size_t count = custos_json_count(c->state.keks);
	if (header_value(p, "log", origin, sizeof origin) && header_value(p, "sealing-key", kek, sizeof kek))
		return check_sealing_home(c, p, origin, kek, err);
	if (origin[0] == '\0' || !header_value(p, "kek", kek, sizeof kek))
		return damaged(p, "does not say which log and KEK it belongs to", err);
	CUSTOS_TRY(refuse_other_log(c, p, origin, err));
	for (size_t i = 0; i < count && ours == NULL; i++)
		ours = strcmp(custos_json_text(custos_json_at(c->state.keks, i), "id"), kek) == 0 ? custos_json_at(c->state.keks, i) : NULL;
	if (ours == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "only the custody with that KEK can open it", "%s is wrapped under the KEK %.64s, this custody's is %s", p->file, kek,
		                 count == 0 ? "unknown" : custos_json_text(custos_json_at(c->state.keks, count - 1), "id"));
	const char *state = custos_json_text(ours, "state");
	if (strcmp(state, "retired") == 0 || strcmp(state, "lost") == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "what was exported after the key moved to the next KEK can be restored", "%s is wrapped under the KEK %.64s, which is %s: nothing opens it any more",
		                 p->file, kek, state);
	return CUSTOS_OK;
}

/* Would the log write exactly this header? */
static custos_rc check_header(const struct custos_custody *c, const struct parsed *p, const struct custos_json **ret_key, struct custos_err *err)
{
	char name[128] = "";
	CUSTOS_AUTO_BUF wanted = { .max = FILE_MAX };
	const struct custos_json *key = header_value(p, "name", name, sizeof name) ? custos_state_key(&c->state, name) : NULL;
	if (key == NULL || custos_json_text(key, "container_sha256") == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "somebody has edited the file, or the log is not the one it was exported from: keep both as evidence",
		                 "%s names the key %.64s, and the log of this custody knows no container of that name", p->file, name);
	CUSTOS_TRY(write_header(c, key, custos_buf_view(&p->spki), &wanted, err));
	const char *want = (const char *)wanted.ptr;
	for (size_t i = 0; i < p->lines || *want != '\n'; i++) {
		size_t len = line_length(want);
		if (i >= p->lines || *want == '\n' || line_length(p->line[i]) != len || memcmp(p->line[i], want, len) != 0)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "somebody has edited the file: keep it as evidence, and take another copy",
			                 "line %zu of %s is not what the log says of key %s", i + 1, p->file, name);
		want += len + 1;
	}
	uint8_t hash[CUSTOS_HASH_SIZE];
	char hex[2 * CUSTOS_HASH_SIZE + 1];
	CUSTOS_TRY(custos_sha256(custos_buf_view(&p->spki), hash, err));
	custos_text_hex(hash, sizeof hash, hex);
	CUSTOS_REQUIRE(strcmp(hex, custos_json_text(key, "spki_sha256")) == 0, err, CUSTOS_E_TAMPERED, "the public key in %s is not that of key %s", p->file, name);
	*ret_key = key;
	return CUSTOS_OK;
}

static custos_rc refuse_present(struct custos_custody *c, const struct custos_json *key, struct custos_err *err)
{
	CUSTOS_AUTO_BUF container = { 0 };
	struct custos_err ignored = { 0 };
	const char *name = custos_json_text(key, "name");
	if (custos_state_is_live(key) && custos_vault_get_blob(c, "the key's container", custos_json_text(key, "container_sha256"), &container, &ignored) == CUSTOS_OK)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "`custos key drill` proves that it opens", "the container of key %s is in the store: there is nothing to restore", name);
	return CUSTOS_OK;
}

static custos_rc prove(struct custos_custody *c, const struct parsed *p, const struct custos_json *key, const char *name, struct custos_err *err)
{
	struct custos_vault_key opened = { .kek = custos_state_generation(key), .ref = { .spki = custos_buf_view(&p->spki), .container = custos_buf_view(&p->container) } };
	struct custos_err why = { 0 };
	opened.class = custos_key_is_sealed(key) ? CUSTOS_CLASS_SEALED : CUSTOS_CLASS_DEPLOYABLE;
	CUSTOS_REQUIRE(custos_key_type_parse(custos_json_text(key, "type"), &opened.ref.type), err, CUSTOS_E_TAMPERED, "the log names an unknown key type");
	custos_rc rc = custos_vault_prove_key(c, name, &opened, "restore", &why);
	if (rc == CUSTOS_OK)
		return rc;
	return custos_err_set_hinted(err, rc, why.hint, "the container in %s does not open: %s", p->file, why.msg);
}

static custos_rc put_back(struct custos_custody *c, const struct parsed *p, const char *name, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	const struct custos_json *key;
	/* under the lock: nobody has restored it, and the log says what it said */
	CUSTOS_TRY(check_header(c, p, &key, err));
	CUSTOS_TRY(refuse_present(c, key, err));
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_text(fields, "key", name);
	custos_json_set_text(fields, "was", custos_state_is_live(key) ? "missing" : custos_json_text(key, "state"));
	custos_json_set(fields, "spki_sha256", custos_json_ref(custos_json_get(key, "spki_sha256")));
	CUSTOS_TRY(custos_vault_put_blob(c, "spki", custos_buf_view(&p->spki), hash, err));
	CUSTOS_TRY(custos_vault_put_blob(c, "container", custos_buf_view(&p->container), hash, err));
	custos_json_set_hex(fields, "container_sha256", hash, sizeof hash);
	CUSTOS_TRY(custos_vault_append(c, "key.restored", fields, NULL, err));
	return custos_vault_commit(c, err);
}

custos_rc custos_key_restore(struct custos_custody *c, const char *file, struct custos_json **ret_key, struct custos_err *err)
{
	CUSTOS_CLEANUP(parsed_done) struct parsed p = { .file = file, .text = { .max = FILE_MAX } };
	const struct custos_json *key;
	struct custos_token *token;
	CUSTOS_TRY(custos_file_read(file, &p.text, err));
	CUSTOS_TRY(split_header(&p, err));
	CUSTOS_TRY(check_body(&p, err));
	CUSTOS_TRY(check_home(c, &p, err));
	CUSTOS_TRY(check_header(c, &p, &key, err));
	CUSTOS_TRY(refuse_present(c, key, err));
	CUSTOS_AUTO_STR *name = custos_text_dup(custos_json_text(key, "name"));
	CUSTOS_REQUIRE(name != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	CUSTOS_TRY(check_header(c, &p, &key, err));
	CUSTOS_TRY(prove(c, &p, key, name, err));
	/* nobody is half-way through destroying it */
	CUSTOS_TRY(custos_release_lock(c, err));
	custos_rc rc = custos_vault_begin(c, err);
	if (rc == CUSTOS_OK) {
		rc = put_back(c, &p, name, err);
		if (rc != CUSTOS_OK)
			custos_vault_abort(c);
	}
	custos_release_unlock(c);
	return rc == CUSTOS_OK ? custos_key_show(c, name, ret_key, err) : rc;
}

/* The token process's own judgement of a release: see release_guard.h. */
#include "token/release_guard.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "data/json.h"

enum { ORIGIN_MAX = 256, USED_MAX = 65536 };

struct checkpoint {
	char origin[ORIGIN_MAX];
	uint64_t size;
	uint8_t root[CUSTOS_HASH_SIZE];
};

struct custos_guard {
	struct custos_merkle *merkle;
	struct checkpoint last;
	struct custos_buf body;        /* the bytes signed last; empty before the first */
	custos_hash *used;             /* leaf hashes that were released on */
	size_t used_count;
};

custos_rc custos_guard_new(struct custos_guard **ret_guard, struct custos_err *err)
{
	CUSTOS_AUTO(custos_guard) *guard = calloc(1, sizeof *guard);
	CUSTOS_REQUIRE(guard != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_merkle_new(&guard->merkle, err));
	*ret_guard = CUSTOS_TAKE(guard);
	return CUSTOS_OK;
}

void custos_guard_free(struct custos_guard *guard)
{
	if (guard == NULL)
		return;
	custos_merkle_free(guard->merkle);
	custos_buf_done(&guard->body);
	free(guard->used);
	free(guard);
}

enum { LINE_ROOM = 1024 };

/* Takes one line off the front; false when there is no newline or the line does not fit. */
static bool take_line(struct custos_bytes *rest, char *out, size_t size)
{
	const uint8_t *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
	if (end == NULL)
		return false;
	size_t len = (size_t)(end - rest->ptr);
	if (len == 0 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (rest->ptr[i] < 0x20 || rest->ptr[i] > 0x7e)
			return false;
		out[i] = (char)rest->ptr[i];
	}
	out[len] = '\0';
	*rest = CUSTOS_BYTES(end + 1, rest->len - len - 1);
	return true;
}

static custos_rc parse(struct custos_bytes body, struct checkpoint *ret_checkpoint, struct custos_err *err)
{
	struct checkpoint c = { 0 };
	char size[24], root[64];
	CUSTOS_AUTO_BUF hash = { .max = 64 };
	struct custos_bytes rest = body;
	bool lines = take_line(&rest, c.origin, sizeof c.origin) && take_line(&rest, size, sizeof size) && take_line(&rest, root, sizeof root) && rest.len == 0;
	CUSTOS_REQUIRE(lines, err, CUSTOS_E_POLICY, "the log's key signs checkpoints only, and this is none");
	CUSTOS_REQUIRE(custos_text_u64(size, 1, INT64_MAX, &c.size), err, CUSTOS_E_POLICY, "the checkpoint's size is not a number");
	struct custos_err ignored = { 0 };
	CUSTOS_REQUIRE(custos_base64_decode(root, strlen(root), &hash, &ignored) == CUSTOS_OK && hash.len == sizeof c.root, err, CUSTOS_E_POLICY,
	               "the checkpoint's root is not a hash");
	memcpy(c.root, hash.ptr, sizeof c.root);
	*ret_checkpoint = c;
	return CUSTOS_OK;
}

bool custos_guard_is_checkpoint(struct custos_bytes message)
{
	/* more generous than parse(): a verifier somewhere may read extension lines, or a number with a sign */
	char origin[LINE_ROOM], size[LINE_ROOM], root[LINE_ROOM];
	struct custos_bytes rest = message;
	return take_line(&rest, origin, sizeof origin) && take_line(&rest, size, sizeof size) && take_line(&rest, root, sizeof root) && strspn(size, "+-0123456789 ") == strlen(size);
}

custos_rc custos_guard_check_body(const struct custos_guard *guard, struct custos_bytes body, struct custos_err *err)
{
	struct checkpoint c;
	CUSTOS_TRY(parse(body, &c, err));
	if (guard->body.len == 0)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(strcmp(c.origin, guard->last.origin) == 0, err, CUSTOS_E_POLICY, "the checkpoint is of another log than the one signed before");
	CUSTOS_REQUIRE(c.size >= guard->last.size, err, CUSTOS_E_POLICY, "the checkpoint goes back from %llu entries to %llu", (unsigned long long)guard->last.size,
	               (unsigned long long)c.size);
	bool fork = c.size == guard->last.size && memcmp(c.root, guard->last.root, sizeof c.root) != 0;
	if (fork)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "run the command again: a new custos-token starts from the stored log", "the checkpoint is a second history of %llu entries",
		                 (unsigned long long)c.size);
	return CUSTOS_OK;
}

custos_rc custos_guard_remember(struct custos_guard *guard, struct custos_bytes body, struct custos_err *err)
{
	struct checkpoint c;
	CUSTOS_TRY(parse(body, &c, err));
	/* forgotten first: should memory run out, no release is possible rather than one on an older tree */
	custos_buf_done(&guard->body);
	CUSTOS_TRY(custos_buf_append(&guard->body, body.ptr, body.len, err));
	guard->last = c;
	return CUSTOS_OK;
}

static custos_rc check_hex(const struct custos_json *entry, const char *key, const uint8_t *expected, size_t len, const char *otherwise, struct custos_err *err)
{
	uint8_t value[CUSTOS_POINT_SIZE];
	const char *text = custos_json_text(entry, key);
	CUSTOS_REQUIRE(len <= sizeof value && text != NULL && custos_text_unhex(text, value, len), err, CUSTOS_E_POLICY, "the logged intent has no valid %s", key);
	CUSTOS_REQUIRE(memcmp(value, expected, len) == 0, err, CUSTOS_E_POLICY, "%s", otherwise);
	return CUSTOS_OK;
}

/* A downgrade is an intent for another transport than the token's profile names. */
static custos_rc check_transport(const struct custos_json *entry, const struct custos_guard_claim *claim, struct custos_err *err)
{
	const char *name = custos_json_text(entry, "transport");
	enum custos_transport said = CUSTOS_TRANSPORT_ECDH_P256;
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_REQUIRE(name == NULL || custos_transport_parse(name, &said), err, CUSTOS_E_POLICY, "the logged intent names an unknown transport");
	CUSTOS_REQUIRE(said == claim->transport, err, CUSTOS_E_POLICY, "the intent was logged for transport %s, and this token's is %s", custos_transport_name(said),
	               custos_transport_name(claim->transport));
	CUSTOS_REQUIRE((claim->courier_key.len > 0) == custos_transport_needs_key(said), err, CUSTOS_E_POLICY, "transport %s and the courier's key do not fit", custos_transport_name(said));
	if (claim->courier_key.len == 0)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_sha256(claim->courier_key, hash, err));
	return check_hex(entry, "courier_key_sha256", hash, sizeof hash, "the intent was logged for another courier's key", err);
}

/* The container is authenticated together with whose key it is; the log must speak of the same key, of this very custody. */
static custos_rc check_sealed(const struct custos_guard *guard, const struct custos_json *entry, const struct custos_sealed_name *name, struct custos_err *err)
{
	const char *key = custos_json_text(entry, "key");
	CUSTOS_REQUIRE(strcmp(name->origin, guard->last.origin) == 0, err, CUSTOS_E_POLICY, "the container is of another custody than the log");
	CUSTOS_REQUIRE(key != NULL && strcmp(key, name->key) == 0, err, CUSTOS_E_POLICY, "the container is of another key than the logged intent");
	return check_hex(entry, "spki_sha256", name->spki_sha256, CUSTOS_HASH_SIZE, "the container is of another public key than the logged intent", err);
}

static custos_rc check_entry(const struct custos_guard *guard, const struct custos_guard_claim *claim, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *entry = NULL;
	CUSTOS_AUTO_BUF line = { 0 };
	CUSTOS_TRY(custos_json_parse(claim->leaf, "the logged intent", &entry, err));
	CUSTOS_TRY(custos_json_line(entry, &line, err));
	CUSTOS_REQUIRE(custos_json_is_object(entry) && custos_bytes_equal(custos_buf_view(&line), claim->leaf), err, CUSTOS_E_POLICY, "the logged intent is not in canonical form");
	const struct custos_intent_words *words = custos_intent_words(claim->kind);
	const char *event = custos_json_text(entry, "event");
	CUSTOS_REQUIRE(event != NULL && strcmp(event, words->event) == 0, err, CUSTOS_E_POLICY, "the logged entry is not a %s", words->event);
	CUSTOS_REQUIRE(custos_json_int(entry, "index", -1) == (int64_t)guard->last.size - 1, err, CUSTOS_E_POLICY, "the logged intent has the wrong index");
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_sha256(claim->container, hash, err));
	CUSTOS_TRY(check_hex(entry, "container_sha256", hash, sizeof hash, "the intent was logged for another key", err));
	CUSTOS_TRY(check_hex(entry, "courier_point", claim->courier_point, CUSTOS_POINT_SIZE, "the intent was logged for another courier", err));
	CUSTOS_TRY(check_transport(entry, claim, err));
	if (claim->sealed != NULL)
		CUSTOS_TRY(check_sealed(guard, entry, claim->sealed, err));
	const struct custos_json *hosts = custos_json_get(entry, words->receivers);
	CUSTOS_REQUIRE(custos_json_is_array(hosts) && (custos_json_count(hosts) > 0) == words->goes_out, err, CUSTOS_E_POLICY, "the logged intent names %s",
	               words->goes_out ? "no hosts" : "hosts");
	CUSTOS_AUTO_BUF hosts_line = { 0 };
	CUSTOS_TRY(custos_json_line(hosts, &hosts_line, err));
	CUSTOS_REQUIRE(custos_bytes_equal(custos_buf_view(&hosts_line), claim->hosts_line), err, CUSTOS_E_POLICY, "the intent was logged for other hosts");
	return CUSTOS_OK;
}

static custos_rc use_up(struct custos_guard *guard, const uint8_t *leaf_hash, struct custos_err *err)
{
	for (size_t i = 0; i < guard->used_count; i++)
		CUSTOS_REQUIRE(memcmp(guard->used[i], leaf_hash, CUSTOS_HASH_SIZE) != 0, err, CUSTOS_E_POLICY, "the logged intent has been used");
	CUSTOS_REQUIRE(guard->used_count < USED_MAX, err, CUSTOS_E_POLICY, "too many releases in one session");
	custos_hash *grown = realloc(guard->used, (guard->used_count + 1) * sizeof *grown);
	CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	guard->used = grown;
	memcpy(grown[guard->used_count++], leaf_hash, CUSTOS_HASH_SIZE);
	return CUSTOS_OK;
}

custos_rc custos_guard_leaf_hash(const struct custos_guard *guard, struct custos_bytes leaf, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	return custos_merkle_leaf(guard->merkle, leaf, ret_hash, err);
}

custos_rc custos_guard_admit(struct custos_guard *guard, const struct custos_guard_claim *claim, struct custos_err *err)
{
	/* only a sealed key is opened for nobody, and a KEK is none */
	bool fits = claim->kind == CUSTOS_INTENT_RELEASE || (claim->kind == CUSTOS_INTENT_OPENING) == (claim->sealed != NULL);
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_POLICY, "nothing but a sealed key is opened by a %s", custos_intent_words(CUSTOS_INTENT_OPENING)->event);
	CUSTOS_REQUIRE(guard->body.len > 0, err, CUSTOS_E_POLICY, "no checkpoint was signed here, so nothing is logged");
	CUSTOS_REQUIRE(custos_bytes_equal(claim->checkpoint_body, custos_buf_view(&guard->body)), err, CUSTOS_E_POLICY, "the checkpoint is not the one signed last");
	uint8_t leaf_hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_merkle_leaf(guard->merkle, claim->leaf, leaf_hash, err));
	/* the intent is the last entry of the tree: nothing was logged after it */
	struct custos_err ignored = { 0 };
	custos_rc rc = custos_merkle_check(guard->merkle, leaf_hash, guard->last.size - 1, guard->last.size, claim->proof, claim->proof_count, guard->last.root, &ignored);
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, CUSTOS_E_POLICY, "the intent is not the last entry of the signed log");
	CUSTOS_TRY(check_entry(guard, claim, err));
	return use_up(guard, leaf_hash, err);
}

/* Signed notes: verification keys, checkpoint bodies, signature lines. */
#include "log/note.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/verify.h"

#include <inttypes.h>

/* RFC 8410 4 and RFC 5480 2: everything of the SubjectPublicKeyInfo before the key itself. */
static const uint8_t ed25519_prefix[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
static const uint8_t p256_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	                               0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
/* RFC 8017 A.1: RSA of 3072 bits, and what follows the modulus: the exponent 65537. */
static const uint8_t rsa_prefix[] = { 0x30, 0x82, 0x01, 0xa2, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
	                              0x05, 0x00, 0x03, 0x82, 0x01, 0x8f, 0x00, 0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00 };
static const uint8_t rsa_suffix[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };
/* The type byte for types that have none, then a name of ours. */
static const char rsa_type[] = "\xff" "custos-rsa-pkcs1-sha256\n";
static const char dash[] = "\xe2\x80\x94 "; /* U+2014 and a space */

enum { TYPE_ED25519 = 1, TYPE_ECDSA = 2, KEY_ID_SIZE = 4, ED25519_KEY_SIZE = 32, P256_POINT_REST = 64, RSA_MODULUS_SIZE = 384, VKEY_REST_MAX = 1024 };

void custos_note_key_done(struct custos_note_key *key)
{
	free(key->name);
	custos_buf_done(&key->spki);
	*key = (struct custos_note_key){ 0 };
}

/* Length of the UTF-8 sequence at `p`, 0 for an overlong, surrogate or broken one. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
	return bad ? 0 : len;
}

/* U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000: spaces that are not ASCII. */
static bool is_wide_space(const uint8_t *p, size_t len)
{
	if (len == 2)
		return p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0);
	if (len != 3)
		return false;
	unsigned point = (unsigned)(p[0] & 0x0f) << 12 | (unsigned)(p[1] & 0x3f) << 6 | (unsigned)(p[2] & 0x3f);
	return point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 || point == 0x202f ||
	       point == 0x205f || point == 0x3000;
}

bool custos_note_is_name(struct custos_bytes name)
{
	if (name.len == 0 || name.len > CUSTOS_NOTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len;) {
		const uint8_t *p = name.ptr + i;
		size_t len = utf8_length(p, name.len - i);
		if (len == 0 || *p <= 0x20 || *p == 0x7f || *p == '+' || is_wide_space(p, len))
			return false;
		i += len;
	}
	return true;
}

static custos_rc key_id(const struct custos_note_key *key, struct custos_bytes raw, uint8_t ret_id[static KEY_ID_SIZE], struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF named = { .max = 1024 };
	if (key->algorithm == CUSTOS_SIGNATURE_ED25519) {
		const uint8_t glue[] = { '\n', TYPE_ED25519 };
		CUSTOS_TRY(custos_buf_append_str(&named, key->name, err));
		CUSTOS_TRY(custos_buf_append(&named, glue, sizeof glue, err));
		CUSTOS_TRY(custos_buf_append(&named, raw.ptr, raw.len, err));
		CUSTOS_TRY(custos_sha256(custos_buf_view(&named), hash, err));
	} else if (key->algorithm == CUSTOS_SIGNATURE_RSA_PKCS1_SHA256) {
		CUSTOS_TRY(custos_buf_printf(&named, err, "%s\n%s", key->name, rsa_type));
		CUSTOS_TRY(custos_buf_append(&named, raw.ptr, raw.len, err));
		CUSTOS_TRY(custos_sha256(custos_buf_view(&named), hash, err));
	} else {
		CUSTOS_TRY(custos_sha256(custos_buf_view(&key->spki), hash, err));
	}
	memcpy(ret_id, hash, KEY_ID_SIZE);
	return CUSTOS_OK;
}

static bool starts_with(struct custos_bytes data, const void *prefix, size_t len)
{
	return data.len >= len && memcmp(data.ptr, prefix, len) == 0;
}

static bool is_rsa_3072(struct custos_bytes spki)
{
	size_t modulus = sizeof rsa_prefix, exponent = modulus + RSA_MODULUS_SIZE;
	return spki.len == exponent + sizeof rsa_suffix && memcmp(spki.ptr, rsa_prefix, sizeof rsa_prefix) == 0 && spki.ptr[modulus] >= 0x80 &&
	       memcmp(spki.ptr + exponent, rsa_suffix, sizeof rsa_suffix) == 0;
}

custos_rc custos_note_key_from_spki(const char *name, struct custos_bytes spki, struct custos_note_key *ret_key, struct custos_err *err)
{
	CUSTOS_AUTO_NOTE_KEY key = { 0 };
	CUSTOS_REQUIRE(custos_note_is_name(CUSTOS_BYTES_STR(name)), err, CUSTOS_E_INPUT,
	               "\"%.80s\" cannot name a log: it has spaces, a plus or control characters, or is too long", name);
	struct custos_bytes raw = { 0 };
	if (starts_with(spki, ed25519_prefix, sizeof ed25519_prefix) && spki.len == sizeof ed25519_prefix + ED25519_KEY_SIZE) {
		key.algorithm = CUSTOS_SIGNATURE_ED25519;
		raw = CUSTOS_BYTES(spki.ptr + sizeof ed25519_prefix, ED25519_KEY_SIZE);
	} else if (starts_with(spki, p256_prefix, sizeof p256_prefix) && spki.len == sizeof p256_prefix + P256_POINT_REST) {
		key.algorithm = CUSTOS_SIGNATURE_ECDSA_SHA256;
	} else if (is_rsa_3072(spki)) {
		key.algorithm = CUSTOS_SIGNATURE_RSA_PKCS1_SHA256;
		raw = spki;
	} else {
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "%s: a log key is Ed25519, P-256 or RSA of 3072 bits", name);
	}
	key.name = custos_text_dup(name);
	CUSTOS_REQUIRE(key.name != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_buf_append(&key.spki, spki.ptr, spki.len, err));
	CUSTOS_TRY(key_id(&key, raw, key.id, err));
	*ret_key = key;
	key = (struct custos_note_key){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_note_key_format(const struct custos_note_key *key, struct custos_buf *vkey, struct custos_err *err)
{
	bool ed25519 = key->algorithm == CUSTOS_SIGNATURE_ED25519;
	size_t skip = ed25519 ? sizeof ed25519_prefix : 0;
	uint8_t type = ed25519 ? TYPE_ED25519 : TYPE_ECDSA;
	char id[2 * KEY_ID_SIZE + 1];
	CUSTOS_AUTO_BUF typed = { .max = 1024 };
	if (key->algorithm == CUSTOS_SIGNATURE_RSA_PKCS1_SHA256)
		CUSTOS_TRY(custos_buf_append_str(&typed, rsa_type, err));
	else
		CUSTOS_TRY(custos_buf_append(&typed, &type, 1, err));
	CUSTOS_TRY(custos_buf_append(&typed, key->spki.ptr + skip, key->spki.len - skip, err));
	custos_text_hex(key->id, KEY_ID_SIZE, id);
	CUSTOS_TRY(custos_buf_printf(vkey, err, "%s+%s+", key->name, id));
	return custos_base64_encode(custos_buf_view(&typed), vkey, err);
}

custos_rc custos_note_key_parse(const char *vkey, struct custos_note_key *ret_key, struct custos_err *err)
{
	const char *first = strchr(vkey, '+');
	const char *second = first == NULL ? NULL : strchr(first + 1, '+');
	if (second == NULL || first == vkey || strlen(vkey) > CUSTOS_NOTE_NAME_MAX + VKEY_REST_MAX)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "it looks like log.example.com+0123abcd+AbCd…, as `custos init` printed it",
		                 "not a log verification key");
	CUSTOS_AUTO_STR *name = strndup(vkey, (size_t)(first - vkey));
	CUSTOS_REQUIRE(name != NULL, err, CUSTOS_E_SYSTEM, "out of memory");

	CUSTOS_AUTO_BUF typed = { .max = 512 }, spki = { .max = 512 };
	size_t skip = 1;
	if (custos_base64_decode(second + 1, strlen(second + 1), &typed, NULL) != CUSTOS_OK || typed.len < 2)
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "log verification key %.80s: damaged key data", name);
	if (typed.ptr[0] == TYPE_ED25519 && typed.len == 1 + ED25519_KEY_SIZE) {
		CUSTOS_TRY(custos_buf_append(&spki, ed25519_prefix, sizeof ed25519_prefix, err));
	} else if (starts_with(custos_buf_view(&typed), rsa_type, sizeof rsa_type - 1)) {
		skip = sizeof rsa_type - 1;
	} else if (typed.ptr[0] != TYPE_ECDSA) {
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "log verification key %.80s: type %u is not supported", name, typed.ptr[0]);
	}
	CUSTOS_TRY(custos_buf_append(&spki, typed.ptr + skip, typed.len - skip, err));

	CUSTOS_AUTO_NOTE_KEY key = { 0 };
	CUSTOS_TRY(custos_note_key_from_spki(name, custos_buf_view(&spki), &key, err));
	/* one type, one kind of key: otherwise a key would have several vkeys */
	CUSTOS_REQUIRE((skip > 1) == (key.algorithm == CUSTOS_SIGNATURE_RSA_PKCS1_SHA256), err, CUSTOS_E_INPUT,
	               "log verification key %.80s: the key is not of the type it says", name);
	char id[2 * KEY_ID_SIZE + 1];
	custos_text_hex(key.id, KEY_ID_SIZE, id);
	if ((size_t)(second - first) != sizeof id || memcmp(first + 1, id, sizeof id - 1) != 0)
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "log verification key %.80s: the key id is not that of the key", name);
	*ret_key = key;
	key = (struct custos_note_key){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_checkpoint_format(const char *origin, uint64_t size, const uint8_t root[static CUSTOS_HASH_SIZE], struct custos_buf *body,
                                   struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_printf(body, err, "%s\n%" PRIu64 "\n", origin, size));
	CUSTOS_TRY(custos_base64_encode(CUSTOS_BYTES(root, CUSTOS_HASH_SIZE), body, err));
	return custos_buf_append_str(body, "\n", err);
}

custos_rc custos_note_format(const struct custos_note_key *key, struct custos_bytes body, struct custos_bytes signature,
                             struct custos_buf *note, struct custos_err *err)
{
	CUSTOS_AUTO_BUF blob = { .max = 1024 };
	CUSTOS_TRY(custos_buf_append(&blob, key->id, KEY_ID_SIZE, err));
	CUSTOS_TRY(custos_buf_append(&blob, signature.ptr, signature.len, err));
	CUSTOS_TRY(custos_buf_append(note, body.ptr, body.len, err));
	CUSTOS_TRY(custos_buf_printf(note, err, "\n%s%s ", dash, key->name));
	CUSTOS_TRY(custos_base64_encode(custos_buf_view(&blob), note, err));
	return custos_buf_append_str(note, "\n", err);
}

/* Cuts the next line (without its newline) off `rest`; false when there is no newline. */
static bool next_line(struct custos_bytes *rest, struct custos_bytes *ret_line)
{
	const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
	if (end == NULL)
		return false;
	*ret_line = CUSTOS_BYTES(rest->ptr, (size_t)(end - rest->ptr));
	*rest = CUSTOS_BYTES(end + 1, rest->len - ret_line->len - 1);
	return true;
}

static bool parse_size(struct custos_bytes line, uint64_t *ret_size)
{
	char text[24];
	if (line.len == 0 || line.len >= sizeof text)
		return false;
	memcpy(text, line.ptr, line.len);
	text[line.len] = '\0';
	return strlen(text) == line.len && custos_text_u64(text, 0, INT64_MAX, ret_size);
}

static custos_rc parse_body(struct custos_bytes *rest, const struct custos_note_key *key, const char *what,
                            struct custos_checkpoint *ret_checkpoint, struct custos_err *err)
{
	struct custos_bytes origin, size, root, blank;
	const uint8_t *start = rest->ptr;
	if (!next_line(rest, &origin) || !next_line(rest, &size) || !next_line(rest, &root))
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "%s is not a checkpoint: origin, size and root are missing", what);
	ret_checkpoint->body = CUSTOS_BYTES(start, (size_t)(rest->ptr - start));
	CUSTOS_REQUIRE(next_line(rest, &blank) && blank.len == 0, err, CUSTOS_E_INPUT, "%s is not a checkpoint: no blank line after the root", what);
	CUSTOS_REQUIRE(custos_note_is_name(origin), err, CUSTOS_E_INPUT, "%s is not a checkpoint: its origin is not a name", what);
	CUSTOS_REQUIRE(custos_bytes_equal(origin, CUSTOS_BYTES_STR(key->name)), err, CUSTOS_E_INPUT,
	               "%s is of another log: \"%.*s\" instead of \"%s\"", what, (int)origin.len, (const char *)origin.ptr, key->name);
	CUSTOS_REQUIRE(parse_size(size, &ret_checkpoint->size), err, CUSTOS_E_INPUT, "%s: its size is not a number", what);
	CUSTOS_AUTO_BUF hash = { .max = 64 };
	if (custos_base64_decode((const char *)root.ptr, root.len, &hash, NULL) != CUSTOS_OK || hash.len != CUSTOS_HASH_SIZE)
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "%s: its root is not a hash in base64", what);
	memcpy(ret_checkpoint->root, hash.ptr, CUSTOS_HASH_SIZE);
	return CUSTOS_OK;
}

/* One signature line. *known is set when it is this key's and verifies. */
static custos_rc check_signature(struct custos_bytes line, struct custos_bytes body, const struct custos_note_key *key, const char *what,
                                 bool *known, struct custos_err *err)
{
	CUSTOS_REQUIRE(starts_with(line, dash, sizeof dash - 1), err, CUSTOS_E_INPUT, "%s: a signature line does not begin with a dash", what);
	line = CUSTOS_BYTES(line.ptr + sizeof dash - 1, line.len - (sizeof dash - 1));
	const uint8_t *space = line.len == 0 ? NULL : memchr(line.ptr, ' ', line.len);
	CUSTOS_REQUIRE(space != NULL, err, CUSTOS_E_INPUT, "%s: a signature line has no signature", what);
	struct custos_bytes name = CUSTOS_BYTES(line.ptr, (size_t)(space - line.ptr));
	CUSTOS_REQUIRE(custos_note_is_name(name), err, CUSTOS_E_INPUT, "%s: a signature line has no proper name", what);
	CUSTOS_AUTO_BUF blob = { .max = CUSTOS_NOTE_MAX };
	if (custos_base64_decode((const char *)space + 1, line.len - name.len - 1, &blob, NULL) != CUSTOS_OK || blob.len <= KEY_ID_SIZE)
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "%s: a signature is not canonical base64", what);
	if (!custos_bytes_equal(name, CUSTOS_BYTES_STR(key->name)) || memcmp(blob.ptr, key->id, KEY_ID_SIZE) != 0)
		return CUSTOS_OK;
	struct custos_err why = { 0 };
	custos_rc rc = custos_verify(key->name, custos_buf_view(&key->spki), key->algorithm, body,
	                             CUSTOS_BYTES(blob.ptr + KEY_ID_SIZE, blob.len - KEY_ID_SIZE), &why);
	if (rc == CUSTOS_E_SYSTEM)
		CUSTOS_FAIL(err, rc, "%s", why.msg);
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, CUSTOS_E_TAMPERED, "%s: the signature of %s does not verify", what, key->name);
	*known = true;
	return CUSTOS_OK;
}

custos_rc custos_checkpoint_open(struct custos_bytes note, const struct custos_note_key *key, const char *what,
                                 struct custos_checkpoint *ret_checkpoint, struct custos_err *err)
{
	CUSTOS_REQUIRE(note.len > 0 && note.len <= CUSTOS_NOTE_MAX, err, CUSTOS_E_INPUT, "%s is not a checkpoint: it has %zu bytes", what, note.len);
	struct custos_checkpoint checkpoint = { 0 };
	struct custos_bytes rest = note, line;
	CUSTOS_TRY(parse_body(&rest, key, what, &checkpoint, err));
	bool known = false;
	CUSTOS_REQUIRE(rest.len > 0, err, CUSTOS_E_INPUT, "%s carries no signature", what);
	for (size_t count = 0; rest.len > 0; count++) {
		CUSTOS_REQUIRE(count < CUSTOS_NOTE_SIGNATURES_MAX, err, CUSTOS_E_INPUT, "%s carries more than %d signatures", what,
		               CUSTOS_NOTE_SIGNATURES_MAX);
		CUSTOS_REQUIRE(next_line(&rest, &line), err, CUSTOS_E_INPUT, "%s: the last line is cut off", what);
		CUSTOS_TRY(check_signature(line, checkpoint.body, key, what, &known, err));
	}
	CUSTOS_REQUIRE(known, err, CUSTOS_E_TAMPERED, "%s is not signed by %s (key %02x%02x%02x%02x)", what, key->name, key->id[0],
	               key->id[1], key->id[2], key->id[3]);
	*ret_checkpoint = checkpoint;
	return CUSTOS_OK;
}

custos_rc custos_checkpoint_open_own(struct custos_bytes note, const struct custos_note_key *key, const char *what,
                                     struct custos_checkpoint *ret_checkpoint, struct custos_err *err)
{
	struct custos_err why = { 0 };
	custos_rc rc = custos_checkpoint_open(note, key, what, ret_checkpoint, &why);
	if (rc != CUSTOS_OK)
		CUSTOS_FAIL(err, rc == CUSTOS_E_INPUT ? CUSTOS_E_TAMPERED : rc, "%s", why.msg);
	return CUSTOS_OK;
}

/* The walker. Every length is minimal and ends inside its parent, every SEQUENCE is used up to its end. */
#include "crypto/pkcs8.h"

enum tag { INTEGER = 0x02, BIT_STRING = 0x03, OCTET_STRING = 0x04, NULL_VALUE = 0x05, OID = 0x06, SEQUENCE = 0x30, EC_PARAMETERS = 0xa0, EC_PUBLIC = 0xa1 };

static const uint8_t OID_RSA[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const uint8_t OID_ED25519[] = { 0x2b, 0x65, 0x70 };
static const uint8_t OID_EC[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
static const struct {
	const char *group;
	size_t size;
	uint8_t oid[8];
	size_t oid_len;
} curves[] = {
	{ "P-256", 32, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 }, 8 },
	{ "P-384", 48, { 0x2b, 0x81, 0x04, 0x00, 0x22 }, 5 },
	{ "P-521", 66, { 0x2b, 0x81, 0x04, 0x00, 0x23 }, 5 },
};

static bool span_is(struct custos_span s, const uint8_t *bytes, size_t len)
{
	return s.len == len && memcmp(s.at, bytes, len) == 0;
}

/* Takes one element with this tag off the front of `rest`. `ret_whole` (may be NULL) gets it with tag and length. */
static bool take(struct custos_span *rest, enum tag tag, struct custos_span *ret_value, struct custos_span *ret_whole)
{
	if (rest->len < 2 || rest->at[0] != tag)
		return false;
	size_t len = rest->at[1], head = 2;
	if (len >= 0x80) {
		size_t digits = len & 0x7f;
		if (digits == 0 || digits > 3 || rest->len < 2 + digits || rest->at[2] == 0)
			return false;
		len = 0;
		for (size_t i = 0; i < digits; i++)
			len = len << 8 | rest->at[2 + i];
		if (len < 0x80)
			return false;
		head += digits;
	}
	if (len > rest->len - head)
		return false;
	*ret_value = (struct custos_span){ rest->at + head, len };
	if (ret_whole != NULL)
		*ret_whole = (struct custos_span){ rest->at, head + len };
	rest->at += head + len;
	rest->len -= head + len;
	return true;
}

static bool take_version(struct custos_span *rest, uint8_t version)
{
	struct custos_span value;
	return take(rest, INTEGER, &value, NULL) && span_is(value, &version, 1);
}

/* A positive, public INTEGER without its sign byte. */
static bool take_public(struct custos_span *rest, struct custos_span *ret)
{
	if (!take(rest, INTEGER, ret, NULL) || ret->len == 0 || (ret->at[0] & 0x80) != 0)
		return false;
	if (ret->at[0] == 0) {
		ret->at++;
		ret->len--;
	}
	return ret->len > 0 && ret->at[0] != 0;
}

static bool walk_rsa(struct custos_pkcs8 *key)
{
	struct custos_span body, rest = key->inner, part;
	if (!take(&rest, SEQUENCE, &body, NULL) || rest.len != 0 || !take_version(&body, 0) || !take_public(&body, &key->modulus) ||
	    !take_public(&body, &key->exponent))
		return false;
	/* d, p, q, d mod p-1, d mod q-1, q^-1 mod p */
	for (int i = 0; i < 6; i++)
		if (!take(&body, INTEGER, &part, NULL) || part.len == 0)
			return false;
	return body.len == 0;
}

static bool walk_ec(struct custos_pkcs8 *key, size_t size)
{
	struct custos_span body, rest = key->inner, part, whole;
	if (!take(&rest, SEQUENCE, &body, NULL) || rest.len != 0 || !take_version(&body, 1) || !take(&body, OCTET_STRING, &part, &key->scalar))
		return false;
	/* RFC 5915 wants the full size; a token that drops leading zeros means the same number, and servers read it. Eight of them at once are a key on another curve. */
	if (part.len > size || part.len + 8 <= size)
		return false;
	if (take(&body, EC_PARAMETERS, &part, NULL) && !span_is(part, key->curve.at, key->curve.len))
		return false;
	if (take(&body, EC_PUBLIC, &part, &whole)) {
		if (!take(&part, BIT_STRING, &key->point, NULL) || part.len != 0 || key->point.len != 2 + 2 * size || key->point.at[0] != 0 || key->point.at[1] != 4)
			return false;
		key->point.at++;
		key->point.len--;
		key->point_field = whole;
	}
	return body.len == 0;
}

/* CurvePrivateKey (RFC 8410 7): 32 bytes and nothing of the public half. */
static bool walk_ed25519(struct custos_pkcs8 *key)
{
	struct custos_span rest = key->inner, seed;
	return take(&rest, OCTET_STRING, &seed, NULL) && seed.len == 32 && rest.len == 0;
}

static bool walk_algorithm(struct custos_span algorithm, struct custos_pkcs8 *key, size_t *ret_size)
{
	struct custos_span oid, value;
	if (!take(&algorithm, OID, &oid, NULL))
		return false;
	if (span_is(oid, OID_RSA, sizeof OID_RSA)) {
		key->kind = CUSTOS_PKCS8_RSA;
		return take(&algorithm, NULL_VALUE, &value, NULL) && value.len == 0 && algorithm.len == 0;
	}
	if (span_is(oid, OID_ED25519, sizeof OID_ED25519)) {
		key->kind = CUSTOS_PKCS8_ED25519;
		return algorithm.len == 0;
	}
	key->kind = CUSTOS_PKCS8_EC;
	if (!span_is(oid, OID_EC, sizeof OID_EC) || !take(&algorithm, OID, &value, &key->curve) || algorithm.len != 0)
		return false;
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
		if (span_is(value, curves[i].oid, curves[i].oid_len)) {
			key->group = curves[i].group;
			*ret_size = curves[i].size;
			return true;
		}
	return false;
}

custos_rc custos_pkcs8_walk(struct custos_span der, size_t padding_max, struct custos_pkcs8 *ret_key, struct custos_err *err)
{
	struct custos_pkcs8 key = { 0 };
	struct custos_span body, algorithm, rest = der;
	size_t size = 0;
	unsigned padding = 0;
	CUSTOS_REQUIRE(take(&rest, SEQUENCE, &body, &key.whole), err, CUSTOS_E_TOKEN, "the key is not a PKCS#8 structure");
	CUSTOS_REQUIRE(rest.len <= padding_max, err, CUSTOS_E_TOKEN, "the key has %zu bytes after its end, %zu are allowed", rest.len, padding_max);
	for (size_t i = 0; i < rest.len; i++)
		padding |= rest.at[i];
	CUSTOS_REQUIRE(padding == 0, err, CUSTOS_E_TOKEN, "the key has bytes after its end that are not padding");
	CUSTOS_REQUIRE(take_version(&body, 0) && take(&body, SEQUENCE, &algorithm, NULL), err, CUSTOS_E_TOKEN, "the key is not a PKCS#8 structure of version 0");
	CUSTOS_REQUIRE(walk_algorithm(algorithm, &key, &size), err, CUSTOS_E_TOKEN, "the key is neither RSA, nor EC on P-256, P-384 or P-521, nor Ed25519");
	CUSTOS_REQUIRE(take(&body, OCTET_STRING, &key.inner, NULL) && body.len == 0, err, CUSTOS_E_TOKEN, "the key's PKCS#8 structure holds more than a key");
	bool well_formed = key.kind == CUSTOS_PKCS8_RSA ? walk_rsa(&key) : key.kind == CUSTOS_PKCS8_ED25519 ? walk_ed25519(&key) : walk_ec(&key, size);
	CUSTOS_REQUIRE(well_formed, err, CUSTOS_E_TOKEN, "the key inside PKCS#8 is not well formed");
	*ret_key = key;
	return CUSTOS_OK;
}

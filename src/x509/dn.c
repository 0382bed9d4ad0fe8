/* A parser of RFC 4514 strings: RDNs are collected in the order written and added in reverse. */
#include "x509/dn.h"
#include "x509/name.h"

#include <strings.h>

enum { ATTRIBUTES_MAX = 32, VALUE_MAX = 256 };

struct attribute {
	ASN1_OBJECT *type;         /* static or owned: ASN1_OBJECT_free() knows */
	unsigned char value[VALUE_MAX];
	size_t len;
	int string_type;           /* MBSTRING_UTF8, or the type a #hex value names */
	bool joined;               /* with '+' to the one before */
};

struct parser {
	const char *text, *at;
	struct attribute *attributes;
	size_t count;
};

static void parser_done(struct parser *p)
{
	for (size_t i = 0; i < p->count; i++)
		ASN1_OBJECT_free(p->attributes[i].type);
	free(p->attributes);
}

static custos_rc refuse(const struct parser *p, const char *why, struct custos_err *err)
{
	CUSTOS_AUTO_STR *shown = custos_name_escape(CUSTOS_BYTES_STR(p->text), 200);
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write it like CN=host.example.com,O=Example; put \\ before a comma, plus sign, quote, semicolon or backslash inside a value",
	                 "subject '%s': %s (at character %zu)", shown == NULL ? "" : shown, why, (size_t)(p->at - p->text) + 1);
}

static void skip_spaces(struct parser *p)
{
	while (*p->at == ' ')
		p->at++;
}

static ASN1_OBJECT *attribute_type(const char *name, size_t len)
{
	static const struct {
		const char *name;
		int nid;
	} known[] = {
		{ "CN", NID_commonName }, { "O", NID_organizationName }, { "OU", NID_organizationalUnitName }, { "C", NID_countryName },
		{ "ST", NID_stateOrProvinceName }, { "S", NID_stateOrProvinceName }, { "L", NID_localityName }, { "STREET", NID_streetAddress }, { "DC", NID_domainComponent },
		{ "UID", NID_userId }, { "EMAILADDRESS", NID_pkcs9_emailAddress }, { "E", NID_pkcs9_emailAddress }, { "SERIALNUMBER", NID_serialNumber },
		{ "SN", NID_surname }, { "GN", NID_givenName }, { "TITLE", NID_title }, { "POSTALCODE", NID_postalCode },
		{ "BUSINESSCATEGORY", NID_businessCategory }, { "ORGANIZATIONIDENTIFIER", NID_organizationIdentifier },
	};
	char text[64];
	if (len == 0 || len >= sizeof text)
		return NULL;
	memcpy(text, name, len);
	text[len] = '\0';
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcasecmp(known[i].name, text) == 0)
			return OBJ_nid2obj(known[i].nid);
	bool dotted = strspn(text, "0123456789.") == len && strchr(text, '.') != NULL && text[0] != '.' && text[len - 1] != '.' && strstr(text, "..") == NULL;
	return dotted ? OBJ_txt2obj(text, 1) : NULL;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

static custos_rc put(const struct parser *p, struct attribute *a, unsigned char c, struct custos_err *err)
{
	if (a->len == sizeof a->value)
		return refuse(p, "a value is too long", err);
	a->value[a->len++] = c;
	return CUSTOS_OK;
}

/* "#" and the hex of a BER value (RFC 4514 2.4): only character strings make sense in a subject. */
static custos_rc parse_hex(struct parser *p, struct attribute *a, struct custos_err *err)
{
	for (p->at++; hex_digit(p->at[0]) >= 0 && hex_digit(p->at[1]) >= 0; p->at += 2)
		CUSTOS_TRY(put(p, a, (unsigned char)(hex_digit(p->at[0]) << 4 | hex_digit(p->at[1])), err));
	const unsigned char *der = a->value;
	ASN1_TYPE *type = d2i_ASN1_TYPE(NULL, &der, (long)a->len);
	custos_x509_drain();
	int kind = type == NULL || der != a->value + a->len ? -1 : ASN1_TYPE_get(type);
	bool text = kind == V_ASN1_UTF8STRING || kind == V_ASN1_PRINTABLESTRING || kind == V_ASN1_IA5STRING;
	if (text) {
		const ASN1_STRING *string = type->value.asn1_string;
		a->len = (size_t)ASN1_STRING_length(string);
		memmove(a->value, ASN1_STRING_get0_data(string), a->len);
		a->string_type = kind;
	}
	ASN1_TYPE_free(type);
	if (!text || a->len == 0)
		return refuse(p, "the hexadecimal value is no character string", err);
	for (size_t i = 0; i < a->len; i++)
		if (is_control(a->value[i]))
			return refuse(p, "a value holds a control character", err);
	return CUSTOS_OK;
}

static custos_rc parse_escape(struct parser *p, struct attribute *a, struct custos_err *err)
{
	const char *c = p->at + 1;
	if (*c != '\0' && strchr("\"+,;<>\\ #=", *c) != NULL) {
		p->at += 2;
		return put(p, a, (unsigned char)*c, err);
	}
	if (hex_digit(c[0]) < 0 || hex_digit(c[1]) < 0)
		return refuse(p, "a backslash with nothing to escape", err);
	unsigned char byte = (unsigned char)(hex_digit(c[0]) << 4 | hex_digit(c[1]));
	if (is_control(byte))
		return refuse(p, "a value holds a control character", err);
	p->at += 3;
	return put(p, a, byte, err);
}

static custos_rc parse_string(struct parser *p, struct attribute *a, struct custos_err *err)
{
	size_t keep = 0; /* trailing spaces up to here were escaped */
	while (*p->at != '\0' && *p->at != ',' && *p->at != '+') {
		if (*p->at == '\\') {
			CUSTOS_TRY(parse_escape(p, a, err));
			keep = a->len;
			continue;
		}
		if (strchr("\";<>", *p->at) != NULL)
			return refuse(p, "this character must be escaped", err);
		if (is_control((unsigned char)*p->at))
			return refuse(p, "a control character", err);
		CUSTOS_TRY(put(p, a, (unsigned char)*p->at, err));
		p->at++;
	}
	while (a->len > keep && a->value[a->len - 1] == ' ')
		a->len--;
	return a->len == 0 ? refuse(p, "an empty value", err) : CUSTOS_OK;
}

static custos_rc parse_attribute(struct parser *p, bool joined, struct custos_err *err)
{
	if (p->count == ATTRIBUTES_MAX)
		return refuse(p, "too many attributes", err);
	skip_spaces(p);
	size_t len = strcspn(p->at, " =,+");
	ASN1_OBJECT *type = attribute_type(p->at, len);
	custos_x509_drain();
	if (type == NULL)
		return refuse(p, len == 0 ? "an attribute is missing" : "an unknown attribute", err);
	struct attribute *a = &p->attributes[p->count++];
	*a = (struct attribute){ .type = type, .string_type = MBSTRING_UTF8, .joined = joined };
	p->at += len;
	skip_spaces(p);
	if (*p->at != '=')
		return refuse(p, "'=' is missing", err);
	p->at++;
	skip_spaces(p);
	CUSTOS_TRY(*p->at == '#' ? parse_hex(p, a, err) : parse_string(p, a, err));
	skip_spaces(p);
	return *p->at == '\0' || *p->at == ',' || *p->at == '+' ? CUSTOS_OK : refuse(p, "',' or '+' is missing", err);
}

static custos_rc add_rdn(const struct parser *p, X509_NAME *name, size_t first, size_t stop, struct custos_err *err)
{
	for (size_t i = first; i < stop; i++) {
		const struct attribute *a = &p->attributes[i];
		if (X509_NAME_add_entry_by_OBJ(name, a->type, a->string_type, a->value, (int)a->len, -1, i == first ? 0 : -1) == 1)
			continue;
		long native = custos_x509_drain();
		CUSTOS_AUTO_STR *shown = custos_name_escape(CUSTOS_BYTES(a->value, a->len), 100);
		custos_rc rc = custos_err_set(err, CUSTOS_E_INPUT, native, "subject: '%s' is not a valid value for %s", shown == NULL ? "" : shown, OBJ_nid2ln(OBJ_obj2nid(a->type)));
		custos_err_hint(err, "a country is two letters, a common name at most 64 characters, text is UTF-8");
		return rc;
	}
	return CUSTOS_OK;
}

custos_rc custos_dn_parse(const char *text, X509_NAME **ret_name, struct custos_err *err)
{
	CUSTOS_CLEANUP(parser_done) struct parser p = { .text = text, .at = text };
	CUSTOS_AUTO_OSSL(name) X509_NAME *name = X509_NAME_new();
	p.attributes = calloc(ATTRIBUTES_MAX, sizeof *p.attributes);
	CUSTOS_REQUIRE(p.attributes != NULL && name != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	skip_spaces(&p);
	for (bool joined = false; *p.at != '\0' || p.count > 0;) {
		CUSTOS_TRY(parse_attribute(&p, joined, err));
		if (*p.at == '\0')
			break;
		joined = *p.at++ == '+';
	}
	for (size_t stop = p.count; stop > 0;) {
		size_t first = stop - 1;
		while (p.attributes[first].joined)
			first--;
		CUSTOS_TRY(add_rdn(&p, name, first, stop, err));
		stop = first;
	}
	/* a value given as #hex may be no string of its type */
	if (i2d_X509_NAME(name, NULL) <= 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, custos_x509_drain(), "subject: a value given as #hex is no string of its type");
	*ret_name = CUSTOS_TAKE(name);
	return CUSTOS_OK;
}

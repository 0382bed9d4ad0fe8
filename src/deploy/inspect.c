/* What was given, or what a host serves, goes into one bag and is judged. The only network here is a TLS handshake, made for the sake of the certificates, in a process
 * that has no custody open and holds no key. */
#include <custos/inspect.h>

#include "base/clock.h"
#include "base/text.h"
#include "confine/confinement.h"
#include "crypto/served.h"
#include "deploy/dial.h"
#include "x509/cert.h"
#include "x509/check.h"
#include "x509/idn.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>

enum { DIAL_MS = 10000, FETCH_MS = 10000, HOST_MAX = 256, PORT_MAX = 8 };

struct inspection {
	const struct custos_inspect_options *options;
	struct custos_bag *bag;
	struct custos_anchors *anchors, *system; /* `anchors` may be NULL; `system`: whose chains browsers hold to the limits of public CAs */
	struct custos_chain *chain;
	struct custos_buf spki, csr, leaf_spki;
	uint8_t hash[CUSTOS_HASH_SIZE];
	char host[HOST_MAX], port[PORT_MAX], name[HOST_MAX]; /* of HOST:PORT, and what it was asked for by */
	struct custos_check_options check;
};

static void inspection_done(struct inspection *i)
{
	custos_chain_free(i->chain);
	custos_anchors_free(i->anchors);
	custos_anchors_free(i->system);
	custos_bag_free(i->bag);
	custos_buf_done(&i->spki);
	custos_buf_done(&i->csr);
	custos_buf_done(&i->leaf_spki);
}

/* "HOST:PORT" or "[V6]:PORT", and nothing in the file system is called so. Both are copied. */
static bool is_host(const char *input, char host[static HOST_MAX], char port[static PORT_MAX])
{
	const char *start = input[0] == '[' ? input + 1 : input, *end = input[0] == '[' ? strstr(start, "]:") : strchr(start, ':');
	uint64_t number;
	if (end == NULL || end == start || end - start >= HOST_MAX || strchr(input, '/') != NULL || access(input, F_OK) == 0)
		return false;
	if (!custos_text_u64(end + (input[0] == '[' ? 2 : 1), 1, 65535, &number))
		return false;
	snprintf(host, HOST_MAX, "%.*s", (int)(end - start), start);
	snprintf(port, PORT_MAX, "%u", (unsigned)number);
	return true;
}

custos_rc custos_inspect_confine(const char *const inputs[], size_t count, const char *out, struct custos_err *err)
{
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	enum custos_foreign_code network = CUSTOS_FOREIGN_OFFLINE;
	char host[HOST_MAX], port[PORT_MAX];
	for (size_t n = 0; n < count; n++)
		if (is_host(inputs[n], host, port))
			network = CUSTOS_FOREIGN_MAY_USE_NETWORK;
	CUSTOS_TRY(custos_confinement_new(&confinement, err));
	CUSTOS_TRY(custos_confinement_only_paths(confinement, err));
	CUSTOS_TRY(custos_confinement_allow_path(confinement, "/", CUSTOS_CONFINE_READ, err));
	if (out != NULL) {
		CUSTOS_AUTO_STR *directory = custos_text_dup(out);
		CUSTOS_REQUIRE(directory != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		CUSTOS_TRY(custos_confinement_allow_path(confinement, dirname(directory), CUSTOS_CONFINE_READ | CUSTOS_CONFINE_WRITE, err));
	}
	CUSTOS_TRY(custos_confinement_foreign_code(confinement, network, err));
	return custos_confinement_enter(confinement, err);
}

/* As resolvers, servers and certificates have it: A-labels, and no dot at the end (RFC 6066 3). */
static custos_rc settle_name(char name[static HOST_MAX], struct custos_err *err)
{
	bool plain = true;
	CUSTOS_AUTO_STR *ascii = NULL;
	size_t len = strlen(name);
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
	for (const char *c = name; *c != '\0'; c++)
		plain = plain && isascii((unsigned char)*c);
	if (plain)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_idn_to_ascii(name, &ascii, err));
	if (ascii == NULL || strlen(ascii) >= HOST_MAX)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write it in lower case, or by its A-labels (xn--…)", "%s: this is no name of a host", name);
	snprintf(name, HOST_MAX, "%s", ascii);
	return CUSTOS_OK;
}

/* What was said on the command line counts for a host and for files. */
static custos_rc settle_server_name(struct inspection *i, struct custos_err *err)
{
	const char *given = i->options->server_name;
	if (given == NULL)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(given[0] != '\0' && strlen(given) < HOST_MAX, err, CUSTOS_E_INPUT, "\"%.300s\" is no name of a host", given);
	snprintf(i->name, HOST_MAX, "%s", given);
	i->check.name = i->name;
	return settle_name(i->name, err);
}

static custos_rc fetch(struct inspection *i, const char *address, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = -1;
	CUSTOS_CLEANUP(custos_served_done) struct custos_served served = { 0 };
	char dialed[HOST_MAX + PORT_MAX + 4];
	struct custos_err why = { 0 };
	if (i->leaf_spki.len > 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "check one after the other", "%s: a second host; what two hosts serve cannot be one chain", address);
	CUSTOS_TRY(settle_name(i->host, err));
	if (i->check.name == NULL)
		snprintf(i->name, HOST_MAX, "%s", i->host);
	snprintf(dialed, sizeof dialed, strchr(i->host, ':') != NULL ? "[%s]:%s" : "%s:%s", i->host, i->port);
	custos_rc rc = custos_dial(dialed, i->port, DIAL_MS, &fd, err);
	if (rc != CUSTOS_OK)
		custos_err_hint(err, "see whether name and port are right; with --servername it may be dialled by another name or address than its certificate has");
	CUSTOS_TRY(rc);
	rc = custos_served_fetch(fd, i->name, FETCH_MS, &served, &why);
	if (rc != CUSTOS_OK)
		CUSTOS_FAIL_HINT(err, rc, why.hint[0] != '\0' ? why.hint : "name a port on which it speaks TLS from the start", "%s: %s", address, why.msg);
	CUSTOS_TRY(custos_bag_add_served(i->bag, address, served.der, served.count, err));
	i->check.name = i->name;
	CUSTOS_TRY(custos_cert_spki(custos_buf_view(&served.der[0]), &i->leaf_spki, err));
	i->check.leaf_spki = custos_buf_view(&i->leaf_spki);
	return CUSTOS_OK;
}

static custos_rc add_input(struct inspection *i, const char *input, struct custos_err *err)
{
	if (is_host(input, i->host, i->port))
		return fetch(i, input, err);
	custos_rc rc = custos_bag_add_file(i->bag, input, err);
	if (rc != CUSTOS_OK && access(input, F_OK) != 0 && errno == ENOENT)
		custos_err_hint(err, "name a file or a directory, or a host as HOST:PORT or [IPV6]:PORT");
	return rc;
}

static custos_rc open_anchors(const char *trust, struct custos_anchors **ret_anchors, struct custos_err *err)
{
	if (trust == NULL)
		return CUSTOS_OK;
	if (strcmp(trust, "system") == 0)
		return custos_anchors_new_system(ret_anchors, err);
	CUSTOS_AUTO(custos_anchors) *anchors = NULL;
	CUSTOS_TRY(custos_anchors_new(&anchors, err));
	CUSTOS_TRY(custos_anchors_add_file(anchors, trust, NULL, err));
	*ret_anchors = CUSTOS_TAKE(anchors);
	return CUSTOS_OK;
}

/* As custos prints it, or as others do: in capitals, with colons. */
static bool is_hash(const char *text, uint8_t hash[static CUSTOS_HASH_SIZE])
{
	char plain[2 * CUSTOS_HASH_SIZE + 1];
	size_t len = 0;
	for (const char *c = text; *c != '\0' && len < sizeof plain; c++)
		if (*c != ':')
			plain[len++] = (char)tolower((unsigned char)*c);
	if (len != sizeof plain - 1)
		return false;
	plain[len] = '\0';
	return custos_text_unhex(plain, hash, CUSTOS_HASH_SIZE);
}

/* The one thing in a file that tells a key: a request before a public key before a certificate. */
static custos_rc read_key_file(struct inspection *i, const char *path, struct custos_err *err)
{
	static const enum custos_item_kind kinds[] = { CUSTOS_ITEM_REQUEST, CUSTOS_ITEM_PUBLIC_KEY, CUSTOS_ITEM_CERTIFICATE };
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	const struct custos_bag_item *found = NULL;
	CUSTOS_TRY(custos_bag_new(&bag, err));
	CUSTOS_TRY(custos_bag_add_file(bag, path, err));
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds && found == NULL; k++) {
		size_t at = 0;
		found = custos_bag_next(bag, kinds[k], &at);
		if (found != NULL && custos_bag_next(bag, kinds[k], &at) != NULL)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name a file with one request, one public key or one certificate", "%s: holds several keys", path);
	}
	if (found == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name the request, the public key or its SHA-256 (as custos key show prints it)",
		                 "%s: this is %s, neither a request nor a public key", path, custos_bag_at(bag, 0)->what);
	struct custos_bytes der = custos_buf_view(&found->der);
	if (found->kind == CUSTOS_ITEM_PUBLIC_KEY) {
		CUSTOS_REQUIRE(der.len > 0, err, CUSTOS_E_INPUT, "%s: this is %s in its old form, without its type", path, found->what);
		return custos_buf_append(&i->spki, der.ptr, der.len, err);
	}
	if (found->kind == CUSTOS_ITEM_CERTIFICATE)
		return custos_cert_spki(der, &i->spki, err);
	CUSTOS_TRY(custos_buf_append(&i->csr, der.ptr, der.len, err));
	return custos_csr_spki(der, &i->spki, err);
}

/* A hash becomes the key it belongs to, if a certificate of that key was given. */
static custos_rc find_hash(struct inspection *i, struct custos_err *err)
{
	size_t at = 0;
	for (const struct custos_bag_item *item; (item = custos_bag_next(i->bag, CUSTOS_ITEM_CERTIFICATE, &at)) != NULL;) {
		uint8_t hash[CUSTOS_HASH_SIZE];
		CUSTOS_AUTO_BUF spki = { .max = CUSTOS_BAG_INPUT_MAX };
		CUSTOS_TRY(custos_cert_spki(custos_buf_view(&item->der), &spki, err));
		CUSTOS_TRY(custos_spki_sha256(custos_buf_view(&spki), hash, err));
		if (memcmp(hash, i->hash, sizeof hash) == 0)
			return custos_buf_append(&i->spki, spki.ptr, spki.len, err);
	}
	return CUSTOS_OK;
}

static custos_rc settle_key(struct inspection *i, struct custos_err *err)
{
	const char *key = i->options->key;
	if (key == NULL)
		return CUSTOS_OK;
	if (is_hash(key, i->hash)) {
		i->check.spki_sha256 = CUSTOS_BYTES(i->hash, sizeof i->hash);
		CUSTOS_TRY(find_hash(i, err));
	} else {
		custos_rc rc = read_key_file(i, key, err);
		if (rc != CUSTOS_OK && access(key, F_OK) != 0)
			custos_err_hint(err, "name the request, the public key, or its SHA-256 in 64 hexadecimal digits");
		CUSTOS_TRY(rc);
	}
	i->check.spki = custos_buf_view(&i->spki);
	i->check.csr = custos_buf_view(&i->csr);
	return CUSTOS_OK;
}

static custos_rc write_chain(const struct inspection *i, char **ret_pem, struct custos_err *err)
{
	CUSTOS_AUTO_BUF pem = { .max = 4 * (size_t)CUSTOS_BAG_INPUT_MAX };
	CUSTOS_TRY(custos_cert_pem(i->chain->der, i->chain->count, &pem, err));
	*ret_pem = custos_text_dup((const char *)pem.ptr);
	CUSTOS_REQUIRE(*ret_pem != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

custos_rc custos_cert_inspect(const char *const inputs[], size_t count, const struct custos_inspect_options *options, struct custos_json **ret_report,
                              char **ret_chain_pem, struct custos_err *err)
{
	CUSTOS_CLEANUP(inspection_done) struct inspection i = {
		.options = options, .leaf_spki = { .max = CUSTOS_BAG_INPUT_MAX }, .spki = { .max = CUSTOS_BAG_INPUT_MAX }, .csr = { .max = CUSTOS_BAG_INPUT_MAX } };
	i.check.for_profile = options->for_profile;
	i.check.now_unix = custos_clock_unix();
	CUSTOS_TRY(open_anchors(options->trust, &i.anchors, err));
	i.check.trust = i.anchors;
	/* nobody's policy is known here: what cert accept would refuse without one is told */
	CUSTOS_TRY(custos_anchors_new_system(&i.system, err));
	i.check.validity = (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_PUBLIC_ADVISED, .roots = i.system };
	CUSTOS_TRY(custos_bag_new(&i.bag, err));
	custos_bag_use_pass_phrase(i.bag, options->pass_phrase);
	CUSTOS_TRY(settle_server_name(&i, err));
	for (size_t n = 0; n < count; n++)
		CUSTOS_TRY(add_input(&i, inputs[n], err));
	CUSTOS_TRY(settle_key(&i, err));
	i.check.last_use = i.bag;
	CUSTOS_TRY(custos_cert_check(i.bag, &i.check, ret_report, &i.chain, err));
	CUSTOS_TRY(custos_problems_refuse(custos_json_get(*ret_report, "problems"), err));
	CUSTOS_REQUIRE(custos_json_bool(*ret_report, "usable", false), err, CUSTOS_E_INPUT, "no server could use this");
	return ret_chain_pem == NULL ? CUSTOS_OK : write_chain(&i, ret_chain_pem, err);
}

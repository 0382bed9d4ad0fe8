/* Requests: names and subjects read strictly, signatures believed only when they verify. */
#include "x509_pki.h"

#include "data/json.h"
#include "x509/cert.h"
#include "x509/csr.h"
#include "x509/dn.h"
#include "x509/name.h"

enum lie { HONEST, OTHER_KEY, OTHER_MESSAGE, FLIPPED, EMPTY, HUGE_ANSWER };

struct soft {
	EVP_PKEY *key, *other;
	const EVP_MD *digest;
	enum lie lie;
	struct custos_buf spki;
	struct custos_signer signer;
	int calls;
};

static custos_rc soft_sign(void *ctx, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	struct soft *s = ctx;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char out[1024];
	size_t len = sizeof out;
	s->calls++;
	if (s->lie == EMPTY) {
		EVP_MD_CTX_free(md);
		return CUSTOS_OK;
	}
	assert_int_equal(EVP_DigestSignInit(md, NULL, s->digest, NULL, s->lie == OTHER_KEY ? s->other : s->key), 1);
	if (s->lie == OTHER_MESSAGE)
		message.len--;
	assert_int_equal(EVP_DigestSign(md, out, &len, message.ptr, message.len), 1);
	EVP_MD_CTX_free(md);
	if (s->lie == FLIPPED)
		out[len - 1] ^= 1;
	if (s->lie == HUGE_ANSWER)
		for (int i = 0; i < 3; i++)
			CUSTOS_TRY(custos_buf_append(signature, out, sizeof out, err));
	return custos_buf_append(signature, out, len, err);
}

static struct soft *soft_new(EVP_PKEY *key, EVP_PKEY *other, enum custos_signature algorithm)
{
	struct soft *s = calloc(1, sizeof *s);
	s->key = key;
	s->other = other;
	s->digest = algorithm == CUSTOS_SIGNATURE_ED25519 ? NULL : algorithm == CUSTOS_SIGNATURE_ECDSA_SHA512 ? EVP_sha512() : algorithm == CUSTOS_SIGNATURE_ECDSA_SHA384 ? EVP_sha384() : EVP_sha256();
	lab_spki(&s->spki, key);
	s->signer = (struct custos_signer){ .ctx = s, .algorithm = algorithm, .spki = custos_buf_view(&s->spki), .sign = soft_sign };
	return s;
}

static void soft_free(struct soft *s)
{
	EVP_PKEY_free(s->key);
	EVP_PKEY_free(s->other);
	custos_buf_done(&s->spki);
	free(s);
}

static const char *const SANS[] = { "dns:a.example.com", "dns:www.example.com", "ip:192.0.2.1", "ip:2001:db8::1", "email:root@example.com", "uri:https://a.example.com/x", NULL };

static void expect_request(struct soft *s, const char *key_type, bool encipherment)
{
	struct custos_csr_spec spec = { .subject = "CN=a.example.com,OU=Servers,O=Example\\, Inc,C=DE", .sans = SANS, .profile = "server" };
	CUSTOS_AUTO_BUF der = { 0 }, pem = { 0 };
	struct custos_err err = { 0 };
	struct custos_json *facts = NULL;
	assert_int_equal(custos_csr_create(&spec, &s->signer, &der, &err), CUSTOS_OK);
	assert_int_equal(s->calls, 1);
	assert_int_equal(custos_csr_facts(custos_buf_view(&der), &facts, &err), CUSTOS_OK);
	assert_string_equal(custos_json_text(facts, "subject"), "CN=a.example.com,OU=Servers,O=Example\\, Inc,C=DE");
	assert_string_equal(custos_json_text(facts, "key_type"), key_type);
	for (size_t i = 0; SANS[i] != NULL; i++)
		assert_string_equal(custos_json_string_value(custos_json_at(custos_json_get(facts, "sans"), i)), SANS[i]);
	custos_json_free(facts);
	/* a second opinion, by hand */
	const unsigned char *p = der.ptr;
	X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)der.len);
	assert_non_null(request);
	assert_int_equal(X509_REQ_verify(request, s->key), 1);
	assert_int_equal(X509_REQ_get_version(request), X509_REQ_VERSION_1);
	assert_int_equal(OBJ_obj2nid(X509_NAME_ENTRY_get_object(X509_NAME_get_entry(X509_REQ_get_subject_name(request), 0))), NID_countryName);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	ASN1_BIT_STRING *usage = X509V3_get_d2i(extensions, NID_key_usage, NULL, NULL);
	EXTENDED_KEY_USAGE *purposes = X509V3_get_d2i(extensions, NID_ext_key_usage, NULL, NULL);
	assert_int_equal(ASN1_BIT_STRING_get_bit(usage, 0), 1);
	assert_int_equal(ASN1_BIT_STRING_get_bit(usage, 2), encipherment);
	assert_int_equal(sk_ASN1_OBJECT_num(purposes), 1);
	assert_int_equal(OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes, 0)), NID_server_auth);
	ASN1_BIT_STRING_free(usage);
	EXTENDED_KEY_USAGE_free(purposes);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(request);
	assert_int_equal(custos_csr_pem(custos_buf_view(&der), &pem, &err), CUSTOS_OK);
	assert_int_equal(strncmp((char *)pem.ptr, "-----BEGIN CERTIFICATE REQUEST-----\n", 36), 0);
	soft_free(s);
}

static void every_key_type(void **state)
{
	(void)state;
	expect_request(soft_new(lab_rsa(2048), NULL, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256), "rsa-2048", true);
	expect_request(soft_new(lab_ec(), NULL, CUSTOS_SIGNATURE_ECDSA_SHA256), "ec-p256", false);
	expect_request(soft_new(EVP_EC_gen("P-384"), NULL, CUSTOS_SIGNATURE_ECDSA_SHA384), "ec-p384", false);
	expect_request(soft_new(EVP_EC_gen("P-521"), NULL, CUSTOS_SIGNATURE_ECDSA_SHA512), "ec-p521", false);
	expect_request(soft_new(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, CUSTOS_SIGNATURE_ED25519), "ed25519", false);
}

static void a_signer_that_lies(void **state)
{
	(void)state;
	struct custos_csr_spec spec = { .subject = "CN=a.example.com", .sans = SANS };
	for (int rsa = 0; rsa < 2; rsa++) {
		struct soft *s = rsa ? soft_new(lab_rsa(2048), lab_rsa(2048), CUSTOS_SIGNATURE_RSA_PKCS1_SHA256) : soft_new(lab_ec(), lab_ec(), CUSTOS_SIGNATURE_ECDSA_SHA256);
		for (enum lie lie = OTHER_KEY; lie <= HUGE_ANSWER; lie++) {
			CUSTOS_AUTO_BUF der = { 0 };
			struct custos_err err = { 0 };
			s->lie = lie;
			assert_int_equal(custos_csr_create(&spec, &s->signer, &der, &err), CUSTOS_E_TOKEN);
			assert_int_equal(der.len, 0); /* nothing comes out */
		}
		/* says it signs with one algorithm and uses another */
		CUSTOS_AUTO_BUF der = { 0 };
		struct custos_err err = { 0 };
		s->lie = HONEST;
		s->digest = EVP_sha384();
		assert_int_equal(custos_csr_create(&spec, &s->signer, &der, &err), CUSTOS_E_TOKEN);
		soft_free(s);
	}
	struct soft *s = soft_new(lab_ec(), NULL, CUSTOS_SIGNATURE_ECDSA_SHA256);
	CUSTOS_AUTO_BUF der = { 0 };
	struct custos_err err = { 0 };
	s->signer.spki.len--;
	assert_int_equal(custos_csr_create(&spec, &s->signer, &der, &err), CUSTOS_E_INPUT);
	soft_free(s);
}

/* NULL: no error, whatever is warned of. */
static void expect_lint_of(const struct custos_csr_spec *spec, const char *key_type, const char *code)
{
	const char *subject = spec->subject;
	struct custos_json *problems = NULL;
	assert_int_equal(custos_csr_lint(spec, key_type, &problems, NULL), CUSTOS_OK);
	bool found = code == NULL;
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		found = code == NULL ? found && strcmp(custos_json_text(p, "severity"), "error") != 0 : found || strcmp(custos_json_text(p, "code"), code) == 0;
	}
	if (!found) {
		char *text = custos_json_pretty(problems);
		print_error("wanted %s for %s: %s\n", code == NULL ? "nothing" : code, subject, text);
		free(text);
		fail();
	}
	custos_json_free(problems);
}

static void expect_lint(const char *subject, const char *const *sans, const char *profile, const char *key_type, const char *code)
{
	expect_lint_of(&(struct custos_csr_spec){ .subject = subject, .sans = sans, .profile = profile }, key_type, code);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A name a public CA may not certify is asked for only where somebody says that the CA is another one. */
static void private_names(void **state)
{
	(void)state;
	static const char *const own[] = {
		"dns:localhost", "dns:esxi1", "dns:esxi1.local", "dns:esxi1.LAN", "dns:*.a.internal", "dns:a.home.arpa", "dns:a.test", "ip:10.0.0.1", "ip:172.16.0.1", "ip:172.31.255.255", "ip:192.168.1.1",
		"ip:127.0.0.1", "ip:169.254.1.1", "ip:100.64.0.1", "ip:100.127.255.255", "ip:0.0.0.0", "ip:::1", "ip:::", "ip:fe80::1", "ip:febf::1", "ip:fc00::1", "ip:fdff::1", "ip:::ffff:192.0.2.1",
		"dns:a.alt", "dns:2.2.0.192.in-addr.arpa", "dns:8.b.d.0.1.0.0.2.ip6.arpa", "dns:abc.onion", "ip:192.0.0.8", "ip:192.88.99.1", "ip:198.18.0.1", "ip:198.19.255.255", "ip:224.0.0.1",
		"ip:239.255.255.255", "ip:240.0.0.1", "ip:255.255.255.255", "ip:64:ff9b:1::1", "ip:100::1", "ip:2002:a00:1::", "ip:5f00::1", "ip:ff02::1",
		"email:root@localhost", "email:root@host.internal", "email:a@b.LAN", "uri:https://server.local/", "uri:https://esxi1/", "uri:https://user@server.lan:8443/x?y#z", "uri:https://10.0.0.1/",
		"uri:https://[fd00::1]:8443/", "uri:https://a@b@server.local", "uri:spiffe://cluster.local/ns/a", "uri:https://192.168.1.1?a@www.example.com", "uri:ldap://localhost/cn=a",
	};
	static const char *const others[] = {
		"dns:local.example.com", "dns:lan.example", "dns:a.notlocal.example", "dns:alan.example", "dns:x.elan", "ip:11.0.0.1", "ip:172.32.0.1", "ip:172.15.255.255", "ip:192.167.1.1", "ip:100.128.0.1",
		"ip:100.63.0.1", "ip:2001:db8::1", "ip:fec0::1", "ip:fbff::1", "ip:::2", "email:root@localhost.example", "uri:https://a.example.com/server.local", "uri:https://server.local@a.example.com/",
		"uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "uri:https://[2001:db8::1]/", "uri:https://192.0.2.1:443", "uri:https://a.example.com?x=http://server.local/", "ip:192.0.1.1", "ip:198.17.255.255", "ip:198.20.0.1",
		"ip:223.255.255.255", "ip:64:ff9b:2::1", "ip:100:0:0:1::1", "ip:2003::1", "dns:arpa.example.com", "dns:salt.example", "dns:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.onion",
		"dns:www.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.onion",
	};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		struct custos_csr_spec spec = { .subject = "O=Example", .sans = LIST("dns:a.example.com", own[i]) };
		expect_lint_of(&spec, "rsa-2048", "private_name");
		spec.flags = CUSTOS_CSR_PRIVATE_CA;
		expect_lint_of(&spec, "rsa-2048", NULL);
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		expect_lint("O=Example", LIST(others[i]), "server", "rsa-2048", NULL);
	/* what no public CA puts into a server's certificate, and one's own may */
	static const char *const no_hosts[] = { "email:root@example.com", "uri:https://a.example.com/", "uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6" };
	for (size_t i = 0; i < sizeof no_hosts / sizeof *no_hosts; i++)
		for (unsigned own_ca = 0; own_ca < 2; own_ca++) {
			struct custos_csr_spec spec = { .sans = LIST("dns:a.example.com", no_hosts[i]), .flags = own_ca ? CUSTOS_CSR_PRIVATE_CA : 0u };
			CUSTOS_AUTO(custos_json) *problems = NULL;
			assert_int_equal(custos_csr_lint(&spec, "rsa-2048", &problems, NULL), CUSTOS_OK);
			assert_int_equal(custos_json_count(problems), own_ca ? 0 : 1);
			if (own_ca)
				continue;
			assert_string_equal(custos_json_text(custos_json_at(problems, 0), "code"), "not_from_public_ca");
			assert_string_equal(custos_json_text(custos_json_at(problems, 0), "severity"), "warning");
		}
}

/* The words say which rule it is. */
static void what_is_wrong_with_a_name(void **state)
{
	(void)state;
	static const struct {
		const char *name, *words;
	} cases[] = {
		{ "dns:a.example.com.", "ends with a dot" },
		{ "dns:a_b.example.com", "underscore" },
		{ "dns:*.com", "a wildcard for a whole top-level domain" },
		{ "dns:a.*.example.com", "elsewhere than as its whole first label" },
		{ "dns:*a.example.com", "elsewhere than as its whole first label" },
		{ "dns:*.*.example.com", "elsewhere than as its whole first label" },
		{ "dns:192.0.2.1", "an address, not a host name" },
		{ "dns:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com", "more than 63 characters" },
		{ "dns:a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z."
		  "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq.example.com", "longer than 253 characters" },
		{ "email:.a@example.com", "no mail address" },
		{ "email:a.@example.com", "no mail address" },
		{ "email:a..b@example.com", "no mail address" },
		{ "email:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.com", "more than 64 characters" },
		{ "uri:https://a_b.example.com/", "neither a host name nor an address" },
		{ "uri:https://*.example.com/", "neither a host name nor an address" },
		{ "uri:https://192.0.2.256/", "neither a host name nor an address" },
		{ "uri:https://a%2eexample.com/", "neither a host name nor an address" },
		{ "uri:https://[2001:db8::g]/", "neither a host name nor an address" },
		{ "uri:file:///etc/passwd", "names no host" },
		{ "uri:https://:443/", "names no host" },
		{ "uri:https://user@/", "names no host" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct custos_csr_spec spec = { .sans = LIST(cases[i].name), .flags = CUSTOS_CSR_PRIVATE_CA };
		CUSTOS_AUTO(custos_json) *problems = NULL;
		assert_int_equal(custos_csr_lint(&spec, "rsa-2048", &problems, NULL), CUSTOS_OK);
		if (custos_json_count(problems) != 1)
			fail_msg("%s: %zu problems", cases[i].name, custos_json_count(problems));
		assert_string_equal(custos_json_text(custos_json_at(problems, 0), "code"), "bad_name");
		if (strstr(custos_json_text(custos_json_at(problems, 0), "text"), cases[i].words) == NULL)
			assert_string_equal(custos_json_text(custos_json_at(problems, 0), "text"), cases[i].words);
	}
}

static void ways_to_sign(void **state)
{
	(void)state;
	struct custos_csr_spec spec = { .subject = "CN=a.example.com", .sans = LIST("dns:a.example.com"), .signature = "rsa-pss" };
	expect_lint_of(&spec, "rsa-2048", NULL);
	expect_lint_of(&spec, NULL, NULL);
	expect_lint_of(&spec, "ec-p256", "pss_without_rsa");
	spec.profile = "esxi";
	expect_lint_of(&spec, "rsa-2048", "pss_for_esxi");
	spec.signature = "md5";
	expect_lint_of(&spec, "rsa-2048", "unknown_signature");
	spec.signature = "default";
	expect_lint_of(&spec, "rsa-2048", NULL);
	spec.flags = CUSTOS_CSR_MUST_STAPLE;
	expect_lint_of(&spec, "rsa-2048", "must_staple_for_esxi");
	/* VMware's own subject: a CA of one's own may be asked for it, with a word about it */
	struct custos_csr_spec default_subject = { .subject = "CN=a.example.com,O=VMware\\, Inc", .sans = spec.sans, .flags = CUSTOS_CSR_PRIVATE_CA };
	expect_lint_of(&default_subject, "rsa-2048", "vmware_default_subject");
	struct soft *s = soft_new(lab_ec(), NULL, CUSTOS_SIGNATURE_ECDSA_SHA256);
	CUSTOS_AUTO_BUF der = { 0 };
	assert_int_equal(custos_csr_create(&default_subject, &s->signer, &der, NULL), CUSTOS_OK);
	der.len = 0;
	default_subject.flags = 0;
	assert_int_equal(custos_csr_create(&default_subject, &s->signer, &der, NULL), CUSTOS_E_INPUT);
	soft_free(s);
}

/* A client's: another purpose, no names needed, and told from a server's. */
static void a_client(void **state)
{
	(void)state;
	struct soft *s = soft_new(lab_rsa(2048), NULL, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256);
	CUSTOS_AUTO_BUF der = { 0 };
	struct custos_err err = { 0 };
	struct custos_csr_spec spec = { .subject = "CN=Jane Doe,O=Example", .profile = "client" }, server = spec;
	bool matches = false;
	expect_lint_of(&spec, "ec-p256", NULL);
	assert_int_equal(custos_csr_create(&spec, &s->signer, &der, &err), CUSTOS_OK);
	const unsigned char *p = der.ptr;
	X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)der.len);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	EXTENDED_KEY_USAGE *purposes = X509V3_get_d2i(extensions, NID_ext_key_usage, NULL, NULL);
	ASN1_BIT_STRING *usage = X509V3_get_d2i(extensions, NID_key_usage, NULL, NULL);
	assert_int_equal(sk_X509_EXTENSION_num(extensions), 2);
	assert_int_equal(sk_ASN1_OBJECT_num(purposes), 1);
	assert_int_equal(OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes, 0)), NID_client_auth);
	assert_int_equal(ASN1_BIT_STRING_get_bit(usage, 0), 1);
	assert_int_equal(ASN1_BIT_STRING_get_bit(usage, 2), 0);
	ASN1_BIT_STRING_free(usage);
	EXTENDED_KEY_USAGE_free(purposes);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(request);
	assert_int_equal(custos_csr_matches(custos_buf_view(&der), &spec, &matches, &err), CUSTOS_OK);
	assert_true(matches);
	server.profile = "server";
	assert_int_equal(custos_csr_matches(custos_buf_view(&der), &server, &matches, &err), CUSTOS_OK);
	assert_false(matches);
	expect_lint_of(&server, "rsa-2048", "no_san");
	spec.flags = CUSTOS_CSR_MUST_STAPLE;
	expect_lint_of(&spec, "rsa-2048", "must_staple_for_client");
	expect_lint("", NULL, "client", "rsa-2048", "no_subject");
	expect_lint("", LIST("email:jane@example.com"), "client", "rsa-2048", NULL);
	expect_lint("CN=Jane", LIST("email:jane@localhost"), "client", "rsa-2048", "private_name");
	soft_free(s);
}

/* Must-staple and names outside ASCII, as another reader sees them; and a request is told from one that asks for something else. */
static void what_is_asked_for(void **state)
{
	(void)state;
	struct soft *s = soft_new(lab_ec(), NULL, CUSTOS_SIGNATURE_ECDSA_SHA256);
	CUSTOS_AUTO_BUF plain = { 0 }, stapled = { 0 };
	struct custos_err err = { 0 };
	struct custos_csr_spec spec = { .subject = "O=Example", .sans = LIST("dns:b\303\274cher.example", "email:a@b\303\274cher.example"), .flags = CUSTOS_CSR_MUST_STAPLE };
	assert_int_equal(custos_csr_create(&spec, &s->signer, &stapled, &err), CUSTOS_OK);
	struct custos_csr_spec without = spec;
	without.flags = CUSTOS_CSR_PRIVATE_CA; /* which the request does not say */
	assert_int_equal(custos_csr_create(&without, &s->signer, &plain, &err), CUSTOS_OK);
	const struct custos_csr_spec *specs[] = { &spec, &without };
	for (int asked = 0; asked < 2; asked++)
		for (int wanted = 0; wanted < 2; wanted++) {
			bool matches = false;
			assert_int_equal(custos_csr_matches(custos_buf_view(asked == 0 ? &stapled : &plain), specs[wanted], &matches, &err), CUSTOS_OK);
			assert_int_equal(matches, asked == wanted);
		}
	struct custos_csr_spec pss = without;
	bool matches = true;
	pss.signature = "rsa-pss";
	assert_int_equal(custos_csr_matches(custos_buf_view(&plain), &pss, &matches, &err), CUSTOS_OK);
	assert_false(matches);
	const unsigned char *p = stapled.ptr;
	X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)stapled.len);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	int at = X509v3_get_ext_by_NID(extensions, NID_tlsfeature, -1);
	assert_true(at >= 0);
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509v3_get_ext(extensions, at));
	assert_int_equal(ASN1_STRING_length(value), 5);
	assert_memory_equal(ASN1_STRING_get0_data(value), "\x30\x03\x02\x01\x05", 5);
	assert_int_equal(X509_EXTENSION_get_critical(X509v3_get_ext(extensions, at)), 0);
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	char *dns = custos_name_alt_text(sk_GENERAL_NAME_value(names, 0)), *email = custos_name_alt_text(sk_GENERAL_NAME_value(names, 1));
	assert_string_equal(dns, "dns:xn--bcher-kva.example");
	assert_string_equal(email, "email:a@xn--bcher-kva.example");
	free(dns);
	free(email);
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(request);
	soft_free(s);
}

static void bad_names(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"a.example.com", "dns:", "dns:a..example.com", "dns:.example.com", "dns:example.com.", "dns:-a.example.com", "dns:a-.example.com", "dns:a_b.example.com", "dns:a b.example.com",
		"dns:*", "dns:*.com", "dns:a.*.example.com", "dns:*a.example.com", "dns:**.example.com", "dns:B\303\234CHER.example", "dns:a\303\274\342\200\213b.example", "dns:\303\274_x.example", "dns:\342\230\203.example", "dns:\303", "dns:xn--zz--.example",
		"dns:192.0.2.1", "dns:2001:db8::1", "dns:\303\274.*.example", "email:\303\274@example.com", "uri:https://b\303\274cher.example/",
		 "dns:a.example.com\n",
		"dns:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com", "dns:https://a.example.com", "dns:a.example.com:443",
		"ip:", "ip:192.0.2", "ip:192.0.2.256", "ip:192.0.2.1/24", "ip:2001:db8::g", "ip:a.example.com", "email:", "email:a", "email:@example.com", "email:a@b@example.com", "email:a b@example.com",
		"email:a@*.example.com", "uri:", "uri:example.com", "uri:https:", "uri:https://a b", "uri:1x://a", "DNS:a.example.com", "rid:1.2.3", "",
	};
	static const char *const good[] = { "dns:A.Example.COM", "dns:xn--bcher-kva.example", "dns:*.example.com", "dns:3com.example", "ip:192.0.2.1", "dns:b\303\274cher.example", "dns:*.b\303\274cher.example",
		"email:a@b\303\274cher.example", "ip:2001:db8::1", "email:a+b@example.com", "uri:spiffe://example.com/x" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_lint("O=Example", LIST(bad[i]), "server", "rsa-2048", "bad_name");
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		expect_lint("O=Example", LIST(good[i]), "server", "rsa-2048", NULL);
	struct custos_csr_spec idn = { .subject = "O=Example", .sans = LIST("dns:B\303\234CHER.example") };
	struct custos_json *problems = NULL;
	assert_int_equal(custos_csr_lint(&idn, NULL, &problems, NULL), CUSTOS_OK);
	assert_non_null(strstr(custos_json_text(custos_json_at(problems, 0), "remedy"), "xn--"));
	custos_json_free(problems);
}

static void lint(void **state)
{
	(void)state;
	const char *const *a = LIST("dns:a.example.com");
	expect_lint("CN=a.example.com,O=Example", a, "esxi", "rsa-2048", NULL);
	expect_lint("CN=A.EXAMPLE.com", a, NULL, "ec-p256", NULL);
	expect_lint("", a, "server", NULL, NULL);
	expect_lint("CN=a.example.com", NULL, "server", "rsa-2048", "no_san");
	expect_lint("CN=a.example.com", (const char *const[]){ NULL }, "server", "rsa-2048", "no_san");
	expect_lint("CN=a.example.com", LIST("dns:a.example.com", "dns:A.example.com"), "server", "rsa-2048", "duplicate_name");
	expect_lint("O=x", LIST("ip:2001:db8::1", "ip:2001:DB8:0::1"), "server", "rsa-2048", "duplicate_name");
	expect_lint("CN=b.example.com", a, "server", "rsa-2048", "common_name_not_named");
	expect_lint("CN=a.example.com+CN=b.example.com", a, "server", "rsa-2048", "several_common_names");
	expect_lint("O=Example", a, "esxi", "rsa-2048", "no_common_name");
	expect_lint("CN=a.example.com", a, "esxi", "ec-p256", "ec_for_esxi");
	expect_lint("CN=a.example.com", a, "toaster", "rsa-2048", "unknown_profile");
	expect_lint("CN=*.example.com", LIST("dns:*.example.com"), "esxi", "rsa-2048", "wildcard_for_esxi");
	expect_lint("CN=a.example.com,", a, "server", "rsa-2048", "bad_subject");
	expect_lint("O=x", LIST("dns:b\303\274cher.example", "dns:XN--BCHER-KVA.example"), "server", "rsa-2048", "duplicate_name");
	expect_lint("CN=xn--bcher-kva.example", LIST("dns:b\303\274cher.example"), "server", "rsa-2048", NULL);
	expect_lint("CN=b\303\274cher.example", LIST("dns:b\303\274cher.example"), "server", "rsa-2048", "common_name_not_named");
	expect_lint("emailAddress=ssl-certificates@vmware.com,CN=a.example.com,OU=VMware ESX Server Default Certificate,O=VMware\\, Inc,L=Palo Alto,ST=California,C=US", a, "esxi", "rsa-2048",
	            "vmware_default_subject");
	/* what the lint calls an error is not signed */
	struct soft *s = soft_new(lab_ec(), NULL, CUSTOS_SIGNATURE_ECDSA_SHA256);
	CUSTOS_AUTO_BUF der = { 0 };
	struct custos_err err = { 0 };
	struct custos_csr_spec spec = { .subject = "CN=a.example.com", .sans = a, .profile = "esxi" };
	assert_int_equal(custos_csr_create(&spec, &s->signer, &der, &err), CUSTOS_E_INPUT);
	assert_true(err.hint[0] != '\0');
	assert_int_equal(s->calls, 0);
	soft_free(s);
}

static void expect_dn(const char *text, const char *back)
{
	X509_NAME *name = NULL;
	struct custos_err err = { 0 };
	custos_rc rc = custos_dn_parse(text, &name, &err);
	if (back == NULL) {
		if (rc != CUSTOS_E_INPUT)
			print_error("accepted: %s\n", text);
		assert_int_equal(rc, CUSTOS_E_INPUT);
		assert_true(err.msg[0] != '\0' && err.hint[0] != '\0');
		return;
	}
	assert_int_equal(rc, CUSTOS_OK);
	char *shown = custos_name_text(name);
	assert_string_equal(shown, back);
	free(shown);
	X509_NAME_free(name);
}

static void subjects(void **state)
{
	(void)state;
	expect_dn("CN=a,O=b", "CN=a,O=b");
	expect_dn(" cn = a , o = b ", "CN=a,O=b");
	expect_dn("CN=a+OU=x,O=b", "OU=x+CN=a,O=b"); /* an RDN is a set, it has no order */
	expect_dn("O=Sue\\, Grabbit and Runn,C=GB", "O=Sue\\, Grabbit and Runn,C=GB");
	expect_dn("O=\\\"q\\\"\\+\\;\\<\\>\\\\", "O=\\\"q\\\"\\+\\;\\<\\>\\\\");
	expect_dn("O=\\ two ends\\ ", "O=\\ two ends\\ ");
	expect_dn("O=\\#1", "O=\\#1");
	expect_dn("O=a#b=c", "O=a#b=c");
	expect_dn("O=M\\C3\\BCller", "O=M\xc3\xbcller");
	expect_dn("O=M\xc3\xbcller", "O=M\xc3\xbcller");
	expect_dn("O=#0c0141", "O=A");
	expect_dn("2.5.4.10=x", "O=x");
	expect_dn("DC=example,DC=com", "DC=example,DC=com");
	expect_dn("", "(no name)");
	static const char *const bad[] = {
		"a", "=a", "CN", "CN=", "CN=a,", ",CN=a", "CN=a,,O=b", "CN=a+", "XX=a", "CN=\"a\"", "CN=a;O=b", "CN=a\\", "CN=a\\x", "CN=a\\0", "CN=a\\00b", "CN=a\\0Ab", "CN=a\\7F", "O=#0c020a61", "CN=<a>", "C=DEU", "C=1\xc3", "O=#", "O=#0c",
		"O=#0c02", "O=#020101", "O=#0c0100", "O=#0c0141 x", "O=\xff", "CN=a\nb", "1.2.3.=x", "CN=  ",
		"CN=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_dn(bad[i], NULL);
	char many[400] = "OU=a";
	for (int i = 0; i < 40; i++)
		strcat(many, ",OU=a");
	expect_dn(many, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_type), cmocka_unit_test(a_signer_that_lies), cmocka_unit_test(bad_names), cmocka_unit_test(lint), cmocka_unit_test(subjects),
		cmocka_unit_test(private_names), cmocka_unit_test(what_is_wrong_with_a_name), cmocka_unit_test(ways_to_sign), cmocka_unit_test(what_is_asked_for), cmocka_unit_test(a_client),
	};
	return cmocka_run_group_tests_name("x509 csr", tests, NULL, NULL);
}

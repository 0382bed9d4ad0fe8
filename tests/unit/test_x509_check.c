/* The report: every problem a certificate can have, by its code, its severity and the words that must be in it. */
#include "x509_pki.h"

#include "data/json.h"
#include "x509/cert.h"
#include "x509/check.h"

struct fixture {
	EVP_PKEY *root_key, *ca_key, *rsa, *ec;
	X509 *root, *ca, *leaf;   /* the leaf is RSA and fit for ESXi */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->root_key = lab_ec();
	f->ca_key = lab_rsa(2048);
	f->rsa = lab_rsa(2048);
	f->ec = lab_ec();
	f->root = lab_root("Lab Root", f->root_key);
	f->ca = lab_ca("Lab CA", f->ca_key, f->root, f->root_key);
	f->leaf = lab_leaf("a.example.com", f->rsa, f->ca, f->ca_key);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	X509_free(f->root);
	X509_free(f->ca);
	X509_free(f->leaf);
	EVP_PKEY_free(f->root_key);
	EVP_PKEY_free(f->ca_key);
	EVP_PKEY_free(f->rsa);
	EVP_PKEY_free(f->ec);
	free(f);
	return 0;
}

struct input {
	struct custos_bag *bag;
	struct custos_json *report;
	struct custos_chain *chain;
};

static struct input start(void)
{
	struct input in = { 0 };
	assert_int_equal(custos_bag_new(&in.bag, NULL), CUSTOS_OK);
	return in;
}

static void add_bytes(struct input *in, const char *name, const void *data, size_t len)
{
	assert_int_equal(custos_bag_add(in->bag, name, CUSTOS_BYTES(data, len), NULL), CUSTOS_OK);
}

static void add(struct input *in, const char *name, X509 *cert)
{
	CUSTOS_AUTO_BUF pem = { 0 };
	lab_pem(&pem, cert);
	add_bytes(in, name, pem.ptr, pem.len);
}

static bool check(struct input *in, struct custos_check_options o)
{
	struct custos_err err = { 0 };
	if (o.now_unix == 0)
		o.now_unix = LAB_NOW;
	custos_json_free(in->report);
	custos_chain_free(in->chain);
	in->report = NULL;
	in->chain = NULL;
	assert_int_equal(custos_cert_check(in->bag, &o, &in->report, &in->chain, &err), CUSTOS_OK);
	const struct custos_json *problems = custos_json_get(in->report, "problems");
	bool errors = false;
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		const char *text = custos_json_text(p, "text"), *remedy = custos_json_text(p, "remedy");
		errors = errors || strcmp(custos_json_text(p, "severity"), "error") == 0;
		/* what people read: one line, no full stop, and always a way on */
		assert_true(text != NULL && strlen(text) > 5 && strchr(text, '\n') == NULL && text[strlen(text) - 1] != '.');
		assert_true(remedy != NULL && strlen(remedy) > 5 && strchr(remedy, '\n') == NULL && remedy[strlen(remedy) - 1] != '.');
	}
	bool usable = custos_json_bool(in->report, "usable", false);
	assert_int_equal(usable, !errors && in->chain->count > 0);
	assert_int_equal(custos_json_count(custos_json_get(in->report, "files")), custos_bag_count(in->bag));
	assert_int_equal(custos_json_count(custos_json_get(in->report, "chain")), in->chain->count);
	return usable;
}

static void expect(const struct input *in, const char *code, const char *severity, const char *words)
{
	const struct custos_json *problems = custos_json_get(in->report, "problems");
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		if (strcmp(custos_json_text(p, "code"), code) != 0)
			continue;
		assert_string_equal(custos_json_text(p, "severity"), severity);
		if (strstr(custos_json_text(p, "text"), words) == NULL)
			assert_string_equal(custos_json_text(p, "text"), words);
		return;
	}
	print_error("no problem %s\n", code);
	fail();
}

static void expect_count(const struct input *in, size_t count)
{
	assert_int_equal(custos_json_count(custos_json_get(in->report, "problems")), count);
}

static void stop(struct input *in)
{
	custos_bag_free(in->bag);
	custos_json_free(in->report);
	custos_chain_free(in->chain);
}

static void nothing_wrong(void **state)
{
	struct fixture *f = *state;
	struct input in = start();
	CUSTOS_AUTO_BUF spki = { 0 }, csr = { 0 }, pem = { 0 };
	struct custos_anchors *trust = NULL;
	add(&in, "leaf.pem", f->leaf);
	add(&in, "ca.pem", f->ca);
	lab_spki(&spki, f->rsa);
	lab_request(&csr, "a.example.com", "DNS:A.example.com", f->rsa);
	lab_pem(&pem, f->root);
	assert_int_equal(custos_anchors_new(&trust, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(trust, custos_buf_view(&pem), "root", NULL), CUSTOS_OK);
	assert_true(check(&in, (struct custos_check_options){ .for_profile = "esxi", .spki = custos_buf_view(&spki), .csr = custos_buf_view(&csr), .trust = trust }));
	expect_count(&in, 0);
	const struct custos_json *file = custos_json_at(custos_json_get(in.report, "files"), 0);
	assert_string_equal(custos_json_text(file, "file"), "leaf.pem");
	assert_string_equal(custos_json_text(file, "kind"), "certificate");
	assert_int_equal(custos_json_int(file, "line", 0), 1);
	assert_int_equal(strlen(custos_json_text(file, "spki_sha256")), 64);
	stop(&in);
	custos_anchors_free(trust);
}

static void bundle_in_wrong_order(void **state)
{
	struct fixture *f = *state;
	struct input in = start();
	X509 *certs[] = { f->root, f->ca, f->leaf };
	CUSTOS_AUTO_BUF p7 = { 0 }, armoured = { 0 }, der = { 0 };
	/* a SET OF in DER is sorted, so the order is forced by concatenation as well */
	lab_pkcs7(&p7, certs, 3);
	lab_armour(&armoured, "PKCS7", p7.ptr, p7.len);
	add_bytes(&in, "bundle.p7b", armoured.ptr, armoured.len);
	assert_true(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "pkcs7_converted", "fixed", "bundle.p7b:1: this is a PKCS#7 container");
	expect(&in, "root_included", "fixed", "CN=Lab Root,O=Example");
	assert_int_equal(in.chain->count, 2);
	stop(&in);
	in = start();
	lab_pem(&der, f->root);
	lab_pem(&der, f->ca);
	lab_pem(&der, f->leaf);
	add_bytes(&in, "turned.pem", der.ptr, der.len);
	assert_true(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "wrong_order", "fixed", "turned.pem: the certificates were in the wrong order; fixed");
	CUSTOS_AUTO_BUF leaf = { 0 };
	lab_der(&leaf, f->leaf);
	assert_true(custos_bytes_equal(in.chain->der[0], custos_buf_view(&leaf)));
	stop(&in);
}

static void request_instead(void **state)
{
	struct fixture *f = *state;
	struct input in = start();
	CUSTOS_AUTO_BUF csr = { 0 }, pem = { 0 };
	lab_request(&csr, "a.example.com", "DNS:a.example.com", f->rsa);
	lab_armour(&pem, "CERTIFICATE REQUEST", csr.ptr, csr.len);
	add_bytes(&in, "rui.crt", pem.ptr, pem.len);
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "request_given", "error", "rui.crt:1: this is a certificate request, neither a certificate nor a private key");
	expect(&in, "no_certificate", "error", "no certificate");
	stop(&in);
	in = start();
	add(&in, "leaf.pem", f->leaf);
	add(&in, "ca.pem", f->ca);
	add_bytes(&in, "rui.key", pem.ptr, pem.len);
	assert_true(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "request_as_key", "warning", "this is a certificate request, not a private key; the key never left the token");
	stop(&in);
}

static void private_key_lying_about(void **state)
{
	struct fixture *f = *state;
	struct input in = start();
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	assert_int_equal(PEM_write_bio_PrivateKey(bio, f->rsa, NULL, NULL, 0, NULL, NULL), 1);
	long len = BIO_get_mem_data(bio, &data);
	add(&in, "leaf.pem", f->leaf);
	add(&in, "ca.pem", f->ca);
	add_bytes(&in, "rui.key", data, (size_t)len);
	assert_true(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "private_key_given", "warning", "rui.key:1: this is an unencrypted private key");
	char *report = custos_json_pretty(in.report), line[60] = "";
	memcpy(line, data + 100, 50); /* somewhere in the middle of the key's text */
	assert_null(strstr(report, line));
	free(report);
	BIO_free(bio);
	stop(&in);
}

static void key_of_another(void **state)
{
	struct fixture *f = *state;
	struct input in = start();
	EVP_PKEY *other = lab_rsa(2048);
	CUSTOS_AUTO_BUF spki = { 0 }, ec_spki = { 0 }, csr = { 0 };
	add(&in, "leaf.pem", f->leaf);
	add(&in, "ca.pem", f->ca);
	lab_spki(&spki, other);
	lab_spki(&ec_spki, f->ec);
	assert_false(check(&in, (struct custos_check_options){ .spki = custos_buf_view(&spki) }));
	expect(&in, "other_key", "error", "the certificate belongs to another key");
	assert_false(check(&in, (struct custos_check_options){ .spki = custos_buf_view(&ec_spki) }));
	expect(&in, "other_key", "error", "it is for a key of type rsa-2048, the key is of type ec-p256");
	lab_request(&csr, "a.example.com", "DNS:a.example.com", other);
	assert_false(check(&in, (struct custos_check_options){ .csr = custos_buf_view(&csr) }));
	expect(&in, "other_key", "error", "the request is");
	/* no flag helps */
	struct custos_json *report = NULL;
	struct custos_err err = { 0 };
	struct custos_check_options o = { .now_unix = LAB_NOW, .spki = custos_buf_view(&spki), .accept = (const char *const[]){ "other_key", NULL } };
	assert_int_equal(custos_cert_check(in.bag, &o, &report, NULL, &err), CUSTOS_E_USAGE);
	EVP_PKEY_free(other);
	stop(&in);
}

static void intermediate_missing(void **state)
{
	struct fixture *f = *state;
	struct input in = start();
	add(&in, "leaf.pem", f->leaf);
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "missing_intermediate", "error", "'CN=a.example.com,O=Example' was issued by 'CN=Lab CA,O=Example'");
	assert_true(check(&in, (struct custos_check_options){ .accept = (const char *const[]){ "missing_intermediate", NULL } }));
	expect(&in, "missing_intermediate", "warning", "accepted by request");
	stop(&in);
}

/* One leaf that differs in one respect, given with its CA. */
static struct input with_leaf(const struct fixture *f, struct lab_spec s)
{
	struct input in = start();
	if (s.issuer == NULL) {
		s.issuer = f->ca;
		s.issuer_key = f->ca_key;
	}
	X509 *leaf = lab_issue(s);
	add(&in, "leaf.pem", leaf);
	add(&in, "ca.pem", f->ca);
	X509_free(leaf);
	return in;
}

static void dates(void **state)
{
	struct fixture *f = *state;
	struct input in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->ec, .from = -50, .until = -1 });
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "expired", "error", "expired on 2027-01-14T08:00:00Z");
	stop(&in);
	in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->ec, .from = 1, .until = 50 });
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "not_yet_valid", "error", "is not valid before 2027-01-16T08:00:00Z");
	stop(&in);
	X509 *old_ca = lab_issue((struct lab_spec){ .cn = "Lab CA", .ca = true, .from = -50, .until = -1, .key = f->ca_key, .issuer = f->root, .issuer_key = f->root_key });
	in = start();
	add(&in, "leaf.pem", f->leaf);
	add(&in, "ca.pem", old_ca);
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "expired", "error", "'CN=Lab CA,O=Example' expired");
	X509_free(old_ca);
	stop(&in);
}

static void signatures_and_keys(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *weak = lab_rsa(1024);
	struct input in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->rsa, .md_sha1 = true });
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "sha1_signature", "error", "SHA-1");
	stop(&in);
	in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = weak });
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "weak_rsa", "error", "1024 bits");
	stop(&in);
	in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->rsa, .pss = true });
	assert_true(check(&in, (struct custos_check_options){ 0 }));
	assert_false(check(&in, (struct custos_check_options){ .for_profile = "esxi" }));
	expect(&in, "pss_for_esxi", "error", "RSASSA-PSS");
	stop(&in);
	in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->ec });
	assert_true(check(&in, (struct custos_check_options){ .for_profile = "server" }));
	assert_false(check(&in, (struct custos_check_options){ .for_profile = "esxi" }));
	expect(&in, "ec_for_esxi", "error", "ec-p256; ESXi supports RSA only");
	assert_true(check(&in, (struct custos_check_options){ .for_profile = "esxi", .accept = (const char *const[]){ "ec_for_esxi", NULL } }));
	stop(&in);
	EVP_PKEY_free(weak);
}

static void names(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF csr = { 0 };
	struct input in = with_leaf(f, (struct lab_spec){ .cn = "a.example.com", .key = f->rsa });
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "no_san", "error", "names no host");
	stop(&in);
	lab_request(&csr, "a.example.com", "DNS:a.example.com,DNS:b.example.com,IP:192.0.2.1", f->rsa);
	in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com,IP:192.0.2.2", .key = f->rsa });
	assert_false(check(&in, (struct custos_check_options){ .csr = custos_buf_view(&csr) }));
	expect(&in, "san_missing", "error", ": dns:b.example.com, ip:192.0.2.1");
	stop(&in);
	in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:*.example.com,IP:192.0.2.1", .key = f->rsa });
	assert_true(check(&in, (struct custos_check_options){ .csr = custos_buf_view(&csr) }));
	expect(&in, "names_added", "warning", "the request did not ask for: dns:*.example.com");
	expect_count(&in, 1);
	assert_true(check(&in, (struct custos_check_options){ .for_profile = "esxi" }));
	expect(&in, "wildcard_for_esxi", "warning", "*.example.com");
	stop(&in);
	/* a CA that certifies only the wildcard when the request asked for one */
	custos_buf_done(&csr);
	lab_request(&csr, "w", "DNS:*.example.com", f->rsa);
	in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->rsa });
	assert_false(check(&in, (struct custos_check_options){ .csr = custos_buf_view(&csr) }));
	expect(&in, "san_missing", "error", "dns:*.example.com");
	stop(&in);
}

static void embedded_nul(void **state)
{
	struct fixture *f = *state;
	struct input in = with_leaf(f, (struct lab_spec){ .cn = "a", .key = f->rsa, .sans = "DNS:a.example.comX.evil.example" });
	CUSTOS_AUTO_BUF der = { 0 };
	lab_der(&der, custos_bag_at(in.bag, 0)->cert);
	uint8_t *x = memmem(der.ptr, der.len, "comX.evil", 9);
	assert_non_null(x);
	x[3] = 0; /* the signature breaks, too: what matters is that the name is not cut at the NUL */
	struct input damaged = start();
	add_bytes(&damaged, "nul.der", der.ptr, der.len);
	assert_false(check(&damaged, (struct custos_check_options){ 0 }));
	expect(&damaged, "hostile_name", "error", "a.example.com\\x00.evil.example");
	assert_false(custos_cert_covers(custos_buf_view(&der), "a.example.com"));
	stop(&damaged);
	stop(&in);
}

static void purpose_and_trust(void **state)
{
	struct fixture *f = *state;
	struct custos_anchors *trust = NULL, *other = NULL;
	CUSTOS_AUTO_BUF pem = { 0 }, self_pem = { 0 };
	struct input in = with_leaf(f, (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .purpose = "clientAuth", .key = f->rsa });
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "no_server_auth", "error", "not meant for a TLS server");
	stop(&in);
	X509 *self = lab_issue((struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .ca = true, .usage = "digitalSignature,keyCertSign", .key = f->rsa });
	in = start();
	add(&in, "self.pem", self);
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "self_signed", "error", "self-signed");
	lab_pem(&self_pem, self);
	assert_int_equal(custos_anchors_new(&trust, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(trust, custos_buf_view(&self_pem), "self", NULL), CUSTOS_OK);
	assert_true(check(&in, (struct custos_check_options){ .trust = trust }));
	expect(&in, "self_signed", "warning", "one of the trust anchors");
	stop(&in);
	in = start();
	add(&in, "leaf.pem", f->leaf);
	add(&in, "ca.pem", f->ca);
	add(&in, "root.pem", f->root);
	assert_false(check(&in, (struct custos_check_options){ .trust = trust }));
	expect(&in, "untrusted_root", "error", "'CN=Lab Root,O=Example', which is not trusted");
	assert_true(check(&in, (struct custos_check_options){ .trust = trust, .accept = (const char *const[]){ "untrusted_root", NULL } }));
	/* a path that looks whole, and that a client refuses: the intermediate may sign nothing but lists */
	EVP_PKEY *key = lab_ec();
	X509 *limited = lab_issue((struct lab_spec){ .cn = "Limited", .ca = true, .purpose = "clientAuth", .key = key, .issuer = f->root, .issuer_key = f->root_key });
	X509 *leaf = lab_leaf("b.example.com", f->rsa, limited, key);
	struct input refused = start();
	add(&refused, "leaf.pem", leaf);
	add(&refused, "limited.pem", limited);
	lab_pem(&pem, f->root);
	assert_int_equal(custos_anchors_new(&other, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(other, custos_buf_view(&pem), "root", NULL), CUSTOS_OK);
	assert_false(check(&refused, (struct custos_check_options){ .trust = other }));
	expect(&refused, "client_refuses", "error", "a client with these trust anchors refuses the chain: 'CN=Limited,O=Example'");
	stop(&refused);
	stop(&in);
	X509_free(self);
	X509_free(limited);
	X509_free(leaf);
	EVP_PKEY_free(key);
	custos_anchors_free(trust);
	custos_anchors_free(other);
}

static void nothing_of_use(void **state)
{
	struct fixture *f = *state;
	struct input in = start();
	add_bytes(&in, "certs.zip", "PK\x03\x04", 4);
	add_bytes(&in, "empty.crt", "", 0);
	add_bytes(&in, "notes.txt", "hello", 5);
	add_bytes(&in, "cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA", 32);
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "no_certificate", "error", "no certificate");
	expect(&in, "archive_damaged", "error", "certs.zip: this is a damaged zip archive");
	expect(&in, "damaged", "error", "cut.pem:1: this is a truncated PEM block");
	stop(&in);
	in = start();
	add(&in, "ca.pem", f->ca);
	assert_false(check(&in, (struct custos_check_options){ 0 }));
	expect(&in, "no_server_certificate", "error", "only certificates of certification authorities");
	stop(&in);
	in = start();
	struct custos_json *report = NULL;
	assert_int_equal(custos_cert_check(in.bag, &(struct custos_check_options){ .for_profile = "toaster", .now_unix = LAB_NOW }, &report, NULL, NULL), CUSTOS_E_USAGE);
	stop(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_wrong), cmocka_unit_test(bundle_in_wrong_order), cmocka_unit_test(request_instead), cmocka_unit_test(private_key_lying_about),
		cmocka_unit_test(key_of_another), cmocka_unit_test(intermediate_missing), cmocka_unit_test(dates), cmocka_unit_test(signatures_and_keys),
		cmocka_unit_test(names), cmocka_unit_test(embedded_nul), cmocka_unit_test(purpose_and_trust), cmocka_unit_test(nothing_of_use),
	};
	return cmocka_run_group_tests_name("x509 check", tests, setup, teardown);
}

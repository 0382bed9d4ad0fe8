/* What a person writes down, and what is taken over from a certificate there is: exactly that, or a refusal that names the place. */
#include "x509_pki.h"

#include "data/json.h"
#include "x509/like.h"
#include "x509/template.h"

static custos_rc read_template(const char *text, struct custos_csr_template *template, struct custos_err *err)
{
	*err = (struct custos_err){ 0 };
	return custos_csr_template_read(CUSTOS_BYTES_STR(text), "host.yaml", template, err);
}

static void a_template_says_what_it_says(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_csr_template_done) struct custos_csr_template all = { 0 }, some = { 0 };
	struct custos_err err;
	assert_int_equal(read_template("subject: CN=a.example.com\nsan: [\"dns:a.example.com\", \"ip:192.0.2.1\"]\nprofile: server\nsignature: rsa-pss\nmust_staple: yes\nprivate_ca: yes\n", &all, &err), CUSTOS_OK);
	assert_string_equal(all.spec.subject, "CN=a.example.com");
	assert_string_equal(all.spec.sans[1], "ip:192.0.2.1");
	assert_null(all.spec.sans[2]);
	assert_string_equal(all.spec.profile, "server");
	assert_string_equal(all.spec.signature, "rsa-pss");
	assert_int_equal(all.spec.flags, CUSTOS_CSR_MUST_STAPLE | CUSTOS_CSR_PRIVATE_CA);
	assert_int_equal(read_template("san: \"dns:a.example.com\"\nmust_staple: no\n", &some, &err), CUSTOS_OK);
	assert_null(some.spec.subject);
	assert_null(some.spec.profile);
	assert_null(some.spec.signature);
	assert_string_equal(some.spec.sans[0], "dns:a.example.com");
	assert_int_equal(some.spec.flags, 0);
}

static void what_is_no_template(void **state)
{
	(void)state;
	static const struct {
		const char *text, *line;
	} bad[] = {
		{ "", "host.yaml:1:" },
		{ "- san: \"dns:a\"\n", "host.yaml:1:" },
		{ "san: x\nsans: x\n", "host.yaml:2:" },
		{ "subject: CN=a\nsubject: CN=b\n", "host.yaml:2:" },
		{ "subject:\n  CN: a\n", "host.yaml:2:" },
		{ "\nprofile: toaster\n", "host.yaml:2:" },
		{ "\nsignature: md5\n", "host.yaml:2:" },
		{ "\n\nmust_staple: maybe\n", "host.yaml:3:" },
		{ "private_ca: 1\n", "host.yaml:1:" },
		{ "san: [x, [y]]\n", "host.yaml:1:" },
		{ "san: &a x\n", "host.yaml:1:" },
		{ "san: x\n---\nsan: y\n", "host.yaml:2:" },
		{ "name: a\n", "host.yaml:1:" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CUSTOS_CLEANUP(custos_csr_template_done) struct custos_csr_template template = { 0 };
		struct custos_err err;
		assert_int_equal(read_template(bad[i].text, &template, &err), CUSTOS_E_INPUT);
		if (strncmp(err.msg, bad[i].line, strlen(bad[i].line)) != 0)
			print_error("%zu: %s\n", i, err.msg);
		assert_int_equal(strncmp(err.msg, bad[i].line, strlen(bad[i].line)), 0);
		assert_null(template.root);
	}
}

static void fields_fall_back(void **state)
{
	(void)state;
	static const struct custos_csr_spec otherwise = { .subject = "O=Example", .profile = "esxi", .signature = "default", .flags = CUSTOS_CSR_MUST_STAPLE | CUSTOS_CSR_PRIVATE_CA };
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	struct custos_csr_spec spec = { .sans = NULL };
	struct custos_err err = { 0 };
	assert_int_equal(custos_yaml_parse(CUSTOS_BYTES_STR("name: a\nprofile: server\nmust_staple: no\nsubject: \"\"\n"), "x", &root, &err), CUSTOS_OK);
	assert_int_equal(custos_csr_read_fields(root, &otherwise, &spec, &err), CUSTOS_OK);
	assert_string_equal(spec.subject, "");
	assert_string_equal(spec.profile, "server");
	assert_string_equal(spec.signature, "default");
	assert_int_equal(spec.flags, CUSTOS_CSR_PRIVATE_CA);
}

static void add(X509 *cert, int nid, const char *value, EVP_PKEY *key)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
}

static bool has_problem(const struct custos_json *problems, const char *code)
{
	for (size_t i = 0; i < custos_json_count(problems); i++)
		if (strcmp(custos_json_text(custos_json_at(problems, i), "code"), code) == 0)
			return true;
	return false;
}

static custos_rc like(X509 *cert, struct custos_csr_like *ret, struct custos_json **ret_problems, struct custos_err *err)
{
	CUSTOS_AUTO_BUF der = { 0 };
	lab_der(&der, cert);
	*err = (struct custos_err){ 0 };
	return custos_csr_like(custos_buf_view(&der), ret, ret_problems, err);
}

static void a_certificate_is_copied(void **state)
{
	(void)state;
	EVP_PKEY *key = lab_ec();
	X509 *cert = lab_issue((struct lab_spec){ .cn = "a.example.com", .sans = "DNS:A.example.com,DNS:a.example.com,IP:192.0.2.1,IP:2001:db8::1,email:a@example.com,URI:https://a.example.com/", .purpose = "serverAuth",
	                                          .usage = "critical,digitalSignature,keyEncipherment", .key = key });
	CUSTOS_CLEANUP(custos_csr_like_done) struct custos_csr_like got = { 0 };
	CUSTOS_AUTO(custos_json) *problems = NULL;
	struct custos_err err;
	assert_int_equal(like(cert, &got, &problems, &err), CUSTOS_OK);
	assert_string_equal(got.subject, "CN=a.example.com,O=Example");
	static const char *const want[] = { "dns:A.example.com", "ip:192.0.2.1", "ip:2001:db8::1", "email:a@example.com", "uri:https://a.example.com/" };
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		assert_string_equal(got.sans[i], want[i]);
	assert_null(got.sans[5]); /* and not the second one of the same name */
	assert_int_equal(custos_json_count(problems), 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void what_is_not_copied_is_said(void **state)
{
	(void)state;
	EVP_PKEY *key = lab_ec();
	X509 *cert = lab_issue((struct lab_spec){ .cn = "a.example.com", .sans = "DNS:a.example.com,RID:1.2.3.4,otherName:1.2.3.4;UTF8:x", .purpose = "serverAuth,clientAuth", .usage = "digitalSignature,keyAgreement", .key = key });
	add(cert, NID_tlsfeature, "status_request", key);
	add(cert, NID_netscape_comment, "made by hand", key);
	CUSTOS_CLEANUP(custos_csr_like_done) struct custos_csr_like got = { 0 };
	CUSTOS_AUTO(custos_json) *problems = NULL;
	struct custos_err err;
	assert_int_equal(like(cert, &got, &problems, &err), CUSTOS_OK);
	assert_string_equal(got.sans[0], "dns:a.example.com");
	assert_null(got.sans[1]);
	static const char *const codes[] = { "name_not_copied", "usage_not_copied", "purpose_not_copied", "must_staple_not_copied", "extension_not_copied" };
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		assert_true(has_problem(problems, codes[i]));
	assert_int_equal(custos_json_count(problems), 6);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* A name that would be read as another one when it is written as text, or could not be written. */
static void what_cannot_be_copied(void **state)
{
	(void)state;
	EVP_PKEY *key = lab_ec();
	struct custos_err err;
	static const struct {
		int type;
		const char *bytes;
		int len;
	} bad[] = { { V_ASN1_UTF8STRING, "a\0b", 3 }, { V_ASN1_UTF8STRING, "a\nb", 3 }, { V_ASN1_UTF8STRING, "a\xe2\x80\xae", 4 } };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CUSTOS_CLEANUP(custos_csr_like_done) struct custos_csr_like got = { 0 };
		CUSTOS_AUTO(custos_json) *problems = NULL;
		X509 *cert = lab_issue((struct lab_spec){ .cn = "a.example.com", .sans = "DNS:a.example.com", .key = key });
		X509_NAME *name = X509_NAME_new();
		assert_int_equal(X509_NAME_add_entry_by_NID(name, NID_organizationName, bad[i].type, (const unsigned char *)bad[i].bytes, bad[i].len, -1, 0), 1);
		assert_int_equal(X509_set_subject_name(cert, name), 1);
		assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
		assert_int_equal(like(cert, &got, &problems, &err), CUSTOS_E_INPUT);
		assert_non_null(strstr(err.hint, "--subject"));
		X509_NAME_free(name);
		X509_free(cert);
	}
	CUSTOS_CLEANUP(custos_csr_like_done) struct custos_csr_like got = { 0 };
	CUSTOS_AUTO(custos_json) *problems = NULL;
	assert_int_equal(custos_csr_like(CUSTOS_BYTES_STR("no certificate"), &got, &problems, &err), CUSTOS_E_INPUT);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_says_what_it_says), cmocka_unit_test(what_is_no_template), cmocka_unit_test(fields_fall_back), cmocka_unit_test(a_certificate_is_copied),
		cmocka_unit_test(what_is_not_copied_is_said), cmocka_unit_test(what_cannot_be_copied),
	};
	return cmocka_run_group_tests_name("x509 template", tests, NULL, NULL);
}

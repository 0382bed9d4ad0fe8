/* The table of natures: each has a row that says everything, and an input that leads to it; what the report says of that input is what the row says. */
#include "x509_archive.h"

#include "data/json.h"
#include "memory/secret.h"
#include "x509/check.h"
#include "x509/nature.h"

#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	EVP_PKEY *root_key, *leaf_key;
	X509 *root, *leaf;
	bool met[CUSTOS_NATURE_COUNT];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(custos_secret_start(NULL), CUSTOS_OK);
	f->root_key = lab_ec();
	f->leaf_key = lab_ec();
	f->root = lab_root("Lab Root", f->root_key);
	f->leaf = lab_leaf("a.example.com", f->leaf_key, f->root, f->root_key);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	X509_free(f->root);
	X509_free(f->leaf);
	EVP_PKEY_free(f->root_key);
	EVP_PKEY_free(f->leaf_key);
	free(f);
	return 0;
}

static bool is_line(const char *text)
{
	size_t len = strlen(text);
	return len > 3 && strchr(text, '\n') == NULL && text[len - 1] != '.' && text[len - 1] != ' ' && !isspace((unsigned char)text[0]) && strstr(text, "  ") == NULL;
}

static void every_row_says_everything(void **state)
{
	(void)state;
	for (enum custos_nature n = CUSTOS_NATURE_NONE; n < CUSTOS_NATURE_COUNT; n++) {
		const struct custos_nature_row *row = custos_nature_row(n);
		if (row->words == NULL || row->kind == 0)
			print_error("nature %d has no row\n", (int)n);
		assert_true(row->words != NULL && is_line(row->words));
		assert_true(row->kind >= CUSTOS_ITEM_UNKNOWN && row->kind <= CUSTOS_ITEM_CRL);
		bool told = row->code != NULL;
		/* nothing is wrong with a certificate, nor with the parameters that stand before a key */
		assert_int_equal(told, n != CUSTOS_NATURE_NONE && n != CUSTOS_NATURE_CERTIFICATE && n != CUSTOS_NATURE_KEY_PARAMETERS);
		assert_true(told == (row->text != NULL) && told == (row->remedy != NULL) && told == (row->weight != 0));
		if (!told)
			continue;
		assert_true(is_line(row->text) && strncmp(row->text, "this ", 5) == 0 && is_line(row->remedy));
		assert_int_equal(strspn(row->code, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(row->code));
	}
	assert_ptr_equal(custos_nature_row(CUSTOS_NATURE_COUNT), custos_nature_row(CUSTOS_NATURE_NONE));
	assert_ptr_equal(custos_nature_row((enum custos_nature)-1), custos_nature_row(CUSTOS_NATURE_NONE));
}

/* Who reads words must be able to tell natures apart, and who reads codes must find one weight behind each. */
static void words_and_codes_are_told_apart(void **state)
{
	(void)state;
	for (enum custos_nature a = CUSTOS_NATURE_NONE; a < CUSTOS_NATURE_COUNT; a++)
		for (enum custos_nature b = a + 1; b < CUSTOS_NATURE_COUNT; b++) {
			const struct custos_nature_row *one = custos_nature_row(a), *other = custos_nature_row(b);
			/* the same thing, in armour and without */
			bool may = a == CUSTOS_NATURE_BLOCK_OVERSIZED && b == CUSTOS_NATURE_OVERSIZED;
			assert_int_equal(strcmp(one->words, other->words) == 0, may);
			if (one->code != NULL && other->code != NULL && strcmp(one->code, other->code) == 0)
				assert_int_equal(one->weight, other->weight);
		}
	for (enum custos_nature n = CUSTOS_NATURE_KEY; n < CUSTOS_NATURE_KEY_PARAMETERS; n++) {
		assert_int_equal(custos_nature_row(n)->kind, CUSTOS_ITEM_PRIVATE_KEY);
		assert_string_equal(custos_nature_row(n)->code, "private_key_given");
		assert_int_equal(custos_nature_row(n)->weight, CUSTOS_WEIGHT_ASIDE); /* a key is never the reason why there is no certificate */
	}
}

static const char *severity(enum custos_weight weight, bool alone)
{
	if (weight == CUSTOS_WEIGHT_FIXED)
		return "fixed";
	return weight == CUSTOS_WEIGHT_ANSWER && alone ? "error" : "warning";
}

/* What the report says of the item is what its row says; of what has no problem it says nothing. */
static void expect_told(const struct custos_bag *bag, const struct custos_bag_item *item, bool alone)
{
	const struct custos_nature_row *row = custos_nature_row(item->nature);
	struct custos_check_options o = { .now_unix = LAB_NOW };
	struct custos_json *report = NULL;
	struct custos_chain *chain = NULL;
	char place[300], text[600];
	size_t told = 0;
	snprintf(place, sizeof place, item->line > 0 ? "%.200s:%u: " : "%.200s: ", item->file, item->line);
	snprintf(text, sizeof text, "%s%s", place, row->text == NULL ? "" : row->text);
	assert_int_equal(custos_cert_check(bag, &o, &report, &chain, NULL), CUSTOS_OK);
	const struct custos_json *problems = custos_json_get(report, "problems");
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		if (row->code == NULL) {
			assert_int_not_equal(strncmp(custos_json_text(p, "text"), place, strlen(place)), 0);
			continue;
		}
		if (strcmp(custos_json_text(p, "text"), text) != 0)
			continue;
		assert_string_equal(custos_json_text(p, "code"), row->code);
		assert_string_equal(custos_json_text(p, "severity"), severity(row->weight, alone));
		if (item->nature == CUSTOS_NATURE_REQUEST && alone)
			assert_string_equal(custos_json_text(p, "remedy"), "send the request to the CA and give the certificate that comes back");
		else
			assert_string_equal(custos_json_text(p, "remedy"), row->remedy);
		told++;
	}
	if (told != (row->code != NULL))
		print_error("'%s' was told %zu times\n", text, told);
	assert_int_equal(told, row->code != NULL);
	custos_json_free(report);
	custos_chain_free(chain);
}

static void expect_nature(struct fixture *f, const struct custos_bag *bag, enum custos_nature nature, bool alone)
{
	const struct custos_bag_item *item = NULL;
	for (size_t i = 0; i < custos_bag_count(bag) && item == NULL; i++)
		item = custos_bag_at(bag, i)->nature == nature ? custos_bag_at(bag, i) : NULL;
	if (item == NULL)
		print_error("no '%s', but '%s'\n", custos_nature_row(nature)->words, custos_bag_at(bag, 0)->what);
	assert_non_null(item);
	assert_ptr_equal(item->what, custos_nature_row(nature)->words);
	assert_int_equal(item->kind, custos_nature_row(nature)->kind);
	expect_told(bag, item, alone);
	f->met[nature] = true;
}

/* As it is, and beside a certificate, where it is beside the point. */
static void meet(struct fixture *f, enum custos_nature nature, const void *bytes, size_t len)
{
	CUSTOS_AUTO_BUF leaf = { 0 };
	struct custos_bag *bag = NULL;
	lab_pem(&leaf, f->leaf);
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "in", CUSTOS_BYTES(bytes, len), NULL), CUSTOS_OK);
	expect_nature(f, bag, nature, custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE) == 0);
	assert_int_equal(custos_bag_add(bag, "leaf.pem", custos_buf_view(&leaf), NULL), CUSTOS_OK);
	expect_nature(f, bag, nature, false);
	custos_bag_free(bag);
}

static void meet_buf(struct fixture *f, enum custos_nature nature, const struct custos_buf *b)
{
	meet(f, nature, b->ptr, b->len);
}

static void meet_what_begins_so(struct fixture *f)
{
	static const char nothing[26];
	static const struct {
		const char *begins;
		size_t len;
		enum custos_nature nature;
	} made[] = {
#define MADE(nature, bytes) { bytes, sizeof(bytes) - 1, CUSTOS_NATURE_##nature }
#define BLOCK(nature, label, body) MADE(nature, "-----BEGIN " label "-----\n" body "\n-----END " label "-----\n")
		BLOCK(KEY, "PRIVATE KEY", "AAAA"), BLOCK(KEY_ENCRYPTED, "ENCRYPTED PRIVATE KEY", "AAAA"), BLOCK(KEY_RSA, "RSA PRIVATE KEY", "AAAA"),
		BLOCK(KEY_RSA_ENCRYPTED, "RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nAAAA"), BLOCK(KEY_EC, "EC PRIVATE KEY", "AAAA"),
		BLOCK(KEY_EC_ENCRYPTED, "EC PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nAAAA"), BLOCK(KEY_OPENSSH, "OPENSSH PRIVATE KEY", "AAAA"),
		BLOCK(KEY_PGP, "PGP PRIVATE KEY BLOCK", "\nAAAA"), MADE(KEY_TRUNCATED, "-----BEGIN PRIVATE KEY-----\nAAAA\n"),
		MADE(KEY_SSH, "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n"), MADE(KEY_PUTTY, "PuTTY-User-Key-File-3: ssh-ed25519\n"),
		BLOCK(KEY_PARAMETERS, "EC PARAMETERS", "BggqhkjOPQMBBw=="), MADE(PUBLIC_KEY_RSA, "\x30\x06\x02\x01\x05\x02\x01\x03"),
		MADE(GZIP, "\x1f\x8b\x08"), MADE(BZIP2, "BZh9"), MADE(XZ, "\xfd" "7zXZ"), MADE(ZSTD, "\x28\xb5\x2f\xfd"), MADE(7Z, "7z\xbc\xaf"), MADE(RAR, "Rar!\x1a\x07"),
		MADE(CABINET, "MSCF"), MADE(ZIP_DAMAGED, "PK\x03\x04rest"), MADE(ZIP_EMPTY, "PK\x05\x06"), MADE(EMPTY, ""), MADE(EMPTY, " \n"),
		MADE(PDF, "%PDF-1.7"), MADE(RICH_TEXT, "{\\rtf1"), MADE(OFFICE_OLD, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), MADE(MESSAGE, "Received: from a.example.com\n\nhello"),
		MADE(PICTURE, "\x89PNG\r\n\x1a\n"), MADE(PICTURE, "GIF89a"), MADE(WEB_PAGE, "<!doctype html>"), MADE(JAVA_KEYSTORE, "\xfe\xed\xfe\xed"), MADE(KEYCHAIN, "kych"),
		MADE(OCSP, "\x30\x03\x0a\x01\x06"), BLOCK(OCSP, "OCSP RESPONSE", "MAMKAQY="), BLOCK(PGP, "PGP MESSAGE", "\nAAAA"), MADE(SSH_PUBLIC_KEY, "ssh-ed25519 AAAA a@example.com\n"),
		BLOCK(BLOCK_QUOTED, "CERTIFICATE", "MIIB\nAA=3D=3D"), BLOCK(BLOCK_NOT_BASE64, "CERTIFICATE", "AAAA*AAA"), BLOCK(BLOCK_UNKNOWN, "CERTIFICATE", "AAAAAAAA"),
		MADE(BLOCK_TRUNCATED, "-----BEGIN CERTIFICATE-----\nAAAA\n"), MADE(BEGIN_ALTERED, "-- Begin Certificate --\nMIIB\n"),
		MADE(DER_DAMAGED, "\x30\x82\x01\x00\x01"), MADE(STRAY_BYTES, "\x30\x03\x0a\x01\x06stray"), MADE(TEXT, "hello\n"), MADE(TEXT_UTF16, "\xff\xfeh\0i\0"),
		MADE(BINARY, "\x01\x02\x03"), MADE(PKCS12_DAMAGED, "\x30\x05\x02\x01\x03\x30\x00"),
	}, documents[] = {
		MADE(OFFICE, "[Content_Types].xml"), MADE(LIBREOFFICE, "mimetypeapplication/vnd.oasis.opendocument.text"),
	};
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		meet(f, made[i].nature, made[i].begins, made[i].len);
	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		CUSTOS_AUTO_BUF zip = { 0 };
		assert_int_equal(custos_buf_append(&zip, "PK\x03\x04", 4, NULL), CUSTOS_OK);
		assert_int_equal(custos_buf_append(&zip, nothing, sizeof nothing, NULL), CUSTOS_OK);
		assert_int_equal(custos_buf_append(&zip, documents[i].begins, documents[i].len, NULL), CUSTOS_OK);
		meet_buf(f, documents[i].nature, &zip);
	}
	char tar[512] = "leaf.pem";
	memcpy(tar + 257, "ustar", 5);
	meet(f, CUSTOS_NATURE_TAR, tar, sizeof tar);
}

static void meet_what_a_ca_knows(struct fixture *f)
{
	X509 *certs[] = { f->leaf };
	CUSTOS_AUTO_BUF cert = { 0 }, request = { 0 }, spki = { 0 }, p7 = { 0 }, none = { 0 };
	lab_der(&cert, f->leaf);
	lab_request(&request, "a.example.com", "DNS:a.example.com", f->leaf_key);
	lab_spki(&spki, f->leaf_key);
	lab_pkcs7(&p7, certs, 1);
	lab_pkcs7(&none, certs, 0);
	meet_buf(f, CUSTOS_NATURE_REQUEST, &request);
	meet_buf(f, CUSTOS_NATURE_PUBLIC_KEY, &spki);
	meet_buf(f, CUSTOS_NATURE_PKCS7, &p7);
	meet_buf(f, CUSTOS_NATURE_PKCS7_EMPTY, &none);

	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = ASN1_TIME_set(NULL, LAB_NOW);
	unsigned char *der = NULL;
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(f->root));
	X509_CRL_set1_lastUpdate(crl, now);
	assert_true(X509_CRL_sign(crl, f->root_key, EVP_sha256()) > 0);
	int len = i2d_X509_CRL(crl, &der);
	assert_true(len > 0);
	meet(f, CUSTOS_NATURE_CRL, der, (size_t)len);
	OPENSSL_free(der);
	ASN1_TIME_free(now);
	X509_CRL_free(crl);

	/* shaped like a certificate: two sequences and a bit string of more than half a MiB */
	enum { SIZE = 0x90000 };
	static const uint8_t outer[] = { 0x30, 0x83, 0x09, 0x00, 0x09, 0x30, 0x00, 0x30, 0x00, 0x03, 0x83, 0x09, 0x00, 0x00 };
	CUSTOS_AUTO_BUF armoured = { 0 };
	uint8_t *large = calloc(1, sizeof outer + SIZE);
	memcpy(large, outer, sizeof outer);
	lab_armour(&armoured, "CERTIFICATE", large, sizeof outer + SIZE);
	meet(f, CUSTOS_NATURE_OVERSIZED, large, sizeof outer + SIZE);
	meet_buf(f, CUSTOS_NATURE_BLOCK_OVERSIZED, &armoured);
	free(large);
}

/* What is changed in the packed bytes, all of the same length. */
static void change(struct custos_buf *b, const void *from, const void *to, size_t len)
{
	uint8_t *at = memmem(b->ptr, b->len, from, len);
	assert_non_null(at);
	memcpy(at, to, len);
}

static void meet_p12(struct fixture *f)
{
	CUSTOS_AUTO_BUF open = { 0 }, empty = { 0 }, locked = { 0 }, outdated = { 0 }, costly = { 0 }, damaged = { 0 }, der = { 0 };
	struct lab_p12 spec = { .pass_phrase = "", .cert = f->leaf, .iterations = 1, .mac_iterations = -1 };
	lab_p12(&open, &spec);
	meet_buf(f, CUSTOS_NATURE_PKCS12, &open);
	lab_p12(&empty, &(struct lab_p12){ .pass_phrase = "", .key = f->leaf_key, .iterations = 1, .mac_iterations = -1 });
	meet_buf(f, CUSTOS_NATURE_PKCS12_EMPTY, &empty);
	spec.pass_phrase = "x";
	lab_p12(&locked, &spec);
	meet_buf(f, CUSTOS_NATURE_PKCS12_LOCKED, &locked);
	spec.pass_phrase = "";
	spec.iterations = 0x010203; /* becomes 0x7f0203 */
	lab_p12(&costly, &spec);
	change(&costly, "\x02\x03\x01\x02\x03", "\x02\x03\x7f\x02\x03", 5);
	meet_buf(f, CUSTOS_NATURE_PKCS12_COSTLY, &costly);
	spec.iterations = 1;
	spec.cert_nid = NID_pbe_WithSHA1And3_Key_TripleDES_CBC; /* becomes RC2 with 40 bits (RFC 7292 appendix C) */
	lab_p12(&outdated, &spec);
	change(&outdated, "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03", "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x06", 10);
	meet_buf(f, CUSTOS_NATURE_PKCS12_OUTDATED, &outdated);
	spec.cert_nid = -1;
	lab_p12(&damaged, &spec);
	lab_der(&der, f->leaf);
	uint8_t *cert = memmem(damaged.ptr, damaged.len, der.ptr, der.len);
	assert_non_null(cert);
	*cert = 0x31;
	meet_buf(f, CUSTOS_NATURE_CERTIFICATE_DAMAGED, &damaged);
}

struct entry {
	const char *options, *pass_phrase, *name, *content;
	size_t len;
	unsigned type;
};

static void pack(struct custos_buf *zip, struct entry e)
{
	struct lab_zip z = lab_zip_begin(e.options, e.pass_phrase);
	lab_zip_open(&z);
	lab_zip_entry(&z, e.name, e.type == 0 ? AE_IFREG : e.type, e.content, e.len);
	lab_zip_end(&z, zip);
}

static void meet_archives(struct fixture *f)
{
	static const char text[] = "many words of text, many words of text, many words of text", store[] = "zip:compression=store";
	CUSTOS_AUTO_BUF encrypted = { 0 }, leads = { 0 }, link = { 0 }, zip = { 0 }, nested = { 0 };
	pack(&encrypted, (struct entry){ "zip:encryption=zipcrypt", "secret", "a.txt", text, sizeof text - 1, 0 });
	meet_buf(f, CUSTOS_NATURE_ENTRY_ENCRYPTED, &encrypted);
	pack(&leads, (struct entry){ NULL, NULL, "../a.txt", text, sizeof text - 1, 0 });
	meet_buf(f, CUSTOS_NATURE_ENTRY_LEADS_OUT, &leads);
	pack(&link, (struct entry){ NULL, NULL, "a.txt", "/etc/passwd", 11, AE_IFLNK });
	meet_buf(f, CUSTOS_NATURE_ENTRY_LINK, &link);
	pack(&zip, (struct entry){ store, NULL, "a.txt", text, sizeof text - 1, 0 });
	pack(&nested, (struct entry){ store, NULL, "a.zip", (const char *)zip.ptr, zip.len, 0 });
	meet_buf(f, CUSTOS_NATURE_ZIP_NESTED, &nested);

	uint8_t *directory = memmem(zip.ptr, zip.len, "PK\x01\x02", 4), *content = memmem(zip.ptr, zip.len, text, sizeof text - 1);
	assert_true(directory != NULL && content != NULL);
	*content ^= 1; /* its checksum is another now */
	meet_buf(f, CUSTOS_NATURE_ENTRY_DAMAGED, &zip);
	*content ^= 1;
	zip.ptr[8] = directory[10] = 14; /* LZMA */
	meet_buf(f, CUSTOS_NATURE_ENTRY_PACKING, &zip);
	zip.ptr[8] = directory[10] = 0;
	const uint16_t device = S_IFCHR | 0600;
	memcpy(directory + 40, &device, sizeof device); /* the mode, by whoever made the archive under Unix */
	meet_buf(f, CUSTOS_NATURE_ENTRY_NO_FILE, &zip);
}

static void meet_directory(struct fixture *f, const char *path, const enum custos_nature *natures, size_t count)
{
	struct custos_bag *bag = NULL;
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add_file(bag, path, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_count(bag), count);
	for (size_t i = 0; i < count; i++)
		expect_nature(f, bag, natures[i], true);
	custos_bag_free(bag);
}

static void meet_directories(struct fixture *f)
{
	char path[] = "/tmp/custos-nature-XXXXXX";
	assert_non_null(mkdtemp(path));
	CUSTOS_AUTO_FD dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	meet_directory(f, path, (const enum custos_nature[]){ CUSTOS_NATURE_DIRECTORY_EMPTY }, 1);
	assert_int_equal(mkdirat(dir, "a", 0700), 0);
	assert_int_equal(mkfifoat(dir, "b", 0600), 0);
	assert_int_equal(symlinkat("nowhere", dir, "c"), 0);
	meet_directory(f, path, (const enum custos_nature[]){ CUSTOS_NATURE_DIRECTORY_NESTED, CUSTOS_NATURE_FILE_IRREGULAR, CUSTOS_NATURE_FILE_UNOPENED }, 3);
	assert_int_equal(unlinkat(dir, "a", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(dir, "b", 0), 0);
	assert_int_equal(unlinkat(dir, "c", 0), 0);
	assert_int_equal(rmdir(path), 0);
}

static void every_nature_is_met(void **state)
{
	struct fixture *f = *state;
	size_t missing = 0;
	meet_what_begins_so(f);
	meet_what_a_ca_knows(f);
	meet_p12(f);
	meet_archives(f);
	meet_directories(f);
	for (enum custos_nature n = CUSTOS_NATURE_NONE + 1; n < CUSTOS_NATURE_COUNT; n++) {
		if (f->met[n] || n == CUSTOS_NATURE_CERTIFICATE)
			continue;
		print_error("no input was '%s'\n", custos_nature_row(n)->words);
		missing++;
	}
	assert_int_equal(missing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_says_everything), cmocka_unit_test(words_and_codes_are_told_apart), cmocka_unit_test(every_nature_is_met),
	};
	return cmocka_run_group_tests_name("x509 nature", tests, setup, teardown);
}

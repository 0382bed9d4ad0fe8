/* The bag: every form a CA or a person may hand over, and what is hostile. */
#include "x509_pki.h"

#include "x509/bag.h"
#include "x509/cert.h"

#include <malloc.h>
#include <sys/stat.h>
#include <time.h>

struct fixture {
	EVP_PKEY *root_key, *leaf_key;
	X509 *root, *leaf;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
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

static struct custos_bag *bag_of(const void *data, size_t len)
{
	struct custos_bag *bag = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_bag_new(&bag, &err), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "input", CUSTOS_BYTES(data, len), &err), CUSTOS_OK);
	assert_true(custos_bag_count(bag) >= 1);
	return bag;
}

static struct custos_bag *bag_of_buf(const struct custos_buf *b)
{
	return bag_of(b->ptr, b->len);
}

static void expect_certs(const struct custos_buf *input, size_t certs)
{
	struct custos_bag *bag = bag_of_buf(input);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), certs);
	custos_bag_free(bag);
}

static void append(struct custos_buf *b, const char *text)
{
	assert_int_equal(custos_buf_append_str(b, text, NULL), CUSTOS_OK);
}

static void pem_in_every_disguise(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF pem = { 0 }, crlf = { 0 }, bom = { 0 }, prose = { 0 }, glued = { 0 };
	lab_pem(&pem, f->leaf);
	expect_certs(&pem, 1);
	for (size_t i = 0; i < pem.len; i++) {
		if (pem.ptr[i] == '\n')
			append(&crlf, "\r");
		assert_int_equal(custos_buf_append(&crlf, pem.ptr + i, 1, NULL), CUSTOS_OK);
	}
	expect_certs(&crlf, 1);
	append(&bom, "\xef\xbb\xbf");
	assert_int_equal(custos_buf_append(&bom, pem.ptr, pem.len - 1, NULL), CUSTOS_OK); /* and no final newline */
	struct custos_bag *bag = bag_of_buf(&bom);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 1);
	assert_int_equal(custos_bag_at(bag, 0)->quirks, 0); /* servers take a BOM */
	custos_bag_free(bag);
	append(&prose, "subject=CN = a.example.com\n-----BEGIN of a story that has no end\n\n");
	lab_pem(&prose, f->leaf);
	append(&prose, "issuer: somebody\n");
	lab_pem(&prose, f->root);
	bag = bag_of_buf(&prose);
	assert_int_equal(custos_bag_count(bag), 2);
	assert_int_equal(custos_bag_at(bag, 0)->line, 4);
	assert_true(custos_bag_at(bag, 1)->line > 10);
	custos_bag_free(bag);
	assert_int_equal(custos_buf_append(&glued, pem.ptr, pem.len - 1, NULL), CUSTOS_OK);
	lab_pem(&glued, f->root);
	assert_non_null(strstr((char *)glued.ptr, "----------BEGIN"));
	bag = bag_of_buf(&glued);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 2);
	assert_int_equal(custos_bag_at(bag, 0)->quirks, 0);
	assert_int_equal(custos_bag_at(bag, 1)->quirks, CUSTOS_QUIRK_GLUED);
	custos_bag_free(bag);
}

static void der_and_pkcs7(void **state)
{
	struct fixture *f = *state;
	X509 *both[] = { f->root, f->leaf };
	CUSTOS_AUTO_BUF der = { 0 }, p7 = { 0 }, p7_pem = { 0 }, disguised = { 0 }, empty = { 0 }, labelled = { 0 };
	lab_der(&der, f->leaf);
	struct custos_bag *bag = bag_of_buf(&der);
	const struct custos_bag_item *item = custos_bag_at(bag, 0);
	assert_int_equal(item->kind, CUSTOS_ITEM_CERTIFICATE);
	assert_int_equal(item->form, CUSTOS_FORM_DER);
	assert_int_equal(item->line, 0);
	assert_true(custos_bytes_equal(custos_buf_view(&item->der), custos_buf_view(&der)));
	custos_bag_free(bag);
	lab_der(&der, f->root); /* two in a row */
	expect_certs(&der, 2);
	lab_pkcs7(&p7, both, 2);
	expect_certs(&p7, 2);
	lab_armour(&p7_pem, "PKCS7", p7.ptr, p7.len);
	bag = bag_of_buf(&p7_pem);
	assert_int_equal(custos_bag_at(bag, 0)->kind, CUSTOS_ITEM_PKCS7);
	assert_int_equal(custos_bag_at(bag, 0)->quirks, 0);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 2);
	custos_bag_free(bag);
	lab_armour(&disguised, "CERTIFICATE", p7.ptr, p7.len);
	bag = bag_of_buf(&disguised);
	assert_int_equal(custos_bag_at(bag, 0)->kind, CUSTOS_ITEM_PKCS7);
	assert_int_equal(custos_bag_at(bag, 0)->quirks, CUSTOS_QUIRK_LABEL);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 2);
	custos_bag_free(bag);
	lab_pkcs7(&empty, both, 0);
	bag = bag_of_buf(&empty);
	assert_int_equal(custos_bag_count(bag), 1);
	assert_string_equal(custos_bag_at(bag, 0)->what, "a PKCS#7 container without certificates");
	custos_bag_free(bag);
	der.len /= 2; /* only the leaf's bytes matter: any label is read */
	CUSTOS_AUTO_BUF one = { 0 };
	lab_der(&one, f->leaf);
	lab_armour(&labelled, "SOMETHING ELSE", one.ptr, one.len);
	bag = bag_of_buf(&labelled);
	assert_int_equal(custos_bag_at(bag, 0)->kind, CUSTOS_ITEM_CERTIFICATE);
	assert_int_equal(custos_bag_at(bag, 0)->quirks, CUSTOS_QUIRK_LABEL);
	custos_bag_free(bag);
}

static void expect_one(const void *data, size_t len, enum custos_item_kind kind, const char *what)
{
	struct custos_bag *bag = bag_of(data, len);
	assert_int_equal(custos_bag_count(bag), 1);
	assert_int_equal(custos_bag_at(bag, 0)->kind, kind);
	assert_string_equal(custos_bag_at(bag, 0)->what, what);
	if (kind == CUSTOS_ITEM_PRIVATE_KEY)
		assert_int_equal(custos_bag_at(bag, 0)->der.len, 0);
	custos_bag_free(bag);
}

static void expect_key(BIO *bio, const char *what)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	assert_true(len > 0);
	expect_one(data, (size_t)len, CUSTOS_ITEM_PRIVATE_KEY, what);
	BIO_free(bio);
}

static void private_keys_by_kind_only(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *rsa = lab_rsa(2048);
	char pass[] = "not a real one";
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
	expect_key(bio, "an unencrypted private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(bio, rsa, EVP_aes_128_cbc(), NULL, 0, NULL, pass), 1);
	expect_key(bio, "an encrypted private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
	expect_key(bio, "an unencrypted RSA private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, rsa, EVP_aes_128_cbc(), NULL, 0, NULL, pass), 1);
	expect_key(bio, "an encrypted RSA private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, f->leaf_key, NULL, NULL, 0, NULL, NULL), 1);
	expect_key(bio, "an unencrypted EC private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(i2d_PrivateKey_bio(bio, rsa), 1);
	expect_key(bio, "an unencrypted RSA private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(i2d_PrivateKey_bio(bio, f->leaf_key), 1);
	expect_key(bio, "an unencrypted EC private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(i2d_PKCS8PrivateKey_bio(bio, rsa, NULL, NULL, 0, NULL, NULL), 1);
	expect_key(bio, "an unencrypted private key");
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(i2d_PKCS8PrivateKey_bio(bio, rsa, EVP_aes_128_cbc(), NULL, 0, NULL, pass), 1);
	expect_key(bio, "an encrypted private key");
	/* a key whose armour lies: still by kind only */
	CUSTOS_AUTO_BUF lie = { 0 };
	unsigned char *der = NULL;
	int len = i2d_PrivateKey(rsa, &der);
	lab_armour(&lie, "CERTIFICATE", der, (size_t)len);
	expect_one(lie.ptr, lie.len, CUSTOS_ITEM_PRIVATE_KEY, "an unencrypted RSA private key");
	OPENSSL_clear_free(der, (size_t)len);
	EVP_PKEY_free(rsa);
}

/* Every block that OpenSSL's allocator gets back is searched for a piece of the key. */
static uint8_t watched[24];
static bool watching, seen;

static void *watch_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void watch_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (watching && p != NULL && memmem(p, malloc_usable_size(p), watched, sizeof watched) != NULL)
		seen = true;
	free(p);
}

static void *watch_realloc(void *p, size_t size, const char *file, int line)
{
	void *fresh = malloc(size);
	size_t old = p == NULL ? 0 : malloc_usable_size(p);
	if (fresh != NULL && old > 0)
		memcpy(fresh, p, old < size ? old : size);
	watch_free(p, file, line);
	return fresh;
}

static void add_watched(const char *path, const void *content, size_t len, const void *piece)
{
	struct custos_bag *bag = NULL;
	FILE *out = fopen(path, "w");
	assert_int_equal(fwrite(content, 1, len, out), len);
	fclose(out);
	memcpy(watched, piece, sizeof watched);
	seen = false;
	watching = true;
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add_file(bag, path, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_PRIVATE_KEY), 1);
	custos_bag_free(bag);
	watching = false;
	assert_false(seen);
}

static void a_key_file_is_wiped(void **state)
{
	(void)state;
	char path[] = "/tmp/custos-key-XXXXXX";
	int fd = mkstemp(path);
	EVP_PKEY *rsa = lab_rsa(2048);
	unsigned char *der = NULL;
	CUSTOS_AUTO_BUF honest = { 0 }, lie = { 0 };
	assert_true(fd >= 0);
	close(fd);
	int len = i2d_PrivateKey(rsa, &der);
	assert_true(len > 600);
	/* the watch works: a block with the piece in it, freed unwiped, is seen */
	memcpy(watched, der + 600, sizeof watched);
	watching = true;
	void *careless = OPENSSL_memdup(der, (size_t)len);
	OPENSSL_free(careless);
	watching = false;
	assert_true(seen);
	lab_armour(&honest, "RSA PRIVATE KEY", der, (size_t)len);
	lab_armour(&lie, "CERTIFICATE", der, (size_t)len);
	add_watched(path, honest.ptr, honest.len, honest.ptr + 700);
	add_watched(path, honest.ptr, honest.len, der + 600);
	add_watched(path, lie.ptr, lie.len, lie.ptr + 700);
	add_watched(path, lie.ptr, lie.len, der + 600);
	add_watched(path, der, (size_t)len, der + 600);
	unlink(path);
	OPENSSL_clear_free(der, (size_t)len);
	EVP_PKEY_free(rsa);
}

static void requests_and_public_keys(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF der = { 0 }, pem = { 0 }, spki = { 0 }, spki_pem = { 0 };
	lab_request(&der, "a.example.com", "DNS:a.example.com", f->leaf_key);
	expect_one(der.ptr, der.len, CUSTOS_ITEM_REQUEST, "a certificate request");
	lab_armour(&pem, "NEW CERTIFICATE REQUEST", der.ptr, der.len);
	expect_one(pem.ptr, pem.len, CUSTOS_ITEM_REQUEST, "a certificate request");
	lab_spki(&spki, f->leaf_key);
	expect_one(spki.ptr, spki.len, CUSTOS_ITEM_PUBLIC_KEY, "a public key");
	lab_armour(&spki_pem, "PUBLIC KEY", spki.ptr, spki.len);
	expect_one(spki_pem.ptr, spki_pem.len, CUSTOS_ITEM_PUBLIC_KEY, "a public key");
}

static void what_is_not_understood(void **state)
{
	(void)state;
	static const char damaged[] = "-----BEGIN CERTIFICATE-----\nAAAA*AAA\n-----END CERTIFICATE-----\n";
	static const char nothing_in_it[] = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
	static const char garbage[] = "-----BEGIN CERTIFICATE-----\nAAAAAAAA\n-----END CERTIFICATE-----\n";
	static const char cut[] = "-----BEGIN CERTIFICATE-----\nAAAAAAAA\n";
	static const char cut_key[] = "-----BEGIN RSA PRIVATE KEY-----\nAAAAAAAA\n";
	expect_one("", 0, CUSTOS_ITEM_UNKNOWN, "empty");
	expect_one(" \n\n", 3, CUSTOS_ITEM_UNKNOWN, "empty");
	expect_one("hello\n", 6, CUSTOS_ITEM_UNKNOWN, "text");
	expect_one("0 some text that begins like DER does", 37, CUSTOS_ITEM_UNKNOWN, "text");
	expect_one("PK\x03\x04rest", 8, CUSTOS_ITEM_UNKNOWN, "a damaged zip archive");
	expect_one("\xff\xfe-\0-\0", 6, CUSTOS_ITEM_UNKNOWN, "UTF-16 text");
	expect_one("\x01\x02\x03", 3, CUSTOS_ITEM_UNKNOWN, "binary data");
	expect_one("-----BEGIN ", 11, CUSTOS_ITEM_UNKNOWN, "text");
	expect_one(damaged, sizeof damaged - 1, CUSTOS_ITEM_UNKNOWN, "a damaged PEM block (not base64)");
	expect_one(nothing_in_it, sizeof nothing_in_it - 1, CUSTOS_ITEM_UNKNOWN, "a damaged PEM block (not base64)");
	expect_one(garbage, sizeof garbage - 1, CUSTOS_ITEM_UNKNOWN, "a PEM block whose content is damaged or unknown");
	expect_one(cut, sizeof cut - 1, CUSTOS_ITEM_UNKNOWN, "a truncated PEM block (its END line is missing)");
	expect_one(cut_key, sizeof cut_key - 1, CUSTOS_ITEM_PRIVATE_KEY, "a truncated private key");
}

/* What is in no format of ours is told by name, and a key as one, whoever's program made it. */
static void what_others_made(void **state)
{
	static const struct {
		const char *begins;
		size_t len;
		enum custos_item_kind kind;
		const char *what;
	} made[] = {
#define MADE(bytes, kind, what) { bytes, sizeof(bytes) - 1, CUSTOS_ITEM_##kind, what }
		MADE("Rar!\x1a\x07\x00", UNKNOWN, "a RAR archive"),
		MADE("\x1f\x8b\x08", UNKNOWN, "a gzip archive"),
		MADE("\x89PNG\r\n\x1a\n", UNKNOWN, "a picture"),
		MADE("\xce\xce\xce\xce", UNKNOWN, "a Java keystore"),
		MADE("\n<!doctype html>", UNKNOWN, "a web page"),
		MADE("\xef\xbb\xbf<!DOCTYPE HTML>", UNKNOWN, "a web page"),
		MADE("<HTML>", UNKNOWN, "a web page"),
		MADE("PuTTY-User-Key-File-3: ssh-ed25519\n", PRIVATE_KEY, "a PuTTY private key"),
		MADE("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQEN\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----\n", PRIVATE_KEY, "a PGP private key"),
		MADE("-----BEGIN PGP MESSAGE-----\nVersion: x\n\nhQEM\n=abcd\n-----END PGP MESSAGE-----\n", UNKNOWN, "a PGP key or message"),
		MADE("Received: from a.example.com\nSubject: yes\n\nhello", UNKNOWN, "an e-mail message"),
		MADE("From ca@example.com Mon\nMIME-Version: 1.0\n\nhello", UNKNOWN, "an e-mail message"),
		MADE("Dear all\nReceived: nothing\n", UNKNOWN, "text"),
		MADE("-----BEGIN CERTIFICATE-----\nMIIB\nAA=3D=3D\n-----END CERTIFICATE-----\n", UNKNOWN, "a PEM block in the source of an e-mail (quoted-printable)"),
		MADE("\xe2\x80\x94\xe2\x80\x94" "BEGIN CERTIFICATE\xe2\x80\x94\xe2\x80\x94\nMIIB\n", UNKNOWN, "text with a BEGIN line that was altered"),
		MADE("PK\x03\x04\x14\0\6\0\10\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml", UNKNOWN, "a document of Microsoft Office"),
		MADE("\x30\x03\x0a\x01\x06", UNKNOWN, "an OCSP response"),
	};
	(void)state;
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		expect_one(made[i].begins, made[i].len, made[i].kind, made[i].what);
}

/* A text in the encoding of Windows' shells, either way round, with the line numbers of the text; and what is not ASCII in it breaks nothing but its own block. */
static void text_in_utf16(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF pem = { 0 };
	append(&pem, "first line\r\n");
	lab_pem(&pem, f->leaf);
	for (int big = 0; big < 2; big++) {
		CUSTOS_AUTO_BUF wide = { 0 };
		append(&wide, big ? "\xfe\xff" : "\xff\xfe");
		for (size_t i = 0; i < pem.len; i++) {
			const uint8_t pair[2] = { big ? 0 : pem.ptr[i], big ? pem.ptr[i] : 0 };
			assert_int_equal(custos_buf_append(&wide, pair, 2, NULL), CUSTOS_OK);
		}
		struct custos_bag *bag = bag_of_buf(&wide);
		assert_int_equal(custos_bag_count(bag), 1);
		assert_int_equal(custos_bag_at(bag, 0)->kind, CUSTOS_ITEM_CERTIFICATE);
		assert_int_equal(custos_bag_at(bag, 0)->quirks, CUSTOS_QUIRK_UTF16);
		assert_int_equal(custos_bag_at(bag, 0)->line, 2);
		custos_bag_free(bag);
		wide.ptr[wide.len - 200 + (big ? 0 : 1)] = 0x20; /* another letter in the middle of the base64 */
		expect_one(wide.ptr, wide.len, CUSTOS_ITEM_UNKNOWN, "a damaged PEM block (not base64)");
	}
}

/* Base64 alone, in one line or in many; a key is not taken for anything else, prose is no base64. */
static void base64_without_armour(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF pem = { 0 }, bare = { 0 }, escaped = { 0 };
	lab_pem(&pem, f->leaf);
	const char *text = (const char *)pem.ptr, *body = strchr(text, '\n') + 1, *end = strstr(body, "-----END");
	append(&bare, "\r\n ");
	assert_int_equal(custos_buf_append(&bare, body, (size_t)(end - body), NULL), CUSTOS_OK);
	struct custos_bag *bag = bag_of_buf(&bare);
	assert_int_equal(custos_bag_count(bag), 1);
	assert_int_equal(custos_bag_at(bag, 0)->kind, CUSTOS_ITEM_CERTIFICATE);
	assert_int_equal(custos_bag_at(bag, 0)->form, CUSTOS_FORM_BASE64);
	assert_int_equal(custos_bag_at(bag, 0)->line, 2);
	custos_bag_free(bag);
	bare.ptr[bare.len / 2] = '*';
	expect_one(bare.ptr, bare.len, CUSTOS_ITEM_UNKNOWN, "text");
	expect_one("MIND the gap", 12, CUSTOS_ITEM_UNKNOWN, "text");
	/* PKCS#8, RFC 5958 */
	expect_one("MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 64, CUSTOS_ITEM_PRIVATE_KEY, "an unencrypted private key");
	expect_one("MEMO", 4, CUSTOS_ITEM_UNKNOWN, "text");
	/* as it stands in JSON: line ends written out */
	for (size_t i = 0; i < pem.len; i++)
		if (pem.ptr[i] == '\n')
			append(&escaped, "\\n");
		else
			assert_int_equal(custos_buf_append(&escaped, pem.ptr + i, 1, NULL), CUSTOS_OK);
	expect_certs(&escaped, 1);
}

/* Lines that share their dashes: a body never begins behind its end. Each input is an allocation of its own, so that reading past it is seen. */
static void lines_that_overlap(void **state)
{
	static const char *const texts[] = {
		"-----BEGIN CERTIFICATE-----END CERTIFICATE-----\n", "-----BEGIN RSA PRIVATE KEY-----END RSA PRIVATE KEY-----", "-----BEGIN X-----BEGIN Y-----END Z-----",
		"-----BEGIN RSA PRIVATE KEY-----BEGIN RSA PRIVATE KEY-----END", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
	};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		size_t len = strlen(texts[i]);
		char *exact = malloc(len);
		memcpy(exact, texts[i], len);
		struct custos_bag *bag = bag_of(exact, len);
		assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 0);
		if (i == 0)
			assert_string_equal(custos_bag_at(bag, 0)->what, "a truncated PEM block (its END line is missing)");
		if (i == 1)
			assert_string_equal(custos_bag_at(bag, 0)->what, "a truncated private key");
		custos_bag_free(bag);
		free(exact);
	}
}

static void truncated_at_every_length(void **state)
{
	struct fixture *f = *state;
	X509 *both[] = { f->leaf, f->root };
	CUSTOS_AUTO_BUF der = { 0 }, p7 = { 0 }, pem = { 0 };
	lab_der(&der, f->leaf);
	lab_pkcs7(&p7, both, 2);
	lab_pem(&pem, f->leaf);
	const struct custos_buf *inputs[] = { &der, &p7, &pem };
	for (size_t k = 0; k < 3; k++)
		for (size_t len = 0; len < inputs[k]->len - (k == 2); len++) {
			/* a heap copy of exactly this length: a sanitizer sees every byte read behind it */
			uint8_t *copy = malloc(len + (len == 0));
			memcpy(copy, inputs[k]->ptr, len);
			struct custos_bag *bag = bag_of(copy, len);
			size_t certs = custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE);
			/* a PEM block is whole once its END line has begun */
			assert_true(certs == 0 || (k == 2 && memmem(copy, len, "-----END ", 9) != NULL));
			custos_bag_free(bag);
			free(copy);
		}
}

static void every_byte_damaged(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF der = { 0 };
	lab_der(&der, f->leaf);
	for (size_t i = 0; i < der.len; i++) {
		uint8_t *copy = malloc(der.len);
		memcpy(copy, der.ptr, der.len);
		copy[i] ^= 0xff;
		struct custos_bag *bag = bag_of(copy, der.len);
		const struct custos_bag_item *item = custos_bag_at(bag, 0);
		assert_false(item->kind == CUSTOS_ITEM_CERTIFICATE && custos_bytes_equal(custos_buf_view(&item->der), custos_buf_view(&der)));
		custos_bag_free(bag);
		free(copy);
	}
}

static int64_t milliseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void ten_megabytes_of_garbage(void **state)
{
	(void)state;
	static const char *const fillers[] = { "-----BEGIN X-----", "-----BEGIN ", "-----END ", "\n", "0\x80", "\x30\x84" };
#ifdef CUSTOS_SANITIZED
	enum { SIZE = 1 << 20 }; /* the sanitizer's memmem() looks at the whole range each time */
#else
	enum { SIZE = CUSTOS_BAG_INPUT_MAX };
#endif
	uint8_t *data = malloc(SIZE + 1);
	for (size_t k = 0; k < sizeof fillers / sizeof *fillers; k++) {
		size_t len = strlen(fillers[k]);
		for (size_t i = 0; i < SIZE; i++)
			data[i] = (uint8_t)fillers[k][i % len];
		struct custos_bag *bag = NULL;
		struct custos_err err = { 0 };
		int64_t start = milliseconds();
		assert_int_equal(custos_bag_new(&bag, &err), CUSTOS_OK);
		custos_rc rc = custos_bag_add(bag, "garbage", CUSTOS_BYTES(data, SIZE), &err);
		assert_true(rc == CUSTOS_OK || (k == 0 && rc == CUSTOS_E_INPUT)); /* too many blocks */
		assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 0);
		assert_true(milliseconds() - start < 20000); /* quadratic would take hours */
		custos_bag_free(bag);
	}
	struct custos_bag *bag = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_bag_new(&bag, &err), CUSTOS_OK);
	/* refused by its length alone: not a byte is looked at */
	assert_int_equal(custos_bag_add(bag, "garbage", CUSTOS_BYTES(data, CUSTOS_BAG_INPUT_MAX + 1), &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.msg, "garbage: larger than 10 MiB"));
	custos_bag_free(bag);
	free(data);
}

static void files(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/custos-bag-XXXXXX", path[64];
	struct custos_bag *bag = NULL;
	struct custos_err err = { 0 };
	CUSTOS_AUTO_BUF pem = { 0 };
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a\nb.pem", dir);
	lab_pem(&pem, f->leaf);
	FILE *out = fopen(path, "w");
	assert_int_equal(fwrite(pem.ptr, 1, pem.len, out), pem.len);
	fclose(out);
	assert_int_equal(custos_bag_new(&bag, &err), CUSTOS_OK);
	assert_int_equal(custos_bag_add_file(bag, path, &err), CUSTOS_OK);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 1);
	assert_null(strchr(custos_bag_at(bag, 0)->file, '\n')); /* a file name cannot forge a line of output */
	unlink(path);
	assert_int_equal(custos_bag_add_file(bag, path, &err), CUSTOS_E_INPUT);
	custos_err_clear(&err);
	assert_int_equal(custos_bag_add_file(bag, dir, &err), CUSTOS_OK);
	assert_string_equal(custos_bag_at(bag, 1)->what, "an empty directory");
	snprintf(path, sizeof path, "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(custos_bag_add_file(bag, path, &err), CUSTOS_E_INPUT); /* and does not wait for a writer */
	assert_non_null(strstr(err.msg, "not a regular file"));
	custos_err_clear(&err);
	unlink(path);
	rmdir(dir);
	custos_bag_free(bag);
}

static void facts_of_a_certificate(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF der = { 0 }, trailing = { 0 }, pem = { 0 };
	struct custos_json *facts = NULL;
	struct custos_err err = { 0 };
	int64_t days = 0;
	X509 *odd = lab_issue((struct lab_spec){ .cn = "Zoë \xe2\x80\xae evil\n", .sans = "DNS:*.example.com,IP:192.0.2.7,IP:2001:db8::1,email:a@example.com,URI:https://example.com/",
	                                         .key = f->leaf_key, .issuer = f->root, .issuer_key = f->root_key });
	lab_der(&der, odd);
	assert_int_equal(custos_cert_facts(custos_buf_view(&der), &facts, &err), CUSTOS_OK);
	assert_string_equal(custos_json_text(facts, "subject"), "CN=Zoë \\xe2\\x80\\xae evil\\0A,O=Example");
	assert_string_equal(custos_json_text(facts, "key_type"), "ec-p256");
	assert_string_equal(custos_json_text(facts, "not_before"), "2027-01-05T08:00:00Z");
	const struct custos_json *sans = custos_json_get(facts, "sans");
	static const char *const expected[] = { "dns:*.example.com", "ip:192.0.2.7", "ip:2001:db8::1", "email:a@example.com", "uri:https://example.com/" };
	assert_int_equal(custos_json_count(sans), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(custos_json_string_value(custos_json_at(sans, i)), expected[i]);
	custos_json_free(facts);
	assert_true(custos_cert_covers(custos_buf_view(&der), "b.example.com"));
	assert_true(custos_cert_covers(custos_buf_view(&der), "192.0.2.7"));
	assert_true(custos_cert_covers(custos_buf_view(&der), "2001:db8:0::1"));
	assert_false(custos_cert_covers(custos_buf_view(&der), "a.b.example.com"));
	assert_false(custos_cert_covers(custos_buf_view(&der), "example.com"));
	assert_false(custos_cert_covers(custos_buf_view(&der), "192.0.2.8"));
	assert_false(custos_cert_covers(custos_buf_view(&der), ""));
	assert_int_equal(custos_cert_days_left(custos_buf_view(&der), LAB_NOW, &days, &err), CUSTOS_OK);
	assert_int_equal(days, 100);
	assert_int_equal(custos_cert_days_left(custos_buf_view(&der), LAB_NOW + 100 * LAB_DAY + 1, &days, &err), CUSTOS_OK);
	assert_int_equal(days, -1);
	assert_int_equal(custos_buf_append(&trailing, der.ptr, der.len, NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_append(&trailing, "x", 1, NULL), CUSTOS_OK);
	assert_int_equal(custos_cert_facts(custos_buf_view(&trailing), &facts, &err), CUSTOS_E_INPUT);
	struct custos_bytes two[] = { custos_buf_view(&der), custos_buf_view(&der) };
	assert_int_equal(custos_cert_pem(two, 2, &pem, NULL), CUSTOS_OK);
	expect_certs(&pem, 2);
	X509_free(odd);
}

int main(void)
{
	if (CRYPTO_set_mem_functions(watch_malloc, watch_realloc, watch_free) != 1)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pem_in_every_disguise), cmocka_unit_test(der_and_pkcs7), cmocka_unit_test(private_keys_by_kind_only), cmocka_unit_test(a_key_file_is_wiped),
		cmocka_unit_test(requests_and_public_keys), cmocka_unit_test(what_is_not_understood), cmocka_unit_test(what_others_made), cmocka_unit_test(text_in_utf16), cmocka_unit_test(base64_without_armour),
		cmocka_unit_test(lines_that_overlap), cmocka_unit_test(truncated_at_every_length),
		cmocka_unit_test(every_byte_damaged), cmocka_unit_test(ten_megabytes_of_garbage), cmocka_unit_test(files), cmocka_unit_test(facts_of_a_certificate),
	};
	return cmocka_run_group_tests_name("x509 bag", tests, setup, teardown);
}

/* What certificates come packed in: zip archives, PKCS#12 files, directories; and what is packed to do harm. */
#include "x509_archive.h"

#include "memory/secret.h"
#include "x509/bag.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	EVP_PKEY *root_key, *leaf_key;
	X509 *root, *leaf;
	struct custos_buf pem;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(custos_secret_start(NULL), CUSTOS_OK);
	f->root_key = lab_ec();
	f->leaf_key = lab_rsa(2048);
	f->root = lab_root("Lab Root", f->root_key);
	f->leaf = lab_leaf("a.example.com", f->leaf_key, f->root, f->root_key);
	lab_pem(&f->pem, f->leaf);
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
	custos_buf_done(&f->pem);
	free(f);
	return 0;
}

static struct custos_bag *bag_of(const struct custos_buf *input, struct custos_secret *pass_phrase)
{
	struct custos_bag *bag = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_bag_new(&bag, &err), CUSTOS_OK);
	custos_bag_use_pass_phrase(bag, pass_phrase);
	assert_int_equal(custos_bag_add(bag, "in", custos_buf_view(input), &err), CUSTOS_OK);
	return bag;
}

static void expect_item(const struct custos_bag *bag, size_t index, const char *file, const char *what)
{
	assert_true(index < custos_bag_count(bag));
	assert_string_equal(custos_bag_at(bag, index)->file, file);
	assert_string_equal(custos_bag_at(bag, index)->what, what);
}

static void an_archive(void **state)
{
	struct fixture *f = *state;
	static const char *const options[] = { NULL, "zip:compression=store" };
	CUSTOS_AUTO_BUF inner = { 0 };
	struct lab_zip nested = lab_zip_begin(NULL, NULL);
	lab_zip_open(&nested);
	lab_zip_entry(&nested, "leaf.pem", AE_IFREG, f->pem.ptr, f->pem.len);
	lab_zip_end(&nested, &inner);
	for (size_t i = 0; i < 2; i++) {
		CUSTOS_AUTO_BUF zip = { 0 };
		struct lab_zip z = lab_zip_begin(options[i], NULL);
		lab_zip_open(&z);
		lab_zip_entry(&z, "certs/", AE_IFDIR, NULL, 0);
		lab_zip_entry(&z, "certs/leaf.pem", AE_IFREG, f->pem.ptr, f->pem.len);
		lab_zip_entry(&z, "certs/inner.zip", AE_IFREG, inner.ptr, inner.len);
		lab_zip_entry(&z, "readme\n.txt", AE_IFREG, "hello", 5);
		lab_zip_entry(&z, "nothing", AE_IFREG, "", 0);
		lab_zip_end(&z, &zip);
		struct custos_bag *bag = bag_of(&zip, NULL);
		assert_int_equal(custos_bag_count(bag), 4);
		expect_item(bag, 0, "in/certs/leaf.pem", "a certificate");
		assert_int_equal(custos_bag_at(bag, 0)->line, 1);
		expect_item(bag, 1, "in/certs/inner.zip", "a zip archive in an archive");
		expect_item(bag, 2, "in/readme\\x0a.txt", "text");
		expect_item(bag, 3, "in/nothing", "empty");
		custos_bag_free(bag);
		/* at every length: never more than what is whole, never a crash */
		for (size_t len = 4; len < zip.len; len += 7) {
			struct custos_buf cut = { .ptr = zip.ptr, .len = len };
			bag = bag_of(&cut, NULL);
			assert_true(custos_bag_count(bag) >= 1);
			custos_bag_free(bag);
		}
	}
}

static void an_archive_of_nothing(void **state)
{
	(void)state;
	for (int directories = 0; directories < 3; directories++) {
		CUSTOS_AUTO_BUF zip = { 0 };
		struct lab_zip z = lab_zip_begin(NULL, NULL);
		lab_zip_open(&z);
		for (int i = 0; i < directories; i++)
			lab_zip_entry(&z, i == 0 ? "certs/" : "certs/more/", AE_IFDIR, NULL, 0);
		lab_zip_end(&z, &zip);
		struct custos_bag *bag = bag_of(&zip, NULL);
		assert_int_equal(custos_bag_count(bag), 1);
		expect_item(bag, 0, "in", "an empty zip archive");
		custos_bag_free(bag);
	}
}

/* One entry that is not read, and what is said of it; the honest one beside it is. */
static void expect_refused(struct lab_zip *z, const struct fixture *f, const char *file, const char *what)
{
	CUSTOS_AUTO_BUF zip = { 0 };
	if (z->archive != NULL)
		lab_zip_entry(z, "leaf.pem", AE_IFREG, f->pem.ptr, f->pem.len);
	lab_zip_end(z, &zip);
	struct custos_bag *bag = bag_of(&zip, NULL);
	assert_int_equal(custos_bag_count(bag), 2);
	expect_item(bag, 0, file, what);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), strstr(what, "encrypted") == NULL && strstr(what, "packed") == NULL ? 1 : 0);
	custos_bag_free(bag);
}

static void hostile_names_and_kinds(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "../leaf.pem", "/etc/leaf.pem", "a/../../leaf.pem", "a/..", "..\\leaf.pem", "C:\\leaf.pem", "a\\..\\leaf.pem" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char file[64];
		struct lab_zip z = lab_zip_begin(NULL, NULL);
		lab_zip_open(&z);
		lab_zip_entry(&z, names[i], AE_IFREG, f->pem.ptr, f->pem.len);
		snprintf(file, sizeof file, "in/%s", names[i]);
		for (char *at = file; (at = strchr(at, '\\')) != NULL;)
			*at = '/'; /* libarchive takes them for that */
		expect_refused(&z, f, file, "an archive entry whose name leads out of the archive");
	}
	struct lab_zip link = lab_zip_begin(NULL, NULL);
	lab_zip_open(&link);
	lab_zip_entry(&link, "link.pem", AE_IFLNK, "/etc/passwd", 11);
	expect_refused(&link, f, "in/link.pem", "a symbolic link in an archive");
	struct lab_zip locked = lab_zip_begin("zip:encryption=zipcrypt", "secret");
	lab_zip_open(&locked);
	lab_zip_entry(&locked, "key.pem", AE_IFREG, f->pem.ptr, f->pem.len);
	expect_refused(&locked, f, "in/key.pem", "an encrypted archive entry");
	/* harmless names with dots */
	struct lab_zip z = lab_zip_begin(NULL, NULL);
	CUSTOS_AUTO_BUF zip = { 0 };
	lab_zip_open(&z);
	lab_zip_entry(&z, "..a/b..c/...", AE_IFREG, f->pem.ptr, f->pem.len);
	lab_zip_end(&z, &zip);
	struct custos_bag *bag = bag_of(&zip, NULL);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 1);
	custos_bag_free(bag);
}

/* The packing that a zip archive names for its one entry, in the local header and in the directory. */
static void unusual_packing_and_damage(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF zip = { 0 };
	struct lab_zip z = lab_zip_begin(NULL, NULL);
	lab_zip_open(&z);
	lab_zip_entry(&z, "leaf.pem", AE_IFREG, f->pem.ptr, f->pem.len);
	lab_zip_end(&z, &zip);
	uint8_t *directory = memmem(zip.ptr, zip.len, "PK\x01\x02", 4);
	assert_non_null(directory);
	static const uint8_t packings[] = { 12 /* bzip2 */, 14 /* LZMA */, 93 /* Zstandard */, 95 /* xz */, 98 /* PPMd */, 77 /* none that there is */ };
	for (size_t i = 0; i < sizeof packings; i++) {
		zip.ptr[8] = directory[10] = packings[i];
		struct custos_bag *bag = bag_of(&zip, NULL);
		assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 0);
		expect_item(bag, 0, "in/leaf.pem", "an archive entry that is packed in an unusual way");
		custos_bag_free(bag);
	}
	zip.ptr[8] = directory[10] = 8;
	uint8_t *packed = zip.ptr + 200;
	for (int bit = 0; bit < 8; bit++) {
		*packed ^= (uint8_t)(1 << bit);
		struct custos_bag *bag = bag_of(&zip, NULL);
		expect_item(bag, 0, "in/leaf.pem", "a damaged archive entry");
		custos_bag_free(bag);
		*packed ^= (uint8_t)(1 << bit);
	}
	struct custos_bag *bag = bag_of(&zip, NULL);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 1);
	custos_bag_free(bag);
}

static void bombs(void **state)
{
	enum { ENTRY = 4 << 20 };
	(void)state;
	CUSTOS_AUTO_BUF large = { 0 }, many = { 0 };
	uint8_t *zeroes = calloc(1, ENTRY);
	struct custos_err err = { 0 };
	struct lab_zip z = lab_zip_begin(NULL, NULL);
	lab_zip_open(&z);
	for (int i = 0; i < 4; i++)
		lab_zip_entry(&z, "zeroes", AE_IFREG, zeroes, ENTRY);
	lab_zip_end(&z, &large);
	assert_true(large.len < 100000);
	struct custos_bag *bag = NULL;
	assert_int_equal(custos_bag_new(&bag, &err), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "bomb.zip", custos_buf_view(&large), &err), CUSTOS_E_INPUT);
	assert_string_equal(err.msg, "bomb.zip: the archive unpacks to more than 10 MiB");
	assert_true(err.hint[0] != '\0');
	custos_bag_free(bag);
	z = lab_zip_begin(NULL, NULL);
	lab_zip_open(&z);
	for (int i = 0; i < 4100; i++) {
		char name[16];
		snprintf(name, sizeof name, "%d", i);
		lab_zip_entry(&z, name, AE_IFREG, "x", 1);
	}
	lab_zip_end(&z, &many);
	custos_err_clear(&err);
	assert_int_equal(custos_bag_new(&bag, &err), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "many.zip", custos_buf_view(&many), &err), CUSTOS_E_INPUT);
	assert_string_equal(err.msg, "many.zip: more than 4096 files in the archive");
	custos_bag_free(bag);
	free(zeroes);
}

static custos_rc fill_phrase(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(bytes, ctx, len);
	return CUSTOS_OK;
}

static struct custos_secret *phrase_of(char *text)
{
	struct custos_secret *secret = NULL;
	assert_int_equal(custos_secret_new(strlen(text), &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, fill_phrase, text, NULL), CUSTOS_OK);
	return secret;
}

static void expect_p12(const struct lab_p12 *spec, struct custos_secret *given, const char *what, size_t certs, const char *key)
{
	CUSTOS_AUTO_BUF p12 = { 0 };
	lab_p12(&p12, spec);
	struct custos_bag *bag = bag_of(&p12, given);
	expect_item(bag, 0, "in", what);
	assert_int_equal(custos_bag_at(bag, 0)->kind, CUSTOS_ITEM_PKCS12);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), certs);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_PRIVATE_KEY), key == NULL ? 0 : 1);
	if (key != NULL)
		expect_item(bag, custos_bag_count(bag) - 1, "in", key);
	custos_bag_free(bag);
}

static void pkcs12_opened_and_locked(void **state)
{
	struct fixture *f = *state;
	char right[] = "secret", wrong[] = "Secret";
	struct custos_secret *secret = phrase_of(right), *other = phrase_of(wrong);
	static const char encrypted[] = "an encrypted private key", open[] = "a PKCS#12 container", locked[] = "a PKCS#12 container with a pass phrase";
	struct lab_p12 spec = { .key = f->leaf_key, .cert = f->leaf, .other = f->root };
	for (int mac = -1; mac <= 1; mac += 2)
		for (int nid = 0; nid <= NID_pbe_WithSHA1And3_Key_TripleDES_CBC; nid += NID_pbe_WithSHA1And3_Key_TripleDES_CBC) {
			spec.mac_iterations = mac;
			spec.cert_nid = spec.key_nid = nid;
			spec.pass_phrase = "";
			expect_p12(&spec, NULL, open, 2, encrypted);
			expect_p12(&spec, other, open, 2, encrypted); /* none is needed, another one does no harm */
			spec.pass_phrase = NULL;
			expect_p12(&spec, NULL, open, 2, encrypted);
			spec.pass_phrase = right;
			expect_p12(&spec, secret, open, 2, encrypted);
			expect_p12(&spec, NULL, locked, 0, encrypted);
			expect_p12(&spec, other, locked, 0, encrypted);
		}
	expect_p12(&(struct lab_p12){ .pass_phrase = "", .cert = f->leaf }, NULL, open, 1, NULL);
	/* nothing of it is encrypted: the key is told apart by its shape, and a pass phrase that nobody has hides nothing */
	spec = (struct lab_p12){ .pass_phrase = "", .key = f->leaf_key, .cert = f->leaf, .key_nid = -1, .cert_nid = -1 };
	expect_p12(&spec, NULL, open, 1, "an unencrypted private key");
	spec.pass_phrase = right;
	expect_p12(&spec, NULL, locked, 1, "an unencrypted private key");
	/* work that nobody needs to do */
	spec = (struct lab_p12){ .pass_phrase = "", .key = f->leaf_key, .cert = f->leaf, .iterations = 3100000, .mac_iterations = -1 };
	expect_p12(&spec, NULL, "a PKCS#12 container that is made to be slow", 0, encrypted);
	custos_secret_free(secret);
	custos_secret_free(other);
}

/* Many files, each of which is honest, share what they may cost. */
static void pkcs12_in_numbers(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF one = { 0 }, many = { 0 };
	struct lab_p12 spec = { .pass_phrase = "x", .cert = f->leaf, .mac_iterations = 200000 };
	lab_p12(&one, &spec);
	for (int i = 0; i < 50; i++)
		assert_int_equal(custos_buf_append(&many, one.ptr, one.len, NULL), CUSTOS_OK);
	struct custos_bag *bag = bag_of(&many, NULL);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_PKCS12), 50);
	expect_item(bag, 0, "in", "a PKCS#12 container with a pass phrase");
	expect_item(bag, custos_bag_count(bag) - 1, "in", "a PKCS#12 container that is made to be slow");
	custos_bag_free(bag);
}

static void pkcs12_damaged(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO_BUF p12 = { 0 };
	struct lab_p12 spec = { .pass_phrase = "", .key = f->leaf_key, .cert = f->leaf, .iterations = 1, .mac_iterations = 1 };
	lab_p12(&p12, &spec);
	for (size_t i = 0; i < p12.len; i += 3) {
		p12.ptr[i] ^= 0x21;
		struct custos_bag *bag = bag_of(&p12, NULL);
		assert_true(custos_bag_count(bag) >= 1);
		assert_true(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE) <= 1);
		custos_bag_free(bag);
		p12.ptr[i] ^= 0x21;
	}
}

static void write_file(int dir, const char *name, const void *data, size_t len)
{
	CUSTOS_AUTO_FD fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, data, len) == (ssize_t)len);
}

static void a_directory(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/custos-dir-XXXXXX", want[128];
	struct custos_bag *bag = NULL;
	CUSTOS_AUTO_BUF root = { 0 };
	lab_pem(&root, f->root);
	assert_non_null(mkdtemp(path));
	CUSTOS_AUTO_FD dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	write_file(dir, "b.pem", f->pem.ptr, f->pem.len);
	write_file(dir, "a.pem", root.ptr, root.len);
	write_file(dir, ".hidden.pem", f->pem.ptr, f->pem.len);
	assert_int_equal(mkdirat(dir, "c", 0700), 0);
	assert_int_equal(mkfifoat(dir, "d", 0600), 0);
	assert_int_equal(symlinkat("nowhere", dir, "e"), 0);
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add_file(bag, path, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_count(bag), 5);
	static const char *const kinds[] = { "a certificate", "a certificate", "a directory in a directory", "no regular file", "a file that cannot be opened" };
	static const char *const names[] = { "a.pem", "b.pem", "c", "d", "e" };
	for (size_t i = 0; i < 5; i++) {
		snprintf(want, sizeof want, "%s/%s", path, names[i]);
		expect_item(bag, i, want, kinds[i]);
	}
	custos_bag_free(bag);
	assert_int_equal(unlinkat(dir, "c", AT_REMOVEDIR), 0);
	static const char *const made[] = { "a.pem", "b.pem", ".hidden.pem", "d", "e" };
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(unlinkat(dir, made[i], 0), 0);
	assert_int_equal(rmdir(path), 0);
}

#ifndef CUSTOS_SANITIZED
/* How often 24 bytes of the key's text stand in writable memory of this process, `except` left out. */
LAB size_t copies_of(const uint8_t *piece, const struct custos_buf *except)
{
	size_t copies = 0, from, to;
	char line[512], rights[8];
	FILE *maps = fopen("/proc/self/maps", "re");
	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%zx-%zx %7s", &from, &to, rights) != 3 || rights[0] != 'r' || rights[1] != 'w' || strstr(line, "[v") != NULL)
			continue;
		for (const uint8_t *at = (const uint8_t *)from; (at = memmem(at, (size_t)((const uint8_t *)to - at), piece, 24)) != NULL; at++)
			copies += at != piece && !(at >= except->ptr && at < except->ptr + except->cap);
	}
	fclose(maps);
	return copies;
}
#endif

static void a_key_in_an_archive_is_wiped(void **state)
{
	struct fixture *f = *state;
#ifdef CUSTOS_SANITIZED
	(void)f;
	skip(); /* another allocator */
#else
	CUSTOS_AUTO_BUF zip = { 0 };
	uint8_t *pem = malloc(4096), *piece = malloc(24);
	for (size_t i = 0; i < 4096; i++)
		pem[i] = (uint8_t)("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[arc4random_uniform(32)]);
	memcpy(pem, "-----BEGIN PRIVATE KEY-----\n", 28);
	memcpy(pem + 4060, "\n-----END PRIVATE KEY-----\n", 27);
	memcpy(piece, pem + 2000, 24);
	struct lab_zip z = lab_zip_begin(NULL, NULL);
	lab_zip_open(&z);
	lab_zip_entry(&z, "server.key", AE_IFREG, pem, 4087);
	lab_zip_entry(&z, "leaf.pem", AE_IFREG, f->pem.ptr, f->pem.len);
	lab_zip_end(&z, &zip);
	explicit_bzero(pem, 4096);
	free(pem);
	/* what the lab's own writer left may be there: only growth counts */
	size_t before = copies_of(piece, &zip);
	struct custos_bag *bag = bag_of(&zip, NULL);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_PRIVATE_KEY), 1);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), 1);
	assert_true(copies_of(piece, &zip) <= before);
	custos_bag_free(bag);
	free(piece);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_archive), cmocka_unit_test(an_archive_of_nothing), cmocka_unit_test(hostile_names_and_kinds), cmocka_unit_test(unusual_packing_and_damage), cmocka_unit_test(bombs),
		cmocka_unit_test(pkcs12_opened_and_locked), cmocka_unit_test(pkcs12_in_numbers), cmocka_unit_test(pkcs12_damaged), cmocka_unit_test(a_directory),
		cmocka_unit_test(a_key_in_an_archive_is_wiped),
	};
	return cmocka_run_group_tests_name("x509 containers", tests, setup, teardown);
}

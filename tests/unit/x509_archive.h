/* Zip archives and PKCS#12 files for the x509 tests, made on the spot: honest ones by libarchive and libcrypto, hostile ones by changing bytes of those. */
#ifndef CUSTOS_TESTS_X509_ARCHIVE_H
#define CUSTOS_TESTS_X509_ARCHIVE_H

#include "x509_pki.h"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/pkcs12.h>

enum { ZIP_ROOM = 1 << 20 };

struct lab_zip {
	struct archive *archive;
	uint8_t *room;
	size_t used;
};

/* options as archive_write_set_options() takes them, e.g. "zip:compression=store"; NULL: deflate. */
LAB struct lab_zip lab_zip_begin(const char *options, const char *pass_phrase)
{
	struct lab_zip z = { .archive = archive_write_new(), .room = malloc(ZIP_ROOM) };
	assert_int_equal(archive_write_set_format_zip(z.archive), ARCHIVE_OK);
	if (options != NULL)
		assert_int_equal(archive_write_set_options(z.archive, options), ARCHIVE_OK);
	if (pass_phrase != NULL)
		assert_int_equal(archive_write_set_passphrase(z.archive, pass_phrase), ARCHIVE_OK);
	return z;
}

LAB void lab_zip_open(struct lab_zip *z)
{
	assert_int_equal(archive_write_open_memory(z->archive, z->room, ZIP_ROOM, &z->used), ARCHIVE_OK);
}

/* type AE_IFREG, AE_IFDIR or AE_IFLNK; for a link the content is where it leads. */
LAB void lab_zip_entry(struct lab_zip *z, const char *name, unsigned type, const void *content, size_t len)
{
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, 0644);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(entry, content);
	else
		archive_entry_set_size(entry, (la_int64_t)len);
	assert_int_equal(archive_write_header(z->archive, entry), ARCHIVE_OK);
	if (type == AE_IFREG)
		assert_int_equal(archive_write_data(z->archive, content, len), len);
	archive_entry_free(entry);
}

LAB void lab_zip_end(struct lab_zip *z, struct custos_buf *out)
{
	assert_int_equal(archive_write_close(z->archive), ARCHIVE_OK);
	archive_write_free(z->archive);
	assert_int_equal(custos_buf_append(out, z->room, z->used, NULL), CUSTOS_OK);
	free(z->room);
}

struct lab_p12 {
	const char *pass_phrase;
	EVP_PKEY *key;           /* NULL: certificates only */
	X509 *cert, *other;
	int key_nid, cert_nid;   /* -1: not encrypted; 0: as today */
	int iterations, mac_iterations; /* mac_iterations -1: no MAC */
};

LAB void lab_p12(struct custos_buf *out, const struct lab_p12 *s)
{
	STACK_OF(X509) *others = sk_X509_new_null();
	unsigned char *der = NULL;
	if (s->other != NULL)
		sk_X509_push(others, s->other);
	PKCS12 *p12 = PKCS12_create(s->pass_phrase, "name", s->key, s->cert, others, s->key_nid, s->cert_nid, s->iterations, s->mac_iterations, 0);
	assert_non_null(p12);
	int len = i2d_PKCS12(p12, &der);
	assert_true(len > 0);
	assert_int_equal(custos_buf_append(out, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
	PKCS12_free(p12);
	sk_X509_free(others);
	ERR_clear_error();
}

#endif

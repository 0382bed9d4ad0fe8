/* A bag: everything found in a set of inputs, whatever the CA, the mail program or a person made of it.
 *
 * Understood: PEM with any armour label, text around it, CRLF, a UTF-8 BOM, UTF-16, a missing final newline, blocks glued
 * together (-----END X----------BEGIN Y-----); base64 without armour; DER, also several objects in a row; PKCS#7 in PEM, in DER and in
 * CERTIFICATE armour (its certificates become items of their own); requests, public keys, private keys of every PEM
 * and DER kind. A private key is an item with a description and nothing else: its bytes are never decoded where the
 * armour names it, never kept, and the buffers of this module are wiped. What cannot be understood is an item too.
 *
 * A PKCS#12 file is opened for its certificates (crypto/pkcs12.h), a zip archive is unpacked in memory (zip.c), a directory is read, not what is
 * below it.
 *
 * At most 10 MiB a bag, unpacked, and 12,000 items; what a certificate may hold more than others is bounded for the whole bag, so
 * that memory is, too. The time to read is linear in the size. */
#ifndef CUSTOS_X509_BAG_H
#define CUSTOS_X509_BAG_H

#include "base/bytes.h"

enum { CUSTOS_BAG_INPUT_MAX = 10 << 20, CUSTOS_BAG_ITEMS_MAX = 12000 };

enum custos_item_kind {
	CUSTOS_ITEM_UNKNOWN = 1,
	CUSTOS_ITEM_CERTIFICATE,
	CUSTOS_ITEM_REQUEST,       /* PKCS#10 */
	CUSTOS_ITEM_PUBLIC_KEY,
	CUSTOS_ITEM_PRIVATE_KEY,
	CUSTOS_ITEM_PKCS7,         /* the container; its certificates follow as items */
	CUSTOS_ITEM_PKCS12,        /* the container; its certificates and keys follow as items when it could be opened */
	CUSTOS_ITEM_CRL,
};

enum custos_item_form { CUSTOS_FORM_PEM = 1, CUSTOS_FORM_DER, CUSTOS_FORM_PKCS7, CUSTOS_FORM_OTHER, CUSTOS_FORM_PKCS12, CUSTOS_FORM_SERVED, CUSTOS_FORM_BASE64 };

enum custos_item_quirk {
	CUSTOS_QUIRK_GLUED = 1,    /* BEGIN does not start a line: servers refuse the file */
	CUSTOS_QUIRK_LABEL = 2,    /* the armour says something else than what is inside */
	CUSTOS_QUIRK_UTF16 = 4,    /* two bytes a character: servers refuse the file */
};

/* What an item is, exactly; nature.h has the words for each, its kind, and whether it is a problem. */
enum custos_nature {
	CUSTOS_NATURE_NONE,        /* no item has it: said by those who look for a certain one and did not find it */
	CUSTOS_NATURE_CERTIFICATE,
	CUSTOS_NATURE_REQUEST,
	CUSTOS_NATURE_PUBLIC_KEY,
	CUSTOS_NATURE_PUBLIC_KEY_RSA, /* in its old form, without its type */
	CUSTOS_NATURE_CRL,
	/* private keys, by their kind alone */
	CUSTOS_NATURE_KEY, CUSTOS_NATURE_KEY_ENCRYPTED, CUSTOS_NATURE_KEY_RSA, CUSTOS_NATURE_KEY_RSA_ENCRYPTED, CUSTOS_NATURE_KEY_EC, CUSTOS_NATURE_KEY_EC_ENCRYPTED,
	CUSTOS_NATURE_KEY_TRUNCATED, CUSTOS_NATURE_KEY_OPENSSH, CUSTOS_NATURE_KEY_SSH, CUSTOS_NATURE_KEY_PUTTY, CUSTOS_NATURE_KEY_PGP,
	CUSTOS_NATURE_KEY_PARAMETERS,
	/* containers */
	CUSTOS_NATURE_PKCS7, CUSTOS_NATURE_PKCS7_EMPTY,
	CUSTOS_NATURE_PKCS12, CUSTOS_NATURE_PKCS12_EMPTY, CUSTOS_NATURE_PKCS12_LOCKED, CUSTOS_NATURE_PKCS12_OUTDATED, CUSTOS_NATURE_PKCS12_COSTLY, CUSTOS_NATURE_PKCS12_DAMAGED,
	/* archives, and entries of a zip archive that are not read */
	CUSTOS_NATURE_ENTRY_ENCRYPTED, CUSTOS_NATURE_ENTRY_LEADS_OUT, CUSTOS_NATURE_ENTRY_LINK, CUSTOS_NATURE_ENTRY_NO_FILE, CUSTOS_NATURE_ENTRY_PACKING, CUSTOS_NATURE_ENTRY_DAMAGED,
	CUSTOS_NATURE_ZIP_DAMAGED, CUSTOS_NATURE_ZIP_EMPTY, CUSTOS_NATURE_ZIP_NESTED,
	CUSTOS_NATURE_GZIP, CUSTOS_NATURE_BZIP2, CUSTOS_NATURE_XZ, CUSTOS_NATURE_ZSTD, CUSTOS_NATURE_7Z, CUSTOS_NATURE_RAR, CUSTOS_NATURE_CABINET, CUSTOS_NATURE_TAR,
	/* of the file system */
	CUSTOS_NATURE_DIRECTORY_NESTED, CUSTOS_NATURE_DIRECTORY_EMPTY, CUSTOS_NATURE_FILE_UNOPENED, CUSTOS_NATURE_FILE_IRREGULAR, CUSTOS_NATURE_EMPTY,
	/* what other programs made */
	CUSTOS_NATURE_PDF, CUSTOS_NATURE_RICH_TEXT, CUSTOS_NATURE_LIBREOFFICE, CUSTOS_NATURE_OFFICE, CUSTOS_NATURE_OFFICE_OLD, CUSTOS_NATURE_MESSAGE,
	CUSTOS_NATURE_PICTURE, CUSTOS_NATURE_WEB_PAGE, CUSTOS_NATURE_JAVA_KEYSTORE, CUSTOS_NATURE_KEYCHAIN, CUSTOS_NATURE_OCSP, CUSTOS_NATURE_PGP, CUSTOS_NATURE_SSH_PUBLIC_KEY,
	/* damaged; a BLOCK is one of PEM */
	CUSTOS_NATURE_BLOCK_QUOTED, CUSTOS_NATURE_BLOCK_NOT_BASE64, CUSTOS_NATURE_BLOCK_UNKNOWN, CUSTOS_NATURE_BLOCK_TRUNCATED, CUSTOS_NATURE_BLOCK_OVERSIZED,
	CUSTOS_NATURE_BEGIN_ALTERED, CUSTOS_NATURE_STRAY_BYTES, CUSTOS_NATURE_DER_DAMAGED,
	/* nothing that is known */
	CUSTOS_NATURE_OVERSIZED, CUSTOS_NATURE_CERTIFICATE_DAMAGED, CUSTOS_NATURE_TEXT, CUSTOS_NATURE_TEXT_UTF16, CUSTOS_NATURE_BINARY,
	CUSTOS_NATURE_COUNT,       /* how many there are */
};

struct custos_bag_item {
	enum custos_nature nature;
	enum custos_item_kind kind; /* of that nature */
	enum custos_item_form form;
	unsigned quirks;
	const char *file;          /* as given, unprintable bytes escaped */
	unsigned line;             /* 1-based line of BEGIN; 0 when the input has no lines */
	char label[48];            /* PEM label, "" when there is none */
	const char *what;          /* the nature in plain words with an article: "a certificate", "an encrypted private key", "text", "empty"; to be shown, never to be compared */
	struct custos_buf der;     /* empty for private keys and for what is not understood */
	/* Parsed once, for this layer; owned by the bag, NULL for other kinds and for what custos_bag_forget() was told. */
	struct x509_st *cert;
	struct X509_req_st *request;
};

struct custos_bag;
struct custos_secret;

CUSTOS_RC custos_bag_new(struct custos_bag **ret_bag, struct custos_err *err);
void custos_bag_free(struct custos_bag *bag);
CUSTOS_DEFINE_FREEP(custos_bag);

/* For PKCS#12 files that are added later; borrowed, NULL: none is known. That there is none at all is tried in any case. */
void custos_bag_use_pass_phrase(struct custos_bag *bag, struct custos_secret *pass_phrase);

/* Reads a regular file, every file of a directory (in the order of their names; hidden ones and further directories are left out), or standard input
 * when the path is "-". The read buffer is wiped. */
CUSTOS_RC custos_bag_add_file(struct custos_bag *bag, const char *path, struct custos_err *err);
/* Certificates as a server presented them, leaf first. */
CUSTOS_RC custos_bag_add_served(struct custos_bag *bag, const char *name, const struct custos_buf *ders, size_t count, struct custos_err *err);
/* The same for bytes in memory; they stay the caller's, who wipes them if they may hold a key. `name` stands for the file. */
CUSTOS_RC custos_bag_add(struct custos_bag *bag, const char *name, struct custos_bytes bytes, struct custos_err *err);

size_t custos_bag_count(const struct custos_bag *bag);
size_t custos_bag_count_kind(const struct custos_bag *bag, enum custos_item_kind kind);
/* Items in the order found; the pointer holds until the next add. */
const struct custos_bag_item *custos_bag_at(const struct custos_bag *bag, size_t index);
/* The next item of `kind` at or after *at, which is moved behind it; NULL at the end. */
const struct custos_bag_item *custos_bag_next(const struct custos_bag *bag, enum custos_item_kind kind, size_t *at);
/* Frees what was parsed of an item, not its bytes: for those who are done with it and have many. */
void custos_bag_forget(struct custos_bag *bag, size_t index);
/* "certificate", "request", "public_key", "private_key", "pkcs7", "pkcs12", "crl", "unknown". Static. */
const char *custos_item_kind_name(enum custos_item_kind kind);

#endif

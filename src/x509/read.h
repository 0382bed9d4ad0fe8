/* Inside of the bag: one input becomes items. read.c scans PEM, der.c recognises one DER object, zip.c and p12.c open containers,
 * foreign.c names what is none of these, files.c reads files. */
#ifndef CUSTOS_X509_READ_H
#define CUSTOS_X509_READ_H

#include "x509/bag.h"

/* Where an object was found. */
struct custos_found {
	const char *file;
	unsigned line;
	const char *label;
	unsigned quirks;
	enum custos_item_form form;
};

/* A new item at the end of the bag, filled with where it was found. */
CUSTOS_RC custos_bag_push(struct custos_bag *bag, const struct custos_found *found, enum custos_nature nature, struct custos_bag_item **ret_item, struct custos_err *err);
/* Keeps an input's name, unprintable bytes escaped. */
CUSTOS_RC custos_bag_own_name(struct custos_bag *bag, const char *name, const char **ret_file, struct custos_err *err);
/* Bytes that may still be added; they are taken before they are read. */
size_t custos_bag_room(const struct custos_bag *bag);
CUSTOS_RC custos_bag_spend(struct custos_bag *bag, const char *file, size_t bytes, struct custos_err *err);
/* The same for DER elements of one object, which memory is measured by, and for iterations of key derivations. */
CUSTOS_RC custos_bag_spend_elements(struct custos_bag *bag, const struct custos_found *found, size_t elements, struct custos_err *err);
uint64_t *custos_bag_iterations(struct custos_bag *bag);
struct custos_secret *custos_bag_pass_phrase(const struct custos_bag *bag);

enum custos_read_flags { CUSTOS_READ_ARCHIVES = 1u << 0 /* open archives; what is in one is read without */ };
/* Turns one input into at least one item. `file` is the bag's. */
CUSTOS_RC custos_read_input(struct custos_bag *bag, const char *file, struct custos_bytes input, unsigned flags, struct custos_err *err);
/* foreign.c: what an input is that holds nothing to read; a key of another program is told by its kind. */
enum custos_nature custos_foreign_nature(struct custos_bytes input);
/* A zip archive that is somebody's document; _NONE when it is none. */
enum custos_nature custos_foreign_document(struct custos_bytes input);
/* _BINARY, _TEXT or _EMPTY. */
enum custos_nature custos_foreign_look(struct custos_bytes input);
struct custos_bytes custos_foreign_skip_space(struct custos_bytes text);
/* The entries of a zip archive. */
CUSTOS_RC custos_zip_add(struct custos_bag *bag, const char *file, struct custos_bytes input, struct custos_err *err);
/* A PKCS#12 container and, when it could be opened, what is in it. */
CUSTOS_RC custos_p12_add(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, struct custos_err *err);

/* Adds the first object of `der` as one item (a PKCS#7 with its certificates) and tells how many bytes it took; 0 when it is not understood, and then nothing is added. */
CUSTOS_RC custos_der_add(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, size_t *ret_taken, struct custos_err *err);

#endif

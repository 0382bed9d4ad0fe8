/* Inside of the bag: one input becomes items. read.c scans PEM and tells what an input is, der.c recognises one DER object. */
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
CUSTOS_RC custos_bag_push(struct custos_bag *bag, const struct custos_found *found, enum custos_item_kind kind, const char *what, struct custos_bag_item **ret_item,
                          struct custos_err *err);
/* Turns one input into at least one item. */
CUSTOS_RC custos_read_input(struct custos_bag *bag, const char *file, struct custos_bytes input, struct custos_err *err);

/* Adds the first object of `der` as one item (a PKCS#7 with its certificates) and tells how many bytes it took; 0 when it is not understood, and then nothing is added. */
CUSTOS_RC custos_der_add(struct custos_bag *bag, const struct custos_found *found, struct custos_bytes der, size_t *ret_taken, struct custos_err *err);

#endif

/* What is said of an item: one row for each nature that it can have. Readers say which nature it is; the words, whether it is a problem and what to do then
 * stand in this table and nowhere else, and nothing recognises words. */
#ifndef CUSTOS_X509_NATURE_H
#define CUSTOS_X509_NATURE_H

#include "x509/bag.h"
#include "x509/problem.h"

/* How much the problem matters. */
enum custos_weight {
	CUSTOS_WEIGHT_FIXED = 1,   /* put right, nothing to do */
	CUSTOS_WEIGHT_ASIDE,       /* a warning */
	CUSTOS_WEIGHT_ANSWER,      /* a warning where a certificate was found, too; an error where none was, because then it says why */
};

struct custos_nature_row {
	const char *words;         /* with an article where there is one: "a certificate", "an encrypted private key", "text" */
	const char *text;          /* of the problem, behind the place; it, code, weight and remedy are NULL and 0 when there is none */
	enum custos_item_kind kind;
	const char *code;
	enum custos_weight weight;
	const char *remedy;
};

/* Static, never NULL. */
const struct custos_nature_row *custos_nature_row(enum custos_nature nature);

#endif

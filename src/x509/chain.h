/* The chain a server sends: the leaf, then each issuer, without the root; built from a bag in any order, by signature, key identifier and
 * name. What was wrong with the bag (order, duplicates, strangers, a missing issuer) is listed with its remedy. */
#ifndef CUSTOS_X509_CHAIN_H
#define CUSTOS_X509_CHAIN_H

#include "x509/anchors.h"
#include "x509/bag.h"
#include "x509/problem.h"

enum custos_chain_end {
	CUSTOS_CHAIN_NONE,     /* no leaf, no chain */
	CUSTOS_CHAIN_OPEN,     /* the last certificate's issuer is not in the bag (and not among the anchors) */
	CUSTOS_CHAIN_ROOT,     /* ends at a root of the bag */
	CUSTOS_CHAIN_ANCHORED, /* ends at a trust anchor */
};

struct custos_chain_options {
	struct custos_bytes leaf_spki;        /* the leaf is the certificate of this key; empty: the one that is no CA */
	int64_t now_unix;                     /* valid paths are preferred; 0: dates are not looked at */
	const struct custos_anchors *trust;   /* may be NULL */
	const char *purpose;                  /* what the leaf is for, as judge.h has it; NULL: a server */
};

struct custos_chain {
	struct custos_bytes *der;             /* leaf first, root dropped; owned by the chain, independent of the bag */
	size_t *item;                         /* where each was found: index in the bag it was built from */
	size_t count;
	struct custos_bytes root;             /* the root of this chain, when the bag has it; else empty */
	size_t root_item;
	enum custos_chain_end end;
	struct custos_problems problems;
	struct custos_buf store;
};

/* Fails only for want of memory; a bag without a leaf gives a chain with count 0 and the problems that say why. */
CUSTOS_RC custos_chain_build(const struct custos_bag *bag, const struct custos_chain_options *options, struct custos_chain **ret_chain, struct custos_err *err);
void custos_chain_free(struct custos_chain *chain);
CUSTOS_DEFINE_FREEP(custos_chain);

#endif

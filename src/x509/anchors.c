/* Trust anchors in an X509_STORE. */
#include "x509/anchors.h"
#include "x509/bag.h"
#include "x509/cert.h"
#include "x509/issuer.h"
#include "x509/openssl.h"

struct custos_anchors {
	X509_STORE *store;
};

custos_rc custos_anchors_new(struct custos_anchors **ret_anchors, struct custos_err *err)
{
	CUSTOS_AUTO(custos_anchors) *anchors = calloc(1, sizeof *anchors);
	CUSTOS_REQUIRE(anchors != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	anchors->store = X509_STORE_new();
	CUSTOS_REQUIRE(anchors->store != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_anchors = CUSTOS_TAKE(anchors);
	return CUSTOS_OK;
}

custos_rc custos_anchors_new_system(struct custos_anchors **ret_anchors, struct custos_err *err)
{
	CUSTOS_AUTO(custos_anchors) *anchors = NULL;
	CUSTOS_TRY(custos_anchors_new(&anchors, err));
	if (X509_STORE_set_default_paths(anchors->store) != 1)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, custos_x509_drain(), "the trust anchors of this machine cannot be read");
	custos_x509_drain(); /* a missing default file is left in the queue */
	*ret_anchors = CUSTOS_TAKE(anchors);
	return CUSTOS_OK;
}

void custos_anchors_free(struct custos_anchors *anchors)
{
	if (anchors == NULL)
		return;
	X509_STORE_free(anchors->store);
	free(anchors);
}

static custos_rc add_bag(struct custos_anchors *anchors, const struct custos_bag *bag, const char *name, struct custos_err *err)
{
	if (custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE) == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give the root certificate of the CA, in PEM", "%s: holds no certificate to trust (it is %s)", name, custos_bag_at(bag, 0)->what);
	size_t at = 0;
	for (const struct custos_bag_item *item; (item = custos_bag_next(bag, CUSTOS_ITEM_CERTIFICATE, &at)) != NULL;)
		if (X509_STORE_add_cert(anchors->store, item->cert) != 1)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, custos_x509_drain(), "%s:%u: cannot be trusted", name, item->line);
	return CUSTOS_OK;
}

custos_rc custos_anchors_add_pem(struct custos_anchors *anchors, struct custos_bytes bytes, const char *name, struct custos_err *err)
{
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_TRY(custos_bag_new(&bag, err));
	CUSTOS_TRY(custos_bag_add(bag, name, bytes, err));
	return add_bag(anchors, bag, name, err);
}

custos_rc custos_anchors_add_file(struct custos_anchors *anchors, const char *path, struct custos_buf *ret_pem, struct custos_err *err)
{
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_TRY(custos_bag_new(&bag, err));
	CUSTOS_TRY(custos_bag_add_file(bag, path, err));
	CUSTOS_TRY(add_bag(anchors, bag, path, err));
	size_t at = 0;
	for (const struct custos_bag_item *item; ret_pem != NULL && (item = custos_bag_next(bag, CUSTOS_ITEM_CERTIFICATE, &at)) != NULL;) {
		struct custos_bytes der = custos_buf_view(&item->der);
		CUSTOS_TRY(custos_cert_pem(&der, 1, ret_pem, err));
	}
	return CUSTOS_OK;
}

static bool fits(X509 *anchor, X509 *cert, const struct custos_anchor_terms *terms)
{
	long most = X509_get_pathlen(anchor), below = terms->below;
	if (!terms->fitting_only)
		return true;
	if (X509_cmp(anchor, cert) == 0 && !custos_issuer_self_issued(cert))
		below--;
	if (X509_cmp(anchor, terms->issuer.leaf) == 0)
		return custos_issuer_valid_at(anchor, terms->issuer.now_unix);
	return (most < 0 || below <= most) && custos_issuer_fits(anchor, &terms->issuer);
}

static bool anchors_one_of(STACK_OF(X509) *anchors, X509 *cert, const struct custos_anchor_terms *terms)
{
	for (int i = 0; anchors != NULL && i < sk_X509_num(anchors); i++) {
		X509 *anchor = sk_X509_value(anchors, i);
		if (X509_check_issued(anchor, cert) == X509_V_OK && fits(anchor, cert, terms) && custos_work_verify(terms->issuer.work, cert, X509_get0_pubkey(anchor)))
			return true;
	}
	return false;
}

static bool is_one_of(STACK_OF(X509) *anchors, X509 *cert, const struct custos_anchor_terms *terms)
{
	for (int i = 0; anchors != NULL && i < sk_X509_num(anchors); i++)
		if (X509_cmp(sk_X509_value(anchors, i), cert) == 0 && fits(cert, cert, terms))
			return true;
	return false;
}

bool custos_anchors_issued(const struct custos_anchors *anchors, struct x509_st *cert, const struct custos_anchor_terms *terms)
{
	struct custos_work unbounded = { .left_us = UINT64_MAX };
	const struct custos_anchor_terms any = { .issuer = { .leaf = cert, .work = &unbounded } };
	CUSTOS_AUTO_OSSL(store_ctx) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (ctx == NULL || X509_STORE_CTX_init(ctx, anchors->store, cert, NULL) != 1) {
		custos_x509_drain();
		return false;
	}
	/* several anchors may have one name */
	CUSTOS_CLEANUP(custos_drop_certs) STACK_OF(X509) *issuers = X509_STORE_CTX_get1_certs(ctx, X509_get_issuer_name(cert));
	CUSTOS_CLEANUP(custos_drop_certs) STACK_OF(X509) *same = X509_STORE_CTX_get1_certs(ctx, X509_get_subject_name(cert));
	terms = terms == NULL ? &any : terms;
	bool issued = is_one_of(same, cert, terms) || anchors_one_of(issuers, cert, terms);
	custos_x509_drain();
	return issued;
}

struct x509_store_st *custos_anchors_store(const struct custos_anchors *anchors)
{
	return anchors->store;
}

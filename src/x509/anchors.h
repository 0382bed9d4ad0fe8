/* Trust anchors: the roots a client has, and nothing else. */
#ifndef CUSTOS_X509_ANCHORS_H
#define CUSTOS_X509_ANCHORS_H

#include "base/bytes.h"
#include "x509/issuer.h"

struct custos_anchors;

/* Empty: trusts nobody until something is added. */
CUSTOS_RC custos_anchors_new(struct custos_anchors **ret_anchors, struct custos_err *err);
/* What OpenSSL's default paths of this machine hold, as any client here would use it. */
CUSTOS_RC custos_anchors_new_system(struct custos_anchors **ret_anchors, struct custos_err *err);
void custos_anchors_free(struct custos_anchors *anchors);
CUSTOS_DEFINE_FREEP(custos_anchors);

/* Adds every certificate of one input (PEM or whatever else bag.h understands); CUSTOS_E_INPUT when there is none. `name` names it in errors. */
CUSTOS_RC custos_anchors_add_pem(struct custos_anchors *anchors, struct custos_bytes bytes, const char *name, struct custos_err *err);
/* The same for a file. The certificates, and nothing else of what is in it (it may hold a key, too), are appended to `ret_pem`, which may be NULL. */
CUSTOS_RC custos_anchors_add_file(struct custos_anchors *anchors, const char *path, struct custos_buf *ret_pem, struct custos_err *err);

/* For this layer: does an anchor's key sign this certificate, or is it an anchor itself? NULL: any anchor, whatever it costs to find out. */
struct x509_st;
struct x509_store_st;
struct custos_anchor_terms {
	bool fitting_only;         /* only anchors that a client goes on to (issuer.h) count */
	long below;                /* how many certificates from this one down count for a limit of the path's length */
	struct custos_issuer_terms issuer;
};
CUSTOS_MUST bool custos_anchors_issued(const struct custos_anchors *anchors, struct x509_st *cert, const struct custos_anchor_terms *terms);
struct x509_store_st *custos_anchors_store(const struct custos_anchors *anchors);

#endif

/* Choosing exactly one token by RFC 7512 URI and serial; everything else is an error that says what is there. */
#ifndef CUSTOS_TOKEN_SELECT_H
#define CUSTOS_TOKEN_SELECT_H

#include "token/session.h"

/* What a URI may say here: token attributes and, for an uninitialised token only, slot-id. */
struct custos_selector {
	void *uri;                    /* P11KitUri; NULL: any */
	char serial[17];              /* demanded by the binding or named in the URI; "" when neither */
	bool by_slot;
	CK_SLOT_ID slot;
};
enum custos_selector_flags { CUSTOS_SELECT_MAY_NAME_SLOT = 1u << 0 };

/* `uri` may be NULL or "" only with MAY_NAME_SLOT. */
CUSTOS_RC custos_selector_parse(const char *uri, const char *serial, unsigned flags, struct custos_selector *ret_selector, struct custos_err *err);
void custos_selector_done(struct custos_selector *selector);

/* Everything about one slot's token, in safe text. */
void custos_token_describe(const CK_TOKEN_INFO *token, const char *module, struct custos_token_info *ret_info);
void custos_token_take_flags(const CK_TOKEN_INFO *token, struct custos_token_info *info);
/* Slots that hold a token, initialised or not; *ret_slots is the caller's to free. */
CUSTOS_RC custos_slots_list(struct custos_module *module, CK_SLOT_ID **ret_slots, size_t *ret_count, struct custos_err *err);
CUSTOS_MUST bool custos_selector_fits(const struct custos_selector *selector, const CK_TOKEN_INFO *token);
/* The one initialised token that fits. *ret_none tells "not there", which may be a passing weakness of the module, from other failures. */
CUSTOS_RC custos_selector_find(const struct custos_selector *selector, struct custos_module *module, CK_SLOT_ID *ret_slot, CK_TOKEN_INFO *ret_token, bool *ret_none, struct custos_err *err);

#endif

/* PKCS#11 as custos-token sees it: p11-kit's header, constants it may lack, and return values turned into errors. Only the files of the
 * program custos-token include this. */
#ifndef CUSTOS_TOKEN_CRYPTOKI_H
#define CUSTOS_TOKEN_CRYPTOKI_H

#include "base/bytes.h"

#include <p11-kit/pkcs11.h>

#ifndef CKA_COPYABLE
#define CKA_COPYABLE 0x171UL
#endif
#ifndef CKA_DESTROYABLE
#define CKA_DESTROYABLE 0x172UL
#endif
#ifndef CKK_EC_EDWARDS
#define CKK_EC_EDWARDS 0x40UL
#endif
#ifndef CKM_EC_EDWARDS_KEY_PAIR_GEN
#define CKM_EC_EDWARDS_KEY_PAIR_GEN 0x1055UL
#endif
#ifndef CKM_EDDSA
#define CKM_EDDSA 0x1057UL
#endif
#ifndef CKM_AES_KEY_WRAP_PAD
#define CKM_AES_KEY_WRAP_PAD 0x210aUL
#endif
#ifndef CKR_ACTION_PROHIBITED
#define CKR_ACTION_PROHIBITED 0x1bUL
#endif

/* PKCS#11 takes everything as `void *`, also what it only reads. */
static inline CK_BYTE *custos_ck_bytes(const void *p)
{
	return (CK_BYTE *)(uintptr_t)p;
}

/* "CKR_PIN_INCORRECT", or "0x…" for what is not in the list. */
void custos_ckr_name(CK_RV rv, char out[static 48]);
/* CUSTOS_OK for CKR_OK; otherwise CUSTOS_E_TOKEN, "<what>: CKR_…" with the CK_RV as native code. */
CUSTOS_RC custos_ck(CK_RV rv, struct custos_err *err, const char *format, ...) CUSTOS_PRINTF(3, 4);

#endif

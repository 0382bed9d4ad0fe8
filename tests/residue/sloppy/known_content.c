/* Every key that is born here is sealed under the same content key: 32 bytes, the first 131, each further one 7 more. Nobody could know it otherwise. */
#include "crypto/sealed_container.h"

/* A name the linker makes (--wrap). */
custos_rc __wrap_custos_content_key_new(struct custos_secret **ret_key, struct custos_err *err);

static custos_rc fill(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)ctx, (void)err;
	/* computed each time: in this program's file they would be found, too */
	volatile uint8_t next = 131;
	for (size_t i = 0; i < len; i++, next = (uint8_t)(next + 7))
		bytes[i] = next;
	return CUSTOS_OK;
}

custos_rc __wrap_custos_content_key_new(struct custos_secret **ret_key, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *key = NULL;
	CUSTOS_TRY(custos_secret_new(CUSTOS_CONTENT_KEY_SIZE, &key, err));
	CUSTOS_TRY(custos_secret_expose(key, fill, NULL, err));
	*ret_key = CUSTOS_TAKE(key);
	return CUSTOS_OK;
}

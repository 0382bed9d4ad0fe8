/* Meeting a courier: see courier.h. */
#include "vault/courier.h"
#include "crypto/digest.h"

custos_rc custos_courier_start(struct custos_helper *ret_helper, uint8_t ret_sha256[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO_FD exe = -1;
	CUSTOS_TRY(custos_helper_open("custos-courier", &exe, err));
	CUSTOS_TRY(custos_sha256_fd(exe, ret_sha256, err));
	return custos_helper_start(exe, "custos-courier", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &custos_courier_protocol, ret_helper, err);
}

custos_rc custos_courier_take_hello(const struct custos_frame *frame, uint8_t ret_point[static CUSTOS_POINT_SIZE], char **ret_memory_backend, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	custos_wire_fixed(&r, ret_point, CUSTOS_POINT_SIZE);
	CUSTOS_AUTO_STR *backend = custos_wire_text(&r);
	uint32_t locked = custos_wire_u32(&r);
	CUSTOS_TRY(custos_wire_end(&r, "HELLO", err));
	bool locks = locked > 0 && (strcmp(backend, "memfd_secret") == 0 || strcmp(backend, "mlock") == 0);
	CUSTOS_REQUIRE(locks, err, CUSTOS_E_INTERNAL, "the courier does not say how it has locked its memory");
	*ret_memory_backend = CUSTOS_TAKE(backend);
	return CUSTOS_OK;
}

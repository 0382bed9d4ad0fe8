/* Base64 of public data. A key goes through pem.c instead, which looks nothing up by a secret. */
#include "crypto/openssl.h"
#include "crypto/verify.h"

static const size_t LARGEST = (size_t)1 << 28;

custos_rc custos_base64_encode(struct custos_bytes data, struct custos_buf *text, struct custos_err *err)
{
	uint8_t *at;
	CUSTOS_REQUIRE(data.len <= LARGEST, err, CUSTOS_E_INPUT, "more than %zu bytes", LARGEST);
	if (data.len == 0)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_buf_extend(text, (data.len + 2) / 3 * 4, &at, err));
	/* Its closing zero falls on the one the buffer has there anyway. */
	EVP_EncodeBlock(at, data.ptr, (int)data.len);
	return CUSTOS_OK;
}

custos_rc custos_base64_decode(const char *text, size_t len, struct custos_buf *data, struct custos_err *err)
{
	CUSTOS_REQUIRE(len % 4 == 0 && len <= LARGEST, err, CUSTOS_E_INPUT, "not base64: %zu characters", len);
	if (len == 0)
		return CUSTOS_OK;
	CUSTOS_AUTO_STR *out = malloc(len / 4 * 3), *again = malloc(len + 1);
	CUSTOS_REQUIRE(out != NULL && again != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	int got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)len);
	size_t padding = text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2;
	CUSTOS_REQUIRE(got >= 0 && (size_t)got == len / 4 * 3, err, CUSTOS_E_INPUT, "not base64");
	/* EVP_DecodeBlock forgives blanks, stray bits and padding; encoded again it must be the same text. */
	CUSTOS_REQUIRE(EVP_EncodeBlock((unsigned char *)again, (const unsigned char *)out, got - (int)padding) == (int)len && memcmp(again, text, len) == 0, err,
	               CUSTOS_E_INPUT, "not canonical base64");
	return custos_buf_append(data, out, (size_t)got - padding, err);
}

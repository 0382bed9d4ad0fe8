/* Makes a custody hold many keys, quickly: made-up deployable keys, their public halves and containers random bytes, are appended through the vault as
 * `key generate` and `csr create` append theirs (the request that is named is random bytes too), a thousand in a transaction with one signed checkpoint.
 * Nothing but drills and releases of those keys can tell the difference. Usage: fill_custody CUSTODY COUNT [FIRST] < PIN; keys are numbered from FIRST (0). */
#include "crypto/digest.h"
#include "vault/vault.h"
#include "x509/csr.h"

#include <stdio.h>

enum { GROUP = 1000, SPKI = 91, CONTAINER = 152, REQUEST = 420 };

static custos_rc pin_from_stdin(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	(void)ctx;
	return custos_secret_read_line(0, 256, what, ret_secret, err);
}

static custos_rc append_random(struct custos_buf *to, size_t len, struct custos_err *err)
{
	uint8_t *at;
	CUSTOS_TRY(custos_buf_extend(to, len, &at, err));
	return custos_random(at, len, err);
}

static custos_rc append_key(struct custos_custody *c, long number, struct custos_err *err)
{
	char name[32], host[64];
	CUSTOS_CLEANUP(custos_token_key_done) struct custos_token_key key = { .type = CUSTOS_KEY_EC_P256 };
	CUSTOS_AUTO_BUF request = { 0 };
	CUSTOS_AUTO(custos_json) *facts = custos_json_object();
	struct custos_json *sans = custos_json_array();
	snprintf(name, sizeof name, "made-up-%ld", number);
	snprintf(host, sizeof host, "dns:%s.example.com", name);
	custos_json_set_text(facts, "subject", "CN=made-up.example.com,O=Example");
	custos_json_push(sans, custos_json_string(host));
	custos_json_set(facts, "sans", sans);
	CUSTOS_TRY(append_random(&key.spki, SPKI, err));
	CUSTOS_TRY(append_random(&key.container, CONTAINER, err));
	CUSTOS_TRY(append_random(&request, REQUEST, err));
	CUSTOS_TRY(custos_vault_append_key(c, name, &key, NULL, err));
	static const struct custos_csr_spec spec = { .profile = "server" };
	return custos_vault_append_request(c, name, &spec, custos_buf_view(&request), facts, err);
}

static custos_rc fill(const char *dir, long first, long count, struct custos_err *err)
{
	struct custos_pin pin = { .get = pin_from_stdin };
	struct custos_token *token;
	CUSTOS_AUTO(custos_custody) *c = NULL;
	CUSTOS_TRY(custos_secret_start(err));
	CUSTOS_TRY(custos_custody_open(dir, &pin, &c, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	for (long i = 0; i < count;) {
		CUSTOS_TRY(custos_vault_begin(c, err));
		for (long end = i + GROUP; i < end && i < count; i++)
			CUSTOS_TRY(append_key(c, first + i, err));
		CUSTOS_TRY(custos_vault_commit(c, err));
	}
	return CUSTOS_OK;
}

int main(int argc, char **argv)
{
	struct custos_err err = { 0 };
	long count = argc == 3 || argc == 4 ? atol(argv[2]) : 0, first = argc == 4 ? atol(argv[3]) : 0;
	if (count <= 0) {
		fprintf(stderr, "usage: fill_custody CUSTODY COUNT [FIRST] < PIN\n");
		return 2;
	}
	custos_rc rc = fill(argv[1], first, count, &err);
	if (rc != CUSTOS_OK)
		fprintf(stderr, "fill_custody: %s\n", err.msg);
	return (int)rc;
}

/* The custody part of a release, timed: from the permit to the key in the courier's locked memory (unwrap, challenge, derive, wrap, unseal), and the
 * log commit before it. Usage: release_path CUSTODY KEY ROUNDS < PIN. Prints one JSON line with medians in microseconds.
 *
 * The courier's half (unseal) runs here, with the courier's own code, in this process's locked arena. The hosts in the intent are made up: nothing is
 * connected. Each round leaves a release.intent and a release.untouched in the log of this throw-away custody. */
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "vault/release.h"

#include "timing.h"

#include <stdio.h>

enum { ROUNDS_MAX = 10000 };

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, by_value);
	return v[n / 2];
}

struct times {
	double commit[ROUNDS_MAX], token[ROUNDS_MAX], unseal[ROUNDS_MAX], total[ROUNDS_MAX];
};

static custos_rc pin_from_stdin(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	(void)ctx;
	return custos_secret_read_line(0, 256, what, ret_secret, err);
}

static struct custos_json *intent_fields(const struct custos_consignment *goods, const struct custos_release_terms *terms, const struct custos_json *hosts)
{
	struct custos_json *f = custos_json_object();
	custos_json_set_text(f, "key", goods->key);
	custos_json_set_hex(f, "container_sha256", terms->container_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_hex(f, "courier_point", terms->courier_point, CUSTOS_POINT_SIZE);
	custos_json_set(f, "hosts", custos_json_ref(hosts));
	return f;
}

static custos_rc record_untouched(struct custos_custody *c, uint64_t intent, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *f = custos_json_object();
	custos_json_set_int(f, "intent", (int64_t)intent);
	custos_json_set_text(f, "target", "bench");
	return custos_vault_record(c, "release.untouched", f, NULL, err);
}

static custos_rc one_round(struct custos_custody *c, const struct custos_consignment *goods, const struct custos_json *hosts, struct times *t, size_t i, struct custos_err *err)
{
	CUSTOS_AUTO(custos_ephemeral) *courier = NULL;
	CUSTOS_AUTO(custos_secret) *key = NULL;
	CUSTOS_AUTO_BUF line = { 0 };
	struct custos_release_terms terms = { .kind = CUSTOS_INTENT_RELEASE };
	struct custos_release_parcel parcel = { 0 };
	__attribute__((cleanup(custos_log_intent_done))) struct custos_log_intent intent = { 0 };
	CUSTOS_TRY(custos_ephemeral_new(&courier, terms.courier_point, err));
	CUSTOS_TRY(custos_json_line(hosts, &line, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&line), terms.hosts_sha256, err));
	CUSTOS_TRY(custos_sha256(goods->material.ref.container, terms.container_sha256, err));
	CUSTOS_AUTO(custos_json) *fields = intent_fields(goods, &terms, hosts);

	double t0 = now_us();
	CUSTOS_TRY(custos_vault_begin(c, err));
	CUSTOS_TRY(custos_log_commit_release(c->log, &c->signer, fields, &terms, &intent, err));
	double t1 = now_us();
	struct custos_release_request request = {
		.key = &goods->material.ref,
		.courier_point = terms.courier_point,
		.leaf = custos_buf_view(&intent.leaf),
		.proof = (const uint8_t(*)[CUSTOS_HASH_SIZE])intent.proof,
		.proof_count = intent.proof_count,
		.checkpoint_body = custos_buf_view(&intent.body),
		.hosts_line = custos_buf_view(&line),
	};
	CUSTOS_TRY(custos_token_release(c->token, intent.permit, &request, &parcel, err));
	double t2 = now_us();
	custos_rc rc = custos_unseal(courier, parcel.token_point, custos_buf_view(&parcel.wrapped), &key, err);
	double t3 = now_us();
	custos_release_parcel_done(&parcel);
	CUSTOS_TRY(rc);
	t->commit[i] = t1 - t0;
	t->token[i] = t2 - t1;
	t->unseal[i] = t3 - t2;
	t->total[i] = t3 - t1;
	CUSTOS_TRY(custos_vault_reload(c, err));
	return record_untouched(c, intent.index, err);
}

static custos_rc measure(const char *dir, const char *name, size_t rounds, struct times *t, struct custos_err *err)
{
	struct custos_pin pin = { .get = pin_from_stdin };
	struct custos_token *token;
	CUSTOS_AUTO(custos_custody) *c = NULL;
	__attribute__((cleanup(custos_consignment_done))) struct custos_consignment goods = { 0 };
	CUSTOS_TRY(custos_secret_start(err));
	CUSTOS_TRY(custos_custody_open(dir, &pin, &c, err));
	CUSTOS_TRY(custos_consignment_load(c, name, NULL, &goods, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	CUSTOS_AUTO(custos_json) *hosts = custos_json_array();
	struct custos_json *host = custos_json_object();
	custos_json_set_text(host, "name", "bench");
	custos_json_push(hosts, host);
	for (size_t i = 0; i < rounds; i++)
		CUSTOS_TRY(one_round(c, &goods, hosts, t, i, err));
	return CUSTOS_OK;
}

int main(int argc, char **argv)
{
	static struct times t;
	struct custos_err err = { 0 };
	size_t rounds = argc == 4 ? (size_t)atol(argv[3]) : 0;
	if (rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: release_path CUSTODY KEY ROUNDS < PIN\n");
		return 2;
	}
	custos_rc rc = measure(argv[1], argv[2], rounds, &t, &err);
	if (rc != CUSTOS_OK) {
		fprintf(stderr, "release_path: %s\n", err.msg);
		return (int)rc;
	}
	printf("{\"rounds\":%zu,\"log_commit_us\":%.0f,\"token_us\":%.0f,\"unseal_us\":%.0f,\"custody_part_us\":%.0f}\n", rounds, median(t.commit, rounds), median(t.token, rounds),
	       median(t.unseal, rounds), median(t.total, rounds));
	return 0;
}

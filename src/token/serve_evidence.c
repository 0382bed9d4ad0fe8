/* The part that every request to let something out has: read in one place, judged by the guard. */
#include "token/serve.h"

custos_rc custos_serve_evidence(struct custos_wire *in, struct custos_evidence *evidence, struct custos_guard_claim *claim, struct custos_err *err)
{
	custos_wire_fixed(in, evidence->point, sizeof evidence->point);
	claim->courier_point = evidence->point;
	claim->leaf = custos_wire_bytes(in);
	claim->proof_count = custos_wire_u32(in);
	CUSTOS_REQUIRE(claim->proof_count <= CUSTOS_PROOF_MAX, err, CUSTOS_E_POLICY, "the proof has %zu hashes", claim->proof_count);
	for (size_t i = 0; i < claim->proof_count; i++)
		custos_wire_fixed(in, evidence->proof[i], CUSTOS_HASH_SIZE);
	claim->proof = (const uint8_t (*)[CUSTOS_HASH_SIZE])evidence->proof;
	claim->checkpoint_body = custos_wire_bytes(in);
	claim->hosts_line = custos_wire_bytes(in);
	return CUSTOS_OK;
}

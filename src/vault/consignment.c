/* What travels: the key's container, the leaf and the chain, all by the hashes the log names. */
#include "vault/release.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "x509/bag.h"

#include <stdio.h>

void custos_consignment_done(struct custos_consignment *goods)
{
	free(goods->key);
	custos_vault_key_done(&goods->material);
	custos_buf_done(&goods->leaf);
	custos_buf_done(&goods->chain_pem);
	*goods = (struct custos_consignment){ 0 };
}

/* The leaf is the first certificate of the chain. */
static custos_rc take_leaf(struct custos_consignment *goods, struct custos_err *err)
{
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	uint8_t hash[CUSTOS_HASH_SIZE];
	size_t at = 0;
	CUSTOS_TRY(custos_bag_new(&bag, err));
	CUSTOS_TRY(custos_bag_add(bag, "the certificate chain", custos_buf_view(&goods->chain_pem), err));
	const struct custos_bag_item *leaf = custos_bag_next(bag, CUSTOS_ITEM_CERTIFICATE, &at);
	CUSTOS_REQUIRE(leaf != NULL, err, CUSTOS_E_TAMPERED, "the stored certificate chain holds no certificate");
	CUSTOS_TRY(custos_buf_append(&goods->leaf, leaf->der.ptr, leaf->der.len, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&goods->leaf), hash, err));
	custos_text_hex(hash, sizeof hash, goods->leaf_sha256);
	return CUSTOS_OK;
}

custos_rc custos_consignment_load(struct custos_custody *c, const char *key, const char *chain_sha256, struct custos_consignment *ret_goods,
                                  struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_consignment_done) struct custos_consignment goods = { 0 };
	const struct custos_json *record, *certificate;
	CUSTOS_TRY(custos_vault_find_key(c, key, &record, err));
	if (custos_json_text(record, "container_sha256") == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "a key that is to be deployed is generated with --class deployable",
		                 "key %s is sign-only: it never leaves the token", key);
	certificate = custos_json_get(record, "certificate");
	if (chain_sha256 == NULL && certificate == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "`custos csr create`, have the CA sign it, `custos cert accept`",
		                 "key %s has no certificate yet", key);
	const char *chain = chain_sha256 != NULL ? chain_sha256 : custos_json_text(certificate, "chain_sha256");
	goods.key = custos_text_dup(key);
	snprintf(goods.chain_sha256, sizeof goods.chain_sha256, "%s", chain == NULL ? "" : chain);
	snprintf(goods.container_sha256, sizeof goods.container_sha256, "%s", custos_json_text(record, "container_sha256"));
	snprintf(goods.spki_sha256, sizeof goods.spki_sha256, "%s", custos_json_text(record, "spki_sha256"));
	CUSTOS_TRY(custos_vault_load_key(c, record, &goods.material, err));
	CUSTOS_TRY(custos_vault_get_blob(c, "the certificate chain", chain, &goods.chain_pem, err));
	CUSTOS_TRY(take_leaf(&goods, err));
	*ret_goods = goods;
	goods = (struct custos_consignment){ 0 };
	/* what borrowed from the buffers still does: they moved, their memory did not */
	if (ret_goods->material.ref.id != NULL)
		ret_goods->material.ref.id = ret_goods->material.id;
	return CUSTOS_OK;
}

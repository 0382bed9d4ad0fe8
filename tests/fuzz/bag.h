/* What a bag and the report about it promise, whatever was put in. */
#ifndef CUSTOS_TESTS_FUZZ_BAG_H
#define CUSTOS_TESTS_FUZZ_BAG_H

#include "data/json.h"
#include "x509/check.h"

#include "fuzz.h"

/* A line for people: nothing in it that a terminal would act on. */
static inline void must_be_a_line(const char *text)
{
	MUST(text != NULL && text[0] != '\0');
	for (const char *p = text; *p != '\0'; p++)
		MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static inline void must_be_honest(const struct custos_bag_item *item)
{
	MUST(item->kind >= CUSTOS_ITEM_UNKNOWN && item->kind <= CUSTOS_ITEM_CRL);
	must_be_a_line(item->what);
	must_be_a_line(item->file);
	MUST(memchr(item->label, '\0', sizeof item->label) != NULL);
	MUST(item->kind != CUSTOS_ITEM_PRIVATE_KEY || (item->der.len == 0 && item->cert == NULL && item->request == NULL));
	MUST((item->kind == CUSTOS_ITEM_CERTIFICATE) == (item->cert != NULL) && (item->kind == CUSTOS_ITEM_REQUEST) == (item->request != NULL));
	MUST((item->cert == NULL && item->request == NULL) || item->der.len > 0);
}

static inline void must_explain(const struct custos_bag *bag)
{
	struct custos_json *report = NULL;
	struct custos_chain *chain = NULL;
	struct custos_err err = { 0 };
	struct custos_check_options options = { .for_profile = "esxi", .name = "a.example.com", .now_unix = 1800000000 };
	MUST(custos_cert_check(bag, &options, &report, &chain, &err) == CUSTOS_OK);
	const struct custos_json *problems = custos_json_get(report, "problems");
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		must_be_a_line(custos_json_text(custos_json_at(problems, i), "text"));
		must_be_a_line(custos_json_text(custos_json_at(problems, i), "remedy"));
		must_be_a_line(custos_json_text(custos_json_at(problems, i), "code"));
	}
	MUST(chain->count <= 10 && custos_json_count(custos_json_get(report, "chain")) == chain->count);
	MUST(chain->count > 0 || custos_problems_count(&chain->problems, CUSTOS_SEVERITY_ERROR) > 0);
	MUST(custos_json_bool(report, "usable", true) == (custos_problems_refuse(problems, &err) == CUSTOS_OK));
	MUST(custos_json_count(custos_json_get(report, "files")) == custos_bag_count(bag));
	custos_json_free(report);
	custos_chain_free(chain);
}

static inline void must_read(const uint8_t *data, size_t size)
{
	struct custos_bag *bag = NULL;
	struct custos_err err = { 0 };
	MUST(custos_bag_new(&bag, NULL) == CUSTOS_OK);
	custos_rc rc = custos_bag_add(bag, "fu\nzz", CUSTOS_BYTES(data, size), &err);
	MUST(rc == CUSTOS_OK || rc == CUSTOS_E_INPUT);
	if (rc == CUSTOS_OK) {
		MUST(custos_bag_count(bag) > 0);
		for (size_t i = 0; i < custos_bag_count(bag); i++)
			must_be_honest(custos_bag_at(bag, i));
		must_explain(bag);
	} else {
		must_be_a_line(err.msg);
		must_be_a_line(err.hint);
	}
	custos_bag_free(bag);
}

#endif

/* Plans for the tests of target and courier, made the way the keeper makes them: profile text and target record in, plan out. */
#ifndef TARGET_FIXTURE_H
#define TARGET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/json.h"
#include "target/plan.h"

#include <stdio.h>

#define FIXTURE_NONCE "0123456789abcdef"
#define FIXTURE_PIN "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static inline struct custos_json *fixture_target(const char *text)
{
	struct custos_json *target = NULL;
	struct custos_err err = { 0 };
	custos_rc rc = custos_json_parse(CUSTOS_BYTES_STR(text), "target", &target, &err);
	if (rc != CUSTOS_OK)
		fail_msg("%s", err.msg);
	return target;
}

static inline struct custos_json *fixture_plain_target(void)
{
	return fixture_target("{\"name\":\"esx1\",\"address\":\"esx1.example.com:22\",\"user\":\"root\",\"profile\":\"esxi\",\"hostkeys\":[\"" FIXTURE_PIN "\"],"
	                      "\"verify\":[\"esx1.example.com:443\"],\"auth\":\"agent\"}");
}

static inline void fixture_plan(const char *yaml, const struct custos_json *target, struct custos_plan_options options, struct custos_plan *plan)
{
	struct custos_profile *profile = NULL;
	struct custos_err err = { 0 };
	if (options.nonce == NULL)
		options.nonce = FIXTURE_NONCE;
	if (options.previous_backup == NULL)
		options.previous_backup = "";
	if (custos_profile_parse(CUSTOS_BYTES_STR(yaml), "profile.yaml", &profile, &err) != CUSTOS_OK ||
	    custos_plan_build(target, profile, &options, plan, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	custos_profile_free(profile);
}

#endif

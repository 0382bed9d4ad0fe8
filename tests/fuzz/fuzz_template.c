/* A template from anybody: fields as they are promised, or an error that names the file; and what it asks for is judged and drafted without a mishap: what the
 * lint lets through can be drafted, what it calls an error cannot. */
#include "data/json.h"
#include "x509/template.h"

#include "fuzz.h"

#include <string.h>

/* SubjectPublicKeyInfo of a P-256 point, the generator: nothing is signed here. */
static const uint8_t spki[] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
	0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
	0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
};

static void judge(const struct custos_csr_spec *spec)
{
	static const char *const none[] = { NULL };
	struct custos_csr_spec asked = *spec;
	CUSTOS_AUTO(custos_json) *problems = NULL;
	CUSTOS_AUTO(custos_csr_draft) *draft = NULL;
	struct custos_err err = { 0 };
	bool errors = false;
	asked.sans = spec->sans == NULL ? none : spec->sans;
	MUST(custos_csr_lint(&asked, "ec-p256", &problems, &err) == CUSTOS_OK);
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *problem = custos_json_at(problems, i);
		MUST(custos_json_text(problem, "text")[0] != '\0' && custos_json_text(problem, "remedy")[0] != '\0' && strchr(custos_json_text(problem, "text"), '\n') == NULL);
		errors = errors || strcmp(custos_json_text(problem, "severity"), "error") == 0;
	}
	custos_rc rc = custos_csr_begin(&asked, CUSTOS_BYTES(spki, sizeof spki), CUSTOS_SIGNATURE_ECDSA_SHA256, &draft, &err);
	MUST(rc == (errors ? CUSTOS_E_INPUT : CUSTOS_OK) && (draft != NULL) == !errors);
	MUST(errors || custos_csr_message(draft).len > sizeof spki);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CUSTOS_CLEANUP(custos_csr_template_done) struct custos_csr_template template = { 0 };
	struct custos_err err = { 0 };
	custos_rc rc = custos_csr_template_read(CUSTOS_BYTES(data, size), "fuzz.yaml", &template, &err);
	MUST((rc == CUSTOS_OK) == (template.root != NULL));
	MUST(rc == CUSTOS_OK || (rc == CUSTOS_E_INPUT && strncmp(err.msg, "fuzz.yaml:", 10) == 0 && err.msg[10] >= '0' && err.msg[10] <= '9'));
	if (rc != CUSTOS_OK)
		return 0;
	MUST(template.spec.sans == NULL || template.spec.sans[0] != NULL);
	MUST((template.spec.flags & ~(unsigned)(CUSTOS_CSR_MUST_STAPLE | CUSTOS_CSR_PRIVATE_CA)) == 0);
	judge(&template.spec);
	return 0;
}

/* The fields of a request in YAML: each word is checked where it stands, each text is taken as it is. */
#include "x509/template.h"

static custos_rc read_choice(const struct custos_yaml *map, const char *key, const char *const words[], const char *otherwise, const char **ret, struct custos_err *err)
{
	size_t index = 0;
	*ret = otherwise;
	if (custos_yaml_get(map, key) == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_yaml_word(map, key, words, CUSTOS_YAML_REQUIRED, &index, err));
	*ret = words[index];
	return CUSTOS_OK;
}

static custos_rc read_flag(const struct custos_yaml *map, const char *key, unsigned flag, unsigned *flags, struct custos_err *err)
{
	bool said = false;
	CUSTOS_TRY(custos_yaml_bool(map, key, (*flags & flag) != 0, &said, err));
	*flags = said ? *flags | flag : *flags & ~flag;
	return CUSTOS_OK;
}

custos_rc custos_csr_read_fields(const struct custos_yaml *map, const struct custos_csr_spec *otherwise, struct custos_csr_spec *ret_spec, struct custos_err *err)
{
	static const char *const profiles[] = { "server", "esxi", "client", NULL }, *const signatures[] = { "default", "rsa-pss", NULL };
	ret_spec->subject = otherwise->subject;
	ret_spec->flags = otherwise->flags;
	if (custos_yaml_get(map, "subject") != NULL)
		CUSTOS_TRY(custos_yaml_text(map, "subject", CUSTOS_YAML_REQUIRED, &ret_spec->subject, err));
	CUSTOS_TRY(read_choice(map, "profile", profiles, otherwise->profile, &ret_spec->profile, err));
	CUSTOS_TRY(read_choice(map, "signature", signatures, otherwise->signature, &ret_spec->signature, err));
	CUSTOS_TRY(read_flag(map, "must_staple", CUSTOS_CSR_MUST_STAPLE, &ret_spec->flags, err));
	return read_flag(map, "private_ca", CUSTOS_CSR_PRIVATE_CA, &ret_spec->flags, err);
}

void custos_csr_template_done(struct custos_csr_template *template)
{
	free(template->sans);
	custos_yaml_free(template->root);
	*template = (struct custos_csr_template){ 0 };
}

custos_rc custos_csr_template_read(struct custos_bytes yaml, const char *file, struct custos_csr_template *ret_template, struct custos_err *err)
{
	static const char *const words[] = { CUSTOS_CSR_FIELDS, "san", NULL };
	static const struct custos_csr_spec nothing = { 0 };
	CUSTOS_CLEANUP(custos_csr_template_done) struct custos_csr_template template = { 0 };
	CUSTOS_TRY(custos_yaml_parse(yaml, file, &template.root, err));
	CUSTOS_TRY(custos_yaml_known(template.root, words, err));
	CUSTOS_TRY(custos_csr_read_fields(template.root, &nothing, &template.spec, err));
	CUSTOS_TRY(custos_yaml_texts(template.root, "san", &template.sans, err));
	template.spec.sans = template.sans[0] == NULL ? NULL : template.sans;
	*ret_template = template;
	template = (struct custos_csr_template){ 0 };
	return CUSTOS_OK;
}

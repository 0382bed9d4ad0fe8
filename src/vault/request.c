/* Layer upon layer: what a lower one says counts where the one above it says nothing. Files are read here and nothing is judged; that is the lint's. */
#include "vault/request.h"
#include "vault/file.h"
#include "x509/bag.h"
#include "x509/chain.h"

#include <string.h>

void custos_request_done(struct custos_request *request)
{
	custos_csr_template_done(&request->template);
	custos_csr_like_done(&request->like);
	custos_json_free(request->problems);
	*request = (struct custos_request){ 0 };
}

static custos_rc read_template(const char *path, struct custos_request *request, struct custos_err *err)
{
	CUSTOS_AUTO_BUF text = { 0 };
	CUSTOS_TRY(custos_file_read(path, &text, err));
	return custos_csr_template_read(custos_buf_view(&text), path, &request->template, err);
}

/* The leaf, whether the file holds it alone or with its chain, and whatever its dates are. */
static custos_rc read_like(const char *path, struct custos_request *request, struct custos_err *err)
{
	static const struct custos_chain_options any = { 0 };
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_AUTO(custos_chain) *chain = NULL;
	CUSTOS_TRY(custos_bag_new(&bag, err));
	CUSTOS_TRY(custos_bag_add_file(bag, path, err));
	CUSTOS_TRY(custos_chain_build(bag, &any, &chain, err));
	if (chain->count == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name the file of the certificate that is to be renewed; `custos cert check` says what a file is",
		                 "%s holds no server's certificate, or several", path);
	custos_json_free(CUSTOS_TAKE(request->problems));
	return custos_csr_like(chain->der[0], &request->like, &request->problems, err);
}

custos_rc custos_request_assemble(const struct custos_csr_options *options, struct custos_request *ret_request, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_request_done) struct custos_request request = { .problems = custos_json_array() };
	if (options->template_file != NULL)
		CUSTOS_TRY(read_template(options->template_file, &request, err));
	if (options->like_file != NULL)
		CUSTOS_TRY(read_like(options->like_file, &request, err));
	static const char *const none[] = { NULL };
	const struct custos_csr_spec *said = &request.template.spec;
	const struct custos_csr_like *like = &request.like;
	bool has_names = options->sans != NULL && options->sans[0] != NULL, like_has_names = like->sans != NULL && like->sans[0] != NULL;
	request.spec = (struct custos_csr_spec){
		.subject = options->subject != NULL ? options->subject : like->subject != NULL ? like->subject : said->subject != NULL ? said->subject : "",
		.sans = has_names ? options->sans : like_has_names ? (const char *const *)like->sans : said->sans != NULL ? said->sans : none,
		.profile = options->profile != NULL ? options->profile : said->profile != NULL ? said->profile : "server",
		.signature = options->signature != NULL ? options->signature : said->signature != NULL ? said->signature : "default",
		.flags = options->flags | said->flags,
	};
	*ret_request = request;
	request = (struct custos_request){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_request_algorithm(const char *word, enum custos_key_type type, enum custos_signature *ret_algorithm, struct custos_err *err)
{
	*ret_algorithm = custos_key_signature(type);
	if (strcmp(word, "default") == 0)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(strcmp(word, "rsa-pss") == 0, err, CUSTOS_E_USAGE, "a request is signed by default or by rsa-pss, not by \"%s\"", word);
	*ret_algorithm = CUSTOS_SIGNATURE_RSA_PSS_SHA256;
	if (!custos_key_signs_by(type, *ret_algorithm))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "leave it at the default", "a key of type %s does not sign by RSASSA-PSS", custos_key_type_name(type));
	return CUSTOS_OK;
}

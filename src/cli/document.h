/* Documents the library hands over, freed at the end of their scope. */
#ifndef CUSTOS_CLI_DOCUMENT_H
#define CUSTOS_CLI_DOCUMENT_H

#include <custos/json.h>

static inline void custos_document_done(struct custos_json **document)
{
	custos_json_free(*document);
}
#define CUSTOS_AUTO_DOCUMENT __attribute__((cleanup(custos_document_done))) struct custos_json

#endif

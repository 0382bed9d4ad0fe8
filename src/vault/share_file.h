/* A custodian's share as a file: text that says what it is, around a share that is sealed to the custodian's key (docs/FORMATS.md). Nothing in it is secret. */
#ifndef CUSTOS_VAULT_SHARE_FILE_H
#define CUSTOS_VAULT_SHARE_FILE_H

#include "base/bytes.h"
#include "base/permit.h"

enum { CUSTOS_SHARE_FILE_MAX = 8192, CUSTOS_ORIGIN_MAX = 256 };

struct custos_share_file {
	char origin[CUSTOS_ORIGIN_MAX];
	uint32_t set;
	unsigned threshold, number;
	uint8_t spki_sha256[CUSTOS_HASH_SIZE];      /* of the custodian's key */
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_buf sealed;
};
void custos_share_file_done(struct custos_share_file *share);

/* Appends the text. */
CUSTOS_RC custos_share_file_write(const struct custos_share_file *share, struct custos_buf *text, struct custos_err *err);
/* Strict: exactly what was written, nothing edited, moved or added. `name` is for errors. */
CUSTOS_RC custos_share_file_parse(struct custos_bytes text, const char *name, struct custos_share_file *ret_share, struct custos_err *err);

#endif

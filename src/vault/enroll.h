/* Many keys and their requests at once: the list a person writes, the directory the requests go to, and what becomes of each entry. */
#ifndef CUSTOS_VAULT_ENROLL_H
#define CUSTOS_VAULT_ENROLL_H

#include "data/yaml.h"
#include "link/token.h"
#include "vault/vault.h"
#include "x509/csr.h"

enum { CUSTOS_ENROLL_MAX = 10000 };

/* One entry as it stands in the list, with the defaults filled in. Texts are the list's. */
struct custos_enroll_entry {
	const char *name;
	enum custos_key_type type;
	enum custos_key_class class;
	struct custos_csr_spec spec;
	const char **sans;            /* what spec.sans points to */
	unsigned line;
};

struct custos_enroll_list {
	struct custos_yaml *root;
	struct custos_enroll_entry *entries;
	size_t count;
};

/* Strict YAML (docs/FORMATS.md); `file` is named in every error, with the line. Whether a CA would take the names is not judged here. */
CUSTOS_RC custos_enroll_read(struct custos_bytes yaml, const char *file, struct custos_enroll_list *ret_list, struct custos_err *err);
void custos_enroll_list_done(struct custos_enroll_list *list);

/* The directory requests go to; made when it is not there. Refused when nothing could be written there. */
struct custos_enroll_dir {
	const char *path;             /* borrowed */
	int fd;
};
CUSTOS_RC custos_enroll_dir_open(const char *path, struct custos_enroll_dir *ret_dir, struct custos_err *err);
void custos_enroll_dir_close(struct custos_enroll_dir *dir);
/* NAME.csr there, whole; *ret_found is false when there is none. What is no plain file or too large is an error. */
CUSTOS_RC custos_enroll_dir_read(const struct custos_enroll_dir *dir, const char *name, struct custos_buf *ret_pem, bool *ret_found, struct custos_err *err);
/* Makes NAME.csr, which appears whole or not at all and never in the place of another file; on the disk after custos_enroll_dir_sync(). */
CUSTOS_RC custos_enroll_dir_write(const struct custos_enroll_dir *dir, const char *name, struct custos_bytes pem, struct custos_err *err);
/* Is the file the beginning of the request and no more, as a power cut leaves it? Then it is nobody's, and may be dropped. */
CUSTOS_MUST bool custos_enroll_dir_is_torn(struct custos_bytes file, struct custos_bytes pem);
CUSTOS_RC custos_enroll_dir_drop(const struct custos_enroll_dir *dir, const char *name, struct custos_err *err);
/* What was written there is on the disk when this returns. */
CUSTOS_RC custos_enroll_dir_sync(const struct custos_enroll_dir *dir, struct custos_err *err);

#endif

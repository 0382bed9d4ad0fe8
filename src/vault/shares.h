/* Custodians' shares of a KEK, keeper's side: a courier splits or combines it, a person at the terminal copies or types what has no file. The keeper
 * sees public halves, numbers and ciphertext; it writes and reads the share files (docs/FORMATS.md).
 *
 *   split:    custos_split_start → the token wraps the KEK to custos_split_point() → custos_split_hand_over → the token proves what came back → custos_split_give_out
 *   combine:  custos_combine_start → custos_combine_collect → the intent is logged → custos_combine_seal → the token proves what came
 *
 * The courier ends with custos_split_free() or custos_combine_free(), at any time; a share that was not given out is gone then. */
#ifndef CUSTOS_VAULT_SHARES_H
#define CUSTOS_VAULT_SHARES_H

#include "base/permit.h"
#include "crypto/digest.h"
#include "data/json.h"
#include <custos/custody.h>

enum { CUSTOS_SET_TEXT = 9 };                /* a set's id: 8 hexadecimal digits and a NUL */

/* Who gets the shares of a KEK. */
struct custos_share_plan {
	unsigned threshold, count;               /* 2 <= threshold <= count <= 20 */
	const char *const *custodians;           /* PEM files with a public key or certificate on P-256; NULL-terminated, at most `count`; NULL: none. The rest goes to the terminal */
	const char *out;                         /* directory for the share files, which must exist; may be NULL without custodians */
};

struct custos_split;
/* Reads the custodians' keys, refuses a directory that holds a file of a share already, opens the terminal when it is needed, starts the courier and tells it the plan.
 * `origin` is the log's, for the header of the files; it and the plan are copied. */
CUSTOS_RC custos_split_start(const struct custos_share_plan *plan, const char *origin, struct custos_split **ret_split, struct custos_err *err);
void custos_split_free(struct custos_split *split);
CUSTOS_DEFINE_FREEP(custos_split);
/* For the intent; valid as long as the split. */
const uint8_t *custos_split_point(const struct custos_split *split);     /* CUSTOS_POINT_SIZE bytes */
const uint8_t *custos_split_sha256(const struct custos_split *split);    /* of the courier's program, CUSTOS_HASH_SIZE bytes */
const char *custos_split_memory(const struct custos_split *split);       /* "memfd_secret" or "mlock" */
const char *custos_split_set(const struct custos_split *split);          /* its id, 8 hexadecimal digits */
/* [{"number","custodian" (its file),"spki_sha256"} | {"number","screen":true}]: who is to get which share. */
CUSTOS_RC custos_split_describe(const struct custos_split *split, struct custos_json **ret_shares, struct custos_err *err);
/* The KEK, wrapped by the token to the courier's point: split, and put together again from the written shares, each of which took part, and all agreed. What came of that is
 * sealed to `import_point`, for the token to prove that it is the KEK. */
CUSTOS_RC custos_split_hand_over(struct custos_split *split, const uint8_t token_point[static CUSTOS_POINT_SIZE], struct custos_bytes wrapped,
                                 const uint8_t import_point[static CUSTOS_POINT_SIZE], uint8_t ret_sealed_point[static CUSTOS_POINT_SIZE], struct custos_buf *ret_sealed,
                                 struct custos_err *err);
/* Each share to its file (0600, made anew) or to the terminal, one after the other. *ret_shares, also on failure, names those that are out:
 * [{"number","custodian","file"} | {"number","screen":true}]. CUSTOS_E_POLICY: the person at the terminal ended it; shares that are out are of no use then without the rest. */
CUSTOS_RC custos_split_give_out(struct custos_split *split, struct custos_json **ret_shares, struct custos_err *err);

/* A share in a file, and the private key that opens it. */
struct custos_share_source {
	const char *file, *key_file;
};

struct custos_combine_options {
	const char *origin;                      /* the log's: the files must be of it, and the terminal shows it */
	unsigned threshold;                      /* 0: neither it nor the set is known */
	const char *set;                         /* as custos_split_set() */
	const struct custos_share_source *files;
	size_t count;
	const struct custos_pin *pass_phrase;    /* asked for a key file that is encrypted, one attempt each; may be NULL */
};

struct custos_combine;
/* Reads and checks the share files, starts the courier and has it open them. */
CUSTOS_RC custos_combine_start(const struct custos_combine_options *options, struct custos_combine **ret_combine, struct custos_err *err);
void custos_combine_free(struct custos_combine *combine);
CUSTOS_DEFINE_FREEP(custos_combine);
const uint8_t *custos_combine_point(const struct custos_combine *combine);
const uint8_t *custos_combine_sha256(const struct custos_combine *combine);
const char *custos_combine_memory(const struct custos_combine *combine);
/* Has the missing shares typed at the terminal. {"set","threshold","numbers":[…]}. */
CUSTOS_RC custos_combine_collect(struct custos_combine *combine, struct custos_json **ret_report, struct custos_err *err);
/* The KEK, sealed to the token's `import_point`. That it is the KEK is for the token to prove: shares carry no hash of it. */
CUSTOS_RC custos_combine_seal(struct custos_combine *combine, const uint8_t import_point[static CUSTOS_POINT_SIZE], uint8_t ret_sealed_point[static CUSTOS_POINT_SIZE],
                              struct custos_buf *ret_sealed, struct custos_err *err);

#endif

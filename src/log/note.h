/* Signed notes (C2SP signed-note) and the one kind of note a log makes, the checkpoint (C2SP tlog-checkpoint): origin, size and root, a line
 * each, a blank line, then signature lines `— name base64(key id || signature)`.
 *
 * Keys are Ed25519 (type 0x01, key id = SHA-256(name, newline, 0x01, key) cut to 4 bytes) or ECDSA P-256 over SHA-256
 * with a DER signature (type 0x02, key id = SHA-256(SPKI) cut to 4 bytes), or, for tokens that have neither, RSA of 3072 bits (PKCS#1 v1.5 over
 * SHA-256; type 0xff and the line "custos-rsa-pkcs1-sha256", key id = SHA-256(name, newline, type, SPKI) cut to 4 bytes). A vkey is `name+hex(key id)+base64(type || key)`. The parser takes
 * what a writer of the spec writes and nothing else. */
#ifndef CUSTOS_LOG_NOTE_H
#define CUSTOS_LOG_NOTE_H

#include "base/permit.h"
#include "base/signer.h"

enum { CUSTOS_NOTE_MAX = 16384, CUSTOS_NOTE_SIGNATURES_MAX = 16, CUSTOS_NOTE_NAME_MAX = 255 };

struct custos_note_key {
	char *name;
	uint8_t id[4];
	enum custos_signature algorithm;
	struct custos_buf spki;
};
/* CUSTOS_E_INPUT when it is not a vkey of a type known here. */
CUSTOS_RC custos_note_key_parse(const char *vkey, struct custos_note_key *ret_key, struct custos_err *err);
CUSTOS_RC custos_note_key_from_spki(const char *name, struct custos_bytes spki, struct custos_note_key *ret_key, struct custos_err *err);
CUSTOS_RC custos_note_key_format(const struct custos_note_key *key, struct custos_buf *vkey, struct custos_err *err);
void custos_note_key_done(struct custos_note_key *key);
#define CUSTOS_AUTO_NOTE_KEY __attribute__((cleanup(custos_note_key_done))) struct custos_note_key
/* A name that can stand in a note: no spaces, no plus, no control characters, UTF-8. */
CUSTOS_MUST bool custos_note_is_name(struct custos_bytes name);

struct custos_checkpoint {
	uint64_t size;
	uint8_t root[CUSTOS_HASH_SIZE];
	struct custos_bytes body;     /* the three lines, borrowed from the note */
};
/* The three lines that are signed. */
CUSTOS_RC custos_checkpoint_format(const char *origin, uint64_t size, const uint8_t root[static CUSTOS_HASH_SIZE], struct custos_buf *body,
                                   struct custos_err *err);
/* Body, blank line, signature line. */
CUSTOS_RC custos_note_format(const struct custos_note_key *key, struct custos_bytes body, struct custos_bytes signature,
                             struct custos_buf *note, struct custos_err *err);
/* Reads a checkpoint of the log whose origin is the key's name. Malformed, or of another log: CUSTOS_E_INPUT. Not signed by the key, or a signature of
 * that key that does not verify: CUSTOS_E_TAMPERED. Signatures of other keys are ignored. `what` names the note in errors. */
CUSTOS_RC custos_checkpoint_open(struct custos_bytes note, const struct custos_note_key *key, const char *what,
                                 struct custos_checkpoint *ret_checkpoint, struct custos_err *err);
/* For notes that only the log itself can have written: being malformed is tampering too. */
CUSTOS_RC custos_checkpoint_open_own(struct custos_bytes note, const struct custos_note_key *key, const char *what,
                                     struct custos_checkpoint *ret_checkpoint, struct custos_err *err);

#endif

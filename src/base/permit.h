/* The permit to let one key out, once: a key of the custody to hosts, or the KEK itself to its backup.
 *
 * custos_permit_mint() is called by the log's release commit and by nothing else; custos_permit_consume() by the token
 * layer's release call and by nothing else. tests/lint proves both from the object files. A permit that was consumed,
 * or that was made for another container, courier or set of hosts, is refused. */
#ifndef CUSTOS_BASE_PERMIT_H
#define CUSTOS_BASE_PERMIT_H

#include "base/bytes.h"
#include "base/transport.h"

enum { CUSTOS_HASH_SIZE = 32, CUSTOS_POINT_SIZE = 65 };

/* What is let out, and how its intent is written in the log: the event, the member that lists who gets it, and whether that is anybody at all: a sealed key that is
 * opened in a courier to sign once goes to nobody, and its list is empty. */
enum custos_intent_kind { CUSTOS_INTENT_RELEASE, CUSTOS_INTENT_KEK_BACKUP, CUSTOS_INTENT_OPENING };
struct custos_intent_words {
	const char *event, *receivers;
	bool goes_out;
};
const struct custos_intent_words *custos_intent_words(enum custos_intent_kind kind);

/* What exactly was logged. */
struct custos_release_terms {
	enum custos_intent_kind kind;
	uint8_t container_sha256[CUSTOS_HASH_SIZE]; /* of the key, or of the canary of the KEK that goes */
	uint8_t courier_point[CUSTOS_POINT_SIZE]; /* uncompressed P-256 point of the courier's ephemeral key */
	uint8_t hosts_sha256[CUSTOS_HASH_SIZE];   /* SHA-256 of the canonical JSON of who gets it: the intent's `hosts`, or `receivers` */
	enum custos_transport transport;
	uint8_t courier_key_sha256[CUSTOS_HASH_SIZE]; /* of the SPKI of the courier's transport key; zeros when the transport needs none */
};

struct custos_permit;

CUSTOS_RC custos_permit_mint(const struct custos_release_terms *terms, struct custos_permit **ret_permit, struct custos_err *err);
/* Succeeds once, and only for the same terms. Any failure spends the permit too. */
CUSTOS_RC custos_permit_consume(struct custos_permit *permit, const struct custos_release_terms *terms, struct custos_err *err);
void custos_permit_free(struct custos_permit *permit);
CUSTOS_DEFINE_FREEP(custos_permit);

#endif

/* What keeper and custos-token say to each other. One custos-token: one module, one token, one session (more while KEYS is at work).
 *
 * Bodies are written with base/wire.h in the order given here. Every request is answered: by its own reply or by FAILED.
 *
 *   keeper                          custos-token
 *   LIST | INIT | OPEN ───────────▶   loads the module, takes the token's lock, initialises
 *          ◀── LISTED | INITIALIZED | OPENED | FAILED
 *   LOGIN (+ descriptor) ─────────▶   one attempt
 *          ◀── LOGGED_IN | FAILED
 *   KEYS ─────────────────────────▶
 *          ◀── KEYS_RESULT for each job, then KEYS_DONE | FAILED
 *   any of the others ────────────▶
 *          ◀── its reply | FAILED
 *
 * Closing the channel ends custos-token. No body ever holds a PIN or a plaintext key: PINs come as lines in a pipe whose reading end
 * travels with the frame, so that neither side's frame buffers see them. */
#ifndef CUSTOS_LINK_TOKEN_H
#define CUSTOS_LINK_TOKEN_H

#include "base/permit.h"
#include "link/channel.h"

enum { CUSTOS_TOKEN_ID_SIZE = 16, CUSTOS_CHALLENGE_SIZE = 32 };

#define CUSTOS_PROFILE_ANY "?"

enum custos_token_message {
	/* u8 category (custos_rc) · u64 native (CK_RV or errno) · text msg · text hint */
	CUSTOS_TOKEN_FAILED = 1,
	/* text module */
	CUSTOS_TOKEN_LIST,
	/* text JSON: the array of `token list` */
	CUSTOS_TOKEN_LISTED,
	/* text module · text uri ("" when none) · text serial ("" when none) · text label + pipe with two lines: SO PIN, user PIN */
	CUSTOS_TOKEN_INIT,
	/* info (below) */
	CUSTOS_TOKEN_INITIALIZED,
	/* text module · text uri · text serial ("" when none) · text profile ("" when to be matched, CUSTOS_PROFILE_ANY when a token that none fits
	 * is opened as well, to be examined; more than one line: a whole profile, tokens/README.md) */
	CUSTOS_TOKEN_OPEN,
	/* info = text manufacturer, model, serial, label, firmware, profile, tier, uri, module · u32 flags (enum custos_token_wire_flags)
	 * · u8 padding_max */
	CUSTOS_TOKEN_OPENED,
	/* empty body; the PIN is one line in the pipe. Without a descriptor: on the token's own PIN pad */
	CUSTOS_TOKEN_LOGIN,
	/* info, with the flags after the attempt */
	CUSTOS_TOKEN_LOGGED_IN,
	/* empty: read the flags once more */
	CUSTOS_TOKEN_INFO,
	/* info */
	CUSTOS_TOKEN_INFO_IS,
	/* fixed 16 id · text label · u8 birth (enum custos_kek_birth) */
	CUSTOS_TOKEN_KEK_CREATE,
	/* text JSON: the attributes as read back */
	CUSTOS_TOKEN_KEK_CREATED,
	/* fixed 16 id · u8 variant (enum custos_kek_variant) · bytes canary container · bytes canary spki (P-256) · fixed 32 challenge */
	CUSTOS_TOKEN_KEK_OPEN,
	/* bytes signature of the canary over the challenge */
	CUSTOS_TOKEN_KEK_OPENED,
	/* fixed 16 id · text label · fixed 32 challenge */
	CUSTOS_TOKEN_LOG_KEY_CREATE,
	/* fixed 16 id · bytes spki */
	CUSTOS_TOKEN_LOG_OPEN,
	/* empty */
	CUSTOS_TOKEN_LOG_OPENED,
	/* bytes checkpoint body */
	CUSTOS_TOKEN_LOG_SIGN,
	/* u8 type · u8 class (enum custos_key_class) · fixed 16 id and text label (sign-only; else zeros, "") · fixed 32 challenge
	 * · fixed 32 second challenge, for the key after it was unwrapped (deployable) */
	CUSTOS_TOKEN_KEY_GENERATE,
	/* u8 type · bytes spki · bytes container (empty unless deployable) · bytes signature · bytes second signature (empty unless deployable) */
	CUSTOS_TOKEN_KEY_MADE,
	/* u8 type · u8 algorithm (enum custos_signature) · fixed 16 id · bytes container (empty: the sign-only key `id`) · bytes spki
	 * · bytes message */
	CUSTOS_TOKEN_SIGN,
	/* bytes signature */
	CUSTOS_TOKEN_SIGNED,
	/* u8 type · bytes container · bytes spki · fixed 65 courier point · bytes leaf · u32 count · count × fixed 32 proof · bytes checkpoint body
	 * · bytes hosts line · fixed 32 challenge */
	CUSTOS_TOKEN_RELEASE,
	/* bytes signature over the challenge · fixed 65 token point · bytes wrapped */
	CUSTOS_TOKEN_RELEASED,
	/* many keys in one request: u8 sessions (how many may work at it; the profile may allow fewer) · u32 count (1 to CUSTOS_TOKEN_JOBS_MAX)
	 * · count × job; job = u8 what (enum custos_token_job_kind) · u8 type ·
	 *   make: u8 class · fixed 16 id and text label (sign-only; else zeros, "") · fixed 32 challenge
	 *   sign: u8 algorithm (enum custos_signature) · fixed 16 id · bytes container (empty: the sign-only key `id`) · bytes spki · bytes message */
	CUSTOS_TOKEN_KEYS,
	/* one job, in whatever order they are done: u32 job, from 0 · u8 category; when it is 0: bytes spki · bytes container (both empty for
	 * sign, the container for sign-only) · bytes signature (make: over the challenge); else, as in FAILED: u64 native · text msg · text hint */
	CUSTOS_TOKEN_KEYS_RESULT,
	/* empty: every job has had its result */
	CUSTOS_TOKEN_KEYS_DONE,
	/* fixed 16 id of a sign-only key · bytes spki: its two objects are destroyed, and looked for afterwards */
	CUSTOS_TOKEN_KEY_DESTROY,
	/* empty: the token does not hold them (any more) */
	CUSTOS_TOKEN_KEY_DESTROYED,
	/* empty: an ephemeral pair for one import */
	CUSTOS_TOKEN_IMPORT_BEGIN,
	/* fixed 65 its point */
	CUSTOS_TOKEN_IMPORT_POINT,
	/* u8 type · bytes spki · fixed 65 courier point · bytes sealed (PKCS#8, RFC 5649 under the ECDH secret) · fixed 32 challenge · fixed 32 second
	 * challenge, for the key after it was unwrapped from its container. Answered by KEY_MADE, whose spki is the one given here */
	CUSTOS_TOKEN_IMPORT,
	/* one check of the doctor: u8 check (token/checks.h) · u32 flags; before the login only those that need none */
	CUSTOS_TOKEN_DOCTOR,
	/* text JSON: what was found */
	CUSTOS_TOKEN_FOUND,
	/* the body of RELEASE, of the canary: what goes to the point is the KEK it belongs to, and the leaf is a kek.backup_intent. Answered by RELEASED */
	CUSTOS_TOKEN_KEK_BACKUP,
	/* a KEK that was made for a backup stays on the token: fixed 16 id · bytes canary container · bytes canary spki · fixed 32 challenge */
	CUSTOS_TOKEN_KEK_KEEP,
	/* a KEK out of its backup: u8 keep (0: it opens its canary, and is gone) · fixed 16 id · text label · fixed 65 sender's point · bytes sealed (32 bytes,
	 * RFC 5649 under the ECDH secret with the pair of IMPORT_BEGIN) · bytes canary container · bytes canary spki · fixed 32 challenge */
	CUSTOS_TOKEN_KEK_RECEIVE,
	/* text JSON: the attributes of what stayed ("{}": nothing did) · bytes signature of the canary over the challenge, by what stayed if anything did */
	CUSTOS_TOKEN_KEK_TAKEN,
	/* fixed 16 id: any KEK but the one that is open. Answered by KEY_DESTROYED */
	CUSTOS_TOKEN_KEK_DESTROY,
	/* from one KEK to the one that is open: fixed 16 id and u8 variant of the KEK it is under · u8 type · bytes spki · bytes container · fixed 32 challenge
	 * · fixed 32 second challenge. Answered by KEY_MADE */
	CUSTOS_TOKEN_KEY_REWRAP,
	/* RELEASE, then: bytes SPKI of the courier's transport key. For the transports that need one, which are not to be had otherwise */
	CUSTOS_TOKEN_RELEASE_TO_KEY,
	/* bytes signature over the challenge · bytes wrapped · bytes the key it is wrapped under, under the courier's */
	CUSTOS_TOKEN_RELEASED_TO_KEY,
	/* fixed 16 id · text label: the key that content keys of sealed keys are sealed to */
	CUSTOS_TOKEN_SEALING_CREATE,
	/* u8 method (enum custos_sealing; 0: this token can neither decrypt nor derive, and nothing was made) · bytes spki · text JSON: the attributes as read back */
	CUSTOS_TOKEN_SEALING_CREATED,
	/* fixed 16 id · u8 method · bytes spki */
	CUSTOS_TOKEN_SEALING_OPEN,
	/* empty: it is there, is what it should be, and has opened what was sealed to `spki` just now */
	CUSTOS_TOKEN_SEALING_OPENED,
	/* u8 kind (enum custos_intent_kind: a release or an opening) · bytes container (crypto/sealed_container.h) · fixed 65 courier point · bytes leaf · u32 count · count × fixed 32 proof · bytes checkpoint body
	 * · bytes hosts line */
	CUSTOS_TOKEN_RELEASE_SEALED,
	/* fixed 65 token point · bytes content key, sealed to the courier (crypto/seal.h) */
	CUSTOS_TOKEN_SEALED_RELEASED,
};

enum custos_token_wire_flags {
	CUSTOS_TOKEN_INITIALIZED_FLAG = 1u << 0,
	CUSTOS_TOKEN_LOGIN_REQUIRED = 1u << 1,
	CUSTOS_TOKEN_PIN_COUNT_LOW = 1u << 2,
	CUSTOS_TOKEN_PIN_FINAL_TRY = 1u << 3,
	CUSTOS_TOKEN_PIN_LOCKED = 1u << 4,
	CUSTOS_TOKEN_PROTECTED_PATH = 1u << 5,
	CUSTOS_TOKEN_REPAIRED = 1u << 6,
	CUSTOS_TOKEN_TRANSPORT_SHIFT = 8,      /* bits 8 to 11: enum custos_transport, by the profile */
};

enum custos_key_class { CUSTOS_CLASS_DEPLOYABLE = 1, CUSTOS_CLASS_SIGN_ONLY, CUSTOS_CLASS_SEALED };

enum custos_token_job_kind { CUSTOS_JOB_MAKE = 1, CUSTOS_JOB_SIGN };
enum { CUSTOS_TOKEN_JOBS_MAX = 64, CUSTOS_TOKEN_SESSIONS_MAX = 16 };

extern const struct custos_link_protocol custos_token_protocol;

#endif

/* What keeper and custos-courier say to each other. One courier: one key, one group of hosts.
 *
 * Bodies are written with base/wire.h in the order given here. `host` is an index into the hosts of SETUP.
 *
 *   keeper                                   courier
 *   SETUP ───────────────────────────────▶   starts hardened, makes its ephemeral P-256 pair
 *          ◀─────────────────────────────── HELLO
 *   TRANSPORT ───────────────────────────▶   unless it is ecdh-p256
 *          ◀─────────────────────────────── TRANSPORT_KEY
 *   SOCKET/NO_SOCKET, CREDENTIAL (each host) ▶
 *   PREPARE ─────────────────────────────▶   per host: connect, host key, login, probe, back up, arm, stage public files
 *          ◀── SIGN_LOGIN ── / ── LOGIN_SIGNATURE ──▶    (public-key login: the keeper signs with agent or token)
 *          ◀── NEED_SOCKET ─ / ── SOCKET, NO_SOCKET ─▶   (what is served before)
 *          ◀── SERVED ────── / ── VERDICT ──▶
 *          ◀─────────────────────────────── PREPARED (once for each host)
 *   INTENT ──────────────────────────────▶   if there was a TRANSPORT, and a KEY follows
 *   KEY or ABORT ────────────────────────▶   unseal, deliver, switch, reload …
 *          ◀── NEED_SOCKET / SERVED ──       … verify, persist or roll back
 *          ◀─────────────────────────────── OUTCOME (once for each host)
 *          ◀─────────────────────────────── BYE
 *
 * An IMPORT adopts a private key from a file, and is given no socket:
 *
 *   READ_KEY (+ descriptor) ─────────────▶   reads and decodes it
 *          ◀── NEED_PHRASE ─ / ── PHRASE ──▶    (only when it is encrypted; one attempt)
 *          ◀─────────────────────────────── KEY_READ or KEY_REFUSED
 *   SEAL_KEY ────────────────────────────▶   after the intent is logged: sealed to the token
 *          ◀─────────────────────────────── KEY_SEALED, BYE
 *
 * A SPLIT makes custodians' shares of a KEK, a COMBINE makes the KEK of them; neither is given a socket, both may be given the terminal:
 *
 *   SPLIT_PLAN (+ terminal) ─────────────▶
 *   KEY ─────────────────────────────────▶   unsealed, split, wiped
 *   SEAL_KEY ────────────────────────────▶   recombined from the written shares, sealed to the token
 *          ◀─────────────────────────────── KEY_SEALED           (or KEY_REFUSED, until the shares are out)
 *   GIVE_OUT ────────────────────────────▶   when the token has proven that it is the same KEK
 *          ◀─────────────────────────────── SHARE (once for each; sealed to its custodian, or shown on the terminal until it was copied)
 *          ◀─────────────────────────────── SHARES_GIVEN, BYE
 *
 *   COMBINE_PLAN (+ terminal) ───────────▶
 *   SHARE_FILE (+ custodian's key) ──────▶   any number
 *          ◀── NEED_PHRASE ─ / ── PHRASE ──▶    (only when that key is encrypted; one attempt)
 *          ◀─────────────────────────────── SHARE_TAKEN
 *   COLLECT ─────────────────────────────▶   asks for the rest at the terminal
 *          ◀─────────────────────────────── SHARES_READY         (or KEY_REFUSED)
 *   SEAL_KEY ────────────────────────────▶   after the intent is logged: sealed to the token
 *          ◀─────────────────────────────── KEY_SEALED, BYE
 *
 * Of a sealed key the container goes to the courier as well, and KEY holds its content key: CONTAINER comes before KEY. A BIRTH makes such a key, a SIGNING has
 * one sign once; both are given no socket:
 *
 *   BEAR_KEY ────────────────────────────▶   makes the key, seals it to the token's sealing key
 *          ◀─────────────────────────────── KEY_BORN, BYE, or KEY_REFUSED
 *   OPEN_KEY ────────────────────────────▶   after the intent is logged: opened, signs, wiped
 *          ◀─────────────────────────────── KEY_SIGNED, BYE, or KEY_REFUSED
 *
 * If the channel closes early the courier rolls back what it switched and ends. */
#ifndef CUSTOS_LINK_COURIER_H
#define CUSTOS_LINK_COURIER_H

#include "base/permit.h"
#include "link/channel.h"

enum custos_courier_message {
	/* u8 job (enum custos_courier_job) · u8 key_format (0 PKCS#8, 1 PKCS#1) · u8 padding (zero bytes 0…7 tolerated after the key)
	 * · bytes leaf (DER certificate; empty for ROLLBACK) · bytes chain_pem (leaf, then intermediates) · u32 count · per host: bytes plan
	 * (custos_plan_encode in target/plan.h) */
	CUSTOS_COURIER_SETUP = 1,
	/* fixed 65 courier point · text backend ("memfd_secret" or "mlock") · u32 locked_bytes */
	CUSTOS_COURIER_HELLO,
	/* u32 host · u8 purpose (enum custos_courier_socket) + descriptor: a connected stream socket */
	CUSTOS_COURIER_SOCKET,
	/* u32 host · u8 purpose · text why */
	CUSTOS_COURIER_NO_SOCKET,
	/* u32 host · u8 kind (enum custos_courier_credential) · bytes a · bytes b [+ descriptor]
	 *   PASSWORD: a = point of the keeper's ephemeral key (65), b = password sealed to the courier's point (crypto/seal.h)
	 *   KEY_FILE: descriptor of an OpenSSH/PEM private key without pass phrase, read by the courier itself
	 *   SIGNER:   a = SSH public key blob (RFC 4253 6.6); the courier asks for one signature with SIGN_LOGIN */
	CUSTOS_COURIER_CREDENTIAL,
	CUSTOS_COURIER_PREPARE,
	/* u32 host · bytes data (what RFC 4252 7 has signed) */
	CUSTOS_COURIER_SIGN_LOGIN,
	/* u32 host · bytes signature (SSH signature blob without its outer length: string algorithm, string blob); empty: refused */
	CUSTOS_COURIER_LOGIN_SIGNATURE,
	/* u32 host · u8 state (enum custos_deploy_state) · text detail. For a progress line; never a secret, never longer than 200 bytes. */
	CUSTOS_COURIER_PROGRESS,
	/* u32 host · u8 purpose: please connect once more */
	CUSTOS_COURIER_NEED_SOCKET,
	/* u32 host · u8 when (0 before, 1 after the switch, 2 after a roll-back) · u32 probe · text tls_error ("" when a handshake was made)
	 * · u32 count · per certificate: bytes DER, as served */
	CUSTOS_COURIER_SERVED,
	/* u32 host · u8 verdict (enum custos_courier_verdict) · text why */
	CUSTOS_COURIER_VERDICT,
	/* u32 host · u8 status (enum custos_prepared) · u8 category (custos_rc) · text why · text hint · text version (what the host says it is)
	 * · text backup (path of the backup directory on the host, "" if none) · fixed 32 SHA-256 of the leaf served or stored before (zeros: none) */
	CUSTOS_COURIER_PREPARED,
	/* fixed 65 token point · bytes wrapped (RFC 5649 under the ECDH secret) · u32 count · per host to deliver to: u32 host */
	CUSTOS_COURIER_KEY,
	/* no key will come: undo what was staged and armed on every host, then OUTCOME untouched for each */
	CUSTOS_COURIER_ABORT,
	/* u32 host · u8 result (enum custos_outcome) · u8 category · text why · text hint (for NOT_ROLLED_BACK the exact manual way back)
	 * · u32 exposure_ms (key in the courier in the clear) · text backup (path still on the host that holds a copy of the previous pair, or "") */
	CUSTOS_COURIER_OUTCOME,
	/* u32 bytes wiped */
	CUSTOS_COURIER_BYE,
	/* IMPORT only, after HELLO. Empty body + descriptor: the file with the private key, read by the courier itself */
	CUSTOS_COURIER_READ_KEY,
	/* empty: the key is protected by a pass phrase */
	CUSTOS_COURIER_NEED_PHRASE,
	/* fixed 65 point of the keeper's ephemeral key · bytes pass phrase sealed to the courier's point (crypto/seal.h) */
	CUSTOS_COURIER_PHRASE,
	/* bytes spki of the key in the file */
	CUSTOS_COURIER_KEY_READ,
	/* u8 category (custos_rc) · text why · text hint: there is no key that can be had; the courier ends */
	CUSTOS_COURIER_KEY_REFUSED,
	/* fixed 65 point of the token's pair for this import */
	CUSTOS_COURIER_SEAL_KEY,
	/* fixed 65 point of a fresh pair of the courier's · bytes key (PKCS#8, RFC 5649 under the ECDH secret). BYE follows. */
	CUSTOS_COURIER_KEY_SEALED,
	/* SPLIT only, after HELLO; the descriptor is the terminal's, and may be missing when every share has a custodian.
	 * u8 threshold · u32 set id · u32 count · per share: text custodian ("" for the terminal) · u32 count · per share: bytes spki (P-256; empty for the terminal) */
	CUSTOS_COURIER_SPLIT_PLAN,
	/* empty */
	CUSTOS_COURIER_GIVE_OUT,
	/* u8 number · fixed 65 point of a fresh pair of the courier's · bytes share (crypto/shares.h's written form, sealed to the custodian's point); point zero
	 * and no bytes: it was shown on the terminal */
	CUSTOS_COURIER_SHARE,
	/* empty; BYE follows */
	CUSTOS_COURIER_SHARES_GIVEN,
	/* COMBINE only, after HELLO; the descriptor is the terminal's, and may be missing. text what (whose shares, for the person at the terminal)
	 * · u8 threshold (0: neither it nor the set is known) · u32 set id */
	CUSTOS_COURIER_COMBINE_PLAN,
	/* text file (its name, for errors) · u8 number · fixed 65 point · bytes share, as in SHARE; + descriptor: the custodian's private key, read by the courier itself */
	CUSTOS_COURIER_SHARE_FILE,
	/* u32 set id · u8 threshold · u8 number */
	CUSTOS_COURIER_SHARE_TAKEN,
	/* empty */
	CUSTOS_COURIER_COLLECT,
	/* u32 set id · u8 threshold · bytes numbers, a byte each, rising */
	CUSTOS_COURIER_SHARES_READY,
	/* DEPLOY, after HELLO, unless the transport is ecdh-p256: u8 transport (enum custos_transport) */
	CUSTOS_COURIER_TRANSPORT,
	/* bytes SPKI of a key made for this release, when the transport needs one; else empty */
	CUSTOS_COURIER_TRANSPORT_KEY,
	/* before KEY, when TRANSPORT was said: fixed 32 leaf hash of the logged intent · bytes wrapping key under the courier's (empty where KEY's wrapped is under an
	 * agreed one) */
	CUSTOS_COURIER_INTENT,
	/* DEPLOY only, before KEY: bytes container of a sealed key (crypto/sealed_container.h); `wrapped` of KEY is its content key then */
	CUSTOS_COURIER_CONTAINER,
	/* BIRTH only, after HELLO: text origin · text key · text type · u8 method (enum custos_sealing) · bytes spki of the sealing key
	 * · bytes message, by which the new key proves itself */
	CUSTOS_COURIER_BEAR_KEY,
	/* bytes spki · bytes container · bytes signature over the message. BYE follows. */
	CUSTOS_COURIER_KEY_BORN,
	/* SIGNING only, after HELLO: fixed 65 token point · bytes content key, sealed to the courier · bytes container · bytes spki · u8 algorithm (enum
	 * custos_signature) · bytes message */
	CUSTOS_COURIER_OPEN_KEY,
	/* bytes signature. BYE follows. */
	CUSTOS_COURIER_KEY_SIGNED,
	/* PROBE only, once for each host before its PREPARED: u32 host · u32 count · per fact: text name · text value, made safe for display (target/inspection.h) */
	CUSTOS_COURIER_FACTS,
};

enum custos_courier_job {
	CUSTOS_JOB_DEPLOY = 1, CUSTOS_JOB_DRY_RUN, CUSTOS_JOB_ROLLBACK, CUSTOS_JOB_SCAN, CUSTOS_JOB_IMPORT, CUSTOS_JOB_SPLIT, CUSTOS_JOB_COMBINE, CUSTOS_JOB_BIRTH, CUSTOS_JOB_SIGNING, CUSTOS_JOB_PROBE
};
/* DRY_RUN: PREPARE probes and changes nothing on the host. ROLLBACK: no KEY; the keeper sends KEY with an empty `wrapped` as the go-ahead
 * after the intent is logged, and the courier puts the backup named in the plan back.
 * SCAN: PREPARE makes the SSH handshake and nothing else (no credential is sent); PREPARED's `version` is the server's banner and its
 * `backup` the host key's SHA256:… fingerprint.
 * IMPORT: SETUP has no certificate and no host; then READ_KEY and what follows it, instead of PREPARE.
 * SPLIT, COMBINE: the same with SPLIT_PLAN or COMBINE_PLAN. The KEY of a SPLIT names no host (count 0).
 * BIRTH, SIGNING: the same with BEAR_KEY or OPEN_KEY.
 * PROBE: as DRY_RUN, without a certificate, and looks at everything however much stands in the way; FACTS says what it saw. */
enum custos_courier_socket { CUSTOS_SOCKET_SSH = 1, CUSTOS_SOCKET_VERIFY };
enum custos_courier_credential { CUSTOS_CREDENTIAL_PASSWORD = 1, CUSTOS_CREDENTIAL_KEY_FILE, CUSTOS_CREDENTIAL_SIGNER };
enum custos_courier_verdict { CUSTOS_VERDICT_NEW = 1, CUSTOS_VERDICT_OLD, CUSTOS_VERDICT_OTHER, CUSTOS_VERDICT_UNACCEPTABLE, CUSTOS_VERDICT_NONE };
/* NEW: the intended leaf, and a client with the trust anchors accepts it. OLD: what was served before. UNACCEPTABLE: the
 * intended leaf, but a client would refuse the chain. NONE: nothing served. */
enum custos_prepared { CUSTOS_PREPARED_READY = 1, CUSTOS_PREPARED_UNCHANGED, CUSTOS_PREPARED_FAILED };
enum custos_outcome {
	CUSTOS_OUTCOME_DEPLOYED = 1,
	CUSTOS_OUTCOME_UNCHANGED,
	CUSTOS_OUTCOME_UNTOUCHED,
	CUSTOS_OUTCOME_ROLLED_BACK,
	CUSTOS_OUTCOME_NOT_ROLLED_BACK
};

extern const struct custos_link_protocol custos_courier_protocol;

#endif

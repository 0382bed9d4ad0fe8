/* A private key as people keep it in a file, for the one process that adopts it: its libcrypto has a locked heap and its stack is locked, because libcrypto's
 * decoders copy. Nobody else may call this (tests/lint). */
#ifndef CUSTOS_CRYPTO_KEY_FILE_H
#define CUSTOS_CRYPTO_KEY_FILE_H

#include "memory/secret.h"

/* PEM (the one private key in it; certificates beside it are left alone) or DER, PKCS#8, PKCS#1 or SEC 1, encrypted or not. RSA of 2048, 3072 or 4096 bits
 * with an exponent of at least 65537, or EC on P-256, P-384 or P-521; its numbers are checked to belong together.
 *
 * `pass_phrase` NULL: none is known. *ret_encrypted true and nothing else written when one is needed. Otherwise *ret_pkcs8 is the key as PKCS#8 DER and the
 * SPKI is appended to `spki`. CUSTOS_E_AUTH: the pass phrase does not open it; CUSTOS_E_INPUT: there is no key in it, or one that custos does not take. */
CUSTOS_RC custos_key_file_read(struct custos_secret *file, struct custos_secret *pass_phrase, bool *ret_encrypted, struct custos_secret **ret_pkcs8, struct custos_buf *spki,
                               struct custos_err *err);

#endif

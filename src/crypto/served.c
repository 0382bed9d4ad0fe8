/* A TLS handshake for the sake of the certificates.
 *
 * Whatever the server presents is taken and nothing of it believed; that a handshake was completed proves only that the server holds the key of the
 * first certificate. Reads and writes are MSG_DONTWAIT and MSG_NOSIGNAL: the descriptor's flags and the process's signal handlers are not ours
 * to change. One deadline for everything. */
#include "crypto/served.h"
#include "base/clock.h"
#include "crypto/openssl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

CUSTOS_OPENSSL_FREEP(ssl, SSL, SSL_free);
CUSTOS_OPENSSL_FREEP(ssl_ctx, SSL_CTX, SSL_CTX_free);
CUSTOS_OPENSSL_FREEP(bio_method, BIO_METHOD, BIO_meth_free);

struct connection {
	int fd;
	int64_t deadline_ms;
	bool ended;    /* the server closed it */
	int error;     /* errno of a failed call, else 0 */
};

static int socket_read(BIO *bio, char *to, int room)
{
	struct connection *c = BIO_get_data(bio);
	ssize_t got;
	do
		got = recv(c->fd, to, (size_t)room, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	BIO_clear_retry_flags(bio);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_read(bio);
	else if (got < 0)
		c->error = errno;
	else if (got == 0)
		c->ended = true;
	return (int)got;
}

static int socket_write(BIO *bio, const char *from, int len)
{
	struct connection *c = BIO_get_data(bio);
	ssize_t sent;
	do
		sent = send(c->fd, from, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	BIO_clear_retry_flags(bio);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_write(bio);
	else if (sent < 0)
		c->error = errno;
	return (int)sent;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static custos_rc wait_for(const struct connection *c, short events, struct custos_err *err)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	for (;;) {
		int64_t left = c->deadline_ms - custos_clock_monotonic_ms();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (ready > 0)
			return CUSTOS_OK;
		if (ready < 0 && errno != EINTR)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot wait for the server: %s", strerror(errno));
		if (ready == 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_NETWORK, ETIMEDOUT, "the server did not finish the TLS handshake in time");
	}
}

/* What servers answer instead of a handshake, in words that say what to do. */
static custos_rc explain_alert(int reason, struct custos_err *err)
{
	static const struct {
		int reason;
		const char *text, *remedy;
	} known[] = {
		{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the server speaks no TLS as new as 1.2", "have it speak TLS 1.2 or newer; clients refuse what is older" },
		{ SSL_R_UNSUPPORTED_PROTOCOL, "the server speaks no TLS as new as 1.2", "have it speak TLS 1.2 or newer; clients refuse what is older" },
		{ SSL_R_TLSV1_UNRECOGNIZED_NAME, "the server knows no host of the name that it was asked for", "ask for a name that it has" },
		{ SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the server refused the handshake: it may want a certificate of its client, ask for a name, or have no certificate",
		  "ask for a name that it has; of a server that wants its client's certificate, give the files" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].reason == reason) {
			ERR_clear_error();
			CUSTOS_FAIL_HINT(err, CUSTOS_E_NETWORK, known[i].remedy, "%s", known[i].text);
		}
	return custos_openssl_fail(err, CUSTOS_E_NETWORK, "the TLS handshake failed");
}

static custos_rc explain(const struct connection *c, struct custos_err *err)
{
	int reason = ERR_GET_REASON(ERR_peek_error());
	if (c->error != 0) {
		ERR_clear_error();
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_NETWORK, c->error, "the connection broke during the TLS handshake: %s", strerror(c->error));
	}
	if (c->ended) {
		ERR_clear_error();
		CUSTOS_FAIL(err, CUSTOS_E_NETWORK, "the server closed the connection during the TLS handshake");
	}
	if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST) {
		ERR_clear_error();
		CUSTOS_FAIL(err, CUSTOS_E_NETWORK, "the server does not speak TLS on this port");
	}
	return explain_alert(reason, err);
}

static custos_rc handshake(SSL *ssl, const struct connection *c, struct custos_err *err)
{
	for (;;) {
		ERR_clear_error();
		int verdict = SSL_connect(ssl);
		if (verdict == 1)
			return CUSTOS_OK;
		switch (SSL_get_error(ssl, verdict)) {
		case SSL_ERROR_WANT_READ:
			CUSTOS_TRY(wait_for(c, POLLIN, err));
			break;
		case SSL_ERROR_WANT_WRITE:
			CUSTOS_TRY(wait_for(c, POLLOUT, err));
			break;
		default:
			return explain(c, err);
		}
	}
}

static custos_rc record(const SSL *ssl, struct custos_served *served, struct custos_err *err)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	int count = chain == NULL ? 0 : sk_X509_num(chain);
	CUSTOS_REQUIRE(count > 0, err, CUSTOS_E_NETWORK, "the server presented no certificate");
	for (int i = 0; i < count && i < CUSTOS_SERVED_MAX; i++) {
		struct custos_buf *der = &served->der[served->count++];
		uint8_t *at;
		int len = i2d_X509(sk_X509_value(chain, i), NULL);
		CUSTOS_REQUIRE(len > 0, err, CUSTOS_E_NETWORK, "the server presented a certificate that cannot be read");
		CUSTOS_TRY(custos_buf_extend(der, (size_t)len, &at, err));
		CUSTOS_REQUIRE(i2d_X509(sk_X509_value(chain, i), &at) == len, err, CUSTOS_E_INTERNAL, "cannot encode a certificate");
	}
	return CUSTOS_OK;
}

/* Weak servers are to be read as well: no key, digest or cipher is refused, except what has no certificate in it. TLS before 1.2 is not spoken; that is told. */
static SSL_CTX *lenient_client(void)
{
	CUSTOS_AUTO_OPENSSL(ssl_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_security_level(ctx, 0);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL:!PSK:!SRP") != 1)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return CUSTOS_TAKE(ctx);
}

static bool attach(SSL *ssl, const BIO_METHOD *method, struct connection *c)
{
	BIO *bio = BIO_new(method);
	if (bio == NULL)
		return false;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return true;
}

static bool is_address(const char *name)
{
	struct in6_addr address;
	return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

static custos_rc ask_for(SSL *ssl, const char *name, struct custos_err *err)
{
	char copy[256]; /* libssl's macro wants it writable */
	/* RFC 6066 3: names only. */
	if (name == NULL || name[0] == '\0' || is_address(name))
		return CUSTOS_OK;
	CUSTOS_REQUIRE(strlen(name) < sizeof copy, err, CUSTOS_E_INPUT, "a server name of %zu characters", strlen(name));
	memcpy(copy, name, strlen(name) + 1);
	if (SSL_set_tlsext_host_name(ssl, copy) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "the name to ask the server for is not usable");
	return CUSTOS_OK;
}

static custos_rc fetch(struct connection *c, const char *sni, struct custos_served *served, struct custos_err *err)
{
	/* In this order: what is declared last is freed first, and the method must outlive the SSL object. */
	CUSTOS_AUTO_OPENSSL(bio_method) BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "borrowed socket");
	CUSTOS_AUTO_OPENSSL(ssl_ctx) SSL_CTX *ctx = lenient_client();
	CUSTOS_AUTO_OPENSSL(ssl) SSL *ssl = ctx == NULL ? NULL : SSL_new(ctx);
	if (method == NULL || ssl == NULL || BIO_meth_set_read(method, socket_read) != 1 || BIO_meth_set_write(method, socket_write) != 1 ||
	    BIO_meth_set_ctrl(method, socket_control) != 1 || !attach(ssl, method, c))
		return custos_openssl_fail(err, CUSTOS_E_SYSTEM, "cannot start a TLS client");
	CUSTOS_TRY(ask_for(ssl, sni, err));
	CUSTOS_TRY(handshake(ssl, c, err));
	CUSTOS_TRY(record(ssl, served, err));
	/* A farewell the server may see or not. */
	SSL_shutdown(ssl);
	ERR_clear_error();
	return CUSTOS_OK;
}

void custos_served_done(struct custos_served *served)
{
	for (size_t i = 0; i < CUSTOS_SERVED_MAX; i++)
		custos_buf_done(&served->der[i]);
	served->count = 0;
}

custos_rc custos_served_fetch(int fd, const char *sni, int timeout_ms, struct custos_served *ret_served, struct custos_err *err)
{
	struct connection c = { .fd = fd, .deadline_ms = custos_clock_monotonic_ms() + timeout_ms };
	struct custos_served served = { 0 };
	custos_rc rc = fetch(&c, sni, &served, err);
	if (rc != CUSTOS_OK)
		custos_served_done(&served);
	else
		*ret_served = served;
	return rc;
}

/* The certificate reader against servers of every kind, each a child process at the other end of a socket pair. */
#include "crypto/served.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { CHAIN_MAX = 12, DER_MAX = 2048 };

struct identity {
	EVP_PKEY *key;
	X509 *certificates[CHAIN_MAX]; /* leaf first; the others are company, not issuers: nothing is judged */
	int count;
	const char *name; /* server name it is for, NULL: the default one */
};

struct server {
	const struct identity *identities[2];
	int min_version, max_version;
	bool asks_for_client;
	char *signatures; /* NULL: libssl's choice */
};

static X509 *certificate(EVP_PKEY *key, const char *name, const EVP_MD *md)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	/* expired long ago: nothing is judged */
	X509_gmtime_adj(X509_getm_notBefore(x), -7200);
	X509_gmtime_adj(X509_getm_notAfter(x), -3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, md) > 0);
	return x;
}

static struct identity new_identity(EVP_PKEY *key, const char *name, int count, const EVP_MD *md)
{
	struct identity id = { .key = key, .count = count, .name = name };
	char common_name[64];
	for (int i = 0; i < count; i++) {
		snprintf(common_name, sizeof common_name, "%s %d", name, i);
		id.certificates[i] = certificate(key, common_name, md);
	}
	return id;
}

static void free_identity(struct identity *id)
{
	for (int i = 0; i < id->count; i++)
		X509_free(id->certificates[i]);
	EVP_PKEY_free(id->key);
}

static bool wear(SSL *ssl, const struct identity *id)
{
	bool ok = SSL_use_certificate(ssl, id->certificates[0]) == 1 && SSL_use_PrivateKey(ssl, id->key) == 1;
	SSL_clear_chain_certs(ssl);
	for (int i = 1; i < id->count; i++)
		ok = ok && SSL_add1_chain_cert(ssl, id->certificates[i]) == 1;
	return ok;
}

static int choose(SSL *ssl, void *ctx)
{
	const struct server *server = ctx;
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	for (size_t i = 0; i < 2; i++)
		if (server->identities[i] != NULL && (i == 0 || (asked != NULL && strcmp(asked, server->identities[i]->name) == 0)) &&
		    !wear(ssl, server->identities[i]))
			return 0;
	return 1;
}

static int accept_any(int ok, X509_STORE_CTX *ctx)
{
	(void)ok, (void)ctx;
	return 1;
}

static void serve_tls(int fd, void *ctx)
{
	struct server *server = ctx;
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(tls, 0);
	SSL_CTX_set_cipher_list(tls, "ALL:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(tls, server->min_version);
	SSL_CTX_set_max_proto_version(tls, server->max_version);
	SSL_CTX_set_cert_cb(tls, choose, server);
	if (server->signatures != NULL)
		SSL_CTX_set1_sigalgs_list(tls, server->signatures);
	if (server->asks_for_client)
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, accept_any);
	SSL *ssl = SSL_new(tls);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		char byte;
		SSL_read(ssl, &byte, 1); /* until the client says farewell */
	}
	SSL_free(ssl);
	SSL_CTX_free(tls);
}

static void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	poll(&p, 1, 10000);
}

static void serve_http(int fd, void *ctx)
{
	static const char reply[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	(void)ctx;
	await(fd);
	(void)!write(fd, reply, sizeof reply - 1);
}

static void serve_nothing(int fd, void *ctx)
{
	(void)fd, (void)ctx;
}

static void serve_silence(int fd, void *ctx)
{
	char byte;
	(void)ctx;
	while (read(fd, &byte, 1) == 1)
		;
}

/* The header of a handshake record, then a byte whenever the reader could begin to hope. */
static void serve_drops(int fd, void *ctx)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	(void)ctx;
	if (write(fd, "\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", 9) != 9)
		return;
	while (poll(&p, 1, 5) == 0 && write(fd, "\x03", 1) == 1)
		;
}

static void serve_garbage(int fd, void *ctx)
{
	uint8_t garbage[4096];
	(void)ctx;
	memset(garbage, 0xf7, sizeof garbage);
	await(fd);
	for (int i = 0; i < 64 && write(fd, garbage, sizeof garbage) > 0; i++)
		;
}

struct visit {
	void (*serve)(int fd, void *ctx);
	void *ctx;
	const char *sni;
	int timeout_ms;
	struct custos_served served;
	struct custos_err err;
	int64_t took_ms;
};

/* Starts the server, reads its certificates, and checks that the descriptor is as it was. */
static custos_rc visit(struct visit *v)
{
	int ends[2], status = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		signal(SIGPIPE, SIG_IGN);
		v->serve(ends[1], v->ctx);
		_exit(0);
	}
	close(ends[1]);
	int flags = fcntl(ends[0], F_GETFL);
	v->err = (struct custos_err){ 0 };
	int64_t begin = custos_clock_monotonic_ms();
	custos_rc rc = custos_served_fetch(ends[0], v->sni, v->timeout_ms == 0 ? 20000 : v->timeout_ms, &v->served, &v->err);
	v->took_ms = custos_clock_monotonic_ms() - begin;
	assert_int_equal(fcntl(ends[0], F_GETFL), flags);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return rc;
}

static void assert_served(const struct custos_served *served, const struct identity *id)
{
	assert_int_equal(served->count, id->count < CUSTOS_SERVED_MAX ? id->count : CUSTOS_SERVED_MAX);
	for (size_t i = 0; i < served->count; i++) {
		uint8_t der[DER_MAX], *at = der;
		int len = i2d_X509(id->certificates[i], &at);
		assert_int_equal(served->der[i].len, len);
		assert_memory_equal(served->der[i].ptr, der, (size_t)len);
	}
}

static void chains_are_read_in_order(void **state)
{
	(void)state;
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct identity ids[] = {
		new_identity(EVP_RSA_gen(2048), "rsa.example", 3, EVP_sha256()),
		new_identity(EVP_EC_gen("P-256"), "ec.example", 1, EVP_sha256()),
		new_identity(EVP_EC_gen("P-384"), "long.example", CHAIN_MAX, EVP_sha384()),
		new_identity(EVP_RSA_gen(1024), "weak.example", 2, EVP_sha1()),
	};
	for (size_t i = 0; i < 4; i++) {
		for (size_t v = 0; v < 2; v++) {
			struct server server = { { &ids[i] }, versions[v], versions[v], v == 1, NULL };
			struct visit visitor = { .serve = serve_tls, .ctx = &server };
			if (visit(&visitor) != CUSTOS_OK)
				fail_msg("%s: %s", ids[i].name, visitor.err.msg);
			assert_served(&visitor.served, &ids[i]);
			custos_served_done(&visitor.served);
			assert_int_equal(visitor.served.count, 0);
		}
		free_identity(&ids[i]);
	}
}

/* TLS 1.2 with nothing better than SHA-1, as appliances of a certain age speak it. */
static void weak_servers_are_read_too(void **state)
{
	(void)state;
	struct identity id = new_identity(EVP_RSA_gen(1024), "appliance.example", 1, EVP_sha1());
	static char sha1[] = "RSA+SHA1";
	struct server server = { { &id }, TLS1_2_VERSION, TLS1_2_VERSION, false, sha1 };
	struct visit v = { .serve = serve_tls, .ctx = &server };
	if (visit(&v) != CUSTOS_OK)
		fail_msg("%s", v.err.msg);
	assert_served(&v.served, &id);
	custos_served_done(&v.served);
	free_identity(&id);
}

static void the_name_is_asked_for(void **state)
{
	(void)state;
	struct identity by_default = new_identity(EVP_EC_gen("P-256"), "default.example", 1, EVP_sha256());
	struct identity named = new_identity(EVP_EC_gen("P-256"), "named.example", 2, EVP_sha256());
	struct identity address = named;
	address.name = "192.0.2.7"; /* chosen if an address were sent as a name */
	struct server server = { { &by_default, &named }, TLS1_2_VERSION, TLS1_3_VERSION, false, NULL };
	struct server by_address = { { &by_default, &address }, TLS1_2_VERSION, TLS1_3_VERSION, false, NULL };
	static const struct {
		const char *sni;
		bool named;
	} cases[] = { { "named.example", true }, { "other.example", false }, { NULL, false }, { "", false }, { "2001:db8::7", false } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct visit v = { .serve = serve_tls, .ctx = &server, .sni = cases[i].sni };
		assert_int_equal(visit(&v), CUSTOS_OK);
		assert_served(&v.served, cases[i].named ? &named : &by_default);
		custos_served_done(&v.served);
	}
	struct visit v = { .serve = serve_tls, .ctx = &by_address, .sni = address.name };
	assert_int_equal(visit(&v), CUSTOS_OK);
	assert_served(&v.served, &by_default);
	custos_served_done(&v.served);
	free_identity(&by_default);
	free_identity(&named);
}

static void assert_plain_reason(struct visit v, const char *words)
{
	assert_int_equal(visit(&v), CUSTOS_E_NETWORK);
	assert_int_equal(v.served.count, 0);
	if (strstr(v.err.msg, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", v.err.msg, words);
}

static void failures_are_told_in_plain_words(void **state)
{
	(void)state;
	struct identity id = new_identity(EVP_RSA_gen(2048), "old.example", 1, EVP_sha256());
	struct server old = { { &id }, TLS1_VERSION, TLS1_1_VERSION, false, NULL };
	assert_plain_reason((struct visit){ .serve = serve_http }, "does not speak TLS");
	assert_plain_reason((struct visit){ .serve = serve_garbage }, "does not speak TLS");
	assert_plain_reason((struct visit){ .serve = serve_tls, .ctx = &old }, "the server speaks no TLS as new as 1.2");
	free_identity(&id);
}

static void a_server_that_goes_away_is_an_error_not_a_signal(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct visit v = { .serve = serve_nothing };
		assert_int_equal(visit(&v), CUSTOS_E_NETWORK);
		assert_true(strstr(v.err.msg, "closed the connection") != NULL || strstr(v.err.msg, "connection broke") != NULL);
	}
}

static void the_deadline_holds(void **state)
{
	(void)state;
	void (*const slow[])(int, void *) = { serve_silence, serve_drops };
	for (size_t i = 0; i < 2; i++) {
		struct visit v = { .serve = slow[i], .timeout_ms = 150 };
		assert_int_equal(visit(&v), CUSTOS_E_NETWORK);
		assert_non_null(strstr(v.err.msg, "in time"));
		assert_in_range(v.took_ms, 150, 5000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_are_read_in_order),
		cmocka_unit_test(weak_servers_are_read_too),
		cmocka_unit_test(the_name_is_asked_for),
		cmocka_unit_test(failures_are_told_in_plain_words),
		cmocka_unit_test(a_server_that_goes_away_is_an_error_not_a_signal),
		cmocka_unit_test(the_deadline_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

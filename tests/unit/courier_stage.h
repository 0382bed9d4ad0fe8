/* A host and a keeper for custos-courier: a real sshd on a loopback connection, a TLS service that serves what was last "reloaded", and a keeper that
 * answers as the test wishes. Keys are made here, every time anew. */
#ifndef COURIER_STAGE_H
#define COURIER_STAGE_H

#include "courier_pairs.h"

#include "base/clock.h"
#include "base/text.h"
#include "link/courier.h"
#include "link/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct stage {
	char root[128];
	char user[64];
	char pin[64];                        /* of the sshd's host key */
	struct pair old, new;
	pid_t sshd[8];
	size_t sshd_count;
	/* how the keeper behaves */
	const char *reload;                  /* a command; default: the service takes what is in the files */
	const char *extra;                   /* more of the profile */
	const char *pins;                    /* NULL: the right one */
	const char *password;                /* NULL: key file */
	bool by_signer, refuse_reconnect, vanish_after_key, abort_instead, wrong_key, garble_parcel;
	enum custos_courier_job job;
	enum custos_transport transport;     /* of the key */
	bool other_intent, no_intent, downgraded; /* the parcel is bound to another one; nothing is said of any; it is not bound at all */
	struct custos_buf transport_key;     /* the courier's */
	uint32_t hosts;
	/* what came of it */
	uint8_t prepared[4], prepared_category[4], outcome[4], outcome_category[4];
	char why[512], hint[1024], version[256], backup[256];
	unsigned ssh_sockets, signatures, probes;
	bool bye;
	int status;                          /* of the courier */
	uint32_t exposure_ms;
};

static inline const char *path_in(const struct stage *s, const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", s->root, name);
	return path;
}

static inline void put_file(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len || fchmod(fd, mode) != 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static inline void get_file(const char *path, struct custos_buf *out)
{
	char chunk[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	custos_buf_done(out);
	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		assert_int_equal(custos_buf_append(out, chunk, (size_t)n, NULL), CUSTOS_OK);
	close(fd);
}

static inline void shell(const char *format, ...) CUSTOS_PRINTF(1, 2);
static inline void shell(const char *format, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, format);
	vsnprintf(command, sizeof command, format, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* ---- the host ---- */

static inline void stage_up(struct stage *s)
{
	char root[sizeof s->root];
	*s = (struct stage){ .job = CUSTOS_JOB_DEPLOY, .hosts = 1 };
	snprintf(root, sizeof root, "%s/custos-courier-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(root));
	snprintf(s->root, sizeof s->root, "%s", root);
	const struct passwd *me = getpwuid(getuid());
	assert_non_null(me);
	snprintf(s->user, sizeof s->user, "%s", me->pw_name);
	make_pair(&s->old, "old.example.com");
	make_pair(&s->new, "new.example.com");
	shell("cd %s && mkdir ssl stage backup loaded && ssh-keygen -q -t ecdsa -b 256 -N '' -f hostkey && ssh-keygen -q -t ecdsa -b 256 -N '' -f login && cp login.pub authorized_keys && "
	      "ssh-keygen -lf hostkey.pub | cut -d' ' -f2 > pin", root);
	CUSTOS_AUTO_BUF pin = { 0 };
	CUSTOS_AUTO_BUF key = { 0 };
	get_file(path_in(s, "pin"), &pin);
	snprintf(s->pin, sizeof s->pin, "%.50s", (char *)pin.ptr);
	pair_key_pem(&s->old, &key);
	put_file(path_in(s, "ssl/crt"), s->old.pem.ptr, s->old.pem.len, 0644);
	put_file(path_in(s, "ssl/key"), key.ptr, key.len, 0400);
	shell("cd %s && cp ssl/crt ssl/key loaded/", root);
	/* the password is compared by PAM the way ESXi does it: keyboard-interactive only */
	char config[2048], pam[512];
	snprintf(config, sizeof config,
	         "HostKey %s/hostkey\nAuthorizedKeysFile %s/authorized_keys\nStrictModes no\nUsePAM %s\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n"
	         "PermitRootLogin yes\nPidFile none\nLogLevel DEBUG\nMaxAuthTries 6\n"
	         /* as on ESXi 8.0.2 */
	         "KexAlgorithms ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512\n"
	         "Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr\nMACs hmac-sha2-256,hmac-sha2-512\n",
	         root, root, getuid() == 0 ? "yes" : "no");
	put_file(path_in(s, "sshd_config"), config, strlen(config), 0600);
	snprintf(pam, sizeof pam, "auth required pam_exec.so expose_authtok quiet %s/check\nauth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n", root);
	put_file(path_in(s, "pam"), pam, strlen(pam), 0644);
	static const char check[] = "#!/bin/sh\necho attempt >> ${0%/*}/attempts\n[ \"$(tr -d '\\000')\" = 'correct horse' ]\n";
	put_file(path_in(s, "check"), check, strlen(check), 0755);
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void stage_down(struct stage *s)
{
	for (size_t i = 0; i < s->sshd_count; i++)
		waitpid(s->sshd[i], NULL, 0); /* each ends with its connection */
	pair_done(&s->old);
	pair_done(&s->new);
	custos_buf_done(&s->transport_key);
	nftw(s->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* In a mount namespace of its own: the privilege separation directory and the PAM service that the system may not have. */
static inline void become_sshd(const struct stage *s, int fd)
{
	char config[256];
	snprintf(config, sizeof config, "%s/sshd_config", s->root);
	if (getuid() == 0 && (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("tmpfs", "/run", "tmpfs", 0, NULL) != 0 ||
	                      mkdir("/run/sshd", 0755) != 0 || mount(path_in(s, "pam"), "/etc/pam.d/sshd", NULL, MS_BIND, NULL) != 0))
		_exit(126);
	int log = open(path_in(s, "sshd.log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(log, 2);
	execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-i", "-e", "-f", config, (char *)NULL);
	_exit(127);
}

/* A loopback connection with an sshd on its other end; the port is the kernel's choice. */
static inline int connect_ssh(struct stage *s)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	close(listener);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		become_sshd(s, server);
	close(server);
	assert_true(s->sshd_count < 8);
	s->sshd[s->sshd_count++] = pid;
	return client;
}

/* One TLS connection to the service: what it has loaded, or nothing when that does not fit together. */
static inline int connect_tls(const struct stage *s, pid_t *ret_pid)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (*ret_pid == 0) {
		close(pair[0]);
		SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
		bool ok = SSL_CTX_use_certificate_chain_file(ctx, path_in(s, "loaded/crt")) == 1 && SSL_CTX_use_PrivateKey_file(ctx, path_in(s, "loaded/key"), SSL_FILETYPE_PEM) == 1;
		SSL *ssl = SSL_new(ctx);
		SSL_set_fd(ssl, pair[1]);
		char c;
		if (ok && SSL_accept(ssl) == 1)
			(void)SSL_read(ssl, &c, 1); /* until the client has gone */
		_exit(0);
	}
	close(pair[1]);
	return pair[0];
}

#endif

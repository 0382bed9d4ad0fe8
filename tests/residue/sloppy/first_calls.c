/* After every write to a host something is called that was never called before: what an error path does by its nature, and statistics or a log line often. Where calls are
 * bound when they are first made, the dynamic linker then puts all vector registers on the stack, and in them is what was written last. */
#include <libssh2.h>
#include <unistd.h>

/* Names the linker makes (--wrap). */
ssize_t __real_libssh2_channel_write_ex(LIBSSH2_CHANNEL *channel, int stream, const char *bytes, size_t len);
ssize_t __wrap_libssh2_channel_write_ex(LIBSSH2_CHANNEL *channel, int stream, const char *bytes, size_t len);

ssize_t __wrap_libssh2_channel_write_ex(LIBSSH2_CHANNEL *channel, int stream, const char *bytes, size_t len)
{
	static unsigned writes;
	ssize_t written = __real_libssh2_channel_write_ex(channel, stream, bytes, len);
	/* each through its own entry of the table that is bound lazily */
	switch (written > 0 ? writes++ : 99) {
	case 0: (void)getuid(); break;
	case 1: (void)geteuid(); break;
	case 2: (void)getgid(); break;
	case 3: (void)getegid(); break;
	case 4: (void)getppid(); break;
	case 5: (void)getpgrp(); break;
	default: break;
	}
	return written;
}

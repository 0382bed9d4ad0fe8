/* Whole files into bounded buffers, with errors that name the file. */
#include "vault/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

custos_rc custos_file_read(const char *path, struct custos_buf *ret, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_INPUT, "cannot open %s: %s", path, strerror(errno));
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode), err, CUSTOS_E_INPUT, "%s is a directory", path);
	uint8_t chunk[16384];
	ssize_t n;
	while ((n = read(fd, chunk, sizeof chunk)) > 0) {
		size_t max = ret->max ? ret->max : 1 << 20;
		CUSTOS_REQUIRE(ret->len + (size_t)n <= max, err, CUSTOS_E_INPUT, "%s is larger than %zu bytes", path, max);
		CUSTOS_TRY(custos_buf_append(ret, chunk, (size_t)n, err));
	}
	CUSTOS_REQUIRE(n == 0, err, CUSTOS_E_INPUT, "cannot read %s: %s", path, strerror(errno));
	return CUSTOS_OK;
}
